package trainer

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/trainer/internal/refine"
	"github.com/sparse-implicit/sim/trainer/internal/rowsolve"
)

var ridges = []float64{1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1}

const (
	freeSamples   = 6_000 // samples on which a model with loops is run to its equilibrium
	spendAttempts = 5     // how often a budget that states' deaths left open is offered again
	spendSlack    = 500   // … where more than one in so many numbers is left
)

// refine takes the rows as solved to the final ones: the budget is met by gradual removal, the
// survivors are refitted.
func (f *fitter) refine(wide *draft, budget int) (*draft, error) {
	if budget == 0 {
		supports := make([][]int32, len(wide.rows))
		alive := f.reached(wide)
		for i, r := range wide.rows {
			if alive[i] {
				supports[i] = f.moments.Varying(r.support)
			}
		}
		return f.refit(supports)
	}
	plan, err := f.planRemovals(wide, budget)
	if err != nil {
		return nil, err
	}
	var best *draft
	bestCount := -1
	target, last := budget, -1
	for range spendAttempts {
		supports := plan.keep(f, target)
		if kept := weightsIn(supports); kept == last { // there are no more
			break
		} else {
			last = kept
		}
		fitted, err := f.refit(supports)
		if err != nil {
			return nil, err
		}
		count := f.count(fitted)
		if count <= budget && count > bestCount {
			best, bestCount = fitted, count
		}
		if open := budget - count; open >= 0 && open <= budget/spendSlack {
			break
		}
		target += budget - count
	}
	if best == nil {
		return nil, fmt.Errorf("%d nonzeros: no fit stayed within them; allow more: %w", budget, ErrBudget)
	}
	return best, nil
}

func weightsIn(supports [][]int32) int {
	sum := 0
	for _, s := range supports {
		sum += len(s)
	}
	return sum
}

// refit fits every row with a support (nil: the state is gone) by least squares: first on the teacher's
// states, then on those that the model itself has.
func (f *fitter) refit(supports [][]int32) (*draft, error) {
	ridge := f.chooseRidge(supports)
	if f.options.Structure == Free {
		return f.refitFree(supports, ridge)
	}
	return f.regenerate(f.debias(supports, ridge), ridge)
}

// chooseRidge returns the ridge whose rows, fitted on five sixths of the samples, have the least error
// at the output on the others. The smallest wins ties.
func (f *fitter) chooseRidge(supports [][]int32) float64 {
	if f.fitPart == nil {
		return max(f.options.Ridge, ridges[0])
	}
	best, least := 0.0, math.Inf(1)
	for _, ridge := range ridges {
		losses := make([]float64, len(supports))
		parallel(len(supports), func(i int) {
			support := f.fitPart.Varying(supports[i])
			coef := f.fitPart.LeastSquares(i, support, ridge)
			shift := f.heldOutPart.Intercept(i, support, coef) - f.fitPart.Intercept(i, support, coef)
			losses[i] = f.omega[i] * f.omega[i] * (f.heldOutPart.Loss(i, support, coef) + float64(shift*shift)/2)
		})
		sum := 0.0
		for i, loss := range losses {
			if supports[i] != nil {
				sum += loss
			}
		}
		if sum < least {
			best, least = ridge, sum
		}
	}
	return best
}

// leastSquares fits one row on moments whose features and targets are numbered as the fitter's.
func leastSquares(m *refine.Moments, target int, support []int32, ridge float64) row {
	support = m.Varying(support)
	coef := m.LeastSquares(target, support, ridge)
	return row{support, coef, m.Intercept(target, support, coef)}
}

// debias removes the penalty's shrinkage: least squares on the supports, on the teacher's states.
func (f *fitter) debias(supports [][]int32, ridge float64) *draft {
	d := &draft{rows: make([]row, len(supports))}
	parallel(len(supports), func(i int) {
		if supports[i] != nil {
			d.rows[i] = leastSquares(f.moments, i, supports[i], ridge)
		}
	})
	return d
}

// regenerate refits the rows of a causal draft group by group on the states that the groups before
// really have. The first group reads inputs alone and stays.
func (f *fitter) regenerate(d *draft, ridge float64) (*draft, error) {
	for g := 1; g < len(f.rowsFrom); g++ {
		next := &draft{rows: append([]row(nil), d.rows...)}
		alive := f.reached(d)
		var rows []int
		for _, i := range f.rowsFrom[g] {
			if alive[i] {
				rows = append(rows, i)
			}
		}
		local, err := f.ownMoments(d, g, rows)
		if err != nil {
			return nil, err
		}
		parallel(len(rows), func(k int) {
			next.rows[rows[k]] = local.leastSquares(k, d.rows[rows[k]].support, ridge)
		})
		d = next
		f.options.Progress("refit", g, len(f.rowsFrom)-1)
	}
	return d, nil
}

// ownMoments are moments of the features that some rows read, the states being a draft's own.
type ownMoments struct {
	moments  *refine.Moments
	features []int32 // the fitter's number of each feature
	place    []int32 // and back; −1 where absent
}

// leastSquares fits target k of the rows that the moments were made for.
func (o *ownMoments) leastSquares(k int, support []int32, ridge float64) row {
	local := make([]int32, len(support))
	for a, j := range support {
		local[a] = o.place[j]
	}
	r := leastSquares(o.moments, k, local, ridge)
	for a, j := range r.support {
		r.support[a] = o.features[j]
	}
	return r
}

// ownMoments runs the first groups of a draft on all samples and gathers moments of what rows read,
// with the teacher's z and y of these rows as targets.
func (f *fitter) ownMoments(d *draft, groups int, rows []int) (*ownMoments, error) {
	n, p := f.states(), f.shape.Inputs
	own := &ownMoments{place: make([]int32, f.features())}
	for _, i := range rows {
		for _, j := range d.rows[i].support {
			own.place[j] = 1
		}
	}
	for j, used := range own.place {
		own.place[j] = -1
		if used != 0 {
			own.place[j] = int32(len(own.features))
			own.features = append(own.features, int32(j))
		}
	}
	gram := rowsolve.NewGram(len(own.features), len(rows))
	buffer := newSampleBuffer(len(own.features), len(rows))
	evaluator := f.evaluate(d, groups)
	var x []float32
	teacher := make([]float32, f.features())
	targets := make([]float32, f.rows())
	err := f.source.Batches(f.ctx, func(b *Batch) error {
		x = resized(x, b.Samples*n)
		evaluator.run(b.U, b.Samples, x)
		for k := range b.Samples {
			f.scaledSample(b, k, teacher, targets)
			to, wanted := buffer.next()
			for a, j := range own.features {
				if int(j) < n {
					to[a] = x[k*n+int(j)]
				} else {
					to[a] = b.U[k*p+int(j)-n]
				}
			}
			for a, i := range rows {
				wanted[a] = targets[i]
			}
		}
		buffer.flush(gram)
		return nil
	})
	if err != nil {
		return nil, err
	}
	own.moments = refine.FromGram(gram, !f.options.NoBias)
	return own, nil
}
