package model

import (
	"errors"
	"path/filepath"
	"slices"
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
