package pass

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
)

// Simplify rewrites the source's equations so that fewer states are read, without changing what they mean: a
// state that is proved constant over the region of inputs folds into the biases of its readers, of states
// with the same equation one is read in place of all, and an identity is put into its readers where
// that costs no weights. What nothing reads any more is for Prune to remove. Identities come last: sums of
// products are seldom exact, and a checker could not tell any more that two equations are the same.
func (p *Program) Simplify() string {
	p.load()
	s := &simplifier{Program: p, region: p.sourceRegion()}
	for s.foldConstants() || s.mergeDuplicates() {
	}
	for !p.trained() && s.substituteIdentities() { // levels that were trained for are worth more than a state
		s.foldConstants()
	}
	return fmt.Sprintf("%d constant states, %d that repeat another and %d identities folded", s.constants, s.duplicates, s.identities)
}

// simplifier counts what is folded.
type simplifier struct {
	*Program
	region []interval // per input of the source: its point, or what it is without saturating

	constants, duplicates, identities int
}

// sourceRegion returns the region of inputs that do not saturate, for all of the source's.
func (p *Program) sourceRegion() []interval {
	region := make([]interval, p.Source.Inputs())
	for j := range region {
		if p.pointInput(int32(j)) {
			u := float64(p.Source.InputLo[j])
			region[j] = interval{u, u}
			continue
		}
		scale, zero, err := p.inputScale(j)
		if err != nil {
			region[j] = everything // if it stays, Ranges will say what is wrong
			continue
		}
		s, z, q := float64(scale), float64(zero), float64(p.Options.Width.Max())
		lo, hi := float64(s*(-z-0.5-inputSlack)), float64(s*(q-z+0.5+inputSlack))
		size := float64((math.Abs(lo) + math.Abs(hi)) * 0x1p-48)
		region[j] = interval{lo - size, hi + size}
	}
	return region
}

// components returns the live states in an order of computation, loops together, and which ones are loops.
func (s *simplifier) components() (components [][]int, loop []bool) {
	var states []int
	for i, alive := range s.alive() {
		if alive {
			states = append(states, i)
		}
	}
	graph := s.graph(states)
	components = sparse.Components(graph)
	for _, component := range components {
		loop = append(loop, sparse.IsLoop(graph, component))
		for k, i := range component {
			component[k] = states[i]
		}
	}
	return components, loop
}

// loopSteps is how often the ranges of a loop are propagated from what its functions can return at all.
const loopSteps = 4

// foldConstants finds the live states that are proved constant, by ranges along the order of computation, and
// takes those that are zero out of the equations.
func (s *simplifier) foldConstants() bool {
	before := s.constants
	ranges := make(reach, s.Source.States())
	for i := range ranges {
		ranges[i] = everything
	}
	components, loop := s.components()
	for k, component := range components {
		steps := 1
		if loop[k] {
			steps = loopSteps
			for _, i := range component {
				ranges[i] = image(s.Source.Activations[i])
			}
		}
		for range steps {
			for _, i := range component {
				if s.constant[i] == nil {
					s.settle(i, ranges)
				}
			}
		}
	}
	if s.constants == before {
		return false
	}
	for i := range s.equations {
		e := &s.equations[i]
		kept := e.terms[:0]
		for _, t := range e.terms {
			if value, folded := s.constantOf(t.column); !folded || s.sourceState(t.column) < 0 || value != (Bounded{}) {
				kept = append(kept, t)
			}
		}
		e.terms = kept
	}
	return true
}

// settle renews the range of state i, and notes where it is constant: it reads only what is, or its argument
// stays beyond a limit of its function.
func (s *simplifier) settle(i int, ranges reach) {
	a := s.Source.Activations[i]
	sum, fixed := s.argument(i)
	if fixed {
		s.constants++
		value := valueOf(a, sum)
		s.constant[i] = &value
		return
	}
	z := s.argumentRange(i, ranges)
	if limit, beyond := limitBeyond(a, z); beyond {
		s.constants++
		s.constant[i] = &Bounded{Value: limit}
		return
	}
	v := activate(a, z)
	ranges[i] = interval{max(v.lo, ranges[i].lo), min(v.hi, ranges[i].hi)}
}

// argument returns the argument of state i where it reads nothing that is not known.
func (s *simplifier) argument(i int) (sum Bounded, fixed bool) {
	sum = s.equations[i].bias
	for _, t := range s.equations[i].terms {
		value, folded := s.constantOf(t.column)
		if !folded {
			return Bounded{}, false
		}
		sum = sum.plus(t.weight.times(value))
	}
	return sum, true
}

// argumentRange returns a range of state i's argument, rounded outward; an end is finite where all that goes into
// it is.
func (s *simplifier) argumentRange(i int, ranges reach) interval {
	e := &s.equations[i]
	z, unsure := interval{e.bias.Value, e.bias.Value}, e.bias.Error
	size := interval{math.Abs(e.bias.Value), math.Abs(e.bias.Value)} // of what goes into each end
	for _, t := range e.terms {
		v := interval{}
		if value, folded := s.constantOf(t.column); folded {
			v = interval{value.Value, value.Value}
			unsure += float64(math.Abs(t.weight.Value) * value.Error)
		} else if state := s.sourceState(t.column); state >= 0 {
			v = ranges[state]
		} else {
			v = s.region[t.column]
		}
		a, b := times(t.weight.Value, v.lo), times(t.weight.Value, v.hi)
		z = interval{z.lo + min(a, b), z.hi + max(a, b)}
		size = interval{size.lo + math.Abs(min(a, b)), size.hi + math.Abs(max(a, b))}
		unsure += times(t.weight.Error, v.magnitude())
	}
	unsure = float64(unsure * (1 + slack))
	z.lo -= unsure + float64(size.lo*slack)
	z.hi += unsure + float64(size.hi*slack)
	if math.IsNaN(z.lo) || math.IsNaN(z.hi) {
		return everything
	}
	return z
}

// image returns what a function can return at all.
func image(a model.Activation) interval {
	switch a.Kind {
	case model.ReLU:
		return interval{0, math.Inf(1)}
	case model.ClippedReLU, model.HardTanh:
		return interval{float64(a.P0), float64(a.P1)}
	case model.Tanh:
		return interval{-1, 1}
	case model.Sigmoid:
		return interval{0, 1}
	}
	return everything
}

// limitBeyond returns the limit of a function that a range of its argument lies beyond.
func limitBeyond(a model.Activation, z interval) (float64, bool) {
	v := image(a)
	switch a.Kind {
	case model.ReLU, model.ClippedReLU, model.HardTanh:
		if z.hi <= v.lo {
			return v.lo, true
		}
		return v.hi, z.lo >= v.hi && !math.IsInf(v.hi, 0)
	}
	return 0, false // tanh and sigmoid come near their limits and never reach them
}

// curveError bounds what model.TanhOf and model.SigmoidOf are off by.
const curveError = 0x1p-50

// valueOf returns φ(z), exactly where z lies beyond a limit.
func valueOf(a model.Activation, z Bounded) Bounded {
	room := outward(z.Error) + float64(math.Abs(z.Value)*0x1p-52)
	if limit, beyond := limitBeyond(a, interval{z.Value - room, z.Value + room}); beyond {
		return Bounded{Value: limit}
	}
	out := Bounded{a.Apply(z.Value), z.Error}
	switch {
	case a.Kind == model.Tanh && z == (Bounded{}): // exactly 0
	case a.Kind == model.Tanh || a.Kind == model.Sigmoid:
		out.Error += curveError
	case a.Kind == model.LeakyReLU:
		out.Error += float64(math.Abs(out.Value) * 0x1p-52)
	}
	return out
}
