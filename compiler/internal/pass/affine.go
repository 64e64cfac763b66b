package pass

import (
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
)

// affine is one reading of the model's rows, z = W·(u − c, x) + bias ± residual, c the inputs of 𝒰 that are
// nearest to zero. Of the float model alone the residual is zero; of the integers' real worth W̃ it is
// what separates that from the float model. Where boxes are far from zero, sums taken from there would be of large
// numbers that cancel.
type affine struct {
	weights *sparse.Matrix[float64]
	bias    []Bounded
	delta   *sparse.Matrix[float64] // ≥ |W − W̃|, on the same pattern; nil: zero
	inputs  []interval              // the region 𝒰 of inputs, less c
}

// column returns the range of column j, an input's less c, given the states' reach.
func (f *affine) column(j int32, states reach) interval {
	if int(j) < len(f.inputs) {
		return f.inputs[j]
	}
	return states[int(j)-len(f.inputs)]
}

// residual returns ρ of row i: |ΔW|·|(u − c, x)| + |Δb + ΔW·c|, an upper bound, given the magnitudes of states.
func (f *affine) residual(i int, magnitude func(state int) float64) float64 {
	sum := f.bias[i].Error
	if f.delta != nil {
		cols, values := f.delta.Row(i)
		for k, j := range cols {
			if int(j) < len(f.inputs) {
				sum += times(values[k], f.inputs[j].magnitude())
			} else {
				sum += times(values[k], magnitude(int(j)-len(f.inputs)))
			}
		}
	}
	return float64(sum * (1 + slack))
}

// preactivation returns a range of z_i that holds for every input of 𝒰 and states in their reach.
func (f *affine) preactivation(i int, states reach, residual float64) interval {
	lo, hi := f.bias[i].Value, f.bias[i].Value
	size := math.Abs(f.bias[i].Value) + residual
	cols, values := f.weights.Row(i)
	for k, j := range cols {
		v := f.column(j, states)
		a, b := times(values[k], v.lo), times(values[k], v.hi)
		lo += min(a, b)
		hi += max(a, b)
		size += max(math.Abs(a), math.Abs(b))
	}
	if math.IsInf(size, 0) || math.IsNaN(size) {
		return everything
	}
	margin := residual + float64(size*slack)
	return interval{lo - margin, hi + margin}
}

// activate returns a range of φ over a range of z, rounded outward.
func activate(a model.Activation, z interval) interval {
	lo, hi := float64(a.Apply(z.lo)), float64(a.Apply(z.hi))
	switch a.Kind {
	case model.Tanh:
		return interval{max(lo-slack, -1), min(hi+slack, 1)}
	case model.Sigmoid:
		return interval{max(lo-slack, 0), min(hi+slack, 1)}
	case model.LeakyReLU:
		return interval{lo - float64(math.Abs(lo)*slack), hi + float64(math.Abs(hi)*slack)}
	}
	return interval{lo, hi}
}
