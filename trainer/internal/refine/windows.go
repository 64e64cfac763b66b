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
// then moved where they gain more than is lost. Rows are grouped by what they are worth, or where,
// and then moved to the slices whose windows serve them best, as in k-means. A local optimum; on small problems
// TestWindowPlanIsNearTheBest compares it with an exhaustive search.
//
// earlier may hold the Slices of an earlier plan for the same levels, whose rows may have lost entries
// since: then rows move between slices only where that is worth more. Otherwise it is nil. Packing the
// kept rows in the order of the plan's slices (sparse.PackWindows) never takes more steps than the plan.
// Deterministic. A budget below 1 keeps nothing. The layout must be valid.
func PlanWindows(levels [][]WindowRow, layout sparse.WindowLayout, budget int, earlier [][][]int) *WindowPlan {
	p := &windowPlanner{layout: layout, budget: budget}
	regroupings := 1
	if earlier != nil {
		for level, rows := range levels {
			p.openSlices(level, earlier[level], rows)
		}
		p.cover()
	} else {
		p.group(levels)
		regroupings = 2
	}
	for range regroupings {
		if !p.regroup() {
			break
		}
		p.cover()
	}
	p.relocate()
	return p.plan(levels)
}

// group opens and covers the slices of all levels, cut from the rows in one of two orders, the one with
// which more is kept: by what rows are worth, or by where they are worth it.
func (p *windowPlanner) group(levels [][]WindowRow) {
	best := -1.0
	for _, key := range []func(WindowRow) float64{worthOf, placeOf} {
		o := &windowPlanner{layout: p.layout, budget: p.budget}
		for level, rows := range levels {
			o.openSlices(level, cutBy(rows, key, p.layout.Rows), rows)
		}
		o.cover()
		if kept := o.saliency(); kept > best {
			best, p.slices = kept, o.slices
		}
	}
}

// worthOf is the saliency of all entries of a row.
func worthOf(row WindowRow) float64 {
	sum := 0.0
	for _, v := range row.Saliency {
		sum += v
	}
	return sum
}

// placeOf is the mean column of a row's saliency; 0 when it has none.
func placeOf(row WindowRow) float64 {
	moment, sum := 0.0, worthOf(row)
	for e, v := range row.Saliency {
		moment += float64(v * float64(row.Columns[e]))
	}
	if sum == 0 {
		return 0
	}
	return moment / sum
}

// cutBy cuts the rows with entries, by falling key, into slices.
func cutBy(rows []WindowRow, key func(WindowRow) float64, size int) [][]int {
	keys := make([]float64, len(rows))
	var order []int
	for i, row := range rows {
		if len(row.Columns) > 0 {
			keys[i] = key(row)
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return descending(keys[a], keys[b]) })
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
