package rowsolve

import (
	"fmt"
	"math"
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
}

// shared is the Gram of the candidates of some rows.
type shared struct {
	features []int32 // ascending
	rows     []int   // of the problems; target k of the Gram is the target of row rows[k]
	gram     *Gram
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

// Rough solves the problems over the candidates that are held, without a pass over the samples once their
// Grams are there, and without a certificate: Gap is that over the candidates.
func (s *Screened) Rough(problems []Problem, guess []*Solution) ([]*Solution, error) {
	if err := s.begin(problems, guess); err != nil {
		return nil, err
	}
	var missing, all []int
	for i := range problems {
		all = append(all, i)
		if s.held[i] == nil {
			missing = append(missing, i)
		}
	}
	solutions := make([]*Solution, len(problems))
	copy(solutions, guess)
	if len(missing) > 0 {
		if err := s.hold(problems, s.share(missing)); err != nil {
			return nil, err
		}
	}
	return solutions, s.solveHeld(problems, all, solutions, make([]gradient, len(problems)))
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

// share puts rows together whose candidates agree so far that one Gram costs no more than two.
func (s *Screened) share(rows []int) []*shared {
	var list []*shared
	square := func(n int) int { return n * n }
	for _, i := range rows {
		if len(list) > 0 {
			last := list[len(list)-1]
			union := merged(last.features, s.candidates[i])
			if square(len(union)) <= square(len(last.features))+square(len(s.candidates[i])) && gramBytes(len(union), 0) <= s.bytes {
				last.features, last.rows = union, append(last.rows, i)
				continue
			}
		}
		list = append(list, &shared{features: s.candidates[i], rows: []int{i}})
	}
	return list
}

// merged returns the union of two ascending lists.
func merged(a, b []int32) []int32 {
	out := append(slices.Clone(a), b...)
	slices.Sort(out)
	return slices.Compact(out)
}

// gramBytes is the memory of a Gram that rows are solved on.
func gramBytes(features, targets int) int { return 16 * features * (features + targets) }

// eachWave gathers the Grams of some rows' candidates, as many at a time as the memory allows, and calls
// solve with the rows whose Grams are there. The Grams of the last wave stay, and those of other rows
// where there is room.
func (s *Screened) eachWave(problems []Problem, rows []int, solve func(wave []int) error) error {
	list := s.share(rows)
	need := 0
	for _, sh := range list {
		need += gramBytes(len(sh.features), len(sh.rows))
	}
	if s.heldBytes(rows)+need > s.bytes {
		clear(s.held)
	}
	for len(list) > 0 {
		count, used := 1, s.heldBytes(rows)+gramBytes(len(list[0].features), len(list[0].rows))
		for count < len(list) {
			used += gramBytes(len(list[count].features), len(list[count].rows))
			if used > s.bytes {
				break
			}
			count++
		}
		var wave []int
		for _, sh := range list[:count] {
			wave = append(wave, sh.rows...)
		}
		if err := s.hold(problems, list[:count]); err != nil {
			return err
		}
		if err := solve(wave); err != nil {
			return err
		}
		if list = list[count:]; len(list) > 0 {
			clear(s.held)
		}
	}
	return nil
}

// heldBytes is the memory of the Grams that are held for rows other than those given.
func (s *Screened) heldBytes(except []int) int {
	seen, sum := map[*shared]bool{nil: true}, 0
	for i, sh := range s.held {
		if !seen[sh] && !slices.Contains(except, i) {
			seen[sh] = true
			sum += gramBytes(len(sh.features), len(sh.rows))
		}
	}
	return sum
}

// hold makes the Grams in one pass over the samples.
func (s *Screened) hold(problems []Problem, list []*shared) error {
	for _, sh := range list {
		sh.gram = NewGram(len(sh.features), len(sh.rows))
		for _, i := range sh.rows {
			s.held[i] = sh
		}
	}
	var f, t []float32
	return s.stream(func(features, targets []float32, samples int) error {
		for _, sh := range list {
			width := len(sh.features)
			f = slices.Grow(f[:0], samples*width)[:samples*width]
			t = slices.Grow(t[:0], samples*len(sh.rows))[:samples*len(sh.rows)]
			for k := range samples {
				row := features[k*s.cross.features : (k+1)*s.cross.features]
				for a, j := range sh.features {
					f[k*width+a] = row[j]
				}
				for a, i := range sh.rows {
					t[k*len(sh.rows)+a] = targets[k*s.cross.targets+problems[i].Target]
				}
			}
			sh.gram.Add(f, t, samples)
		}
		return nil
	})
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
		for a, j := range sol.Support {
			sol.Support[a] = sh.features[j]
		}
		solutions[i], gradients[i] = sol, gradient{sh.features, v.g}
	})
	for r, err := range errs {
		if err != nil {
			return fmt.Errorf("row %d: %w", rows[r], err)
		}
	}
	return nil
}

// local states a problem over the shared candidates.
func (sh *shared) local(p *Problem, target int) *Problem {
	out := *p
	out.Target, out.Candidates, out.BallSize = target, nil, 0
	pick := func(v []float64) []float64 {
		if v == nil {
			return nil
		}
		picked := make([]float64, len(sh.features))
		for a, j := range sh.features {
			picked[a] = v[j]
		}
		return picked
	}
	out.Penalty, out.Knee, out.RidgeWeights = pick(p.Penalty), pick(p.Knee), pick(p.RidgeWeights)
	for a, j := range sh.features {
		if int(j) < p.BallSize {
			out.BallSize++
		}
		if p.Candidates != nil {
			if _, found := slices.BinarySearch(p.Candidates, j); !found {
				out.Penalty[a] = math.Inf(1)
			}
		}
	}
	return &out
}

// inward returns a guess in the numbering of the shared candidates.
func (sh *shared) inward(guess *Solution) *Solution {
	if guess == nil {
		return nil
	}
	out := &Solution{}
	for a, j := range guess.Support {
		if at, found := slices.BinarySearch(sh.features, j); found && a < len(guess.Coef) {
			out.Support, out.Coef = append(out.Support, int32(at)), append(out.Coef, guess.Coef[a])
		}
	}
	return out
}
