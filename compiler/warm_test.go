package compiler_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	simrt "github.com/sparse-implicit/sim/runtime"
)

// inBox returns inputs within the box: far from those before, or near them; often at an end.
func inBox(rng *rand.Rand, m *model.Model, u []float32) {
	near := rng.IntN(2) == 0
	for j := range u {
		lo, hi := m.InputLo[j], m.InputHi[j]
		switch rng.IntN(6) {
		case 0:
			u[j] = []float32{lo, hi}[rng.IntN(2)]
		case 1, 2:
			share := rng.Float32()
			if near {
				share *= 0.05
			}
			u[j] = min(max(u[j]+(hi-lo)*(share-rng.Float32()/20), lo), hi)
		}
	}
}

// Updates with WithWarmStart keep within the bounds that the file claims for inferences, states of loops included.
// WithWarmStart says what of this is proved. It would catch a mistake there: most of these loops start far from
// where they would.
func TestWarmUpdatesKeepTheBoundsOfTheFile(t *testing.T) {
	seen := map[string]int{}
	closest := 0.0
	for seed := range uint64(fewer(160)) {
		rng := rand.New(rand.NewPCG(seed, 21))
		m := draw(rng, shape{loops: true, calibrated: seed%2 == 1})
		o := anyOptions(rng)
		data, report, err := compiler.Compile(m, o)
		if err != nil || report.Loops == 0 {
			continue
		}
		file, err := simb.Open(data)
		if err != nil {
			t.Fatal(err)
		}
		warm, err := simrt.Load(data, simrt.WithWarmStart())
		if err != nil {
			t.Fatal(err)
		}
		solver, err := model.NewSolver(m)
		if err != nil {
			t.Fatal(err)
		}
		plan, s := file.Meta(), warm.NewSession()
		u, wide := make([]float32, warm.Inputs()), make([]float64, warm.Inputs())
		copy(u, m.InputLo)
		x, y := make([]float64, m.States()), make([]float64, warm.Outputs())
		got, states := make([]float32, warm.Outputs()), make([]uint16, warm.States())
		changed := make([]int, len(u))
		for j := range changed {
			changed[j] = j
		}
		for range 40 {
			inBox(rng, m, u)
			if err := s.Update(got, changed, u); err != nil {
				t.Fatal(err)
			}
			for j := range u {
				wide[j] = float64(u[j])
			}
			if err := solver.Solve(wide, x, y); err != nil {
				t.Fatal(err)
			}
			if err := s.CopyStates(states); err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				name  string
				claim *simb.ErrorCertificate
				holds bool
			}{{"box", plan.Certificates.Box, true}, {"calibrated", plan.Certificates.Calibrated, s.Stats().Saturations == 0}} {
				if c.claim == nil || !c.holds {
					continue
				}
				seen[c.name]++
				for i := range c.claim.State {
					row := &plan.Rows[i]
					off := math.Abs(float64(row.Scale)*(float64(states[i])-float64(row.Zero)) - x[plan.SourceState[i]])
					if off > float64(c.claim.State[i])*(1+1e-6)+1e-12 {
						t.Errorf("seed %d, %s: state %d is off by %g, claimed is %g", seed, c.name, i, off, c.claim.State[i])
					}
				}
				for k, bound := range c.claim.Output {
					off := math.Abs(float64(got[k]) - y[k])
					closest = max(closest, off/float64(bound))
					if off > float64(bound)*(1+1e-6)+1e-12 {
						t.Errorf("seed %d, %s: output %d is off by %g, claimed is %g", seed, c.name, k, off, bound)
					}
				}
			}
			seen["updates"]++
			if s.Stats().Sweeps > 0 {
				seen["with sweeps"]++
			}
		}
	}
	t.Logf("%v, at most %.3g of a bound", seen, closest)
	for _, what := range []string{"box", "calibrated", "with sweeps"} {
		if seen[what] < fewer(800) {
			t.Errorf("%q in %d updates only; the test has lost its force", what, seen[what])
		}
	}
}
