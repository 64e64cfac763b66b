package relax

import (
	"container/heap"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// roundBoxes is how many boxes are split at once: a number that does not depend on the machine, so that the
// tree does not.
const roundBoxes = 16

// mostCuts bounds the inputs of models whose boxes are split.
const mostCuts = 254

// node is a box of the tree: a leaf as long as it has no halves.
type node struct {
	box    Box
	bound  []float64
	halves [2]*node
	cut    int     // the input that it is cut in
	next   int     // the input that a cut promises most in, −1 for none
	order  int     // among all boxes, in which they were made
	worst  float64 // the largest bound in its output's scale, of those that may still fall
	given  bool    // it is cut by the tree that the search began with
	stale  int     // how many cuts in a row hardly lowered the worst bound

	dead  []bool // per state: zero in both networks
	known []span // of the others
}

// span is what a box keeps of a state's ranges, for its halves.
type span struct{ lo, hi, dLo, dHi float64 }

// mostSpans bounds the memory of a search: the leaves' spans take a gigabyte.
const mostSpans = 1 << 25

// unpack hands a box's ranges to the bounder of one of its halves.
func (v *node) unpack(b *bounder) {
	copy(b.dead, v.dead)
	k := 0
	for i, dead := range v.dead {
		if dead {
			b.at[b.n.Inputs+i] = -1
			continue
		}
		s := v.known[k]
		b.known[i] = ranges{lo: s.lo, hi: s.hi, dLo: s.dLo, dHi: s.dHi}
		k++
	}
}

// pack keeps the ranges of the box that was just bounded.
func (b *bounder) pack() (dead []bool, known []span) {
	known = make([]span, 0, len(b.states))
	for i, gone := range b.dead {
		if !gone {
			r := &b.known[i]
			known = append(known, span{r.lo, r.hi, r.dLo, r.dHi})
		}
	}
	return append([]bool(nil), b.dead...), known
}

// Tree is a box and how it is split, with the bound of each output over all of it.
type Tree struct {
	Bound []float64
	Boxes int // how many were bounded
	root  *node
}

// Cuts returns the least tree that proves `most` of each output, or the whole tree, and that has all cuts of the one
// that the search began with. In preorder: 0 a leaf, 1 + j a box
// cut in the middle of input j. The last few percent of a bound are most of a tree.
func (t *Tree) Cuts(most []float64) []byte { return t.root.cuts(nil, most) }

// Search says how a box is to be bounded.
type Search struct {
	Box   Box       // as inputs are declared
	From  []float64 // per input: what Box's numbers are counted from in the networks, subtracted before use
	Scale []float64 // per output: an error that counts as one
	Split bool
	More  func(boxes int) bool // whether to go on, asked between rounds

	leaves queue
	spans  int       // that leaves of the queue keep
	floor  []float64 // per output: the largest bound of the leaves that were given up
}

// A leaf is given up after staleCuts cuts in a row that left its worst bound above staleShare of what it was: there
// the bound is what it is at a point, or nearly.
const (
	staleCuts  = 10
	staleShare = 0.999
)

// mostElements bounds a tree, as files do.
const mostElements = 1 << 20

// Split bounds a box, then splits the worst leaf again and again. Same networks, box, scales and number of
// boxes: same tree.
func (n *Networks) Split(s Search) *Tree {
	workers := n.workers(false)
	s.floor = make([]float64, n.Outputs())
	root := &node{box: s.Box}
	s.evaluate(workers, nil, []*node{root})
	s.offer(root)
	return s.grow(workers, root, 1)
}

// grow splits leaves of the queue until there is no more to gain, or no more time.
func (s *Search) grow(workers []*bounder, root *node, boxes int) *Tree {
	splits := s.Split && len(s.Box.Lo) <= mostCuts
	for splits && boxes+2*roundBoxes <= mostElements && s.spans < mostSpans && s.More(boxes) {
		parents, children := s.round(boxes)
		if len(children) == 0 {
			break
		}
		s.evaluate(workers, parents, children)
		for k, c := range children {
			parents[k].dead, parents[k].known = nil, nil
			s.offer(c)
		}
		boxes += len(children)
	}
	tree := &Tree{Bound: make([]float64, len(s.Scale)), Boxes: boxes, root: root}
	root.largest(tree.Bound)
	return tree
}

// round cuts the worst leaves. It returns the halves, each with its parent.
func (s *Search) round(boxes int) (parents, children []*node) {
	for s.leaves.Len() > 0 && len(parents) < 2*roundBoxes {
		v := heap.Pop(&s.leaves).(*node)
		s.spans -= len(v.known)
		if worst, _ := s.standing(v); worst < v.worst { // an output of which it was the worst has been given up since
			s.offer(v)
			continue
		}
		v.cut = v.next
		for side := range v.halves {
			v.halves[side] = &node{box: v.box.half(v.cut, side), order: boxes + len(children)}
			children, parents = append(children, v.halves[side]), append(parents, v)
		}
	}
	return parents, children
}

// offer puts a leaf into the queue, unless nothing is to be gained by cutting it.
func (s *Search) offer(v *node) {
	v.worst, _ = s.standing(v)
	if v.worst == 0 {
		v.dead, v.known = nil, nil
		return
	}
	if v.next >= 0 && v.stale < staleCuts {
		heap.Push(&s.leaves, v)
		s.spans += len(v.known)
		return
	}
	for k, e := range v.bound {
		s.floor[k] = max(s.floor[k], e)
	}
	v.dead, v.known = nil, nil
}

// standing returns the largest bound of a leaf, in its output's scale, and that output, among the outputs that no
// leaf which was given up has a bound as large of; 0 where there is none.
func (s *Search) standing(v *node) (worst float64, output int) {
	for k, e := range v.bound {
		if e > s.floor[k] && e/s.Scale[k] > worst {
			worst, output = e/s.Scale[k], k
		}
	}
	return worst, output
}

// Bound bounds a box without splitting it. Unclamped: for inputs of which nothing saturates;
// infinite where that is shown to be none.
func (n *Networks) Bound(box Box, from []float64, unclamped bool) []float64 {
	b := newBounder(n, unclamped)
	return b.bound(box.from(from), nil, nil)
}

// half returns a half of a box.
func (b Box) half(input, side int) Box {
	middle := float64(0.5 * (b.Lo[input] + b.Hi[input]))
	if side == 0 {
		hi := append([]float64(nil), b.Hi...)
		hi[input] = middle
		return Box{b.Lo, hi}
	}
	lo := append([]float64(nil), b.Lo...)
	lo[input] = middle
	return Box{lo, b.Hi}
}

// from counts a box from c, outward.
func (b Box) from(c []float64) Box {
	out := Box{make([]float64, len(b.Lo)), make([]float64, len(b.Hi))}
	for j := range b.Lo {
		out.Lo[j], out.Hi[j] = b.Lo[j]-c[j], b.Hi[j]-c[j]
		if c[j] != 0 {
			out.Lo[j] = down(out.Lo[j], math.Abs(b.Lo[j])+math.Abs(c[j]))
			out.Hi[j] = up(out.Hi[j], math.Abs(b.Hi[j])+math.Abs(c[j]))
		}
	}
	return out
}

// workers returns a bounder per core.
func (n *Networks) workers(unclamped bool) []*bounder {
	all := make([]*bounder, runtime.GOMAXPROCS(0))
	for k := range all {
		all[k] = newBounder(n, unclamped)
	}
	return all
}

// evaluate bounds boxes. parents are theirs, nil for the root.
func (s *Search) evaluate(workers []*bounder, parents, boxes []*node) {
	inParallel(workers, len(boxes), func(b *bounder, k int) {
		var parent *node
		if parents != nil {
			parent = parents[k]
		}
		s.one(b, parent, boxes[k])
	})
}

// inParallel calls do for 0 … count−1 on all cores, each with a bounder of its own.
func inParallel(workers []*bounder, count int, do func(b *bounder, k int)) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for _, b := range workers[:min(len(workers), count)] {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for k := int(next.Add(1)) - 1; k < count; k = int(next.Add(1)) - 1 {
				do(b, k)
			}
		}()
	}
	wait.Wait()
}

// one bounds a box and says where to cut it.
func (s *Search) one(b *bounder, parent, v *node) {
	v.bound = b.bound(v.box.from(s.From), parent, s.Scale)
	if parent != nil {
		for k := range v.bound {
			v.bound[k] = min(v.bound[k], parent.bound[k])
		}
	}
	if parent != nil {
		if _, k := s.standing(parent); v.bound[k] > float64(staleShare*parent.bound[k]) {
			v.stale = parent.stale + 1
		}
	}
	v.dead, v.known = b.pack()
	v.next = b.promising()
}

// promising returns the input whose halving narrows most what the bounds are loose by: the states' parts of
// them, shared out by what their ranges owe to each input. −1 where every state is settled.
func (b *bounder) promising() int {
	best, most := -1, 0.0
	for j := range b.n.Inputs {
		width, sum := b.box.Hi[j]-b.box.Lo[j], 0.0
		for _, i := range b.states {
			if b.weight[i] == 0 {
				continue
			}
			spread := b.known[i].hi - b.known[i].lo
			if pull := b.pull[i*b.n.Inputs+j]; pull > 0 && spread > 0 {
				sum += float64(b.weight[i] * (float64(pull*width) / spread))
			}
		}
		if sum > most {
			best, most = j, sum
		}
	}
	return best
}

// largest takes the largest bounds of the leaves.
func (v *node) largest(bound []float64) {
	if v.halves[0] == nil {
		largestOf(bound, v.bound)
		return
	}
	v.halves[0].largest(bound)
	v.halves[1].largest(bound)
}

// cuts appends a box in preorder, undivided where that proves enough.
func (v *node) cuts(out []byte, most []float64) []byte {
	enough := true
	for k, e := range v.bound {
		enough = enough && e <= most[k]
	}
	if v.halves[0] == nil || enough && !v.given {
		return append(out, 0)
	}
	out = v.halves[0].cuts(append(out, byte(v.cut+1)), most)
	return v.halves[1].cuts(out, most)
}

// queue is a heap of leaves, the worst first; equals by their order.
type queue []*node

// Len is of heap.Interface.
func (q queue) Len() int { return len(q) }

// Swap is of heap.Interface.
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Less is of heap.Interface.
func (q queue) Less(i, j int) bool {
	if q[i].worst != q[j].worst {
		return q[i].worst > q[j].worst
	}
	return q[i].order < q[j].order
}

// Push is of heap.Interface.
func (q *queue) Push(v any) { *q = append(*q, v.(*node)) }

// Pop is of heap.Interface.
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
