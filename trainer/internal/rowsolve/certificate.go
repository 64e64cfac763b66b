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

// certify bounds the optimum from below by the Fenchel dual
//
//	D(θ, μ) = θᵀt − ½‖θ‖² − Σ_{j outside the ball} h_j*(f_jᵀθ) − κμ − Σ_{j in ball} h_j*((|f_jᵀθ| − μ)₊),   μ ≥ 0
//
// at θ = α·r, r the residual (with a ridge: the residual of the augmented problem). h_j is the penalty of
// column j and h_j* its conjugate: without a knee 0 up to pen_j and infinite beyond. With g = Fᵀr and
// R = ‖r‖², rᵀt = R + gᵀw, so the gap is
//
//	P − D = ½R(1−α)² + Σ_j (h_j(w_j) − α g_j w_j) + Σ h_j*(…) + κμ
//
// in which nothing large cancels: the first sum is taken column by column. s.g must be the gradient at
// s.w.
func (s *solver) certify() certificate {
	gw, pen := 0.0, 0.0
	for i, j := range s.active {
		gw += float64(s.g[j] * s.w[i])
		pen += s.penalty(j, s.w[i])
	}
	residual := s.residual()
	limit, free := s.dualLimit()
	gapAt := func(alpha float64) (gap float64, worst int) {
		slack := 0.0
		for i, j := range s.active {
			slack += s.penalty(j, s.w[i]) - float64(alpha*float64(s.g[j]*s.w[i]))
		}
		above, worst := s.conjugates(alpha)
		return 0.5*residual*(1-alpha)*(1-alpha) + slack + above + free, worst
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

// residual returns R = ‖r‖² per sample (with a ridge: of the augmented problem) from the gradient.
func (s *solver) residual() float64 {
	cw, gw := 0.0, 0.0
	for i, j := range s.active {
		cw += float64(s.c[j] * s.w[i])
		gw += float64(s.g[j] * s.w[i])
	}
	return max(0, s.tt-cw-gw)
}

// dualLimit returns the largest α at which α·r is feasible outside the ball. Unpenalised columns
// outside the ball demand f_jᵀθ = 0 exactly; what rounding leaves of it is charged to the gap at
// twice the coefficient instead.
func (s *solver) dualLimit() (limit, charge float64) {
	limit = math.Inf(1)
	for _, j := range s.candidates {
		if int(j) < s.ball || s.bounded(j) {
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

// conjugates returns the least κμ + Σ h_j* at α·g over the values of μ that are tried: the one at which no
// column of the ball exceeds its penalty, and, where knees allow less, the multiplier of the primal. It
// also returns the ball's column that exceeds most, −1 when none does.
func (s *solver) conjugates(alpha float64) (sum float64, worst int) {
	most, needed := 0.0, 0.0 // excess over all columns of the ball, and over those that may not exceed
	worst = -1
	outside, atMu := 0.0, 0.0
	for _, j := range s.candidates {
		if int(j) >= s.ball {
			if s.bounded(j) {
				outside += s.conjugate(j, alpha*s.g[j])
			}
			continue
		}
		v := float64(alpha*math.Abs(s.g[j])) - s.pen[j]
		if v > most {
			most, worst = v, int(j)
		}
		if v > needed && !s.bounded(j) {
			needed = v
		}
	}
	if len(s.knee) == 0 || s.ball == 0 {
		return s.kappa*most + outside, worst
	}
	mu := max(needed, min(s.mu, most))
	for _, j := range s.candidates {
		if int(j) < s.ball && s.bounded(j) {
			atMu += s.conjugate(j, max(0, float64(alpha*math.Abs(s.g[j]))-mu))
		}
	}
	return min(s.kappa*most, s.kappa*mu+atMu) + outside, worst
}
