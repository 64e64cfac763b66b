package trainer

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/trainer/internal/refine"
)

// equilibriumStates makes states of a random equilibrium network x = φ(Wx + Uu + b), rows of W of norm kappa.
func equilibriumStates(t testing.TB, seed uint64, n, p, q, m int, a model.Activation, kappa float64) *StatesSource {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 2))
	w, b := make([]float64, n*n), make([]float64, n*p)
	for i := range n {
		sum := 0.0
		for j := range n {
			w[i*n+j] = r.NormFloat64()
			sum += math.Abs(w[i*n+j])
		}
		for j := range n {
			w[i*n+j] *= kappa / sum
		}
		for j := range p {
			b[i*p+j] = r.NormFloat64() / math.Sqrt(float64(p))
		}
	}
	c := make([]float64, q*n)
	for k := range c {
		c[k] = r.NormFloat64()
	}
	s := States{Inputs: p, Outputs: q, Samples: m, U: make([]float32, p*m), Z: make([]float32, n*m), X: make([]float32, n*m), Y: make([]float32, q*m)}
	for range n {
		s.Activations = append(s.Activations, a)
	}
	for k := range m {
		u := make([]float64, p)
		c1, c2 := r.NormFloat64(), r.NormFloat64()
		for j := range u {
			u[j] = 0.7*r.NormFloat64() + c1*math.Sin(float64(j)) + c2*math.Cos(float64(2*j))
			s.U[j*m+k] = float32(u[j])
		}
		x, z := make([]float64, n), make([]float64, n)
		for range 400 {
			for i := range n {
				z[i] = 0
				for j, v := range x {
					z[i] += w[i*n+j] * v
				}
				for j, v := range u {
					z[i] += b[i*p+j] * v
				}
			}
			for i := range n {
				x[i] = a.Apply(z[i])
			}
		}
		for i := range n {
			s.Z[i*m+k], s.X[i*m+k] = float32(z[i]), float32(a.Apply(float64(float32(z[i]))))
		}
		for o := range q {
			y := 0.0
			for i, v := range x {
				y += c[o*n+i] * v
			}
			s.Y[o*m+k] = float32(y)
		}
	}
	src, err := s.Source()
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// survivorsOf is a model of so many states whose rows read these features, and its planned removals.
func survivorsOf(states int, rows [][]int32, order [][]refine.Removal) *survivors {
	s := &survivors{
		states: states, constants: 1, plan: &removals{wide: &draft{}, order: order},
		next: make([]int, len(rows)), readBy: make([]map[int]bool, states),
	}
	for j := range s.readBy {
		s.readBy[j] = map[int]bool{}
	}
	for i, support := range rows {
		s.plan.wide.rows = append(s.plan.wide.rows, row{support: support})
		s.alive = append(s.alive, true)
		s.kept = append(s.kept, map[int32]bool{})
		for _, j := range support {
			s.kept[i][j] = true
			if int(j) < states {
				s.readBy[j][i] = true
			}
		}
		s.total += len(support) + 1
	}
	return s
}

// Four states, two inputs (features 4 and 5), one output (row 4). States 0 and 1 are a cycle, so are 2
// and 3; 0 and 2 read an input, the output reads 1, 3 and an input.
func TestCyclesGoWhenTheyLoseTheirWayInOrOut(t *testing.T) {
	rows := [][]int32{{1, 4}, {0}, {3, 5}, {2}, {1, 3, 4}}
	for _, c := range []struct {
		name    string
		removal removalOf
		left    [][]int32 // supports; nil: gone
		total   int
	}{
		{"nothing happens to a cycle with another way", removalOf{4, 4}, [][]int32{{1, 4}, {0}, {3, 5}, {2}, {1, 3}}, 13},
		{"its way out", removalOf{4, 1}, [][]int32{nil, nil, {3, 5}, {2}, {3, 4}}, 8},
		{"its way in", removalOf{2, 5}, [][]int32{{1, 4}, {0}, nil, nil, {1, 4}}, 8},
		{"its last edge", removalOf{1, 0}, [][]int32{nil, nil, {3, 5}, {2}, {3, 4}}, 8},
		{"an edge that closes it", removalOf{0, 1}, [][]int32{{4}, {0}, {3, 5}, {2}, {1, 3, 4}}, 13},
	} {
		s := survivorsOf(4, rows, make([][]refine.Removal, 5))
		s.remove(c.removal)
		left := s.supports()
		for i := range rows {
			if (left[i] == nil) != (c.left[i] == nil) || !slices.Equal(left[i], c.left[i]) {
				t.Errorf("%s: row %d reads %v, want %v", c.name, i, left[i], c.left[i])
			}
		}
		if s.total != c.total {
			t.Errorf("%s: %d numbers, want %d", c.name, s.total, c.total)
		}
		s.undo()
		for i, support := range s.supports() {
			if !slices.Equal(support, rows[i]) {
				t.Errorf("%s, undone: row %d reads %v, want %v", c.name, i, support, rows[i])
			}
		}
		if s.total != 14 {
			t.Errorf("%s, undone: %d numbers, want 14", c.name, s.total)
		}
	}
}

// Whatever the budget: it is used, every state is reached by an input and reaches an output.
func TestFreeBudgetsAreUsed(t *testing.T) {
	tanh := model.Activation{Kind: model.Tanh}
	network, u := randomNetwork(3, []int{20, 16, 10, 4}, 800)
	for name, source := range map[string]Source{
		"layers": mustSource(t, network, u), "tanh": equilibriumStates(t, 1, 20, 10, 3, 600, tanh, 0.9), "relu": equilibriumStates(t, 1, 20, 10, 3, 600, relu, 0.9),
	} {
		f := newFitter(t, source, Options{NNZ: 30, Task: Regression, Structure: Free, Kappa: 0.95})
		solved, err := f.solveAt(1e-3, nil)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := f.planRemovals(f.draftOf(solved.rows), 30)
		if err != nil {
			t.Fatal(err)
		}
		for budget := 370; budget >= 30; budget -= 37 {
			supports := plan.keep(f, budget)
			total := 0
			for _, support := range supports {
				if support != nil {
					total += len(support) + 1
				}
			}
			if total > budget || total < budget-budget/freeSlack {
				t.Errorf("%s, budget %d: %d numbers", name, budget, total)
			}
			checkAlive(t, f, supports)
		}
		for _, budget := range []int{60, 200} {
			if _, r := mustFit(t, source, Options{NNZ: budget, Task: Regression, Structure: Free, Kappa: 0.95}); r.NNZ > budget || float64(r.NNZ) < 0.95*float64(budget)-4 {
				t.Errorf("%s, budget %d: the model has %d nonzeros", name, budget, r.NNZ)
			}
		}
	}
}

// checkAlive spreads from the outputs and from the inputs until nothing changes.
func checkAlive(t *testing.T, f *fitter, supports [][]int32) {
	t.Helper()
	n := f.states()
	read, fed := make([]bool, n), make([]bool, n)
	for range n + 1 {
		for i, support := range supports {
			for _, j := range support {
				if int(j) < n && (i >= n || read[i]) {
					read[j] = true
				}
				if i < n && (int(j) >= n || fed[j]) {
					fed[i] = true
				}
			}
		}
	}
	for i := range n {
		if alive := supports[i] != nil; alive != read[i] || alive != fed[i] {
			t.Errorf("state %d is kept: %v, reaches an output: %v, is reached by an input: %v", i, alive, read[i], fed[i])
		}
	}
}
