package refine

import "slices"

// unkept marks an entry that no step holds.
const unkept = int32(-1)

// windowRow is one row of a slice and what it keeps.
type windowRow struct {
	WindowRow
	kept  []bool       // per entry: whether a step holds it
	spare []spareEntry // those that no step holds, by column
}

// spareEntry is an entry that is not kept, with what the search asks of it.
type spareEntry struct {
	column, entry int32
	saliency      float64
}

func newWindowRow(row WindowRow) windowRow {
	w := windowRow{row, make([]bool, len(row.Columns)), make([]spareEntry, len(row.Columns))}
	for e, j := range row.Columns {
		w.spare[e] = spareEntry{j, int32(e), row.Saliency[e]}
	}
	return w
}

// keep marks an entry as kept.
func (w *windowRow) keep(e int32) {
	at := w.spareFrom(w.Columns[e])
	w.kept[e], w.spare = true, slices.Delete(w.spare, at, at+1)
}

// drop marks an entry as not kept.
func (w *windowRow) drop(e int32) {
	j := w.Columns[e]
	w.kept[e], w.spare = false, slices.Insert(w.spare, w.spareFrom(j), spareEntry{j, e, w.Saliency[e]})
}

// spareFrom returns the place of the first spare entry at or after column j.
func (w *windowRow) spareFrom(j int32) int {
	lo, hi := 0, len(w.spare)
	for lo < hi {
		if middle := (lo + hi) / 2; w.spare[middle].column < j {
			lo = middle + 1
		} else {
			hi = middle
		}
	}
	return lo
}

// windowStep is a window and, per row of its slice, the entries that it holds: at most lanes of a row.
type windowStep struct {
	start int32
	at    int       // its place among the slice's steps
	held  [][]int32 // per row of the slice
}

// windowCover is a slice of rows under a set of steps. Between calls every row keeps entries of the
// largest total saliency that the steps can hold. (The sets of entries of a row that fit are the
// independent sets of a transversal matroid, so one exchange for each entry that comes or goes keeps
// the optimum.) An entry fits every step whose window its column is in; since all windows have one
// width, those steps are neighbours in the order of starts.
type windowCover struct {
	lanes int
	width int32
	rows  []windowRow
	steps []*windowStep // ascending starts

	saliency float64 // of all that is kept

	from []arrival // scratch of place, per step
	pool []float64 // scratch of gain and loss
}

// arrival says how place came to a step: the entry it would move there, and the step that holds that
// entry; nil for the entry to be placed.
type arrival struct {
	entry int32
	step  *windowStep
}

func newWindowCover(rows []WindowRow, lanes, width int) *windowCover {
	c := &windowCover{lanes: lanes, width: int32(width), rows: make([]windowRow, len(rows))}
	for r, row := range rows {
		c.rows[r] = newWindowRow(row)
	}
	return c
}

// add opens a step at start and lets every row keep what it gains most by, and returns the step.
func (c *windowCover) add(start int32) *windowStep {
	s := &windowStep{start: start, held: make([][]int32, len(c.rows))}
	places := make([]int32, len(c.rows)*c.lanes)
	for r := range s.held {
		s.held[r] = places[r*c.lanes : r*c.lanes : (r+1)*c.lanes]
	}
	at := 0
	for at < len(c.steps) && c.steps[at].start <= start {
		at++
	}
	c.steps = slices.Insert(c.steps, at, s)
	c.number(at)
	for r := range c.rows {
		for range c.lanes {
			lo, hi := c.reach(r, start)
			e := c.heaviest(r, lo, hi)
			if e == unkept {
				break
			}
			c.place(r, e)
		}
	}
	return s
}

// remove closes a step; its entries go to other steps where they weigh more than what is there.
func (c *windowCover) remove(s *windowStep) {
	c.steps = slices.Delete(c.steps, s.at, s.at+1)
	c.number(s.at)
	for r, held := range s.held {
		row := &c.rows[r]
		slices.SortStableFunc(held, func(a, b int32) int { return descending(row.Saliency[a], row.Saliency[b]) })
		for _, e := range held {
			row.drop(e)
			c.saliency -= row.Saliency[e]
		}
		for _, e := range held {
			c.place(r, e)
		}
	}
}

func descending(a, b float64) int {
	switch {
	case a > b:
		return -1
	case a < b:
		return 1
	}
	return 0
}

func (c *windowCover) number(from int) {
	for k := from; k < len(c.steps); k++ {
		c.steps[k].at = k
	}
}

// fits reports whether column j lies in the step's window.
func (c *windowCover) fits(s *windowStep, j int32) bool { return s.start <= j && j-s.start < c.width }

// stepsOf returns the places [first, end) of the steps that column j fits.
func (c *windowCover) stepsOf(j int32) (first, end int) {
	for first < len(c.steps) && c.steps[first].start <= j-c.width {
		first++
	}
	end = first
	for end < len(c.steps) && c.steps[end].start <= j {
		end++
	}
	return first, end
}

// place lets row r keep entry e, which it does not keep, if there is room, or if room can be made by
// giving up an entry that weighs less: the lightest of those that could give way. When there was no
// room, it returns the places of the steps that e could have been in, others moving between them.
func (c *windowCover) place(r int, e int32) (first, end int, placed bool) {
	row := &c.rows[r]
	if cap(c.from) < len(c.steps) {
		c.from = make([]arrival, 2*len(c.steps))
	}
	from := c.from[:len(c.steps)]
	first, end = c.stepsOf(row.Columns[e])
	for k := first; k < end; k++ {
		from[k] = arrival{e, nil}
	}
	lightest, weight := arrival{}, row.Saliency[e]
	// The steps to look at are always neighbours, [first, end): an entry's steps are, and they include
	// the one that holds it.
	for left, right := first, first; left > first || right < end; {
		k := right
		if right < end {
			right++
		} else {
			left--
			k = left
		}
		s := c.steps[k]
		if len(s.held[r]) < c.lanes {
			c.shift(r, s, from)
			return first, end, true
		}
		for _, f := range s.held[r] {
			if row.Saliency[f] < weight {
				lightest, weight = arrival{f, s}, row.Saliency[f]
			}
			for j := row.Columns[f]; end < len(c.steps) && c.fits(c.steps[end], j); end++ {
				from[end] = arrival{f, s}
			}
			for j := row.Columns[f]; first > 0 && c.fits(c.steps[first-1], j); first-- {
				from[first-1] = arrival{f, s}
			}
		}
	}
	if lightest.step != nil {
		c.take(r, lightest.step, lightest.entry)
		row.drop(lightest.entry)
		c.saliency -= row.Saliency[lightest.entry]
		c.shift(r, lightest.step, from)
	}
	return first, end, false
}

// shift moves entries along the arrivals that led to s, which has room.
func (c *windowCover) shift(r int, s *windowStep, from []arrival) {
	for {
		a := from[s.at]
		if a.step != nil {
			c.take(r, a.step, a.entry)
		}
		s.held[r] = append(s.held[r], a.entry)
		if a.step == nil {
			c.rows[r].keep(a.entry)
			c.saliency += c.rows[r].Saliency[a.entry]
			return
		}
		s = a.step
	}
}

// take takes entry e of row r out of what s holds.
func (c *windowCover) take(r int, s *windowStep, e int32) {
	k := slices.Index(s.held[r], e)
	s.held[r] = slices.Delete(s.held[r], k, k+1)
}

// reach returns the columns [lo, hi) whose entries could be kept if row r had room in a window at
// start: those of the window, and those of every step that could move an entry into the range.
func (c *windowCover) reach(r int, start int32) (lo, hi int32) {
	lo, hi = start, start+c.width
	left := 0
	for left < len(c.steps) && c.steps[left].start < start {
		left++
	}
	right := left
	// A step that is passed over lies between lo and hi once one beyond it has been counted in, so it
	// adds nothing later.
	for grown := true; grown; {
		grown = false
		for k := right; k < len(c.steps) && c.steps[k].start < hi; k++ {
			if c.holds(r, c.steps[k], lo, hi) {
				hi, right, grown = c.steps[k].start+c.width, k+1, true
			}
		}
		for k := left - 1; k >= 0 && c.steps[k].start+c.width > lo; k-- {
			if c.holds(r, c.steps[k], lo, hi) {
				lo, left, grown = c.steps[k].start, k, true
			}
		}
	}
	return lo, hi
}

// holds reports whether step s holds an entry of row r with a column in [lo, hi).
func (c *windowCover) holds(r int, s *windowStep, lo, hi int32) bool {
	for _, e := range s.held[r] {
		if j := c.rows[r].Columns[e]; j >= lo && j < hi {
			return true
		}
	}
	return false
}

// heaviest returns the entry of row r with the largest saliency among those in columns [lo, hi) that
// are not kept, the leftmost of equals.
func (c *windowCover) heaviest(r int, lo, hi int32) int32 {
	best, weight := unkept, -1.0
	spare := c.rows[r].spare
	for k := c.rows[r].spareFrom(lo); k < len(spare) && spare[k].column < hi; k++ {
		if spare[k].saliency > weight {
			best, weight = spare[k].entry, spare[k].saliency
		}
	}
	return best
}

// gain estimates by how much a further step at start would raise the saliency, from above: it takes
// every row's heaviest entries within reach, each of which alone could be kept.
func (c *windowCover) gain(start int32) float64 {
	sum := 0.0
	for r := range c.rows {
		row := &c.rows[r]
		if len(row.spare) == 0 {
			continue
		}
		lo, hi := c.reach(r, start)
		top := c.pool[:0]
		for k := row.spareFrom(lo); k < len(row.spare) && row.spare[k].column < hi; k++ {
			top = pushTop(top, row.spare[k].saliency, c.lanes)
		}
		for _, v := range top {
			sum += v
		}
		c.pool = top[:0]
	}
	return sum
}

// pushTop keeps the largest limit values, descending.
func pushTop(top []float64, v float64, limit int) []float64 {
	k := len(top)
	if k == limit {
		if v <= top[k-1] {
			return top
		}
		k--
		top = top[:k]
	}
	top = append(top, v)
	for ; k > 0 && top[k-1] < v; k-- {
		top[k] = top[k-1]
	}
	top[k] = v
	return top
}

// loss estimates by how much the saliency would fall without step s, from below: of a row's entries
// that would have to move and all those that could give way to them, the lightest go, as many as there
// are too many.
func (c *windowCover) loss(s *windowStep) float64 {
	sum := 0.0
	for r, held := range s.held {
		if len(held) == 0 {
			continue
		}
		row := &c.rows[r]
		first, end := s.at, s.at+1 // steps that could take part, s among them
		grow := func(j int32) {
			for first > 0 && c.steps[first-1].start > j-c.width {
				first--
			}
			for end < len(c.steps) && c.steps[end].start <= j {
				end++
			}
		}
		least, room := c.pool[:0], 0 // the lightest, negated
		for _, e := range held {
			least = pushTop(least, -row.Saliency[e], len(held))
			grow(row.Columns[e])
		}
		for left, right := s.at, s.at+1; left > first || right < end; {
			var other *windowStep
			if right < end {
				other = c.steps[right]
				right++
			} else {
				left--
				other = c.steps[left]
			}
			room += c.lanes - len(other.held[r])
			for _, e := range other.held[r] {
				least = pushTop(least, -row.Saliency[e], len(held))
				grow(row.Columns[e])
			}
		}
		for _, v := range least[:max(0, len(held)-room)] {
			sum -= v
		}
		c.pool = least[:0]
	}
	return sum
}
