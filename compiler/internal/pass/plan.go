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
	m := p.Source
	a, b, c, d := m.A.Compact(), m.B.Compact(), m.C.Compact(), m.D.Compact()
	alive := make([]bool, m.States())
	var work []int
	reach := func(cols []int32) {
		for _, j := range cols {
			if !alive[j] {
				alive[j] = true
				work = append(work, int(j))
			}
		}
	}
	reach(c.Indices)
	for len(work) > 0 {
		i := work[len(work)-1]
		work = work[:len(work)-1]
		cols, _ := a.Row(i)
		reach(cols)
	}
	for i, keep := range alive {
		if keep {
			p.States = append(p.States, i)
		}
	}
	read := make([]bool, m.Inputs())
	for _, i := range p.States {
		cols, _ := b.Row(i)
		for _, j := range cols {
			read[j] = true
		}
	}
	for _, j := range d.Indices {
		read[j] = true
	}
	points := 0
	for j, used := range read {
		switch {
		case used && m.InputLo[j] == m.InputHi[j]:
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
	planned := make([]int, p.Source.States()) // position among p.States, or −1
	for i := range planned {
		planned[i] = -1
	}
	for k, i := range p.States {
		planned[i] = k
	}
	a := p.Source.A.Compact().SelectRows(p.States).MapColumns(len(p.States), planned)
	order, segments := schedule(a)
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
func schedule(a *sparse.Matrix[float32]) ([]int, []simb.Segment) {
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

// layOut builds the stacked matrix [B A; D C] in plan order and the biases with folded inputs.
func (p *Program) layOut() {
	m := p.Source
	n, q, width := p.states(), p.outputs(), len(p.Inputs)
	inputColumn := make([]int, m.Inputs())
	for j := range inputColumn {
		inputColumn[j] = -1
	}
	for k, j := range p.Inputs {
		inputColumn[j] = k
	}
	stateColumn := make([]int, m.States())
	for i := range stateColumn {
		stateColumn[i] = -1
	}
	for k, i := range p.States {
		stateColumn[i] = width + k
	}
	outputs := make([]int, q)
	for k := range outputs {
		outputs[k] = k
	}
	total := width + n
	p.Weights = sparse.New[float64](n+q, total)
	p.Bias = make([]Bounded, n+q)
	fill := func(row int, inputs, states *sparse.Matrix[float32], source int, bias float32) {
		left := inputs.SelectRows([]int{source}).Compact()
		p.Bias[row] = p.foldInputs(left, bias, inputColumn)
		plan := left.MapColumns(total, inputColumn)
		p.Weights.AppendRow(row, plan.Indices, exact(plan.Data))
		plan = states.SelectRows([]int{source}).Compact().MapColumns(total, stateColumn)
		p.Weights.AppendRow(row, plan.Indices, exact(plan.Data))
	}
	for k, i := range p.States {
		fill(k, m.B, m.A, i, m.StateBias[i])
	}
	for k := range outputs {
		fill(n+k, m.D, m.C, k, m.OutputBias[k])
	}
}

// exact returns the same numbers in float64.
func exact(values []float32) []float64 {
	out := make([]float64, len(values))
	for k, v := range values {
		out[k] = float64(v)
	}
	return out
}

// foldInputs adds the inputs that left the plan, each at the point that its box is, to a bias.
func (p *Program) foldInputs(row *sparse.Matrix[float32], bias float32, inputColumn []int) Bounded {
	sum := Bounded{Value: float64(bias)}
	size, terms := math.Abs(sum.Value), 0
	for k, j := range row.Indices {
		if inputColumn[j] >= 0 {
			continue
		}
		term := float64(row.Data[k]) * float64(p.Source.InputLo[j]) // exact: 24 + 24 bits
		sum.Value = float64(sum.Value + term)
		size += math.Abs(term)
		terms++
	}
	if terms > 0 {
		sum.Error = size * float64(terms+1) * 0x1p-52
	}
	return sum
}
