package verify

import (
	"math"
	"math/big"
)

// Directed rounding. Each function returns the exact result of one operation on finite arguments when
// float64 can hold it, and otherwise the neighbour on the side that its name says. What the rounding
// lost is found without an error of its own: by Møller and Knuth's two-sum for additions, by a fused
// multiply-add for products and quotients (exact as long as nothing underflows; near there the result
// moves outward in any case). So an equality that holds in exact numbers also holds here.

// underflow is a size below which the lost part of a product may itself be lost.
const underflow = 0x1p-960

// nextUp returns the smallest float64 above x; +Inf stays.
func nextUp(x float64) float64 {
	switch {
	case x > 0:
		if x > math.MaxFloat64 {
			return x
		}
		return math.Float64frombits(math.Float64bits(x) + 1)
	case x < 0:
		return math.Float64frombits(math.Float64bits(x) - 1)
	}
	return math.SmallestNonzeroFloat64
}

// nextDown returns the largest float64 below x; −Inf stays.
func nextDown(x float64) float64 { return -nextUp(-x) }

// addUp returns the smallest float64 ≥ a + b. The sum of opposite infinities is +Inf.
func addUp(a, b float64) float64 {
	s := a + b
	if s-s != 0 { // infinite or NaN
		if s < 0 && a > -math.MaxFloat64 && b > -math.MaxFloat64 {
			return -math.MaxFloat64
		}
		if s < 0 {
			return s
		}
		return math.Inf(1)
	}
	t := s - a
	lost := (a - (s - t)) + (b - t)
	if lost <= 0 {
		return s
	}
	return nextUp(s)
}

func addDown(a, b float64) float64 { return -addUp(-a, -b) }

func subUp(a, b float64) float64   { return addUp(a, -b) }
func subDown(a, b float64) float64 { return addDown(a, -b) }

// mulUp returns the smallest float64 ≥ a·b. Zero times anything is zero.
func mulUp(a, b float64) float64 {
	if a == 0 || b == 0 {
		return 0
	}
	p := float64(a * b) // never fused with what follows
	if p-p != 0 {
		if p < 0 && math.Abs(a) <= math.MaxFloat64 && math.Abs(b) <= math.MaxFloat64 {
			return -math.MaxFloat64
		}
		if p < 0 {
			return p
		}
		return math.Inf(1)
	}
	if math.Abs(p) >= underflow && math.FMA(a, b, -p) <= 0 {
		return p
	}
	return nextUp(p)
}

func mulDown(a, b float64) float64 { return -mulUp(-a, b) }

// divUp returns a float64 ≥ a/b, the smallest one except near underflow; b must be positive and finite.
func divUp(a, b float64) float64 {
	if a == 0 {
		return 0
	}
	q := a / b
	if q-q != 0 {
		if q < 0 && a >= -math.MaxFloat64 {
			return -math.MaxFloat64
		}
		return q
	}
	if math.Abs(q) >= underflow && math.Abs(a) >= underflow && math.FMA(-q, b, a) <= 0 {
		return q
	}
	return nextUp(q)
}

func divDown(a, b float64) float64 { return -divUp(-a, b) }

// interval encloses a real number: lo ≤ it ≤ hi.
type interval struct{ lo, hi float64 }

func point(x float64) interval { return interval{x, x} }

// everything encloses what is not known.
var everything = interval{math.Inf(-1), math.Inf(1)}

// narrowed returns what v and w have in common, or v where rounding or an impossible case leaves nothing.
func (v interval) narrowed(w interval) interval {
	if shared := (interval{max(v.lo, w.lo), min(v.hi, w.hi)}); shared.lo <= shared.hi {
		return shared
	}
	return v
}

// magnitude bounds the absolute value.
func (v interval) magnitude() float64 { return max(-v.lo, v.hi) }

// distance bounds |v − x|.
func (v interval) distance(x float64) float64 {
	return max(subUp(v.hi, x), subUp(x, v.lo))
}

func (v interval) add(w interval) interval {
	return interval{addDown(v.lo, w.lo), addUp(v.hi, w.hi)}
}

func (v interval) sub(w interval) interval {
	return interval{subDown(v.lo, w.hi), subUp(v.hi, w.lo)}
}

func (v interval) widen(by float64) interval {
	return interval{subDown(v.lo, by), addUp(v.hi, by)}
}

func (v interval) mul(w interval) interval {
	switch {
	case v.lo >= 0 && w.lo >= 0:
		return interval{mulDown(v.lo, w.lo), mulUp(v.hi, w.hi)}
	case v.lo >= 0:
		return interval{min(mulDown(v.lo, w.lo), mulDown(v.hi, w.lo)), max(mulUp(v.lo, w.hi), mulUp(v.hi, w.hi))}
	case v.hi <= 0:
		n := interval{-v.hi, -v.lo}.mul(w)
		return interval{-n.hi, -n.lo}
	}
	return interval{
		min(mulDown(v.lo, w.lo), mulDown(v.lo, w.hi), mulDown(v.hi, w.lo), mulDown(v.hi, w.hi)),
		max(mulUp(v.lo, w.lo), mulUp(v.lo, w.hi), mulUp(v.hi, w.lo), mulUp(v.hi, w.hi)),
	}
}

// div divides by a positive number.
func (v interval) div(b float64) interval { return interval{divDown(v.lo, b), divUp(v.hi, b)} }

// integer encloses an integer of any size.
func integer(v *big.Int) interval {
	var f big.Float
	f.SetInt(v)
	x, accuracy := f.Float64()
	switch accuracy {
	case big.Below:
		return interval{x, nextUp(x)}
	case big.Above:
		return interval{nextDown(x), x}
	}
	return point(x)
}
