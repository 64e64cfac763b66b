package trainer

import (
	"github.com/sparse-implicit/sim/trainer/internal/rowsolve"
)

// row is one row of (A, B, b) or (C, D, d) of the rescaled model: coefficients of features (states,
// then inputs) and the constant term.
type row struct {
	support []int32 // ascending
	coef    []float64
	bias    float64
}

// draft is a model under construction: one row per state, then one per output. Drafts share rows; a row
// is never changed in place.
type draft struct {
	rows  []row
	order []int // states in the order in which the model numbers them, those left out after them; nil: as in the teacher
}

// draftOf takes the solutions as they are.
func (f *fitter) draftOf(solutions []*rowsolve.Solution) *draft {
	d := &draft{rows: make([]row, len(solutions))}
	for i, s := range solutions {
		d.rows[i] = row{s.Support, s.Coef, s.Intercept}
	}
	return d
}

// reached reports for every row whether it reaches an output; outputs do. With NoRefine nothing is
// removed, and all rows count as reached.
func (f *fitter) reached(d *draft) []bool {
	n := f.states()
	reached := make([]bool, len(d.rows))
	var next []int
	for i := range d.rows {
		if i >= n || f.options.NoRefine {
			reached[i] = true
			next = append(next, i)
		}
	}
	for len(next) > 0 {
		i := next[len(next)-1]
		next = next[:len(next)-1]
		for k, j := range d.rows[i].support {
			if int(j) < n && !reached[j] && float32(d.rows[i].coef[k]) != 0 {
				reached[j] = true
				next = append(next, int(j))
			}
		}
	}
	return reached
}

// count returns the nonzero numbers of the model that d becomes.
func (f *fitter) count(d *draft) int {
	total := 0
	for i, alive := range f.reached(d) {
		if !alive {
			continue
		}
		for _, w := range d.rows[i].coef {
			if float32(w) != 0 {
				total++
			}
		}
		if float32(d.rows[i].bias) != 0 {
			total++
		}
	}
	return total
}

// constants is the number of constant terms of a row.
func (f *fitter) constants() int {
	if f.options.NoBias {
		return 0
	}
	return 1
}
