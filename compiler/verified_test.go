package compiler_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/format/verify"
)

// shape says what kind of model draw makes.
type shape struct {
	loops      bool    // A may have cycles, self-loops included
	calibrated bool    // ranges of the states are declared, not always true ones
	spread     float64 // weights, biases and boxes range over e^±spread
}

// draw makes a model with every activation mixed, empty rows, point boxes, states that are never active.
func draw(rng *rand.Rand, s shape) *model.Model {
	n, p, q := rng.IntN(14), rng.IntN(6), 1+rng.IntN(4)
	size := func() float64 { return math.Exp(s.spread * (2*rng.Float64() - 1)) }
	density := 0.2 + 0.7*rng.Float64()
	entries := func(rows, cols int, keep func(i, j int) bool) *sparse.Matrix[float32] {
		dense := make([]float32, rows*cols)
		for i := range rows {
			for j := range cols {
				if rng.Float64() < density && keep(i, j) {
					dense[i*cols+j] = float32(rng.NormFloat64() * size())
				}
			}
		}
		return sparse.FromDense(rows, cols, dense)
	}
	all := func(int, int) bool { return true }
	m := &model.Model{
		A: entries(n, n, func(i, j int) bool { return j < i || s.loops }),
		B: entries(n, p, all), C: entries(q, n, all), D: entries(q, p, all),
		Decision: []model.Decision{model.DecideNone, model.DecideArgmax, model.DecideArgmin}[rng.IntN(3)],
	}
	if s.loops {
		contract(rng, m.A)
	}
	number := func() float32 { return float32(rng.NormFloat64() * size() * float64(rng.IntN(3))) }
	for range n {
		m.StateBias = append(m.StateBias, number())
		m.Activations = append(m.Activations, anyActivation(rng, size()))
	}
	for range q {
		m.OutputBias = append(m.OutputBias, number())
	}
	for range p {
		lo := number()
		m.InputLo = append(m.InputLo, lo)
		m.InputHi = append(m.InputHi, lo+float32(float64(rng.IntN(4))*rng.Float64()*size()))
	}
	if s.calibrated {
		for i := range n {
			scale := size() * math.Exp2(-float64(rng.IntN(12)))
			if c := float64(m.Activations[i].P1); c > 0 && rng.IntN(2) == 0 {
				scale = c * (0.97 + 0.05*rng.Float64()) / 1.1 // near the function's own limit
			}
			m.StateLo = append(m.StateLo, float32(-scale*float64(rng.IntN(2))))
			m.StateHi = append(m.StateHi, float32(scale*float64(rng.IntN(4))/3))
		}
	}
	return m
}

// contract scales A to row sums below 0.95, then by a diagonal similarity: rows of large norm remain, the
// eigenvalue of |A| stays below 0.95.
func contract(rng *rand.Rand, a *sparse.Matrix[float32]) {
	scale := make([]float64, a.Rows)
	for i := range scale {
		scale[i] = math.Exp2(float64(rng.IntN(6)))
	}
	for i := range a.Rows {
		cols, values := a.Row(i)
		sum := 1e-30
		for _, v := range values {
			sum += math.Abs(float64(v))
		}
		share := 0.95 * rng.Float64()
		for k, j := range cols {
			values[k] = float32(float64(values[k]) / sum * share * scale[i] / scale[j])
		}
	}
}

func anyActivation(rng *rand.Rand, size float64) model.Activation {
	c := float32(max(size, 1e-30))
	return []model.Activation{
		{Kind: model.Identity}, {Kind: model.ReLU}, {Kind: model.ClippedReLU, P1: c},
		{Kind: model.LeakyReLU, P0: min(1, c/4)}, {Kind: model.HardTanh, P0: -c, P1: c}, {Kind: model.Tanh}, {Kind: model.Sigmoid},
	}[rng.IntN(7)]
}

func anyOptions(rng *rand.Rand) compiler.Options {
	return compiler.Options{
		Bits: []int{0, 7, 14}[rng.IntN(3)], WeightBits: []int{0, 4, 5, 8, 16}[rng.IntN(5)],
		Codec: []simb.Codec{simb.CodecRaw, simb.CodecPacked}[rng.IntN(2)],
	}
}

// fewer returns an eighth of a number in the short form, which emulated machines run.
func fewer(n int) int {
	if testing.Short() {
		return n / 8
	}
	return n
}

// TestEveryClaimIsProvedAnew compiles models of every kind and has the independent checker prove all of
// their figures again, from the file and against the model, and compare both on samples. A model that
// is refused must be refused for one of the documented reasons.
func TestEveryClaimIsProvedAnew(t *testing.T) {
	models := fewer(100)
	for _, s := range []shape{
		{}, {calibrated: true}, {loops: true}, {loops: true, calibrated: true},
		{spread: 6, calibrated: true}, {loops: true, spread: 6, calibrated: true}, {loops: true, spread: 60}, {spread: 60, calibrated: true},
	} {
		t.Run(fmt.Sprintf("%+v", s), func(t *testing.T) {
			refused, claimed := 0, 0
			for seed := range uint64(models) {
				rng := rand.New(rand.NewPCG(seed, 9))
				m, o := draw(rng, s), anyOptions(rng)
				data, report, err := compiler.Compile(m, o)
				if err != nil {
					if !errors.Is(err, compiler.ErrUnfit) && !errors.Is(err, compiler.ErrNotWellPosed) && !errors.Is(err, model.ErrInvalid) {
						t.Fatalf("seed %d, %+v: %v", seed, o, err)
					}
					refused++
					t.Logf("seed %d: %v", seed, err)
					continue
				}
				if report.ErrorBoundBox != nil {
					claimed++
				}
				samples := 20
				if s.loops && s.spread > 10 {
					samples = 0 // the reference solver resolves a loop's largest state, not its smallest
				}
				checks, err := verify.File(data, verify.Options{Against: m, Samples: samples, Seed: seed})
				if err != nil {
					t.Fatalf("seed %d, %+v: %v", seed, o, err)
				}
				for _, c := range checks.Checks {
					if !c.OK {
						t.Errorf("seed %d, %+v: %s: %s", seed, o, c.Name, c.Detail)
					}
				}
			}
			t.Logf("%d refused, %d with a bound over the box", refused, claimed)
		})
	}
}
