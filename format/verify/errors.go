package verify

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/simb"
)

// mostRecursion caps the multiplications spent on the K-step recursions of all loops together. A compiled loop
// needs a few million; a file that claims an absurd K, or many loops, must not keep its checker busy for hours.
const mostRecursion = 2 << 30

// errorClaim checks one error certificate: with clipping, the claim for every input of the box; without,
// the claim for inferences that report no saturation.
func (c *checker) errorClaim(name string, claim *simb.ErrorCertificate, clipping bool) Check {
	if claim == nil {
		return notClaimed(name)
	}
	if !c.hasReach() && (clipping || len(c.loops) > 0) {
		return failed(name, "the claim needs proved ranges of the states, the file has none")
	}
	e := widened(claim.State)
	for i := range c.n {
		if c.loopOf[i] >= 0 {
			continue
		}
		if proved := c.errorOf(i, claim, e, clipping); proved > e[i] {
			return failed(name, "state %d: an error of %g is claimed, proved is %g", i, e[i], proved)
		}
	}
	for k := range c.loops {
		if detail := c.loopErrors(&c.loops[k], claim, e, clipping); detail != nil {
			return failed(name, "%s", detail.Error())
		}
	}
	for i := c.n; i < len(c.m.Rows); i++ {
		k := i - c.n
		if proved := c.outputError(i, claim, e); proved > float64(claim.Output[k]) {
			return failed(name, "output %d: an error of %g is claimed, proved is %g", k, claim.Output[k], proved)
		}
	}
	return passed(name, "largest output error %.4g", largest(claim.Output))
}

func widened(values []float32) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

// through returns an upper bound of Σ|W̃|·(δu, e) over entries from to to−1 of the matrix.
func (c *checker) through(from, to int32, e []float64) float64 {
	sum := 0.0
	for k := from; k < to; k++ {
		j := int(c.m.Weights.Indices[k])
		if j < c.p {
			sum = addUp(sum, mulUp(c.weights[k].magnitude(), c.deltaU[j]))
		} else {
			sum = addUp(sum, mulUp(c.weights[k].magnitude(), e[j-c.p]))
		}
	}
	return sum
}

// own returns what a state's error has apart from what it reads: r, and with clipping the cut.
func (c *checker) own(i int, clipping bool) float64 {
	if clipping {
		return addUp(c.rounding(i), c.cut(i))
	}
	return c.rounding(i)
}

// errorOf returns gain·(Σ|Ã|e + Σ|B̃|δu + ρ) + r (+ cut), rounded up.
func (c *checker) errorOf(i int, claim *simb.ErrorCertificate, e []float64, clipping bool) float64 {
	indptr := c.m.Weights.Indptr
	sum := addUp(c.through(indptr[i], indptr[i+1], e), float64(claim.Residual[i]))
	return addUp(mulUp(gain(c.m.Rows[i].Kind), sum), c.own(i, clipping))
}

// outputError returns Σ|C̃|e + Σ|D̃|δu + ρ + s_y/2 + the rounding to float32, rounded up.
func (c *checker) outputError(i int, claim *simb.ErrorCertificate, e []float64) float64 {
	indptr := c.m.Weights.Indptr
	sum := addUp(c.through(indptr[i], indptr[i+1], e), float64(claim.Residual[i]))
	return addUp(sum, c.outputRounding(i))
}

// outputRounding returns what separates an output from its accumulator's real worth: half a unit, and the
// conversion to float32.
func (c *checker) outputRounding(i int) float64 {
	scale, m := float64(c.m.OutputScale), c.m.Rows[i].Multiplier
	size := max(-requantise(m, c.ranges[i].lo), requantise(m, c.ranges[i].hi))
	worth := mulUp(scale, fromInt(size).hi)
	if worth > math.MaxFloat32 {
		return math.Inf(1)
	}
	// y·s_y needs up to 55 bits: rounded to float64, then to float32. Both together stay within
	// 2⁻²⁴ of it, because the second errs by at most 2⁻²⁴/(1 + 2⁻²⁴); and below float32's normal range a
	// multiple of its smallest number is exact.
	return addUp(scale/2, mulUp(0x1p-24, worth))
}

// loopErrors checks a loop: its start, and that the bound after K sweeps of the recursion
// e ← gain·(|Ã| e + …) + r (+ cut) stays below the claimed e. Errors of earlier states are final.
func (c *checker) loopErrors(l *loop, claim *simb.ErrorCertificate, final []float64, clipping bool) error {
	steps := make([]loopRow, l.end-l.first)
	now := make([]float64, l.end-l.first)
	work := uint64(0)
	for i := l.first; i < l.end; i++ {
		row := &c.m.Rows[i]
		reach, from := c.reach(i), worth(row, start(row))
		now[i-l.first] = float64(claim.Start[i])
		if distance := reach.distance(from); distance > now[i-l.first] {
			return fmt.Errorf("state %d: a distance of %g between start and equilibrium is claimed, proved is %g", i, claim.Start[i], distance)
		}
		steps[i-l.first] = c.loopRow(i, l, claim, final, clipping)
		work += uint64(len(steps[i-l.first].sizes)) + 1
	}
	claimed := final[l.first:l.end]
	next := make([]float64, len(now))
	advance(steps, claimed, next)
	inductive := below(next, claimed) // once under the claimed e, always under it
	for k := uint32(0); k < l.sweeps; k++ {
		if inductive && below(now, claimed) {
			return nil
		}
		if c.recursion < work {
			return fmt.Errorf("the loop from state %d: its %d sweeps are too many to check, beside those of other loops", l.first, l.sweeps)
		}
		c.recursion -= work
		advance(steps, now, next)
		falling, rising := below(next, now), below(now, next)
		if falling && below(now, claimed) {
			return nil // it only falls from here
		}
		now, next = next, now
		if rising && !below(now, claimed) {
			break // it only rises from here
		}
	}
	for i, e := range now {
		if e > claimed[i] {
			return fmt.Errorf("state %d: an error of %g is claimed after %d sweeps, proved is %g", l.first+i, claimed[i], l.sweeps, e)
		}
	}
	return nil
}

// loopRow is one state's step of a loop's recursion, with everything constant summed up.
type loopRow struct {
	sizes    []float64 // |W̃| of the entries inside the loop
	states   []int32   // their states, counted from the loop's first
	constant float64   // Σ|W̃|·(δu, e) from outside the loop, plus ρ
	gain     float64
	own      float64
}

func (c *checker) loopRow(i int, l *loop, claim *simb.ErrorCertificate, final []float64, clipping bool) loopRow {
	from, to := c.within(i, *l)
	indptr := c.m.Weights.Indptr
	outside := c.through(indptr[i], from, final) // nothing comes after the loop's own states: see schedule
	r := loopRow{
		sizes: make([]float64, to-from), states: make([]int32, to-from),
		constant: addUp(outside, float64(claim.Residual[i])),
		gain:     gain(c.m.Rows[i].Kind), own: c.own(i, clipping),
	}
	for k := from; k < to; k++ {
		r.sizes[k-from] = c.weights[k].magnitude()
		r.states[k-from] = c.m.Weights.Indices[k] - int32(c.p+l.first)
	}
	return r
}

// advance computes one step of the recursion, every sum rounded up.
func advance(steps []loopRow, now, next []float64) {
	for i := range steps {
		r := &steps[i]
		sum := r.constant
		for k, j := range r.states {
			sum = addUp(sum, mulUp(r.sizes[k], now[j]))
		}
		next[i] = addUp(mulUp(r.gain, sum), r.own)
	}
}

// below reports a ≤ b in every component.
func below(a, b []float64) bool {
	for i := range a {
		if !(a[i] <= b[i]) {
			return false
		}
	}
	return true
}
