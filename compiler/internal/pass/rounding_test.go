package pass

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/sparse"
)

// against runs all passes with a reference over the model's box and rows promoted at random.
func against(t *testing.T, rng *rand.Rand, m *model.Model, o Options, samples []float32) *Program {
	t.Helper()
	o.Compensate = true
	base := &Program{Source: m, Options: o, Reference: Observe(m, samples)}
	if base.Reference == nil {
		t.Fatal("no reference")
	}
	base.Prune()
	base.Schedule()
	for _, step := range []func() (string, error){base.ProveWellPosed, base.Ranges} {
		if _, err := step(); err != nil {
			t.Fatal(err)
		}
	}
	promoted := make([]bool, base.states()+base.outputs())
	for i := range promoted {
		promoted[i] = rng.IntN(3) == 0
	}
	p := base.Fork(promoted)
	for _, step := range []func() (string, error){p.Scales, p.Quantise, p.Certify} {
		if _, err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// correlated draws samples of three inputs that mostly move together.
func correlated(rng *rand.Rand, count int) []float32 {
	var samples []float32
	for range count {
		common := rng.Float64()
		for range 3 {
			samples = append(samples, float32(0.95*common+0.05*rng.Float64()))
		}
	}
	return samples
}

// onSamples returns the mean square over samples of what integers w in units r, with the best integer bias,
// are off from row i: the plain definition.
func onSamples(p *Program, row []float32, samples []float32, w [3]int, r float64) float64 {
	off, mean := make([]float64, len(samples)/3), 0.0
	for s := range off {
		for j := range 3 {
			input := p.InputPlan[j]
			q, _ := quant.InputFromReal(samples[3*s+j], input.Scale, input.Zero, p.Options.Width)
			off[s] += float64(row[j])*float64(samples[3*s+j]) - r*float64(w[j])*float64(q)
		}
		mean += off[s] / float64(len(off))
	}
	mean = math.Floor(mean/r+0.5) * r
	sum := 0.0
	for _, v := range off {
		sum += (v - mean) * (v - mean)
	}
	return sum / float64(len(off))
}

// oneRow is a model of one output that reads three inputs in [0, 1].
func oneRow(row []float32) *model.Model {
	return &model.Model{
		A: sparse.New[float32](0, 0), B: sparse.New[float32](0, 3), C: sparse.New[float32](1, 0), D: sparse.FromDense(1, 3, row),
		OutputBias: []float32{0}, InputLo: []float32{0, 0, 0}, InputHi: []float32{1, 1, 1}, Decision: model.DecideNone,
	}
}

// TestRoundingAgainstSamplesIsNearTheBest compares the integers of rows of three, in the unit that is chosen and in
// one that is not, with all others near them: none is far better, and to nearest they would be much worse.
func TestRoundingAgainstSamplesIsNearTheBest(t *testing.T) {
	for _, fixed := range []bool{false, true} {
		rng := rand.New(rand.NewPCG(7, 7))
		toNearest, chosen, least := 0.0, 0.0, 0.0
		for range 40 {
			row := []float32{float32(rng.NormFloat64()), float32(rng.NormFloat64()), float32(rng.NormFloat64())}
			samples := correlated(rng, 300)
			p := against(t, rand.New(rand.NewPCG(1, 1)), oneRow(row), Options{Width: quant.Width14, Planes: 1, Levels: 7}, samples)
			if fixed {
				p.Rows[0].Multiplier.M += p.Rows[0].Multiplier.M / 5
				if _, fits := p.tryRow(0, p.OutputScale, rounding{fit: p.fitOf(0, nil)}); !fits {
					t.Fatal("the row does not fit a coarser unit")
				}
			}
			nearest, taken, best := threeWays(t, p, row, samples)
			toNearest, chosen, least = toNearest+nearest, chosen+taken, least+best
		}
		t.Logf("unit fixed %v: mean square %.3g to nearest, %.3g against samples, %.3g at best", fixed, toNearest, chosen, least)
		if chosen > 0.3*toNearest || chosen > 2*least {
			t.Errorf("unit fixed %v: mean square of %g against samples, %g to nearest, %g at best", fixed, chosen, toNearest, least)
		}
	}
}

// threeWays returns the mean squares of a row of three to nearest, as it was rounded, and of the best integers near
// those to nearest.
func threeWays(t *testing.T, p *Program, row, samples []float32) (toNearest, taken, best float64) {
	t.Helper()
	r := float64(p.OutputScale) * p.Rows[0].Multiplier.Ratio()
	var own, nearest [3]int
	inReach := true
	for j := range 3 {
		own[j] = int(p.Quantised.Data[j])
		nearest[j] = int(math.Floor(float64(row[j])*float64(p.InputPlan[j].Scale)/r + 0.5))
		inReach = inReach && max(own[j]-nearest[j], nearest[j]-own[j]) <= 3
	}
	best = math.Inf(1)
	for k := range 7 * 7 * 7 {
		try := [3]int{nearest[0] + k%7 - 3, nearest[1] + k/7%7 - 3, nearest[2] + k/49 - 3}
		if max(try[0], -try[0], try[1], -try[1], try[2], -try[2]) <= 7 {
			best = min(best, onSamples(p, row, samples, try, r))
		}
	}
	taken = onSamples(p, row, samples, own, r)
	if inReach && taken < best*(1-1e-9) {
		t.Errorf("%v: %v is better than the best of all, %g and %g: the oracle is wrong", row, own, taken, best)
	}
	return onSamples(p, row, samples, nearest, r), taken, best
}

// TestEntriesInLoopsNeverGrow: however rows are rounded, |Ã| ≤ |A| within loops, and signs stay.
func TestEntriesInLoopsNeverGrow(t *testing.T) {
	seen, cut := 0, 0
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 3))
		m := randomModel(rng, true, false)
		p := against(t, rng, m, Options{Width: quant.Width14, Planes: 1, Levels: 127}, BoxSamples(m.InputLo, m.InputHi, 200))
		first := 0
		for _, segment := range p.Segments {
			end := first + segment.States
			for i := first; i < end && segment.Sweeps > 0; i++ {
				cols, real := p.real.weights.Row(i)
				_, source := p.Weights.Row(i)
				for k, j := range cols {
					if s := p.stateColumn(j); s < first || s >= end {
						continue
					}
					seen++
					w := float64(source[k])
					if math.Abs(real[k]) > math.Abs(w)*(1+1e-12) || real[k]*w < 0 {
						t.Errorf("seed %d: an entry of a loop is %g, its integer %g", seed, w, real[k])
					}
					if math.Abs(real[k]) < math.Abs(w)*0.999 {
						cut++
					}
				}
			}
			first = end
		}
	}
	if seen < 200 || cut < 20 {
		t.Errorf("%d entries in loops, %d of them cut: the test sees nothing", seen, cut)
	}
}

// TestBoundsHoldAgainstSamples: the claims of rows rounded against samples, some of two planes, hold like others.
func TestBoundsHoldAgainstSamples(t *testing.T) {
	tightest := 0.0
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 8))
		m := randomModel(rng, seed%2 == 0, seed%3 == 0)
		width := []quant.Width{quant.Width7, quant.Width14}[seed/2%2]
		p := against(t, rng, m, Options{Width: width, Planes: 1, Levels: 127}, BoxSamples(m.InputLo, m.InputHi, 200))
		for s := range 30 {
			ratio, err := p.compare(sampleInput(rng, m, s))
			if err != nil {
				t.Fatalf("seed %d, sample %d: %v", seed, s, err)
			}
			tightest = max(tightest, ratio)
		}
	}
	t.Logf("largest observed error: %.3f of its bound", tightest)
	if tightest < 0.5 {
		t.Errorf("no error came near its bound: the test sees nothing")
	}
}

// TestFactorIsOfTheMoments: RᵀR gives the damped moments back, and solve inverts them.
func TestFactorIsOfTheMoments(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for n := 1; n <= 12; n++ {
		h, root := make([]float64, n*n), make([]float64, n*n)
		for k := range root {
			root[k] = rng.NormFloat64() * 100
		}
		for a := range n {
			for b := range n {
				for c := range n / 2 { // of half the rank
					h[a*n+b] += root[a*n+c] * root[b*n+c]
				}
			}
		}
		m := &moments{cols: make([]int32, n)}
		m.damp(h)
		whole, last := append([]float64(nil), h...), make([]bool, n)
		for k := range last {
			last[k] = k%3 == 1
		}
		m.factor(h, last)
		for a := range n {
			for b := range n {
				sum := 0.0
				for c := range n {
					sum += m.upper[c*n+a] * m.upper[c*n+b]
				}
				if want := whole[m.order[a]*n+m.order[b]]; math.Abs(sum-want) > 1e-9*(1+math.Abs(want)) {
					t.Fatalf("n = %d: RᵀR has %g at %d, %d, the moments %g", n, sum, a, b, want)
				}
			}
			if a > 0 && last[m.order[a-1]] && !last[m.order[a]] {
				t.Errorf("n = %d: order %v does not end with %v", n, m.order, last)
			}
		}
		right := make([]float64, n)
		for k := range right {
			right[k] = rng.NormFloat64()
		}
		for a, x := 0, m.solve(right); a < n; a++ {
			sum := 0.0
			for b := range n {
				sum += whole[a*n+b] * x[b]
			}
			if math.Abs(sum-right[a]) > 1e-7 {
				t.Fatalf("n = %d: H x = %g, want %g", n, sum, right[a])
			}
		}
	}
}

// TestInfluenceIsTheGradient holds influence against differences of the float model's own equilibrium.
func TestInfluenceIsTheGradient(t *testing.T) {
	const h = 1e-5
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 6))
		m := randomModel(rng, seed%2 == 0, false)
		samples := BoxSamples(m.InputLo, m.InputHi, 64)
		p := against(t, rng, m, Options{Width: quant.Width14, Planes: 1, Levels: 127}, samples[:m.Inputs()])
		u := make([]float64, m.Inputs())
		for j := range u {
			u[j] = float64(samples[j])
		}
		gradient := make([]float64, len(p.Rows))
		gradient[p.states()] = 1
		p.backward(gradient, 0)
		for i, s := range p.States {
			moved := func(by float64) float64 {
				changed := *m
				changed.StateBias = append([]float32(nil), m.StateBias...)
				changed.StateBias[s] = float32(float64(m.StateBias[s]) + by)
				_, y := equilibrium(&changed, u)
				return y[0] / (float64(changed.StateBias[s]) - float64(m.StateBias[s]))
			}
			_, y := equilibrium(m, u)
			up := moved(h) - y[0]/(float64(float32(float64(m.StateBias[s])+h))-float64(m.StateBias[s]))
			if math.Abs(gradient[i]-up) > 0.02*(1+math.Abs(up)) {
				t.Errorf("seed %d, state %d: ∂y/∂z = %g, by differences %g", seed, s, gradient[i], up)
			}
		}
	}
}
