package rowsolve

import (
	"math"
	"slices"
)

// A penalty with a knee is |w| up to the knee and a parabola beyond it, the slope at zero being
// Penalty_j and the curvature beyond Penalty_j / Knee_j. The solver takes every column of the support to
// be on one side; within the sides it has taken the problem is a quadratic one. The slope does not jump
// at a knee, so that a column that passes it goes on in the same direction.

// straight takes all columns to be before their knees.
func (s *solver) straight() {
	s.beyond = s.beyond[:0]
	if len(s.knee) > 0 {
		s.beyond = slices.Grow(s.beyond, s.n)[:s.n]
		clear(s.beyond)
	}
}

// isBeyond reports whether column j is taken to be beyond its knee.
func (s *solver) isBeyond(j int32) bool { return len(s.knee) > 0 && s.beyond[j] }

// slope returns the weight of |w_j| on the side of the knee on which column j is taken to be.
func (s *solver) slope(j int32) float64 {
	if s.isBeyond(j) {
		return 0
	}
	return s.pen[j]
}

// curvature returns what the penalty adds to the diagonal on the side on which column j is taken to be.
func (s *solver) curvature(j int32) float64 {
	if s.isBeyond(j) {
		return s.pen[j] / s.knee[j]
	}
	return 0
}

// penalty returns pen_j ρ_j(w).
func (s *solver) penalty(j int32, w float64) float64 {
	w = math.Abs(w)
	if len(s.knee) == 0 || w <= s.knee[j] {
		return s.pen[j] * w
	}
	k := s.knee[j]
	return s.pen[j] * (float64(w*w) + float64(k*k)) / (2 * k)
}

// conjugate returns the largest y·w − pen_j ρ_j(w) over w, +Inf where there is none: with a knee k it is
// (y² − pen²)₊ k / 2pen.
func (s *solver) conjugate(j int32, y float64) float64 {
	y = math.Abs(y)
	pen := s.pen[j]
	if y <= pen {
		return 0
	}
	if len(s.knee) == 0 || pen == 0 || math.IsInf(s.knee[j], 1) {
		return math.Inf(1)
	}
	return (y - pen) * (y + pen) * s.knee[j] / (2 * pen)
}

// bounded reports whether column j's conjugate is finite everywhere.
func (s *solver) bounded(j int32) bool {
	return len(s.knee) > 0 && s.pen[j] > 0 && !math.IsInf(s.knee[j], 1)
}

// bendAtTarget takes every column of the support to be on the side of its knee on which s.target has it,
// and reports whether that changed anything.
func (s *solver) bendAtTarget() bool {
	if len(s.knee) == 0 {
		return false
	}
	var changed []int32
	for i, j := range s.active {
		if s.pen[j] > 0 && (s.target[i]*s.sign[i] > s.knee[j]) != s.beyond[j] {
			changed = append(changed, j)
		}
	}
	for _, j := range changed {
		s.changeSide(s.where[j])
	}
	return len(changed) > 0
}

// changeSide takes the column at a place of the support to be on the other side of its knee; it becomes
// the last one.
func (s *solver) changeSide(place int32) {
	j, sign, w := s.active[place], s.sign[place], s.w[place]
	beyond := s.beyond[j]
	s.leave(int(place))
	s.beyond[j] = !beyond
	s.enter(j, sign, true)
	s.w[len(s.w)-1] = w
}

// toKnee returns the part of the way from w to t at which the column at place i reaches its knee; +Inf
// where it does not.
func (s *solver) toKnee(i int, t float64) float64 {
	j := s.active[i]
	knee, from, to := s.knee[j], math.Abs(s.w[i]), t*s.sign[i]
	if s.pen[j] == 0 || s.beyond[j] != (to < knee) {
		return math.Inf(1)
	}
	if to == from {
		return 0
	}
	return min(max((knee-from)/(to-from), 0), 1)
}

// passKnee puts the column at place i on its knee and takes it to be on the other side.
func (s *solver) passKnee(i int) {
	j := s.active[i]
	to := math.Copysign(s.knee[j], s.sign[i])
	if off := to - s.w[i]; off != 0 {
		axpy(-off, s.row(i), s.g)
		if len(s.ridge) > 0 {
			s.g[j] -= float64(s.ridge[j] * off)
		}
		s.w[i] = to
	}
	s.changeSide(int32(i))
}
