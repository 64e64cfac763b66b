// Package tune trains the weights of a sparse implicit model,
//
//	x = φ(A x + B u + b)        y = C x + D u + d,
//
// by the gradient of a loss through its equilibrium: in reverse order of computation where A has no
// cycle, by implicit differentiation (the fixed point of the adjoint equation, arXiv 1908.06315) where it
// has. While it trains it removes weights gradually until a budget is met.
//
// It promises that the same net, samples and options give the same bits on any number of cores, that the
// budget is met, and that rows of A in cycles stay in their ball ‖a‖₁ ≤ κ. It must not know what a teacher,
// a file or a test set is.
package tune

import (
	"slices"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
)

// Net is a sparse implicit model. Features are numbered states first (0 … n−1), then inputs (n … n+p−1),
// then the constant 1 (n+p); rows are the states' and then the outputs'.
type Net struct {
	Inputs, Outputs int
	Activations     []model.Activation // one per state
	Rows            []Row              // n + q

	// Ranks orders the states: a state may read states of smaller rank alone. nil: any state.
	Ranks []int
}

// Row holds the weights of one row by feature, ascending. A state whose row is empty is not there.
type Row struct {
	Support []int32
	Weights []float32
}

// States returns n.
func (n *Net) States() int { return len(n.Activations) }

func (n *Net) features() int { return n.States() + n.Inputs + 1 }

// constant is the number of the feature that is always 1.
func (n *Net) constant() int32 { return int32(n.States() + n.Inputs) }

// Count returns the stored weights of all rows, constants included.
func (n *Net) Count() int {
	count := 0
	for _, r := range n.Rows {
		count += len(r.Support)
	}
	return count
}

// clone returns a copy that shares nothing that changes.
func (n *Net) clone() *Net {
	c := *n
	c.Rows = make([]Row, len(n.Rows))
	for i, r := range n.Rows {
		c.Rows[i] = Row{slices.Clone(r.Support), slices.Clone(r.Weights)}
	}
	return &c
}

// plan is a net laid out for computing: rows in the order of computation, the entries of each row in one
// stretch of cols: first those that read the row's own loop, then other states, then inputs and the
// constant.
type plan struct {
	states, features int
	groups           []group
	rows             []stretch // per row
	cols             []int32
	inputs           []int32 // the inputs that some row reads, as features
}

// group is states that are computed together: one, or a loop that is iterated.
type group struct {
	states []int
	loop   bool
}

// stretch says where a row's entries lie: own loop [first, inner), other states [inner, outer), inputs and
// the constant [outer, end). own is the place of the state itself, −1 when it does not read itself.
type stretch struct{ first, inner, outer, end, own int }

// newPlan lays a net out. order[k] is where the k-th entry of the net's rows, counted row by row, lies.
func newPlan(n *Net) (p *plan, order []int) {
	p = &plan{states: n.States(), features: n.features(), rows: make([]stretch, len(n.Rows))}
	loopOf := p.schedule(n)
	order = make([]int, 0, n.Count())
	read := make([]bool, p.features)
	for i, row := range n.Rows {
		s := stretch{first: len(p.cols), own: -1}
		class := func(j int32) int {
			switch {
			case int(j) >= p.states:
				return 2
			case i < p.states && loopOf[i] >= 0 && loopOf[j] == loopOf[i]:
				return 0
			}
			return 1
		}
		place := make([]int, len(row.Support))
		for c, end := range []*int{&s.inner, &s.outer, &s.end} {
			for k, j := range row.Support {
				if class(j) != c {
					continue
				}
				if int(j) == i {
					s.own = len(p.cols)
				}
				place[k] = len(p.cols)
				p.cols = append(p.cols, j)
				read[j] = true
			}
			*end = len(p.cols)
		}
		order = append(order, place...)
		p.rows[i] = s
	}
	for j := p.states; j < p.features-1; j++ {
		if read[j] {
			p.inputs = append(p.inputs, int32(j))
		}
	}
	return p, order
}

// schedule fills in the groups and returns the number of each state's loop, −1 without one.
func (p *plan) schedule(n *Net) []int {
	a := sparse.New[float32](p.states, p.states)
	for i, row := range n.Rows[:p.states] {
		end, _ := slices.BinarySearch(row.Support, int32(p.states))
		a.AppendRow(i, row.Support[:end], row.Weights[:end])
	}
	loopOf := make([]int, p.states)
	for _, component := range sparse.Components(a) {
		loop := sparse.IsLoop(a, component)
		for _, i := range component {
			loopOf[i] = -1
			if loop {
				loopOf[i] = len(p.groups)
			}
		}
		if len(n.Rows[component[0]].Support) > 0 {
			p.groups = append(p.groups, group{component, loop})
		}
	}
	return loopOf
}
