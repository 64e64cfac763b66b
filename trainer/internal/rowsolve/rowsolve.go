// Package rowsolve solves the convex row problems of state-driven implicit modelling: each row of
// (A,B) and of (C,D) is a weighted least-squares problem with an L1 penalty and, where A may have
// cycles, the constraint ‖a‖₁ ≤ κ (Tsai, Decugis, El Ghaoui, Atamtürk, arXiv 2209.09389).
//
// It promises a certificate with every row: the duality gap of the problem as it was posed, over all
// its candidate columns, computed from second moments alone. The certificate does not depend on how
// the solution was found. Results are the same bits whatever the number of workers or cores; rows
// are independent of each other and everything a row needs is in a Gram, which can be merged from
// shards and serialised.
//
// It must not know what a state, an input or a teacher is: features and targets are columns of
// numbers.
package rowsolve

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// Tolerance is the relative duality gap at or below which a row counts as solved: the gap is
// compared with max(P, 1e-9·P(0)), P the objective reached and P(0) that of w = 0.
const Tolerance = 1e-6

// ErrProblem is wrapped by every error that says a Problem does not fit its Gram or has illegal
// numbers.
var ErrProblem = errors.New("ill-posed row problem")

// Problem is one row:
//
//	min over w, β  (Omega²/2m) Σ_s (t_s − wᵀf_s − β)² + Σ_j Penalty_j ρ_j(w_j) + ½ Ridge Σ_j RidgeWeights_j w_j²
//	s.t.           Σ_{j < BallSize} |w_j| ≤ Kappa
//
// over the m samples of a Gram, f the features and t the target. ρ_j(w) = |w| up to |w| = Knee_j and
// (w² + Knee_j²) / (2 Knee_j) beyond it; without Knee it is |w| everywhere.
type Problem struct {
	Target int     // index of the target, in [0, g.Targets())
	Omega  float64 // weight of the row's error, > 0

	// Penalty has one entry per feature, each ≥ 0. +Inf forbids the feature. 0 leaves it
	// unpenalised.
	Penalty []float64

	// Knee has one entry per feature, each > 0; +Inf leaves a feature's ρ at |w|. With the same q =
	// Penalty_j / Knee_j for a feature, Penalty_j ρ_j is the perspective relaxation of the cardinality,
	// min over 0 ≤ t ≤ 1 of (q/2) (w²/t + Knee_j² t). nil: no knees.
	Knee []float64

	// Candidates are the features that may be used, strictly ascending; nil allows all.
	Candidates []int32

	// Features [0, BallSize) are confined to the ball ‖a‖₁ ≤ Kappa. Kappa ≤ 0 or BallSize 0: no
	// constraint.
	BallSize int
	Kappa    float64

	Intercept bool    // whether β is free; otherwise it is 0
	Ridge     float64 // ≥ 0

	// RidgeWeights has one entry per feature, each finite and ≥ 0; nil means 1 for all.
	RidgeWeights []float64

	// Match > 0 asks for exact matching to this relative tolerance: the loss is left out and the
	// penalty alone minimised under the constraint that the root mean square of t − wᵀf − β is at most
	// Match times that of t − t̄ (of t without an intercept). Neither Knee nor Ridge may be given with it.
	Match float64
}

// Solution is what Solve found for one Problem.
type Solution struct {
	Support   []int32   // features with a nonzero coefficient, ascending
	Coef      []float64 // their coefficients
	Intercept float64   // β, 0 unless the problem has one

	Objective float64 // P, the objective reached (feasible)

	// Gap is the duality gap divided by max(P, 1e-9·P(0)); the optimum is at least
	// Objective − Gap·max(P, 1e-9·P(0)). The row is solved when Gap ≤ Tolerance.
	Gap float64

	Mu         float64 // the ball's multiplier, 0 when the ball does not bind
	Iterations int     // linear systems solved
}

// Solved reports whether the certified gap is within Tolerance.
func (s *Solution) Solved() bool { return s.Gap <= Tolerance }

// Solve minimises one row problem over the moments in g. warm, which may be nil, is a guess: its
// support and coefficients are where the search starts, and the guess may belong to another penalty,
// another target or another candidate set. The solution is feasible, Σ_{j<BallSize}|w_j| ≤
// Kappa(1+1e-12).
//
// A Problem that does not fit g gives an error that wraps ErrProblem, one with Match that cannot be
// satisfied an error that wraps ErrInfeasible and tells the least residual there is. A solution whose Gap is above
// Tolerance (moments so ill-conditioned that float64 cannot separate them) is returned without an
// error: the caller reads Gap. g must not be added to while Solve runs; many Solves may run at once.
func Solve(g *Gram, p *Problem, warm *Solution) (*Solution, error) {
	return solveWith(newSolver(), g, p, warm)
}

// SolveAll solves the problems on so many workers (0: GOMAXPROCS). warm is nil or has one entry per
// problem, each of which may be nil. progress, which may be nil, is called after every row, from one
// goroutine at a time. The first error in the order of the problems is returned, naming the problem.
// The result does not depend on the number of workers.
func SolveAll(g *Gram, problems []Problem, warm []*Solution, workers int, progress func(done, total int)) ([]*Solution, error) {
	if warm != nil && len(warm) != len(problems) {
		return nil, fmt.Errorf("%w: %d warm starts for %d problems", ErrProblem, len(warm), len(problems))
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	solutions := make([]*Solution, len(problems))
	errs := make([]error, len(problems))
	var next atomic.Int64
	var done int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range min(workers, len(problems)) {
		wg.Go(func() {
			s := newSolver()
			for {
				i := int(next.Add(1)) - 1
				if i >= len(problems) {
					return
				}
				var guess *Solution
				if warm != nil {
					guess = warm[i]
				}
				solutions[i], errs[i] = solveWith(s, g, &problems[i], guess)
				if progress != nil {
					mu.Lock()
					done++
					progress(done, len(problems))
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i, err)
		}
	}
	return solutions, nil
}

// check says what is wrong with a problem, in the caller's terms.
func (p *Problem) check(g *Gram) error {
	if g.samples == 0 {
		return fmt.Errorf("%w: the Gram holds no samples; add some first", ErrProblem)
	}
	if p.Target < 0 || p.Target >= g.targets {
		return fmt.Errorf("%w: target %d, but the Gram has %d targets", ErrProblem, p.Target, g.targets)
	}
	if !(p.Omega > 0) || math.IsInf(p.Omega, 1) {
		return fmt.Errorf("%w: omega is %v; it must be positive and finite", ErrProblem, p.Omega)
	}
	if !(p.Ridge >= 0) || math.IsInf(p.Ridge, 1) {
		return fmt.Errorf("%w: ridge is %v; it must be finite and not negative", ErrProblem, p.Ridge)
	}
	if math.IsNaN(p.Kappa) {
		return fmt.Errorf("%w: kappa is NaN", ErrProblem)
	}
	if p.BallSize < 0 || p.BallSize > g.features {
		return fmt.Errorf("%w: the ball covers %d features of %d", ErrProblem, p.BallSize, g.features)
	}
	if len(p.Penalty) != g.features {
		return fmt.Errorf("%w: %d penalties for %d features", ErrProblem, len(p.Penalty), g.features)
	}
	for j, v := range p.Penalty {
		if !(v >= 0) {
			return fmt.Errorf("%w: penalty[%d] is %v; it must not be negative", ErrProblem, j, v)
		}
	}
	if !(p.Match >= 0) {
		return fmt.Errorf("%w: match is %v; it must not be negative", ErrProblem, p.Match)
	}
	if p.Match > 0 && (p.Ridge > 0 || p.Knee != nil) {
		return fmt.Errorf("%w: exact matching goes with the plain penalty alone, without ridge and knees", ErrProblem)
	}
	if p.Knee != nil && len(p.Knee) != g.features {
		return fmt.Errorf("%w: %d knees for %d features", ErrProblem, len(p.Knee), g.features)
	}
	for j, v := range p.Knee {
		if !(v > 0) {
			return fmt.Errorf("%w: knee[%d] is %v; it must be positive", ErrProblem, j, v)
		}
	}
	if p.RidgeWeights != nil && len(p.RidgeWeights) != g.features {
		return fmt.Errorf("%w: %d ridge weights for %d features", ErrProblem, len(p.RidgeWeights), g.features)
	}
	for j, v := range p.RidgeWeights {
		if !(v >= 0) || math.IsInf(v, 1) {
			return fmt.Errorf("%w: ridge weight %d is %v; it must be finite and not negative", ErrProblem, j, v)
		}
	}
	last := int32(-1)
	for i, j := range p.Candidates {
		if j <= last || int(j) >= g.features {
			return fmt.Errorf("%w: candidates[%d] is %d; they must ascend within [0, %d)", ErrProblem, i, j, g.features)
		}
		last = j
	}
	return nil
}
