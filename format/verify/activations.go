package verify

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
)

// curveError bounds the absolute error of model.TanhOf and model.SigmoidOf.
const curveError = 0x1p-50

// curve encloses tanh or sigmoid at one point.
func curve(kind simb.Kind, x float64) interval {
	if kind == simb.Sigmoid {
		v := point(model.SigmoidOf(x)).widen(curveError)
		return interval{max(v.lo, 0), min(v.hi, 1)}
	}
	v := point(model.TanhOf(x)).widen(curveError)
	v = interval{max(v.lo, -1), min(v.hi, 1)}
	if x >= 0 { // tanh keeps the sign, and does not enlarge
		return interval{max(v.lo, 0), min(v.hi, x)}
	}
	return interval{max(v.lo, x), min(v.hi, 0)}
}

// gain bounds the slope of a state's activation.
func gain(kind simb.Kind) float64 {
	if kind == simb.Sigmoid {
		return 0.25
	}
	return 1
}

// parameter returns the source's number that a leaky relu (α), clipped relu or hard tanh (c) carries.
func parameter(row *simb.Row) float64 { return float64(row.Parameter) }

// ownLimits returns the limits of the function itself, ±Inf where it has none.
func ownLimits(row *simb.Row) (lo, hi float64) {
	switch row.Kind {
	case simb.ReLU:
		return 0, math.Inf(1)
	case simb.ClippedReLU:
		return 0, parameter(row)
	case simb.HardTanh:
		return -parameter(row), parameter(row)
	}
	return math.Inf(-1), math.Inf(1)
}

// activate encloses φ over a range of z.
func activate(row *simb.Row, z interval) interval {
	switch row.Kind {
	case simb.Tanh, simb.Sigmoid:
		return interval{curve(row.Kind, z.lo).lo, curve(row.Kind, z.hi).hi}
	case simb.LeakyReLU:
		slope := parameter(row)
		if z.lo < 0 {
			z.lo = mulDown(slope, z.lo)
		}
		if z.hi < 0 {
			z.hi = mulUp(slope, z.hi)
		}
		return z
	}
	lo, hi := ownLimits(row)
	return interval{min(max(z.lo, lo), hi), min(max(z.hi, lo), hi)}
}

// rounding returns r_i: what separates a state's integer result from φ of its accumulator's real worth,
// apart from what a saturation cuts off.
func (c *checker) rounding(i int) float64 {
	row := &c.m.Rows[i]
	half := float64(c.m.Unit(i)) / 2
	switch row.Kind {
	case simb.Tanh, simb.Sigmoid:
		return addUp(c.tableError(i), mulUp(gain(row.Kind), half))
	case simb.LeakyReLU:
		below := max(-c.ranges[i].lo, 0)
		wanted := c.units[i].mul(point(parameter(row)))
		scale, ratio := float64(row.Scale), row.Negative.Ratio()
		stands := interval{mulDown(scale, ratio), mulUp(scale, ratio)}
		off := max(subUp(wanted.hi, stands.lo), subUp(stands.hi, wanted.lo))
		return addUp(half, mulUp(off, fromInt(below).hi))
	}
	return half
}

// cut returns what clamping can take off the real range of a state: zero where the clamp is the
// function's own limit or is proved never to act. It needs reach.
func (c *checker) cut(i int) float64 {
	row := &c.m.Rows[i]
	if row.Table != simb.NoTable {
		return 0
	}
	bottom, top := c.limits(i)
	lo, hi := ownLimits(row)
	reach := c.reach(i)
	over := 0.0
	if row.Saturates&simb.SaturatesLow != 0 {
		over = max(over, subUp(bottom, max(reach.lo, lo)))
	}
	if row.Saturates&simb.SaturatesHigh != 0 {
		over = max(over, subUp(min(reach.hi, hi), top))
	}
	return over
}

// limitFlags checks that every clamp is the function's own limit to within half a step, or is counted as
// a saturation, or can never act: only then do the claims mean what they say. It may lie beyond the
// function's own limit only where reach says that the function never gets there.
func (c *checker) limitFlags() Check {
	const name = "limits"
	for i := range c.n {
		row := &c.m.Rows[i]
		low, high := row.Saturates&simb.SaturatesLow != 0, row.Saturates&simb.SaturatesHigh != 0
		if row.Table != simb.NoTable {
			if low || high {
				return failed(name, "state %d has a table and counts saturations", i)
			}
			continue
		}
		if detail := wrongParameter(row); detail != "" {
			return failed(name, "state %d: %s", i, detail)
		}
		bottom, top := c.limits(i)
		ownLo, ownHi := ownLimits(row)
		half := float64(row.Scale) / 2
		least, most := c.clampRange(i)
		idleLo, idleHi := false, false
		if c.hasReach() {
			reach := c.reach(i)
			idleLo, idleHi = reach.lo > ownLo, reach.hi < ownHi
		}
		below := clamp{subUp(bottom, ownLo), subUp(ownLo, bottom), idleLo, low || least >= int64(row.Lo)}
		above := clamp{subUp(ownHi, top), subUp(top, ownHi), idleHi, high || most <= int64(row.Hi)}
		if !below.sound(half) {
			return failed(name, "state %d: the lower limit %g is neither the function's own (%g) nor counted as a saturation, or it lies beyond it", i, bottom, ownLo)
		}
		if !above.sound(half) {
			return failed(name, "state %d: the upper limit %g is neither the function's own (%g) nor counted as a saturation, or it lies beyond it", i, top, ownHi)
		}
	}
	return passed(name, "every clamp is the function's own limit or is counted")
}

// wrongParameter says what is wrong with the function's own number, or nothing.
func wrongParameter(row *simb.Row) string {
	switch v := parameter(row); row.Kind {
	case simb.LeakyReLU:
		if !(v > 0 && v <= 1) {
			return fmt.Sprintf("slope %g is not in (0, 1]", v)
		}
	case simb.ClippedReLU, simb.HardTanh:
		if !(v > 0 && v <= math.MaxFloat32) {
			return fmt.Sprintf("limit %g is not positive and finite", v)
		}
	}
	return ""
}

// clamp is one limit of a state's integers against the function's own.
type clamp struct {
	short, beyond float64 // how far it falls short of the function's own limit, or reaches beyond it
	idle          bool    // the function itself is proved never to get to its limit
	counted       bool    // as a saturation, or proved never to act
}

// sound reports whether the clamp means what the claims take it for.
func (l clamp) sound(half float64) bool {
	switch {
	case l.short <= half && l.beyond <= half:
		return true // the function's own limit
	case l.beyond > half && !l.idle:
		return false
	}
	return l.counted
}

// clampRange returns the smallest and largest t + z of a state without a table.
func (c *checker) clampRange(i int) (least, most int64) {
	row := &c.m.Rows[i]
	below := row.Multiplier
	if row.Kind == simb.LeakyReLU && c.ranges[i].lo < 0 {
		below = row.Negative
	}
	above := row.Multiplier
	if row.Kind == simb.LeakyReLU && c.ranges[i].hi < 0 {
		above = row.Negative
	}
	z := int64(row.Zero)
	return requantise(below, c.ranges[i].lo) + z, requantise(above, c.ranges[i].hi) + z
}

// requantise returns acc·M/2^S rounded half up.
func requantise(m quant.Multiplier, acc int64) int64 {
	return (acc*int64(m.M) + 1<<(m.S-1)) >> m.S
}

// fromInt encloses an integer.
func fromInt(v int64) interval {
	f := float64(v)
	if v >= -1<<53 && v <= 1<<53 {
		return point(f)
	}
	return interval{nextDown(f), nextUp(f)}
}
