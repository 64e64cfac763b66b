package rowsolve

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// certify returns the gap between the joint objective and the dual
//
//	Σ_i (ω_i²(θ_iᵀt_i − ½‖θ_i‖²) − κ_i μ_i)   s.t. ‖((|ω_i² f_jᵀθ_i| − Penalty_ij − [j in ball] μ_i)₊ / Scale_ij) over a group‖ ≤ its Weight
//
// (columns without a group: the numerator is 0) at θ_i = α·r_i and α·μ_i, α the largest value up to 1 that
// is feasible, and the joint objective.
func (s *jointSolver) certify() (gap, objective float64) {
	alpha, charge := s.dualScale()
	for i, sol := range s.solutions {
		u := s.gradient[i]
		penalty := s.penaltyOf(i)
		objective += s.residual[i]/2 + penalty
		gap += 0.5*s.residual[i]*(1-alpha)*(1-alpha) + penalty
		for a, f := range sol.Support {
			gap -= alpha * float64(u[f]*sol.Coef[a])
		}
		if s.mu[i] > 0 {
			gap += s.rows[i].Kappa * alpha * s.mu[i]
		}
	}
	for k, v := range s.norm {
		gap += s.Weight[k] * v
		objective += s.Weight[k] * v
	}
	return max(gap+charge, 0), objective
}

// dualScale returns the largest α ≤ 1 at which α·r is feasible. What rounding leaves of unpenalised
// columns is charged to the gap, as in solver.dualLimit.
func (s *jointSolver) dualScale() (alpha, charge float64) {
	alpha = 1.0
	for i := range s.rows {
		m := s.gram.moments(s.rows[i].Intercept)
		reach := float64(s.rows[i].Omega*s.rows[i].Omega) * m.tt[s.rows[i].Target]
		for f, v := range s.gradient[i] {
			if !s.usable[i][f] || s.grouped(i, f) {
				continue
			}
			penalty := s.Rows[i].Penalty[f]
			over := math.Abs(v) - s.multiplier(i, f)
			if penalty == 0 && over > 0 {
				charge += 2 * over * math.Sqrt(reach/m.g[f*s.gram.features+f]) / s.rows[i].Omega
				continue
			}
			if over*alpha > penalty {
				alpha = penalty / over
			}
		}
	}
	return s.groupScale(alpha), charge
}

// dualSecants is how often groupScale refines.
const dualSecants = 4

// groupScale returns a value up to high at which α·r satisfies the groups' constraints, close to the
// largest. What they constrain, over its bound, is convex in α and 0 at 0: so where a chord reaches 1, the
// function has not.
func (s *jointSolver) groupScale(high float64) float64 {
	worst := s.overBound(high)
	if worst <= 1 {
		return high
	}
	low, atLow := high/worst, 0.0
	for range dualSecants {
		if atLow = s.overBound(low); atLow >= 1 {
			return low * (1 - 1e-15)
		}
		low += (high - low) * (1 - atLow) / (worst - atLow)
	}
	return low * (1 - 1e-15)
}

// overBound returns the largest ratio of what the dual constrains in a group at α·r to the group's weight.
func (s *jointSolver) overBound(alpha float64) float64 {
	worst := 0.0
	for k, v := range s.excess(alpha) {
		if s.Weight[k] > 0 {
			worst = max(worst, v/s.Weight[k])
		}
	}
	return worst
}

// grouped reports whether a group's norm covers feature f in row i.
func (s *jointSolver) grouped(i, f int) bool {
	k := s.Group[f]
	return k >= 0 && s.Weight[k] > 0 && s.scale[i][f] > 0
}

// multiplier returns the ball's multiplier where it covers feature f in row i.
func (s *jointSolver) multiplier(i, f int) float64 {
	if f < s.rows[i].BallSize {
		return s.mu[i]
	}
	return 0
}

// excess returns per group the norm that the dual constrains, at α·r.
func (s *jointSolver) excess(alpha float64) []float64 {
	sum := make([]float64, len(s.Weight))
	for i := range s.rows {
		penalty, scale, mu := s.Rows[i].Penalty, s.scale[i], s.mu[i]
		for f, v := range s.gradient[i] {
			if !s.covered[i][f] {
				continue
			}
			v = math.Abs(v)
			if f < s.rows[i].BallSize {
				v -= mu
			}
			if over := float64(alpha*v) - penalty[f]; over > 0 {
				over /= scale[f]
				sum[s.Group[f]] += float64(over * over)
			}
		}
	}
	for k := range sum {
		sum[k] = math.Sqrt(sum[k])
	}
	return sum
}

// advance moves η on from a solution of the rows.
func (s *jointSolver) advance(history *anderson) {
	largest, changed := s.largest(), false
	excess := s.excess(1)
	for k := range s.eta {
		switch {
		case s.Weight[k] == 0:
		case s.eta[k] == 0 && excess[k] > s.Weight[k]*(1+1e-9):
			s.eta[k], s.norm[k] = jointReturn*largest, jointReturn*largest
			changed = true
		case s.eta[k] > 0 && s.norm[k] == 0:
			s.eta[k] = 0
			changed = true
		case s.shrinks(k, largest):
			s.drops[k]++
			s.eta[k] = 0
			changed = true
		}
	}
	var active []int
	var at, next []float64
	for k, v := range s.eta {
		if v > 0 && s.Weight[k] > 0 {
			active = append(active, k)
			at, next = append(at, math.Log(v)), append(next, math.Log(s.norm[k]))
		}
	}
	if changed {
		history.forget()
	}
	// What a step changes counts by the size of the norms: tiny ones, far from their fixed point in the
	// logarithm, would drown the others.
	weight := make([]float64, len(active))
	for a, k := range active {
		weight[a] = max(s.norm[k]/largest, 1e-6)
	}
	for a, v := range history.next(at, next, weight, s.upper) {
		s.eta[active[a]] = math.Exp(v)
	}
}

// anderson extrapolates a fixed-point iteration x → f(x) from its last steps (Anderson 1965; Walker, Ni
// 2011), where that keeps a merit that the plain iteration is known to lower from rising.
type anderson struct {
	memory int
	x, f   [][]float64
	merit  float64
	plain  []float64 // f at the last accepted x
}

func (a *anderson) forget() { a.x, a.f, a.plain = nil, nil, nil }

// next returns the point to try after x, whose image is f and whose merit is given; weight says how much each
// coordinate counts in the extrapolation. The slices are kept.
func (a *anderson) next(x, f, weight []float64, merit float64) []float64 {
	if a.plain != nil && !(merit <= a.merit*(1+1e-12)) {
		back := a.plain // the extrapolation went up: the plain step from before it instead
		a.forget()
		return back
	}
	a.merit, a.plain = merit, f
	a.x, a.f = append(a.x, x), append(a.f, f)
	if len(a.x) > a.memory {
		a.x, a.f = a.x[1:], a.f[1:]
	}
	count := len(a.x) - 1
	if count == 0 || len(x) == 0 {
		return f
	}
	differences, right := mat.NewDense(len(x)+count, count, nil), mat.NewVecDense(len(x)+count, nil)
	size := 0.0
	for c := range count {
		for r := range x {
			d := weight[r] * ((f[r] - x[r]) - (a.f[c][r] - a.x[c][r]))
			differences.Set(r, c, d)
			size = max(size, math.Abs(d))
		}
	}
	for r := range x {
		right.SetVec(r, weight[r]*(f[r]-x[r]))
	}
	for c := range count {
		differences.Set(len(x)+c, c, 1e-8*size+1e-300)
	}
	var gamma mat.VecDense
	// An ill-conditioned system is reported as an error, but solved: next points are only proposals.
	_ = gamma.SolveVec(differences, right)
	out := make([]float64, len(x))
	for r := range x {
		out[r] = f[r]
		for c := range count {
			out[r] -= gamma.AtVec(c) * (f[r] - a.f[c][r])
		}
		if change := out[r] - f[r]; math.IsNaN(change) || math.Abs(change) > jointStep {
			out[r] = f[r] + math.Copysign(min(jointStep, math.Abs(change)), change)
			if math.IsNaN(change) {
				out[r] = f[r]
			}
		}
	}
	return out
}
