package trainer

import (
	"cmp"
	"slices"

	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/trainer/internal/refine"
)

// windowGoal asks for a model that packs into steps of a kernel's layout.
type windowGoal struct {
	layout sparse.WindowLayout
	states int // n: features below it are states, the others inputs
	steps  int // at most this many for the whole model
}

// windowChoice is what a goal leaves of a model.
type windowChoice struct {
	supports [][]int32 // per row (states, then outputs), ascending; nil for states that are gone
	order    []int     // the states left, in the order in which a model has to number them
	steps    int       // of that model, packed level by level
}

// planAttempts is how often shape plans again to use what dead states leave.
const planAttempts = 4

// shape chooses which features the rows keep. supports are the rows' features, ascending, nil for a
// state that is gone; saliency is what each is worth. A state that no longer reaches an output, or reads
// nothing, goes with all it reads, and its steps are offered to the others. Levels that become shallower
// can change the steps, so they are counted on what is left, and a smaller budget is planned for while
// they are too many.
func (g windowGoal) shape(supports [][]int32, saliency [][]float64) windowChoice {
	supports = slices.Clone(supports)
	g.forget(supports, slices.Clone(supports))
	for budget, attempt := g.steps, 1; ; attempt++ {
		kept, rank := g.plan(supports, saliency, budget)
		forgotten := g.forget(supports, slices.Clone(kept))
		g.bury(kept)
		choice := g.count(kept, rank)
		switch {
		case choice.steps > g.steps && budget > 0:
			budget -= choice.steps - g.steps
		case !forgotten || attempt >= planAttempts:
			return choice
		}
	}
}

// forget removes from supports the states that kept wastes steps on, and reports whether there were any:
// those that reach no output, or when all do, those that bury removes from kept, which read nothing.
func (g windowGoal) forget(supports, kept [][]int32) bool {
	if g.drop(supports, g.reached(kept, false)) {
		return true
	}
	g.bury(kept)
	return g.drop(supports, g.reached(kept, true))
}

// drop removes the states that are not reached, and reports whether there were any.
func (g windowGoal) drop(supports [][]int32, reached []bool) bool {
	dropped := false
	for i := range supports[:g.states] {
		if !reached[i] && supports[i] != nil {
			supports[i], dropped = nil, true
		}
	}
	return dropped
}

// plan returns what a plan of so many steps keeps of every row, and every row's place in its slices.
func (g windowGoal) plan(supports [][]int32, saliency [][]float64, budget int) (kept [][]int32, rank []int) {
	view := g.viewOf(supports)
	plan := refine.PlanWindows(view.levels(saliency), g.layout, budget, nil)
	kept, rank = make([][]int32, len(supports)), make([]int, len(supports))
	next := 0
	for l, level := range view.rows {
		for _, r := range slices.Concat(plan.Slices[l]...) {
			rank[level[r]] = next
			next++
		}
		for r, i := range level {
			kept[i] = []int32{}
			for _, e := range plan.Keep[l][r] {
				kept[i] = append(kept[i], view.entries[i][e].feature)
			}
			slices.Sort(kept[i])
		}
	}
	return kept, rank
}

// toward returns supports on the way to shape's: they hold total features, or shape's where those are
// more: those that shape keeps, and of the others those worth most, the first of equals. Called again and
// again with smaller totals while the weights are trained, it removes little at a time and nothing
// that the final model would keep as things stand. (Shaping to ever smaller budgets instead keeps
// 1–4 % less of the saliency in the end, as early plans bind later ones.)
func (g windowGoal) toward(supports [][]int32, saliency [][]float64, total int) [][]int32 {
	kept := slices.Clone(g.shape(supports, saliency).supports)
	type other struct {
		row, at int
		worth   float64
	}
	var others []other
	for i, support := range supports {
		total -= len(kept[i])
		for at, j := range support {
			if _, found := slices.BinarySearch(kept[i], j); !found {
				others = append(others, other{i, at, saliency[i][at]})
			}
		}
	}
	slices.SortStableFunc(others, func(a, b other) int { return cmp.Compare(b.worth, a.worth) })
	for _, o := range others[:min(max(0, total), len(others))] {
		kept[o.row] = append(slices.Clip(kept[o.row]), supports[o.row][o.at])
	}
	for _, support := range kept {
		slices.Sort(support)
	}
	g.bury(kept)
	return kept
}

// bury removes states that reach no output and states that read nothing, until none is left.
func (g windowGoal) bury(supports [][]int32) {
	for again := true; again; {
		again = false
		reached := g.reached(supports, true)
		gone := func(j int32) bool { return int(j) < g.states && !reached[j] }
		for i, support := range supports {
			switch {
			case i < g.states && !reached[i]:
				supports[i] = nil
			case slices.ContainsFunc(support, gone):
				supports[i], again = slices.DeleteFunc(slices.Clone(support), gone), true
			}
		}
	}
}

// reached tells the states from which a path leads to an output, with reading through states that read
// something only.
func (g windowGoal) reached(supports [][]int32, reading bool) []bool {
	reached := make([]bool, len(supports))
	var next []int
	for i := g.states; i < len(supports); i++ {
		next = append(next, i)
	}
	for len(next) > 0 {
		i := next[len(next)-1]
		next = next[:len(next)-1]
		for _, j := range supports[i] {
			if int(j) < g.states && !reached[j] && !(reading && len(supports[j]) == 0) {
				reached[j] = true
				next = append(next, int(j))
			}
		}
	}
	return reached
}

// count packs the rows as a compiled model has them, each level in the order of rank.
func (g windowGoal) count(supports [][]int32, rank []int) windowChoice {
	view := g.viewOf(supports)
	choice := windowChoice{supports: supports}
	for _, level := range view.rows {
		slices.SortStableFunc(level, func(a, b int) int { return rank[a] - rank[b] })
		for _, i := range level {
			if i < g.states {
				choice.order = append(choice.order, i)
			}
		}
	}
	view = g.viewIn(supports, view.rows)
	m := sparse.New[int8](len(supports), view.columns)
	row, groups := 0, make([][]int, len(view.rows))
	for l, level := range view.rows {
		for _, i := range level {
			var cols []int32
			for _, e := range view.entries[i] {
				cols = append(cols, e.column)
			}
			m.AppendRow(row, cols, make([]int8, len(cols)))
			groups[l] = append(groups[l], row)
			row++
		}
	}
	packing, err := m.PackWindows(groups, g.layout)
	if err != nil {
		panic("unreachable: " + err.Error())
	}
	choice.steps = packing.Steps()
	return choice
}

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
func (g windowGoal) viewOf(supports [][]int32) *windowView {
	a := sparse.New[int8](g.states, g.states)
	for i, support := range supports[:g.states] {
		states, _ := slices.BinarySearch(support, int32(g.states))
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
	for i := g.states; i < len(supports); i++ {
		outputs = append(outputs, i)
	}
	return g.viewIn(supports, append(rows, outputs))
}

// viewIn gives every feature its column: the inputs that are read, then the states in the order of the
// levels.
func (g windowGoal) viewIn(supports [][]int32, rows [][]int) *windowView {
	v := &windowView{rows: rows, entries: make([][]windowEntry, len(supports))}
	read := slices.Compact(slices.Sorted(slices.Values(slices.Concat(supports...))))
	column := map[int32]int32{} // of a feature; states that are gone have none
	for _, j := range read {
		if int(j) >= g.states {
			column[j] = int32(len(column))
		}
	}
	for _, i := range slices.Concat(rows...) {
		if i < g.states {
			column[int32(i)] = int32(len(column))
		}
	}
	v.columns = len(column)
	for i, support := range supports {
		for at, j := range support {
			if c, found := column[j]; found {
				v.entries[i] = append(v.entries[i], windowEntry{c, j, at})
			}
		}
		slices.SortFunc(v.entries[i], func(a, b windowEntry) int { return int(a.column - b.column) })
	}
	return v
}

// levels are the rows as PlanWindows takes them.
func (v *windowView) levels(saliency [][]float64) [][]refine.WindowRow {
	levels := make([][]refine.WindowRow, len(v.rows))
	for l, level := range v.rows {
		for _, i := range level {
			row := refine.WindowRow{}
			for _, e := range v.entries[i] {
				row.Columns, row.Saliency = append(row.Columns, e.column), append(row.Saliency, saliency[i][e.at])
			}
			levels[l] = append(levels[l], row)
		}
	}
	return levels
}
