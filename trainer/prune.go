package trainer

import (
	"math"

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

// keep carries out the cheapest removals until at most budget numbers are left, and returns the
// supports; nil for states that nothing reads any more. A state that is no longer read, or reads
// nothing, goes with all it reads.
func (p *removals) keep(f *fitter, budget int) [][]int32 {
	n := f.states()
	s := &survivors{states: n, constants: f.constants(), plan: p, alive: f.reached(p.wide), next: make([]int, len(p.order)), readers: make([]int, n)}
	s.kept = make([]map[int32]bool, len(p.order))
	for i, r := range p.wide.rows {
		if !s.alive[i] {
			continue
		}
		s.kept[i] = map[int32]bool{}
		for _, j := range f.moments.Varying(r.support) {
			s.kept[i][j] = true
			if int(j) < n {
				s.readers[j]++
			}
		}
		s.total += len(s.kept[i]) + s.constants
	}
	for s.total > budget {
		if i := s.cheapest(); i >= 0 {
			s.remove(i)
			continue
		}
		break
	}
	supports := make([][]int32, len(p.order))
	for i, kept := range s.kept {
		if s.alive[i] {
			supports[i] = make([]int32, 0, len(kept))
			for _, j := range p.wide.rows[i].support {
				if kept[j] {
					supports[i] = append(supports[i], j)
				}
			}
		}
	}
	return supports
}

// survivors is the state of removals.keep.
type survivors struct {
	states  int
	plan    *removals
	alive   []bool
	next    []int            // per row: how many of its planned removals are done
	kept    []map[int32]bool // per row: the features still read
	readers []int            // per state: how many rows read it
	total   int

	constants int // constant terms per row: 1, or 0 without biases
}

// cheapest returns the row with the cheapest next removal, −1 when none has any.
func (s *survivors) cheapest() int {
	best, cost := -1, math.Inf(1)
	for i, order := range s.plan.order {
		for s.alive[i] && s.next[i] < len(order) && !s.kept[i][order[s.next[i]].Feature] {
			s.next[i]++ // the feature went with its state
		}
		if s.alive[i] && s.next[i] < len(order) && order[s.next[i]].Cost < cost {
			best, cost = i, order[s.next[i]].Cost
		}
	}
	return best
}

func (s *survivors) remove(i int) {
	s.drop(i, s.plan.order[i][s.next[i]].Feature)
	s.next[i]++
}

// drop takes feature j out of row i and removes what that leaves without use.
func (s *survivors) drop(i int, j int32) {
	delete(s.kept[i], j)
	s.total--
	if int(j) < s.states {
		if s.readers[j]--; s.readers[j] == 0 && s.alive[j] {
			s.bury(int(j))
		}
	}
	if i < s.states && s.alive[i] && len(s.kept[i]) == 0 {
		s.bury(i)
	}
}

// bury removes a state: what it reads, and every reading of it (it is constant, or nothing reads it).
func (s *survivors) bury(i int) {
	s.alive[i] = false
	s.total -= s.constants
	for _, j := range s.plan.wide.rows[i].support {
		if s.kept[i][j] {
			s.drop(i, j)
		}
	}
	for r, kept := range s.kept {
		if s.alive[r] && kept[int32(i)] {
			s.drop(r, int32(i))
		}
	}
}
