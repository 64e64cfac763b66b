package sparse

import "slices"

// Components returns the strongly connected components of the graph in which row i of the square
// matrix points to the states it reads (stored entries, zeros included), in an order in which a
// component comes after every component that it reads: the order of computation. Within a component
// states ascend. Deterministic; Tarjan's algorithm without recursion, O(n + entries).
func Components[V Value](m *Matrix[V]) [][]int {
	if m.Rows != m.Cols {
		panic("unreachable: components of a matrix that is not square")
	}
	n := m.Rows
	const unseen = -1
	order := make([]int, n) // the visit's number, unseen before it
	low := make([]int, n)
	onStack := make([]bool, n)
	for i := range order {
		order[i] = unseen
	}
	type frame struct {
		state int
		next  int32 // the next entry of the row to look at
	}
	var stack []int
	var frames []frame
	var components [][]int
	visits := 0
	open := func(i int) {
		order[i], low[i] = visits, visits
		visits++
		stack = append(stack, i)
		onStack[i] = true
		frames = append(frames, frame{i, m.Indptr[i]})
	}
	for root := range n {
		if order[root] != unseen {
			continue
		}
		open(root)
		for len(frames) > 0 {
			top := &frames[len(frames)-1]
			i := top.state
			if top.next < m.Indptr[i+1] {
				j := int(m.Indices[top.next])
				top.next++
				if order[j] == unseen {
					open(j)
				} else if onStack[j] {
					low[i] = min(low[i], order[j])
				}
				continue
			}
			frames = frames[:len(frames)-1]
			if len(frames) > 0 {
				parent := frames[len(frames)-1].state
				low[parent] = min(low[parent], low[i])
			}
			if low[i] == order[i] {
				components = append(components, popComponent(&stack, onStack, i))
			}
		}
	}
	return components
}

// popComponent takes the component rooted at root off the stack and returns it in ascending order.
func popComponent(stack *[]int, onStack []bool, root int) []int {
	s := *stack
	k := len(s) - 1
	for s[k] != root {
		k--
	}
	component := append([]int(nil), s[k:]...)
	*stack = s[:k]
	for _, i := range component {
		onStack[i] = false
	}
	slices.Sort(component)
	return component
}

// IsLoop reports whether a component of Components needs sweeps: more than one state, or a single
// state that reads itself.
func IsLoop[V Value](m *Matrix[V], component []int) bool {
	if len(component) > 1 {
		return true
	}
	i := component[0]
	cols, _ := m.Row(i)
	for _, j := range cols {
		if int(j) == i {
			return true
		}
	}
	return false
}

// Levels returns the states of the graph of Components in an order of computation, cut into what is
// computed together: sets of states that do not read one another, each state as early as what it reads
// allows, and components that need sweeps (see IsLoop), each on its own. A set of single states stands
// before the loops that are as deep. States ascend within each.
func Levels[V Value](m *Matrix[V]) [][]int {
	depth := make([]int, m.Rows) // the longest path of components that lead to the state's
	at := make([]int, m.Rows)    // the component of a state
	var levels [][]int           // by depth
	var loops [][][]int          // by depth
	for k, component := range Components(m) {
		d := 0
		for _, i := range component {
			at[i] = k
		}
		for _, i := range component {
			cols, _ := m.Row(i)
			for _, j := range cols {
				if at[j] != k {
					d = max(d, depth[j]+1)
				}
			}
		}
		for _, i := range component {
			depth[i] = d
		}
		for len(levels) <= d {
			levels, loops = append(levels, nil), append(loops, nil)
		}
		if IsLoop(m, component) {
			loops[d] = append(loops[d], component)
		} else {
			levels[d] = append(levels[d], component[0])
		}
	}
	var groups [][]int
	for d, level := range levels {
		if slices.Sort(level); len(level) > 0 {
			groups = append(groups, level)
		}
		slices.SortFunc(loops[d], func(a, b []int) int { return a[0] - b[0] })
		groups = append(groups, loops[d]...)
	}
	return groups
}
