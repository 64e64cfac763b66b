package refine

import (
	"slices"

	"github.com/sparse-implicit/sim/format/sparse"
)

// WindowRow is what one row reads: columns, strictly ascending, and what keeping each entry is worth,
// finite and at least 0. Columns are places in the vector from which a kernel gathers: inputs, then states.
type WindowRow struct {
	Columns  []int32
	Saliency []float64
}

// WindowPlan says which entries to keep so that they pack into few steps of a layout.
type WindowPlan struct {
	Keep     [][][]int32 // per level and row: positions among the row's columns, ascending
	Slices   [][][]int   // per level: rows of the level that share steps; rows without entries are in none
	Steps    int         // at most the budget
	Saliency float64     // of what is kept
}

// PlanWindows chooses entries of the rows of all levels (sets of rows that may share a slice) so that
// they pack into at most budget steps of the layout together, and what is kept is worth much. It chooses
// the slices, the windows of each slice's steps, and, given those, the entries exactly.
//
// Steps are exchanged as wholes: steps that cover everything are removed one after the other, the one
// that is missed least first (when most can stay), or added where they gain most (when few can), and
// then moved where they gain more than is lost. Rows are grouped by what they are worth and then moved
// to the slices whose windows serve them best, as in k-means. A local optimum; on small problems
// TestWindowPlanIsNearTheBest compares it with an exhaustive search.
//
// earlier may hold the Slices of an earlier plan for the same levels, whose rows may have lost entries
// since: then rows move between slices only where that is worth more. Otherwise it is nil. Packing the
// kept rows in the order of the plan's slices (sparse.PackWindows) never takes more steps than the plan.
// Deterministic. A budget below 1 keeps nothing. The layout must be valid.
func PlanWindows(levels [][]WindowRow, layout sparse.WindowLayout, budget int, earlier [][][]int) *WindowPlan {
	p := &windowPlanner{layout: layout, budget: budget}
	for level, rows := range levels {
		if earlier == nil {
			p.openSlices(level, groupByWorth(rows, layout.Rows), rows)
		} else {
			p.openSlices(level, earlier[level], rows)
		}
	}
	rounds := 1
	if earlier == nil {
		rounds = 2
	}
	for range rounds {
		p.cover()
		if !p.regroup() {
			break
		}
	}
	p.cover()
	p.relocate()
	p.repack()
	return p.plan(levels)
}

// groupByWorth cuts the rows with entries, those worth most first, into slices.
func groupByWorth(rows []WindowRow, size int) [][]int {
	worth := make([]float64, len(rows))
	var order []int
	for i, row := range rows {
		for _, v := range row.Saliency {
			worth[i] += v
		}
		if len(row.Columns) > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return descending(worth[a], worth[b]) })
	return slices.Collect(slices.Chunk(order, size))
}

// openSlices adds the slices of a level to the plan.
func (p *windowPlanner) openSlices(level int, members [][]int, rows []WindowRow) {
	for _, slice := range members {
		s := &plannedSlice{level: level}
		for _, i := range slice {
			if len(rows[i].Columns) > 0 {
				s.members = append(s.members, i)
				s.content = append(s.content, rows[i])
			}
		}
		if len(s.members) > 0 {
			p.slices = append(p.slices, s)
		}
	}
}

// plan reads the plan off the slices.
func (p *windowPlanner) plan(levels [][]WindowRow) *WindowPlan {
	plan := &WindowPlan{Keep: make([][][]int32, len(levels)), Slices: make([][][]int, len(levels))}
	for level, rows := range levels {
		plan.Keep[level] = make([][]int32, len(rows))
	}
	for _, s := range p.slices {
		plan.Steps += len(s.steps)
		plan.Slices[s.level] = append(plan.Slices[s.level], s.members)
		for r, i := range s.members {
			row := &s.rows[r]
			for e, kept := range row.kept {
				if kept {
					plan.Keep[s.level][i] = append(plan.Keep[s.level][i], int32(e))
					plan.Saliency += row.Saliency[e]
				}
			}
		}
	}
	return plan
}
