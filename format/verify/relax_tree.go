package verify

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/sparse-implicit/sim/format/simb"
)

// defaultWork is how many multiplications the check of one relaxed claim may take where Options says
// nothing: minutes.
const defaultWork = 1 << 39

// mostRanges caps the ranges that are kept on the way from the root of a tree to a leaf.
const mostRanges = 1 << 23

// parallelNodes is the size from which a subtree is worth a goroutine.
const parallelNodes = 64

// Limits of a tree, those of the format.
const (
	mostNodes    = 1 << 20
	mostDepth    = 512
	mostCuttable = 254 // inputs that a cut can name
)

var errWork = errors.New("too much work")

// forest walks the boxes of one claim. Subtrees are shared out among the cores; a largest figure is the same in
// any order.
type forest struct {
	*relaxation
	tree  []uint8
	sizes []int32 // nodes of the subtree that begins at each node
	most  int64   // multiplications allowed
	done  atomic.Int64
	free  chan struct{} // one for each core that could take a subtree
	group sync.WaitGroup

	lock    sync.Mutex
	figures []leafBound
}

// leafBound is the largest bound of an output over the leaves, and the first leaf that has it.
type leafBound struct {
	bound float64
	node  int
}

// put keeps the larger figure of two.
func (f *leafBound) put(other leafBound) {
	if other.bound > f.bound || other.bound == f.bound && other.node < f.node {
		*f = other
	}
}

// bounds returns the bound of each output over a tree of boxes, nil for one box. The error is errWork.
func (r *relaxation) bounds(tree []uint8, most int64) ([]leafBound, error) {
	if tree == nil {
		tree = []uint8{0}
	}
	f := &forest{relaxation: r, tree: tree, most: most, free: make(chan struct{}, runtime.GOMAXPROCS(0)-1)}
	depth := f.measure()
	if depth > mostDepth || r.c.n > 0 && depth+1 > mostRanges/r.c.n {
		return nil, errWork
	}
	f.figures = make([]leafBound, r.c.m.Outputs())
	for k := range f.figures {
		f.figures[k] = leafBound{-1, math.MaxInt}
	}
	w := f.newWalker()
	copy(w.lo, r.lowest)
	copy(w.hi, r.highest)
	w.visit(0, 0)
	w.finish()
	f.group.Wait()
	if f.done.Load() > most {
		return nil, errWork
	}
	return f.figures, nil
}

// structureTrees checks that a tree is one, and that the claim without saturation has none.
func structureTrees(m *simb.Model) error {
	c := &m.Certificates
	if c.RelaxedCalibrated != nil && len(c.RelaxedCalibrated.Tree) > 0 {
		return fmt.Errorf("the relaxed bound without saturation has a tree")
	}
	if c.Relaxed == nil {
		return nil
	}
	open, most := 1, min(len(m.Inputs), mostCuttable)
	for k, cut := range c.Relaxed.Tree {
		if open == 0 {
			return fmt.Errorf("the tree of boxes ends before node %d", k)
		}
		if open--; cut > 0 {
			open += 2
		}
		if int(cut) > most {
			return fmt.Errorf("node %d of the tree cuts input %d of %d", k, cut-1, most)
		}
	}
	if open > 0 || len(c.Relaxed.Tree) > mostNodes {
		return fmt.Errorf("the tree of boxes has %d nodes, %d are missing", len(c.Relaxed.Tree), open)
	}
	return nil
}

// measure finds the sizes of all subtrees, and the most cuts from the root to a leaf.
func (f *forest) measure() (depth int) {
	f.sizes = make([]int32, len(f.tree))
	depths := make([]int32, len(f.tree))
	for k := len(f.tree) - 1; k >= 0; k-- {
		f.sizes[k] = 1
		if f.tree[k] == 0 {
			continue
		}
		lower := k + 1
		upper := lower + int(f.sizes[lower])
		f.sizes[k] += f.sizes[lower] + f.sizes[upper]
		depths[k] = 1 + max(depths[lower], depths[upper])
	}
	return int(depths[0])
}

// walker evaluates one subtree after the other. What it knows of the boxes from the root to the present
// one is in known and outputs, by depth.
type walker struct {
	*forest
	boxes   *boxBounds
	lo, hi  []float64
	known   []*ranges
	outputs [][]float64
	figures []leafBound
}

func (f *forest) newWalker() *walker {
	w := &walker{forest: f, boxes: f.newBoxBounds(), lo: make([]float64, f.c.p), hi: make([]float64, f.c.p), figures: make([]leafBound, len(f.figures))}
	for k := range w.figures {
		w.figures[k] = leafBound{-1, math.MaxInt}
	}
	w.boxes.most = f.most
	return w
}

// level returns room for what is known at a depth.
func (w *walker) level(depth int) (*ranges, []float64) {
	for len(w.known) <= depth {
		w.known = append(w.known, &ranges{make([]interval, w.c.n), make([]interval, w.c.n)})
		w.outputs = append(w.outputs, make([]float64, len(w.figures)))
	}
	return w.known[depth], w.outputs[depth]
}

// visit bounds the box of a node, within what is known of the one around it, and goes on into its halves.
func (w *walker) visit(node, depth int) {
	if w.done.Load() > w.most {
		return
	}
	into, outputs := w.level(depth)
	var around *ranges
	if depth > 0 {
		around = w.known[depth-1]
	}
	w.evaluate(around, into, outputs)
	if depth > 0 {
		for k, known := range w.outputs[depth-1] {
			outputs[k] = min(outputs[k], known)
		}
	}
	if w.tree[node] == 0 {
		for k, bound := range outputs {
			w.figures[k].put(leafBound{bound, node})
		}
		return
	}
	j := int(w.tree[node]) - 1
	lo, hi := w.lo[j], w.hi[j]
	middle := (lo + hi) / 2
	upper := node + 1 + int(w.sizes[node+1])
	w.lo[j] = middle
	shared := w.share(upper, depth+1)
	w.lo[j], w.hi[j] = lo, middle
	w.visit(node+1, depth+1)
	w.lo[j], w.hi[j] = middle, hi
	if !shared {
		w.visit(upper, depth+1)
	}
	w.lo[j] = lo
}

// share gives a large subtree to a free core, if there is one.
func (w *walker) share(node, depth int) bool {
	if w.sizes[node] < parallelNodes {
		return false
	}
	select {
	case w.free <- struct{}{}:
	default:
		return false
	}
	other := w.newWalker()
	copy(other.lo, w.lo)
	copy(other.hi, w.hi)
	other.level(depth - 1)
	copy(other.known[depth-1].z, w.known[depth-1].z)
	copy(other.known[depth-1].d, w.known[depth-1].d)
	copy(other.outputs[depth-1], w.outputs[depth-1])
	w.group.Add(1)
	go func() {
		defer w.group.Done()
		other.visit(node, depth)
		other.finish()
		<-w.free
	}()
	return true
}

// evaluate bounds the outputs over the present box. Where a range overflows, nothing is proved of the box.
func (w *walker) evaluate(around, into *ranges, outputs []float64) {
	b := w.boxes
	b.enter(w.lo, w.hi)
	b.states(around, into)
	for k := range outputs {
		outputs[k] = math.Inf(1)
		if !b.overflow {
			outputs[k] = b.outputBound(k)
		}
	}
	if b.overflow {
		for i := range into.z {
			into.z[i], into.d[i] = everything, everything
		}
	}
	w.done.Add(b.work)
	b.work = 0
}

// outputBound returns the bound of output k over the present box.
func (b *boxBounds) outputBound(k int) float64 {
	return addUp(b.output(b.c.n+k).magnitude(), b.outputRounding[k])
}

// finish hands in the walker's figures.
func (w *walker) finish() {
	w.lock.Lock()
	defer w.lock.Unlock()
	for k := range w.figures {
		w.forest.figures[k].put(w.figures[k])
	}
}

// relaxed checks one family of figures of a relaxed claim, against the float model or, without one, against
// what the integers stand for.
func (c *checker) relaxed(name string, l *links, claim *simb.RelaxedCertificate, calibrated bool) Check {
	if claim == nil {
		return notClaimed(name)
	}
	if len(c.loops) > 0 {
		return failed(name, "relaxed bounds are for models without loops")
	}
	work := c.relaxation
	if work <= 0 {
		work = defaultWork
	}
	claimed := claim.Realised
	if l != nil {
		claimed = claim.Output
	}
	figures, err := c.newRelaxation(l, calibrated).bounds(claim.Tree, work)
	if err != nil {
		return failed(name, "not checked: its %d boxes take more than %d multiplications", (len(claim.Tree)+1)/2, work)
	}
	for k, f := range figures {
		if !(f.bound <= float64(claimed[k])) {
			return failed(name, "output %d: an error of %g is claimed, proved is %g%s", k, claimed[k], f.bound, boxOf(claim.Tree, f.node))
		}
	}
	return passed(name, "largest output error %.4g%s", largest(claimed), inBoxes(claim.Tree))
}

func boxOf(tree []uint8, node int) string {
	if len(tree) < 2 {
		return ""
	}
	leaf := 0
	for _, cut := range tree[:node] {
		if cut == 0 {
			leaf++
		}
	}
	return fmt.Sprintf(", in box %d of %d", leaf, (len(tree)+1)/2)
}

func inBoxes(tree []uint8) string {
	if len(tree) < 2 {
		return ""
	}
	return fmt.Sprintf(" over %d boxes", (len(tree)+1)/2)
}
