package trainer

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/sparse-implicit/sim/trainer/internal/rowsolve"
)

// rowOrder groups the rows in the order in which a model computes them: states by rank when causal, all
// states together when free; outputs last.
func rowOrder(shape *Shape, structure Structure) [][]int {
	states := make([]int, shape.States())
	for i := range states {
		states[i] = i
	}
	var groups [][]int
	if structure == Causal {
		slices.SortStableFunc(states, func(a, b int) int { return cmp.Compare(shape.Ranks[a], shape.Ranks[b]) })
		for k, i := range states {
			if k == 0 || shape.Ranks[i] != shape.Ranks[states[k-1]] {
				groups = append(groups, nil)
			}
			groups[len(groups)-1] = append(groups[len(groups)-1], i)
		}
	} else if len(states) > 0 {
		groups = append(groups, states)
	}
	outputs := make([]int, shape.Outputs)
	for k := range outputs {
		outputs[k] = shape.States() + k
	}
	return append(groups, outputs)
}

// solvedRows are the solutions of all row problems at one λ.
type solvedRows struct {
	lambda float64
	rows   []*rowsolve.Solution
}

// problems states every row's problem at λ.
func (f *fitter) problems(lambda float64) []rowsolve.Problem {
	n := f.states()
	list := make([]rowsolve.Problem, 0, f.rows())
	var below []int32 // states of earlier groups, ascending
	for _, group := range f.rowsFrom {
		candidates := below
		if f.options.Structure == Free {
			candidates = f.usable(0, n)
		}
		candidates = append(slices.Clone(candidates), f.usable(n, f.features())...)
		for _, i := range group {
			p := rowsolve.Problem{Target: i, Omega: f.omega[i], Candidates: candidates, Intercept: !f.options.NoBias}
			f.penalise(&p, i, lambda)
			if f.options.Structure == Free && i < n {
				p.BallSize, p.Kappa = n, f.options.Kappa
			}
			list = append(list, p)
		}
		for _, i := range group {
			if i < n && f.sigma[i] > 0 {
				below = append(below, int32(i))
			}
		}
		slices.Sort(below)
	}
	slices.SortFunc(list, func(a, b rowsolve.Problem) int { return cmp.Compare(a.Target, b.Target) })
	return list
}

// usable returns the features in [first, last) with σ > 0; the others fold into the intercept.
func (f *fitter) usable(first, last int) []int32 {
	list := []int32{}
	for j := first; j < last; j++ {
		if f.sigma[j] > 0 {
			list = append(list, int32(j))
		}
	}
	return list
}

// solveAt solves all rows at λ, starting from warm (nil, or the rows at another λ).
func (f *fitter) solveAt(lambda float64, warm *solvedRows) (*solvedRows, error) {
	if err := f.ctx.Err(); err != nil {
		return nil, err
	}
	var guess []*rowsolve.Solution
	if warm != nil {
		guess = warm.rows
	}
	progress := func(int, int) {}
	if f.options.Lambda > 0 {
		progress = func(done, total int) { f.options.Progress("rows", done, total) }
	}
	rows, err := f.solveProblems(f.problems(lambda), lambda, guess, progress)
	if err != nil {
		return nil, fmt.Errorf("at λ = %g: %w", lambda, err)
	}
	return &solvedRows{lambda, rows}, nil
}

// solveRows solves the row problems at the given λ, or along a path down to the wanted nonzeros.
func (f *fitter) solveRows() (*solvedRows, error) {
	if f.options.Lambda > 0 {
		return f.solveAt(f.options.Lambda, nil)
	}
	if f.options.Penalty == PenaltyExact {
		return f.matchRows()
	}
	if f.options.NoRefine {
		return f.walk(f.options.NNZ, 24)
	}
	if err := f.enoughForOutputs(); err != nil {
		return nil, err
	}
	return f.walk(f.wantedOnPath(), 3)
}

// enoughForOutputs refuses a number of nonzeros below that of the outputs.
func (f *fitter) enoughForOutputs() error {
	if f.options.NNZ < f.shape.Outputs {
		return fmt.Errorf("%d nonzeros for %d outputs, which need one each: ask for more: %w", f.options.NNZ, f.shape.Outputs, ErrBudget)
	}
	return nil
}

// wantedOnPath is the number of nonzeros that the path ends at.
func (f *fitter) wantedOnPath() int {
	if f.options.NoRefine {
		return f.options.NNZ
	}
	return wideBudget(f.options.NNZ)
}

// walk walks the path over all features, or over candidates where the Gram is too large.
func (f *fitter) walk(budget, bisections int) (*solvedRows, error) {
	if f.screened != nil {
		return f.widePath(budget, bisections)
	}
	return f.path(budget, bisections)
}

// matchRows matches all rows exactly; what is then in use is what there is to remove.
func (f *fitter) matchRows() (*solvedRows, error) {
	solved, err := f.solveAt(1, nil)
	if err != nil || !f.options.NoRefine {
		return solved, err
	}
	if count := f.count(f.draftOf(solved.rows)); count > f.options.NNZ {
		return nil, fmt.Errorf("%d nonzeros: exact matching takes %d; allow more, or have them removed by the refinement: %w", f.options.NNZ, count, ErrBudget)
	}
	return solved, nil
}

// wideBudget is how many nonzeros the rows have before weights are removed one by one down to the
// wanted number. On FashionMNIST (teachers of 112 and 192 states, judged on held-out training images) six
// times the wanted number is better than three or twelve; beyond 30,000 three times is as good, and a
// row's removals cost the cube of its length.
func wideBudget(nnz int) int { return max(3*nnz, min(6*nnz, 30_000)) }

const (
	pathRatio = 0.6  // between neighbouring λ of the path
	pathEnd   = 1e-6 // of the first λ: below it a model is as good as dense
)

// path solves the rows at falling λ until more than budget numbers are in use, and then bisects (on a
// logarithmic scale). It returns the densest rows seen that are within the budget.
func (f *fitter) path(budget, bisections int) (*solvedRows, error) {
	first := f.firstLambda()
	var best, warm *solvedRows
	bestCount := -1
	visit := func(lambda float64) (within bool, err error) {
		if warm, err = f.solveAt(lambda, warm); err != nil {
			return false, err
		}
		count := f.count(f.draftOf(warm.rows))
		if within = count <= budget; within && count > bestCount {
			best, bestCount = warm, count
		}
		f.options.Progress("rows", min(count, budget), budget)
		return within, nil
	}
	high, low := first, first
	for {
		within, err := visit(low)
		if err != nil {
			return nil, err
		}
		if !within || low < pathEnd*first || first == 0 {
			break
		}
		high, low = low, low*pathRatio
	}
	if best == nil {
		return nil, fmt.Errorf("%d nonzeros: the rows' constant terms alone are more; allow more, or leave them out (no bias): %w", budget, ErrBudget)
	}
	for range bisections {
		if bestCount == budget || low >= high || low < pathEnd*first {
			break
		}
		middle := math.Sqrt(low * high)
		within, err := visit(middle)
		if err != nil {
			return nil, err
		}
		if within {
			high = middle
		} else {
			low = middle
		}
	}
	f.options.Progress("rows", budget, budget)
	return best, nil
}
