package relax

// shares is into how many parts of about the same size a tree is shared out at least. The best-first search makes
// trees that are anything but even.
const shares = 64

// Evaluate bounds the outputs over the leaves of a tree of the box that it splits. from is what the networks
// count inputs from.
func (n *Networks) Evaluate(cuts []byte, box Box, from []float64) []float64 {
	workers := n.workers(false)
	large, small := []*branch{{node: &node{box: box}, cuts: cuts}}, []*branch(nil)
	for len(large) > 0 {
		inParallel(workers, len(large), func(b *bounder, k int) { large[k].bound(b, from) })
		var next []*branch
		for _, t := range large {
			if len(t.cuts) == 1 {
				small = append(small, t)
				continue
			}
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
	found := make([][]float64, len(small))
	inParallel(workers, len(small), func(b *bounder, k int) {
		found[k] = make([]float64, n.Outputs())
		small[k].walk(b, from, found[k])
	})
	out := make([]float64, n.Outputs())
	for _, bound := range found {
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
	end := 1 + treeLength(t.cuts[1:])
	lower, upper := t.cuts[1:end], t.cuts[end:]
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
