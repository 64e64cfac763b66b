package tune

import (
	"cmp"
	"math"
	"slices"
)

// restructure removes weights when it is time.
func (t *tuner) restructure() {
	if t.options.Budget == 0 || t.step == 0 {
		return
	}
	last := t.lastRemoval()
	if every := max(1, last/removals); t.step < last && t.step%every == 0 || t.step == last {
		t.reduce(t.step == last)
	}
}

// lastRemoval is the step before which the budget is met; there may be fewer steps than that.
func (t *tuner) lastRemoval() int { return max(1, int(t.options.PruneUntil*float64(t.steps))) }

// reduce removes as many weights as are too many now.
func (t *tuner) reduce(last bool) {
	rows := t.entries()
	if t.options.Windows != nil {
		t.chooseWindows(rows, last)
	}
	t.remove(rows, t.wanted(rows))
	t.lay(rows)
}

// wanted is how many weights there may be now: it falls from the start to the budget, or to what windows hold
// of it, along a cubic (Zhu, Gupta, arXiv 1710.01878).
func (t *tuner) wanted(rows [][]entry) int {
	budget := t.options.Budget
	if t.options.Windows != nil {
		budget = min(budget, t.windows.count(rows, t.net.constant()))
	}
	left := 1 - float64(t.step)/float64(t.lastRemoval())
	if left <= 0 || t.started <= budget {
		return budget
	}
	return budget + int(float64(t.started-budget)*left*left*left)
}

// remove takes out the weights with the smallest scores until so many numbers are left, and states that
// nothing reads or that read nothing. With windows, weights that would stay go after all others.
func (t *tuner) remove(rows [][]entry, wanted int) {
	s := newSurvivors(t.net, rows)
	type candidate struct {
		row, k int
		stays  bool
		score  float32
	}
	var list []candidate
	constant := t.net.constant()
	for i, row := range rows {
		for k, e := range row {
			if e.feature != constant {
				list = append(list, candidate{i, k, t.windows.stays(i, e.feature), t.score(e)})
			}
		}
	}
	slices.SortFunc(list, func(a, b candidate) int {
		if a.stays != b.stays {
			if a.stays {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.row, b.row), cmp.Compare(a.k, b.k))
	})
	for _, c := range list {
		if s.count <= wanted {
			break
		}
		s.drop(c.row, c.k)
	}
	s.apply(rows)
}

// score is what keeping a weight is worth: |w|·√(mean g²), the root of Adam's second moment, which is the
// loss's first-order change to within the gradient's sign; or |w| alone.
func (t *tuner) score(e entry) float32 {
	size := max(e.weight, -e.weight)
	if t.options.Magnitude {
		return size
	}
	return size * t.params.unbias2[max(e.age-1, 0)] * float32(math.Sqrt(float64(e.second)))
}

// Prune returns the net with the weights of the smallest scores taken out until budget numbers are left,
// and with them states that nothing reads or that read nothing. The net stays as it was.
func Prune(n *Net, budget int, score func(row int, feature int32, weight float32) float64) *Net {
	rows := make([][]entry, len(n.Rows))
	type candidate struct {
		row, k int
		score  float64
	}
	var list []candidate
	for i, r := range n.Rows {
		for k, j := range r.Support {
			rows[i] = append(rows[i], entry{feature: j, weight: r.Weights[k]})
			if j != n.constant() {
				list = append(list, candidate{i, k, score(i, j, r.Weights[k])})
			}
		}
	}
	slices.SortFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.row, b.row), cmp.Compare(a.k, b.k))
	})
	s := newSurvivors(n, rows)
	for _, c := range list {
		if s.count <= budget {
			break
		}
		s.drop(c.row, c.k)
	}
	s.apply(rows)
	out := n.clone()
	for i, row := range rows {
		out.Rows[i] = Row{}
		for _, e := range row {
			out.Rows[i].Support = append(out.Rows[i].Support, e.feature)
			out.Rows[i].Weights = append(out.Rows[i].Weights, e.weight)
		}
	}
	return out
}

// survivors keeps track of what is left while weights are removed.
type survivors struct {
	net     *Net
	rows    [][]entry
	gone    [][]bool
	left    []int // per row: weights left, the constant not counted
	readers []int // per state: how many rows read it
	dead    []bool
	count   int
}

func newSurvivors(n *Net, rows [][]entry) *survivors {
	s := &survivors{net: n, rows: rows, left: make([]int, len(rows)), readers: make([]int, n.States()), dead: make([]bool, n.States())}
	for i, row := range rows {
		s.gone = append(s.gone, make([]bool, len(row)))
		s.count += len(row)
		for _, e := range row {
			if e.feature != n.constant() {
				s.left[i]++
			}
			if int(e.feature) < n.States() && int(e.feature) != i {
				s.readers[e.feature]++
			}
		}
	}
	for i := range n.States() {
		if s.readers[i] == 0 || s.left[i] == 0 {
			s.bury(i)
		}
	}
	return s
}

// drop removes weight k of a row, and states that go with it.
func (s *survivors) drop(i, k int) {
	if s.gone[i][k] {
		return
	}
	s.gone[i][k] = true
	s.count--
	j := int(s.rows[i][k].feature)
	if j == int(s.net.constant()) {
		return
	}
	s.left[i]--
	if j < s.net.States() && j != i {
		if s.readers[j]--; s.readers[j] == 0 {
			s.bury(j)
		}
	}
	if i < s.net.States() && s.left[i] == 0 {
		s.bury(i)
	}
}

// bury removes a state that nothing reads, or that is constant, with its row and every reading of it. What a
// constant state was worth goes into its readers' constants.
func (s *survivors) bury(i int) {
	if s.dead[i] {
		return
	}
	s.dead[i] = true
	worth := 0.0
	if k := s.constantOf(i); s.left[i] == 0 && k >= 0 {
		worth = s.net.Activations[i].Apply(float64(s.rows[i][k].weight))
	}
	for k := range s.rows[i] {
		s.drop(i, k)
	}
	for r, row := range s.rows {
		for k, e := range row {
			if int(e.feature) != i || s.gone[r][k] {
				continue
			}
			if c := s.constantOf(r); c >= 0 {
				row[c].weight += float32(float64(e.weight) * worth)
			}
			s.drop(r, k)
		}
	}
}

// constantOf returns the place of row i's constant, −1 without one.
func (s *survivors) constantOf(i int) int {
	for k, e := range s.rows[i] {
		if e.feature == s.net.constant() && !s.gone[i][k] {
			return k
		}
	}
	return -1
}

func (s *survivors) apply(rows [][]entry) {
	for i, row := range rows {
		kept := row[:0]
		for k, e := range row {
			if !s.gone[i][k] {
				kept = append(kept, e)
			}
		}
		rows[i] = kept
	}
}
