package simb

// Info describes a file for people: what it is made of, not what it means.
type Info struct {
	FormatVersion int
	MinimumReader int      // the oldest reader version that may read it
	Required      []string // features, by name
	Optional      []string // features that a reader may ignore, by number; none has a name yet
	Bytes         int      // of the file
	FrameBytes    int      // of them, outside of the sections
	Sections      []SectionInfo
}

// SectionInfo describes one section of a file, for people.
type SectionInfo struct {
	Name   string
	Length int    // decoded bytes
	Stored int    // bytes in the file
	Coding string // "raw" or "planes"
}

// Info returns versions, features and sections.
func (f *File) Info() Info {
	fr := f.frame
	return Info{
		FormatVersion: int(fr.uint(fieldFormatVersion)), MinimumReader: int(fr.uint(fieldMinimumReader)),
		Required: namesOfBits(fr.uint(fieldFeaturesRequired), featureNames...),
		Optional: namesOfBits(fr.uint(fieldFeaturesOptional)),
		Bytes:    len(fr.data), FrameBytes: len(fr.data) - fr.contents[fieldPayload].len(),
		Sections: f.Sections(),
	}
}

// Sections lists the sections that the file holds, in order.
func (f *File) Sections() []SectionInfo {
	out := make([]SectionInfo, 0, len(f.entries))
	for _, entry := range f.entries {
		info, _ := describe(entry.id)
		coding := "raw"
		if entry.codec == storedPlanes {
			coding = "planes"
		}
		out = append(out, SectionInfo{info.name, int(entry.length), int(entry.stored), coding})
	}
	return out
}
