package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/sparse-implicit/sim/format/sparse"
	"gonum.org/v1/gonum/mat"
)

// solve returns state and output, and fails the test where there is none.
func solve(t *testing.T, m *Model, u []float64) (x, y []float64, sweeps int) {
	t.Helper()
	s, err := NewSolver(m)
	if err != nil {
		t.Fatal(err)
	}
	x, y = make([]float64, m.States()), make([]float64, m.Outputs())
	if err := s.Solve(u, x, y); err != nil {
		t.Fatal(err)
	}
	return x, y, s.Sweeps()
}

// naive iterates the whole dense model as it is written, all states at once, without regard to order.
func naive(m *Model, u []float64, sweeps int) (x, y []float64) {
	n, p := m.States(), m.Inputs()
	a, b, c, d := m.A.Dense(), m.B.Dense(), m.C.Dense(), m.D.Dense()
	row := func(i int, left, right []float32, bias float32, x []float64) float64 {
		z := float64(bias)
		for j := range p {
			z += float64(right[i*p+j]) * u[j]
		}
		for j := range n {
			z += float64(left[i*n+j]) * x[j]
		}
		return z
	}
	x = make([]float64, n)
	for range sweeps {
		next := make([]float64, n)
		for i := range next {
			next[i] = naiveActivation(m.Activations[i], row(i, a, b, m.StateBias[i], x))
		}
		x = next
	}
	for k := range m.Outputs() {
		y = append(y, row(k, c, d, m.OutputBias[k], x))
	}
	return x, y
}

func naiveActivation(a Activation, z float64) float64 {
	switch a.Kind {
	case ReLU:
		return math.Max(0, z)
	case ClippedReLU:
		return math.Max(0, math.Min(z, float64(a.P1)))
	case LeakyReLU:
		return math.Max(z, float64(a.P0)*z)
	case HardTanh:
		return math.Max(-float64(a.P1), math.Min(z, float64(a.P1)))
	case Tanh:
		return math.Tanh(z)
	case Sigmoid:
		return 1 / (1 + math.Exp(-z))
	}
	return z
}

// apart returns the largest difference relative to the largest number.
func apart(a, b []float64) float64 {
	size, gap := 1e-300, 0.0
	for i := range a {
		size = max(size, math.Abs(b[i]))
		gap = max(gap, math.Abs(a[i]-b[i]))
	}
	return gap / size
}

func TestEquilibriaOfTheGoldenModel(t *testing.T) {
	m, err := Decode(golden(t, "mixed.sim"))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(bytes.NewReader(golden(t, "mixed.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for k, line := range lines {
		var v []float64
		for _, field := range line {
			number, err := strconv.ParseFloat(field, 64)
			if err != nil {
				t.Fatal(err)
			}
			v = append(v, number)
		}
		x, y, sweeps := solve(t, m, v[:3])
		if gap := max(apart(x, v[3:10]), apart(y, v[10:])); gap > 1e-13 {
			t.Errorf("input %d: x = %v, y = %v, %g away from numpy's", k, x, y, gap)
		}
		if sweeps < 2 || sweeps > 100 {
			t.Errorf("input %d took %d sweeps", k, sweeps)
		}
	}
}

func TestTheSolverAgreesWithDenseIteration(t *testing.T) {
	for _, s := range []shape{
		{n: 60, p: 30, q: 5, perRow: 6, causal: true},
		{n: 60, p: 30, q: 5, perRow: 3, gain: 0.9},
		{n: 25, p: 3, q: 2, perRow: 25, gain: 0.9}, // dense: one loop of all, with self-loops
		{n: 7, p: 0, q: 1, perRow: 2, gain: 0.5},
		{n: 0, p: 4, q: 2, perRow: 2, causal: true},
	} {
		for seed := range uint64(3) {
			m := generate(t, seed, s)
			g := generator(seed + 100)
			for range 2 {
				u := g.input(m)
				x, y, sweeps := solve(t, m, u)
				wantX, wantY := naive(m, u, 400)
				if gap := max(apart(x, wantX), apart(y, wantY)); gap > 2e-12 {
					t.Errorf("%+v, seed %d: %g apart", s, seed, gap)
				}
				if s.causal != (sweeps == 0) {
					t.Errorf("%+v, seed %d: %d sweeps", s, seed, sweeps)
				}
			}
		}
	}
}

func TestNormsAboveOneAreSolvedWhereTheSpectralRadiusIsBelow(t *testing.T) {
	found := 0
	for seed := range uint64(8) {
		m := generate(t, seed, shape{n: 40, p: 5, q: 3, perRow: 6, gain: 0.95})
		if norm(m.A) < 2 {
			continue
		}
		found++
		g := generator(seed)
		u := g.input(m)
		x, _, _ := solve(t, m, u)
		if want, _ := naive(m, u, 800); apart(x, want) > 2e-12 {
			t.Errorf("seed %d, ‖A‖∞ = %g: %g apart", seed, norm(m.A), apart(x, want))
		}
	}
	if found < 4 {
		t.Errorf("only %d of 8 models have a norm above 2", found)
	}
}

// TestLinearModelsAreSolvedExactly: with identities the equilibrium is (I − A)⁻¹(Bu + b), which an LU
// factorisation gives. The nearly singular case shows that a small change between sweeps is not taken
// for a small error.
func TestLinearModelsAreSolvedExactly(t *testing.T) {
	for _, gain := range []float32{0.5, 0.99, 0.999} {
		m := generate(t, 3, shape{n: 30, p: 4, q: 2, perRow: 4, gain: gain})
		system := mat.NewDense(30, 30, nil)
		right := mat.NewVecDense(30, nil)
		u := []float64{0.25, -0.5, 1, 0.125}
		for i := range m.Activations {
			m.Activations[i] = Activation{}
			for j := range 30 {
				system.Set(i, j, -float64(m.A.At(i, j)))
			}
			system.Set(i, i, 1+system.At(i, i))
			sum := float64(m.StateBias[i])
			for j := range u {
				sum += float64(m.B.At(i, j)) * u[j]
			}
			right.SetVec(i, sum)
		}
		var want mat.VecDense
		if err := want.SolveVec(system, right); err != nil {
			t.Fatal(err)
		}
		x, _, sweeps := solve(t, m, u)
		if gap := apart(x, want.RawVector().Data); gap > 1e-11 {
			t.Errorf("gain %g: %g apart after %d sweeps", gain, gap, sweeps)
		}
	}
	slow := oneState(Identity, 0.999, 1) // x = 1000, approached by a thousandth of the way in each sweep
	x, _, sweeps := solve(t, slow, nil)
	if want := 1 / (1 - float64(float32(0.999))); math.Abs(x[0]/want-1) > 2e-13 {
		t.Errorf("x = %v, want %v (%d sweeps)", x[0], want, sweeps)
	}
}

// TestALoopThatRoundingKeepsMovingHasSettled: the last places of these two states never come to rest.
func TestALoopThatRoundingKeepsMovingHasSettled(t *testing.T) {
	m := oneState(Identity, 0, 1)
	m.A = sparse.FromDense(2, 2, []float32{0, -0.999, 0.999, 0})
	m.B, m.C = sparse.New[float32](2, 0), sparse.FromDense(1, 2, []float32{1, 1})
	m.StateBias, m.Activations = []float32{1, 0.3}, make([]Activation, 2)
	x, _, sweeps := solve(t, m, nil)
	a := float64(float32(0.999))
	want := []float64{(1 - a*float64(float32(0.3))) / (1 + a*a), (float64(float32(0.3)) + a) / (1 + a*a)}
	if apart(x, want) > 1e-12 || sweeps >= MaxSolveSweeps {
		t.Errorf("x = %v after %d sweeps, want %v", x, sweeps, want)
	}
}

// oneState is the model x = φ(a x + bias), y = x.
func oneState(kind Kind, a, bias float32) *Model {
	return &Model{
		A: sparse.FromDense(1, 1, []float32{a}), B: sparse.New[float32](1, 0),
		C: sparse.FromDense(1, 1, []float32{1}), D: sparse.New[float32](1, 0),
		StateBias: []float32{bias}, OutputBias: []float32{0}, Activations: []Activation{{Kind: kind}}, Decision: DecideNone,
	}
}

func TestModelsWithoutEquilibriumAreReported(t *testing.T) {
	for name, m := range map[string]*Model{
		"growth without bound": oneState(ReLU, 2, 1),
		"an endless swing":     oneState(Identity, -1, 1),
		"an endless drift":     oneState(ReLU, 1, 1e-3),
	} {
		s, err := NewSolver(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Solve(nil, nil, nil); !errors.Is(err, ErrNoEquilibrium) {
			t.Errorf("%s: %v after %d sweeps", name, err, s.Sweeps())
		}
	}
	chain := sparse.New[float32](12, 12)
	for i := range int32(11) {
		chain.AppendRow(int(i)+1, []int32{i}, []float32{3e38})
	}
	m := generate(t, 1, shape{n: 12, p: 0, q: 1, perRow: 1, causal: true})
	m.A = chain
	for i := range m.Activations {
		m.Activations[i], m.StateBias[i] = Activation{Kind: ReLU}, 1
	}
	s, err := NewSolver(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Solve(nil, nil, make([]float64, 1)); !errors.Is(err, ErrNoEquilibrium) {
		t.Errorf("a chain that overflows: %v", err)
	}
}

func TestSolveDependsOnItsInputAlone(t *testing.T) {
	m := generate(t, 4, shape{n: 40, p: 10, q: 3, perRow: 4, gain: 0.9})
	g := generator(1)
	u, other := g.input(m), g.input(m)
	x, y, sweeps := solve(t, m, u)
	s, err := NewSolver(m)
	if err != nil {
		t.Fatal(err)
	}
	again := slices.Repeat([]float64{math.NaN()}, m.States()) // what x held before is of no consequence
	for _, v := range [][]float64{other, u} {
		if err := s.Solve(v, again, nil); err != nil {
			t.Fatal(err)
		}
	}
	out := make([]float64, m.Outputs())
	if err := s.Solve(u, nil, out); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again, x) || !slices.Equal(out, y) || s.Sweeps() != sweeps {
		t.Error("the second solution differs from the first")
	}
}

func TestSolveRefusesWrongArguments(t *testing.T) {
	m := mixed()
	s, err := NewSolver(m)
	if err != nil {
		t.Fatal(err)
	}
	good := []float64{0, 0, 0}
	for name, args := range map[string][3][]float64{
		"too few inputs":    {{1, 2}, nil, nil},
		"too few states":    {good, make([]float64, 6), nil},
		"too many outputs":  {good, nil, make([]float64, 3)},
		"an input is NaN":   {{0, math.NaN(), 0}, nil, nil},
		"an input is Inf":   {{0, 0, math.Inf(-1)}, nil, nil},
		"no inputs at all":  {nil, nil, nil},
		"too many states":   {good, make([]float64, 8), nil},
		"no room for any y": {good, nil, {}},
	} {
		if err := s.Solve(args[0], args[1], args[2]); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m.Activations = nil
	if _, err := NewSolver(m); !errors.Is(err, ErrInvalid) {
		t.Errorf("an invalid model: %v", err)
	}
}

func TestDecide(t *testing.T) {
	for _, test := range []struct {
		rule Decision
		y    []float64
		want int
	}{
		{DecideArgmax, []float64{1, 3, 3, 2}, 1}, {DecideArgmin, []float64{2, 1, 4, 1}, 1}, {DecideArgmax, []float64{-1}, 0},
		{DecideNone, []float64{1, 2}, -1}, {DecideArgmax, nil, -1}, {DecideArgmin, []float64{0, 0}, 0},
	} {
		if got := (&Model{Decision: test.rule}).Decide(test.y); got != test.want {
			t.Errorf("%s of %v is %d, want %d", test.rule, test.y, got, test.want)
		}
	}
}

// TestSolverBitsAreTheSameOnEveryMachine is run on every architecture of CI.
func TestSolverBitsAreTheSameOnEveryMachine(t *testing.T) {
	hash := sha256.New()
	var b [8]byte
	for _, s := range []shape{{n: 70, p: 40, q: 5, perRow: 8, causal: true}, {n: 70, p: 40, q: 5, perRow: 4, gain: 0.9}} {
		m := generate(t, 42, s)
		g := generator(43)
		for range 20 {
			x, y, sweeps := solve(t, m, g.input(m))
			for _, v := range slices.Concat(x, y, []float64{float64(sweeps)}) {
				binary.LittleEndian.PutUint64(b[:], math.Float64bits(v))
				hash.Write(b[:])
			}
		}
	}
	const want = "c34cb78aaa4320679a6c79f80f0603e086e219d76e7322fb94c0f8086f23497d"
	if got := fmt.Sprintf("%x", hash.Sum(nil)); got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
}

func BenchmarkSolve(b *testing.B) {
	m := generate(b, 42, shape{n: 200, p: 784, q: 10, perRow: 25, causal: true})
	s, err := NewSolver(m)
	if err != nil {
		b.Fatal(err)
	}
	g := generator(1)
	u, y := g.input(m), make([]float64, m.Outputs())
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Solve(u, nil, y); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(m.NNZ().Total())*float64(b.N)/b.Elapsed().Seconds(), "nonzeros/s")
}

// TestSmallTanhLoopSettles: near zero TanhOf is accurate absolutely, not relatively, so the loop's last
// places never rest; that is no reason to refuse it.
func TestSmallTanhLoopSettles(t *testing.T) {
	for k := range 400 {
		weight := float32(-0.39 - float64(k)*1e-3)
		m := &Model{
			A: sparse.FromDense(1, 1, []float32{weight}), B: sparse.FromDense(1, 1, []float32{1}),
			C: sparse.FromDense(1, 1, []float32{1}), D: sparse.New[float32](1, 1),
			StateBias: []float32{0}, OutputBias: []float32{0}, Activations: []Activation{{Kind: Tanh}},
			InputLo: []float32{-1}, InputHi: []float32{1}, Decision: DecideNone,
		}
		solver, err := NewSolver(m)
		if err != nil {
			t.Fatal(err)
		}
		x, y := make([]float64, 1), make([]float64, 1)
		u := 1e-6 * float64(1+k)
		if err := solver.Solve([]float64{u}, x, y); err != nil {
			t.Fatalf("weight %g, input %g: %v", weight, u, err)
		}
		if want := TanhOf(float64(float64(weight)*x[0]) + u); math.Abs(x[0]-want) > 1e-14 {
			t.Fatalf("weight %g: x = %g, φ(Ax + Bu) = %g", weight, x[0], want)
		}
	}
}
