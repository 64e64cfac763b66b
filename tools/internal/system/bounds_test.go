package system

import (
	"math"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/verify"
	simrt "github.com/sparse-implicit/sim/runtime"
	"github.com/sparse-implicit/sim/trainer"
	"github.com/sparse-implicit/sim/trainer/dataset"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// TestBoundsOfFittedModels compares, for models fitted to FashionMNIST, the bound that holds while nothing
// saturates with the largest error on the test part, and says how many test images have a decision that is
// proved to be the float model's.
//
//	SIM_LONG=1 go test -v -timeout 1h -run BoundsOfFittedModels ./tools/internal/system
func TestBoundsOfFittedModels(t *testing.T) {
	if !long() {
		t.Log("one small model of the mini set; SIM_LONG=1 fits 5,000 and 10,000 numbers to the whole set")
		set := openSet(t, "builtin:fashion-mini", dataset.Classification)
		network := taught(t, set, teacher.Config{Hidden: []int{32, 16}, Epochs: 3})
		boundsOf(t, fittedTo(t, network, set, trainer.Options{NNZ: 2000}), set)
		return
	}
	set := wholeFashion(t)
	network := taught(t, set, teacher.Config{Hidden: []int{128, 64}, Epochs: 20})
	for _, nnz := range []int{5000, 10000} {
		m := fittedTo(t, network, set, trainer.Options{NNZ: nnz, Epochs: trainer.DefaultEpochs(set.Train.Samples)})
		boundsOf(t, m, set)
	}
}

// boundsOf compiles a model at 7 and at 14 bits and logs its bounds beside what is seen.
func boundsOf(t *testing.T, m *model.Model, set *dataset.Set) {
	t.Helper()
	for _, o := range []compiler.Options{{Bits: 7}, {Bits: 14}, {Bits: 14, WeightBits: 16}} {
		o.Prove = compiler.Prove{On: true}
		report, file, loaded := compiledFrom(t, m, o)
		seen, saturated, equal := observed(t, m, loaded, set.Test)
		ratio := 0.0
		for k, bound := range report.ErrorBoundCalibrated {
			ratio = max(ratio, bound/seen[k])
			if seen[k] > bound {
				t.Errorf("output %d is off by %g, its bound is %g", k, seen[k], bound)
			}
		}
		found := attacked(t, m, loaded, set.Test)
		for k, bound := range report.ErrorBoundCalibrated {
			if found[k] > bound {
				t.Errorf("output %d can be made to be off by %g, its bound is %g", k, found[k], bound)
			}
		}
		bound := largest(report.ErrorBoundCalibrated)
		t.Logf("%5d numbers, %2d bits, weights of %2d: bound %.3g while nothing saturates; largest error %.3g over %d test images (%d more saturate), ratio %.1f, of the worst output %.1f; largest error of pixels chosen one by one %.3g, ratio %.1f; decisions equal on %.2f %%, proved so on %.2f %%",
			m.NNZ().Total(), o.Bits, max(o.WeightBits, 8), bound, largest(seen), set.Test.Samples-saturated, saturated,
			bound/largest(seen), ratio, largest(found), bound/largest(found), 100*equal, 100*provedEqual(t, m, file, set.Test))
	}
}

// observed runs both models on a part: the largest error of each output where nothing saturates, how many
// samples saturate, and the share of equal decisions.
func observed(t *testing.T, m *model.Model, loaded *simrt.Model, part dataset.Part) (worst []float64, saturated int, equal float64) {
	t.Helper()
	solver, err := model.NewSolver(m)
	if err != nil {
		t.Fatal(err)
	}
	session, p := loaded.NewSession(), m.Inputs()
	dst := make([]float32, m.Outputs())
	u, x, y := make([]float64, p), make([]float64, m.States()), make([]float64, m.Outputs())
	worst = make([]float64, m.Outputs())
	for s := range part.Samples {
		src := part.X[s*p : (s+1)*p]
		for j, v := range src {
			u[j] = float64(v)
		}
		if err := solver.Solve(u, x, y); err != nil {
			t.Fatal(err)
		}
		if err := session.Infer(dst, src); err != nil {
			t.Fatal(err)
		}
		if class, err := session.Decide(src); err != nil {
			t.Fatal(err)
		} else if class == m.Decide(y) {
			equal++
		}
		if session.Stats().Saturations > 0 {
			saturated++
			continue
		}
		for k := range worst {
			worst[k] = max(worst[k], math.Abs(float64(dst[k])-y[k]))
		}
	}
	return worst, saturated, equal / float64(part.Samples)
}

// attacked looks for inputs without saturation at which an output is as far off as can be found: it starts from
// images and sets one pixel after the other to the end of its range at which the error is larger.
func attacked(t *testing.T, m *model.Model, loaded *simrt.Model, part dataset.Part) []float64 {
	t.Helper()
	starts, sweeps := 1, 1
	if long() {
		starts, sweeps = 2, 3
	}
	solver, err := model.NewSolver(m)
	if err != nil {
		t.Fatal(err)
	}
	session, p := loaded.NewSession(), m.Inputs()
	src, dst := make([]float32, p), make([]float32, m.Outputs())
	u, x, y := make([]float64, p), make([]float64, m.States()), make([]float64, m.Outputs())
	off := func(k int, sign float64) float64 {
		for j, v := range src {
			u[j] = float64(v)
		}
		if err := solver.Solve(u, x, y); err != nil {
			t.Fatal(err)
		}
		if err := session.Infer(dst, src); err != nil {
			t.Fatal(err)
		}
		if session.Stats().Saturations > 0 {
			return math.Inf(-1)
		}
		return sign * (float64(dst[k]) - y[k])
	}
	worst := make([]float64, m.Outputs())
	for k := range worst {
		for _, sign := range []float64{1, -1} {
			for start := range starts {
				copy(src, part.X[(start*17+k)*p:])
				best := off(k, sign)
				for range sweeps {
					for j := range src {
						kept := src[j]
						for _, end := range []float32{m.InputLo[j], m.InputHi[j]} {
							src[j] = end
							if e := off(k, sign); e > best {
								best, kept = e, end
							}
						}
						src[j] = kept
					}
				}
				worst[k] = max(worst[k], best)
			}
		}
	}
	return worst
}

// provedEqual returns the share of samples at which the decision is proved to be the float model's.
func provedEqual(t *testing.T, m *model.Model, file *simb.Model, part dataset.Part) float64 {
	t.Helper()
	local, err := verify.NewLocal(file, m)
	if err != nil {
		t.Fatal(err)
	}
	session, p, proved := local.NewSession(), m.Inputs(), 0
	for s := range part.Samples {
		proof, err := session.At(part.X[s*p:(s+1)*p], false)
		if err != nil {
			t.Fatal(err)
		}
		if *proof.ProvedEqual {
			proved++
		}
	}
	return float64(proved) / float64(part.Samples)
}
