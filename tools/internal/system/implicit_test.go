package system

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/format/verify"
	simrt "github.com/sparse-implicit/sim/runtime"
)

// TestImplicitModelsStayWithinTheirBounds compiles models that are implicit in earnest, has the independent
// checker prove every figure, and compares the runtime's states after the last sweep with the
// equilibrium of the reference solver, state by state, on random inputs of the box.
func TestImplicitModelsStayWithinTheirBounds(t *testing.T) {
	samples := longSamples(t, 10000)
	tests := []struct {
		name      string
		model     *model.Model
		wellPosed string // what it must be proved by
	}{
		{"‖A‖∞ ≥ 1 with an eigenvalue of |A| below 1", unevenLoop(), "perron"},
		{"self-loops", selfLoops(), "norm"},
		{"every activation in one loop", mixedLoop(), "norm"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Logf("‖A‖∞ = %.3g", infinityNorm(test.model.A))
			for _, o := range []compiler.Options{{Bits: 7}, {Bits: 14}, {Bits: 14, WeightBits: 16}} {
				data, report, err := compiler.Compile(test.model, o)
				if err != nil {
					t.Fatal(err)
				}
				if report.WellPosed.Kind != test.wellPosed {
					t.Errorf("well-posed by %s, want %s", report.WellPosed.Kind, test.wellPosed)
				}
				checks, err := verify.File(data, verify.Options{Against: test.model, Samples: 200, Seed: 1})
				if err != nil || !checks.OK {
					t.Fatalf("verify: %v %v", err, checks.Failed())
				}
				w := watchFile(t, test.model, data)
				w.run(t, samples)
				if w.saturated > 0 {
					t.Errorf("%d of %d inputs of the box saturate, though the scales cover what is proved", w.saturated, samples)
				}
				t.Logf("%2d bits, weights of %2d: κ %.4f, K = %d sweeps; largest share of a state's bound %.3f, of an output's %.3f",
					o.Bits, max(o.WeightBits, 8), report.WellPosed.Kappa, w.sweeps(), w.stateShare, w.outputShare)
			}
		})
	}
}

func infinityNorm(a *sparse.Matrix[float32]) float64 {
	norm := 0.0
	for i := range a.Rows {
		sum := 0.0
		_, values := a.Row(i)
		for _, v := range values {
			sum += math.Abs(float64(v))
		}
		norm = max(norm, sum)
	}
	return norm
}

// watcher runs one compiled model beside its float model.
type watcher struct {
	source  *model.Model
	file    *simb.Model
	session *simrt.Session
	solver  *model.Solver

	stateShare, outputShare float64 // largest error over its bound
	saturated               int
}

// longSamples returns 100,000 in the long form, else what is given.
func longSamples(t *testing.T, short int) int {
	t.Helper()
	if long() {
		return 100000
	}
	t.Logf("%d samples; SIM_LONG=1 takes 100,000", short)
	return short
}

func watchFile(t *testing.T, source *model.Model, data []byte) *watcher {
	t.Helper()
	file, err := simb.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := simrt.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	return watch(t, source, file.Model(), loaded)
}

func watch(t *testing.T, source *model.Model, file *simb.Model, loaded *simrt.Model) *watcher {
	t.Helper()
	solver, err := model.NewSolver(source)
	if err != nil {
		t.Fatal(err)
	}
	return &watcher{source: source, file: file, session: loaded.NewSession(), solver: solver}
}

// sweeps returns the largest K.
func (w *watcher) sweeps() uint32 {
	most := uint32(0)
	for _, s := range w.file.Schedule {
		most = max(most, s.Sweeps)
	}
	return most
}

// run draws inputs, every fourth a corner of the box, and compares.
func (w *watcher) run(t *testing.T, samples int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 7))
	src, dst := make([]float32, w.source.Inputs()), make([]float32, w.source.Outputs())
	u, x, y := make([]float64, len(src)), make([]float64, w.source.States()), make([]float64, len(dst))
	q := make([]uint16, w.file.States())
	for s := range samples {
		for j := range src {
			lo, hi := w.source.InputLo[j], w.source.InputHi[j]
			share := rng.Float32()
			if s%4 == 0 {
				share = float32(rng.IntN(2))
			}
			src[j] = min(max(lo+(hi-lo)*share, lo), hi)
			u[j] = float64(src[j])
		}
		if err := w.session.Infer(dst, src); err != nil {
			t.Fatal(err)
		}
		if err := w.session.CopyStates(q); err != nil {
			t.Fatal(err)
		}
		if err := w.solver.Solve(u, x, y); err != nil {
			t.Fatal(err)
		}
		var claims []*simb.ErrorCertificate
		if w.file.Certificates.Box != nil {
			claims = append(claims, w.file.Certificates.Box)
		}
		if w.session.Stats().Saturations == 0 {
			claims = append(claims, w.file.Certificates.Calibrated)
		} else {
			w.saturated++
		}
		for _, claim := range claims {
			if err := w.compare(claim, q, dst, x, y); err != nil {
				t.Fatalf("sample %d: %v", s, err)
			}
		}
	}
}

// compare holds every state and output against one claim. The solver's own tolerance is far below a bound.
func (w *watcher) compare(claim *simb.ErrorCertificate, q []uint16, dst []float32, x, y []float64) error {
	name := "calibrated"
	if claim == w.file.Certificates.Box {
		name = "box"
	}
	for i := range q {
		row := &w.file.Rows[i]
		worth := float64(row.Scale) * float64(int(q[i])-int(row.Zero))
		off := math.Abs(worth - x[w.file.SourceState[i]])
		if off > float64(claim.State[i]) {
			return fmt.Errorf("state %d is off by %g, its %s bound is %g", i, off, name, claim.State[i])
		}
		w.stateShare = max(w.stateShare, off/float64(claim.State[i]))
	}
	for k := range dst {
		off := math.Abs(float64(dst[k]) - y[k])
		if off > float64(claim.Output[k]) {
			return fmt.Errorf("output %d is off by %g, its %s bound is %g", k, off, name, claim.Output[k])
		}
		w.outputShare = max(w.outputShare, off/float64(claim.Output[k]))
	}
	return nil
}

// implicit fills in B, C, D, biases and box around a matrix A and activations.
func implicit(seed uint64, n int, dense []float32, activation func(i int) model.Activation) *model.Model {
	rng := rand.New(rand.NewPCG(seed, 3))
	const p, q = 5, 3
	numbers := func(count int, share float64) []float32 {
		out := make([]float32, count)
		for k := range out {
			if rng.Float64() < share {
				out[k] = float32(rng.NormFloat64())
			}
		}
		return out
	}
	m := &model.Model{
		A: sparse.FromDense(n, n, dense), B: sparse.FromDense(n, p, numbers(n*p, 0.5)),
		C: sparse.FromDense(q, n, numbers(q*n, 0.6)), D: sparse.FromDense(q, p, numbers(q*p, 0.3)),
		StateBias: numbers(n, 1), OutputBias: numbers(q, 1), Decision: model.DecideArgmax,
		InputLo: []float32{0, -1, 0.5, -2, 10}, InputHi: []float32{1, 1, 0.75, 3, 10.5},
	}
	for i := range n {
		m.Activations = append(m.Activations, activation(i))
	}
	return m
}

// mostlyRelu takes turns between relu, leaky relu and identity.
func mostlyRelu(i int) model.Activation {
	return []model.Activation{{Kind: model.ReLU}, {Kind: model.ReLU}, {Kind: model.LeakyReLU, P0: 0.1}, {Kind: model.Identity}}[i%4]
}

// unevenLoop scales a matrix of row sums 0.8 by D A D⁻¹: norms far above 1, the same eigenvalue.
func unevenLoop() *model.Model {
	const n = 16
	rng := rand.New(rand.NewPCG(11, 3))
	dense := looped(rng, n, 0.8)
	for i := range n {
		for j := range n {
			dense[i*n+j] *= float32(math.Exp2(float64(i%5)) / math.Exp2(float64(j%5)))
		}
	}
	return implicit(1, n, dense, mostlyRelu)
}

// looped draws a third of all entries, each row of the given absolute sum.
func looped(rng *rand.Rand, n int, sum float64) []float32 {
	dense := make([]float32, n*n)
	for i := range n {
		row, size := make([]float64, n), 0.0
		for j := range row {
			if rng.IntN(3) == 0 || j == (i+1)%n {
				row[j] = rng.NormFloat64()
				size += math.Abs(row[j])
			}
		}
		for j, v := range row {
			dense[i*n+j] = float32(v * sum / size)
		}
	}
	return dense
}

// selfLoops is a chain of states each of which reads itself.
func selfLoops() *model.Model {
	const n = 12
	dense := make([]float32, n*n)
	for i := range n {
		dense[i*n+i] = []float32{0.9, -0.8, 0.5, 0.25}[i%4]
		if i > 0 {
			dense[i*n+i-1] = []float32{0.7, -1.3}[i%2]
		}
	}
	return implicit(2, n, dense, mostlyRelu)
}

// mixedLoop has every activation twice in one loop.
func mixedLoop() *model.Model {
	const n = 14
	return implicit(3, n, looped(rand.New(rand.NewPCG(13, 3)), n, 0.9), func(i int) model.Activation {
		return []model.Activation{
			{Kind: model.Identity}, {Kind: model.ReLU}, {Kind: model.ClippedReLU, P1: 1.5}, {Kind: model.LeakyReLU, P0: 0.2},
			{Kind: model.HardTanh, P0: -1, P1: 1}, {Kind: model.Tanh}, {Kind: model.Sigmoid},
		}[i%model.KindCount]
	})
}

// TestLoopsSettleWhereBoundsAreVacuous: seven bits in a long memory leave a proved error as large as the
// states themselves, which a single sweep would satisfy. The states must come near their equilibrium still.
func TestLoopsSettleWhereBoundsAreVacuous(t *testing.T) {
	const n = 24
	dense := looped(rand.New(rand.NewPCG(17, 3)), n, 0.97)
	for k, v := range dense {
		dense[k] = float32(math.Abs(float64(v))) // nothing cancels
	}
	m := implicit(4, n, dense, func(int) model.Activation { return model.Activation{Kind: model.Tanh} })
	for i := range m.StateBias { // near zero, where tanh is steepest
		m.StateBias[i] = 0
		cols, values := m.B.Row(i)
		for k, j := range cols {
			m.StateBias[i] -= values[k] * (m.InputLo[j] + m.InputHi[j]) / 2
		}
	}
	data, report, err := compiler.Compile(m, compiler.Options{Bits: 7})
	if err != nil {
		t.Fatal(err)
	}
	w := watchFile(t, m, data)
	claimed := 0.0
	for _, e := range w.file.Certificates.Box.State {
		claimed = max(claimed, float64(e))
	}
	w.run(t, 300)
	t.Logf("κ %.3f, %d sweeps, largest proved error of a state %.3g, largest share of it seen %.3f", report.WellPosed.Kappa, w.sweeps(), claimed, w.stateShare)
	if claimed < 1 {
		t.Errorf("the proved error is %g: not vacuous, nothing is tested", claimed)
	}
	if off := w.stateShare * claimed; off > 0.25 {
		t.Errorf("a state is %.2g from its equilibrium", off)
	}
}
