package relax

// shares is into how many parts of about the same size a tree is shared out at least. The best-first search makes
// trees that are anything but even.
const shares = 64

// Refine bounds the outputs over the leaves of a tree that was found for other networks, then splits leaves with bounds
// above `enough`, as Split does.
func (n *Networks) Refine(cuts []byte, s Search, enough []float64) *Tree {
	workers := n.workers(false)
	s.floor = append([]float64(nil), enough...)
	root := &node{box: s.Box}
	s.along(workers, cuts, root)
	boxes := 0
	root.number(&boxes)
	for _, v := range root.leaves(nil) {
		s.offer(v)
	}
	return s.grow(workers, root, boxes)
}

// along bounds the boxes of a tree.
func (s *Search) along(workers []*bounder, cuts []byte, root *node) {
	large, small := []branch{{node: root, cuts: cuts}}, []branch(nil)
	for len(large) > 0 {
		inParallel(workers, len(large), func(b *bounder, k int) { s.one(b, large[k].parent, large[k].node) })
		var next []branch
		for _, t := range large {
			for _, half := range t.halves() {
				if len(half.cuts) > len(cuts)/shares {
					next = append(next, half)
				} else {
					small = append(small, half)
				}
			}
		}
		large = next
	}
	inParallel(workers, len(small), func(b *bounder, k int) { small[k].walk(s, b) })
}

func largestOf(sum, bound []float64) {
	for k, e := range bound {
		sum[k] = max(sum[k], e)
	}
}

// branch is a box with its part of a tree.
type branch struct {
	node, parent *node
	cuts         []byte
}

// halves cuts the box of a branch as the tree says; none for a leaf.
func (t *branch) halves() []branch {
	if t.cuts[0] == 0 {
		return nil
	}
	v := t.node
	v.cut, v.given = int(t.cuts[0])-1, true
	for side := range v.halves {
		v.halves[side] = &node{box: v.box.half(v.cut, side)}
	}
	end := 1 + treeLength(t.cuts[1:])
	return []branch{{v.halves[0], v, t.cuts[1:end]}, {v.halves[1], v, t.cuts[end:]}}
}

// treeLength returns how many elements the tree at the start of cuts has.
func treeLength(cuts []byte) int {
	open, k := 1, 0
	for ; open > 0; k++ {
		if cuts[k] == 0 {
			open--
		} else {
			open++
		}
	}
	return k
}

// walk bounds all boxes of a branch.
func (t *branch) walk(s *Search, b *bounder) {
	s.one(b, t.parent, t.node)
	halves := t.halves()
	if halves == nil {
		if worst, _ := s.standing(t.node); worst == 0 {
			t.node.dead, t.node.known = nil, nil
		}
		return
	}
	for k := range halves {
		halves[k].walk(s, b)
	}
	t.node.dead, t.node.known = nil, nil
}

// number numbers the boxes in preorder.
func (v *node) number(next *int) {
	v.order = *next
	*next++
	for _, half := range v.halves {
		if half != nil {
			half.number(next)
		}
	}
}

// leaves appends the leaves in preorder.
func (v *node) leaves(out []*node) []*node {
	if v.halves[0] == nil {
		return append(out, v)
	}
	return v.halves[1].leaves(v.halves[0].leaves(out))
}
