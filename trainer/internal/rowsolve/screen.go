package rowsolve

import (
	"fmt"
	"slices"
)

// Stream calls visit with consecutive blocks of all samples, in the order in which Gram's Add takes them:
// the same blocks at every call. It stops at the first error and returns it.
type Stream func(visit func(features, targets []float32, samples int) error) error

// Screened solves rows over more features than a Gram is affordable for. Each row has candidates, at first
// the features that correlate most with its target, and is solved over them alone; another pass over the
// samples correlates its residual with every feature, which gives the certificate of the whole problem.
// Features that violate it become candidates, until it holds. Memory is that of the Grams of candidates
// (rows whose candidates agree share one) and 8 bytes for each feature of each row.
//
// It is the screening of the strong rules (Tibshirani et al. 2012) with the certificate in place of the
// optimality conditions. The result does not depend on the number of cores.
type Screened struct {
	cross   *Cross
	stream  Stream
	initial int
	bytes   int

	known      [2]*moments // without the matrix; with and without intercept
	candidates [][]int32   // per row, ascending
	held       []*shared   // per row; nil: its Gram is not at hand
	last       [][]float64 // per row: the gradient of all features when it was last certified
}

// NewScreened prepares for rows over the moments of a stream. initial is how many candidates a row has at
// first, bytes bounds the memory of Grams that are held at a time (one row's is always allowed).
func NewScreened(cross *Cross, stream Stream, initial, bytes int) *Screened {
	return &Screened{cross: cross, stream: stream, initial: max(1, initial), bytes: bytes}
}

// gradient is Fᵀr of some features, in units of the scaled problem.
type gradient struct {
	features []int32
	values   []float64
}

// screenRounds bounds the rounds of Solve; a row needs two to five.
const screenRounds = 40

// Solve solves the problems as SolveAll does; the certificates are those of the whole problems. Problems
// with Match give an error that wraps ErrProblem. Every call must have as many problems, row by row of the
// same targets. progress, which may be nil, is told how many rows are solved.
func (s *Screened) Solve(problems []Problem, guess []*Solution, progress func(done, total int)) ([]*Solution, error) {
	if progress == nil {
		progress = func(int, int) {}
	}
	if err := s.begin(problems, guess); err != nil {
		return nil, err
	}
	solutions := make([]*Solution, len(problems))
	copy(solutions, guess)
	open := make([]int, len(problems))
	for i := range open {
		open[i] = i
	}
	if err := s.trim(problems, solutions); err != nil {
		return nil, err
	}
	if err := s.foresee(problems, solutions); err != nil {
		return nil, err
	}
	for range screenRounds {
		gradients := make([]gradient, len(problems))
		err := s.eachWave(problems, open, func(wave []int) (err error) {
			return s.solveHeld(problems, wave, solutions, gradients)
		})
		if err != nil {
			return nil, err
		}
		if open, err = s.check(problems, open, solutions, gradients); err != nil {
			return nil, err
		}
		progress(len(problems)-len(open), len(problems))
		if len(open) == 0 {
			break
		}
	}
	return solutions, nil
}

// Rough solves the problems over the candidates that there are, without a certificate: Gap is that over the
// candidates. There is no pass over the samples as long as all Grams are held.
func (s *Screened) Rough(problems []Problem, guess []*Solution) ([]*Solution, error) {
	if err := s.begin(problems, guess); err != nil {
		return nil, err
	}
	solutions := make([]*Solution, len(problems))
	copy(solutions, guess)
	all := make([]int, len(problems))
	for i := range all {
		all[i] = i
	}
	gradients := make([]gradient, len(problems))
	if err := s.trim(problems, solutions); err != nil {
		return nil, err
	}
	err := s.eachWave(problems, all, func(wave []int) error {
		return s.solveHeld(problems, wave, solutions, gradients)
	})
	return solutions, err
}

// foresee adds to the candidates what violates the problems at the gradients of the last certificates,
// which belonged to other penalties.
func (s *Screened) foresee(problems []Problem, solutions []*Solution) error {
	return s.eachRow(problems, solutions, func(i int, v *solver) {
		s.candidates[i] = s.widened(v, 1, solutions[i], max(s.initial, len(s.candidates[i])/2), s.candidates[i]...)
	})
}

// eachRow calls visit, from many goroutines, for every row that was certified before, with its problem at
// its solution and the last gradient.
func (s *Screened) eachRow(problems []Problem, solutions []*Solution, visit func(i int, v *solver)) error {
	errs := make([]error, len(problems))
	parallel(len(problems), func(i int) {
		if s.last[i] == nil || solutions[i] == nil {
			return
		}
		v, err := s.whole(&problems[i], solutions[i])
		if errs[i] = err; err != nil {
			return
		}
		copy(v.g, s.last[i])
		visit(i, v)
	})
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
	}
	return nil
}

// begin checks the problems and, the first time, chooses candidates.
func (s *Screened) begin(problems []Problem, guess []*Solution) error {
	if guess != nil && len(guess) != len(problems) {
		return fmt.Errorf("%w: %d warm starts for %d problems", ErrProblem, len(guess), len(problems))
	}
	if s.candidates != nil && len(s.candidates) != len(problems) {
		return fmt.Errorf("%w: %d problems after %d", ErrProblem, len(problems), len(s.candidates))
	}
	shape := &Gram{sums: sums{features: s.cross.features, targets: s.cross.targets, samples: s.cross.samples}}
	for i := range problems {
		if err := problems[i].check(shape); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
		if known := &s.known[slot(problems[i].Intercept)]; *known == nil {
			*known = s.cross.moments(problems[i].Intercept)
		}
		if problems[i].Match > 0 {
			return fmt.Errorf("row %d: %w: exact matching needs the whole Gram", i, ErrProblem)
		}
	}
	if s.candidates != nil {
		return nil
	}
	s.candidates, s.held = make([][]int32, len(problems)), make([]*shared, len(problems))
	s.last = make([][]float64, len(problems))
	errs := make([]error, len(problems))
	parallel(len(problems), func(i int) {
		var known *Solution
		if guess != nil {
			known = guess[i]
		}
		v, err := s.whole(&problems[i], nil)
		if errs[i] = err; err != nil {
			return
		}
		copy(v.g, v.c)
		s.candidates[i] = s.widened(v, 0, known, s.initial)
	})
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
	}
	return nil
}

// whole returns a solver loaded with a problem over all features, at a solution, its gradient unset.
func (s *Screened) whole(p *Problem, at *Solution) (*solver, error) {
	v := newSolver()
	if err := v.load(s.known[slot(p.Intercept)], s.cross.features, p); err != nil {
		return nil, err
	}
	v.g, v.where = make([]float64, v.n), make([]int32, v.n)
	for j := range v.where {
		v.where[j] = -1
	}
	v.straight()
	if at == nil {
		return v, nil
	}
	v.mu = at.Mu / float64(p.Omega*p.Omega)
	v.active, v.w = at.Support, at.Coef
	for a, j := range at.Support {
		v.where[j] = int32(a)
	}
	return v, nil
}

// widened returns the features of more and of a solution (which may be nil) and those that violate
// optimality most at penalties multiplied by tau, at most limit of them.
func (s *Screened) widened(v *solver, tau float64, at *Solution, limit int, more ...int32) []int32 {
	list := slices.Clone(more)
	if at != nil {
		list = append(list, at.Support...)
	}
	v.violators(tau)
	for _, p := range v.picks[:min(limit, len(v.picks))] {
		list = append(list, p.feature)
	}
	for _, j := range v.candidates {
		if v.pen[j] == 0 {
			list = append(list, j)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// solveHeld solves rows over their candidates and keeps the gradients there.
func (s *Screened) solveHeld(problems []Problem, rows []int, solutions []*Solution, gradients []gradient) error {
	errs := make([]error, len(rows))
	parallel(len(rows), func(r int) {
		i := rows[r]
		sh, v := s.held[i], newSolver()
		local := sh.local(&problems[i], slices.Index(sh.rows, i))
		sol, err := solveWith(v, sh.gram, local, sh.inward(solutions[i]))
		if errs[r] = err; err != nil {
			return
		}
		sh.outward(sol)
		solutions[i], gradients[i] = sol, gradient{sh.features, v.g}
	})
	for r, err := range errs {
		if err != nil {
			return fmt.Errorf("row %d: %w", rows[r], err)
		}
	}
	return nil
}
