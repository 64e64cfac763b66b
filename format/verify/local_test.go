package verify

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// whole puts an input of the plan, and the point and the unused input, where the source has them.
func whole(p pair, u []float64) []float32 {
	out := make([]float32, p.source.Inputs())
	copy(out, p.source.InputLo)
	for j, input := range p.file.Inputs {
		out[input.Source] = float32(u[j])
	}
	return out
}

// decidedBy is the rule in plain words.
func decidedBy[T int32 | float64](rule simb.Decision, y []T) int {
	best := 0
	for k, v := range y {
		if rule == simb.DecideArgmax && v > y[best] || rule == simb.DecideArgmin && v < y[best] {
			best = k
		}
	}
	return best
}

func answered(p pair, u []float32) []int32 {
	inputs := make([]int64, len(p.file.Inputs))
	for j := range inputs {
		inputs[j], _ = quantise(&p.file.Inputs[j], p.file.Width, u[p.file.Inputs[j].Source])
	}
	var y []int32
	for _, v := range interpret(p.file, inputs).outputs {
		y = append(y, int32(v))
	}
	return y
}

// TestLocalProofsHold holds decisions, radii and bounds at single inputs against both networks.
func TestLocalProofsHold(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 9))
	equal, ball, far := 0, 0, 0
	all := append(append([]shape(nil), relaxShapes...), shapes[1:3]...)
	for k, s := range all {
		for seed := range uint64(3) {
			p := build(seed, s)
			if !s.loop {
				honest(p, cutEvenly(3, 2))
			}
			if k%2 == 1 {
				p.file.Decision, p.source.Decision = simb.DecideArgmin, model.DecideArgmin
			}
			l := must(NewLocal(p.file, p.source))
			session := l.NewSession()
			solver := must(model.NewSolver(p.source))
			for range 12 {
				u := whole(p, inBox(random, p.file))
				proof := must(session.At(u, true))
				y := answered(p, u)
				if *proof.Decision != decidedBy(p.file.Decision, y) {
					t.Fatalf("%s: %d is said to be decided, outputs are %v", s.name, *proof.Decision, y)
				}
				if want := math.Abs(float64(y[0])-float64(y[1])) * float64(p.file.OutputScale); *proof.Margin != want {
					t.Errorf("%s: margin %g, it is %g", s.name, *proof.Margin, want)
				}
				exact := make([]float64, 2)
				wide := make([]float64, len(u))
				for j, v := range u {
					wide[j] = float64(v)
				}
				if err := solver.Solve(wide, nil, exact); err != nil {
					t.Fatal(err)
				}
				same := decidedBy(p.file.Decision, exact) == *proof.Decision
				if *proof.ProvedEqual && !same && math.Abs(exact[0]-exact[1]) > 1e-9 {
					t.Errorf("%s: equal is said to be proved, but the float model gives %v", s.name, exact)
				}
				if !s.loop && !*proof.ProvedEqual && same && math.Abs(exact[0]-exact[1]) > 1e-9 {
					t.Errorf("%s: the decisions are equal and that is not proved", s.name)
				}
				if *proof.ProvedEqual {
					equal++
				}
				for k, bound := range proof.ErrorBound {
					e := math.Abs(exact[k] - float64(float32(float64(y[k])*float64(p.file.OutputScale))))
					if e > bound+1e-9 || !s.loop && bound > e+1e-9 {
						t.Errorf("%s: output %d is off by %g, the bound is %g", s.name, k, e, bound)
					}
				}
				for _, r := range []*float64{proof.Radius, proof.RadiusLipschitz} {
					if (r == nil) != (s.loop && r == proof.Radius) {
						t.Fatalf("%s: a radius is missing or too many", s.name)
					}
					if r == nil || *r == 0 {
						continue
					}
					if ball++; *r == *proof.RadiusLipschitz {
						far++
					}
					for range 20 {
						if v := around(random, p, u, *r); decidedBy(p.file.Decision, answered(p, v)) != *proof.Decision {
							t.Fatalf("%s: at a distance within %g of %v another decision, at %v", s.name, *r, u, v)
						}
					}
				}
			}
		}
	}
	t.Logf("%d proved equal, %d radii above 0, %d of them by Lipschitz constants", equal, ball, far)
	if equal < 150 || ball-far < 100 || far < 5 {
		t.Error("too little is proved")
	}
}

// around draws an input of the box within a distance, mostly at it.
func around(random *rand.Rand, p pair, u []float32, r float64) []float32 {
	v := append([]float32(nil), u...)
	for _, input := range p.file.Inputs {
		step := r * []float64{-1, 1, 2*random.Float64() - 1}[random.IntN(3)]
		at := float32(float64(u[input.Source]) + step)
		if math.Abs(float64(at)-float64(u[input.Source])) > r { // float32 rounds, and may leave the ball
			at = math.Nextafter32(at, u[input.Source])
		}
		v[input.Source] = min(max(at, input.Lo), input.Hi)
	}
	return v
}

// TestRadiiAreLargeWhereTheyCanBeWorkedOut: one identity, so that both outputs are linear in the inputs.
func TestRadiiAreLargeWhereTheyCanBeWorkedOut(t *testing.T) {
	p := build(1, shape{"identity", 14, 1, false, []model.Kind{model.Identity}, false, []int{1}})
	m := p.file
	honest(p, []uint8{0})
	l := must(NewLocal(m, p.source))
	random := rand.New(rand.NewPCG(4, 4))
	for range 20 {
		u := whole(p, inBox(random, m))
		proof := must(l.NewSession().At(u, true))
		// Linear in u: the difference is margin + Σ s_j δ_j, so the real radius is margin / Σ|s_j|, or the
		// whole box. Both networks agree to 1 %.
		slope := make([]float64, 3)
		n := m.States()
		for j := range slope {
			w := func(i, j int) float64 { return realisedBounds(m).weights[i][j] }
			slope[j] = w(n, j) - w(n+1, j) + (w(n, 3)-w(n+1, 3))*w(0, j)
		}
		steepest := math.Abs(slope[0]) + math.Abs(slope[1]) + math.Abs(slope[2])
		want := *proof.Margin / steepest
		if *proof.Radius < 0.9*want-0.01 && *proof.Radius < 0.9 {
			t.Errorf("radius %g at %v, about %g holds", *proof.Radius, u, want)
		}
	}
}

// TestRadiiHoldWhereTheyEnd moves every input of linear models by the whole radius against the decision.
func TestRadiiHoldWhereTheyEnd(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 5))
	ends := 0
	for seed := range uint64(12) {
		p := build(seed, shape{"identity", 7, 1, false, []model.Kind{model.Identity}, false, []int{1}})
		honest(p, []uint8{0})
		l := must(NewLocal(p.file, p.source))
		real, n := realisedBounds(p.file), p.file.States()
		for range 40 {
			u := whole(p, inBox(random, p.file))
			proof := must(l.NewSession().At(u, true))
			a, b := n+*proof.Decision, n+1-*proof.Decision
			for _, r := range []float64{*proof.Radius, *proof.RadiusLipschitz} {
				v := append([]float32(nil), u...)
				for j, input := range p.file.Inputs {
					w := func(i int) float64 { return real.weights[i][j] + real.weights[i][3]*real.weights[0][j] }
					at := float64(u[input.Source]) - math.Copysign(r*(1-1e-6), w(a)-w(b))
					v[input.Source] = min(max(float32(at), input.Lo), input.Hi)
				}
				if r > 0 {
					ends++
				}
				if decidedBy(p.file.Decision, answered(p, v)) != *proof.Decision {
					t.Fatalf("seed %d: at the end of a radius of %g from %v another decision", seed, r, u)
				}
			}
		}
	}
	if ends < 100 {
		t.Errorf("%d radii above 0", ends)
	}
}

// TestTiesAreNotWonByTheHigherIndex: output 1 is output 0 and less than half a unit, so that rounding decides; a
// decision for 1 holds nowhere around.
func TestTiesAreNotWonByTheHigherIndex(t *testing.T) {
	p := build(2, shape{"identity", 14, 1, false, []model.Kind{model.Identity}, false, []int{1}})
	m := p.file
	cols, values := m.Weights.Row(1)
	first := append([]int16(nil), values...)
	weights := sparse.New[int16](3, m.Weights.Cols)
	stateCols, stateValues := m.Weights.Row(0)
	weights.AppendRow(0, stateCols, stateValues)
	weights.AppendRow(1, cols, first)
	weights.AppendRow(2, cols, first)
	m.Weights = weights
	m.Rows[1].Multiplier = quant.Multiplier{M: 1 << 20, S: 30} // a unit of the output is 1024 of the accumulator
	m.Rows[2] = m.Rows[1]
	m.Rows[2].Bias += 400
	l := must(NewLocal(m, nil))
	random := rand.New(rand.NewPCG(4, 6))
	higher := 0
	for range 60 {
		proof := must(l.NewSession().At(whole(p, inBox(random, m)), true))
		if *proof.Decision == 1 {
			higher++
			if *proof.Radius > 0.2 {
				t.Errorf("a radius of %g", *proof.Radius)
			}
		}
	}
	if higher < 5 {
		t.Errorf("output 1 is decided %d times", higher)
	}
}

func TestLocalRefusesWhatItCannotAnswer(t *testing.T) {
	p := build(1, relaxShapes[0])
	if _, err := NewLocal(p.file, build(1, relaxShapes[6]).source); err == nil {
		t.Error("another float model passes")
	}
	broken := *p.file
	broken.OutputScale = 0
	if _, err := NewLocal(&broken, nil); err == nil {
		t.Error("a broken model passes")
	}
	session := must(NewLocal(p.file, nil)).NewSession()
	for _, u := range [][]float32{nil, make([]float32, 4), {0, 0, float32(math.NaN()), 0, 0}, {float32(math.Inf(1)), 0, 0, 0, 0}} {
		if _, err := session.At(u, false); err == nil {
			t.Errorf("%v passes", u)
		}
	}
	proof := must(session.At(whole(p, []float64{0.5, 0.65, 0}), false))
	if proof.ProvedEqual != nil || proof.ErrorBound != nil || proof.Radius != nil || proof.Decision == nil {
		t.Errorf("without a float model: %+v", proof)
	}
	if proof := must(session.At([]float32{2, 0, 0.65, 0, 0}, true)); proof.Radius != nil || proof.RadiusLipschitz != nil {
		t.Errorf("outside the box: %+v", proof)
	}
	p.file.Decision, p.source.Decision = simb.DecideNone, model.DecideNone
	proof = must(must(NewLocal(p.file, p.source)).NewSession().At(whole(p, []float64{0.5, 0.65, 0}), true))
	if proof.Decision != nil || proof.Margin != nil || proof.Radius != nil || proof.ProvedEqual != nil || len(proof.ErrorBound) != 2 {
		t.Errorf("a model that does not decide: %+v", proof)
	}
}

// TestLocalClaimsNothingForInputsOutsideTheSourcesBox moves an input that folds into biases: the bounds of a file with
// loops are of other outputs then, those of a file without are found at the input itself.
func TestLocalClaimsNothingForInputsOutsideTheSourcesBox(t *testing.T) {
	for _, s := range []shape{shapes[1], relaxShapes[2]} {
		p := build(1, s)
		session := must(NewLocal(p.file, p.source)).NewSession()
		solver := must(model.NewSolver(p.source))
		u := whole(p, []float64{0.5, 0.64, 1})
		for _, v := range []float32{p.source.InputLo[1], p.source.InputLo[1] + 100} {
			u[1] = v
			proof := must(session.At(u, false))
			if s.loop && v != p.source.InputLo[1] {
				if proof.ErrorBound != nil || proof.ProvedEqual != nil {
					t.Errorf("%s: input 1 is %g: a bound of %v, equal %v", s.name, v, proof.ErrorBound, proof.ProvedEqual)
				}
				continue
			}
			wide, exact, y := make([]float64, len(u)), make([]float64, 2), answered(p, u)
			for j, v := range u {
				wide[j] = float64(v)
			}
			if err := solver.Solve(wide, nil, exact); err != nil {
				t.Fatal(err)
			}
			for k, bound := range proof.ErrorBound {
				if e := math.Abs(exact[k] - float64(y[k])*float64(p.file.OutputScale)); e > bound+1e-6*math.Abs(exact[k]) {
					t.Errorf("%s: input 1 is %g: output %d is off by %g, proved is %g", s.name, v, k, e, bound)
				}
			}
			if len(proof.ErrorBound) != 2 {
				t.Errorf("%s: %d bounds", s.name, len(proof.ErrorBound))
			}
		}
	}
}
