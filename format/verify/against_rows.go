package verify

import (
	"cmp"
	"slices"
)

// reducedRow is a row of the source in columns of the plan.
type reducedRow struct {
	columns []int32 // ascending
	weights []interval
	bias    interval
}

// row returns the source's row i of the plan (its states, then its outputs) in columns of the plan: Σ weights·v +
// bias encloses the row's argument for v the plan's inputs and states at the source's equilibrium. What the
// plan leaves out is in the weights and the bias; inputs are counted from zero. Columns ascend, the slices
// are not to be changed.
func (l *links) row(i int) (columns []int32, weights []interval, bias interval) {
	r := &l.rows[i]
	return r.columns, r.weights, r.bias
}

// reduce brings row i of the plan into columns of the plan.
func (c *checker) reduce(l *links, i int) reducedRow {
	inputs, states, row, bias := c.sourceRow(l, i)
	r := reducedRow{bias: point(float64(bias))}
	type entry struct {
		column int32
		weight float64
	}
	var entries []entry
	cols, values := inputs.Row(row)
	for k, j := range cols {
		w := float64(values[k])
		if column := l.input[j]; column >= 0 {
			entries = append(entries, entry{column, w})
		} else {
			r.bias = r.bias.add(point(w).mul(point(float64(l.source.InputLo[j]))))
		}
	}
	cols, values = states.Row(row)
	for k, j := range cols {
		if column := l.state[j]; column >= 0 {
			entries = append(entries, entry{column, float64(values[k])})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.column, b.column) })
	for _, e := range entries {
		r.columns, r.weights = append(r.columns, e.column), append(r.weights, point(e.weight))
	}
	return r
}
