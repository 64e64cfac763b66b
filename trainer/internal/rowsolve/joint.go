package rowsolve

import (
	"fmt"
	"math"
	"slices"
)

// Joint is a set of rows that share group norms: the sum of the row problems and
//
//	Σ_g Weight_g ‖(Scale_ij w_ij) over rows i and features j with Group_j = g‖₂.
//
// With penalties in the rows it is the sparse group lasso (Simon, Friedman, Hastie, Tibshirani 2013).
type Joint struct {
	// Rows are the row problems, without Ridge, Knee and Match.
	Rows []Problem

	Group  []int32   // per feature: its group, or −1 for none
	Weight []float64 // per group, ≥ 0 and finite

	// Scale has one array per row with one factor per feature, ≥ 0; nil means 1 everywhere.
	Scale [][]float64
}

// SolveJoint minimises one joint problem over the moments in g. warm is nil or has one guess per row (a
// guess may be nil). Of the solutions, one per row, Objective is the row's part of the joint objective (a
// group's norm is divided among its rows by their squares), and Gap, the same for all of them, the
// relative duality gap of the joint problem over all its columns. The joint problem is solved when Gap ≤
// Tolerance; errors and what a larger Gap means are as for Solve.
//
// Method: ‖v‖ = min over η > 0 of (‖v‖²/η + η)/2, so the problem is jointly convex in w and one η per
// group. For given η the rows are apart and elastic nets, which Solve's method solves exactly, ball
// included; η then moves to ‖v‖ (which descends), sped up by Anderson's extrapolation in log η.
func SolveJoint(g *Gram, j *Joint, warm []*Solution) ([]*Solution, error) {
	s, err := newJointSolver(g, j, warm)
	if err != nil {
		return nil, err
	}
	return s.run()
}

// check says what is wrong with a joint problem, in the caller's terms.
func (j *Joint) check(g *Gram, warm []*Solution) error {
	if warm != nil && len(warm) != len(j.Rows) {
		return fmt.Errorf("%w: %d warm starts for %d rows", ErrProblem, len(warm), len(j.Rows))
	}
	if len(j.Group) != g.features {
		return fmt.Errorf("%w: groups for %d features of %d", ErrProblem, len(j.Group), g.features)
	}
	for f, k := range j.Group {
		if k < -1 || int(k) >= len(j.Weight) {
			return fmt.Errorf("%w: group[%d] is %d of %d groups", ErrProblem, f, k, len(j.Weight))
		}
	}
	for k, v := range j.Weight {
		if !(v >= 0) || math.IsInf(v, 1) {
			return fmt.Errorf("%w: weight[%d] is %v; it must be finite and not negative", ErrProblem, k, v)
		}
	}
	if j.Scale != nil && len(j.Scale) != len(j.Rows) {
		return fmt.Errorf("%w: scales for %d rows of %d", ErrProblem, len(j.Scale), len(j.Rows))
	}
	for i := range j.Rows {
		p := &j.Rows[i]
		if err := p.check(g); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
		if p.Ridge != 0 || p.Knee != nil || p.Match != 0 {
			return fmt.Errorf("row %d: %w: a ridge, knees and exact matching do not go with group norms", i, ErrProblem)
		}
		if j.Scale == nil {
			continue
		}
		if len(j.Scale[i]) != g.features {
			return fmt.Errorf("row %d: %w: %d scales for %d features", i, ErrProblem, len(j.Scale[i]), g.features)
		}
		for f, v := range j.Scale[i] {
			if !(v >= 0) || math.IsInf(v, 1) {
				return fmt.Errorf("row %d: %w: scale[%d] is %v; it must be finite and not negative", i, ErrProblem, f, v)
			}
		}
	}
	return nil
}

const (
	jointRounds    = 400  // values of η tried
	jointMemory    = 6    // of Anderson's extrapolation
	jointStep      = 3    // largest change of log η by extrapolation beyond the plain step
	jointShrinks   = 0.97 // ‖v‖/η below which a group shrinks fast;
	jointSmall     = 0.03 // below this part of the largest it is then tried without,
	jointTiny      = 1e-3 // and below this part if it shrinks at all
	jointDrops     = 2    // how often a group is tried without, being small,
	jointTinyDrops = 8    // and being tiny
	jointAfter     = 8    // rounds that may follow on a closed gap
	jointReturn    = 0.01 // of the largest η: where a group that is needed after all begins
)

// jointSolver is the state of SolveJoint. Rows are solved one after the other.
type jointSolver struct {
	*Joint
	gram            *Gram
	solver          *solver
	rows            []Problem // with the ridge that belongs to eta
	scale           [][]float64
	usable, covered [][]bool // per row and feature: may be used and varies; and is in a group's norm

	eta   []float64 // per group; 0: the group is out
	norm  []float64 // ‖v_g‖ of the present solution
	drops []int

	solutions []*Solution
	gradient  [][]float64 // per row: ω²·Fᵀr of all features
	residual  []float64   // per row: ω²·‖r‖²
	mu        []float64   // per row: the ball's multiplier, at which no column without a group exceeds it
	upper     float64     // objective with (‖v‖²/η + η)/2 for ‖v‖: what the steps descend

	total float64 // Σ P(0)
	even  float64 // the norm of each group if all shared what the targets weigh
}

func newJointSolver(g *Gram, j *Joint, warm []*Solution) (*jointSolver, error) {
	if err := j.check(g, warm); err != nil {
		return nil, err
	}
	s := &jointSolver{
		Joint: j, gram: g, solver: newSolver(), scale: j.Scale,
		eta: make([]float64, len(j.Weight)), norm: make([]float64, len(j.Weight)), drops: make([]int, len(j.Weight)),
		solutions: make([]*Solution, len(j.Rows)), residual: make([]float64, len(j.Rows)),
		mu: make([]float64, len(j.Rows)),
	}
	if s.scale == nil {
		ones := make([]float64, g.features)
		for f := range ones {
			ones[f] = 1
		}
		for range j.Rows {
			s.scale = append(s.scale, ones)
		}
	}
	for i, p := range j.Rows {
		p.Ridge, p.RidgeWeights, p.Penalty = 1, make([]float64, g.features), append([]float64(nil), p.Penalty...)
		s.rows = append(s.rows, p)
		s.gradient = append(s.gradient, make([]float64, g.features))
		if warm != nil {
			s.solutions[i] = warm[i]
		}
		m := g.moments(p.Intercept)
		usable := make([]bool, g.features)
		for f := range usable {
			usable[f] = p.Candidates == nil && m.ok[f] && !math.IsInf(p.Penalty[f], 1)
		}
		for _, f := range p.Candidates {
			usable[f] = m.ok[f] && !math.IsInf(p.Penalty[f], 1)
		}
		covered := make([]bool, g.features)
		for f := range covered {
			covered[f] = usable[f] && s.grouped(i, f)
		}
		s.usable, s.covered = append(s.usable, usable), append(s.covered, covered)
		s.total += float64(p.Omega*p.Omega) * m.tt[p.Target] / 2
	}
	s.begin()
	return s, nil
}

// begin chooses the first η: the norms of the guess, and where there is none equal parts of what the
// targets weigh.
func (s *jointSolver) begin() {
	for i, sol := range s.solutions {
		if sol != nil {
			s.addSquares(i, sol, s.norm)
		}
	}
	largest := 0.0
	for k, v := range s.norm {
		s.norm[k] = math.Sqrt(v)
		largest = max(largest, s.norm[k])
	}
	s.even = math.Sqrt(2 * s.total / max(1, float64(len(s.eta))))
	for k, v := range s.norm {
		s.eta[k] = v
		if largest == 0 {
			s.eta[k] = s.even
		}
	}
}

// addSquares adds the squares of a row's scaled weights to its groups' entries of sum.
func (s *jointSolver) addSquares(i int, sol *Solution, sum []float64) {
	for a, f := range sol.Support {
		if int(f) < len(s.Group) && s.Group[f] >= 0 && a < len(sol.Coef) {
			v := s.scale[i][f] * sol.Coef[a]
			sum[s.Group[f]] += float64(v * v)
		}
	}
}

// run alternates between rows and η until the joint gap is closed, and then a little on where groups that
// are about to vanish have not yet.
func (s *jointSolver) run() ([]*Solution, error) {
	var best []*Solution
	bestGap, closed := math.Inf(1), 0
	history := &anderson{memory: jointMemory}
	for range jointRounds {
		if err := s.solveRows(); err != nil {
			return nil, err
		}
		gap, objective := s.certify()
		if gap = gap / max(objective, 1e-9*s.total); math.IsNaN(gap) {
			gap = math.Inf(1)
		}
		if s.total == 0 {
			gap = 0
		}
		if gap < max(bestGap, stopAt) || best == nil {
			best, bestGap = s.report(gap), gap
		}
		if bestGap <= stopAt {
			if closed++; closed > jointAfter || !s.vanishing() {
				break
			}
		}
		s.advance(history)
	}
	return best, nil
}

// vanishing reports whether a group is left that advance would try without.
func (s *jointSolver) vanishing() bool {
	largest := s.largest()
	for k := range s.norm {
		if s.norm[k] > 0 && s.shrinks(k, largest) {
			return true
		}
	}
	return false
}

// largest returns what is large for a group's norm: the largest there is, and what a group is given first.
func (s *jointSolver) largest() float64 { return slices.Max(append([]float64{s.even}, s.norm...)) }

// shrinks reports whether group k is on its way to zero, and may be tried without.
func (s *jointSolver) shrinks(k int, largest float64) bool {
	if s.Weight[k] == 0 || s.eta[k] == 0 {
		return false
	}
	ratio := s.norm[k] / s.eta[k]
	return ratio < jointShrinks && s.norm[k] < jointSmall*largest && s.drops[k] < jointDrops ||
		ratio < 1-1e-7 && s.norm[k] < jointTiny*largest && s.drops[k] < jointTinyDrops
}

// solveRows solves the rows for the present η.
func (s *jointSolver) solveRows() error {
	clear(s.norm)
	s.upper = 0
	for i := range s.rows {
		p := &s.rows[i]
		for f, k := range s.Group {
			p.Penalty[f], p.RidgeWeights[f] = s.Rows[i].Penalty[f], 0
			if k < 0 || s.scale[i][f] == 0 || s.Weight[k] == 0 {
				continue
			}
			if s.eta[k] == 0 {
				p.Penalty[f] = math.Inf(1)
				continue
			}
			p.RidgeWeights[f] = s.Weight[k] * float64(s.scale[i][f]*s.scale[i][f]) / s.eta[k]
		}
		sol, err := solveWith(s.solver, s.gram, p, s.solutions[i])
		if err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
		s.solutions[i] = sol
		s.upper += sol.Objective
		s.addSquares(i, sol, s.norm)
		s.keepGradient(i)
	}
	for k := range s.norm {
		s.norm[k] = math.Sqrt(s.norm[k])
		s.upper += s.Weight[k] * s.eta[k] / 2
	}
	return nil
}

// keepGradient copies ω²Fᵀr and ω²‖r‖² of the row just solved, r the plain residual.
func (s *jointSolver) keepGradient(i int) {
	r, omega2 := s.solver, float64(s.rows[i].Omega*s.rows[i].Omega)
	u := s.gradient[i]
	for f, v := range r.g {
		u[f] = omega2 * v
	}
	residual := r.residual()
	for a, f := range r.active {
		if len(r.ridge) > 0 {
			u[f] += omega2 * float64(r.ridge[f]*r.w[a])
			residual -= r.ridge[f] * float64(r.w[a]*r.w[a])
		}
	}
	s.residual[i] = omega2 * max(residual, 0)
	s.mu[i] = 0
	if s.solver.ball == 0 {
		return
	}
	s.mu[i] = s.solutions[i].Mu
	for f := range s.solver.ball {
		if s.usable[i][f] && !s.grouped(i, f) {
			s.mu[i] = max(s.mu[i], math.Abs(u[f])-s.Rows[i].Penalty[f])
		}
	}
}

// report returns the present solutions with their parts of the joint objective.
func (s *jointSolver) report(gap float64) []*Solution {
	out := make([]*Solution, len(s.solutions))
	square := make([]float64, len(s.norm))
	for i, sol := range s.solutions {
		row := *sol
		row.Gap = gap
		row.Objective = s.residual[i]/2 + s.penaltyOf(i)
		clear(square)
		s.addSquares(i, sol, square)
		for k, v := range square {
			if v > 0 {
				row.Objective += s.Weight[k] * v / s.norm[k]
			}
		}
		out[i] = &row
	}
	return out
}

// penaltyOf returns the L1 part of row i.
func (s *jointSolver) penaltyOf(i int) float64 {
	sum := 0.0
	for a, f := range s.solutions[i].Support {
		sum += s.Rows[i].Penalty[f] * math.Abs(s.solutions[i].Coef[a])
	}
	return sum
}
