package rowsolve

import "math"

// maxPivots bounds the pivots of finish. It is far above what any row was seen to need; a row that
// reaches it is returned with the gap it has.
const maxPivots = 20000

// finish certifies w and, while the gap is not closed, goes on by an active-set method that cannot
// cycle: columns enter a few at a time (one, when several made no progress), w moves toward the
// minimiser over the support as far as the first sign allows, the column that stopped it leaves. w is
// feasible throughout and the objective descends. A column that depends on the support may enter: its
// pivot is floored, the step along the dependency is then huge and ends where a column leaves.
func (s *solver) finish() certificate {
	s.confine()
	s.gradient()
	best := s.certify()
	entering := enterAtOnce
	stalled := 0
	for pivots := 0; !best.closed(s.tt) && pivots < maxPivots; {
		s.violators(1)
		if len(s.picks) > entering {
			s.picks = s.picks[:entering]
		}
		s.enterPicks()
		pivots += 1 + s.descend()
		s.confine()
		s.gradient()
		now := s.certify()
		progress := now.objective < best.objective || now.gap < 0.5*best.gap
		best = now
		if progress {
			stalled, entering = 0, min(2*entering, enterAtOnce)
			continue
		}
		entering = 1
		if stalled++; stalled > 3 {
			break
		}
	}
	return best
}

// enterPicks puts s.picks into the support; a column that depends on the support only when no other is
// left, and then one alone: the factor would not stand several.
func (s *solver) enterPicks() {
	entered := false
	for _, p := range s.picks {
		entered = s.enter(p.feature, s.g[p.feature], false) || entered
	}
	if !entered && len(s.picks) > 0 {
		s.enter(s.picks[0].feature, s.g[s.picks[0].feature], true)
	}
}

// confine takes out of w what rounding put outside the ball.
func (s *solver) confine() {
	norm := s.signedNorm(s.w)
	if s.ball == 0 || norm <= s.kappa {
		return
	}
	for i, j := range s.active {
		if s.inBall(j) {
			s.w[i] *= s.kappa / norm
		}
	}
}

// descend moves w to the minimiser over the support, stopping where a column reaches zero, which then
// leaves, or its knee, on whose other side it then is. It returns how many linear systems it solved.
// s.g is kept up to date.
func (s *solver) descend() int {
	for solves := 1; ; solves++ {
		s.aim(1, true)
		step, blocking, atKnee := s.firstStop()
		for i, t := range s.target {
			s.target[i] = step * (t - s.w[i])
		}
		s.subtract(s.target)
		for i, d := range s.target {
			s.w[i] += d
			if s.w[i]*s.sign[i] < 0 {
				s.w[i] = 0
			}
		}
		if blocking < 0 || solves >= maxPivots {
			return solves
		}
		if atKnee {
			s.passKnee(blocking)
			continue
		}
		// What rounding left of the blocking column is taken out of the gradient too.
		if v := s.w[blocking]; v != 0 {
			axpy(v, s.row(blocking), s.g)
		}
		s.leave(blocking)
	}
}

// firstStop returns the part of the way from w to s.target at which the first column of the support
// reaches zero or its knee, and which column that is (−1: none does).
func (s *solver) firstStop() (step float64, blocking int, atKnee bool) {
	step, blocking = 1, -1
	for i, t := range s.target {
		at, knee := math.Inf(1), false
		if t*s.sign[i] < 0 {
			at = s.w[i] / (s.w[i] - t)
		}
		if len(s.knee) > 0 {
			if k := s.toKnee(i, t); k < at {
				at, knee = k, true
			}
		}
		if at <= 1 && (blocking < 0 || at < step) {
			step, blocking, atKnee = at, i, knee
		}
	}
	return step, blocking, atKnee
}

// solution reports w in the terms of the problem.
func (s *solver) solution(g *Gram, p *Problem, cert certificate) *Solution {
	omega2 := float64(p.Omega * p.Omega)
	out := &Solution{
		Objective:  omega2 * cert.objective,
		Gap:        cert.relative(s.tt),
		Mu:         omega2 * s.mu,
		Iterations: s.iterations,
	}
	for _, j := range s.candidates {
		if at := s.where[j]; at >= 0 && s.w[at] != 0 {
			out.Support = append(out.Support, j)
			out.Coef = append(out.Coef, s.w[at])
		}
	}
	if p.Intercept {
		out.Intercept = g.intercept(p.Target, out.Support, out.Coef)
	}
	if math.IsNaN(out.Gap) {
		out.Gap = math.Inf(1)
	}
	return out
}

// intercept returns the β that is optimal for the coefficients.
func (s *sums) intercept(target int, support []int32, coef []float64) float64 {
	beta := s.TargetMean(target)
	for i, j := range support {
		beta -= float64(coef[i] * s.FeatureMean(int(j)))
	}
	return beta
}
