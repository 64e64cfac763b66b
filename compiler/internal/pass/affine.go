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
	bias    []Bounded   // of the float model; of the integers b̃ + W̃c, without an error
	off     *difference // from the float model; nil: none
	inputs  []interval  // the region 𝒰 of inputs, less c
}

// difference is the float model less the integers' real worth.
type difference struct {
	weights []float64               // W − W̃, in the order of the entries, nearly
	sizes   *sparse.Matrix[float64] // ≥ |W − W̃| by as much as the weights may be off here
	bias    []Bounded               // b + Wc − b̃ − W̃c
}

// column returns the range of column j, an input's less c, given the states' reach.
func (f *affine) column(j int32, states reach) interval {
	if int(j) < len(f.inputs) {
		return f.inputs[j]
	}
	return states[int(j)-len(f.inputs)]
}

// residual returns ρ of row i: the largest |ΔW·(u − c, x) + Δb + ΔW·c|, an upper bound, given the ranges of
// states. States of one sign count half of what |ΔW| times their magnitude would.
func (f *affine) residual(i int, states func(state int) interval) float64 {
	if f.off == nil {
		return float64(f.bias[i].Error * (1 + slack))
	}
	bias := f.off.bias[i]
	lo, hi, size, unsure := bias.Value, bias.Value, math.Abs(bias.Value), bias.Error
	for k := f.weights.Indptr[i]; k < f.weights.Indptr[i+1]; k++ {
		v := interval{}
		if j := int(f.weights.Indices[k]); j < len(f.inputs) {
			v = f.inputs[j]
		} else {
			v = states(j - len(f.inputs))
		}
		d, most := f.off.weights[k], v.magnitude()
		a, b := times(d, v.lo), times(d, v.hi)
		lo += min(a, b)
		hi += max(a, b)
		size += times(math.Abs(d), most)
		unsure += times(f.off.sizes.Data[k]-math.Abs(d), most)
	}
	return float64((max(hi, -lo)+unsure)*(1+slack)) + times(size, slack)
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
