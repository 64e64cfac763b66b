package rowsolve

import "math"

// certificate is the primal objective of the scaled problem and how far above the optimum it can be.
type certificate struct {
	objective, gap float64
}

// stopAt is the relative gap at which the search ends: below Tolerance, so that rounding of the
// solution on its way to a file stays within it.
const stopAt = 0.2 * Tolerance

// relative returns the gap over max(P, 1e-9·P(0)), tt being 2·P(0).
func (c certificate) relative(tt float64) float64 {
	if c.gap <= 0 {
		return 0
	}
	return c.gap / max(c.objective, 1e-9*0.5*tt)
}

// closed reports whether the search may end.
func (c certificate) closed(tt float64) bool { return c.relative(tt) <= stopAt }

// certify bounds the optimum from below by the dual
//
//	D(θ) = θᵀt − ½‖θ‖² − κ·max_{j in ball}(|f_jᵀθ| − pen_j)₊    s.t. |f_jᵀθ| ≤ pen_j outside the ball
//
// at θ = α·r, r the residual (with a ridge: the residual of the augmented problem). With g = Fᵀr and
// R = ‖r‖², rᵀt = R + gᵀw, so the gap is
//
//	P − D = ½R(1−α)² + (Σ pen_j|w_j| − α·gᵀw) + κ·max_{ball}(α|g_j| − pen_j)₊
//
// in which nothing large cancels. Σ pen_j|w_j| − α gᵀw is summed column by column for the same reason.
// s.g must be the gradient at s.w.
func (s *solver) certify() certificate {
	cw, gw, pen := 0.0, 0.0, 0.0
	for i, j := range s.active {
		cw += float64(s.c[j] * s.w[i])
		gw += float64(s.g[j] * s.w[i])
		pen += float64(s.pen[j] * math.Abs(s.w[i]))
	}
	residual := max(0, s.tt-cw-gw)
	limit, free := s.dualLimit()
	gapAt := func(alpha float64) (gap float64, worst int) {
		slack := 0.0
		for i, j := range s.active {
			slack += float64(s.pen[j]*math.Abs(s.w[i])) - float64(alpha*float64(s.g[j]*s.w[i]))
		}
		excess, worst := s.ballExcess(alpha)
		return 0.5*residual*(1-alpha)*(1-alpha) + slack + s.kappa*excess + free, worst
	}
	alpha := min(1, limit)
	best, worst := gapAt(alpha)
	// D is concave in α: with the ball's worst column fixed it is a parabola whose top is known.
	for range 4 {
		push := residual + gw
		if worst >= 0 {
			push -= s.kappa * math.Abs(s.g[worst])
		}
		if residual <= 0 {
			break
		}
		next := min(max(push/residual, 0), limit)
		gap, w := gapAt(next)
		if gap >= best {
			break
		}
		best, worst = gap, w
	}
	return certificate{objective: 0.5*residual + pen, gap: max(best, 0)}
}

// dualLimit returns the largest α at which α·r is feasible outside the ball. Unpenalised columns
// outside the ball demand f_jᵀθ = 0 exactly; what rounding leaves of it is charged to the gap at
// twice the coefficient instead.
func (s *solver) dualLimit() (limit, charge float64) {
	limit = math.Inf(1)
	for _, j := range s.candidates {
		if int(j) < s.ball {
			continue
		}
		v := math.Abs(s.g[j])
		if s.pen[j] == 0 {
			if at := s.where[j]; at >= 0 {
				charge += 2 * float64(v*math.Abs(s.w[at]))
				continue
			}
			charge += v * math.Sqrt(s.tt/s.diagonal(j))
			continue
		}
		if float64(v*limit) > s.pen[j] {
			limit = s.pen[j] / v
		}
	}
	return limit, charge
}

// ballExcess returns max_{j in ball}(α|g_j| − pen_j)₊ and the column that attains it, or 0 and −1.
func (s *solver) ballExcess(alpha float64) (float64, int) {
	excess, worst := 0.0, -1
	for _, j := range s.candidates {
		if int(j) >= s.ball {
			break
		}
		if v := float64(alpha*math.Abs(s.g[j])) - s.pen[j]; v > excess {
			excess, worst = v, int(j)
		}
	}
	return excess, worst
}
