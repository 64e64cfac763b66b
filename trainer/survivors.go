package trainer

import "math"

// freeSlack: removals in a model of free structure lead at most one in so many numbers below the budget.
const freeSlack = 50

// keep carries out the cheapest removals until at most budget numbers are left, and returns the
// supports; nil for states that are gone. A state goes, with all it reads and every reading of it, once it
// reaches no output or no input reaches it (it is constant): without readers, or in a cycle that is on
// its own. In a free structure a removal that would lead far below the budget is passed over while
// others are left, so that the end of a large cycle does not waste what the budget allows; the states of
// a causal one die with few numbers.
func (p *removals) keep(f *fitter, budget int) [][]int32 {
	s, slack := newSurvivors(f, p), budget
	if f.options.Structure == Free {
		slack = budget / freeSlack
	}
	var passed []removalOf
	for s.total > budget {
		next, ok := s.cheapest()
		if !ok {
			break
		}
		s.remove(next)
		if s.total < budget-slack {
			s.undo()
			passed = append(passed, next)
		}
		s.journal = s.journal[:0]
	}
	for _, next := range passed {
		if s.total > budget && s.has(next) {
			s.remove(next)
		}
	}
	return s.supports()
}

// removalOf is one feature of one row.
type removalOf struct {
	row     int
	feature int32
}

// survivors is the state of removals.keep: which numbers are left. All states that are alive are reached
// by an input and reach an output.
type survivors struct {
	states int
	plan   *removals
	alive  []bool
	next   []int            // per row: how many of its planned removals are behind
	kept   []map[int32]bool // per row: the features still read
	readBy []map[int]bool   // per state: the rows that read it
	total  int

	constants int // constant terms per row: 1, or 0 without biases

	journal []removalOf // what remove did, in order; feature −1: the row's state was buried
}

func newSurvivors(f *fitter, p *removals) *survivors {
	n := f.states()
	s := &survivors{
		states: n, constants: f.constants(), plan: p, alive: f.reached(p.wide), next: make([]int, len(p.order)),
		kept: make([]map[int32]bool, len(p.order)), readBy: make([]map[int]bool, n),
	}
	for j := range s.readBy {
		s.readBy[j] = map[int]bool{}
	}
	for i, r := range p.wide.rows {
		if !s.alive[i] {
			continue
		}
		s.kept[i] = map[int32]bool{}
		for _, j := range f.moments.Varying(r.support) {
			s.kept[i][j] = true
			if int(j) < n {
				s.readBy[j][i] = true
			}
		}
		s.total += len(s.kept[i]) + s.constants
	}
	for i := range n {
		s.buryUnread(i)
		s.buryUnfed(i)
	}
	s.journal = s.journal[:0]
	return s
}

// supports returns what is left.
func (s *survivors) supports() [][]int32 {
	supports := make([][]int32, len(s.kept))
	for i, kept := range s.kept {
		if s.alive[i] {
			supports[i] = make([]int32, 0, len(kept))
			for _, j := range s.plan.wide.rows[i].support {
				if kept[j] {
					supports[i] = append(supports[i], j)
				}
			}
		}
	}
	return supports
}

// cheapest returns the cheapest next removal of all rows and puts it behind; false when there is none.
func (s *survivors) cheapest() (best removalOf, ok bool) {
	cost := math.Inf(1)
	for i, order := range s.plan.order {
		for s.alive[i] && s.next[i] < len(order) && !s.kept[i][order[s.next[i]].Feature] {
			s.next[i]++ // the feature went with its state
		}
		if s.alive[i] && s.next[i] < len(order) && order[s.next[i]].Cost < cost {
			best, ok, cost = removalOf{i, order[s.next[i]].Feature}, true, order[s.next[i]].Cost
		}
	}
	if ok {
		s.next[best.row]++
	}
	return best, ok
}

func (s *survivors) has(r removalOf) bool { return s.alive[r.row] && s.kept[r.row][r.feature] }

// remove takes a feature out of a row and buries the states that this leaves without use.
func (s *survivors) remove(r removalOf) {
	s.drop(r)
	if int(r.feature) < s.states {
		s.buryUnread(int(r.feature))
	}
	if r.row < s.states {
		s.buryUnfed(r.row)
	}
}

func (s *survivors) drop(r removalOf) {
	delete(s.kept[r.row], r.feature)
	if int(r.feature) < s.states {
		delete(s.readBy[r.feature], r.row)
	}
	s.total--
	s.journal = append(s.journal, r)
}

// buryUnread buries state i when it reaches no output, and with it all states that reach none but
// through it.
func (s *survivors) buryUnread(i int) {
	if s.alive[i] {
		s.bury(s.closure(i, s.readers, func(r int) bool { return r >= s.states }))
	}
}

// buryUnfed buries state i when no input reaches it, and with it all states that it and they read.
func (s *survivors) buryUnfed(i int) {
	if s.alive[i] {
		s.bury(s.closure(i, s.read, s.readsInput))
	}
}

// closure follows edges from state i. It returns nil when a row that satisfies is found, else all states
// that were passed, in order of their finding.
func (s *survivors) closure(i int, edges func(i int) []int, satisfies func(r int) bool) []int {
	if satisfies(i) {
		return nil
	}
	seen, passed := map[int]bool{i: true}, []int{i}
	for k := 0; k < len(passed); k++ {
		for _, r := range edges(passed[k]) {
			if satisfies(r) {
				return nil
			}
			if !seen[r] {
				seen[r] = true
				passed = append(passed, r)
			}
		}
	}
	return passed
}

// readers returns the rows that read state i.
func (s *survivors) readers(i int) []int {
	list := make([]int, 0, len(s.readBy[i]))
	for r := range s.readBy[i] {
		list = append(list, r)
	}
	return list
}

// read returns the states that row i reads.
func (s *survivors) read(i int) []int {
	var list []int
	for j := range s.kept[i] {
		if int(j) < s.states {
			list = append(list, int(j))
		}
	}
	return list
}

func (s *survivors) readsInput(i int) bool {
	for j := range s.kept[i] {
		if int(j) >= s.states {
			return true
		}
	}
	return false
}

// bury removes states, what they read and every reading of them, and then what is left without use.
func (s *survivors) bury(dead []int) {
	var near []int // states that read them or were read
	for _, i := range dead {
		s.alive[i] = false
		s.total -= s.constants
		s.journal = append(s.journal, removalOf{i, -1})
	}
	for _, i := range dead {
		for _, j := range s.plan.wide.rows[i].support {
			if s.kept[i][j] {
				s.drop(removalOf{i, j})
				if int(j) < s.states {
					near = append(near, int(j))
				}
			}
		}
		for _, r := range s.readers(i) {
			s.drop(removalOf{r, int32(i)})
			if r < s.states {
				near = append(near, r)
			}
		}
	}
	for _, i := range near {
		s.buryUnread(i)
		s.buryUnfed(i)
	}
}

// undo takes back what the journal tells.
func (s *survivors) undo() {
	for k := len(s.journal) - 1; k >= 0; k-- {
		r := s.journal[k]
		if r.feature < 0 {
			s.alive[r.row] = true
			s.total += s.constants
			continue
		}
		s.kept[r.row][r.feature] = true
		if int(r.feature) < s.states {
			s.readBy[r.feature][r.row] = true
		}
		s.total++
	}
	s.journal = s.journal[:0]
}
