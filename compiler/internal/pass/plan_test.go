package pass

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/graph/simple"
	"gonum.org/v1/gonum/graph/topo"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
)

// graphModel makes a model whose states read one another at random; every state reaches the output.
func graphModel(rng *rand.Rand, n int, density float64) *model.Model {
	dense := make([]float32, n*n)
	for k := range dense {
		if rng.Float64() < density {
			dense[k] = 1
		}
	}
	readout := make([]float32, n)
	for i := range readout {
		readout[i] = 1
	}
	return &model.Model{
		A: sparse.FromDense(n, n, dense), B: sparse.New[float32](n, 0), C: sparse.FromDense(1, n, readout), D: sparse.New[float32](1, 0),
		StateBias: make([]float32, n), OutputBias: make([]float32, 1), Activations: make([]model.Activation, n), Decision: model.DecideNone,
	}
}

// TestScheduleIsGonums compares loops with gonum's strongly connected components, and levels with longest
// paths through them.
func TestScheduleIsGonums(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 1))
		m := graphModel(rng, 1+rng.IntN(25), 0.3*rng.Float64()*rng.Float64())
		p := &Program{Source: m}
		p.Prune()
		p.Schedule()
		want := segmentsByGonum(m.A)
		var got []string
		first := 0
		for _, s := range p.Segments {
			kind := "level"
			if s.Sweeps > 0 {
				kind = "loop"
			}
			got = append(got, fmt.Sprint(kind, p.States[first:first+s.States]))
			first += s.States
		}
		inOrder(t, p)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: segments %v, gonum's %v", seed, got, want)
		}
	}
}

// segmentsByGonum returns loops and levels as strings, in no particular order.
func segmentsByGonum(a *sparse.Matrix[float32]) []string {
	g := simple.NewDirectedGraph()
	for i := range a.Rows {
		g.AddNode(simple.Node(i))
	}
	for i := range a.Rows {
		for j := range a.Cols {
			if i != j && a.At(i, j) != 0 {
				g.SetEdge(simple.Edge{F: simple.Node(i), T: simple.Node(j)}) // i reads j
			}
		}
	}
	var out []string
	depth, levels := map[int]int{}, map[int][]int{}
	for _, component := range topo.TarjanSCC(g) { // what is read comes first
		var states []int
		for _, node := range component {
			states = append(states, int(node.ID()))
		}
		slices.Sort(states)
		d := 0
		for _, i := range states {
			for j := range a.Cols {
				if a.At(i, j) != 0 && !slices.Contains(states, j) {
					d = max(d, depth[j]+1)
				}
			}
		}
		for _, i := range states {
			depth[i] = d
		}
		if len(states) > 1 || a.At(states[0], states[0]) != 0 {
			out = append(out, fmt.Sprint("loop", states))
		} else {
			levels[d] = append(levels[d], states[0])
		}
	}
	for _, states := range levels {
		slices.Sort(states)
		out = append(out, fmt.Sprint("level", states))
	}
	return out
}

// inOrder checks that every state comes after what it reads, or shares its loop.
func inOrder(t *testing.T, p *Program) {
	t.Helper()
	segment := make([]int, p.states())
	first := 0
	for k, s := range p.Segments {
		for i := first; i < first+s.States; i++ {
			segment[i] = k
		}
		first += s.States
	}
	for i := range p.states() {
		cols, _ := p.Weights.Row(i)
		for _, j := range cols {
			read := segment[p.stateColumn(j)]
			if read > segment[i] || read == segment[i] && p.Segments[read].Sweeps == 0 {
				t.Fatalf("state %d of segment %d reads segment %d", i, segment[i], read)
			}
		}
	}
}

// TestPruneKeepsWhatReachesAnOutput: a state read only by a dead one is dead, stored zeros read nothing,
// inputs with a point for a box fold into biases.
func TestPruneKeepsWhatReachesAnOutput(t *testing.T) {
	m := graphModel(rand.New(rand.NewPCG(1, 1)), 5, 0)
	m.A = sparse.FromDense(5, 5, []float32{
		0, 1, 0, 0, 0,
		0, 0, 0, 0, 0,
		0, 0, 0, 1, 0, // state 2 reads state 3 and is read by none
		0, 0, 0, 0, 0,
		1, 0, 0, 0, 0, // state 4 reads state 0
	})
	m.A.Data[2] = 0 // that last weight: stored, but zero
	m.C = sparse.FromDense(1, 5, []float32{1, 0, 0, 0, 1})
	m.B = sparse.FromDense(5, 4, []float32{0, 0, 0, 0, 2, 3, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	m.D = sparse.FromDense(1, 4, []float32{0, 7, 0, 0})
	m.InputLo, m.InputHi = []float32{0, 0.5, 0, 0}, []float32{1, 0.5, 1, 1}
	p := &Program{Source: m}
	p.Prune()
	p.Schedule()
	if want := []int{1, 4, 0}; !slices.Equal(p.States, want) {
		t.Errorf("states %v, want %v", p.States, want)
	}
	if want := []int{0}; !slices.Equal(p.Inputs, want) {
		t.Errorf("inputs %v, want %v", p.Inputs, want)
	}
	if p.Bias[0].Value != 1.5 || p.Bias[3].Value != 3.5 {
		t.Errorf("folded biases %v, want 1.5 for state 1 and 3.5 for the output", p.Bias)
	}
}
