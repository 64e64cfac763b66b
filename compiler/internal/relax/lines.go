package relax

import (
	"math"

	"github.com/sparse-implicit/sim/format/model"
)

// line is slope·x + at.
type line struct{ slope, at float64 }

// largestOn returns the largest value of the line over [lo, hi].
func (l line) largestOn(lo, hi float64) float64 {
	return max(float64(l.slope*lo), float64(l.slope*hi)) + l.at
}

func (l line) leastOn(lo, hi float64) float64 {
	return min(float64(l.slope*lo), float64(l.slope*hi)) + l.at
}

// pieces is a piecewise linear function: piece k lies between kinks k−1 and k.
type pieces struct {
	kinks []float64
	lines []line
}

// piecesOf returns the pieces of φ, none for tanh and sigmoid.
func piecesOf(a model.Activation) pieces {
	p0, p1 := float64(a.P0), float64(a.P1)
	switch a.Kind {
	case model.Identity:
		return pieces{nil, []line{{1, 0}}}
	case model.ReLU:
		return pieces{[]float64{0}, []line{{0, 0}, {1, 0}}}
	case model.LeakyReLU:
		return pieces{[]float64{0}, []line{{p0, 0}, {1, 0}}}
	case model.ClippedReLU, model.HardTanh:
		return pieces{[]float64{p0, p1}, []line{{0, p0}, {1, 0}, {0, p1}}}
	}
	return pieces{}
}

// over returns the first and last piece that [lo, hi] has a part of; one for a point.
func (p *pieces) over(lo, hi float64) (first, last int) {
	for first < len(p.kinks) && p.kinks[first] <= lo {
		first++
	}
	last = first
	for last < len(p.kinks) && p.kinks[last] < hi {
		last++
	}
	return first, last
}

// tie is by how little a side of a kink may be shorter and still be taken for the longer one: symmetric
// boxes have sides of equal length, of which two evaluations should not choose differently.
const tie = 1 - 0x1p-20

// valueLines returns lines above and below φ over [lo, hi].
func valueLines(a model.Activation, p *pieces, lo, hi float64) (above, below line) {
	if len(p.lines) == 0 {
		return smoothLines(a, lo, hi)
	}
	first, last := p.over(lo, hi)
	if first == last {
		return p.lines[first], p.lines[first]
	}
	l, h := a.Apply(lo), a.Apply(hi)
	if last-first > 1 {
		return line{0, h}, line{0, l}
	}
	kink, left, right := p.kinks[first], p.lines[first], p.lines[last]
	slope := (h - l) / (hi - lo)
	atLo, atHi := l-float64(slope*lo), h-float64(slope*hi)
	size := largest(l, h) + float64(slope*largest(lo, hi))
	if right.slope >= left.slope { // convex
		above = line{slope, up(max(atLo, atHi), size)}
		below = left
		if hi-kink >= float64(tie*(kink-lo)) {
			below = right
		}
		return above, below
	}
	below = line{slope, down(min(atLo, atHi), size)}
	above = right
	if kink-lo >= float64(tie*(hi-kink)) {
		above = left
	}
	return above, below
}

// valueRange returns the range of φ over [lo, hi], outward.
func valueRange(a model.Activation, p *pieces, lo, hi float64) (least, most float64) {
	least, most = a.Apply(lo), a.Apply(hi)
	least, most = down(least, math.Abs(least)), up(most, math.Abs(most))
	if len(p.lines) == 0 {
		return least - smooth, most + smooth
	}
	return least, most
}

// smooth is how far computed values and slopes of tanh and sigmoid may be off.
const smooth = 0x1p-46

// slopeOf returns φ'(z) of tanh or sigmoid.
func slopeOf(a model.Activation, z float64) float64 {
	v := a.Apply(z)
	if a.Kind == model.Sigmoid {
		return float64(v * (1 - v))
	}
	return float64((1 - v) * (1 + v))
}

// smoothLines are parallels of the least slope.
func smoothLines(a model.Activation, lo, hi float64) (above, below line) {
	slope := max(min(slopeOf(a, lo), slopeOf(a, hi))-smooth, 0)
	off := smooth + float64(float64(slope*largest(lo, hi))*0x1p-50)
	above = line{slope, a.Apply(hi) - float64(slope*hi) + off}
	below = line{slope, a.Apply(lo) - float64(slope*lo) - off}
	return above, below
}

// slopes returns the least and largest slope of φ over [lo, hi].
func slopes(a model.Activation, p *pieces, lo, hi float64) (least, most float64) {
	if len(p.lines) == 0 {
		nearest := min(max(0, lo), hi)
		least = max(min(slopeOf(a, lo), slopeOf(a, hi))-smooth, 0)
		return least, min(slopeOf(a, nearest)+smooth, 1)
	}
	first, last := p.over(lo, hi)
	least, most = p.lines[first].slope, p.lines[first].slope
	for k := first + 1; k <= last; k++ {
		least, most = min(least, p.lines[k].slope), max(most, p.lines[k].slope)
	}
	return least, most
}

// slopedAbove returns a line above λd for every slope λ in [least, most] and d in [lo, hi].
func slopedAbove(least, most, lo, hi float64) line {
	if lo >= 0 || least == most {
		return line{most, 0}
	}
	if hi <= 0 {
		return line{least, 0}
	}
	l, h := float64(least*lo), float64(most*hi)
	slope := (h - l) / (hi - lo)
	size := largest(l, h) + float64(slope*largest(lo, hi))
	return line{slope, up(max(l-float64(slope*lo), h-float64(slope*hi)), size)}
}

// slopedBelow is the same below.
func slopedBelow(least, most, lo, hi float64) line {
	l := slopedAbove(least, most, -hi, -lo)
	return line{l.slope, -l.at}
}

// ranges is what is known of one state: z in [lo, hi], d in [dLo, dHi] and z + d in [iLo, iHi].
type ranges struct{ lo, hi, dLo, dHi, iLo, iHi float64 }

// straight reports whether φ has one slope over everything that both networks reach.
func (r *ranges) straight(p *pieces) bool {
	if len(p.lines) == 0 {
		return false
	}
	first, last := p.over(min(r.lo, r.iLo), max(r.hi, r.iHi))
	for k := first + 1; k <= last; k++ {
		if p.lines[k].slope != p.lines[first].slope {
			return false
		}
	}
	return true
}

// acts reports whether a limit that counts as a saturation can change φ of the integers' argument.
func (row *Row) acts(r *ranges) bool {
	return row.High.Flagged && row.Activation.Apply(r.iHi) > row.High.Worth ||
		row.Low.Flagged && row.Activation.Apply(r.iLo) < row.Low.Worth
}

// clamped returns φ(z) within the limits that count as saturations.
func (row *Row) clamped(z float64) float64 {
	v := row.Activation.Apply(z)
	if row.High.Flagged {
		v = min(v, row.High.Worth)
	}
	if row.Low.Flagged {
		v = max(v, row.Low.Worth)
	}
	return v
}

// errorLines returns lines in d above and below the integers' φ(z + d), rounded and clamped, less φ(z). With a
// limit that acts, φ clamped takes φ's place in the difference: its slopes begin at 0. What the reference has
// beyond the limit comes on top.
func errorLines(row *Row, p *pieces, r *ranges, settled, acts bool) (above, below line) {
	least, most := slopes(row.Activation, p, min(r.lo, r.iLo), max(r.hi, r.iHi))
	if acts {
		least = 0
	}
	above, below = slopedAbove(least, most, r.dLo, r.dHi), slopedBelow(least, most, r.dLo, r.dHi)
	if !settled {
		flatLines(row, p, r, acts, &above, &below)
	}
	if !(row.ZeroBelow && r.iHi <= 0) {
		above.at += row.Rounding
		below.at -= row.Rounding
	}
	if acts {
		lo, hi := row.Activation.Apply(r.lo), row.Activation.Apply(r.hi)
		if row.High.Flagged && hi > row.High.Worth {
			below.at -= up(hi-row.High.Worth, math.Abs(hi)+math.Abs(row.High.Worth))
		}
		if row.Low.Flagged && lo < row.Low.Worth {
			above.at += up(row.Low.Worth-lo, math.Abs(lo)+math.Abs(row.Low.Worth))
		}
	}
	return above, below
}

// flatLines replaces lines by constants where those are less than half of the lines' largest values.
func flatLines(row *Row, p *pieces, r *ranges, acts bool, above, below *line) {
	value := row.Activation.Apply
	if acts {
		value = row.clamped
	}
	off := 0.0
	if len(p.lines) == 0 {
		off = smooth
	}
	lo, hi, iLo, iHi := value(r.lo), value(r.hi), value(r.iLo), value(r.iHi)
	size := max(math.Abs(iHi), math.Abs(iLo), math.Abs(lo), math.Abs(hi))
	if most := up(iHi-lo, size) + off; most < float64(0.5*above.largestOn(r.dLo, r.dHi)) {
		*above = line{0, most}
	}
	if least := down(iLo-hi, size) - off; least > float64(0.5*below.leastOn(r.dLo, r.dHi)) {
		*below = line{0, least}
	}
}
