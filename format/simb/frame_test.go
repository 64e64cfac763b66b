package simb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"strings"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/sparse"
)

// tiny returns the smallest model of use: one input, one relu, one output.
func tiny() *Model {
	weights := sparse.New[int16](2, 2)
	weights.AppendRow(0, []int32{0}, []int16{3})
	weights.AppendRow(1, []int32{0, 1}, []int16{-1, 2})
	scale := quant.Multiplier{M: 1, S: 1}
	return &Model{
		Width: quant.Width7, SourceInputs: 1, Inputs: []Input{{Source: 0, Scale: 0.5, Lo: -1, Hi: 1}},
		SourceStates: 1, SourceState: []int32{0}, OutputScale: 1, Compiler: "test", Sequence: 3,
		Rows: []Row{
			{Planes: 1, Multiplier: scale, Kind: ReLU, Scale: 1, Hi: 127, Saturates: SaturatesHigh, Table: NoTable},
			{Planes: 1, Multiplier: scale, Table: NoTable},
		},
		Weights: weights, Schedule: []Segment{{States: 1}},
	}
}

// build encodes a model by hand, after a change to the writer and with a signature or none.
func build(m *Model, change func(*sectionWriter), signature []byte) []byte {
	w := &sectionWriter{inPlace: true}
	for _, write := range []func(*Model){w.weights, w.inputs, w.states, w.rows, w.tables, w.schedule, w.selfTests} {
		write(m)
	}
	claims := w.certificates(&m.Certificates)
	if change != nil {
		change(w)
	}
	return w.frame(m, claims, signature)
}

// set overwrites a scalar field of a file and stamps it anew; the field must be present.
func set(t *testing.T, data []byte, field int, v uint64) []byte {
	t.Helper()
	data = bytes.Clone(data)
	f, err := parseFrame(data)
	if err != nil || f.inTable[field].len() == 0 {
		t.Fatalf("field %s: %v", frameFields[field].name, err)
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	copy(data[f.inTable[field].start:f.inTable[field].end], b[:])
	stamp(data)
	return data
}

func TestTinyModelOpens(t *testing.T) {
	data, err := Encode(tiny(), EncodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(data); err != nil || !bytes.Equal(data, build(tiny(), nil, nil)) {
		t.Fatalf("%v; the file built by hand differs, or", err)
	}
	t.Logf("%d bytes", len(data))
}

func TestHeaderIsRefused(t *testing.T) {
	data := build(tiny(), nil, nil)
	full := withAllFields(t, data)
	if _, err := Open(full); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		field int
		value uint64
		want  error
		says  string
	}{
		{"a newer reader is needed", fieldMinimumReader, 5, ErrVersion, "version 5"},
		{"a newer reader than format", fieldMinimumReader, 2, ErrCorrupt, "format_version"},
		{"no reader version", fieldMinimumReader, 0, ErrCorrupt, "format_version"},
		{"no format version", fieldFormatVersion, 0, ErrCorrupt, "format_version"},
		{"an unknown feature", fieldFeaturesRequired, 1 << 40, ErrFeature, "bit 40"},
		{"a feature declared but not used", fieldFeaturesRequired, featureLoops, ErrCorrupt, "features_required"},
		{"packed for a reader that does not know it", fieldFeaturesRequired, featurePacked, ErrCorrupt, "minimum_reader"},
		{"prefix codes for a reader that does not know them", fieldFeaturesRequired, featurePrefix, ErrCorrupt, "minimum_reader"},
		{"derived for a reader that does not know it", fieldFeaturesRequired, featureDerived, ErrCorrupt, "minimum_reader"},
		{"a width of 8 bits", fieldWidth, 8, ErrCorrupt, "width"},
		{"an unknown claim", fieldClaims, 1 << 7, ErrCorrupt, "claims"},
		{"a claim without its sections", fieldClaims, claimWellPosed, nil, ""},
		{"an unknown decision", fieldDecision, 3, ErrCorrupt, "decision"},
		{"too many inputs", fieldInputs, 1<<20 + 1, ErrTooLarge, "inputs"},
		{"inputs that take too much memory", fieldInputs, 1 << 20, ErrTooLarge, "memory"},
		{"more inputs than sections hold", fieldInputs, 2, ErrCorrupt, ""},
		{"too many states", fieldStates, math.MaxUint32, ErrTooLarge, "states"},
		{"too many outputs", fieldOutputs, math.MaxUint32, ErrTooLarge, "outputs"},
		{"no outputs", fieldOutputs, 0, ErrCorrupt, ""},
		{"too many weights", fieldNonzeros, 1<<26 + 1, ErrTooLarge, "weights"},
		{"other weights", fieldNonzeros, 4, ErrCorrupt, "weights.gaps"},
		{"too many tables", fieldTables, 257, ErrTooLarge, "tables"},
		{"tables without sections", fieldTables, 1, ErrCorrupt, "table"},
		{"too many self-tests", fieldTests, 65, ErrTooLarge, "self-test"},
		{"more segments than states", fieldSegments, 2, ErrCorrupt, "segments"},
		{"no segments", fieldSegments, 0, ErrCorrupt, "segment"},
		{"too many operations", fieldMACs, 1<<36 + 1, ErrTooLarge, "multiply-accumulates"},
		{"other operations", fieldMACs, 4, ErrCorrupt, "macs"},
		{"other memory", fieldRAMBytes, 3, ErrCorrupt, "ram_bytes"},
		{"a source with fewer inputs", fieldSourceInputs, 0, ErrCorrupt, "input.gap"},
		{"a source with fewer states", fieldSourceStates, 0, ErrCorrupt, "state.source"},
		{"a scale that is NaN", fieldOutputScale, 0x7FC00000, ErrCorrupt, "output_scale"},
		{"a scale of zero", fieldOutputScale, 0, ErrCorrupt, "output_scale"},
		{"a negative scale", fieldOutputScale, 0xBF800000, ErrCorrupt, "output_scale"},
	} {
		_, err := Open(set(t, full, c.field, c.value))
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	second := set(t, set(t, full, fieldFormatVersion, 2), fieldMinimumReader, 2)
	for bits, says := range map[uint64]string{0: "minimum_reader", featurePacked: "features_required", featureDerived: "claims"} {
		if _, err := Open(set(t, second, fieldFeaturesRequired, bits)); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), says) {
			t.Errorf("version 2 with the bits %#x: %v", bits, err)
		}
	}
	if _, err := Open(set(t, full, fieldFormatVersion, 2)); err != nil {
		t.Errorf("a later writer's file for readers of version 1: %v", err)
	}
	if _, err := Open(set(t, build(looped(), nil, nil), fieldFeaturesRequired, featureTables)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("features used but not declared: %v", err)
	}
	if _, err := Open(set(t, full, fieldFeaturesOptional, 1<<63)); err != nil {
		t.Errorf("an unknown optional feature: %v", err)
	}
	if _, err := Open(set(t, data, fieldFormatVersion, 3)); err != nil {
		t.Errorf("a newer format for readers of this version: %v", err)
	}
}

// withAllFields rewrites the frame of a file with every scalar present, zeros too.
func withAllFields(t *testing.T, data []byte) []byte {
	t.Helper()
	f, err := parseFrame(data)
	if err != nil {
		t.Fatal(err)
	}
	b := flatbuffers.NewBuilder(len(data))
	var vectors [fieldCount]flatbuffers.UOffsetT
	for id, field := range frameFields {
		if field.kind != scalarField && f.inTable[id].len() > 0 {
			b.StartVector(1, f.contents[id].len()+1, 4)
			b.PrependByte(0) // ends a string
			for k := f.contents[id].len() - 1; k >= 0; k-- {
				b.PrependByte(f.bytes(id)[k])
			}
			vectors[id] = b.EndVector(f.contents[id].len() / field.size)
		}
	}
	b.StartObject(fieldCount)
	for id, field := range frameFields {
		switch {
		case vectors[id] != 0:
			b.PrependUOffsetTSlot(id, vectors[id], 0)
		case field.kind != scalarField:
		default:
			b.Prep(field.size, 0)
			for k := field.size - 1; k >= 0; k-- {
				b.PlaceByte(byte(f.uint(id) >> (8 * k)))
			}
			b.Slot(id)
		}
	}
	b.FinishWithFileIdentifier(b.EndObject(), []byte("SIMB"))
	out := b.FinishedBytes()
	stamp(out)
	return out
}

func TestSignatureIsCheckedForItsForm(t *testing.T) {
	signature := bytes.Repeat([]byte{7}, signatureSize)
	data := build(tiny(), nil, signature)
	plain := build(tiny(), nil, nil)
	file, err := Open(data)
	if err != nil || !file.Signed() {
		t.Fatalf("%v, signed %v", err, err == nil && file.Signed())
	}
	// What the digest leaves out is the signature and nothing else.
	f, _ := parseFrame(data)
	other := bytes.Clone(data)
	copy(other[f.contents[fieldSignature].start:], bytes.Repeat([]byte{9}, signatureSize))
	binary.LittleEndian.PutUint32(other[f.inTable[fieldSignatureCRC].start:], crc32.Checksum(bytes.Repeat([]byte{9}, signatureSize), castagnoli))
	if _, err := Open(other); err != nil {
		t.Errorf("another signature over the same digest: %v", err)
	}
	for at := range data {
		for bit := range 8 {
			data[at] ^= 1 << bit
			if _, err := Open(data); err == nil {
				t.Errorf("byte %d, bit %d of a signed file flipped: accepted", at, bit)
			}
			data[at] ^= 1 << bit
		}
	}
	for name, bad := range map[string][]byte{
		"an empty signature":           build(tiny(), nil, []byte{}),
		"a short signature":            build(tiny(), nil, signature[:63]),
		"a long signature":             build(tiny(), nil, append(bytes.Clone(signature), 1)),
		"a checksum without signature": set(t, withAllFields(t, plain), fieldSignatureCRC, 5),
		"another checksum":             set(t, data, fieldSignatureCRC, 5),
	} {
		if _, err := Open(bad); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if file, err := Open(plain); err != nil || file.Signed() {
		t.Errorf("%v", err)
	}
}

// TestOverlappingPartsAreRefused moves the offsets of the table: fields may not share bytes, or the digest
// would leave out more than the signature.
func TestOverlappingPartsAreRefused(t *testing.T) {
	data := build(tiny(), nil, bytes.Repeat([]byte{7}, signatureSize))
	table := int(binary.LittleEndian.Uint32(data))
	vtable := table - int(int32(binary.LittleEndian.Uint32(data[table:])))
	for _, other := range []int{fieldDigest, fieldPayload, fieldMACs, fieldWidth, fieldSections} {
		bad := bytes.Clone(data)
		copy(bad[vtable+4+2*fieldSignatureCRC:][:2], bad[vtable+4+2*other:][:2])
		if _, err := parseFrame(bad); !errors.Is(err, ErrCorrupt) {
			t.Errorf("signature_crc over %s: %v", frameFields[other].name, err)
		}
	}
	f, _ := parseFrame(data)
	for _, other := range []int{fieldPayload, fieldSections, fieldCompiler} {
		bad := bytes.Clone(data)
		at := f.inTable[fieldSignature].start
		binary.LittleEndian.PutUint32(bad[at:], uint32(f.contents[other].start-4-at))
		if _, err := parseFrame(bad); !errors.Is(err, ErrCorrupt) {
			t.Errorf("signature over %s: %v", frameFields[other].name, err)
		}
	}
}

func TestStringWithoutItsEndIsRefused(t *testing.T) {
	data := build(tiny(), nil, nil)
	f, _ := parseFrame(data)
	data[f.contents[fieldCompiler].end] = 1
	if _, err := parseFrame(data); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("%v", err)
	}
}

func TestSectionsAreRefused(t *testing.T) {
	find := func(w *sectionWriter, id sectionID) *sectionEntry {
		for k := range w.sections {
			if w.sections[k].id == id {
				return &w.sections[k]
			}
		}
		t.Fatalf("no section %d", id)
		return nil
	}
	for name, c := range map[string]struct {
		change func(*sectionWriter)
		want   error
		says   string
	}{
		"a line twice":              {func(w *sectionWriter) { w.sections = append(w.sections, w.sections[len(w.sections)-1]) }, ErrCorrupt, "ascend"},
		"lines out of order":        {func(w *sectionWriter) { w.sections[0], w.sections[1] = w.sections[1], w.sections[0] }, ErrCorrupt, "ascend"},
		"an unknown section":        {func(w *sectionWriter) { w.sections = append(w.sections, sectionEntry{id: 200}) }, ErrFeature, "200"},
		"bytes that belong to none": {func(w *sectionWriter) { w.payload = append(w.payload, 1) }, ErrCorrupt, "belong to no section"},
		"a payload cut short":       {func(w *sectionWriter) { w.payload = w.payload[:len(w.payload)-1] }, ErrCorrupt, "longer than the payload"},
		"a wrong element":           {func(w *sectionWriter) { find(w, sectionValues).element = 2 }, ErrCorrupt, "weights.values"},
		"a wrong length":            {func(w *sectionWriter) { find(w, sectionValues).length++ }, ErrCorrupt, "weights.values"},
		"an unknown coding":         {func(w *sectionWriter) { find(w, sectionValues).codec = 2 }, ErrCorrupt, "coding"},
		"raw bytes as planes":       {func(w *sectionWriter) { find(w, sectionValues).codec = storedPlanes }, ErrCorrupt, "weights.values"},
		"a wrong checksum":          {func(w *sectionWriter) { find(w, sectionInputScale).crc++ }, ErrCorrupt, "checksum"},
		"no lengths":                {func(w *sectionWriter) { w.drop(sectionLengths) }, ErrCorrupt, "weights.lengths"},
		"no gaps":                   {func(w *sectionWriter) { w.drop(sectionGaps) }, ErrCorrupt, "weights.gaps"},
		"no values":                 {func(w *sectionWriter) { w.drop(sectionValues) }, ErrCorrupt, "weights.values"},
		"no scales":                 {func(w *sectionWriter) { w.drop(sectionStateScale) }, ErrCorrupt, "scale"},
		"lower planes of no row": {func(w *sectionWriter) {
			w.insert(sectionEntry{id: sectionLow, element: 1, length: 1, stored: 1, crc: crc32.Checksum([]byte{1}, castagnoli)}, []byte{1})
		}, ErrCorrupt, "left over"},
		"a varint longer than it must be": {func(w *sectionWriter) { w.replace(sectionGaps, []byte{0x80, 0, 0, 0}) }, ErrCorrupt, "weights.gaps"},
		"a gap beyond all columns":        {func(w *sectionWriter) { w.replace(sectionGaps, []byte{0xFF, 0xFF, 0xFF, 0xFF, 15, 0, 0}) }, ErrCorrupt, "weights.gaps"},
		"a row longer than all columns":   {func(w *sectionWriter) { w.replace(sectionLengths, []byte{3, 0}) }, ErrCorrupt, "weights"},
		"rows of fewer weights":           {func(w *sectionWriter) { w.replace(sectionLengths, []byte{1, 1}) }, ErrCorrupt, "left over"},
		"a chunk too many":                {func(w *sectionWriter) { w.replacePlanes(sectionStateScale, []byte{2, 0, 2, 0, 2, 128, 2, 63, 2, 0}) }, ErrCorrupt, "left over"},
		"a claim's section without it":    {func(w *sectionWriter) { w.add(sectionKappa, []byte{0, 0, 0, 63}) }, ErrCorrupt, "well_posed.kappa"},
		"a stored length beyond all":      {func(w *sectionWriter) { find(w, sectionValues).stored = math.MaxUint32 }, ErrCorrupt, "longer than the payload"},
	} {
		if _, err := Open(build(tiny(), c.change, nil)); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	optional := func(w *sectionWriter) {
		w.sections = append(w.sections, sectionEntry{id: firstOptionalSection, codec: 9, element: 3, length: 77, stored: 2})
		w.payload = append(w.payload, 1, 2)
	}
	if _, err := Open(build(tiny(), optional, nil)); err != nil {
		t.Errorf("an unknown optional section: %v", err)
	}
}

// drop removes a section and its bytes.
func (w *sectionWriter) drop(id sectionID) {
	at := 0
	for k, s := range w.sections {
		if s.id == id {
			w.sections = append(w.sections[:k:k], w.sections[k+1:]...)
			w.payload = append(w.payload[:at:at], w.payload[at+int(s.stored):]...)
			return
		}
		at += int(s.stored)
	}
}

// insert puts a section into its place.
func (w *sectionWriter) insert(entry sectionEntry, stored []byte) {
	at, k := 0, 0
	for k < len(w.sections) && w.sections[k].id < entry.id {
		at += int(w.sections[k].stored)
		k++
	}
	w.sections = append(w.sections[:k:k], append([]sectionEntry{entry}, w.sections[k:]...)...)
	w.payload = append(w.payload[:at:at], append(bytes.Clone(stored), w.payload[at:]...)...)
}

// replace puts other raw bytes in the place of a section's.
func (w *sectionWriter) replace(id sectionID, raw []byte) {
	info, _ := describe(id)
	w.drop(id)
	w.insert(sectionEntry{id: id, element: uint8(info.element), length: uint32(len(raw)), stored: uint32(len(raw)), crc: crc32.Checksum(raw, castagnoli)}, raw)
}

// replacePlanes stores a section of one element as the given chunks.
func (w *sectionWriter) replacePlanes(id sectionID, stored []byte) {
	info, _ := describe(id)
	w.drop(id)
	w.insert(sectionEntry{id: id, codec: storedPlanes, element: uint8(info.element), length: uint32(info.element), stored: uint32(len(stored)), crc: crc32.Checksum([]byte{0, 0, 128, 63}, castagnoli)}, stored)
}
