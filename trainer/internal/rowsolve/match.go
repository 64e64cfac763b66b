package rowsolve

import (
	"errors"
	"fmt"
	"math"
)

// ErrInfeasible is wrapped by the error of a Problem with Match that no weights satisfy.
var ErrInfeasible = errors.New("exact matching is infeasible")

const (
	matchRatio     = 0.1   // from one multiplier to the next while the residual is too large
	matchEnd       = 1e-13 // of the first multiplier: below it float64 has nothing to add
	matchStall     = 0.5   // a residual that falls less than this is suspected to be all there can be
	matchInside    = 1e-8  // of the allowed residual, by which the search aims inside
	matchRounding  = 1e-15 // of T: what rounding leaves unknown of a residual
	matchSearches  = 60
	matchUndecided = 1e-3 // relative: residuals whose least value is so close to the allowed one count as infeasible
)

// match solves the problem with the loss replaced by the constraint
//
//	mean_s (t_s − wᵀf_s − β)² ≤ Match² · T,   T = mean_s (t_s − t̄)² (without intercept mean_s t_s²)
//
// by the row problem at penalties λ·Penalty, λ chosen so that its residual is the allowed one: λ is the
// inverse of the constraint's multiplier. With fixed support and signs the residual is a + bλ², so that
// secants in λ² end quickly. The lower bound is the dual of the constrained problem at θ = α·r/λ,
//
//	θᵀt − Match·√T·‖θ‖ − κ·max_{j in ball}(|f_jᵀθ| − Penalty_j)₊    s.t. |f_jᵀθ| ≤ Penalty_j outside the ball.
func (s *solver) match(g *Gram, p *Problem, warm *Solution) (*Solution, error) {
	m := &matching{solver: s, gram: g, problem: p, rows: *p, guess: warm}
	m.rows.Match, m.rows.Omega = 0, 1
	m.rows.Penalty = make([]float64, len(p.Penalty))
	if err := m.solve(0); err != nil {
		return nil, err
	}
	if p.Match >= 1 || s.tt == 0 {
		return m.atZero(), nil
	}
	m.allowed = float64(p.Match*p.Match) * s.tt
	lambda, err := m.bracket()
	if err != nil {
		return nil, err
	}
	return m.search(lambda)
}

// matching is the state of match.
type matching struct {
	*solver
	gram    *Gram
	problem *Problem
	rows    Problem // at the present multiplier
	guess   *Solution

	allowed      float64 // residual
	high, low    float64 // multipliers whose residual is too large, and within the allowed one
	atHigh, atLo float64 // their residuals
	best         *Solution
}

// solve solves the row problem at a multiplier; 0: nothing but the problem's check is done.
func (m *matching) solve(lambda float64) error {
	for j, v := range m.problem.Penalty {
		m.rows.Penalty[j] = lambda * v
		if math.IsInf(v, 1) {
			m.rows.Penalty[j] = v
		}
	}
	if lambda == 0 {
		if err := m.rows.check(m.gram); err != nil {
			return err
		}
		return m.load(m.gram.moments(m.rows.Intercept), m.gram.features, &m.rows)
	}
	sol, err := solveWith(m.solver, m.gram, &m.rows, m.guess)
	if err == nil {
		m.guess = sol
	}
	return err
}

// atZero is the solution w = 0.
func (m *matching) atZero() *Solution {
	sol := &Solution{Support: []int32{}, Coef: []float64{}}
	if m.problem.Intercept && m.gram.samples > 0 {
		sol.Intercept = m.gram.TargetMean(m.problem.Target)
	}
	return sol
}

// bracket lowers the multiplier until the residual is within the allowed one and returns it. Where the
// residual stops falling, the least one there can be is computed and, when it is too large, proved.
func (m *matching) bracket() (float64, error) {
	first := 0.0
	for _, j := range m.candidates {
		if v := m.problem.Penalty[j]; v > 0 {
			first = max(first, math.Abs(m.c[j])/v)
		}
	}
	if first == 0 {
		first = 1
	}
	m.high, m.atHigh = first, m.tt
	checked := false
	for lambda := first * matchRatio; ; lambda *= matchRatio {
		if err := m.solve(lambda); err != nil {
			return 0, err
		}
		r := m.residual()
		if r <= m.allowed {
			m.low, m.atLo = lambda, r
			return lambda, nil
		}
		if !checked && r > matchStall*m.atHigh || lambda < matchEnd*first {
			if err := m.least(); err != nil || lambda < matchEnd*first {
				return 0, err
			}
			checked = true
		}
		m.high, m.atHigh = lambda, r
	}
}

// least returns an error when the least residual there is, by its certified lower bound, is not below the
// allowed one.
func (m *matching) least() error {
	rows := m.rows
	rows.Penalty = make([]float64, len(m.rows.Penalty))
	for j, v := range m.rows.Penalty {
		if math.IsInf(v, 1) {
			rows.Penalty[j] = v
		}
	}
	other := newSolver()
	sol, err := solveWith(other, m.gram, &rows, m.guess)
	if err != nil {
		return err
	}
	scale := max(sol.Objective, 1e-9*0.5*m.tt)
	if bound := 2 * (sol.Objective - sol.Gap*scale); bound > (1-matchUndecided)*m.allowed {
		within := ""
		if m.ball > 0 {
			within = fmt.Sprintf(" with ‖a‖₁ ≤ %g", m.kappa)
		}
		return fmt.Errorf("%w: whatever the weights%s, %.3g of the target's deviation remains (%.3g is allowed)",
			ErrInfeasible, within, math.Sqrt(max(bound, 0)/m.tt), m.problem.Match)
	}
	return nil
}

// search narrows the bracket until the gap is closed.
func (m *matching) search(lambda float64) (*Solution, error) {
	aim := m.allowed * (1 - matchInside)
	for range matchSearches {
		if r := m.residual(); r <= m.allowed {
			m.low, m.atLo = lambda, r
			if sol := m.certified(lambda); m.best == nil || sol.Gap < m.best.Gap {
				m.best = sol
			}
			if m.best.Gap <= stopAt {
				return m.best, nil
			}
		} else {
			m.high, m.atHigh = lambda, r
		}
		lambda = math.Sqrt(m.low * m.high)
		if m.atHigh > m.atLo {
			share := (aim - m.atLo) / (m.atHigh - m.atLo)
			secant := math.Sqrt(float64(m.low*m.low) + share*(float64(m.high*m.high)-float64(m.low*m.low)))
			if secant > m.low && secant < m.high {
				lambda = secant
			}
		}
		if err := m.solve(lambda); err != nil {
			return nil, err
		}
	}
	return m.best, nil
}

// certified returns the present solution as one of the constrained problem.
func (m *matching) certified(lambda float64) *Solution {
	sol := *m.guess
	residual, norm := m.residual(), 0.0
	limit, charge := m.dualLimit()
	alpha := min(1, limit)
	slack := charge
	for i, j := range m.active {
		norm += float64(m.pen[j] * math.Abs(m.w[i]))
		slack += float64(m.pen[j]*math.Abs(m.w[i])) - float64(alpha*float64(m.g[j]*m.w[i]))
	}
	above, _ := m.conjugates(alpha)
	// The residual is a difference of numbers of the size of T: what rounding may hide of it is charged.
	hidden := residual + matchRounding*m.tt
	gap := slack + above + alpha*(math.Sqrt(float64(hidden*m.allowed))-residual)
	sol.Objective, sol.Mu, sol.Gap = norm/lambda, m.mu/lambda, 0
	if gap > 0 {
		sol.Gap = gap / norm
	}
	return &sol
}
