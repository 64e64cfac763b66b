package simb

// SectionNames lists the known sections, for tests.
func SectionNames() []string {
	var names []string
	for _, s := range knownSections {
		names = append(names, s.name)
	}
	return names
}
