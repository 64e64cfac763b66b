package simb

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"
)

// relaxed returns a model of two outputs with both claims of relaxed bounds.
func relaxed(tree ...uint8) *Model {
	m := tiny()
	m.Certificates.Relaxed = &RelaxedCertificate{tree, []float32{0.5}, []float32{0.25}}
	m.Certificates.RelaxedCalibrated = &RelaxedCertificate{nil, []float32{0.125}, []float32{0}}
	return m
}

func TestTreesAreComplete(t *testing.T) {
	deep := func(depth int) []uint8 { // cuts whose lower halves are cut again
		return append(bytes.Repeat([]byte{1}, depth), make([]byte, depth+1)...)
	}
	wide := func(depth int) []uint8 {
		tree := []uint8{0}
		for range depth {
			tree = slices.Concat([]uint8{1}, tree, tree)
		}
		return tree
	}
	for name, c := range map[string]struct {
		tree []uint8
		good bool
	}{
		"a leaf": {[]uint8{0}, true}, "a cut": {[]uint8{1, 0, 0}, true}, "cuts on both sides": {[]uint8{1, 1, 0, 0, 1, 0, 0}, true},
		"the deepest": {deep(512), true}, "a wide one": {wide(18), true},
		"none": {nil, false}, "a cut without halves": {[]uint8{1}, false}, "a cut with one half": {[]uint8{1, 0}, false},
		"two leaves": {[]uint8{0, 0}, false}, "a node too many": {[]uint8{1, 0, 0, 0}, false}, "an input that there is not": {[]uint8{2, 0, 0}, false},
		"too deep": {deep(513), false}, "too many": {wide(20), false},
	} {
		m := relaxed(c.tree...)
		for _, codec := range []Codec{CodecRaw, CodecHuff0, CodecPacked} {
			data, err := Encode(m, EncodeOptions{codec})
			if (err == nil) != c.good {
				t.Fatalf("%s: Encode says %v", name, err)
			}
			if err != nil {
				continue
			}
			file, err := Open(data)
			if err != nil {
				t.Fatalf("%s, codec %d: %v", name, codec, err)
			}
			if got := file.Model().Certificates.Relaxed.Tree; !slices.Equal(got, c.tree) {
				t.Errorf("%s, codec %d: another tree of %d nodes", name, codec, len(got))
			}
			if info := file.Info(); info.MinimumReader != 3 || info.FormatVersion != 3 || !slices.Contains(info.Required, "relaxed") {
				t.Errorf("%s: %+v", name, info)
			}
		}
		var corrupt *CorruptError // a tree of zeros is not written, and so a leaf
		if _, err := Open(build(m, nil, nil)); !c.good && slices.Max(append(c.tree, 0)) > 0 && !errors.As(err, &corrupt) {
			t.Errorf("%s: Open says %v", name, err)
		}
	}
}

// TestCutsStayBelow254: one byte tells a leaf and the input.
func TestCutsStayBelow254(t *testing.T) {
	m := relaxed(254, 0, 0)
	for j := int32(1); j < 300; j++ {
		m.Inputs = append(m.Inputs, Input{Source: j, Scale: 1})
	}
	m.SourceInputs = 300
	m.Weights.Cols = 301
	m.Weights.Indices[2] = 300 // the output's state
	if err := m.Validate(); err != nil {
		t.Errorf("a cut of input 253: %v", err)
	}
	m.Certificates.Relaxed.Tree[0] = 255
	if err := m.Validate(); err == nil {
		t.Error("a cut of input 254 passes")
	}
}

func TestRelaxedClaimsAreRefused(t *testing.T) {
	for name, change := range map[string]func(m *Model){
		"loops":                         func(m *Model) { m.Schedule[0].Sweeps = 1 },
		"a tree without saturation":     func(m *Model) { m.Certificates.RelaxedCalibrated.Tree = []uint8{0} },
		"a figure below zero":           func(m *Model) { m.Certificates.Relaxed.Output[0] = -1 },
		"a figure that is no number":    func(m *Model) { m.Certificates.Relaxed.Realised[0] = float32(math.NaN()) },
		"an infinite figure":            func(m *Model) { m.Certificates.RelaxedCalibrated.Output[0] = float32(math.Inf(1)) },
		"a figure too many":             func(m *Model) { m.Certificates.Relaxed.Output = make([]float32, 2) },
		"no figures":                    func(m *Model) { m.Certificates.RelaxedCalibrated.Realised = nil },
		"a figure below zero, realised": func(m *Model) { m.Certificates.RelaxedCalibrated.Realised[0] = -1 },
	} {
		m := relaxed(0)
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		change(m)
		var corrupt *CorruptError
		if _, err := Encode(m, EncodeOptions{}); !errors.As(err, &corrupt) {
			t.Errorf("%s: Encode says %v", name, err)
		}
	}
	m := relaxed(0)
	m.Schedule[0].Sweeps = 1
	if _, err := Open(build(m, nil, nil)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("loops: Open says %v", err)
	}
}

// TestTreesAreCharged: a tree is copied, so its bytes count against the limit of memory.
func TestTreesAreCharged(t *testing.T) {
	tree := []uint8{0}
	for range 15 {
		tree = slices.Concat([]uint8{1}, tree, tree)
	}
	for _, codec := range []Codec{CodecRaw, CodecHuff0, CodecPacked} {
		data, err := Encode(relaxed(tree...), EncodeOptions{codec})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(data, WithMaxMemory(len(tree)/2)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("codec %d: %v", codec, err)
		}
	}
}
