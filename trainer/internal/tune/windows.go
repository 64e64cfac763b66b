package tune

import (
	"slices"

	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/trainer/internal/refine"
)

// Windows asks for weights that a kernel's steps hold: see sparse.WindowLayout and refine.WindowGoal. Rows
// of a level share steps, and outputs; windows lie over inputs, then states.
type Windows struct {
	Layout sparse.WindowLayout
	Steps  int // at most so many at the end
}

// plansEvery is how many removals follow one plan of windows.
const plansEvery = 4

// windowState is what removals by windows carry from one to the next.
type windowState struct {
	plans, removals int
	choice          refine.WindowChoice
}

// chooseWindows decides what would stay if the steps were counted now. That is done for the steps of the
// end from the first removal on, and removals spare what would stay: shrinking the steps little by little
// instead keeps less of the scores (refine.TestPlansForTheEndKeepMore), as what early windows leave out
// binds later ones.
func (t *tuner) chooseWindows(rows [][]entry, last bool) {
	w := &t.windows
	w.removals++
	if w.plans > 0 && !last && w.removals%plansEvery != 1 {
		return
	}
	w.plans++
	goal := refine.WindowGoal{Layout: t.options.Windows.Layout, States: t.net.States(), Steps: t.options.Windows.Steps}
	supports, scores := make([][]int32, len(rows)), make([][]float64, len(rows))
	for i, row := range rows {
		for _, e := range row {
			if e.feature != t.net.constant() {
				supports[i] = append(supports[i], e.feature)
				scores[i] = append(scores[i], float64(t.score(e)))
			}
		}
	}
	w.choice = goal.Shape(supports, scores, w.choice.Slices)
	if over := w.count(rows, t.net.constant()) - t.options.Budget; over > 0 {
		features := 0
		for _, kept := range w.choice.Supports {
			features += len(kept)
		}
		supports, scores = goal.Keep(w.choice, supports, scores, features-over)
		w.choice = goal.Shape(supports, scores, w.choice.Slices)
	}
}

// stays reports whether the last choice of windows, if there was one, has a feature of a row.
func (w *windowState) stays(row int, feature int32) bool {
	if w.plans == 0 {
		return false
	}
	_, found := slices.BinarySearch(w.choice.Supports[row], feature)
	return found
}

// count is how many numbers stay, with constants.
func (w *windowState) count(rows [][]entry, constant int32) int {
	n := 0
	for i, kept := range w.choice.Supports {
		n += len(kept)
		if kept != nil && slices.ContainsFunc(rows[i], func(e entry) bool { return e.feature == constant }) {
			n++
		}
	}
	return n
}
