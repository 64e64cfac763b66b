package simb

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"strconv"
)

// The frame is one flatbuffers table with scalars, byte vectors, one string and one vector of structs.
// FlatBuffers for Go has no verifier, so a file is never read through the generated accessors:
// parseFrame checks and reads it all, driven by frameFields, which a test holds against flatc's schema.

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

// sectionSize is the size of the struct Section: id, codec, element, length, stored, crc.
const sectionSize = 16

var frameFields = [...]frameField{
	fieldFormatVersion:    {"format_version", scalarField, 2},
	fieldMinimumReader:    {"minimum_reader", scalarField, 2},
	fieldFeaturesRequired: {"features_required", scalarField, 8},
	fieldFeaturesOptional: {"features_optional", scalarField, 8},
	fieldDigest:           {"digest", bytesField, 1},
	fieldSignature:        {"signature", bytesField, 1},
	fieldSignatureCRC:     {"signature_crc", scalarField, 4},
	fieldWidth:            {"width", scalarField, 1},
	fieldDecision:         {"decision", scalarField, 1},
	fieldClaims:           {"claims", scalarField, 1},
	fieldSourceInputs:     {"source_inputs", scalarField, 4},
	fieldSourceStates:     {"source_states", scalarField, 4},
	fieldInputs:           {"inputs", scalarField, 4},
	fieldStates:           {"states", scalarField, 4},
	fieldOutputs:          {"outputs", scalarField, 4},
	fieldNonzeros:         {"nonzeros", scalarField, 4},
	fieldTables:           {"tables", scalarField, 4},
	fieldSegments:         {"segments", scalarField, 4},
	fieldTests:            {"tests", scalarField, 4},
	fieldOutputScale:      {"output_scale", scalarField, 4},
	fieldRAMBytes:         {"ram_bytes", scalarField, 8},
	fieldMACs:             {"macs", scalarField, 8},
	fieldSequence:         {"sequence", scalarField, 8},
	fieldSourceHash:       {"source_hash", bytesField, 1},
	fieldCompiler:         {"compiler", stringField, 1},
	fieldSections:         {"sections", structsField, sectionSize},
	fieldPayload:          {"payload", bytesField, 1},
}

// Ids of the fields.
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
	fieldClaims
	fieldSourceInputs
	fieldSourceStates
	fieldInputs
	fieldStates
	fieldOutputs
	fieldNonzeros
	fieldTables
	fieldSegments
	fieldTests
	fieldOutputScale
	fieldRAMBytes
	fieldMACs
	fieldSequence
	fieldSourceHash
	fieldCompiler
	fieldSections
	fieldPayload
	fieldCount
)

// signatureSize is the length of an Ed25519 signature.
const signatureSize = 64

// span is a range of bytes of the file.
type span struct{ start, end int }

func (s span) len() int { return s.end - s.start }

// frame is a parsed table: where everything is.
type frame struct {
	data     []byte
	inTable  [fieldCount]span // a scalar, or the offset of a vector; empty when absent
	contents [fieldCount]span // of vectors, without the count before them
	occupied []span           // everything that the known structure occupies
}

// parseFrame checks the identifier and every offset of the table, with arithmetic that cannot overflow,
// and that no two parts overlap: what the digest leaves out must be nothing else.
func parseFrame(data []byte) (*frame, error) {
	if len(data) < 8 || string(data[4:8]) != "SIMB" {
		return nil, ErrNotSimb
	}
	if uint64(len(data)) > math.MaxUint32 {
		return nil, tooLarge("bytes", uint64(len(data)), math.MaxUint32)
	}
	f := &frame{data: data, occupied: []span{{0, 8}}}
	size := int64(len(data))
	table := int64(binary.LittleEndian.Uint32(data))
	if table < 8 || table+4 > size {
		return nil, corrupt("frame", 0, "the root table lies outside the file")
	}
	vtable := table - int64(int32(binary.LittleEndian.Uint32(data[table:])))
	if vtable < 8 || vtable+4 > size {
		return nil, corrupt("frame", table, "the vtable lies outside the file")
	}
	vtableSize := int64(binary.LittleEndian.Uint16(data[vtable:]))
	tableSize := int64(binary.LittleEndian.Uint16(data[vtable+2:]))
	if vtableSize < 4 || vtableSize%2 != 0 || vtable+vtableSize > size {
		return nil, corrupt("frame", vtable, "the vtable is cut short")
	}
	if tableSize < 4 || table+tableSize > size {
		return nil, corrupt("frame", table, "the root table is cut short")
	}
	f.occupied = append(f.occupied, span{int(vtable), int(vtable + vtableSize)}, span{int(table), int(table + tableSize)})
	for id, field := range frameFields {
		slot := 4 + 2*int64(id)
		if slot+2 > vtableSize {
			break
		}
		offset := int64(binary.LittleEndian.Uint16(data[vtable+slot:]))
		if offset == 0 {
			continue
		}
		if err := f.parseField(id, field, table, tableSize, offset); err != nil {
			return nil, err
		}
	}
	if at, overlap := overlapping(f.occupied); overlap {
		return nil, corrupt("frame", int64(at), "two parts of the file overlap")
	}
	if at, overlap := overlapping(f.inTable[:]); overlap {
		return nil, corrupt("frame", int64(at), "two fields of the table overlap")
	}
	if f.contents[fieldDigest].len() != sha256.Size {
		return nil, corrupt("digest", table, "it is missing or not of %d bytes", sha256.Size)
	}
	return f, nil
}

// parseField notes where one field of the table is, and what it points to.
func (f *frame) parseField(id int, field frameField, table, tableSize, offset int64) error {
	width := int64(field.size)
	if field.kind != scalarField {
		width = 4
	}
	if offset < 4 || offset+width > tableSize {
		return corrupt("frame", table, "field %s lies outside the table", field.name)
	}
	at := table + offset
	f.inTable[id] = span{int(at), int(at + width)}
	if field.kind == scalarField {
		return nil
	}
	size := int64(len(f.data))
	target := at + int64(binary.LittleEndian.Uint32(f.data[at:]))
	if target < at+4 || target+4 > size {
		return corrupt("frame", at, "%s points outside the file", field.name)
	}
	count := int64(binary.LittleEndian.Uint32(f.data[target:]))
	end := target + 4 + count*int64(field.size)
	if end > size {
		return corrupt("frame", target, "%s is longer than the file", field.name)
	}
	f.contents[id] = span{int(target + 4), int(end)}
	if field.kind == stringField {
		if end >= size || f.data[end] != 0 {
			return corrupt("frame", end, "%s is not terminated", field.name)
		}
		end++
	}
	f.occupied = append(f.occupied, span{int(target), int(end)})
	return nil
}

// overlapping tells whether two of the spans share a byte, and where; empty spans share none.
func overlapping(spans []span) (at int, overlap bool) {
	sorted := slices.DeleteFunc(slices.Clone(spans), func(s span) bool { return s.len() == 0 })
	slices.SortFunc(sorted, func(a, b span) int { return a.start - b.start })
	for k := 1; k < len(sorted); k++ {
		if sorted[k].start < sorted[k-1].end {
			return sorted[k].start, true
		}
	}
	return 0, false
}

// checkVersions refuses files for newer readers, and unknown features by number.
func (f *frame) checkVersions() error {
	format, reader := f.uint(fieldFormatVersion), f.uint(fieldMinimumReader)
	if reader > FormatVersion {
		return versionError(reader)
	}
	if format == 0 || reader == 0 || reader > format {
		return corrupt("format_version", -1, "version %d for readers of version %d", format, reader)
	}
	if unknown := f.uint(fieldFeaturesRequired) &^ knownFeatures; unknown != 0 {
		return featureError(unknown)
	}
	if needs := uint64(readerFor(f.uint(fieldFeaturesRequired))); reader != needs {
		return corrupt("minimum_reader", -1, "version %d, what the file uses needs version %d", reader, needs)
	}
	return nil
}

// readerFor returns the oldest version of a reader that knows the required features.
func readerFor(features uint64) uint16 {
	if features&version4Features != 0 {
		return 4
	}
	if features&version3Features != 0 {
		return 3
	}
	if features&version2Features != 0 {
		return 2
	}
	return ReaderVersion
}

// checkSignature checks the form of a signature, not whose it is. Without one its checksum must be zero,
// for the digest does not cover it.
func (f *frame) checkSignature() error {
	signature, crc := f.bytes(fieldSignature), uint32(f.uint(fieldSignatureCRC))
	present := f.inTable[fieldSignature].len() > 0
	if !present && crc != 0 {
		return signatureError("there is none, but it has a checksum")
	}
	if present && len(signature) != signatureSize {
		return signatureError("its length is not 64 bytes")
	}
	if present && crc32.Checksum(signature, castagnoli) != crc {
		return signatureError("its checksum differs")
	}
	return nil
}

// computeDigest returns the SHA-256 of the file with digest, signature and the signature's crc zeroed.
func (f *frame) computeDigest() [sha256.Size]byte {
	skip := []span{f.contents[fieldDigest], f.contents[fieldSignature], f.inTable[fieldSignatureCRC]}
	slices.SortFunc(skip, func(a, b span) int { return a.start - b.start })
	var zeros [signatureSize]byte
	hash := sha256.New()
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

// checkDigest refuses a file whose contents do not have the digest that it states.
func (f *frame) checkDigest() error {
	if sum := f.computeDigest(); string(sum[:]) != string(f.bytes(fieldDigest)) {
		return corrupt("digest", int64(f.contents[fieldDigest].start), "the file's contents do not have the digest that it states")
	}
	return nil
}

// uint returns a scalar field of up to eight bytes, zero when absent.
func (f *frame) uint(id int) uint64 {
	var v uint64
	for k, b := range f.data[f.inTable[id].start:f.inTable[id].end] {
		v |= uint64(b) << (8 * k)
	}
	return v
}

// bytes returns the contents of a vector field, aliasing the file.
func (f *frame) bytes(id int) []byte {
	s := f.contents[id]
	return f.data[s.start:s.end:s.end]
}

// Required features by bit: what a reader must know to read the file at all.
const (
	featureHuff0   uint64 = 1 << 0 // some chunk is huff0-coded
	featureTables  uint64 = 1 << 1 // some state is looked up in a table
	featureLoops   uint64 = 1 << 2 // some segment is a loop
	featurePlanes  uint64 = 1 << 3 // some row has two weight planes
	featurePacked  uint64 = 1 << 4 // the sections are packed
	featureDerived uint64 = 1 << 5 // witnesses of levels follow from the rest
	featureRelaxed uint64 = 1 << 6 // bounds by relaxation are claimed
	featurePrefix  uint64 = 1 << 7 // the sections are packed in prefix codes
	knownFeatures         = featureHuff0 | featureTables | featureLoops | featurePlanes | featurePacked | featureDerived | featureRelaxed | featurePrefix

	version2Features = featurePacked | featureDerived // what readers of version 1 do not know
	version3Features = featureRelaxed                 // what readers of version 2 do not know
	version4Features = featurePrefix                  // what readers of version 3 do not know
)

var featureNames = []string{"huff0", "tables", "loops", "two-planes", "packed", "derived", "relaxed", "prefix"}

// namesOfBits gives the names of the bits that have one and the numbers of the others.
func namesOfBits(bits uint64, known ...string) []string {
	var names []string
	for b := range 64 {
		switch {
		case bits>>b&1 == 0:
		case b < len(known):
			names = append(names, known[b])
		default:
			names = append(names, "bit "+strconv.Itoa(b))
		}
	}
	return names
}
