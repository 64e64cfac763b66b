package verify

import (
	"math"

	"github.com/sparse-implicit/sim/format/simb"
)

// radius returns the largest distance, of those that bisection tries, within which the integers are proved to
// decide a.
func (s *Session) radius(u []float32, a int) float64 {
	whole := 0.0 // the box lies within it
	for j := range s.c.m.Inputs {
		input := &s.c.m.Inputs[j]
		at := float64(u[input.Source])
		whole = max(whole, at-float64(input.Lo), float64(input.Hi)-at)
	}
	if s.keeps(u, a, whole) {
		return whole
	}
	const finest, steps = 32, 5
	low, high := -finest, 0 // 2^low of the whole is proved, or low is the least; 2^high is not
	for high-low > 1 {
		if middle := (low + high) / 2; s.keeps(u, a, math.Ldexp(whole, middle)) {
			low = middle
		} else {
			high = middle
		}
	}
	proved, open := math.Ldexp(whole, low), math.Ldexp(whole, low+1)
	if low == -finest && !s.keeps(u, a, proved) {
		return 0
	}
	for range steps {
		if middle := (proved + open) / 2; s.keeps(u, a, middle) {
			proved = middle
		} else {
			open = middle
		}
	}
	return proved
}

// keeps reports whether a is proved to be decided for every input within r of u and in the box. Outputs are whole
// numbers of their unit, rounded half up: z̃_a ≥ z̃_b proves y_a ≥ y_b, and a unit more proves y_a > y_b.
func (s *Session) keeps(u []float32, a int, r float64) bool {
	m, b := s.c.m, s.boxes
	for j := range m.Inputs {
		input := &m.Inputs[j]
		at := float64(u[input.Source])
		s.lo[j], s.hi[j] = max(float64(input.Lo), subDown(at, r)), min(float64(input.Hi), addUp(at, r))
	}
	b.enter(s.lo, s.hi)
	b.states(nil, s.known)
	if b.overflow {
		return false
	}
	sign := 1.0
	if m.Decision == simb.DecideArgmin {
		sign = -1
	}
	for k := range m.Outputs() {
		least := 0.0
		if k < a {
			least = float64(m.OutputScale)
		}
		if k != a && !(b.difference(s.c.n+a, s.c.n+k, sign) >= least) {
			return false
		}
	}
	return true
}

// difference bounds sign·(z̃_i − z̃_k) of two output rows from below; the reference must be the integers' own.
func (b *boxBounds) difference(i, k int, sign float64) float64 {
	b.clear()
	b.substitute(i, sign, -sign, sign, -sign)
	b.substitute(k, -sign, sign, -sign, sign)
	return b.bound(b.c.n).lo
}

// lipschitzRadius returns (ŷ_a − ŷ_b − E_a − E_b)/L_ab, the least of all b, or nil when the file does not claim
// what it takes.
func (s *Session) lipschitzRadius(u []float32, y []int64, a int) *float64 {
	if len(s.c.m.Certificates.Lipschitz) == 0 || s.errors == nil || len(y) < 2 {
		return nil
	}
	exact := make([]interval, len(y)) // ŷ at u
	if len(s.c.loops) == 0 {
		exact = s.realised(u)
	} else {
		for k, v := range y {
			exact[k] = point(s.c.outputWorth(v)).widen(s.errors[k])
		}
	}
	constants := s.constantsOf(a)
	radius := math.Inf(1)
	for b := range y {
		if b == a {
			continue
		}
		ahead := subDown(exact[a].lo, exact[b].hi)
		if s.c.m.Decision == simb.DecideArgmin {
			ahead = subDown(exact[b].lo, exact[a].hi)
		}
		ahead = subDown(subDown(ahead, s.errors[a]), s.errors[b])
		if constants[b] > 0 {
			ahead = divDown(ahead, constants[b])
		} else if ahead > 0 {
			ahead = math.MaxFloat64
		}
		radius = min(radius, ahead)
	}
	radius = min(max(0, nextDown(radius)), math.MaxFloat64)
	return &radius
}

// constantsOf returns how much y_a − y_b can change when every input changes by one unit at most, for each b,
// of the real model that the integers are: the claim's gains are above its own.
func (l *Local) constantsOf(a int) []float64 {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.constants[a] != nil {
		return l.constants[a]
	}
	c := l.c
	gain := func(column int32) float64 {
		if int(column) < c.p {
			return 1
		}
		return float64(c.m.Certificates.Gain[int(column)-c.p])
	}
	own := make([]interval, c.p+c.n)
	for k := c.m.Weights.Indptr[c.n+a]; k < c.m.Weights.Indptr[c.n+a+1]; k++ {
		own[c.m.Weights.Indices[k]] = c.weights[k]
	}
	constants := make([]float64, c.m.Outputs())
	for b := range constants {
		rest := append([]interval(nil), own...)
		for k := c.m.Weights.Indptr[c.n+b]; k < c.m.Weights.Indptr[c.n+b+1]; k++ {
			j := c.m.Weights.Indices[k]
			rest[j] = rest[j].add(interval{-c.weights[k].hi, -c.weights[k].lo})
		}
		for j, w := range rest {
			constants[b] = addUp(constants[b], mulUp(w.magnitude(), gain(int32(j))))
		}
	}
	l.constants[a] = constants
	return constants
}
