package refine

import "slices"

// regroup moves rows between the slices of a level to where the steps, as they are, let them keep more,
// and reports whether it moved any.
func (p *windowPlanner) regroup() bool {
	moved := false
	for first := 0; first < len(p.slices); {
		end := first + 1
		for end < len(p.slices) && p.slices[end].level == p.slices[first].level {
			end++
		}
		if end-first > 1 && newRegrouping(p.slices[first:end], p.layout.Rows).run() {
			moved = true
		}
		first = end
	}
	p.slices = slices.DeleteFunc(p.slices, func(s *plannedSlice) bool { return len(s.members) == 0 })
	return moved
}

// regrouping assigns the rows of a level to its slices.
type regrouping struct {
	slices []*plannedSlice
	size   int         // rows that a slice has room for
	row    []WindowRow // all rows of the slices, and
	member []int       // their numbers in the level
	at     []int       // per row: its slice
	taken  []int       // per slice: its rows
	worth  [][]float64 // per row and slice: what the row could keep there
}

func newRegrouping(level []*plannedSlice, size int) *regrouping {
	g := &regrouping{slices: level, size: size, taken: make([]int, len(level))}
	for k, s := range level {
		g.taken[k] = len(s.members)
		for r, member := range s.members {
			g.row, g.member, g.at = append(g.row, s.content[r]), append(g.member, member), append(g.at, k)
		}
	}
	g.worth = make([][]float64, len(g.row))
	for i, row := range g.row {
		order := make([]int32, len(row.Columns))
		for e := range order {
			order[e] = int32(e)
		}
		slices.SortStableFunc(order, func(a, b int32) int { return descending(row.Saliency[a], row.Saliency[b]) })
		g.worth[i] = make([]float64, len(level))
		for k, s := range level {
			g.worth[i][k] = s.wouldKeep(row, order)
		}
	}
	return g
}

// wouldKeep returns the saliency that a row could keep under the slice's steps; order is its entries by
// falling saliency.
func (s *plannedSlice) wouldKeep(row WindowRow, order []int32) float64 {
	alone := newWindowCover([]WindowRow{row}, s.lanes, int(s.width))
	for k, step := range s.steps {
		alone.steps = append(alone.steps, &windowStep{start: step.start, at: k, held: make([][]int32, 1)})
	}
	full := make([]bool, len(s.steps)) // and no entry of a full step could move to one with room
	for _, e := range order {
		first, end := alone.stepsOf(row.Columns[e])
		if slices.Contains(full[first:end], false) {
			if first, end, placed := alone.place(0, e); !placed {
				for k := first; k < end; k++ {
					full[k] = true
				}
			}
		}
	}
	return alone.saliency
}

// run moves and exchanges rows while that gains, and reports whether it did.
func (g *regrouping) run() bool {
	moved := false
	for again := true; again; {
		again = false
		for i := range g.row {
			again = g.move(i) || again
			for j := range i {
				again = g.exchange(i, j) || again
			}
		}
		moved = moved || again
	}
	if !moved {
		return false
	}
	for _, s := range g.slices {
		s.members, s.content = nil, nil
	}
	for i, k := range g.at {
		s := g.slices[k]
		s.members, s.content = append(s.members, g.member[i]), append(s.content, g.row[i])
	}
	return true
}

// move takes row i to the slice with room that serves it best, if that is better than its own.
func (g *regrouping) move(i int) bool {
	best := g.at[i]
	for k := range g.slices {
		if g.taken[k] < g.size && g.worth[i][k] > g.worth[i][best]*(1+improvement) {
			best = k
		}
	}
	if best == g.at[i] {
		return false
	}
	g.taken[g.at[i]]--
	g.taken[best]++
	g.at[i] = best
	return true
}

// exchange lets rows i and j change places if that is better for the two together.
func (g *regrouping) exchange(i, j int) bool {
	a, b := g.at[i], g.at[j]
	if a == b || g.worth[i][b]+g.worth[j][a] <= (g.worth[i][a]+g.worth[j][b])*(1+improvement) {
		return false
	}
	g.at[i], g.at[j] = b, a
	return true
}
