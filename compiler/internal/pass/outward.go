package pass

import "math"

// Everything that the compiler claims is computed in float64 and then moved to the safe side by
// slack times the sum of the magnitudes that went into it. A sum of k products in float64 is off by
// less than (k+2)·2⁻⁵² of that sum, so slack covers rows of up to 10⁶ entries with a thousandfold to
// spare; the spare also lets a checker that rounds every operation outward accept the figure.
const slack = 1e-9

// coefficientError bounds the relative error of a weight's real worth w·r/s, computed in float64 from
// an exact integer, two float32 and a multiplier: three roundings.
const coefficientError = 0x1p-50

// up32 returns the smallest float32 ≥ x, for x ≥ 0.
func up32(x float64) float32 {
	f := float32(x)
	if float64(f) < x {
		f = math.Nextafter32(f, float32(math.Inf(1)))
	}
	return f
}

// upShort returns the smallest float32 ≥ x whose lower 16 bits are zero (a bfloat16), for any finite x
// of float32's range: certificates in this form cost half the bytes and 0.4 % of tightness.
func upShort(x float64) float32 {
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

// downShort returns the largest bfloat16 ≤ x.
func downShort(x float64) float32 { return -upShort(-x) }

// downMagnitude returns the largest bfloat16 ≤ x, for x ≥ 0.
func downMagnitude(x float64) float32 {
	f := float32(x)
	if float64(f) > x {
		f = math.Nextafter32(f, 0)
	}
	return math.Float32frombits(math.Float32bits(f) &^ 0xFFFF)
}

// interval is a closed range of reals.
type interval struct{ lo, hi float64 }

// magnitude returns the largest |x| of the interval.
func (v interval) magnitude() float64 { return max(math.Abs(v.lo), math.Abs(v.hi)) }

// reach is an interval per state.
type reach []interval
