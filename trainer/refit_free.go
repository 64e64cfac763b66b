package trainer

import (
	"fmt"

	"github.com/sparse-implicit/sim/trainer/internal/refine"
	"github.com/sparse-implicit/sim/trainer/internal/rowsolve"
)

// refitFree refits a draft of free structure. The rows of (A, B) keep their ball ‖a‖₁ ≤ κ. They are
// fitted on the teacher's states and once more on the equilibrium of that first fit; whichever of the
// two comes closer to the teacher at its own equilibrium stays, and (C, D) are fitted on it.
func (f *fitter) refitFree(supports [][]int32, ridge float64) (*draft, error) {
	first := f.debias(supports, ridge)
	if err := f.inBall(first, f.gram, supports, ridge); err != nil {
		return nil, err
	}
	own, firstError, err := f.equilibrium(first)
	if err != nil {
		return nil, err
	}
	f.options.Progress("refit", 1, 3)
	second := f.onOwnStates(first, own, ridge)
	if err := f.inBall(second, own, supports, ridge); err != nil {
		return nil, err
	}
	f.options.Progress("refit", 2, 3)
	ownOfSecond, secondError, err := f.equilibrium(second)
	if err != nil {
		return nil, err
	}
	best, gram := second, ownOfSecond
	if firstError <= secondError {
		best, gram = first, own
	}
	f.options.Progress("refit", 3, 3)
	return f.onOwnStates(best, gram, ridge), nil
}

// inBall replaces the rows of (A, B) in d by constrained least squares on their supports. As everywhere,
// the ridge is relative to each feature's own second moment, so that units do not matter.
func (f *fitter) inBall(d *draft, gram *rowsolve.Gram, supports [][]int32, ridge float64) error {
	n := f.states()
	var problems []rowsolve.Problem
	moments := gram.FeatureStd()
	for j, std := range moments {
		moments[j] = float64(std * std)
		if f.options.NoBias {
			moments[j] = gram.FF(j, j) / float64(gram.Samples())
		}
	}
	for i := range n {
		if supports[i] == nil {
			continue
		}
		problems = append(problems, rowsolve.Problem{
			Target: i, Omega: 1, Penalty: make([]float64, f.features()), Candidates: supports[i],
			BallSize: n, Kappa: f.options.Kappa, Intercept: !f.options.NoBias, Ridge: ridge, RidgeWeights: moments,
		})
	}
	solutions, err := rowsolve.SolveAll(gram, problems, nil, 0, nil)
	if err != nil {
		return fmt.Errorf("refitting within the ball: %w", err)
	}
	for k, s := range solutions {
		d.rows[problems[k].Target] = row{s.Support, s.Coef, s.Intercept}
	}
	return nil
}

// onOwnStates returns d with (C, D) fitted by least squares on the draft's own states.
func (f *fitter) onOwnStates(d *draft, gram *rowsolve.Gram, ridge float64) *draft {
	next := &draft{rows: append([]row(nil), d.rows...)}
	moments := refine.FromGram(gram, !f.options.NoBias)
	for i := f.states(); i < f.rows(); i++ {
		next.rows[i] = leastSquares(moments, i, d.rows[i].support, ridge)
	}
	return next
}

// equilibrium runs a draft to its equilibrium on samples spread over all, and returns the Gram of its
// own states and the inputs with the teacher's z and y, and the mean of Σ ω²(ẑ − z)² over live states.
func (f *fitter) equilibrium(d *draft) (*rowsolve.Gram, float64, error) {
	n, use := f.states(), min(f.shape.Samples, freeSamples)
	gram := rowsolve.NewGram(f.features(), f.rows())
	buffer := newSampleBuffer(f.features(), f.rows())
	evaluator := f.evaluate(d, len(f.rowsFrom))
	alive, total := f.reached(d), 0.0
	var u []float32
	err := f.source.Batches(f.ctx, func(b *Batch) error {
		u = u[:0]
		var chosen []int
		for k := range b.Samples {
			s := b.First + k
			if (s+1)*use/f.shape.Samples > s*use/f.shape.Samples {
				chosen = append(chosen, k)
				u = append(u, b.U[k*f.shape.Inputs:(k+1)*f.shape.Inputs]...)
			}
		}
		x := make([]float32, len(chosen)*n)
		evaluator.run(u, len(chosen), x)
		for c, k := range chosen {
			features, targets := buffer.next()
			f.scaledSample(b, k, features, targets)
			copy(features, x[c*n:(c+1)*n])
			for i := range n {
				if alive[i] {
					off := f.omega[i] * (d.rows[i].at(features) - float64(targets[i]))
					total += float64(off * off)
				}
			}
		}
		buffer.flush(gram)
		return nil
	})
	return gram, total / float64(use), err
}

// at returns the row's value at one sample's features.
func (r *row) at(features []float32) float64 {
	sum := r.bias
	for k, j := range r.support {
		sum += float64(r.coef[k] * float64(features[j]))
	}
	return sum
}
