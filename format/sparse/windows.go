package sparse

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// ErrWindows is wrapped by every error of PackWindows.
var ErrWindows = errors.New("cannot pack windows")

// WindowLayout is the shape of a kernel's step: for each of at most Rows rows at once, up to Lanes
// entries whose columns lie within Window consecutive ones, starting anywhere. Kernels are made for 16
// rows and windows of 128 (AVX-512), 8 rows and 32 (AVX2), 4 rows and 64 (NEON), all with 4 lanes.
type WindowLayout struct {
	Rows, Lanes, Window int // all at least 1; Lanes at most 255
}

// Validate checks the ranges of the numbers; errors wrap ErrWindows.
func (l WindowLayout) Validate() error {
	if l.Rows < 1 || l.Lanes < 1 || l.Lanes > 255 || l.Window < 1 {
		return fmt.Errorf("a layout of %d rows × %d lanes in windows of %d: all must be at least 1, lanes at most 255: %w", l.Rows, l.Lanes, l.Window, ErrWindows)
	}
	return nil
}

// String is the layout as in "16×4 in 128".
func (l WindowLayout) String() string { return fmt.Sprintf("%d×%d in %d", l.Rows, l.Lanes, l.Window) }

// WindowSlice is a set of rows that share their steps. A step takes of every row the next entries in
// the order of columns, so a start and a count per row say all: step t takes Counts[t·len(Rows)+r]
// entries of row Rows[r], after those that steps before it took.
type WindowSlice struct {
	Rows   []int   // rows of the matrix, at most the layout's
	Starts []int32 // per step: the first column of its window; ascending, not always strictly
	Counts []uint8 // steps × rows, each at most the layout's lanes
}

// WindowPacking is a matrix's entries dealt out to steps, each entry to exactly one.
type WindowPacking struct {
	Layout WindowLayout
	Slices []WindowSlice // those of a group one after the other; rows without entries are in none
}

// Steps returns the number of steps, which is what an inference costs.
func (p *WindowPacking) Steps() int {
	steps := 0
	for i := range p.Slices {
		steps += len(p.Slices[i].Starts)
	}
	return steps
}

// Fill returns the share of the steps' places that hold an entry, in [0, 1]; 0 without steps.
func (p *WindowPacking) Fill() float64 {
	entries, places := 0, 0
	for i := range p.Slices {
		for _, c := range p.Slices[i].Counts {
			entries += int(c)
		}
		places += len(p.Slices[i].Starts) * p.Layout.Rows * p.Layout.Lanes
	}
	if places == 0 {
		return 0
	}
	return float64(entries) / float64(places)
}

// WindowStarts returns where the fewest steps start that take all entries of a slice's rows, at most
// l.Rows of them; rows[r] are a row's columns, strictly ascending. Starts ascend.
//
// Steps are found from left to right: the leftmost entry left must lie in some window, no window that
// starts further left holds more of what is left, so one starts there; every row gives it its leftmost
// entries, since whatever later step could take one of them could take an entry further right of the
// window as well. Both exchanges keep the number of steps, so no packing of these rows has fewer.
// O(steps × rows + entries).
func WindowStarts(rows [][]int32, l WindowLayout) []int32 {
	var starts []int32
	packSteps(slices.Clone(rows), l, make([]uint8, len(rows)), func(start int32) { starts = append(starts, start) })
	return starts
}

// PackSlice packs the entries of rows of the matrix (stored zeros included), at most l.Rows of them,
// into the fewest steps, those of WindowStarts. A window never reaches over the last column unless the
// matrix is narrower than it: what is left lies at or after the start, so it may start earlier.
func (m *Matrix[V]) PackSlice(rows []int, l WindowLayout) WindowSlice {
	s := WindowSlice{Rows: rows}
	taken := make([]uint8, len(rows))
	packSteps(m.columnsOf(nil, rows), l, taken, func(start int32) {
		s.Starts = append(s.Starts, max(0, min(start, int32(m.Cols-l.Window))))
		s.Counts = append(s.Counts, taken...)
	})
	return s
}

// columnsOf appends the columns of each row to dst.
func (m *Matrix[V]) columnsOf(dst [][]int32, rows []int) [][]int32 {
	for _, i := range rows {
		cols, _ := m.Row(i)
		dst = append(dst, cols)
	}
	return dst
}

// packSteps returns the least number of steps of the rows, which it consumes, and tells each step's start
// when taken holds what it takes of every row; step may be nil.
func packSteps(rows [][]int32, l WindowLayout, taken []uint8, step func(start int32)) int {
	const none = int32(1<<31 - 1)
	next := none
	for _, left := range rows {
		if len(left) > 0 {
			next = min(next, left[0])
		}
	}
	steps := 0
	for ; next != none; steps++ {
		start, end := next, int64(next)+int64(l.Window)
		next = none
		for r, left := range rows {
			k := 0
			for k < len(left) && k < l.Lanes && int64(left[k]) < end {
				k++
			}
			if k < len(left) {
				next = min(next, left[k])
			}
			rows[r], taken[r] = left[k:], uint8(k)
		}
		if step != nil {
			step(start)
		}
	}
	return steps
}

// PackWindows deals the entries of m (stored zeros included) out to steps. Rows may share a slice only
// within a group: the rows of one level of a schedule, whose columns are activations in the order in
// which the kernel holds them. A row may be in one group only; a row in none is not packed.
//
// The steps of each slice are the fewest possible (see PackSlice). Which rows share a slice is chosen
// among cuts of several orders of the group's rows, as given, by length and by where their entries lie:
// the cut with the fewest steps, then with the fewest slices, then of the order named first. So a group given
// in an order that is known to be good never gets more steps than that order allows. Deterministic.
// BenchmarkPackWindows tells the time.
//
// Errors, all wrapping ErrWindows: a layout out of range, a row outside the matrix or given twice.
func (m *Matrix[V]) PackWindows(groups [][]int, l WindowLayout) (*WindowPacking, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	given := make([]bool, m.Rows)
	for g, group := range groups {
		for _, i := range group {
			if i < 0 || i >= m.Rows {
				return nil, fmt.Errorf("group %d holds row %d, the matrix has %d rows: %w", g, i, m.Rows, ErrWindows)
			}
			if given[i] {
				return nil, fmt.Errorf("group %d holds row %d, which was given before: %w", g, i, ErrWindows)
			}
			given[i] = true
		}
	}
	p := &slicePacker[V]{matrix: m, layout: l, taken: make([]uint8, l.Rows)}
	packing := &WindowPacking{Layout: l}
	for _, group := range groups {
		rows := slices.DeleteFunc(slices.Clone(group), func(i int) bool { return m.Indptr[i] == m.Indptr[i+1] })
		best := sliceCut{}
		for k, order := range p.orders(rows) {
			if cut := p.cut(order); k == 0 || cut.steps < best.steps || cut.steps == best.steps && len(cut.slices) < len(best.slices) {
				best = cut
			}
		}
		for _, rows := range best.slices {
			packing.Slices = append(packing.Slices, m.PackSlice(rows, l))
		}
	}
	return packing, nil
}

// slicePacker counts the steps of slices of one matrix.
type slicePacker[V Value] struct {
	matrix *Matrix[V]
	layout WindowLayout
	rows   [][]int32 // scratch
	taken  []uint8
}

// count returns the least number of steps of the rows.
func (p *slicePacker[V]) count(rows []int) int {
	p.rows = p.matrix.columnsOf(p.rows[:0], rows)
	return packSteps(p.rows, p.layout, p.taken, nil)
}

// orders returns the orders of rows among which PackWindows chooses.
func (p *slicePacker[V]) orders(rows []int) [][]int {
	byLength := slices.Clone(rows)
	slices.SortStableFunc(byLength, func(a, b int) int {
		return cmp.Compare(p.length(b), p.length(a))
	})
	return [][]int{rows, byLength}
}

func (p *slicePacker[V]) length(row int) int32 {
	return p.matrix.Indptr[row+1] - p.matrix.Indptr[row]
}

// sliceCut is an order of rows cut into slices.
type sliceCut struct {
	slices [][]int
	steps  int
}

// cut cuts an order of rows into slices so that the steps are fewest, then the slices, by dynamic
// programming over where slices end.
func (p *slicePacker[V]) cut(order []int) sliceCut {
	type prefix struct{ steps, slices, last int } // best for the rows before; last is where its last slice starts
	best := make([]prefix, len(order)+1)
	for end := 1; end <= len(order); end++ {
		alone := p.count(order[end-1 : end])
		for first := max(0, end-p.layout.Rows); first < end; first++ {
			// More rows never take fewer steps: from here on slices only add to what comes before them.
			if b := best[end]; b.slices > 0 && best[first].steps+alone > b.steps {
				break
			}
			steps := best[first].steps + p.count(order[first:end])
			count := best[first].slices + 1
			if b := &best[end]; b.slices == 0 || steps < b.steps || steps == b.steps && count < b.slices {
				*b = prefix{steps, count, first}
			}
		}
	}
	c := sliceCut{steps: best[len(order)].steps}
	for end := len(order); end > 0; end = best[end].last {
		c.slices = append(c.slices, order[best[end].last:end:end])
	}
	slices.Reverse(c.slices)
	return c
}
