package refine

import (
	"slices"

	"github.com/sparse-implicit/sim/format/sparse"
)

// WindowGoal asks for a model that packs into few steps of a kernel's layout. The model is known by its
// supports: what every row reads, rows of states first, then those of outputs; features below States are
// states, the others inputs.
type WindowGoal struct {
	Layout sparse.WindowLayout
	States int
	Steps  int // at most so many for the whole model
}

// WindowChoice is what a goal leaves of a model.
type WindowChoice struct {
	Supports [][]int32 // per row, ascending; nil for states that are gone
	Order    []int     // the states left, as a model must number them to pack into Steps
	Slices   [][]int   // rows that share steps
	Steps    int
}

// planAttempts is how often Shape plans again to use what dead states leave.
const planAttempts = 4

// Shape chooses which features the rows keep. supports are ascending, nil for a state that is gone;
// saliency is what each feature of a row is worth, finite and at least 0. Rows may have lost features since
// an earlier choice; its Slices are then a good start and save time, nil otherwise.
//
// A state that no longer reaches an output, or reads nothing, goes with all it reads, and its steps are
// offered to the others. Steps are counted on what is left, laid out as a compiled model is: levels
// of sparse.Levels, activations that are read, inputs first. A smaller budget is planned for while they are
// too many. Deterministic.
func (g WindowGoal) Shape(supports [][]int32, saliency [][]float64, earlier [][]int) WindowChoice {
	supports = slices.Clone(supports)
	g.forget(supports, slices.Clone(supports))
	for budget, attempt := g.Steps, 1; ; attempt++ {
		choice := g.plan(supports, saliency, budget, earlier)
		forgotten := g.forget(supports, slices.Clone(choice.Supports))
		g.bury(choice.Supports)
		g.count(&choice)
		switch earlier = choice.Slices; {
		case choice.Steps > g.Steps && budget > 0:
			budget -= choice.Steps - g.Steps
		case !forgotten || attempt >= planAttempts:
			return choice
		}
	}
}

// Keep returns total of the supports' features, with their saliency: those worth most of what the choice
// keeps, and when that has fewer, of the others. States that then reach no output, or read nothing, go
// with all they read. Called again and again with smaller totals while weights are refitted or trained, it
// leads to the choice without removing early what the choice keeps.
func (g WindowGoal) Keep(c WindowChoice, supports [][]int32, saliency [][]float64, total int) ([][]int32, [][]float64) {
	type candidate struct {
		row, at int
		chosen  bool
		worth   float64
	}
	var all []candidate
	for i, support := range supports {
		for at, j := range support {
			_, chosen := slices.BinarySearch(c.Supports[i], j)
			all = append(all, candidate{i, at, chosen, saliency[i][at]})
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		if a.chosen != b.chosen {
			if a.chosen {
				return -1
			}
			return 1
		}
		return descending(a.worth, b.worth)
	})
	kept := make([][]int32, len(supports))
	for _, e := range all[:min(max(0, total), len(all))] {
		kept[e.row] = append(kept[e.row], supports[e.row][e.at])
	}
	for _, support := range kept {
		slices.Sort(support)
	}
	g.bury(kept)
	worth := make([][]float64, len(supports))
	for i, support := range supports {
		for at, j := range support {
			if _, stays := slices.BinarySearch(kept[i], j); stays {
				worth[i] = append(worth[i], saliency[i][at])
			}
		}
	}
	return kept, worth
}

// plan returns what a plan of so many steps keeps, and its slices.
func (g WindowGoal) plan(supports [][]int32, saliency [][]float64, budget int, earlier [][]int) WindowChoice {
	view := g.viewOf(supports)
	plan := PlanWindows(view.levels(saliency), g.Layout, budget, view.within(earlier, g.Layout.Rows))
	choice := WindowChoice{Supports: make([][]int32, len(supports))}
	for l, level := range view.rows {
		for _, slice := range plan.Slices[l] {
			rows := make([]int, len(slice))
			for k, r := range slice {
				rows[k] = level[r]
			}
			choice.Slices = append(choice.Slices, rows)
		}
		for r, i := range level {
			kept := []int32{}
			for _, e := range plan.Keep[l][r] {
				kept = append(kept, view.entries[i][e].feature)
			}
			slices.Sort(kept)
			choice.Supports[i] = kept
		}
	}
	return choice
}

// count fills in Order and Steps: each level's states are packed in the order of the slices. The outputs'
// order is the model's own.
func (g WindowGoal) count(c *WindowChoice) {
	rank := make([]int, len(c.Supports))
	for k, i := range slices.Concat(c.Slices...) {
		rank[i] = k
	}
	rows := g.viewOf(c.Supports).rows
	for _, level := range rows[:len(rows)-1] {
		slices.SortStableFunc(level, func(a, b int) int { return rank[a] - rank[b] })
		c.Order = append(c.Order, level...)
	}
	view := g.viewIn(c.Supports, rows)
	m := sparse.New[int8](len(c.Supports), view.columns)
	row, groups := 0, make([][]int, len(rows))
	for l, level := range rows {
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
	packing, err := m.PackWindows(groups, g.Layout)
	if err != nil {
		panic("unreachable: " + err.Error()) // the groups were made here, of a valid layout
	}
	c.Steps = packing.Steps()
}

// forget removes from supports the states that kept wastes steps on, and reports whether there were any:
// those that reach no output, or when all do, those that bury removes from kept, which read nothing.
func (g WindowGoal) forget(supports, kept [][]int32) bool {
	if g.drop(supports, g.reached(kept, false)) {
		return true
	}
	g.bury(kept)
	return g.drop(supports, g.reached(kept, true))
}

// drop removes the states that are not reached, and reports whether there were any.
func (g WindowGoal) drop(supports [][]int32, reached []bool) bool {
	dropped := false
	for i := range supports[:g.States] {
		if !reached[i] && supports[i] != nil {
			supports[i], dropped = nil, true
		}
	}
	return dropped
}

// bury removes states that reach no output and states that read nothing, until none is left.
func (g WindowGoal) bury(supports [][]int32) {
	for again := true; again; {
		again = false
		reached := g.reached(supports, true)
		gone := func(j int32) bool { return int(j) < g.States && !reached[j] }
		for i, support := range supports {
			switch {
			case i < g.States && !reached[i]:
				supports[i] = nil
			case slices.ContainsFunc(support, gone):
				supports[i], again = slices.DeleteFunc(slices.Clone(support), gone), true
			}
		}
	}
}

// reached tells the states from which a path leads to an output, with reading through states that read
// something only.
func (g WindowGoal) reached(supports [][]int32, reading bool) []bool {
	reached := make([]bool, len(supports))
	var next []int
	for i := g.States; i < len(supports); i++ {
		next = append(next, i)
	}
	for len(next) > 0 {
		i := next[len(next)-1]
		next = next[:len(next)-1]
		for _, j := range supports[i] {
			if int(j) < g.States && !reached[j] && !(reading && len(supports[j]) == 0) {
				reached[j] = true
				next = append(next, int(j))
			}
		}
	}
	return reached
}
