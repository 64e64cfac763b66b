package pass

import (
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// affine is one reading of the model's rows, z = W·(u, x) + bias ± residual. Of the float model alone the
// residual is zero; of the integers' real worth W̃ it is what separates that from the float model.
type affine struct {
	weights *sparse.Matrix[float64]
	bias    []Bounded
	delta   *sparse.Matrix[float64] // ≥ |W − W̃|, on the same pattern; nil: zero
	inputs  []interval              // the region 𝒰 of inputs
}

// column returns the range of column j, given the states' reach.
func (f *affine) column(j int32, states reach) interval {
	if int(j) < len(f.inputs) {
		return f.inputs[j]
	}
	return states[int(j)-len(f.inputs)]
}

// residual returns ρ of row i: |ΔW|·|(u, x)| + |Δb|, an upper bound, given the magnitudes of states.
func (f *affine) residual(i int, magnitude func(state int) float64) float64 {
	sum := f.bias[i].Error
	if f.delta != nil {
		cols, values := f.delta.Row(i)
		for k, j := range cols {
			var size float64
			if int(j) < len(f.inputs) {
				size = f.inputs[j].magnitude()
			} else {
				size = magnitude(int(j) - len(f.inputs))
			}
			sum += float64(values[k] * size)
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
		a, b := float64(values[k]*v.lo), float64(values[k]*v.hi)
		lo += min(a, b)
		hi += max(a, b)
		size += max(math.Abs(a), math.Abs(b))
	}
	margin := residual + float64(size*slack)
	return interval{lo - margin, hi + margin}
}

// activate returns a range of φ over a range of z, rounded outward.
func activate(a model.Activation, z interval) interval {
	lo, hi := a.Apply(z.lo), a.Apply(z.hi)
	switch a.Kind {
	case model.Tanh, model.Sigmoid:
		return interval{lo - slack, hi + slack}
	case model.LeakyReLU:
		return interval{lo - float64(math.Abs(lo)*slack), hi + float64(math.Abs(hi)*slack)}
	}
	return interval{lo, hi}
}

// short rounds a range outward to bfloat16.
func short(v interval) interval {
	return interval{float64(downShort(v.lo)), float64(upShort(v.hi))}
}

// reaches propagates ranges through the schedule. For a loop it starts from the enclosure that the
// witness v proves, |x| ≤ t·v, and iterates the interval map from there: every iterate contains the next,
// so each is inductive, and by uniqueness contains the equilibrium. It returns the reach of the states
// and the residuals it used, rounded up, for all rows.
func (p *Program) reaches(f *affine, well *WellPosed) (reach, []float32) {
	states := make(reach, p.states())
	residuals := make([]float32, p.states()+p.outputs())
	magnitude := func(j int) float64 { return states[j].magnitude() }
	step := func(i int) interval {
		residuals[i] = upShort(f.residual(i, magnitude))
		return short(activate(p.activation(i), f.preactivation(i, states, float64(residuals[i]))))
	}
	_ = p.eachSegment(func(segment *simb.Segment, first, end int) error {
		if segment.Sweeps == 0 {
			for i := first; i < end; i++ {
				states[i] = step(i)
			}
			return nil
		}
		p.encloseLoop(f, well, states, first, end)
		p.tightenLoop(states, first, end, step)
		for i := first; i < end; i++ {
			residuals[i] = upShort(f.residual(i, magnitude))
		}
		return nil
	})
	for i := p.states(); i < len(residuals); i++ {
		residuals[i] = upShort(f.residual(i, magnitude))
	}
	return states, residuals
}

// encloseLoop sets the states of a loop to [−t·v, t·v] with t large enough that
// |φ(0)| + |what comes from outside| + (|W̃| + |ΔW|) t·v ≤ t·v.
func (p *Program) encloseLoop(f *affine, well *WellPosed, states reach, first, end int) {
	t := 0.0
	for i := first; i < end; i++ {
		states[i] = interval{}
	}
	for i := first; i < end; i++ {
		outside := f.preactivation(i, states, f.residual(i, func(j int) float64 { return states[j].magnitude() })).magnitude()
		c := outside + math.Abs(p.activation(i).Apply(0))
		t = max(t, float64(c*(1+1e-6))/float64((1-well.Kappa)*well.V[i]))
	}
	for i := first; i < end; i++ {
		bound := float64(t * well.V[i])
		states[i] = interval{-bound, bound}
	}
}

// tightenLoop iterates the interval map until it hardly changes.
func (p *Program) tightenLoop(states reach, first, end int, step func(int) interval) {
	const most, still = 500, 1e-3
	next := make(reach, end-first)
	for range most {
		moved := false
		for i := first; i < end; i++ {
			v := step(i)
			v = interval{max(v.lo, states[i].lo), min(v.hi, states[i].hi)}
			if (states[i].hi-states[i].lo)-(v.hi-v.lo) > still*(states[i].hi-states[i].lo) {
				moved = true
			}
			next[i-first] = v
		}
		copy(states[first:end], next)
		if !moved {
			return
		}
	}
}
