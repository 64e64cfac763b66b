package pass

import (
	"math"

	"github.com/sparse-implicit/sim/format/simb"
)

// ownError is what a row adds to the errors of what it reads, by cause. It is the w of SEMANTICS §4.
type ownError struct {
	weights  float64 // residual: rounded weights and biases
	inputs   float64 // half a step of each input
	rounding float64 // half a step of the row itself, tables, a second slope
	clamping float64 // what saturations can cut off
}

// total returns the sum, rounded up.
func (e *ownError) total() float64 {
	return float64((e.weights + e.inputs + e.rounding + e.clamping) * (1 + slack))
}

// errors proves one error certificate, and returns what each row adds. With residuals it is the claim
// over the box, clipping included; without, the claim that holds while nothing saturates, whose
// residuals follow from what the integers can reach; that one decides how many sweeps a loop makes.
func (c *certifier) errors(residuals []float32) (*simb.ErrorCertificate, []ownError) {
	n, q := c.states(), c.outputs()
	out := &simb.ErrorCertificate{State: make([]float32, n), Residual: make([]float32, n+q), Start: make([]float32, n), Output: make([]float32, q)}
	overBox := residuals != nil
	inLoop := make([]bool, n)
	if overBox {
		out.Residual = residuals
	}
	ranges := func(j int) interval {
		if inLoop[j] {
			return c.proved[j]
		}
		return narrowed(c.proved[j], c.integerReach(j), float64(out.State[j]))
	}
	adds := make([]ownError, n+q)
	own := func(i int) float64 { // what does not depend on the states' errors
		if !overBox {
			out.Residual[i] = c.roundResidual(i, c.real.residual(i, ranges), c.overBox[i])
		}
		adds[i] = c.ownErrorOf(i, out.Residual[i], overBox)
		return adds[i].total()
	}
	_ = c.eachSegment(func(segment *simb.Segment, first, end int) error {
		if segment.Sweeps == 0 {
			for i := first; i < end; i++ {
				out.State[i] = upShort(c.through(i, out.State, own(i)))
			}
			return nil
		}
		for i := first; i < end; i++ {
			inLoop[i] = true
			out.Start[i] = upShort(c.startDistance(i) * (1 + slack))
		}
		constant := make([]float64, end-first)
		for i := first; i < end; i++ {
			constant[i-first] = own(i)
		}
		l := c.recursion(first, end, out, constant)
		if !overBox {
			segment.Sweeps = l.sweepsNeeded(c.well.Enclosing[first])
		}
		for i, e := range l.after(segment.Sweeps) {
			out.State[first+i] = upShort(e)
		}
		return nil
	})
	for k := range q {
		out.Output[k] = c.roundFigure(c.through(n+k, out.State, own(n+k)))
	}
	return out, adds
}

// narrowed returns what is left of a state's proved range where its integers, which reach `worth`, are off by at
// most e. Where hardly anything is, no inference is without a saturation, and the proved range stands: a
// checker's may differ by as much.
func narrowed(proved, worth interval, e float64) interval {
	shared := interval{max(proved.lo, worth.lo), min(proved.hi, worth.hi)}
	if shared.hi-shared.lo < 0.01*min(proved.hi-proved.lo, worth.hi-worth.lo) {
		return proved
	}
	lo, hi := worth.lo-e, worth.hi+e
	return interval{
		max(proved.lo, lo-float64(slack*(math.Abs(worth.lo)+e))),
		min(proved.hi, hi+float64(slack*(math.Abs(worth.hi)+e))),
	}
}

// ownErrorOf returns what row i adds, given its residual as stored.
func (c *certifier) ownErrorOf(i int, residual float32, clamping bool) ownError {
	slope, inputs := 1.0, 0.0
	if i < c.states() {
		slope = gain(c.activation(i).Kind)
	}
	cols, values := c.real.weights.Row(i)
	for k, j := range cols {
		if int(j) < len(c.deltaU) {
			inputs += float64(math.Abs(values[k]) * c.deltaU[j])
		}
	}
	own := ownError{weights: float64(slope * float64(residual)), inputs: float64(slope * inputs), rounding: c.rounding[i]}
	if clamping && i < c.states() {
		own.clamping = c.cut(i)
	}
	return own
}

// startDistance returns the largest distance of a loop's state from where its sweeps start.
func (c *certifier) startDistance(i int) float64 {
	row := &c.Rows[i]
	start := float64(float64(row.Scale) * float64(int(min(max(row.Zero, row.Lo), row.Hi))-int(row.Zero)))
	return max(c.proved[i].hi-start, start-c.proved[i].lo)
}

// through returns gain·Σ|W̃|e over the states that row i reads, plus what it has of its own.
func (c *certifier) through(i int, e []float32, own float64) float64 {
	sum := 0.0
	cols, values := c.real.weights.Row(i)
	for k, j := range cols {
		if s := c.stateColumn(j); s >= 0 {
			sum += times(math.Abs(values[k]), float64(e[s]))
		}
	}
	if i < c.states() {
		sum = float64(sum * gain(c.activation(i).Kind))
	}
	return float64((sum + own) * (1 + slack))
}
