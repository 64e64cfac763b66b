package simb

import "slices"

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
	Coding string // "raw", "planes", "packed" or "prefix"
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

// Sections lists the sections that the file holds, in the order in which it holds them. Those of a packed
// file share bytes: the stored bytes of one are those that decoding it took.
func (f *File) Sections() []SectionInfo { return slices.Clone(f.sizes) }
