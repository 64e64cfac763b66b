package relax

import (
	"container/heap"
	"math"
)

// Range is what the argument of a state's function is proved to stay in.
type Range struct{ Lo, Hi float64 }

// Reach bounds the arguments of all states of the reference over a box, splitting it as long as `more` says, asked
// with how many boxes there are: those first whose ranges exceed most what was seen, by the sum of the exponents of the excess. `seen`
// are ranges over samples, from which nothing follows but this order.
func (n *Networks) Reach(box Box, from []float64, seen []Range, more func(boxes int) bool) []Range {
	workers := n.workers(false)
	for _, b := range workers {
		b.alone = true
	}
	s := &reachSearch{n: n, from: from, seen: seen}
	root := &node{box: box}
	s.each(workers, nil, []*node{root})
	leaves := queue{root}
	count := 1
	var done []*node
	for n.Inputs <= mostCuts && leaves.Len() > 0 && more(count) {
		var parents, children []*node
		for leaves.Len() > 0 && len(parents) < 2*roundBoxes {
			v := heap.Pop(&leaves).(*node)
			if v.next < 0 {
				done = append(done, v)
				continue
			}
			for side := range 2 {
				children = append(children, &node{box: v.box.half(v.next, side), number: count + len(children)})
				parents = append(parents, v)
			}
		}
		s.each(workers, parents, children)
		for _, c := range children {
			heap.Push(&leaves, c)
		}
		count += len(children)
	}
	return s.union(append(done, leaves...))
}

type reachSearch struct {
	n    *Networks
	from []float64
	seen []Range
}

func (s *reachSearch) each(workers []*bounder, parents, boxes []*node) {
	inParallel(workers, len(boxes), func(b *bounder, k int) {
		var parent *node
		if parents != nil {
			parent = parents[k]
		}
		v := boxes[k]
		b.bound(v.box.from(s.from), parent, nil)
		v.dead, v.known = b.pack()
		v.next, v.worst = b.promising(), s.excess(b)
	})
}

// excess returns by how many powers of two the values of a box exceed what was seen, over all states.
func (s *reachSearch) excess(b *bounder) float64 {
	sum := 0.0
	for _, i := range b.states {
		a := s.n.Rows[i].Activation
		size := func(lo, hi float64) float64 { return largest(a.Apply(lo), a.Apply(hi)) }
		reached, seen := size(b.known[i].lo, b.known[i].hi), size(s.seen[i].Lo, s.seen[i].Hi)
		if reached > seen && seen > 0 {
			_, exponent := math.Frexp(reached / seen)
			sum += float64(exponent-1) + (reached/seen)/math.Ldexp(1, exponent) // piecewise linear, the same everywhere
		}
	}
	return sum
}

// union returns ranges that cover all leaves. A state that is zero all over a leaf has z ≤ 0 there, of which
// no more is kept.
func (s *reachSearch) union(leaves []*node) []Range {
	out := make([]Range, s.n.States)
	for i := range out {
		out[i] = Range{math.Inf(1), math.Inf(-1)}
	}
	for _, v := range leaves {
		k := 0
		for i, dead := range v.dead {
			r := Range{math.Inf(-1), 0}
			if !dead {
				r = Range{v.known[k].lo, v.known[k].hi}
				k++
			}
			out[i] = Range{min(out[i].Lo, r.Lo), max(out[i].Hi, r.Hi)}
		}
	}
	return out
}
