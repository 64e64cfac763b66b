package tune

import (
	"math"

	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/trainer/internal/refine"
)

// Windows asks for weights that a kernel's steps hold: see sparse.WindowLayout. Rows of states of one rank
// share steps (all states without ranks), and outputs; windows lie over inputs, then states.
type Windows struct {
	Layout sparse.WindowLayout
	Steps  int // at most so many at the end
}

// windowState is what removals by windows carry from one to the next.
type windowState struct {
	levels [][]int // rows
	slices [][][]int
	first  int // steps before the first removal
}

// keepWindows drops what does not fit into as many steps as there may be now; their number falls to the
// wanted one as the number of weights does.
func (t *tuner) keepWindows(s *survivors) {
	w := &t.windows
	if w.levels == nil {
		w.levels = t.rowLevels()
	}
	levels, places := t.windowRows(s.rows)
	if w.first == 0 {
		plan := refine.PlanWindows(levels, t.options.Windows.Layout, math.MaxInt32, nil)
		w.first = plan.Steps
	}
	steps := t.options.Windows.Steps
	if left := 1 - float64(t.step)/(t.options.PruneUntil*float64(t.steps)); left > 0 && w.first > steps {
		steps += int(float64(w.first-steps) * left * left * left)
	}
	plan := refine.PlanWindows(levels, t.options.Windows.Layout, steps, w.slices)
	w.slices = plan.Slices
	for level, rows := range w.levels {
		for r, i := range rows {
			kept := make([]bool, len(places[level][r]))
			for _, e := range plan.Keep[level][r] {
				kept[e] = true
			}
			for e, k := range places[level][r] {
				if !kept[e] {
					s.drop(i, k)
				}
			}
		}
	}
}

// rowLevels returns the rows that may share steps.
func (t *tuner) rowLevels() [][]int {
	n := t.net.States()
	var levels [][]int
	for i := range n {
		level := 0
		if t.net.Ranks != nil {
			level = t.net.Ranks[i]
		}
		for len(levels) <= level {
			levels = append(levels, nil)
		}
		levels[level] = append(levels[level], i)
	}
	var outputs []int
	for k := range t.net.Outputs {
		outputs = append(outputs, n+k)
	}
	return append(levels, outputs)
}

// windowRows returns what PlanWindows takes, and for each of its entries the place in the row.
func (t *tuner) windowRows(rows [][]entry) (levels [][]refine.WindowRow, places [][][]int) {
	n, p := t.net.States(), t.net.Inputs
	for _, level := range t.windows.levels {
		list, at := make([]refine.WindowRow, len(level)), make([][]int, len(level))
		for r, i := range level {
			// Inputs come before states in a device's vector.
			for _, inputs := range []bool{true, false} {
				for k, e := range rows[i] {
					if j := int(e.feature); j < n+p && (j >= n) == inputs {
						column := e.feature - int32(n)
						if !inputs {
							column = int32(p) + e.feature
						}
						list[r].Columns = append(list[r].Columns, column)
						list[r].Saliency = append(list[r].Saliency, float64(t.score(e)))
						at[r] = append(at[r], k)
					}
				}
			}
		}
		levels, places = append(levels, list), append(places, at)
	}
	return levels, places
}
