package trainer

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/npz"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// statesOf runs a network and returns features × samples arrays.
func statesOf(network *teacher.Network, inputs []float32) (p, n, q, samples int, u, z, x, y []float32) {
	p, q, samples = network.Inputs, network.Outputs(), len(inputs)/network.Inputs
	transposed := func(v []float32, width int) []float32 {
		out := make([]float32, len(v))
		for k, value := range v {
			out[k%width*samples+k/width] = value
		}
		return out
	}
	out := network.Forward32(inputs, samples, func(layer int, zs, xs []float32) {
		if layer < len(network.Layers)-1 {
			width := network.Layers[layer].Out
			n += width
			z, x = append(z, transposed(zs, width)...), append(x, transposed(xs, width)...)
		}
	})
	return p, n, q, samples, transposed(inputs, p), z, x, transposed(out, q)
}

var relu = model.Activation{Kind: model.ReLU}

func TestStatesGiveTheSameModelAsTheirNetwork(t *testing.T) {
	network, inputs := randomNetwork(3, []int{12, 8, 5, 3}, 400)
	p, n, q, m, u, z, x, y := statesOf(network, inputs)
	ranks := []int{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1}
	given, err := NewStatesSource(p, n, q, m, u, z, x, y, relu, ranks)
	if err != nil {
		t.Fatal(err)
	}
	run := mustSource(t, network, inputs)
	run.run.shape.Scaled = true // as states are taken
	o := Options{Lambda: 0.02, NoWeights: true}
	first, _ := mustFit(t, given, o)
	second, _ := mustFit(t, run, o)
	if !bytes.Equal(encode(t, first), encode(t, second)) {
		t.Error("the states of a network give another model than the network")
	}
}

func TestModelSourceEqualsNetworkSource(t *testing.T) {
	network, inputs := randomNetwork(3, []int{12, 8, 5, 3}, 400, relu, model.Activation{Kind: model.Tanh})
	converted, err := network.Model(make([]float32, 12), make([]float32, 12), model.DecideArgmax)
	if err != nil {
		t.Fatal(err)
	}
	byModel, err := NewModelSource(converted, inputs)
	if err != nil {
		t.Fatal(err)
	}
	byNetwork := mustSource(t, network, inputs)
	for _, structure := range []Structure{Causal, Free} {
		o := Options{NNZ: 100, Structure: structure, Kappa: 0.9}
		first, _ := mustFit(t, byModel, o)
		want, _ := mustFit(t, byNetwork, o)
		_, y := outputsOf(t, first, inputs)
		_, yWant := outputsOf(t, want, inputs)
		narrow := make([]float32, len(yWant))
		for k, v := range yWant {
			narrow[k] = float32(v)
		}
		if off := relativeError(y, narrow); off > 1e-3 { // float32 sums in another order
			t.Errorf("%s: the model as a teacher and its network differ by %.2g", structure, off)
		}
	}
	converted.A.AppendRow(12, []int32{12}, []float32{0.5})
	if _, err := NewModelSource(converted, inputs); !errors.Is(err, ErrStates) {
		t.Errorf("a teacher with a loop: %v", err)
	}
}

func TestASparseModelBecomesSparser(t *testing.T) {
	network, inputs := randomNetwork(3, []int{12, 8, 5, 3}, 400)
	first, _ := mustFit(t, mustSource(t, network, inputs), Options{NNZ: 150, Task: Regression})
	source, err := NewModelSource(first, inputs)
	if err != nil {
		t.Fatal(err)
	}
	next, r := mustFit(t, source, Options{NNZ: 110, Task: Regression})
	if r.NNZ > 110 || hasLoop(next) {
		t.Errorf("%d nonzeros, loop %v", r.NNZ, hasLoop(next))
	}
	_, y := outputsOf(t, next, inputs)
	if off := relativeError(y, network.Forward32(inputs, 400, nil)); off > 0.35 {
		t.Errorf("off by %.2f", off)
	}
}

func TestUnusableStatesAreRefused(t *testing.T) {
	network, inputs := randomNetwork(3, []int{4, 3, 2}, 10)
	nan := float32(math.NaN())
	for _, c := range []struct {
		name   string
		damage func(u, z, x, y []float32)
		want   string
	}{
		{"NaN in U", func(u, _, _, _ []float32) { u[2*10+7] = nan }, "U[2, 7]"},
		{"Inf in Z", func(_, z, _, _ []float32) { z[1*10+3] = float32(math.Inf(-1)) }, "Z[1, 3]"},
		{"NaN in X", func(_, _, x, _ []float32) { x[0] = nan }, "X[0, 0]"},
		{"NaN in Y", func(_, _, _, y []float32) { y[19] = nan }, "Y[1, 9]"},
		{"X is not φ(Z)", func(_, _, x, _ []float32) { x[2*10+5] += 1 }, "X[2, 5]"},
	} {
		p, n, q, m, u, z, x, y := statesOf(network, inputs)
		if _, err := NewStatesSource(p, n, q, m, u, z, x, y, relu, nil); err != nil {
			t.Fatal(err)
		}
		c.damage(u, z, x, y)
		_, err := NewStatesSource(p, n, q, m, u, z, x, y, relu, nil)
		if !errors.Is(err, ErrStates) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	p, n, q, m, u, z, x, y := statesOf(network, inputs)
	for name, err := range map[string]error{
		"short U":     second(NewStatesSource(p, n, q, m, u[1:], z, x, y, relu, nil)),
		"few ranks":   second(NewStatesSource(p, n, q, m, u, z, x, y, relu, []int{0, 0})),
		"minus rank":  second(NewStatesSource(p, n, q, m, u, z, x, y, relu, []int{0, 0, -1})),
		"one sample":  second(NewStatesSource(p, n, q, 1, u[:p], z[:n], x[:n], y[:q], relu, nil)),
		"no outputs":  second(NewStatesSource(p, n, 0, m, u, z, x, nil, relu, nil)),
		"other shape": second(NewStatesSource(p, n, q, m, u, z, x, y, model.Activation{Kind: 99}, nil)),
	} {
		if !errors.Is(err, ErrStates) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second(_ *StatesSource, err error) error { return err }

func TestUnusableInputsOfANetworkAreRefused(t *testing.T) {
	network, inputs := randomNetwork(3, []int{4, 3, 2}, 10)
	if _, err := NewNetworkSource(network, inputs[1:]); !errors.Is(err, ErrStates) {
		t.Errorf("39 numbers for 4 inputs: %v", err)
	}
	inputs[4*6+2] = float32(math.Inf(1))
	if _, err := NewNetworkSource(network, inputs); !errors.Is(err, ErrStates) || !strings.Contains(err.Error(), "feature 2 of sample 6") {
		t.Errorf("Inf: %v", err)
	}
	inputs[4*6+2] = math.MaxFloat32
	network.Layers[0].W[2] = 100
	source, err := NewNetworkSource(network, inputs)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Fit(context.Background(), source, Options{NNZ: 10}); !errors.Is(err, ErrStates) {
		t.Errorf("overflow: %v", err)
	}
}

// archiveOf writes features × samples arrays as numpy does.
func archiveOf(t *testing.T, arrays map[string][]float32, shapes map[string][]int) *npz.Archive {
	t.Helper()
	archive, err := npz.Read(archiveBytes(t, arrays, shapes), npz.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

func archiveBytes(t *testing.T, arrays map[string][]float32, shapes map[string][]int) []byte {
	t.Helper()
	var file bytes.Buffer
	w := zip.NewWriter(&file)
	for _, name := range slices.Sorted(maps.Keys(arrays)) {
		member, err := w.Create(name + ".npy")
		if err != nil {
			t.Fatal(err)
		}
		if err := npz.WriteNPY(member, shapes[name], arrays[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestReadStates(t *testing.T) {
	network, inputs := randomNetwork(3, []int{4, 3, 2}, 50)
	p, n, q, m, u, z, x, y := statesOf(network, inputs)
	arrays := map[string][]float32{"U": u, "Z": z, "X": x, "Y": y}
	shapes := map[string][]int{"U": {p, m}, "Z": {n, m}, "X": {n, m}, "Y": {q, m}, "rank": {3}}
	source, err := ReadStates(archiveOf(t, arrays, shapes), relu)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = Fit(context.Background(), source, Options{NNZ: 10})
	if !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), "--structure free") {
		t.Errorf("causal without ranks: %v", err)
	}
	mustFit(t, source, Options{NNZ: 10, Structure: Free})

	arrays["rank"] = []float32{0, 0, 1}
	if source, err = ReadStates(archiveOf(t, arrays, shapes), relu); err != nil {
		t.Fatal(err)
	}
	if m, _ := mustFit(t, source, Options{Lambda: 1e-5, NoRefine: true}); m.A.Stored() > 2 || hasLoop(m) {
		t.Errorf("two states of rank 0 and one of rank 1 allow two entries, A has %d", m.A.Stored())
	}
	shapes["X"] = []int{n * m}
	if _, err := ReadStates(archiveOf(t, arrays, shapes), relu); !errors.Is(err, ErrStates) {
		t.Errorf("flat X: %v", err)
	}
	shapes["X"] = []int{m, n}
	if _, err := ReadStates(archiveOf(t, arrays, shapes), relu); !errors.Is(err, ErrStates) {
		t.Errorf("transposed X: %v", err)
	}
	delete(arrays, "Y")
	shapes["X"] = []int{n, m}
	if _, err := ReadStates(archiveOf(t, arrays, shapes), relu); !errors.Is(err, npz.ErrMalformed) {
		t.Errorf("no Y: %v", err)
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	network, inputs := randomNetwork(3, []int{4, 3, 2}, 50)
	source := mustSource(t, network, inputs)
	for _, o := range []Options{
		{}, {NNZ: -1}, {NNZ: 5, Lambda: 1}, {Lambda: -1}, {Lambda: math.NaN()}, {Lambda: math.Inf(1)},
		{NNZ: 9, Structure: "loose"}, {NNZ: 9, Task: "guess"}, {NNZ: 9, Penalty: "huber"},
		{NNZ: 9, Kappa: 1}, {NNZ: 9, Kappa: -0.5}, {NNZ: 9, Kappa: math.NaN()}, {NNZ: 9, Ridge: -1}, {NNZ: 9, Ridge: math.NaN()},
		{NNZ: 9, InputLo: []float32{0}}, {NNZ: 9, InputLo: []float32{0, 0, 0, 1}, InputHi: []float32{1, 1, 1, 0}},
	} {
		if _, _, err := Fit(context.Background(), source, o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []Options{{NNZ: 1}, {NNZ: 1, NoRefine: true}} {
		if _, _, err := Fit(context.Background(), source, o); !errors.Is(err, ErrBudget) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	lo, hi := []float32{-9, -9, -9, -9}, []float32{9, 9, 9, 9}
	if m, _ := mustFit(t, source, Options{NNZ: 9, InputLo: lo, InputHi: hi}); m.InputLo[2] != -9 || m.InputHi[3] != 9 {
		t.Error("the box is not the one that was given")
	}
}

func TestFitStopsWhenItsContextEnds(t *testing.T) {
	network, inputs := randomNetwork(3, []int{4, 3, 2}, 50)
	for _, stage := range []string{"moments", "rows", "remove", "refit"} {
		ctx, cancel := context.WithCancel(context.Background())
		_, _, err := Fit(ctx, mustSource(t, network, inputs), Options{NNZ: 9, Progress: func(at string, _, _ int) {
			if at == stage {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled in stage %s: %v", stage, err)
		}
		cancel()
	}
}

// The optimum of the published problem is known to six digits from an independent solver.
func TestPublishedProblemReachesItsKnownOptimum(t *testing.T) {
	path := filepath.Join("..", "..", "shared", "data", "states", "fmnist2000.npz")
	if _, err := os.Stat(path); err != nil {
		t.Skip("the published problem's states are not here:", path)
	}
	archive, err := npz.Open(path, npz.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	source, err := ReadStates(archive, relu)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ lambda, ab, cd float64 }{{0.005, 11.252152, 5.909618}, {0.0005, 1.853051, 1.223797}} {
		_, r := mustFit(t, source, Options{Lambda: c.lambda, Structure: Free, NoBias: true, NoWeights: true, NoRefine: true})
		if math.Abs(r.ObjectiveAB/c.ab-1) > 3e-6 || math.Abs(r.ObjectiveCD/c.cd-1) > 3e-6 || r.GapMax > 1e-6 || r.NormA > 0.99*(1+1e-6) {
			t.Errorf("λ = %g: %+v", c.lambda, r)
		}
	}
}
