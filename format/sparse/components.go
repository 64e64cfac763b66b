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
