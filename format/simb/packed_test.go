package simb

import (
	"bytes"
	"errors"
	"hash/crc32"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/sparse"
)

// packedFile encodes a model packed by hand, after a change to the sections or to the one line of the
// directory; its crc is that of the sections as they are then.
func packedFile(m *Model, change func(sections map[sectionID][]byte), line func(w *sectionWriter)) []byte {
	return packedBy(CodecPacked, m, change, line)
}

func packedBy(codec Codec, m *Model, change func(sections map[sectionID][]byte), line func(w *sectionWriter)) []byte {
	w := &sectionWriter{packed: map[sectionID][]byte{}}
	for _, write := range []func(*Model){w.weights, w.inputs, w.states, w.rows, w.tables, w.schedule, w.selfTests} {
		write(m)
	}
	claims := w.certificates(&m.Certificates)
	if change != nil {
		change(w.packed)
	}
	w.pack(m, claims, codec)
	if line != nil {
		line(w)
	}
	return w.frame(m, claims, nil)
}

// damage is what is done to the one section of a packed file, and what Open must say to it.
type damage struct {
	name   string
	change func(sections map[sectionID][]byte) // to what is packed
	line   func(w *sectionWriter)              // to how it lies in the file
	says   string
}

// stored changes the stored bytes.
func stored(change func([]byte) []byte) func(w *sectionWriter) {
	return func(w *sectionWriter) {
		w.payload = change(w.payload)
		w.sections[0].stored = uint32(len(w.payload))
	}
}

// lengthened changes the length that is declared.
func lengthened(by int) func(w *sectionWriter) {
	return func(w *sectionWriter) { w.sections[0].length += uint32(by) }
}

// refusesDamages tells what is wrong with files that are damaged, in one way that belongs to the codec or in one that
// any packed file may suffer.
func refusesDamages(t *testing.T, codec Codec, own []damage) {
	t.Helper()
	for _, c := range append(own, []damage{
		{"a length too large", nil, lengthened(1), "shorter than declared"},
		{"a length much too small", nil, lengthened(-60), "longer than declared"},
		{"a length beyond everything", nil, lengthened(1 << 30), "the model needs"},
		{"another crc", nil, func(w *sectionWriter) { w.sections[0].crc++ }, "checksum"},
		{"another coding", nil, func(w *sectionWriter) { w.sections[0].codec = storedPlanes }, "coding"},
		{"a section beside it", nil, func(w *sectionWriter) {
			w.insert(sectionEntry{id: sectionInputGap, element: 4, length: 4, stored: 4, crc: crc32.Checksum(make([]byte, 4), castagnoli)}, make([]byte, 4))
		}, "beside the packed one"},
		{"a length beyond the columns", func(s map[sectionID][]byte) { s[sectionLengths] = []byte{4, 1, 2, 1, 1} }, nil, "more weights"},
		{"−128 for one plane", func(s map[sectionID][]byte) { s[sectionValues][0] = 0x80 }, nil, "no weight"},
	}...) {
		_, err := Open(packedBy(codec, looped(), c.change, c.line))
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
}

func TestPackedSectionsAreRefused(t *testing.T) {
	if _, err := Open(packedFile(looped(), nil, nil)); err != nil {
		t.Fatal(err)
	}
	refusesDamages(t, CodecPacked, []damage{
		{"bytes left over", nil, stored(func(b []byte) []byte { return append(b, 1, 2, 3, 4, 5) }), "left over"},
		{"bytes missing", nil, stored(func(b []byte) []byte { return b[:len(b)-9] }), "packed"},
		{"no bytes", nil, stored(func([]byte) []byte { return nil }), "packed"},
		{"other bytes", nil, stored(func(b []byte) []byte { return bytes.Repeat([]byte{0xFF}, len(b)) }), "packed"},
		{"a length too small", nil, lengthened(-1), "one too many"},
		{"another element", nil, func(w *sectionWriter) { w.sections[0].element = 2 }, "elements of 2 bytes"},
		{"a gap beyond the columns", func(s map[sectionID][]byte) { s[sectionGaps][3] = 3 }, nil, "comes before"},
		{"a gap that leaves no room for the rest", func(s map[sectionID][]byte) { s[sectionGaps][0] = 1 }, nil, "comes before"},
	})
	full := withAllFields(t, packedFile(looped(), nil, nil))
	for count, says := range map[uint64]string{8: "more weights", 10: "fewer weights"} {
		if _, err := Open(set(t, full, fieldNonzeros, count)); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), says) {
			t.Errorf("%d weights declared: %v, want %q", count, err, says)
		}
	}
}

// TestNumbersThatDoNotFitAreRefused writes columns by hand that no writer writes.
func TestNumbersThatDoNotFitAreRefused(t *testing.T) {
	read := func(id sectionID, element int, write func(w *bitWriter)) string {
		info, _ := describe(id)
		w := newBitWriter()
		write(w)
		return newColumnModel(info, nil).read(newBitReader(w.finish()), make([]byte, element), element)
	}
	same, number := [2]context{even, even}, newNumberModel(1, slowLimit, false)
	for _, c := range []struct {
		name, says string
		reason     string
	}{
		{"256 in a byte", "cannot hold", read(sectionStateKind, 1, func(w *bitWriter) {
			w.bit(&same[0], 0, slowLimit)
			number.write(w, 0, 256)
		})},
		{"mantissas that end in 24 zeros", "impossible mantissas", read(sectionKappa, 4, func(w *bitWriter) {
			w.plain(exponents, 10)
			w.plain(24, 5)
		})},
		{"an exponent of 512", "cannot hold", read(sectionKappa, 4, func(w *bitWriter) {
			w.plain(exponents+500, 10)
			w.plain(23, 5)
			same, number := even, newNumberModel(1, slowLimit, false)
			w.bit(&same, 0, slowLimit)
			number.write(w, 0, 12)
		})},
		{"an exponent below 0", "cannot hold", read(sectionKappa, 4, func(w *bitWriter) {
			w.plain(exponents-3, 10)
			w.plain(23, 5)
			same, number := even, newNumberModel(1, slowLimit, false)
			w.bit(&same, 0, slowLimit)
			number.write(w, 0, 2)
		})},
		{"an exponent of 511", "", read(sectionKappa, 4, func(w *bitWriter) {
			w.plain(exponents+500, 10)
			w.plain(23, 5)
			same, number := even, newNumberModel(1, slowLimit, false)
			w.bit(&same, 0, slowLimit)
			number.write(w, 0, 11)
		})},
	} {
		if c.says == "" && c.reason != "" || !strings.Contains(c.reason, c.says) {
			t.Errorf("%s: %q, want %q", c.name, c.reason, c.says)
		}
	}
}

// TestRawCodingForThePackedSectionIsRefused: coding 2 and section 5 go together.
func TestRawCodingForThePackedSectionIsRefused(t *testing.T) {
	data := build(tiny(), func(w *sectionWriter) {
		w.sections, w.payload = nil, nil
		w.insert(sectionEntry{id: sectionPacked, element: 1, length: 90, stored: 90, crc: crc32.Checksum(make([]byte, 90), castagnoli)}, make([]byte, 90))
	}, nil)
	if _, err := Open(data); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "coding 0") {
		t.Errorf("a packed section stored raw: %v", err)
	}
	data = build(tiny(), func(w *sectionWriter) { w.sections[0].codec = storedBits }, nil)
	if _, err := Open(data); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "coding 2") {
		t.Errorf("rows' lengths with the packed coding: %v", err)
	}
}

// claiming returns a model without loops that claims everything, with witnesses.
func claiming() *Model {
	m := tiny()
	e := func() *ErrorCertificate {
		return &ErrorCertificate{State: []float32{1}, Residual: []float32{1, 2}, Start: []float32{0}, Output: []float32{3}}
	}
	m.Certificates = Certificates{ReachLo: []float32{0}, ReachHi: []float32{4}, Box: e(), Calibrated: e(), Lipschitz: []float32{5}, Gain: []float32{6}, GainResidual: []float32{7, 8}}
	return m
}

func TestDerivedWitnessesAreHeldToTheirRules(t *testing.T) {
	m := claiming()
	m.Certificates = m.Certificates.Derive()
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	if bare := (Certificates{}).Derive(); bare.Derived {
		t.Error("nothing is derived from no claim")
	}
	for name, change := range map[string]func(m *Model){
		"no claim":         func(m *Model) { m.Certificates = Certificates{Derived: true} },
		"a stored reach":   func(m *Model) { m.Certificates.ReachLo, m.Certificates.ReachHi = []float32{0}, []float32{1} },
		"half a reach":     func(m *Model) { m.Certificates.ReachHi = []float32{1} },
		"a stored error":   func(m *Model) { m.Certificates.Box.State = []float32{1} },
		"a stored start":   func(m *Model) { m.Certificates.Calibrated.Start = []float32{1} },
		"a stored gain":    func(m *Model) { m.Certificates.Gain = []float32{1} },
		"a loop":           func(m *Model) { m.Schedule[0].Sweeps = 2 },
		"a loop's witness": func(m *Model) { m.Certificates.V, m.Certificates.VResidual = []float32{1}, []float32{1} },
	} {
		changed := claiming()
		changed.Certificates = changed.Certificates.Derive()
		change(changed)
		if err := changed.Validate(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	stored := build(m, func(w *sectionWriter) { w.replace(sectionBoxState, []byte{0, 0, 128, 63}) }, nil)
	if _, err := Open(stored); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "declared as derived") {
		t.Errorf("a witness that is stored though derived: %v", err)
	}
	for _, claims := range []uint64{0, claimBox, claimReach | claimCalibrated, claimReach | claimBox | claimWellPosed} {
		if _, err := Open(set(t, withAllFields(t, build(m, nil, nil)), fieldClaims, claims)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("claims %#x with derived witnesses: %v", claims, err)
		}
	}
}

// TestPackedFilesExpandWithinTheirBudget packs columns that are all alike, which take next to no bytes.
func TestPackedFilesExpandWithinTheirBudget(t *testing.T) {
	const columns = 40_000
	m := tiny()
	m.SourceInputs, m.Inputs = columns, make([]Input, columns)
	for j := range m.Inputs {
		m.Inputs[j] = Input{Source: int32(j), Scale: 0.5, Lo: -1, Hi: 1}
	}
	m.Weights = sparse.New[int16](2, columns+1)
	m.Rows[1].Multiplier = quant.Multiplier{M: 1, S: 1}
	data, err := Encode(m, EncodeOptions{Codec: CodecPacked})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = Open(data)
	runtime.ReadMemStats(&after)
	taken := after.TotalAlloc - before.TotalAlloc
	if most := uint64(256*len(data)) + 5<<20; taken > most {
		t.Errorf("%d bytes of file take %d bytes of heap, error %v", len(data), taken, err)
	}
	t.Logf("%d bytes of file, %d of heap, error %v", len(data), taken, err)
	if _, err := Open(data, WithMaxMemory(math.MaxInt32)); err != nil && !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}
