package pass

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// Prune decides which states and inputs the plan keeps: states from which no path of nonzero weights
// leads to an output are removed, which changes no answer; so are inputs that nothing reads and inputs
// whose box is a point, which fold into the bias.
func (p *Program) Prune() string {
	if p.equations == nil {
		p.load()
	}
	m := p.Source
	read := make([]bool, m.Inputs())
	reads := func(i int) {
		for _, t := range p.equations[i].terms {
			if int(t.column) < len(read) {
				read[t.column] = true
			}
		}
	}
	for i, keep := range p.alive() {
		if keep {
			p.States = append(p.States, i)
			reads(i)
		}
	}
	for k := range m.Outputs() {
		reads(m.States() + k)
	}
	points := 0
	for j, used := range read {
		switch {
		case used && p.pointInput(int32(j)):
			points++
		case used:
			p.Inputs = append(p.Inputs, j)
		}
	}
	return fmt.Sprintf("%d of %d states reach an output; %d of %d inputs are read, %d constant ones folded",
		len(p.States), m.States(), len(p.Inputs), m.Inputs(), points)
}

// Schedule orders the states so that each comes after what it reads: states outside cycles in levels
// of independent ones, every cycle as a loop of its own. It then lays the weights out in plan order.
func (p *Program) Schedule() string {
	order, segments := schedule(p.graph(p.States))
	states := make([]int, len(order))
	for k, i := range order {
		states[k] = p.States[i]
	}
	p.States, p.Segments = states, segments
	p.layOut()
	levels, loops := 0, 0
	for _, s := range segments {
		if s.Sweeps > 0 {
			loops++
		} else {
			levels++
		}
	}
	return fmt.Sprintf("%d levels, %d loops", levels, loops)
}

// schedule returns the states of the graph of A in an order of computation, and its segments.
func schedule(a *sparse.Matrix[float64]) ([]int, []simb.Segment) {
	components := sparse.Components(a)
	depth := make([]int, a.Rows) // of the state's component: longest path of components that lead to it
	member := make([]int, a.Rows)
	for k, component := range components {
		for _, i := range component {
			member[i] = k
		}
	}
	type piece struct {
		depth, first int
		loop         bool
		states       []int
	}
	levels := map[int]int{} // depth → index into pieces
	var pieces []piece
	for k, component := range components {
		d := 0
		for _, i := range component {
			cols, _ := a.Row(i)
			for _, j := range cols {
				if member[j] != k {
					d = max(d, depth[j]+1)
				}
			}
		}
		for _, i := range component {
			depth[i] = d
		}
		if sparse.IsLoop(a, component) {
			pieces = append(pieces, piece{d, component[0], true, component})
			continue
		}
		level, found := levels[d]
		if !found {
			level = len(pieces)
			levels[d] = level
			pieces = append(pieces, piece{d, 0, false, nil})
		}
		pieces[level].states = append(pieces[level].states, component[0])
	}
	slices.SortFunc(pieces, func(x, y piece) int {
		if x.depth == y.depth && x.loop != y.loop {
			if x.loop {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(x.depth, y.depth), cmp.Compare(x.first, y.first))
	})
	var order []int
	var segments []simb.Segment
	for _, piece := range pieces {
		slices.Sort(piece.states)
		order = append(order, piece.states...)
		segment := simb.Segment{States: len(piece.states)}
		if piece.loop {
			segment.Sweeps = 1
		}
		segments = append(segments, segment)
	}
	return order, segments
}

// layOut builds the stacked matrix [B A; D C] in plan order and the biases with what is folded.
func (p *Program) layOut() {
	n, q, width := p.states(), p.outputs(), len(p.Inputs)
	columns := make([]int32, p.Source.Inputs()+p.Source.States()) // of the source: where they are in the plan, or −1
	for j := range columns {
		columns[j] = -1
	}
	for k, j := range p.Inputs {
		columns[j] = int32(k)
	}
	for k, i := range p.States {
		columns[p.Source.Inputs()+i] = int32(width + k)
	}
	p.Weights, p.weightError = sparse.New[float64](n+q, width+n), nil
	p.Bias = make([]Bounded, n+q)
	var errors []float64
	inexact := false
	for k := range p.Bias {
		e := p.equationOf(k)
		p.Bias[k] = p.foldedBias(e)
		var kept []term
		for _, t := range e.terms {
			if t.column = columns[t.column]; t.column >= 0 {
				kept = append(kept, t)
			}
		}
		slices.SortFunc(kept, func(a, b term) int { return cmp.Compare(a.column, b.column) })
		for _, t := range kept {
			p.Weights.Indices, p.Weights.Data = append(p.Weights.Indices, t.column), append(p.Weights.Data, t.weight.Value)
			errors = append(errors, t.weight.Error)
			inexact = inexact || !t.weight.exactly()
		}
		p.Weights.Indptr[k+1] = int32(len(p.Weights.Indices))
	}
	if inexact {
		p.weightError = errors
	}
}

// equationOf returns the equation of row i of the plan.
func (p *Program) equationOf(i int) *equation {
	if i < p.states() {
		return &p.equations[p.States[i]]
	}
	return &p.equations[p.Source.States()+i-p.states()]
}

// foldedBias adds to an equation's bias what it reads of inputs whose box is a point and of constant states.
func (p *Program) foldedBias(e *equation) Bounded {
	sum := e.bias
	size, terms, spread := math.Abs(sum.Value), 0, 0.0
	for _, t := range e.terms {
		value, folded := p.constantOf(t.column)
		if !folded {
			continue
		}
		term := float64(t.weight.Value * value.Value) // exact where both are float32
		sum.Value = float64(sum.Value + term)
		size += math.Abs(term)
		spread += t.weight.times(value).Error
		terms++
	}
	if terms > 0 {
		sum.Error += float64(size*float64(terms+1)*0x1p-52) + spread
	}
	return sum
}

// constantOf returns the value of column j of an equation where it is known: an input whose box is a point, a state
// that is constant.
func (p *Program) constantOf(j int32) (Bounded, bool) {
	if s := p.sourceState(j); s >= 0 {
		if p.constant[s] == nil {
			return Bounded{}, false
		}
		return *p.constant[s], true
	}
	return Bounded{Value: float64(p.Source.InputLo[j])}, p.pointInput(j)
}
