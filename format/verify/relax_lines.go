package verify

import (
	"math"

	"github.com/sparse-implicit/sim/format/simb"
)

// line is slope·t + offset, which lies above or below a function on a range: the offset is rounded outward.
type line struct{ slope, offset float64 }

// at returns the line's value at t, rounded to nearest.
func (l line) at(t float64) float64 { return float64(l.slope*t) + l.offset }

// over returns the line's least and largest value on a range.
func (l line) over(t interval) interval {
	if l.slope >= 0 {
		return interval{addDown(mulDown(l.slope, t.lo), l.offset), addUp(mulUp(l.slope, t.hi), l.offset)}
	}
	return interval{addDown(mulDown(l.slope, t.hi), l.offset), addUp(mulUp(l.slope, t.lo), l.offset)}
}

// nearlyEqual is how much less one side of a kink may be than the other and still count as the larger one: a
// symmetric box makes exact ties, and two evaluations must not break them differently.
const nearlyEqual = 1 - 0x1p-20

// hull returns the least interval around both.
func (v interval) hull(w interval) interval { return interval{min(v.lo, w.lo), max(v.hi, w.hi)} }

// finite reports whether both ends are numbers.
func (v interval) finite() bool { return v.lo-v.lo == 0 && v.hi-v.hi == 0 }

// kinks returns where φ changes its slope, −Inf and Inf where it does not, and its slope before, between and
// behind them. It is not for tanh and sigmoid.
func kinks(row *simb.Row) (low, high, before, between, behind float64) {
	switch row.Kind {
	case simb.ReLU:
		return 0, math.Inf(1), 0, 1, 1
	case simb.LeakyReLU:
		return 0, math.Inf(1), parameter(row), 1, 1
	case simb.ClippedReLU:
		return 0, parameter(row), 0, 1, 0
	case simb.HardTanh:
		return -parameter(row), parameter(row), 0, 1, 0
	}
	return math.Inf(-1), math.Inf(1), 1, 1, 1
}

// curved reports whether φ is tanh or sigmoid.
func curved(row *simb.Row) bool { return row.Kind == simb.Tanh || row.Kind == simb.Sigmoid }

// settled reports whether φ has one slope over the range.
func settled(row *simb.Row, z interval) bool {
	if curved(row) {
		return false
	}
	low, high, _, _, _ := kinks(row)
	return z.hi <= low || z.lo >= low && z.hi <= high || z.lo >= high
}

// slopes returns the least and the largest slope of φ over a range.
func slopes(row *simb.Row, z interval) (least, most float64) {
	if curved(row) {
		steepest := min(max(0, z.lo), z.hi) // the point nearest to 0
		return min(slopeAt(row.Kind, z.lo).lo, slopeAt(row.Kind, z.hi).lo), slopeAt(row.Kind, steepest).hi
	}
	low, high, before, between, behind := kinks(row)
	least, most = math.Inf(1), math.Inf(-1)
	put := func(touched bool, slope float64) {
		if touched {
			least, most = min(least, slope), max(most, slope)
		}
	}
	put(z.lo < low, before)
	put(z.hi > high, behind)
	put(z.hi > low && z.lo < high || z.lo == z.hi && (z.lo == low || z.lo == high), between)
	return least, most
}

// slopeAt encloses the slope of tanh or sigmoid at a point.
func slopeAt(kind simb.Kind, z float64) interval {
	v := curve(kind, z)
	if kind == simb.Sigmoid { // y(1 − y)
		s := v.mul(interval{subDown(1, v.hi), subUp(1, v.lo)})
		return interval{max(s.lo, 0), min(s.hi, 0.25)}
	}
	s := v.mul(v)
	if v.lo < 0 && v.hi > 0 {
		s.lo = 0
	}
	return interval{max(subDown(1, s.hi), 0), min(subUp(1, s.lo), 1)}
}

// functionLines returns lines above and below φ on a range.
func functionLines(row *simb.Row, z interval) (above, below line) {
	left, right := activate(row, point(z.lo)), activate(row, point(z.hi))
	if curved(row) {
		slope, _ := slopes(row, z)
		below = line{slope, subDown(left.lo, mulUp(slope, z.lo))}
		above = line{slope, subUp(right.hi, mulDown(slope, z.hi))}
		return above, below
	}
	low, high, before, between, behind := kinks(row)
	lowInside, highInside := z.lo < low && low < z.hi, z.lo < high && high < z.hi
	switch {
	case lowInside && highInside:
		return line{0, right.hi}, line{0, left.lo}
	case lowInside: // convex
		slope := before
		if z.hi-low >= nearlyEqual*(low-z.lo) {
			slope = between
		}
		return chord(z, left, right, true), through(row, low, slope)
	case highInside: // concave
		slope := behind
		if high-z.lo >= nearlyEqual*(z.hi-high) {
			slope = between
		}
		return through(row, high, slope), chord(z, left, right, false)
	case z.hi <= low:
		above = through(row, low, before)
	case z.lo >= high:
		above = through(row, high, behind)
	case math.IsInf(low, 0):
		above = line{1, 0} // the identity
	default:
		above = through(row, low, between)
	}
	return above, above
}

// through returns the line through a kink: exact, for kinks are where slopes of 0 and 1 meet at 0, c or −c,
// and that of leaky relu goes through the origin.
func through(row *simb.Row, kink, slope float64) line {
	if slope == 0 {
		return line{0, activate(row, point(kink)).hi}
	}
	return line{slope, 0}
}

// chord returns the line through a function's values at the ends of a range, moved outward until it lies above
// or below them.
func chord(t, left, right interval, above bool) line {
	slope := (right.hi - left.hi) / (t.hi - t.lo)
	slope = min(max(slope, 0), 1)
	if above {
		return line{slope, max(subUp(left.hi, mulDown(slope, t.lo)), subUp(right.hi, mulDown(slope, t.hi)))}
	}
	return line{slope, min(subDown(left.lo, mulUp(slope, t.lo)), subDown(right.lo, mulUp(slope, t.hi)))}
}

// differenceLines returns lines above and below φ(z + d) − φ(z), which is λd with λ in [least, most], over a
// range of d.
func differenceLines(d interval, least, most float64) (above, below line) {
	if d.lo >= 0 {
		return line{most, 0}, line{least, 0}
	}
	if d.hi <= 0 || least == most {
		return line{least, 0}, line{most, 0}
	}
	ends := func(at, slope float64) interval { return interval{mulDown(slope, at), mulUp(slope, at)} }
	return chord(d, ends(d.lo, least), ends(d.hi, most), true), chord(d, ends(d.lo, most), ends(d.hi, least), false)
}

// cuts returns the limits of a state at which its integers may be cut off and saturate over the range of z̃: those
// that are flagged and that φ(z̃) can pass. An end without one is infinite, and all are in the claim without
// saturation.
func (r *relaxation) cuts(i int, shifted interval) interval {
	row := &r.c.m.Rows[i]
	limits := everything
	if r.calibrated || row.Saturates == 0 {
		return limits
	}
	reached := activate(row, shifted)
	bottom, top := r.c.limits(i)
	if row.Saturates&simb.SaturatesLow != 0 && reached.lo < bottom {
		limits.lo = bottom
	}
	if row.Saturates&simb.SaturatesHigh != 0 && reached.hi > top {
		limits.hi = top
	}
	return limits
}

// within returns v with both ends moved between the limits.
func (v interval) within(limits interval) interval {
	return interval{min(max(v.lo, limits.lo), limits.hi), min(max(v.hi, limits.lo), limits.hi)}
}

// errorLines returns lines above and below e = x̃ − x* of state i in terms of d, with z and d in their ranges
// and z̃ in shifted. Where a limit cuts, x̃ follows ψ, which is φ between the limits: ψ(z̃) − ψ(z) is λd with λ
// from 0 on, and φ(z) − ψ(z) is what the limits take off the reference.
func (r *relaxation) errorLines(i int, z, d, shifted interval, isSettled bool) (above, below line) {
	row := &r.c.m.Rows[i]
	least, most := slopes(row, z.hull(shifted))
	limits := r.cuts(i, shifted)
	exact := activate(row, z)
	reached, kept := activate(row, shifted).within(limits), exact.within(limits)
	if limits != everything {
		least = 0
	}
	above, below = differenceLines(d, least, most)
	if !isSettled {
		if most := subUp(reached.hi, kept.lo); most < max(above.at(d.lo), above.at(d.hi))/2 {
			above = line{0, most}
		}
		if least := subDown(reached.lo, kept.hi); least > min(below.at(d.lo), below.at(d.hi))/2 {
			below = line{0, least}
		}
	}
	up, down := r.rounded(i, shifted)
	above.offset = addUp(above.offset, addUp(up, max(0, subUp(limits.lo, exact.lo))))
	below.offset = subDown(below.offset, addUp(down, max(0, subUp(exact.hi, limits.hi))))
	return above, below
}

// rounded returns how far x̃ can lie above and below ψ(z̃): the rounding of a requantisation, and how far
// a limit lies beyond the function's own.
func (r *relaxation) rounded(i int, shifted interval) (up, down float64) {
	row, half := &r.c.m.Rows[i], float64(r.c.m.Rows[i].Scale)/2
	if (row.Kind == simb.ReLU || row.Kind == simb.ClippedReLU) && shifted.hi <= 0 && row.Lo == row.Zero {
		return 0, 0 // an accumulator of 0 or less is requantised to 0 or less: x̃ is exactly 0
	}
	up, down = r.rounding[i], r.rounding[i]
	if row.Table != simb.NoTable {
		return up, down
	}
	bottom, top := r.c.limits(i)
	low, high := ownLimits(row)
	if subUp(top, high) > half {
		up = addUp(up, max(0, subUp(min(shifted.hi, top), high)))
	}
	if subUp(low, bottom) > half {
		down = addUp(down, max(0, subUp(low, max(shifted.lo, bottom))))
	}
	return up, down
}

// unsaturated narrows the ranges of z̃ and of z to what they are where nothing saturates.
func (r *relaxation) unsaturated(i int, z, d, shifted interval) (narrowed, narrowedShifted interval) {
	row := &r.c.m.Rows[i]
	if row.Table != simb.NoTable {
		return z, shifted
	}
	bottom, top := r.c.limits(i)
	half := float64(row.Scale) / 2
	allowed := everything
	// A negative accumulator of a leaky relu has a multiplier of its own: its t says nothing of z̃ itself
	// where it ends a range below zero.
	leaky := row.Kind == simb.LeakyReLU
	if row.Saturates&simb.SaturatesHigh != 0 && !(leaky && top < 0) {
		allowed.hi = addUp(top, half)
	}
	if row.Saturates&simb.SaturatesLow != 0 && !leaky {
		allowed.lo = subDown(bottom, half)
	}
	shifted = shifted.narrowed(allowed)
	return z.narrowed(interval{subDown(shifted.lo, d.hi), subUp(shifted.hi, d.lo)}), shifted
}
