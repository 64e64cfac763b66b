package trainer

import (
	"github.com/sparse-implicit/sim/trainer/internal/refine"
)

// eliminationRidge steadies the inverses behind the removals; relative to a weight's second moment.
const eliminationRidge = 1e-5

// removals are the rows' weights in the order in which they would leave, each row by itself.
type removals struct {
	wide  *draft
	order [][]refine.Removal // per row; costs are those at the output (times ω²) and never fall along a row
}

// planRemovals orders the removals of all rows of wide far enough that `wanted` numbers can be left.
func (f *fitter) planRemovals(wide *draft, wanted int) (*removals, error) {
	plan := &removals{wide: wide, order: make([][]refine.Removal, len(wide.rows))}
	alive := f.reached(wide)
	eliminations := make([]*refine.Elimination, len(wide.rows))
	total, limit := 0, 0.0
	for i, r := range wide.rows {
		if alive[i] {
			total += len(r.support) + f.constants()
			limit = max(limit, f.omega[i]*f.omega[i]*f.moments.Loss(i, nil, nil))
		}
	}
	parallel(len(wide.rows), func(i int) {
		if alive[i] {
			eliminations[i] = f.moments.NewElimination(i, f.moments.Varying(wide.rows[i].support), eliminationRidge)
		}
	})
	// Rows go on until the next removal costs more than a limit, which rises until enough are gone:
	// nothing is removed that no budget of this size can ask for.
	const start = 1e-12
	for limit *= start; ; limit *= 2 {
		if err := f.ctx.Err(); err != nil {
			return nil, err
		}
		left := 0
		parallel(len(eliminations), func(i int) {
			if alive[i] {
				weight := f.omega[i] * f.omega[i]
				for _, r := range eliminations[i].Until(limit / weight) {
					cost := r.Cost * weight
					if k := len(plan.order[i]); k > 0 {
						cost = max(cost, plan.order[i][k-1].Cost)
					}
					plan.order[i] = append(plan.order[i], refine.Removal{Feature: r.Feature, Cost: cost})
				}
			}
		})
		weights := 0
		for i, e := range eliminations {
			if alive[i] {
				left += e.Remaining() + f.constants()
				weights += e.Remaining()
			}
		}
		f.options.Progress("remove", total-left, max(1, total-wanted))
		if left <= wanted || weights == 0 {
			return plan, nil
		}
	}
}
