package simb

// A prefix-coded file is a packed one, one section that holds all others, in another coding: numbers have
// words of prefix codes that the file describes (PREFIX.md), which takes a few percent more bytes than
// adaptive bits and a small part of their time.

// packPrefix codes sections, by id and decoded as in other files; a section of zeros is absent.
func packPrefix(h *header, sections map[sectionID][]byte) []byte {
	w := &bitString{}
	l := &packedLayout{header: h}
	l.eachColumn(sections, w.bits, func(info sectionInfo, raw []byte, count int) {
		c := columnWriter{literals: newLiterals(info), column: elements{raw, info.element}, count: count}
		if other, has := otherOf(info.id); has && sections[other] != nil {
			c.other, c.aside = elements{sections[other], info.element}, true
		}
		c.write(w)
	})
	weights := prefixWeights{w: w, second: &bitString{}, layout: l, limits: l.readable(), raw: sections}
	weights.pack()
	first := w.bytes()
	return append(append(appendVarint(nil, uint32(len(first))), first...), weights.second.bytes()...)
}

// prefixUnpacker decodes a prefix-coded section.
type prefixUnpacker struct {
	unpacked
	r       *stringReader // all but values
	columns columnReader
	rows    rowsReader
}

// unpackPrefix is unpack for the coding of prefixes.
func unpackPrefix(h *header, stored, room []byte) (sections map[sectionID][]byte, sizes []SectionInfo, at int, reason string) {
	first, at, ok := readVarint(stored, 0)
	if !ok || uint64(first) > uint64(len(stored)-at) {
		return nil, nil, 0, "the first string is cut short"
	}
	u := &prefixUnpacker{}
	u.r, u.columns.r = &u.rows.gaps, &u.rows.gaps
	u.rows.gaps.data, u.rows.values.data = stored[at:][:first], stored[at:][first:]
	u.unpacked = newUnpacked(h, room, "prefix", func() int {
		if u.sections[sectionGaps] == nil {
			return at + u.r.place() // values are decoded beside gaps, but stored behind them
		}
		return at + u.r.place() + u.rows.values.place()
	})
	if reason := u.all(); reason != "" {
		return nil, nil, u.place(), reason
	}
	return u.sections, u.sizes, 0, ""
}

func (u *prefixUnpacker) all() (reason string) {
	reason = u.eachColumn(u.r.bits, func(info sectionInfo, raw []byte) string {
		var aside []byte
		if other, has := otherOf(info.id); has {
			aside = u.sections[other]
		}
		return u.columns.read(raw, aside, info)
	})
	if reason != "" {
		return reason
	}
	if reason := u.weights(); reason != "" {
		return reason
	}
	switch {
	case len(u.room) > 0:
		return tooShort
	case !u.rows.gaps.ended() || !u.rows.values.ended():
		return "bytes are missing or left over"
	}
	return ""
}
