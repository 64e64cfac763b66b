package refine

import (
	"slices"

	"github.com/sparse-implicit/sim/format/sparse"
)

// windowView is a model as a kernel sees it: levels of rows, columns that are activations.
type windowView struct {
	rows    [][]int         // per level, the rows; the outputs are the last level
	entries [][]windowEntry // per row, by column
	columns int
}

// windowEntry is a feature of a row and the column in which a kernel holds it.
type windowEntry struct {
	column, feature int32
	at              int // its place in the row's support
}

// viewOf lays out rows by level, states of a level as they are numbered.
func (g WindowGoal) viewOf(supports [][]int32) *windowView {
	a := sparse.New[int8](g.States, g.States)
	for i, support := range supports[:g.States] {
		states, _ := slices.BinarySearch(support, int32(g.States))
		a.AppendRow(i, support[:states], make([]int8, states))
	}
	var rows [][]int
	for _, level := range sparse.Levels(a) {
		level = slices.DeleteFunc(level, func(i int) bool { return supports[i] == nil })
		if len(level) > 0 {
			rows = append(rows, level)
		}
	}
	var outputs []int
	for i := g.States; i < len(supports); i++ {
		outputs = append(outputs, i)
	}
	return g.viewIn(supports, append(rows, outputs))
}

// viewIn gives every feature its column: the inputs that are read, then the states in the order of the
// levels. States that are gone have none.
func (g WindowGoal) viewIn(supports [][]int32, rows [][]int) *windowView {
	features := g.States
	for _, support := range supports {
		if len(support) > 0 {
			features = max(features, int(support[len(support)-1])+1)
		}
	}
	const none = -1
	column := slices.Repeat([]int32{none}, features)
	for _, support := range supports {
		for _, j := range support {
			column[j] = 0
		}
	}
	v := &windowView{rows: rows, entries: make([][]windowEntry, len(supports))}
	place := func(j int) {
		column[j] = int32(v.columns)
		v.columns++
	}
	for j := range features {
		switch {
		case j < g.States:
			column[j] = none
		case column[j] != none:
			place(j)
		}
	}
	for _, i := range slices.Concat(rows...) {
		if i < g.States {
			place(i)
		}
	}
	for i, support := range supports {
		for at, j := range support {
			if column[j] != none {
				v.entries[i] = append(v.entries[i], windowEntry{column[j], j, at})
			}
		}
		slices.SortFunc(v.entries[i], func(a, b windowEntry) int { return int(a.column - b.column) })
	}
	return v
}

// levels are the rows as PlanWindows takes them.
func (v *windowView) levels(saliency [][]float64) [][]WindowRow {
	levels := make([][]WindowRow, len(v.rows))
	for l, level := range v.rows {
		for _, i := range level {
			row := WindowRow{}
			for _, e := range v.entries[i] {
				row.Columns, row.Saliency = append(row.Columns, e.column), append(row.Saliency, saliency[i][e.at])
			}
			levels[l] = append(levels[l], row)
		}
	}
	return levels
}

// within returns earlier slices of rows by level, numbered within it, as PlanWindows takes them; rows that
// came to a level fill its slices up, or open new ones. nil stays nil.
func (v *windowView) within(earlier [][]int, size int) [][][]int {
	if earlier == nil {
		return nil
	}
	level, number := make([]int, len(v.entries)), make([]int, len(v.entries))
	for i := range level {
		level[i] = -1
	}
	for l, rows := range v.rows {
		for r, i := range rows {
			level[i], number[i] = l, r
		}
	}
	slicesOf := make([][][]int, len(v.rows))
	for _, slice := range earlier {
		of := map[int][]int{} // rows that stayed together, by level
		var order []int
		for _, i := range slice {
			if l := level[i]; l >= 0 {
				if of[l] == nil {
					order = append(order, l)
				}
				of[l] = append(of[l], number[i])
				level[i] = -1
			}
		}
		for _, l := range order {
			slicesOf[l] = append(slicesOf[l], of[l])
		}
	}
	for l, rows := range v.rows {
		slicesOf[l] = packSlices(slicesOf[l], size)
		for r, i := range rows {
			if level[i] >= 0 {
				slicesOf[l] = packSlices(append(slicesOf[l], []int{r}), size)
			}
		}
	}
	return slicesOf
}

// packSlices puts slices into the first with room for the whole of them, so that rows which left a slice's
// level, or came to this one, do not cost a slice each.
func packSlices(all [][]int, size int) [][]int {
	var packed [][]int
next:
	for _, slice := range all {
		for k := range packed {
			if len(packed[k])+len(slice) <= size {
				packed[k] = append(packed[k], slice...)
				continue next
			}
		}
		packed = append(packed, slices.Clone(slice))
	}
	return packed
}
