package compiler_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/format/verify"
)

// net is a model in dense rows; what is left out is zero, inputs are in [0, 1], states are relu.
type net struct {
	n, p, q        int
	a, b, c, d     []float32
	bias, out      []float32
	acts           []model.Activation
	lo, hi         []float32
	stateLo, stHi  []float32
	decideByArgmax bool
}

func (k net) model() *model.Model {
	matrix := func(rows, cols int, dense []float32) *sparse.Matrix[float32] {
		if dense == nil {
			return sparse.New[float32](rows, cols)
		}
		return sparse.FromDense(rows, cols, dense)
	}
	filled := func(v []float32, n int, value float32) []float32 {
		for len(v) < n {
			v = append(v, value)
		}
		return v
	}
	m := &model.Model{
		A: matrix(k.n, k.n, k.a), B: matrix(k.n, k.p, k.b), C: matrix(k.q, k.n, k.c), D: matrix(k.q, k.p, k.d),
		StateBias: filled(k.bias, k.n, 0), OutputBias: filled(k.out, k.q, 0), Activations: k.acts,
		InputLo: filled(k.lo, k.p, 0), InputHi: filled(k.hi, k.p, 1), StateLo: k.stateLo, StateHi: k.stHi, Decision: model.DecideNone,
	}
	for len(m.Activations) < k.n {
		m.Activations = append(m.Activations, model.Activation{Kind: model.ReLU})
	}
	if k.decideByArgmax {
		m.Decision = model.DecideArgmax
	}
	return m
}

// compileAndVerify compiles, has every claim proved anew, and returns the model and the report.
func compileAndVerify(t *testing.T, m *model.Model, o compiler.Options) (*simb.Model, *compiler.Report) {
	t.Helper()
	data, report, err := compiler.Compile(m, o)
	if err != nil {
		t.Fatal(err)
	}
	checks, err := verify.File(data, verify.Options{Against: m, Samples: 50})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks.Checks {
		if !c.OK {
			t.Errorf("%+v: %s: %s", o, c.Name, c.Detail)
		}
	}
	file, err := simb.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	return file.Model(), report
}

func ring(n int, weight func(i int) float32) []float32 {
	a := make([]float32, n*n)
	for i := range n {
		a[i*n+(i+1)%n] = weight(i)
	}
	return a
}

func repeat[T any](n int, v T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// TestExtremeModelsAreCompiledWithTightBounds gives the largest error that may be claimed for each.
func TestExtremeModelsAreCompiledWithTightBounds(t *testing.T) {
	identity, relu := model.Activation{Kind: model.Identity}, model.Activation{Kind: model.ReLU}
	tests := []struct {
		name  string
		model net
		most  float64 // largest claimed error over the box, of any output, at 14 bits and weights of 16
	}{
		{"a constant output alone", net{q: 1, out: []float32{3}}, 1e-5},
		{"outputs that are all zero", net{n: 1, p: 1, q: 2, b: []float32{1}}, 1e-30},
		{"no states", net{p: 2, q: 1, d: []float32{1, -1}}, 2e-4},
		{"no inputs", net{n: 2, q: 1, a: []float32{0, 0, 1, 0}, bias: []float32{1, -0.25}, c: []float32{0, 2}}, 2e-4},
		{"every input a point", net{n: 1, p: 2, q: 1, b: []float32{1, 2}, c: []float32{1}, lo: []float32{0.5, 0.25}, hi: []float32{0.5, 0.25}}, 1e-3},
		{"an empty A", net{n: 2, p: 1, q: 1, b: []float32{1, -1}, c: []float32{1, 1}}, 2e-4},
		{"a row of nothing", net{n: 2, p: 1, q: 1, b: []float32{1, 0}, c: []float32{1, 1}}, 2e-4},
		{"a state that is never active", net{n: 2, p: 1, q: 1, b: []float32{1, 1}, bias: []float32{0, -10}, c: []float32{1, 1}}, 2e-4},
		{"a state that is hardly ever active", net{n: 2, p: 1, q: 1, b: []float32{1, 1}, bias: []float32{0, -0.9999}, c: []float32{1, 1}}, 2e-4},
		{"a box of width 1e-30", net{n: 1, p: 1, q: 1, b: []float32{1e30}, c: []float32{1}, hi: []float32{1e-30}}, 2e-4},
		{"a box of width 1e30", net{n: 1, p: 1, q: 1, b: []float32{1e-30}, c: []float32{1}, hi: []float32{1e30}}, 2e-4},
		{"a box between two neighbours", net{n: 1, p: 1, q: 1, b: []float32{1}, c: []float32{1}, lo: []float32{300}, hi: []float32{math.Nextafter32(300, 301)}}, 0.05},
		{"a narrow box far from zero", net{n: 1, p: 1, q: 1, b: []float32{1}, c: []float32{1}, lo: []float32{300}, hi: []float32{300.01}}, 0.05},
		{"a narrow box far from zero that the bias takes off", net{n: 1, p: 1, q: 1, b: []float32{1}, bias: []float32{-300}, c: []float32{1}, lo: []float32{300}, hi: []float32{300.01}}, 3e-6},
		{"huge and tiny weights", net{n: 2, p: 1, q: 1, b: []float32{1e30, 0}, a: []float32{0, 0, 1e-30, 0}, c: []float32{0, 1}}, 2e-4},
		{"tiny states with huge readers", net{n: 1, p: 1, q: 1, b: []float32{1e-35}, c: []float32{1e35}}, 1e-3},
		{"a slope of 1e-30", net{n: 1, p: 1, q: 1, b: []float32{1}, c: []float32{1}, lo: []float32{-1}, acts: []model.Activation{{Kind: model.LeakyReLU, P0: 1e-30}}}, 2e-4},
		{"limits of 1e-30", net{n: 2, p: 1, q: 1, b: []float32{1, 1}, c: []float32{1, 1}, acts: []model.Activation{{Kind: model.ClippedReLU, P1: 1e-30}, {Kind: model.HardTanh, P0: -1e-30, P1: 1e-30}}}, 1e-5},
		{"data that saw almost nothing", net{n: 1, p: 1, q: 1, b: []float32{1}, c: []float32{1}, stateLo: []float32{0}, stHi: []float32{1e-30}}, 1.03},
		{"a self-loop with kappa 0.999", net{n: 1, p: 1, q: 1, a: []float32{0.999}, b: []float32{0.1}, c: []float32{1}, acts: []model.Activation{identity}}, 30}, // what is off by a third of that, weight and bias apart
		{"a self-loop that does nothing", net{n: 1, p: 1, q: 1, a: []float32{-0.5}, bias: []float32{-1}, b: []float32{0.1}, c: []float32{1}}, 1e-3},
		{"an uneven loop of eigenvalue 0.3", net{n: 2, p: 1, q: 1, a: []float32{0, 1e15, 1e-16, 0}, b: []float32{1, 0}, c: []float32{1, 0}, acts: repeat(2, relu)}, 1e-3},
		{"a long uneven cycle", net{n: 60, p: 1, q: 1, a: ring(60, func(i int) float32 {
			if i < 30 {
				return 2
			}
			return 0.4
		}), b: append([]float32{1}, make([]float32, 59)...), c: append([]float32{1}, make([]float32, 59)...), acts: repeat(60, relu)}, 2e-3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, o := range []compiler.Options{{Bits: 14}, {Bits: 7}, {Bits: 14, WeightBits: 16}} {
				_, report := compileAndVerify(t, test.model.model(), o)
				if report.ErrorBoundBox == nil || report.ErrorBoundCalibrated == nil || report.Lipschitz == nil {
					t.Errorf("%+v: a claim is missing: %+v", o, report)
					continue
				}
				t.Logf("%d bits, weights of %d: error at most %g over the box, κ %g", o.Bits, o.WeightBits, report.ErrorBoundBox, report.WellPosed.Kappa)
				for _, e := range report.ErrorBoundBox {
					if o.Bits == 14 && o.WeightBits == 16 && e > test.most {
						t.Errorf("%+v: an error of %g is claimed, %g was to be had", o, e, test.most)
					}
				}
			}
		})
	}
}

// TestBoxesFarFromZeroKeepTheirResolution moves the box of a model and takes the distance off by its biases:
// nothing may be lost, neither in what the integers do nor in what is claimed of them.
func TestBoxesFarFromZeroKeepTheirResolution(t *testing.T) {
	b := []float32{0.75, -0.5, 0.3125, -0.1875, 0.625, -0.21875} // three states of two inputs
	for _, o := range []compiler.Options{{Bits: 7}, {Bits: 14}, {Bits: 14, WeightBits: 16}} {
		near := 0.0
		for _, off := range []float32{0, 64, -4096, 1 << 15} {
			bias := []float32{0.25, 0.125, -0.0625}
			for k, w := range b {
				bias[k/2] -= w * off // exact: few bits
			}
			m := net{n: 3, p: 2, q: 1, b: b, bias: bias, c: []float32{1, -0.4, 0.7}, lo: []float32{off, off}, hi: []float32{off + 1, off + 1}}.model()
			_, report := compileAndVerify(t, m, o)
			got := report.ErrorBoundBox[0]
			if off == 0 {
				near = got
			}
			if got > 1.5*near {
				t.Errorf("%+v: at %g an error of %g is claimed, at 0 of %g", o, off, got, near)
			}
		}
	}
}

// TestWhatCannotBeProvedIsNotClaimed: outputs beyond float32 and loops that are hardly contractions.
func TestWhatCannotBeProvedIsNotClaimed(t *testing.T) {
	overflow := net{p: 1, q: 1, d: []float32{3e38}, lo: []float32{-1}, hi: []float32{2}}.model()
	_, report := compileAndVerify(t, overflow, compiler.Options{})
	if report.ErrorBoundBox != nil || report.ErrorBoundCalibrated != nil {
		t.Errorf("an output that may be Inf has a bound: %+v", report)
	}
	unbounded := net{n: 2, p: 1, q: 1, a: []float32{0, 0, 1e25, 0}, b: []float32{1e25, 0}, c: []float32{1, 1e-38}, stateLo: []float32{0, 0}, stHi: []float32{1, 1}}.model()
	_, report = compileAndVerify(t, unbounded, compiler.Options{})
	if report.ErrorBoundBox != nil {
		t.Errorf("a state beyond float32 has a bound over the box: %+v", report)
	}
}

// TestModelsThatCannotBeCompiledSayWhatToDo names what, where and a way out.
func TestModelsThatCannotBeCompiledSayWhatToDo(t *testing.T) {
	tests := []struct {
		name  string
		model net
		is    error
		says  []string
	}{
		{"a loop of eigenvalue 1", net{n: 2, p: 1, q: 1, a: []float32{0, 1, 1, 0}, b: []float32{1, 1}, c: []float32{1, 1}}, compiler.ErrNotWellPosed, []string{"state 0", "κ", "--structure causal"}},
		{"states beyond float32", net{n: 2, p: 1, q: 1, a: []float32{0, 0, 3e38, 0}, b: []float32{3e38, 0}, c: []float32{1, 1}}, compiler.ErrUnfit, []string{"state 1", "--calibrate"}},
		{"outputs beyond float32", net{n: 1, p: 1, q: 1, b: []float32{1e38}, c: []float32{1e38}}, compiler.ErrUnfit, []string{"outputs reach", "scale the weights"}},
		{"a tanh of 1e30", net{n: 1, p: 1, q: 1, b: []float32{1e30}, c: []float32{1}, acts: []model.Activation{{Kind: model.Tanh}}}, compiler.ErrUnfit, []string{"state 0", "scale its weights"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			data, _, err := compiler.Compile(test.model.model(), compiler.Options{})
			if data != nil || !errors.Is(err, test.is) {
				t.Fatalf("%d bytes and the error %v, want none and %v", len(data), err, test.is)
			}
			for _, part := range test.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}

// TestRefusedBoundNamesWhatAddsMost: the error tells output, rows, causes and a way out, and no bytes come
// with it.
func TestRefusedBoundNamesWhatAddsMost(t *testing.T) {
	m := net{n: 3, p: 1, q: 2, b: []float32{1, 0.5, 0.25}, c: []float32{0, 0, 0.001, 1, 100, 0.001}}.model()
	data, report, err := compiler.Compile(m, compiler.Options{Bits: 7, MaxError: 1e-7})
	if data != nil || report == nil || !errors.Is(err, compiler.ErrBound) {
		t.Fatalf("%d bytes, report %v, error %v", len(data), report, err)
	}
	message := err.Error()
	for _, part := range []string{"2 of 2 outputs", "1e-07 over the box", "; output 0 may be off by", "state 2 (", "%", "use --bits 14"} {
		if !strings.Contains(message, part) {
			t.Errorf("%q does not say %q", message, part)
		}
	}
	if first, second := strings.Index(message, "output 1 may be off by"), strings.Index(message, "state 1 ("); first < 0 || second < first || second > strings.Index(message, "output 0") {
		t.Errorf("%q does not begin with the worst output and its rows", message)
	}
	_, _, err = compiler.Compile(m, compiler.Options{Bits: 7, MaxError: report.ErrorBoundBox[0]})
	if err == nil || !strings.Contains(err.Error(), "1 of 2 outputs") || strings.Contains(err.Error(), "output 0") {
		t.Errorf("a limit that output 0 meets: %v", err)
	}
	if _, _, err = compiler.Compile(m, compiler.Options{Bits: 7, MaxError: report.ErrorBoundBox[1]}); err != nil {
		t.Errorf("a limit that is met: %v", err)
	}
}

// TestManyStatesCompile holds the passes to work that grows with the entries: 5,000 states in loops, in one
// loop, in levels, and a thousand outputs.
func TestManyStatesCompile(t *testing.T) {
	n := fewer(5000)
	var selfLoops, oneLoop, chain []sparse.Triplet[float32]
	for i := range n {
		selfLoops = append(selfLoops, sparse.Triplet[float32]{Row: i, Col: i, Value: 0.5})
		for k := range 3 {
			oneLoop = append(oneLoop, sparse.Triplet[float32]{Row: i, Col: (i + 1 + 777*k) % n, Value: []float32{0.3, -0.2, 1.2}[k] / []float32{1, 2, 4}[k]})
		}
		if i > 0 {
			chain = append(chain, sparse.Triplet[float32]{Row: i, Col: i - 1, Value: 0.9})
		}
	}
	for name, entries := range map[string][]sparse.Triplet[float32]{"self-loops": selfLoops, "one loop": oneLoop, "chain": chain} {
		a, err := sparse.FromTriplets(n, n, entries)
		if err != nil {
			t.Fatal(err)
		}
		ones := sparse.FromDense(n, 1, repeat(n, float32(1)))
		q := fewer(1000)
		m := &model.Model{A: a, B: ones, C: sparse.FromDense(q, n, every(q*n, 997)), D: sparse.New[float32](q, 1),
			StateBias: make([]float32, n), OutputBias: make([]float32, q), InputLo: []float32{0}, InputHi: []float32{1}, Decision: model.DecideArgmax,
			Activations: repeat(n, model.Activation{Kind: model.Tanh})}
		data, report, err := compiler.Compile(m, compiler.Options{Bits: 14})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if checks, err := verify.File(data, verify.Options{Against: m}); err != nil || !checks.OK {
			t.Errorf("%s: %v %v", name, err, checks.Failed())
		}
		t.Logf("%s: %d levels, %d loops, %d bytes", name, report.Levels, report.Loops, len(data))
	}
}

// every returns n numbers, 1 at each multiple of step and 0 elsewhere.
func every(n, step int) []float32 {
	out := make([]float32, n)
	for i := 0; i < n; i += step {
		out[i] = 1
	}
	return out
}
