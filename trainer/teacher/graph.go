package teacher

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/onnx"
)

// Errors that reading a network from ONNX wraps.
var (
	ErrUnsupported = errors.New("unsupported network")
	ErrNotChain    = errors.New("not a chain of dense layers")
)

// Limits of a folded network, so that a small file with large broadcasts is refused instead of filling
// the memory.
const (
	maxElements  = 1 << 22   // elements of a tensor that depends on the input
	maxConstants = 1 << 25   // elements of any other tensor that is computed
	maxTerms     = 1 << 26   // coefficients and numbers of all computed tensors together
	maxWork      = 1<<31 - 1 // multiplications of all products together
)

// Graph is a network folded to its equations. Its variables are the inputs, then the states in
// topological order. Every state is an activation of an affine function of earlier variables, every
// output an affine function of all.
type Graph struct {
	inputs   int
	states   []state
	outputs  []affine
	groups   []group
	softmax  string // description of the Softmax that was dropped, or empty
	producer string
	name     string
}

// state is one state's equation, x = φ(row).
type state struct {
	row affine
	act model.Activation
}

// group is the run of states that one node created; a layer, if the network is a chain.
type group struct {
	first, count int // among the states
	node         string
}

// affine is Σ values[k]·variable[cols[k]] + constant, columns ascending, no zero values. It is never
// changed once built, so rows may share memory.
type affine struct {
	cols     []int32
	values   []float64
	constant float64
}

// scaled returns s·a + shift.
func (a affine) scaled(s, shift float64) affine {
	out := affine{cols: a.cols, values: a.values, constant: float64(a.constant*s) + shift}
	switch {
	case s == 0:
		out.cols, out.values = nil, nil
	case s != 1:
		out.values = make([]float64, len(a.values))
		for k, v := range a.values {
			out.values[k] = v * s
		}
	}
	return out
}

// plus returns a + s·b.
func (a affine) plus(s float64, b affine) affine {
	if len(b.cols) == 0 {
		return a.scaled(1, s*b.constant)
	}
	out := affine{constant: a.constant + float64(s*b.constant)}
	for i, j := 0, 0; i < len(a.cols) || j < len(b.cols); {
		var col int32
		var v float64
		switch {
		case j == len(b.cols) || i < len(a.cols) && a.cols[i] < b.cols[j]:
			col, v, i = a.cols[i], a.values[i], i+1
		case i == len(a.cols) || b.cols[j] < a.cols[i]:
			col, v, j = b.cols[j], s*b.values[j], j+1
		default:
			col, v, i, j = a.cols[i], a.values[i]+float64(s*b.values[j]), i+1, j+1
		}
		if v != 0 {
			out.cols, out.values = append(out.cols, col), append(out.values, v)
		}
	}
	return out
}

// Inputs returns the number of inputs.
func (g *Graph) Inputs() int { return g.inputs }

// Outputs returns the number of outputs.
func (g *Graph) Outputs() int { return len(g.outputs) }

// States returns the number of states.
func (g *Graph) States() int { return len(g.states) }

// Softmax reports whether a final Softmax or LogSoftmax was dropped, so that the outputs are logits.
func (g *Graph) Softmax() bool { return g.softmax != "" }

// FromONNX folds a network into its equations, in float64. Supported are Gemm, MatMul, Add, Sub, Mul,
// Div, Constant, Relu, LeakyRelu, Clip, Tanh, Sigmoid, Flatten, Reshape, Identity, Dropout and
// BatchNormalization with their attributes, computed tensors being added to each other too (skip
// connections); a Softmax or LogSoftmax at the end is dropped with a note. Nodes that do not reach the
// output are left out. A symbolic first dimension of the input is the batch and becomes 1.
//
// A linear layer read by another one is composed with it where that costs no more nonzeros than
// carrying it in identity states; the notes say where states carry.
//
// Errors wrap ErrUnsupported and name the node and its operator.
func FromONNX(g *onnx.Graph) (*Graph, []string, error) {
	f := &folder{source: g, values: map[string]*value{}, out: &Graph{name: g.Name, producer: producerOf(g)}}
	output, err := f.run()
	if err != nil {
		return nil, nil, err
	}
	f.out.outputs = output.rows
	if output.softmax != "" {
		f.out.softmax = output.softmax
		f.note("%s is dropped: the outputs are what it reads (logits); the order of the classes is the same", output.softmax)
	}
	return f.out, f.notes, nil
}

func producerOf(g *onnx.Graph) string {
	if g.ProducerVersion == "" {
		return g.Producer
	}
	return g.Producer + " " + g.ProducerVersion
}

// value is a tensor while folding: numbers when it is constant, otherwise one affine row per element.
type value struct {
	shape   []int
	numbers []float64
	rows    []affine // nil when constant
	softmax string   // description of the Softmax that would have computed it
	uses    int      // readers still to come, pass-through nodes' own readers excepted
}

func (v *value) constant() bool { return v.rows == nil }

// row returns element i as an affine function, also of a constant.
func (v *value) row(i int) affine {
	if v.constant() {
		return affine{constant: v.numbers[i]}
	}
	return v.rows[i]
}

// folder holds what is known while the nodes are visited in order.
type folder struct {
	source *onnx.Graph
	values map[string]*value
	uses   map[string]int
	terms  int // so far, of maxTerms
	work   int // so far, of maxWork
	sum    accumulator
	out    *Graph
	notes  []string
}

func (f *folder) note(format string, args ...any) {
	f.notes = append(f.notes, fmt.Sprintf(format, args...))
}

// run visits the nodes that reach the output and returns the output's value.
func (f *folder) run() (*value, error) {
	nodes, output, err := f.reachable()
	if err != nil {
		return nil, err
	}
	if err := supported(nodes); err != nil {
		return nil, err
	}
	if err := f.addInput(); err != nil {
		return nil, err
	}
	for _, t := range f.source.Initializers {
		if f.uses[t.Name] > 0 {
			f.values[t.Name] = &value{shape: t.Shape, numbers: t.Floats()}
		}
	}
	for _, n := range nodes {
		if err := f.visit(n); err != nil {
			return nil, fmt.Errorf("%s: %w", describe(n), err)
		}
	}
	result, ok := f.values[output]
	switch {
	case !ok:
		return nil, fmt.Errorf("output %q is not computed by any node: %w", output, ErrUnsupported)
	case result.constant():
		return nil, fmt.Errorf("output %q does not depend on the input: %w", output, ErrUnsupported)
	case len(result.rows) == 0:
		return nil, fmt.Errorf("output %q has no elements: %w", output, ErrUnsupported)
	}
	return result, nil
}

// reachable returns the nodes that the output depends on, in the file's order, and counts who reads
// what.
func (f *folder) reachable() ([]*onnx.Node, string, error) {
	if n := len(f.source.Outputs); n != 1 {
		var names []string
		for _, o := range f.source.Outputs {
			names = append(names, o.Name)
		}
		return nil, "", fmt.Errorf("the graph has %d outputs %q: export it with one: %w", n, names, ErrUnsupported)
	}
	output := f.source.Outputs[0].Name
	f.uses = map[string]int{output: 1}
	var nodes []*onnx.Node
	for i := len(f.source.Nodes) - 1; i >= 0; i-- {
		n := &f.source.Nodes[i]
		if !slices.ContainsFunc(n.Outputs, func(name string) bool { return name != "" && f.uses[name] > 0 }) {
			continue
		}
		for _, name := range n.Inputs {
			f.uses[name]++
		}
		nodes = append(nodes, n)
	}
	if left := len(f.source.Nodes) - len(nodes); left > 0 {
		f.note("%d nodes do not reach output %q and are left out", left, output)
	}
	slices.Reverse(nodes)
	return nodes, output, nil
}

// addInput makes one variable per element of the graph's only free input.
func (f *folder) addInput() error {
	free := f.source.FreeInputs()
	if len(free) != 1 {
		var names []string
		for _, v := range free {
			names = append(names, v.Name)
		}
		return fmt.Errorf("the graph has %d inputs %q: export it with one: %w", len(free), names, ErrUnsupported)
	}
	in := free[0]
	switch {
	case in.Shape == nil:
		return fmt.Errorf("input %q declares no shape: export it with its shape: %w", in.Name, ErrUnsupported)
	case in.Type != 0 && in.Type != onnx.Float32 && in.Type != onnx.Float64:
		return fmt.Errorf("input %q has element type %s: export it with float32: %w", in.Name, in.Type, ErrUnsupported)
	}
	shape := make([]int, len(in.Shape))
	for i, d := range in.Shape {
		shape[i] = d.Size
		if d.Size >= 0 {
			continue
		}
		if i > 0 {
			return fmt.Errorf("dimension %d of input %q is symbolic (%q): export it with a fixed size: %w", i, in.Name, d.Name, ErrUnsupported)
		}
		shape[i] = 1
	}
	n, err := computedSize(shape)
	if err != nil {
		return fmt.Errorf("input %q: %w", in.Name, err)
	}
	if n == 0 {
		return fmt.Errorf("input %q has no elements (shape %v): %w", in.Name, shape, ErrUnsupported)
	}
	if len(shape) > 1 && shape[0] > 1 {
		f.note("input %q has a fixed first dimension of %d: it is taken as part of the input, not as a batch", in.Name, shape[0])
	}
	f.out.inputs = n
	f.values[in.Name] = &value{shape: shape, rows: units(0, n), uses: f.uses[in.Name]}
	return nil
}

// units returns one row per variable first, first+1, ….
func units(first, count int) []affine {
	rows := make([]affine, count)
	cols, ones := make([]int32, count), make([]float64, count)
	for i := range rows {
		cols[i], ones[i] = int32(first+i), 1
		rows[i] = affine{cols: cols[i : i+1 : i+1], values: ones[i : i+1 : i+1]}
	}
	return rows
}

// addStates makes a group of states and returns their rows. The rows given must have terms.
func (f *folder) addStates(n *onnx.Node, states []state) []affine {
	first := len(f.out.states)
	f.out.states = append(f.out.states, states...)
	f.out.groups = append(f.out.groups, group{first, len(states), describe(n)})
	return units(f.out.inputs+first, len(states))
}

// carry replaces the rows of v by identity states where they have terms, for all later readers.
func (f *folder) carry(n *onnx.Node, v *value) {
	var states []state
	for _, r := range v.rows {
		if len(r.cols) > 0 {
			states = append(states, state{row: r})
		}
	}
	carried := f.addStates(n, states)
	next := 0
	for i, r := range v.rows {
		if len(r.cols) > 0 {
			v.rows[i] = carried[next]
			next++
		}
	}
	f.note("the linear values that %s reads are carried by %d identity states", describe(n), len(states))
}

// share carries a value that several nodes read, when each of them repeating its terms would cost more.
func (f *folder) share(n *onnx.Node, v *value) {
	terms, rows := 0, 0
	for _, r := range v.rows {
		terms += len(r.cols)
		if len(r.cols) > 0 {
			rows++
		}
	}
	if v.uses > 1 && v.uses*terms > terms+v.uses*rows {
		f.carry(n, v)
	}
}

func describe(n *onnx.Node) string {
	name := n.Name
	if name == "" && len(n.Outputs) > 0 {
		name = n.Outputs[0]
	}
	op := n.Op
	if n.Domain != "" {
		op = n.Domain + "." + op
	}
	return fmt.Sprintf("node %q (%s)", name, op)
}

// shapeSize multiplies the dimensions of any tensor while folding.
func shapeSize(shape []int) (int, error) {
	n := 1
	for _, d := range shape {
		if d < 0 || n > 0 && d > maxConstants/n {
			return 0, fmt.Errorf("shape %v has more than %d elements: %w", shape, maxConstants, ErrUnsupported)
		}
		n *= d
	}
	return n, nil
}

// computedSize multiplies the dimensions of a tensor that depends on the input.
func computedSize(shape []int) (int, error) {
	n, err := shapeSize(shape)
	if err == nil && n > maxElements {
		err = fmt.Errorf("shape %v has more than %d elements: %w", shape, maxElements, ErrUnsupported)
	}
	return n, err
}
