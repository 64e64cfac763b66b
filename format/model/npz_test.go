package model

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/npz"
)

func TestDenseArraysGiveTheSameModel(t *testing.T) {
	m, err := ReadFile(filepath.Join("testdata", "mixed.npz"))
	if err != nil {
		t.Fatal(err)
	}
	want := mixed()
	want.StateLo, want.StateHi, want.WeightScale = nil, nil, nil
	want.Decision, want.Provenance = DecideNone, Provenance{}
	if part := same(m, want); part != "" {
		t.Errorf("%s differs", part)
	}
}

func TestMissingArraysHaveDefaults(t *testing.T) {
	m, err := Read(golden(t, "plain.npz"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.InputLo, []float32{-1, -1}) || !slices.Equal(m.InputHi, []float32{1, 1}) {
		t.Errorf("box %v to %v", m.InputLo, m.InputHi)
	}
	if got := m.NNZ(); got != (NNZBy{B: 2, C: 2}) {
		t.Errorf("nonzeros %+v", got)
	}
	if !slices.Equal(m.Activations, []Activation{{Kind: ReLU}, {Kind: ReLU}}) || m.Decision != DecideNone {
		t.Errorf("activations %v, decision %s", m.Activations, m.Decision)
	}
}

func TestArchivesThatAreNoModel(t *testing.T) {
	archive, err := npz.Open(filepath.Join("..", "npz", "testdata", "stored.npz"), npz.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FromNPZ(archive); !errors.Is(err, npz.ErrMalformed) {
		t.Errorf("no array A: %v", err)
	}
}

// zeros makes an archive of float32 arrays that hold only zeros, of the shapes given as Python tuples.
func zeros(t *testing.T, arrays map[string]string, elements map[string]int) *npz.Archive {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, shape := range arrays {
		header := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': %s}\n", shape)
		f, err := w.Create(name + ".npy")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(f, "\x93NUMPY\x01\x00%s\x00%s%s", string(rune(len(header))), header, make([]byte, 4*elements[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	archive, err := npz.Read(out.Bytes(), npz.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

func TestArraysThatDoNotFitAreNamed(t *testing.T) {
	good := map[string]string{"A": "(2, 2)", "B": "(2, 1)", "C": "(1, 2)", "D": "(1, 1)"}
	elements := map[string]int{"A": 4, "B": 2, "C": 2, "D": 1}
	if _, err := FromNPZ(zeros(t, good, elements)); err != nil {
		t.Fatalf("the good archive: %v", err)
	}
	for _, test := range []struct {
		name, shape string
		elements    int
		want        string
	}{
		{"B", "(1, 2)", 2, "B is 1 × 2"}, {"A", "(4,)", 4, `array "A" has shape [4]`}, {"D", "(1, 0)", 0, "D is 1 × 0"},
		{"b", "(3,)", 3, `array "b" has shape [3]`}, {"input_lo", "(2,)", 2, `array "input_lo"`},
		{"activation.param", "(2, 1)", 2, `array "activation_param"`}, {"C", "(16777216, 0)", 0, "at most 1048576"},
	} {
		shapes, sizes := map[string]string{}, map[string]int{}
		for name, shape := range good {
			shapes[name], sizes[name] = shape, elements[name]
		}
		shapes[test.name], sizes[test.name] = test.shape, test.elements
		_, err := FromNPZ(zeros(t, shapes, sizes))
		if err == nil || !strings.Contains(err.Error(), test.want) || !(errors.Is(err, ErrInvalid) || errors.Is(err, npz.ErrTooLarge)) {
			t.Errorf("%s of shape %s: error %v does not say %q", test.name, test.shape, err, test.want)
		}
	}
}
