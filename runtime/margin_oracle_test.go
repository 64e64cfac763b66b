package runtime_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
	simrt "github.com/sparse-implicit/sim/runtime"
)

// decider draws a small float model that decides: levels or a loop, any activation, weights of about one.
func decider(rng *rand.Rand) *model.Model {
	n, p, q := 1+rng.IntN(6), 1+rng.IntN(4), 2+rng.IntN(3)
	loops := rng.IntN(4) == 0
	entries := func(rows, cols int, size float64, keep func(i, j int) bool) *sparse.Matrix[float32] {
		dense := make([]float32, rows*cols)
		for i := range rows {
			for j := range cols {
				if rng.Float64() < 0.7 && keep(i, j) {
					dense[i*cols+j] = float32(rng.NormFloat64() * size)
				}
			}
		}
		return sparse.FromDense(rows, cols, dense)
	}
	all := func(int, int) bool { return true }
	within := func(i, j int) bool { return j < i }
	share := 0.7
	if loops {
		within, share = all, 0.3/float64(n)
	}
	m := &model.Model{
		A: entries(n, n, share, within), B: entries(n, p, 1, all), C: entries(q, n, 1, all), D: entries(q, p, 0.3, all),
		Decision: []model.Decision{model.DecideArgmax, model.DecideArgmin}[rng.IntN(2)],
	}
	for range n {
		m.StateBias = append(m.StateBias, float32(rng.NormFloat64()/2))
		m.Activations = append(m.Activations, []model.Activation{
			{Kind: model.Identity}, {Kind: model.ReLU}, {Kind: model.ClippedReLU, P1: 1.5}, {Kind: model.LeakyReLU, P0: 0.125},
			{Kind: model.HardTanh, P0: -1, P1: 1}, {Kind: model.Tanh}, {Kind: model.Sigmoid},
		}[rng.IntN(7)])
	}
	for range q {
		m.OutputBias = append(m.OutputBias, float32(rng.NormFloat64()/4))
	}
	for range p {
		lo := float32(rng.NormFloat64())
		m.InputLo, m.InputHi = append(m.InputLo, lo), append(m.InputHi, lo+0.25+2*rng.Float32())
	}
	if rng.IntN(2) == 0 { // ranges that are too small now and then: states saturate
		for range n {
			m.StateLo, m.StateHi = append(m.StateLo, -0.5), append(m.StateHi, 1)
		}
	}
	return m
}

// prober moves inputs within a radius and their box.
type prober struct {
	*rand.Rand
	lo, hi []float32
}

// move returns u moved by at most radius in every input: to a corner, or anywhere between.
func (p prober) move(u []float32, radius float64, corner bool) []float32 {
	v := make([]float32, len(u))
	for j := range u {
		by := radius * (2*p.Float64() - 1)
		if corner {
			by = math.Copysign(radius, by)
		}
		v[j] = p.within(u[j], float64(u[j])+by, radius, j)
	}
	return v
}

// within returns the float32 nearest to x that is in the box and no further than radius from u.
func (p prober) within(u float32, x, radius float64, j int) float32 {
	v := min(max(float32(x), p.lo[j]), p.hi[j])
	for v != u && math.Abs(float64(v)-float64(u)) > radius {
		v = math.Nextafter32(v, u)
	}
	return v
}

// TestNothingWithinTheCertifiedRadiusChangesTheDecision searches, at random, in corners, and by turning one
// input after the other to where the lead is least.
func TestNothingWithinTheCertifiedRadiusChangesTheDecision(t *testing.T) {
	const models, inputs = 60, 6
	moves := 400
	if testing.Short() {
		moves = 60
	}
	asked, certified, unconditional, changed := 0, 0, 0, 0
	for seed := range uint64(models) {
		rng := rand.New(rand.NewPCG(seed, 77))
		m := decider(rng)
		options := compiler.Options{Bits: []int{7, 14, 14}[rng.IntN(3)], WeightBits: []int{8, 16, 16}[rng.IntN(3)], Codec: []simb.Codec{simb.CodecRaw, simb.CodecPacked}[rng.IntN(2)]}
		data, _, err := compiler.Compile(m, options)
		if err != nil {
			continue
		}
		var with []simrt.Option
		if rng.IntN(2) == 0 {
			with = append(with, simrt.WithInPlace())
		}
		loaded, err := simrt.Load(data, append(with, simrt.WithMargins())...)
		if err != nil {
			t.Fatal(err)
		}
		s, p := loaded.NewSession(), prober{rng, m.InputLo, m.InputHi}
		u := make([]float32, len(m.InputLo))
		for range inputs {
			for j := range u {
				u[j] = p.within(m.InputLo[j], float64(m.InputLo[j])+rng.Float64()*float64(m.InputHi[j]-m.InputLo[j]), math.Inf(1), j)
			}
			margin, err := s.Margin(u)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if class, err := s.Decide(u); err != nil || class != margin.Class {
				t.Fatalf("seed %d: class %d, Decide says %d (%v)", seed, margin.Class, class, err)
			}
			asked++
			if margin.Radius > 0 {
				certified++
			}
			if margin.BoxRadius > 0 {
				unconditional++
			}
			if margin.BoxRadius > margin.Radius || !margin.Unsaturated && margin.BoxRadius != margin.Radius {
				t.Errorf("seed %d: %+v", seed, margin)
			}
			for _, r := range []struct {
				radius    float64
				condition bool
			}{{margin.Radius, margin.Unsaturated}, {margin.BoxRadius, false}} {
				if r.radius > 0 && p.finds(s, u, min(r.radius, 1e6), margin.Class, r.condition, moves) {
					t.Errorf("seed %d: within %g of %v the decision is no longer %d (%+v)", seed, r.radius, u, margin.Class, margin)
				}
			}
			// Far beyond the radius decisions do change: the search is able to find that.
			if p.finds(s, u, 2, margin.Class, false, 20) {
				changed++
			}
		}
	}
	t.Logf("%d inputs, %d with a certified radius, %d without a condition; %d change within 2", asked, certified, unconditional, changed)
	if certified < asked/3 || unconditional < asked/6 || changed < asked/4 {
		t.Error("too few of them tell anything")
	}
}

// finds looks for an input within the radius that is decided otherwise; one that saturates does not count
// under the condition.
func (p prober) finds(s *simrt.Session, u []float32, radius float64, class int, unsaturated bool, moves int) bool {
	otherwise := func(v []float32) bool {
		got, err := s.Decide(v)
		return err == nil && got != class && !(unsaturated && s.Stats().Saturations > 0)
	}
	for k := range moves {
		if otherwise(p.move(u, radius, k%2 == 0)) {
			return true
		}
	}
	v := p.move(u, radius, true)
	for range 2 {
		for j := range v {
			least, kept := math.Inf(1), v[j]
			for _, x := range []float64{float64(u[j]) - radius, float64(u[j]) + radius} {
				v[j] = p.within(u[j], x, radius, j)
				m, err := s.Margin(v)
				if err != nil || otherwise(v) {
					return err == nil
				}
				if m.Lead < least {
					least, kept = m.Lead, v[j]
				}
			}
			v[j] = kept
		}
	}
	return false
}
