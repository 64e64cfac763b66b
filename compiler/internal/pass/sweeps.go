package pass

import (
	"math"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// maxSweeps caps the sweeps of a loop, and sweepTolerance says how near the bound after K sweeps comes
// to what infinitely many would leave.
const (
	maxSweeps      = 20000
	sweepTolerance = 1.02
)

// recursion is e^{k+1} = γ|Ã| e^k + w over the states of a loop, where the errors of earlier states are
// final and part of w.
type recursion struct {
	step     *sparse.Matrix[float64] // γ|Ã| within the loop
	constant []float64
	start    []float64 // e⁰
	steps    []float64 // what one step of each state is worth
}

// recursion prepares the error recursion of a loop, given what each of its states adds.
func (c *certifier) recursion(first, end int, out *simb.ErrorCertificate, own []float64) *recursion {
	r := &recursion{step: absolute(c.loopBlock(c.real.weights, first, end)), constant: make([]float64, end-first), start: make([]float64, end-first)}
	for i := first; i < end; i++ { // State is still zero within the loop
		r.constant[i-first] = c.through(i, out.State, own[i-first])
		r.start[i-first] = float64(out.Start[i])
		slope := gain(c.activation(i).Kind)
		r.steps = append(r.steps, float64(c.Rows[i].Scale))
		_, values := r.step.Row(i - first)
		for k := range values {
			values[k] = float64(values[k] * slope)
		}
	}
	return r
}

// iterate computes e¹, e², … and calls visit with each until it returns false.
func (r *recursion) iterate(visit func(k uint32, e []float64) bool) { r.iterateWith(r.constant, visit) }

// iterateWith does so with another constant.
func (r *recursion) iterateWith(constant []float64, visit func(k uint32, e []float64) bool) {
	e, next := append([]float64(nil), r.start...), make([]float64, len(r.start))
	for k := uint32(1); ; k++ {
		for i := range next {
			next[i] = float64((rowTimes(r.step, i, e) + constant[i]) * (1 + slack))
		}
		e, next = next, e
		if !visit(k, e) {
			return
		}
	}
}

// sweepsNeeded returns the smallest K after which every state's bound is within sweepTolerance of the
// limit of the recursion, and what is left of the start is less than a step: where rounding leaves a
// bound as large as the start, the first alone would be met at once, though the states have hardly
// moved. Where nothing bounds the start, it returns the K after which a contraction by kappa leaves less
// than a step.
func (r *recursion) sweepsNeeded(kappa float64) uint32 {
	for i := range r.start {
		if v := r.start[i] + r.constant[i]; math.IsInf(v, 0) || math.IsNaN(v) {
			return contracted(kappa)
		}
	}
	limit := make([]float64, len(r.start))
	r.iterate(func(k uint32, e []float64) bool {
		moved := false
		for i, v := range e {
			moved = moved || !(math.Abs(v-limit[i]) <= float64(1e-6*v))
		}
		copy(limit, e)
		return moved && k < maxSweeps
	})
	sweeps := uint32(maxSweeps)
	r.iterate(func(k uint32, e []float64) bool {
		for i, v := range e {
			if !(v <= float64(limit[i]*sweepTolerance)) {
				return k < maxSweeps
			}
		}
		sweeps = k
		return false
	})
	return max(sweeps, r.sweepsToAStep())
}

// sweepsToAStep returns the smallest K after which less than a step is left of the start in every state.
func (r *recursion) sweepsToAStep() (sweeps uint32) {
	r.iterateWith(make([]float64, len(r.start)), func(k uint32, e []float64) bool {
		sweeps = k
		for i, v := range e {
			if v > r.steps[i] {
				return k < maxSweeps
			}
		}
		return false
	})
	return sweeps
}

// after returns the bounds after the given number of sweeps.
func (r *recursion) after(sweeps uint32) []float64 {
	var result []float64
	r.iterate(func(k uint32, e []float64) bool {
		result = e
		return k < sweeps
	})
	return result
}

// contracted returns the least K with κ^K below 2⁻¹⁶, at most maxSweeps.
func contracted(kappa float64) uint32 {
	k, left := uint32(1), kappa
	for left > 0x1p-16 && k < maxSweeps {
		k, left = k+1, float64(left*kappa)
	}
	return k
}
