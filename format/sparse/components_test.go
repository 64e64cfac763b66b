package sparse

import (
	"cmp"
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

// TestLevelsFollowTheLongestPaths finds depths by relaxing every entry until none is too shallow.
func TestLevelsFollowTheLongestPaths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawGraph(t)
		component, loop := make([]int, m.Rows), make([]bool, m.Rows)
		for k, states := range Components(m) {
			for _, i := range states {
				component[i], loop[i] = k, IsLoop(m, states)
			}
		}
		depth := map[int]int{} // of a component
		for range m.Rows {
			for i := range m.Rows {
				cols, _ := m.Row(i)
				for _, j := range cols {
					if component[j] != component[i] {
						depth[component[i]] = max(depth[component[i]], depth[component[j]]+1)
					}
				}
			}
		}
		type place struct {
			depth int
			loop  bool
			first int // of a loop: its first state
		}
		var want []place
		of := map[place][]int{}
		for i := range m.Rows {
			p := place{depth[component[i]], loop[i], 0}
			if loop[i] {
				p.first = slices.Index(component, component[i])
			}
			if of[p] == nil {
				want = append(want, p)
			}
			of[p] = append(of[p], i)
		}
		slices.SortFunc(want, func(a, b place) int {
			if a.loop != b.loop && a.depth == b.depth {
				if a.loop {
					return 1
				}
				return -1
			}
			return cmp.Or(a.depth-b.depth, a.first-b.first)
		})
		got := Levels(m)
		if len(got) != len(want) {
			t.Fatalf("levels %v, want %v", got, want)
		}
		for k, p := range want {
			if !slices.Equal(got[k], of[p]) {
				t.Fatalf("levels %v, want %v as number %d", got, of[p], k)
			}
		}
	})
}

func TestLevelsByHand(t *testing.T) {
	// 0 reads 7, which reads itself as 4 does; 1 reads 0; 2 and 3 read each other, 2 reads 0; 5 reads 1 and
	// 3; 6 reads nothing.
	m := New[int8](8, 8)
	for i, cols := range [][]int32{{7}, {0}, {0, 3}, {2}, {4}, {1, 3}, {}, {7}} {
		m.AppendRow(i, cols, make([]int8, len(cols)))
	}
	want := [][]int{{6}, {4}, {7}, {0}, {1}, {2, 3}, {5}}
	if got := Levels(m); !slices.EqualFunc(got, want, slices.Equal[[]int]) {
		t.Errorf("levels %v, want %v", got, want)
	}
}
