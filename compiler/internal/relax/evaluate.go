package relax

import "runtime"

// Evaluate bounds the outputs over the leaves of a tree of the box that it splits. from is what the networks
// count inputs from.
func (n *Networks) Evaluate(cuts []byte, box Box, from []float64) []float64 {
	workers := n.workers(false)
	tops := []*branch{{node: &node{box: box}, cuts: cuts}}
	leaves := [][]float64{}
	for len(tops) > 0 && len(tops) < 8*runtime.GOMAXPROCS(0) { // enough of them to share out
		inParallel(workers, len(tops), func(b *bounder, k int) { tops[k].bound(b, from) })
		var below []*branch
		for _, t := range tops {
			if t.cuts[0] == 0 {
				leaves = append(leaves, t.node.bound)
				continue
			}
			halves := t.halves()
			below = append(below, halves[0], halves[1])
		}
		tops = below
	}
	found := make([][]float64, len(tops))
	inParallel(workers, len(tops), func(b *bounder, k int) {
		found[k] = make([]float64, n.Outputs())
		tops[k].walk(b, from, found[k])
	})
	out := make([]float64, n.Outputs())
	for _, bound := range append(leaves, found...) {
		largestOf(out, bound)
	}
	return out
}

func largestOf(sum, bound []float64) {
	for k, e := range bound {
		sum[k] = max(sum[k], e)
	}
}

// branch is a box with its part of a tree.
type branch struct {
	node   *node
	cuts   []byte
	parent *node
}

// bound bounds the box of a branch and keeps its ranges.
func (t *branch) bound(b *bounder, from []float64) {
	v := t.node
	v.bound = b.bound(v.box.from(from), t.parent, nil)
	if t.parent != nil {
		for k := range v.bound {
			v.bound[k] = min(v.bound[k], t.parent.bound[k])
		}
	}
	v.dead, v.known = b.pack()
}

// halves returns the two branches of a box that is cut.
func (t *branch) halves() [2]*branch {
	cut := int(t.cuts[0]) - 1
	lower := t.cuts[1:]
	upper := lower[treeLength(lower):]
	return [2]*branch{
		{&node{box: t.node.box.half(cut, 0)}, lower, t.node},
		{&node{box: t.node.box.half(cut, 1)}, upper, t.node},
	}
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

// walk bounds all boxes of a branch and takes the largest bounds of its leaves.
func (t *branch) walk(b *bounder, from, out []float64) {
	t.bound(b, from)
	if t.cuts[0] == 0 {
		largestOf(out, t.node.bound)
		return
	}
	for _, half := range t.halves() {
		half.walk(b, from, out)
	}
}
