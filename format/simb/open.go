package simb

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/sparse"
)

// RowStreams are the weights as the file codes them, row after row: see SPEC.md. Raw sections alias the
// file; coded ones were decoded at Open.
type RowStreams struct {
	Lengths []byte // varint: entries of the row
	Gaps    []byte // varints: first column, then column − previous − 1
	Values  []byte // int8: the weight, or its upper plane
	Low     []byte // int8: the lower plane, rows of two planes only
}

// File is a compiled model whose every byte has been verified.
type File struct {
	data    []byte
	frame   *frame
	meta    *Model // without Weights
	streams RowStreams
	entries []sectionEntry
}

// Open verifies a file and returns it. Nothing is trusted: structure, versions, digest, lengths against
// the limits, checksums, and that the meaning can be run: indices in range, bounds of accumulators,
// memory and operations as declared. After Open nothing can fail but an argument of the wrong length.
// The file's bytes are kept and must not change.
//
// Errors: ErrNotSimb, ErrVersion, ErrFeature, ErrCorrupt (as *CorruptError), ErrTooLarge, ErrSignature.
func Open(data []byte, options ...Option) (*File, error) {
	limits := DefaultLimits()
	for _, set := range options {
		set(&limits)
	}
	if len(data) > limits.Bytes {
		return nil, tooLarge("bytes", uint64(len(data)), uint64(limits.Bytes))
	}
	fr, err := parseFrame(data)
	if err != nil {
		return nil, err
	}
	if err := fr.checkVersion(); err != nil {
		return nil, err
	}
	if sum := fr.computeDigest(); string(sum[:]) != string(fr.bytes(fieldDigest)) {
		return nil, corrupt("digest", int64(fr.digest.start), "the file's contents do not have the digest that it states")
	}
	f := &File{data: data, frame: fr}
	return f, f.decode(limits)
}

// Model returns a copy of the whole meaning of the file, weights included.
func (f *File) Model() *Model {
	m := *f.meta
	weights := sparse.New[int16](len(m.Rows), len(m.Inputs)+m.States())
	rows := newRowReader(f.meta, f.streams)
	for i := range m.Rows {
		cols, values, _ := rows.next(i) // verified by Open
		weights.AppendRow(i, cols, values)
	}
	m.Weights = weights
	return &m
}

// Meta returns everything but the weights: Weights is nil. It must not be changed.
func (f *File) Meta() *Model { return f.meta }

// Streams returns the coded weights, for walking them in place.
func (f *File) Streams() RowStreams { return f.streams }

// Digest returns the SHA-256 that the file states and has.
func (f *File) Digest() (sum [32]byte) {
	copy(sum[:], f.frame.bytes(fieldDigest))
	return sum
}

// Signed reports whether the file carries a signature; it says nothing of whose.
func (f *File) Signed() bool { return f.frame.vectors[fieldSignature].len() > 0 }

// MACs returns the largest number of multiply-accumulates of one inference, as stored and re-counted.
func (f *File) MACs() uint64 { return f.frame.uint(fieldMACs) }

// RAMBytes returns the working memory of a portable in-place session, as stored and re-computed.
func (f *File) RAMBytes() int { return int(f.frame.uint(fieldRAMBytes)) }

// Nonzeros returns the number of stored weights.
func (f *File) Nonzeros() int { return int(f.frame.uint(fieldNonzeros)) }

// checkVersion refuses files for newer readers, and unknown features by name or number.
func (f *frame) checkVersion() error {
	if v := f.uint(fieldFormatVersion); v == 0 {
		return corrupt("frame", -1, "the format version is missing")
	}
	if v := f.uint(fieldMinimumReader); v > FormatVersion {
		return versionError(v)
	}
	if unknown := f.uint(fieldFeaturesRequired) &^ knownFeatures; unknown != 0 {
		return featureError(unknown)
	}
	switch s := f.vectors[fieldSignature]; s.len() {
	case 0:
		return nil
	case 64:
		if crc32.Checksum(f.bytes(fieldSignature), castagnoli) != uint32(f.uint(fieldSignatureCRC)) {
			return corrupt("signature", int64(s.start), "its checksum differs")
		}
		return nil
	default:
		return corrupt("signature", int64(s.start), "it has %d bytes, a signature has 64", s.len())
	}
}

// expansion bounds what a file may decode to: this many times its size, plus a constant. Runs make
// columns of equal numbers small, so that honest files expand; hostile ones stay bounded by their size.
const (
	expansionFactor   = 256
	expansionConstant = 4 << 20
)

// decode reads everything behind the frame.
func (f *File) decode(limits Limits) error {
	m, err := f.header(limits)
	if err != nil {
		return err
	}
	sections, err := f.sections(m, limits)
	if err != nil {
		return err
	}
	f.meta = m
	r := &sectionReader{sections: sections, claims: uint8(f.frame.uint(fieldClaims))}
	r.inputs(m)
	r.states(m)
	r.rows(m)
	r.tables(m)
	r.schedule(m)
	r.selfTests(m)
	r.certificates(m)
	if r.err != nil {
		return r.err
	}
	f.streams = RowStreams{sections[sectionLengths], sections[sectionGaps], sections[sectionValues], sections[sectionLow]}
	return f.validate(limits)
}

// header reads the scalars and checks them against the limits.
func (f *File) header(limits Limits) (*Model, error) {
	fr := f.frame
	m := &Model{
		Width: quant.Width(fr.uint(fieldWidth)), Decision: Decision(fr.uint(fieldDecision)),
		OutputScale: math.Float32frombits(uint32(fr.uint(fieldOutputScale))),
		Compiler:    string(fr.bytes(fieldCompiler)), Sequence: fr.uint(fieldSequence),
	}
	counts := map[int]uint64{}
	for _, c := range []struct {
		field, limit int
		what         string
	}{
		{fieldSourceInputs, limits.Inputs, "inputs of the source"}, {fieldInputs, limits.Inputs, "inputs"},
		{fieldSourceStates, limits.States, "states of the source"}, {fieldStates, limits.States, "states"},
		{fieldOutputs, limits.Outputs, "outputs"}, {fieldNonzeros, limits.Nonzeros, "weights"},
	} {
		v := fr.uint(c.field)
		if v > uint64(max(c.limit, 0)) {
			return nil, tooLarge(c.what, v, uint64(max(c.limit, 0)))
		}
		counts[c.field] = v
	}
	if v := fr.uint(fieldMACs); v > limits.Operations {
		return nil, tooLarge("multiply-accumulates", v, limits.Operations)
	}
	if v, most := (counts[fieldInputs]+counts[fieldStates]+counts[fieldOutputs])*80, f.mostDecoded(limits); v > most {
		return nil, tooLarge("bytes decoded", v, most)
	}
	switch hash := fr.bytes(fieldSourceHash); len(hash) {
	case 0:
	case 32:
		copy(m.SourceHash[:], hash)
	default:
		return nil, corrupt("source_hash", -1, "it has %d bytes, a SHA-256 has 32", len(hash))
	}
	if len(m.Compiler) > 256 {
		return nil, corrupt("compiler", -1, "its name has %d bytes, at most 256 are allowed", len(m.Compiler))
	}
	if !m.Width.Valid() {
		return nil, corrupt("width", -1, "%d bits, there are 7 and 14", uint8(m.Width))
	}
	if fr.uint(fieldClaims)&^knownClaims != 0 {
		return nil, corrupt("claims", -1, "unknown bits %#x", fr.uint(fieldClaims))
	}
	m.SourceInputs, m.SourceStates = int(counts[fieldSourceInputs]), int(counts[fieldSourceStates])
	m.Inputs = make([]Input, counts[fieldInputs])
	m.SourceState = make([]int32, counts[fieldStates])
	m.Rows = make([]Row, counts[fieldStates]+counts[fieldOutputs])
	return m, nil
}

func (f *File) mostDecoded(limits Limits) uint64 {
	return min(uint64(max(limits.DecodedSize, 0)), uint64(len(f.data))*expansionFactor+expansionConstant)
}

// sections reads the directory and decodes every known section, checksums included.
func (f *File) sections(m *Model, limits Limits) (map[sectionID][]byte, error) {
	directory, payload := f.frame.bytes(fieldSections), f.frame.bytes(fieldPayload)
	start := int64(f.frame.vectors[fieldPayload].start)
	decoded := map[sectionID][]byte{}
	left := f.mostDecoded(limits)
	at, last := uint64(0), -1
	for k := 0; k < len(directory); k += sectionSize {
		entry := parseEntry(directory[k:])
		where := start + int64(at)
		if int(entry.id) <= last {
			return nil, corrupt("sections", where, "section %d after %d, they must ascend", entry.id, last)
		}
		last = int(entry.id)
		if at+uint64(entry.stored) > uint64(len(payload)) {
			return nil, corrupt("sections", where, "section %d is longer than the payload", entry.id)
		}
		stored := payload[at : at+uint64(entry.stored)]
		at += uint64(entry.stored)
		info, known := describe(entry.id)
		if !known {
			if entry.id >= firstOptionalSection {
				continue
			}
			return nil, corrupt("sections", where, "section %d is unknown", entry.id)
		}
		if uint64(entry.length) > left {
			return nil, tooLarge("bytes decoded", uint64(entry.length), left)
		}
		left -= uint64(entry.length)
		raw, err := decodeSection(entry, info, stored, where)
		if err != nil {
			return nil, err
		}
		decoded[entry.id] = raw
		f.entries = append(f.entries, entry)
	}
	if at != uint64(len(payload)) {
		return nil, corrupt("payload", start+int64(at), "%d bytes belong to no section", uint64(len(payload))-at)
	}
	return decoded, nil
}

func parseEntry(b []byte) sectionEntry {
	return sectionEntry{
		id: sectionID(binary.LittleEndian.Uint16(b)), codec: b[2], element: b[3],
		length: binary.LittleEndian.Uint32(b[4:]), stored: binary.LittleEndian.Uint32(b[8:]), crc: binary.LittleEndian.Uint32(b[12:]),
	}
}

// decodeSection returns a section's decoded bytes; raw ones alias the file.
func decodeSection(entry sectionEntry, info sectionInfo, stored []byte, where int64) ([]byte, error) {
	if int(entry.element) != info.element || int(entry.length)%info.element != 0 || entry.length == 0 {
		return nil, corrupt(info.name, where, "%d bytes in elements of %d, its elements have %d", entry.length, entry.element, info.element)
	}
	raw := stored
	switch entry.codec {
	case storedRaw:
		if entry.stored != entry.length {
			return nil, corrupt(info.name, where, "%d bytes stored raw, %d declared", entry.stored, entry.length)
		}
	case storedPlanes:
		raw = make([]byte, entry.length)
		if reason := decodePlanes(raw, stored, info.element); reason != "" {
			return nil, corrupt(info.name, where, "%s", reason)
		}
	default:
		return nil, corrupt(info.name, where, "codec %d is unknown", entry.codec)
	}
	if crc32.Checksum(raw, castagnoli) != entry.crc {
		return nil, corrupt(info.name, where, "its checksum differs")
	}
	return raw, nil
}

// SectionInfo describes one section of a file, for people.
type SectionInfo struct {
	Name   string
	Length int    // decoded bytes
	Stored int    // bytes in the file
	Coding string // "raw" or "planes"
}

// Sections lists the sections that the file holds, in order.
func (f *File) Sections() []SectionInfo {
	var out []SectionInfo
	for _, entry := range f.entries {
		info, _ := describe(entry.id)
		out = append(out, SectionInfo{info.name, int(entry.length), int(entry.stored), []string{"raw", "planes"}[entry.codec]})
	}
	return out
}
