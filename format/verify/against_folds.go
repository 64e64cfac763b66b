package verify

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// sortedColumns sorts in place.
func sortedColumns(columns []int32) []int32 {
	slices.Sort(columns)
	return columns
}

// live returns the states that matter to a row of the plan, in an order of computation, states of one loop together.
func (r *reduction) live() [][]int {
	seen := make([]bool, r.n)
	var states []int
	visit := func(row int) {
		for _, column := range r.rows[row].columns {
			if s := r.state(column); s >= 0 && !seen[s] && !r.constant[s] {
				seen[s] = true
				states = append(states, s)
			}
		}
	}
	for i := range r.m.Rows {
		visit(r.planRow(i))
	}
	for k := 0; k < len(states); k++ {
		visit(states[k])
	}
	slices.Sort(states)
	place := make([]int32, r.n)
	for k, s := range states {
		place[s] = int32(k)
	}
	graph := sparse.New[float64](len(states), len(states))
	for k, s := range states {
		for _, column := range r.rows[s].columns {
			if j := r.state(column); j >= 0 && !r.constant[j] {
				graph.Indices, graph.Data = append(graph.Indices, place[j]), append(graph.Data, 1)
			}
		}
		graph.Indptr[k+1] = int32(len(graph.Indices))
	}
	components := sparse.Components(graph)
	for _, component := range components {
		for k, i := range component {
			component[k] = states[i]
		}
	}
	return components
}

// loopTurns is how often the ranges of a loop are narrowed.
const loopTurns = 16

// foldConstants finds states that the plan leaves out and that have one value for every input of 𝒰: by ranges in
// interval arithmetic, each from what its function can return at all. A range that is a point is proved
// wherever the ranges that it follows from hold, so the order matters only to how much is found.
func (r *reduction) foldConstants() bool {
	components, found := r.live(), false
	if r.ranges == nil {
		r.ranges = make([]interval, r.n)
	}
	for i, a := range r.l.source.Activations {
		if !r.constant[i] {
			r.ranges[i] = sourceActivation(a, everything)
		}
	}
	for _, component := range components {
		turns := 1
		if len(component) > 1 || r.reads(component[0], component[0]) {
			turns = loopTurns
		}
		for range turns {
			for _, i := range component {
				if r.constant[i] {
					continue
				}
				z, fixed := r.argument(i)
				v := sourceActivation(r.l.source.Activations[i], z)
				r.ranges[i] = interval{max(v.lo, r.ranges[i].lo), min(v.hi, r.ranges[i].hi)}
				if !r.kept(i) && (fixed || v.lo == v.hi) {
					r.constant[i], r.ranges[i], found = true, v, true
				}
			}
		}
	}
	if !found {
		return false
	}
	for i := range r.rows { // what is exactly zero is read by none
		r.rows[i] = r.without(&r.rows[i])
	}
	return true
}

// argument encloses the argument of state i, and reports whether it reads nothing but what is known.
func (r *reduction) argument(i int) (z interval, fixed bool) {
	row := &r.rows[i]
	z, fixed = row.bias, true
	for k, column := range row.columns {
		v, known := r.known(column)
		if !known {
			fixed = false
			if s := r.state(column); s >= 0 {
				v = r.ranges[s]
			} else {
				v = r.inputs[column]
			}
		}
		z = z.add(row.weights[k].mul(v))
	}
	return z, fixed
}

// without returns a row without the states that are exactly zero.
func (r *reduction) without(row *affineRow) affineRow {
	out := affineRow{bias: row.bias}
	for k, column := range row.columns {
		if s := r.state(column); s >= 0 && r.constant[s] && r.ranges[s] == (interval{}) {
			continue
		}
		out.put(column, row.weights[k])
	}
	return out
}

// reads reports whether row i reads a state.
func (r *reduction) reads(i, state int) bool {
	_, found := slices.BinarySearch(r.rows[i].columns, int32(r.p+state))
	return found
}

// sourceActivation encloses φ over a range of its argument, which may be unbounded.
func sourceActivation(a model.Activation, z interval) interval {
	row := simb.Row{Kind: simb.Kind(a.Kind), Parameter: a.P1}
	switch a.Kind {
	case model.LeakyReLU:
		row.Parameter = a.P0
	case model.Tanh, model.Sigmoid: // beyond these both are at their ends within what curve allows for
		z = interval{max(z.lo, -64), min(z.hi, 64)}
		z = interval{min(z.lo, 64), max(z.hi, -64)}
	}
	return activate(&row, z)
}

// mergeDuplicates finds states that the plan leaves out and whose function and row are exactly those of another:
// at every equilibrium both have one value. Their readers read the other instead, one that the plan has if
// there is one.
func (r *reduction) mergeDuplicates() bool {
	into := make([]int, r.n)
	for i := range into {
		into[i] = i
	}
	first := map[string]int{} // only looked up
	before := r.duplicates
	for _, component := range r.live() {
		for _, i := range component {
			if r.duplicates > before {
				r.redirect(i, into)
			}
			key, exact := r.keyOf(i)
			if !exact {
				continue
			}
			other, found := first[key]
			switch {
			case !found:
				first[key] = i
			case !r.kept(i):
				into[i] = other
				r.duplicates++
			case !r.kept(other):
				into[other], first[key] = i, i
				r.duplicates++
			}
		}
	}
	if r.duplicates == before {
		return false
	}
	for i := range r.rows {
		r.redirect(i, into)
	}
	return true
}

// redirect replaces states that are the same as another in row i.
func (r *reduction) redirect(i int, into []int) {
	for {
		row, moved := &r.rows[i], int32(-1)
		for _, column := range row.columns {
			if s := r.state(column); s >= 0 && into[s] != s {
				moved = column
				break
			}
		}
		if moved < 0 {
			return
		}
		k, _ := slices.BinarySearch(row.columns, moved)
		other := affineRow{columns: []int32{int32(r.p + into[r.state(moved)])}, weights: []interval{point(1)}}
		r.rows[i] = row.replaced(moved, row.weights[k], &other)
	}
}

// keyOf returns function and row of a state as they are, if they are known exactly.
func (r *reduction) keyOf(i int) (key string, exact bool) {
	row, a := &r.rows[i], r.l.source.Activations[i]
	if r.constant[i] || row.bias.lo != row.bias.hi {
		return "", false
	}
	bytes := []byte{uint8(a.Kind)}
	number := func(x float64) { bytes = binary.LittleEndian.AppendUint64(bytes, math.Float64bits(x+0)) } // −0 is 0
	number(float64(a.P0))
	number(float64(a.P1))
	number(row.bias.lo)
	for k, column := range row.columns {
		if row.weights[k].lo != row.weights[k].hi {
			return "", false
		}
		number(float64(column))
		number(row.weights[k].lo)
	}
	return string(bytes), true
}

// substituteIdentities puts the rows of identity states that the plan leaves out in place of them, as long as
// that does not make rows grow beyond all measure.
func (r *reduction) substituteIdentities() bool {
	before := r.identities
	for _, component := range r.live() {
		for _, i := range component {
			if r.kept(i) || r.constant[i] || r.l.source.Activations[i].Kind != model.Identity || r.reads(i, i) || r.entries > r.mostEntries {
				continue
			}
			column := int32(r.p + i)
			for k := range r.rows {
				at, found := slices.BinarySearch(r.rows[k].columns, column)
				if !found {
					continue
				}
				was := len(r.rows[k].columns)
				r.rows[k] = r.rows[k].replaced(column, r.rows[k].weights[at], &r.rows[i])
				r.entries += len(r.rows[k].columns) - was
			}
			r.identities++
		}
	}
	return r.identities > before
}
