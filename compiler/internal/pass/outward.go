package pass

import (
	"math"

	"github.com/sparse-implicit/sim/format/quant"
)

// Everything that the compiler claims is computed in float64 and then moved to the safe side by
// slack times the sum of the magnitudes that went into it. A sum of k products in float64 is off by
// less than (k+2)·2⁻⁵² of that sum, so slack covers rows of up to 10⁶ entries with a thousandfold to
// spare; the spare also lets a checker that rounds every operation outward accept the figure.
const slack = 1e-9

// coefficientError bounds the relative error of a weight's real worth w·r/s, computed in float64 from
// an exact integer, two float32 and a multiplier: three roundings.
const coefficientError = 0x1p-50

// shortError bounds the relative error of rounding to bfloat16, whose smallest step is shortLeast.
const (
	shortError = 0x1p-7
	shortLeast = 0x1p-133
)

// up32 returns the smallest float32 ≥ x, +Inf above float32's range.
func up32(x float64) float32 {
	f := float32(x)
	if float64(f) < x {
		f = math.Nextafter32(f, float32(math.Inf(1)))
	}
	return f
}

// upShort returns the smallest float32 ≥ x whose lower 16 bits are zero (a bfloat16), +Inf above its
// range and for NaN: certificates in this form cost half the bytes and 0.4 % of tightness.
func upShort(x float64) float32 {
	if math.IsNaN(x) {
		return float32(math.Inf(1))
	}
	if x < 0 {
		return -downMagnitude(-x)
	}
	f := up32(x)
	bits := math.Float32bits(f)
	if bits&0xFFFF != 0 {
		f = math.Float32frombits((bits | 0xFFFF) + 1)
	}
	return f
}

// fewestDigits returns a number in [x, x + room]: the one nearby if it lies there, else one of the fewest
// significant bits, or the smallest bfloat16 ≥ x when there is none shorter.
func fewestDigits(x, room float64, nearby float32) float32 {
	if float64(nearby) >= x && float64(nearby) <= x+room {
		return nearby
	}
	if !(x > leastScale) || math.IsInf(x, 0) {
		return upShort(x)
	}
	if most := quant.RoundUp(float64((x+room)/2), 1); float64(most) >= x && float64(most) <= x+room {
		return most // as large as may be: rows that come may have it too
	}
	for digits := 1; digits < quant.StepDigits; digits++ {
		if short := quant.RoundUp(x, digits); float64(short) <= x+room {
			return short
		}
	}
	return upShort(x)
}

// downShort returns the largest bfloat16 ≤ x, −Inf below its range and for NaN.
func downShort(x float64) float32 {
	if math.IsNaN(x) {
		return float32(math.Inf(-1))
	}
	return -upShort(-x)
}

// downMagnitude returns the largest bfloat16 ≤ x, for x ≥ 0.
func downMagnitude(x float64) float32 {
	f := float32(x)
	if float64(f) > x {
		f = math.Nextafter32(f, 0)
	}
	return math.Float32frombits(math.Float32bits(f) &^ 0xFFFF)
}

// upBits returns the smallest number ≥ x, x > 0, whose mantissa has at most the given bits.
func upBits(x float64, bits int) float64 {
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return math.Inf(1)
	}
	fraction, exponent := math.Frexp(x)
	return math.Ldexp(math.Ceil(math.Ldexp(fraction, bits)), exponent-bits)
}

// times returns a·b, unfused, where nothing times an unbounded range is nothing.
func times(a, b float64) float64 {
	if a == 0 || b == 0 {
		return 0
	}
	return float64(a * b)
}

// interval is a closed range of reals.
type interval struct{ lo, hi float64 }

// everything is the range of what is not bounded.
var everything = interval{math.Inf(-1), math.Inf(1)}

// magnitude returns the largest |x| of the interval.
func (v interval) magnitude() float64 { return max(math.Abs(v.lo), math.Abs(v.hi)) }

// bounded reports whether both ends are finite.
func (v interval) bounded() bool { return !math.IsInf(v.magnitude(), 0) }

// short rounds a range outward to bfloat16.
func short(v interval) interval {
	return interval{float64(downShort(v.lo)), float64(upShort(v.hi))}
}

// reach is an interval per state.
type reach []interval

// of returns the range of state j.
func (r reach) of(j int) interval { return r[j] }

// bounded reports whether every state's range is finite.
func (r reach) bounded() bool {
	for _, v := range r {
		if !v.bounded() {
			return false
		}
	}
	return true
}
