package sparse

import (
	"slices"
	"testing"

	"gonum.org/v1/gonum/graph/simple"
	"gonum.org/v1/gonum/graph/topo"
	"pgregory.net/rapid"
)

// drawGraph draws a square matrix with few to many entries.
func drawGraph(t *rapid.T) *Matrix[int8] {
	n := rapid.IntRange(0, 14).Draw(t, "states")
	density := rapid.IntRange(1, 12).Draw(t, "density")
	dense := make([]int8, n*n)
	for k := range dense {
		if rapid.IntRange(0, 23).Draw(t, "edge") < density {
			dense[k] = 1
		}
	}
	return FromDense(n, n, dense)
}

// TestComponentsAreTarjans compares with gonum's, which knows no self-loops; they change no component.
func TestComponentsAreTarjans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawGraph(t)
		g := simple.NewDirectedGraph()
		for i := range m.Rows {
			g.AddNode(simple.Node(i))
		}
		for i := range m.Rows {
			cols, _ := m.Row(i)
			for _, j := range cols {
				if int(j) != i {
					g.SetEdge(simple.Edge{F: simple.Node(i), T: simple.Node(j)})
				}
			}
		}
		var want [][]int
		for _, component := range topo.TarjanSCC(g) {
			var states []int
			for _, node := range component {
				states = append(states, int(node.ID()))
			}
			slices.Sort(states)
			want = append(want, states)
		}
		got := Components(m)
		byFirst := func(a, b []int) int { return a[0] - b[0] }
		sorted := slices.SortedFunc(slices.Values(got), byFirst)
		slices.SortFunc(want, byFirst)
		if !slices.EqualFunc(sorted, want, slices.Equal[[]int]) {
			t.Fatalf("components %v, gonum finds %v", got, want)
		}
	})
}

func TestComponentsComeInTheOrderOfComputation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawGraph(t)
		components := Components(m)
		done := make([]bool, m.Rows)
		for c, component := range components {
			for _, i := range component {
				done[i] = true
			}
			for _, i := range component {
				cols, _ := m.Row(i)
				for _, j := range cols {
					if !done[j] {
						t.Fatalf("component %d %v reads state %d, which comes later: %v", c, component, j, components)
					}
				}
			}
			if !slices.IsSorted(component) {
				t.Fatalf("component %v does not ascend", component)
			}
			loop := len(component) > 1 || m.At(component[0], component[0]) != 0
			if IsLoop(m, component) != loop {
				t.Fatalf("component %v: IsLoop is %v", component, !loop)
			}
		}
	})
}

func TestAStoredZeroIsAnEdge(t *testing.T) {
	m := FromDense(2, 2, []float32{0, 1, 1, 0})
	m.Data[0], m.Data[1] = 0, 0
	if got := Components(m); len(got) != 1 || !IsLoop(m, got[0]) {
		t.Errorf("components %v", got)
	}
	if got := Components(m.Compact()); len(got) != 2 || IsLoop(m.Compact(), got[0]) {
		t.Errorf("components %v once the zeros are gone", got)
	}
}

// TestLongChainsNeedNoStack: a recursive search would nest a million deep.
func TestLongChainsNeedNoStack(t *testing.T) {
	const n = 1_000_000
	m := &Matrix[int8]{Rows: n, Cols: n, Indptr: make([]int32, n+1), Indices: make([]int32, n-1), Data: make([]int8, n-1)}
	for i := range n - 1 { // state i reads state i+1
		m.Indptr[i+1], m.Indices[i], m.Data[i] = int32(i+1), int32(i+1), 1
	}
	m.Indptr[n] = n - 1
	components := Components(m)
	if len(components) != n || components[0][0] != n-1 || components[n-1][0] != 0 {
		t.Errorf("%d components", len(components))
	}
	m.Indptr[n], m.Indices, m.Data = n, append(m.Indices, 0), append(m.Data, 1) // and the last the first
	if components = Components(m); len(components) != 1 || len(components[0]) != n {
		t.Errorf("%d components in a ring", len(components))
	}
}
