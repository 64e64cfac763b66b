package pass

import (
	"math"

	"github.com/sparse-implicit/sim/format/simb"
)

// reaches propagates ranges through the schedule. For a loop it starts from the enclosure that the
// witness v proves, |x| ≤ t·v, and iterates the interval map from there: the map takes the first box into
// itself, so every iterate contains the next and each is inductive, and by uniqueness contains the
// equilibrium. It returns the reach of the states, in float32 values, and the residuals it used,
// rounded up by round, for all rows. What is not bounded is infinite.
func (p *Program) reaches(f *affine, well *WellPosed, round func(i int, residual float64, nearby float32) float32) (reach, []float32) {
	states := make(reach, p.states())
	residuals := make([]float32, p.states()+p.outputs())
	put := func(i int) {
		residuals[i] = round(i, f.residual(i, states.of), residuals[max(i-1, 0)])
	}
	step := func(i int) interval {
		put(i)
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
		tightenLoop(states, first, end, step)
		for i := first; i < end; i++ {
			put(i)
		}
		return nil
	})
	for i := p.states(); i < len(residuals); i++ {
		put(i)
	}
	return states, residuals
}

// encloseLoop sets the states of a loop to [−t·v, t·v] with t large enough that
// |φ(0)| + |what comes from outside| + (|W̃| + |ΔW|) t·v ≤ t·v, where residuals count as they are
// stored: rounded up to bfloat16. v has at most witnessBits and t at most 24 − witnessBits, so that t·v is
// a float32 as it stands: rounded ones would not be a box that the map takes into itself.
func (p *Program) encloseLoop(f *affine, well *WellPosed, states reach, first, end int) {
	for i := first; i < end; i++ {
		states[i] = interval{}
	}
	t := 0.0
	for i := first; i < end; i++ {
		residual := f.residual(i, states.of)
		outside := f.preactivation(i, states, float64(residual*(1+shortError))).magnitude() + math.Abs(p.activation(i).Apply(0))
		room := 1 - well.Enclosing[i]
		if !(room > 0) {
			t = math.Inf(1)
			break
		}
		t = max(t, (float64(outside*(1+1e-6))+8*shortLeast)/float64(room*well.V[i]))
	}
	t = upBits(t, 24-witnessBits)
	for i := first; i < end; i++ {
		states[i] = everything
		if bound := float64(up32(t * well.V[i])); !math.IsInf(bound, 0) {
			states[i] = interval{-bound, bound}
		}
	}
}

// tightenLoop iterates the interval map until it hardly changes.
func tightenLoop(states reach, first, end int, step func(int) interval) {
	const most, still = 500, 1e-3
	next := make(reach, end-first)
	for range most {
		moved := false
		for i := first; i < end; i++ {
			v := step(i)
			v = interval{max(v.lo, states[i].lo), min(v.hi, states[i].hi)}
			before, after := states[i].hi-states[i].lo, v.hi-v.lo
			if before-after > float64(still*before) || math.IsInf(before, 0) && !math.IsInf(after, 0) {
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

// coverSweeps widens the ranges of states in loops by what the sweeps pass through on their way from zero to
// the equilibrium, so that they do not saturate there: the least ranges with zero that the interval
// map, from where it was enclosed, does not leave by more than a little.
func (p *Program) coverSweeps(f *affine, states reach) {
	const most, still = 500, 1e-4
	_ = p.eachSegment(func(segment *simb.Segment, first, end int) error {
		if segment.Sweeps == 0 {
			return nil
		}
		equilibria := append(reach(nil), states[first:end]...)
		for i := first; i < end; i++ {
			states[i] = interval{}
		}
		next := make(reach, end-first)
		for range most {
			moved := false
			for i := first; i < end; i++ {
				v := activate(p.activation(i), f.preactivation(i, states, f.residual(i, states.of)))
				v = interval{min(v.lo, states[i].lo), max(v.hi, states[i].hi)}
				moved = moved || v.hi-v.lo > float64((states[i].hi-states[i].lo)*(1+still))
				next[i-first] = v
			}
			copy(states[first:end], next)
			if !moved {
				break
			}
		}
		for i, v := range equilibria {
			states[first+i] = interval{min(v.lo, states[first+i].lo), max(v.hi, states[first+i].hi)}
		}
		return nil
	})
}
