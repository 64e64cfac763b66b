package simb

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
)

// The frame is one flatbuffers table with scalars, byte vectors, one string and one vector of structs.
// Nothing of it is read through the generated accessors before parseFrame has checked every offset;
// in fact parseFrame reads it all, driven by frameFields, which a test holds against flatc's schema.

// fieldKind is how a field of the table is stored.
type fieldKind uint8

const (
	scalarField fieldKind = iota
	bytesField            // vector of ubyte
	stringField
	structsField // vector of sectionSize-byte structs
)

// frameField describes one field of the table; its index in frameFields is its id.
type frameField struct {
	name string
	kind fieldKind
	size int // of a scalar, or of an element of a vector
}

const sectionSize = 16

var frameFields = []frameField{
	{"format_version", scalarField, 2}, {"minimum_reader", scalarField, 2},
	{"features_required", scalarField, 8}, {"features_optional", scalarField, 8},
	{"digest", bytesField, 1}, {"signature", bytesField, 1}, {"signature_crc", scalarField, 4},
	{"width", scalarField, 1}, {"decision", scalarField, 1},
	{"source_inputs", scalarField, 4}, {"source_states", scalarField, 4},
	{"inputs", scalarField, 4}, {"states", scalarField, 4}, {"outputs", scalarField, 4}, {"nonzeros", scalarField, 4},
	{"output_scale", scalarField, 4}, {"ram_bytes", scalarField, 8}, {"macs", scalarField, 8}, {"sequence", scalarField, 8},
	{"source_hash", bytesField, 1}, {"compiler", stringField, 1}, {"sections", structsField, sectionSize}, {"payload", bytesField, 1},
	{"claims", scalarField, 1},
}

// Ids of the fields, indices of frameFields.
const (
	fieldFormatVersion = iota
	fieldMinimumReader
	fieldFeaturesRequired
	fieldFeaturesOptional
	fieldDigest
	fieldSignature
	fieldSignatureCRC
	fieldWidth
	fieldDecision
	fieldSourceInputs
	fieldSourceStates
	fieldInputs
	fieldStates
	fieldOutputs
	fieldNonzeros
	fieldOutputScale
	fieldRAMBytes
	fieldMACs
	fieldSequence
	fieldSourceHash
	fieldCompiler
	fieldSections
	fieldPayload
	fieldClaims
)

// span is a range of bytes of the file.
type span struct{ start, end int }

func (s span) len() int { return s.end - s.start }

// frame is a parsed table: where everything is.
type frame struct {
	data     []byte
	scalars  []span // by field id; empty when absent
	vectors  []span // contents, by field id
	digest   span
	occupied []span // everything that the structure itself occupies, for overlap checks
}

// parseFrame checks the identifier and every offset of the table, with arithmetic that cannot overflow,
// and that no two parts overlap.
func parseFrame(data []byte) (*frame, error) {
	if len(data) < 12 || string(data[4:8]) != "SIMB" {
		return nil, ErrNotSimb
	}
	if uint64(len(data)) > math.MaxUint32 {
		return nil, tooLarge("bytes", uint64(len(data)), math.MaxUint32)
	}
	f := &frame{data: data, scalars: make([]span, len(frameFields)), vectors: make([]span, len(frameFields)), occupied: []span{{0, 8}}}
	table := uint64(binary.LittleEndian.Uint32(data))
	if table < 8 || table+4 > uint64(len(data)) {
		return nil, corrupt("frame", 0, "the root table lies outside the file")
	}
	vtable := int64(table) - int64(int32(binary.LittleEndian.Uint32(data[table:])))
	if vtable < 8 || vtable+4 > int64(len(data)) {
		return nil, corrupt("frame", int64(table), "the vtable lies outside the file")
	}
	vtableSize := int64(binary.LittleEndian.Uint16(data[vtable:]))
	tableSize := int64(binary.LittleEndian.Uint16(data[vtable+2:]))
	if vtableSize < 4 || vtableSize%2 != 0 || vtable+vtableSize > int64(len(data)) {
		return nil, corrupt("frame", vtable, "the vtable is cut short")
	}
	if tableSize < 4 || int64(table)+tableSize > int64(len(data)) {
		return nil, corrupt("frame", int64(table), "the root table is cut short")
	}
	f.occupied = append(f.occupied, span{int(vtable), int(vtable + vtableSize)}, span{int(table), int(int64(table) + tableSize)})
	for id, field := range frameFields {
		slot := 4 + 2*int64(id)
		if slot+2 > vtableSize {
			break
		}
		offset := int64(binary.LittleEndian.Uint16(data[vtable+slot:]))
		if offset == 0 {
			continue
		}
		if err := f.parseField(id, field, int64(table), tableSize, offset); err != nil {
			return nil, err
		}
	}
	if err := f.disjoint(); err != nil {
		return nil, err
	}
	f.digest = f.vectors[fieldDigest]
	if f.digest.len() != sha256.Size {
		return nil, corrupt("digest", -1, "it is missing or not of %d bytes", sha256.Size)
	}
	return f, nil
}

// parseField notes where one field of the table is, and what it points to.
func (f *frame) parseField(id int, field frameField, table, tableSize, offset int64) error {
	size := int64(field.size)
	if field.kind != scalarField {
		size = 4
	}
	if offset < 4 || offset+size > tableSize {
		return corrupt("frame", table, "field %s lies outside the table", field.name)
	}
	at := table + offset
	if field.kind == scalarField {
		f.scalars[id] = span{int(at), int(at + size)}
		return nil
	}
	target := at + int64(binary.LittleEndian.Uint32(f.data[at:]))
	if target < at+4 || target+4 > int64(len(f.data)) {
		return corrupt("frame", at, "%s points outside the file", field.name)
	}
	count := int64(binary.LittleEndian.Uint32(f.data[target:]))
	end := target + 4 + count*int64(field.size)
	if end > int64(len(f.data)) {
		return corrupt("frame", target, "%s is longer than the file", field.name)
	}
	f.vectors[id] = span{int(target + 4), int(end)}
	occupied := span{int(target), int(end)}
	if field.kind == stringField {
		if end >= int64(len(f.data)) || f.data[end] != 0 {
			return corrupt("frame", end, "%s is not terminated", field.name)
		}
		occupied.end++
	}
	f.occupied = append(f.occupied, occupied)
	return nil
}

// disjoint refuses files in which parts overlap: what the digest leaves out must be nothing else.
func (f *frame) disjoint() error {
	sorted := slices.Clone(f.occupied)
	slices.SortFunc(sorted, func(a, b span) int { return a.start - b.start })
	for k := 1; k < len(sorted); k++ {
		if sorted[k].start < sorted[k-1].end {
			return corrupt("frame", int64(sorted[k].start), "two parts of the file overlap")
		}
	}
	// A scalar may not lie on another one: the signature's crc is left out of the digest.
	inTable := slices.DeleteFunc(slices.Clone(f.scalars), func(s span) bool { return s.len() == 0 })
	slices.SortFunc(inTable, func(a, b span) int { return a.start - b.start })
	for k := 1; k < len(inTable); k++ {
		if inTable[k].start < inTable[k-1].end {
			return corrupt("frame", int64(inTable[k].start), "two fields of the table overlap")
		}
	}
	return nil
}

// computeDigest returns the SHA-256 of the file with digest, signature and the signature's crc zeroed.
func (f *frame) computeDigest() [sha256.Size]byte {
	skip := []span{f.digest, f.vectors[fieldSignature], f.scalars[fieldSignatureCRC]}
	slices.SortFunc(skip, func(a, b span) int { return a.start - b.start })
	hash := sha256.New()
	zeros := make([]byte, 64)
	at := 0
	for _, s := range skip {
		if s.len() == 0 {
			continue
		}
		hash.Write(f.data[at:s.start])
		for left := s.len(); left > 0; left -= len(zeros) {
			hash.Write(zeros[:min(left, len(zeros))])
		}
		at = s.end
	}
	hash.Write(f.data[at:])
	var sum [sha256.Size]byte
	hash.Sum(sum[:0])
	return sum
}

// uint returns a scalar field of up to eight bytes, zero when absent.
func (f *frame) uint(id int) uint64 {
	var v uint64
	for k, b := range f.data[f.scalars[id].start:f.scalars[id].end] {
		v |= uint64(b) << (8 * k)
	}
	return v
}

// bytes returns the contents of a vector field, aliasing the file.
func (f *frame) bytes(id int) []byte {
	s := f.vectors[id]
	return f.data[s.start:s.end:s.end]
}
