package trainer

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// randomNetwork returns a network with the given widths whose hidden layers take the activations in
// turn, and samples of its inputs.
func randomNetwork(seed uint64, widths []int, samples int, activations ...model.Activation) (*teacher.Network, []float32) {
	random := rand.New(rand.NewPCG(seed, 1))
	if len(activations) == 0 {
		activations = []model.Activation{{Kind: model.ReLU}}
	}
	n := &teacher.Network{Inputs: widths[0]}
	for l := 1; l < len(widths); l++ {
		layer := teacher.Layer{In: widths[l-1], Out: widths[l], B: make([]float32, widths[l])}
		for range layer.In * layer.Out {
			layer.W = append(layer.W, float32(random.NormFloat64()/math.Sqrt(float64(layer.In))))
		}
		for i := range layer.B {
			layer.B[i] = float32(0.3 * random.NormFloat64())
		}
		if l < len(widths)-1 {
			layer.Activation = activations[(l-1)%len(activations)]
		}
		n.Layers = append(n.Layers, layer)
	}
	// Inputs with a low-dimensional common part, as real data has.
	u := make([]float32, samples*widths[0])
	for s := range samples {
		a, b := random.NormFloat64(), random.NormFloat64()
		for j := range widths[0] {
			u[s*widths[0]+j] = float32(a*math.Sin(float64(j)) + b*math.Cos(float64(2*j)) + 0.7*random.NormFloat64())
		}
	}
	return n, u
}

func mustSource(t testing.TB, n *teacher.Network, u []float32) *NetworkSource {
	t.Helper()
	s, err := NewNetworkSource(n, u)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustFit(t testing.TB, s Source, o Options) (*model.Model, *Report) {
	t.Helper()
	m, r, err := Fit(context.Background(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.NNZ(); got != r.NNZBy || got.Total() != r.NNZ {
		t.Errorf("the report counts %v nonzeros, the model has %v", r.NNZBy, got)
	}
	return m, r
}

// outputsOf runs the reference solver.
func outputsOf(t testing.TB, m *model.Model, u []float32) (x, y []float64) {
	t.Helper()
	solver, err := model.NewSolver(m)
	if err != nil {
		t.Fatal(err)
	}
	input := make([]float64, m.Inputs())
	for s := 0; s < len(u); s += len(input) {
		for j := range input {
			input[j] = float64(u[s+j])
		}
		xs, ys := make([]float64, m.States()), make([]float64, m.Outputs())
		if err := solver.Solve(input, xs, ys); err != nil {
			t.Fatal(err)
		}
		x, y = append(x, xs...), append(y, ys...)
	}
	return x, y
}

// relativeError is the rms of got − want over the standard deviation of want.
func relativeError(got []float64, want []float32) float64 {
	mean, off, spread := 0.0, 0.0, 0.0
	for _, v := range want {
		mean += float64(v) / float64(len(want))
	}
	for k, v := range want {
		off += (got[k] - float64(v)) * (got[k] - float64(v))
		spread += (float64(v) - mean) * (float64(v) - mean)
	}
	return math.Sqrt(off / spread)
}

func hasLoop(m *model.Model) bool {
	for _, c := range sparse.Components(m.A) {
		if sparse.IsLoop(m.A, c) {
			return true
		}
	}
	return false
}

func TestFitMeetsTheBudgetWithoutCycles(t *testing.T) {
	network, u := randomNetwork(3, []int{20, 16, 10, 4}, 800)
	source := mustSource(t, network, u)
	want := network.Forward32(u, 800, nil)
	last := math.Inf(1)
	for _, budget := range []int{10, 60, 150, 300, 540} {
		m, r := mustFit(t, source, Options{NNZ: budget, Task: Regression})
		if r.NNZ > budget {
			t.Errorf("budget %d: %d nonzeros", budget, r.NNZ)
		}
		// The dense teacher has 548 numbers; a causal fit with skips could use more.
		if float64(r.NNZ) < 0.95*float64(budget)-2 {
			t.Errorf("budget %d: only %d nonzeros", budget, r.NNZ)
		}
		if hasLoop(m) {
			t.Errorf("budget %d: A has a cycle", budget)
		}
		_, y := outputsOf(t, m, u)
		off := relativeError(y, want)
		if off > 1.02*last {
			t.Errorf("budget %d: relative error %.3f, more than %.3f with fewer nonzeros", budget, off, last)
		}
		if r.GapMax > 1e-6 {
			t.Errorf("budget %d: gap %g", budget, r.GapMax)
		}
		last = off
	}
	if last > 0.02 {
		t.Errorf("with as many numbers as the teacher the outputs are off by %.3f", last)
	}
}

// A teacher that is itself sparse is found again: the oracle is the teacher.
func TestAnyNumberOfNonzerosIsANumber(t *testing.T) {
	_, source, _ := taught(t, 5, 300)
	want, _ := mustFit(t, source, Options{NNZ: 10_000})
	for _, nnz := range []int{math.MaxInt/6 + 1, math.MaxInt/3 + 1, math.MaxInt/2 + 1, math.MaxInt} {
		m, r := mustFit(t, source, Options{NNZ: nnz})
		if r.NNZ != want.NNZ().Total() {
			t.Errorf("at most %d: %d nonzeros, %d with at most 10,000", nnz, m.NNZ().Total(), want.NNZ().Total())
		}
	}
}

func TestSparseTeacherIsRecovered(t *testing.T) {
	network, u := randomNetwork(11, []int{30, 12, 8, 3}, 2000)
	nonzeros := 0
	for l := range network.Layers {
		layer := &network.Layers[l]
		for k := range layer.W {
			if (k*7+l)%5 != 0 { // one in five stays
				layer.W[k] = 0
			} else {
				nonzeros++
			}
		}
		nonzeros += len(layer.B)
	}
	m, r := mustFit(t, mustSource(t, network, u), Options{NNZ: nonzeros, Task: Regression})
	_, y := outputsOf(t, m, u)
	if off := relativeError(y, network.Forward32(u, 2000, nil)); off > 1e-3 {
		t.Errorf("a teacher of %d numbers is missed by %.2g with %d", nonzeros, off, r.NNZ)
	}
}

func TestEveryActivationIsFitted(t *testing.T) {
	for _, a := range []model.Activation{
		{Kind: model.Identity}, {Kind: model.ReLU}, {Kind: model.ClippedReLU, P1: 0.8}, {Kind: model.LeakyReLU, P0: 0.1},
		{Kind: model.HardTanh, P0: -0.7, P1: 0.7}, {Kind: model.Tanh}, {Kind: model.Sigmoid},
	} {
		t.Run(a.Kind.String(), func(t *testing.T) {
			network, u := randomNetwork(5, []int{12, 9, 7, 3}, 500, a)
			m, _ := mustFit(t, mustSource(t, network, u), Options{NNZ: 400, Task: Regression})
			x, y := outputsOf(t, m, u)
			if off := relativeError(y, network.Forward32(u, 500, nil)); off > 0.02 {
				t.Errorf("off by %.3f", off)
			}
			for s := 0; s < len(x); s += m.States() {
				for i := range m.States() {
					if v := x[s+i]; v < float64(m.StateLo[i])-1e-5 || v > float64(m.StateHi[i])+1e-5 {
						t.Fatalf("state %d is %g on a training sample, its range is [%g, %g]", i, v, m.StateLo[i], m.StateHi[i])
					}
				}
			}
		})
	}
}

// relu is positively homogeneous: the same network written with other scales of its states is the
// same teacher. With powers of two not even rounding differs.
func TestScaleOfTheTeachersStatesDoesNotMatter(t *testing.T) {
	network, u := randomNetwork(9, []int{15, 10, 6, 3}, 400)
	first, _ := mustFit(t, mustSource(t, network, u), Options{NNZ: 120})
	for i := range 10 {
		factor := float32(math.Ldexp(1, i-7))
		for j := range 15 {
			network.Layers[0].W[i*15+j] *= factor
		}
		network.Layers[0].B[i] *= factor
		for k := range 6 {
			network.Layers[1].W[k*10+i] /= factor
		}
	}
	second, _ := mustFit(t, mustSource(t, network, u), Options{NNZ: 120})
	if !bytes.Equal(encode(t, first), encode(t, second)) {
		t.Error("another scale of the first layer's states gives another model")
	}
}

func encode(t testing.TB, m *model.Model) []byte {
	t.Helper()
	data, err := model.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestBytesDoNotDependOnTheNumberOfCores(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, structure := range []Structure{Causal, Free} {
		var first []byte
		for _, cores := range []int{1, 2, 7} {
			runtime.GOMAXPROCS(cores)
			network, u := randomNetwork(4, []int{40, 24, 12, 5}, 3000)
			m, _ := mustFit(t, mustSource(t, network, u), Options{NNZ: 300, Structure: structure, Seed: 3})
			data := encode(t, m)
			if first == nil {
				first = data
			}
			if !bytes.Equal(first, data) {
				t.Errorf("%s: %d cores give other bytes than 1", structure, cores)
			}
		}
	}
}

func TestFreeFitIsFeasible(t *testing.T) {
	network, u := randomNetwork(6, []int{20, 14, 9, 4}, 700)
	source := mustSource(t, network, u)
	for _, kappa := range []float64{0.3, 0.9} {
		for _, o := range []Options{{NNZ: 200}, {Lambda: 0.01}, {Lambda: 0.01, NoRefine: true}, {Lambda: 0.01, NoBias: true, NoWeights: true}} {
			o.Structure, o.Kappa = Free, kappa
			m, r := mustFit(t, source, o)
			worst := 0.0
			for i := range m.States() {
				_, values := m.A.Row(i)
				sum := 0.0
				for _, v := range values {
					sum += math.Abs(float64(v))
				}
				worst = max(worst, sum)
			}
			if worst > kappa*(1+1e-6) || worst != r.NormA {
				t.Errorf("κ = %g, %+v: ‖A‖∞ = %g, reported %g", kappa, o, worst, r.NormA)
			}
			if o.Lambda > 0 && !hasLoop(m) {
				t.Errorf("κ = %g: a free fit without any loop is no test of this", kappa)
			}
		}
	}
}

// The free teacher is rescaled so that it is feasible itself: a generous budget loses little.
func TestFreeFitFollowsTheTeacher(t *testing.T) {
	network, u := randomNetwork(8, []int{12, 8, 6, 3}, 600)
	m, _ := mustFit(t, mustSource(t, network, u), Options{Lambda: 1e-6, Structure: Free, Kappa: 0.9, Task: Regression})
	_, y := outputsOf(t, m, u)
	if off := relativeError(y, network.Forward32(u, 600, nil)); off > 0.1 {
		t.Errorf("off by %.3f", off)
	}
}

func TestRegenerationBringsTheModelCloserToTheTeacher(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		network, u := randomNetwork(seed, []int{25, 18, 12, 8, 4}, 1500)
		f := newFitter(t, mustSource(t, network, u), Options{Lambda: 0.02, Task: Regression})
		solved, err := f.solveRows()
		if err != nil {
			t.Fatal(err)
		}
		supports := make([][]int32, len(solved.rows))
		for i, s := range solved.rows {
			supports[i] = f.moments.Varying(s.Support)
		}
		before := f.debias(supports, 1e-6)
		after, err := f.regenerate(before, 1e-6)
		if err != nil {
			t.Fatal(err)
		}
		want := network.Forward32(u, 1500, nil)
		errorOf := func(d *draft) float64 {
			m, err := f.assemble(d, &Report{})
			if err != nil {
				t.Fatal(err)
			}
			_, y := outputsOf(t, m, u)
			return relativeError(y, want)
		}
		if b, a := errorOf(before), errorOf(after); !(a < b) {
			t.Errorf("seed %d: error of the outputs %.4f before and %.4f after", seed, b, a)
		}
	}
}

// newFitter goes through the first stage of Fit.
func newFitter(t *testing.T, s Source, o Options) *fitter {
	t.Helper()
	o, err := o.resolved(s.Shape())
	if err != nil {
		t.Fatal(err)
	}
	f := fitterFor(context.Background(), s, o)
	if err := f.gather(); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestStatesThatNothingReadsAreGone(t *testing.T) {
	network, u := randomNetwork(2, []int{10, 8, 5, 3}, 300)
	for k := range 5 { // unit 3 of the first layer is dead, unit 5 is never read
		network.Layers[1].W[k*8+5] = 0
	}
	network.Layers[0].B[3] = -1000
	source := mustSource(t, network, u)
	whole, _ := mustFit(t, source, Options{Lambda: 1e-4, NoRefine: true})
	if whole.States() != 13 {
		t.Errorf("NoRefine keeps every state, but %d of 13 are left", whole.States())
	}
	m, _ := mustFit(t, source, Options{NNZ: 250})
	if m.States() > 12 {
		t.Errorf("%d states are left with a dead one among 13", m.States())
	}
	read := make([]bool, m.States())
	for _, matrix := range []*sparse.Matrix[float32]{m.A, m.C} {
		for _, j := range matrix.Indices {
			read[j] = true
		}
	}
	for i, r := range read {
		if !r {
			t.Errorf("nothing reads state %d", i)
		}
	}
}

func TestNoBiasLeavesNone(t *testing.T) {
	network, u := randomNetwork(2, []int{10, 8, 3}, 300)
	source := mustSource(t, network, u)
	for _, o := range []Options{{NNZ: 60}, {Lambda: 0.01}, {Lambda: 0.01, NoRefine: true}} {
		o.NoBias = true
		if _, r := mustFit(t, source, o); r.NNZBy.StateBias+r.NNZBy.OutputBias != 0 || r.NNZ == 0 {
			t.Errorf("%+v: %+v", o, r.NNZBy)
		}
	}
}

func TestNetworkWithoutHiddenLayers(t *testing.T) {
	network, u := randomNetwork(2, []int{10, 3}, 300)
	m, r := mustFit(t, mustSource(t, network, u), Options{NNZ: 33, Task: Regression})
	_, y := outputsOf(t, m, u)
	if off := relativeError(y, network.Forward32(u, 300, nil)); off > 1e-4 || r.NNZ != 33 {
		t.Errorf("%d nonzeros, off by %g", r.NNZ, off)
	}
}

// The oracle perturbs every state of every sample and differentiates the logarithm of the softmax.
func TestSensitivityEqualsFiniteDifferences(t *testing.T) {
	act := model.Activation{Kind: model.Tanh}
	network, u := randomNetwork(7, []int{6, 5, 4, 3}, 200, act)
	for k := range network.Layers[2].W[:4] { // one output in other units
		network.Layers[2].W[k] *= 3
	}
	spread := [3]float64{}
	for k := range spread {
		mean, square := 0.0, 0.0
		for s, y := range network.Forward32(u, 200, nil) {
			if s%3 == k {
				mean, square = mean+float64(y)/200, square+float64(y)*float64(y)/200
			}
		}
		spread[k] = math.Sqrt(square - mean*mean)
	}
	source := mustSource(t, network, u)
	logs := func(layer, unit int, sample []float32, step float32) (y, logp [3]float64) {
		x := sample
		for l, next := range network.Layers {
			z := make([]float32, next.Out)
			for i := range z {
				z[i] = next.B[i]
				for j, v := range x {
					z[i] += next.W[i*next.In+j] * v
				}
			}
			if l == layer {
				z[unit] += step
			}
			x = z
			if l < 2 {
				for i := range x {
					x[i] = float32(act.Apply(float64(x[i])))
				}
			}
		}
		sum := 0.0
		for k := range y {
			y[k] = float64(x[k])
			sum += math.Exp(y[k])
		}
		for k := range y {
			logp[k] = y[k] - math.Log(sum)
		}
		return y, logp
	}
	for _, task := range []Task{Classification, Regression} {
		states, outputs, err := source.Sensitivity(context.Background(), task, 5)
		if err != nil {
			t.Fatal(err)
		}
		got := append(append([]float64{}, states...), outputs...)
		row := 0
		for layer, units := range []int{5, 4, 3} {
			for unit := range units {
				sum := 0.0
				for s := range 200 {
					const h = 1e-2
					y1, p1 := logs(layer, unit, u[s*6:(s+1)*6], h)
					y0, p0 := logs(layer, unit, u[s*6:(s+1)*6], -h)
					for k := range 3 {
						if task == Regression {
							sum += math.Pow((y1[k]-y0[k])/(2*h*spread[k]), 2) / 200
						} else {
							sum += math.Exp((p1[k]+p0[k])/2) * math.Pow((p1[k]-p0[k])/(2*h), 2) / 200
						}
					}
				}
				if want := math.Sqrt(sum); math.Abs(got[row]-want) > 0.06*want {
					t.Errorf("%s, layer %d, unit %d: ω = %.4f, finite differences give %.4f", task, layer, unit, got[row], want)
				}
				row++
			}
		}
	}
}

func TestFloorOfSensitivity(t *testing.T) {
	omega, std := []float64{1, 2, 0, 3, 0.001, 5}, []float64{1, 1, 1, 1, 1, 0}
	floorSensitivity(omega, std)
	want := []float64{1, 2, 0.04, 3, 0.04, 1}
	for i := range want {
		if math.Abs(omega[i]-want[i]) > 1e-12 {
			t.Errorf("ω[%d] = %g, not %g", i, omega[i], want[i])
		}
	}
}

func TestPowerOfTwoAbove(t *testing.T) {
	for _, c := range []struct{ v, want float64 }{{1, 1}, {1.01, 2}, {0.5, 0.5}, {0.3, 0.5}, {1e-300, math.Ldexp(1, -60)}, {1e300, math.Ldexp(1, 60)}} {
		if got := powerOfTwoAbove(c.v); got != c.want {
			t.Errorf("%g: %g, not %g", c.v, got, c.want)
		}
	}
}

func TestProgressEndsEveryStage(t *testing.T) {
	network, u := randomNetwork(2, []int{10, 8, 5, 3}, 300)
	told := map[string][2]int{}
	mustFit(t, mustSource(t, network, u), Options{NNZ: 80, Progress: func(stage string, done, total int) { told[stage] = [2]int{done, total} }})
	for _, stage := range []string{"moments", "rows", "remove", "refit"} {
		if last := told[stage]; last[1] == 0 || last[0] < last[1] {
			t.Errorf("stage %s ended at %d of %d", stage, last[0], last[1])
		}
	}
}

func TestProvenanceTellsTheOptions(t *testing.T) {
	network, u := randomNetwork(2, []int{10, 8, 3}, 300)
	m, r := mustFit(t, mustSource(t, network, u), Options{NNZ: 50, Seed: 7, Provenance: model.Provenance{"teacher": "abc"}})
	for key, want := range map[string]string{
		"teacher": "abc", "fit.seed": "7", "fit.wanted_nnz": "50", "fit.structure": "causal", "fit.nnz": fmt.Sprint(r.NNZ), "fit.samples": "300",
	} {
		if m.Provenance[key] != want {
			t.Errorf("provenance %s is %q, not %q", key, m.Provenance[key], want)
		}
	}
}
