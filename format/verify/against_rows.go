package verify

import (
	"fmt"

	"github.com/sparse-implicit/sim/format/sparse"
)

// row returns the source's row i of the plan (its states, then its outputs) in columns of the plan: for every input
// of 𝒰, Σ weights·v + bias encloses the row's argument at v, the plan's inputs and the source's equilibrium. What
// the plan leaves out is in the weights and the bias; inputs are counted from zero. Columns ascend; the slices are
// not to be changed.
func (l *links) row(i int) (columns []int32, weights []interval, bias interval) {
	r := &l.rows[i]
	return r.columns, r.weights, r.bias
}

// affineRow is Σ weights·column + bias. No weight is exactly zero.
type affineRow struct {
	columns []int32 // ascending
	weights []interval
	bias    interval
}

func (r *affineRow) put(column int32, weight interval) {
	if weight != (interval{}) {
		r.columns, r.weights = append(r.columns, column), append(r.weights, weight)
	}
}

// replaced returns r with a column taken out and factor times another row in place of it.
func (r *affineRow) replaced(column int32, factor interval, other *affineRow) affineRow {
	sum := affineRow{bias: r.bias.add(factor.mul(other.bias))}
	for a, b := 0, 0; a < len(r.columns) || b < len(other.columns); {
		switch {
		case a < len(r.columns) && r.columns[a] == column:
			a++
		case b == len(other.columns) || a < len(r.columns) && r.columns[a] < other.columns[b]:
			sum.put(r.columns[a], r.weights[a])
			a++
		case a == len(r.columns) || other.columns[b] < r.columns[a]:
			sum.put(other.columns[b], factor.mul(other.weights[b]))
			b++
		default:
			sum.put(r.columns[a], r.weights[a].add(factor.mul(other.weights[b])))
			a, b = a+1, b+1
		}
	}
	return sum
}

// reduction takes what the plan leaves out of the source's rows. Its rows are those of the source's states, then of
// its outputs, its columns the source's inputs, then its states.
type reduction struct {
	*checker
	l    *links
	p, n int // inputs and states of the source
	rows []affineRow

	constant []bool     // per state that the plan leaves out: proved to be one value
	ranges   []interval // of every state, for every input of 𝒰
	inputs   []interval // of every input: 𝒰, or its box where the plan leaves it out

	duplicates, identities int
	entries, mostEntries   int // weights of all rows, and what they may grow to
}

// mostTurns is how often folds are looked for in all rows: each goes along the schedule, so that few are needed,
// and a source made to need many must not keep its checker busy.
const mostTurns = 200

// reduce returns the plan's rows in columns of the plan, or which state keeps them from it, and says what it has
// proved of the states that are left out though some row of the plan reads them.
func (c *checker) reduce(l *links) ([]affineRow, string, error) {
	r := &reduction{checker: c, l: l, p: l.source.Inputs(), n: l.source.States()}
	r.load()
	note := ""
	if r.leftOut() >= 0 {
		turns := mostTurns
		for ; turns > 0 && (r.foldConstants() || r.mergeDuplicates()); turns-- {
		}
		for ; turns > 0 && r.substituteIdentities(); turns-- {
			r.foldConstants()
		}
		constants := 0
		for _, folded := range r.constant {
			if folded {
				constants++
			}
		}
		note = fmt.Sprintf("; of the states left out %d are constant, %d repeat another, %d are identities", constants, r.duplicates, r.identities)
	}
	rows, err := r.plan()
	return rows, note, err
}

// load reads the source.
func (r *reduction) load() {
	m := r.l.source
	r.rows = make([]affineRow, r.n+m.Outputs())
	for i := range r.rows {
		inputs, states, row := m.B, m.A, i
		if i < r.n {
			r.rows[i].bias = point(float64(m.StateBias[i]))
		} else {
			inputs, states, row = m.D, m.C, i-r.n
			r.rows[i].bias = point(float64(m.OutputBias[row]))
		}
		r.read(&r.rows[i], inputs, row, 0)
		r.read(&r.rows[i], states, row, int32(r.p))
		r.entries += len(r.rows[i].columns)
	}
	r.mostEntries = 4*r.entries + 1<<16
	r.constant = make([]bool, r.n)
	r.inputs = make([]interval, r.p)
	for j := range r.inputs {
		r.inputs[j] = interval{float64(m.InputLo[j]), float64(m.InputHi[j])}
		if column := r.l.input[j]; column >= 0 {
			r.inputs[j] = r.region[column].add(r.nearest(column))
		}
	}
}

func (r *reduction) read(row *affineRow, m *sparse.Matrix[float32], i int, first int32) {
	cols, values := m.Row(i)
	for k, j := range cols {
		row.put(first+j, point(float64(values[k])))
	}
}

// state returns the source's state of a column, or −1 for an input.
func (r *reduction) state(column int32) int { return max(int(column)-r.p, -1) }

// kept reports whether the plan has a state.
func (r *reduction) kept(state int) bool { return r.l.state[state] >= 0 }

// planRow returns the source's row that stands behind row i of the plan.
func (r *reduction) planRow(i int) int {
	if i < r.checker.n {
		return int(r.m.SourceState[i])
	}
	return r.n + i - r.checker.n
}

// leftOut returns a state that some row of the plan reads though the plan does not have it, and of which nothing
// is proved; −1 if there is none.
func (r *reduction) leftOut() int {
	for i := range r.m.Rows {
		for _, column := range r.rows[r.planRow(i)].columns {
			if s := r.state(column); s >= 0 && !r.kept(s) && !r.constant[s] {
				return s
			}
		}
	}
	return -1
}

// plan returns the rows of the plan in its columns.
func (r *reduction) plan() ([]affineRow, error) {
	columns := append(append([]int32(nil), r.l.input...), r.l.state...)
	out := make([]affineRow, len(r.m.Rows))
	slots := make([]interval, r.checker.p+r.checker.n)
	for i := range out {
		own := &r.rows[r.planRow(i)]
		out[i].bias = own.bias
		var used []int32
		for k, column := range own.columns {
			if to := columns[column]; to >= 0 {
				slots[to], used = own.weights[k], append(used, to)
				continue
			}
			value, known := r.known(column)
			if !known && r.state(column) >= 0 {
				return nil, fmt.Errorf("row %d of the plan depends on source state %d, which the plan leaves out though it is not proved constant, the same as another or an identity", i, r.state(column))
			}
			if !known {
				return nil, fmt.Errorf("row %d of the plan depends on source input %d, which the plan leaves out though its box is not a point", i, column)
			}
			out[i].bias = out[i].bias.add(own.weights[k].mul(value))
		}
		for _, to := range sortedColumns(used) {
			out[i].put(to, slots[to])
		}
	}
	return out, nil
}

// known returns the value of a column that the plan leaves out: an input whose box is a point, a constant state.
func (r *reduction) known(column int32) (interval, bool) {
	if s := r.state(column); s >= 0 {
		if !r.constant[s] {
			return interval{}, false
		}
		return r.ranges[s], true
	}
	v := r.inputs[column]
	return v, r.l.input[column] < 0 && v.lo == v.hi
}
