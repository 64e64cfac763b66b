package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
	simrt "github.com/sparse-implicit/sim/runtime"
)

// written encodes a model into a file.
func written(t *testing.T, m *simb.Model) string {
	t.Helper()
	data, err := simb.Encode(m, simb.EncodeOptions{Codec: simb.CodecRaw})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "model.simb")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestDrawnModelsHaveTheirNumberOfWeights(t *testing.T) {
	for _, c := range []struct {
		widths   []int
		nonzeros int
	}{{[]int{30, 20, 10, 5}, 100}, {[]int{30, 20, 10, 5}, 850}, {[]int{300, 200, 100}, 12345}, {[]int{10, 4}, 7}} {
		m := layered(rand.New(rand.NewPCG(1, 1)), c.widths, c.nonzeros)
		if got := m.Weights.NNZ(); got != c.nonzeros {
			t.Errorf("%v: %d weights, want %d", c.widths, got, c.nonzeros)
		}
		data, err := simb.Encode(m, simb.EncodeOptions{Codec: simb.CodecPacked})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := simb.Open(data); err != nil {
			t.Errorf("%v with %d weights: %v", c.widths, c.nonzeros, err)
		}
	}
}

// The states of a drawn model are neither all zero nor all at their limit, so that nothing can be skipped.
func TestDrawnModelsAreAlive(t *testing.T) {
	m, err := simrt.Load(must(os.ReadFile(written(t, layered(rand.New(rand.NewPCG(1, 1)), []int{300, 200, 200, 10}, 9000)))))
	if err != nil {
		t.Fatal(err)
	}
	s, u, states := m.NewSession(), make([]uint8, m.Inputs()), make([]uint16, m.States())
	for j := range u {
		u[j] = uint8(j % 128)
	}
	if err := s.InferQ7(make([]int32, m.Outputs()), u); err != nil {
		t.Fatal(err)
	}
	if err := s.CopyStates(states); err != nil {
		t.Fatal(err)
	}
	between := 0
	for _, q := range states {
		if q > 0 && q < 127 {
			between++
		}
	}
	if between < len(states)/5 {
		t.Errorf("only %d of %d states lie between their limits", between, len(states))
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic("unreachable: " + err.Error())
	}
	return v
}

func TestOurEnginesAnswerAlike(t *testing.T) {
	m, err := simbtest.Sized(50, 40, 10, 600)
	if err != nil {
		t.Fatal(err)
	}
	file := written(t, m)
	rng := rand.New(rand.NewPCG(2, 2))
	samples := make([][]float32, 20)
	for k := range samples {
		samples[k] = make([]float32, 50)
		for j := range samples[k] {
			samples[k][j] = rng.Float32()
		}
	}
	var answers []int
	for _, kernel := range append(simrt.Kernels(), inPlace, "") {
		for _, integers := range []bool{false, true} {
			e, err := recipe{Kind: kindSim, File: file, Kernel: kernel, Integers: integers, Batch: 1}.open(samples)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.run(3, 50, make([]int64, 50)); err != nil {
				t.Fatal(err)
			}
			for k, sample := range samples {
				class, err := e.answer(sample)
				if err != nil {
					t.Fatal(err)
				}
				if len(answers) < len(samples) {
					answers = append(answers, class)
				}
				if class != answers[k] {
					t.Errorf("%q, integers %v: sample %d is of class %d, want %d", kernel, integers, k, class, answers[k])
				}
			}
			e.close()
		}
	}
}

func TestRecipesThatCannotBeMade(t *testing.T) {
	for _, r := range []recipe{
		{Kind: "other"},
		{Kind: kindSim, File: filepath.Join(t.TempDir(), "absent")},
		{Kind: kindOnnxRuntime, Library: filepath.Join(t.TempDir(), "absent.so")},
		{Kind: kindXNNPACK, Library: filepath.Join(t.TempDir(), "absent.so")},
	} {
		if _, err := r.open([][]float32{{1}}); err == nil {
			t.Errorf("%+v is made", r)
		}
	}
}
