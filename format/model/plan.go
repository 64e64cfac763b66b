package model

import (
	"slices"

	"github.com/sparse-implicit/sim/format/sparse"
)

// Plan is a model's weights as a device holds them, before they become integers: [B A; D C] over the
// inputs and states that matter.
type Plan struct {
	Inputs []int // the inputs that are read and whose box is not a point, ascending
	States []int // the states that reach an output, in an order of computation

	// Weights has a row for each of States, then one for each output; its columns are Inputs, then
	// States. No zeros are stored.
	Weights *sparse.Matrix[float32]

	// Groups are the rows of Weights that are computed together: those of sparse.Levels, then the
	// outputs.
	Groups [][]int
}

// Plan lays the model out in the order in which it is computed: states by level, within a level as they
// are numbered.
func (m *Model) Plan() *Plan {
	a, c := m.A.Compact(), m.C.Compact()
	alive := reaching(a, c)
	number := make([]int, m.States()) // of a state among those alive, or −1
	var states []int
	for i := range number {
		number[i] = -1
		if alive[i] {
			number[i] = len(states)
			states = append(states, i)
		}
	}
	p := &Plan{}
	for _, level := range sparse.Levels(a.SelectRows(states).MapColumns(len(states), number)) {
		group := make([]int, len(level))
		for r, k := range level {
			group[r] = len(p.States)
			p.States = append(p.States, states[k])
		}
		p.Groups = append(p.Groups, group)
	}
	points := make([]bool, m.Inputs())
	for j := range m.InputLo {
		points[j] = m.InputLo[j] == m.InputHi[j]
	}
	p.stack(a, m.B.Compact(), c, m.D.Compact(), points)
	return p
}

// reaching tells the states from which a path of stored entries leads to an output.
func reaching(a, c *sparse.Matrix[float32]) []bool {
	alive := make([]bool, a.Rows)
	work := slices.Clone(c.Indices)
	for len(work) > 0 {
		i := work[len(work)-1]
		work = work[:len(work)-1]
		if !alive[i] {
			alive[i] = true
			cols, _ := a.Row(int(i))
			work = append(work, cols...)
		}
	}
	return alive
}

// stack fills in Inputs, without those that are points, Weights and the outputs' group.
func (p *Plan) stack(a, b, c, d *sparse.Matrix[float32], points []bool) {
	inputColumn, stateColumn := make([]int, b.Cols), make([]int, a.Cols)
	b = b.SelectRows(p.States)
	for _, j := range slices.Concat(b.Indices, d.Indices) {
		inputColumn[j] = 1
	}
	for j, read := range inputColumn {
		inputColumn[j] = -1
		if read > 0 && !points[j] {
			inputColumn[j] = len(p.Inputs)
			p.Inputs = append(p.Inputs, j)
		}
	}
	for i := range stateColumn {
		stateColumn[i] = -1
	}
	for k, i := range p.States {
		stateColumn[i] = len(p.Inputs) + k
	}
	n, q, cols := len(p.States), c.Rows, len(p.Inputs)+len(p.States)
	p.Weights = sparse.New[float32](n+q, cols)
	fill := func(first int, inputs, states *sparse.Matrix[float32]) {
		inputs, states = inputs.MapColumns(cols, inputColumn), states.MapColumns(cols, stateColumn)
		for k := range inputs.Rows {
			cols, values := inputs.Row(k)
			p.Weights.AppendRow(first+k, cols, values)
			cols, values = states.Row(k)
			p.Weights.AppendRow(first+k, cols, values)
		}
	}
	fill(0, b, a.SelectRows(p.States))
	fill(n, d, c)
	outputs := make([]int, q)
	for k := range outputs {
		outputs[k] = n + k
	}
	if q > 0 {
		p.Groups = append(p.Groups, outputs)
	}
}
