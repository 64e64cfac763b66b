package teacher

import (
	"fmt"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/onnx"
	"github.com/sparse-implicit/sim/format/sparse"
)

// ConvertOptions says what a network's file does not.
type ConvertOptions struct {
	// Lo and Hi are the box of inputs, one limit per input. Both nil: [−1, 1] is assumed, with a note.
	Lo, Hi []float32
	// Decision is the rule by which outputs become one answer. Empty: argmax when a Softmax over two
	// or more outputs was dropped, otherwise none.
	Decision model.Decision
}

// Convert returns the implicit model that computes what the ONNX graph computes, and notes on what was
// dropped or assumed. No training is involved: the coefficients are folded in float64 and rounded to
// float32. The model is causal: A is strictly lower triangular.
//
// Errors are those of FromONNX, or wrap model.ErrInvalid (a box of the wrong length, coefficients that
// overflow float32).
func Convert(g *onnx.Graph, o ConvertOptions) (*model.Model, []string, error) {
	folded, notes, err := FromONNX(g)
	if err != nil {
		return nil, nil, err
	}
	m, more, err := folded.Model(o)
	return m, append(notes, more...), err
}

// ToNetwork returns an ONNX graph as a chain of dense layers, normalisations folded in. A graph that is
// not one (skip connections, for instance) is an error that wraps ErrNotChain; Convert takes it.
func ToNetwork(g *onnx.Graph) (*Network, []string, error) {
	folded, notes, err := FromONNX(g)
	if err != nil {
		return nil, nil, err
	}
	n, err := folded.Network()
	return n, notes, err
}

// Model returns the equations as an implicit model, and notes on what was assumed.
func (g *Graph) Model(o ConvertOptions) (*model.Model, []string, error) {
	var notes []string
	lo, hi := o.Lo, o.Hi
	switch {
	case lo == nil && hi == nil:
		lo, hi = make([]float32, g.inputs), make([]float32, g.inputs)
		for j := range lo {
			lo[j], hi[j] = -1, 1
		}
		notes = append(notes, fmt.Sprintf("no input box is given, [-1, 1] is assumed for each of the %d inputs: declare it (--box, a line lo,hi per input)", g.inputs))
	case len(lo) != g.inputs || len(hi) != g.inputs:
		return nil, nil, fmt.Errorf("the box has %d lower and %d upper limits, the network has %d inputs: %w", len(lo), len(hi), g.inputs, model.ErrInvalid)
	}
	p, n, q := g.inputs, len(g.states), len(g.outputs)
	m := &model.Model{
		A: sparse.New[float32](n, n), B: sparse.New[float32](n, p),
		C: sparse.New[float32](q, n), D: sparse.New[float32](q, p),
		InputLo: append([]float32(nil), lo...), InputHi: append([]float32(nil), hi...),
		Decision:   o.Decision,
		Provenance: model.Provenance{"source": "onnx"},
	}
	if g.producer != "" {
		m.Provenance["onnx.producer"] = g.producer
	}
	if g.name != "" {
		m.Provenance["onnx.graph"] = g.name
	}
	if m.Decision == "" {
		m.Decision = model.DecideNone
		if g.Softmax() && q >= 2 {
			m.Decision = model.DecideArgmax
		}
	}
	for i, s := range g.states {
		m.StateBias = append(m.StateBias, appendRow(m.B, m.A, i, p, s.row))
		m.Activations = append(m.Activations, s.act)
	}
	for k, r := range g.outputs {
		m.OutputBias = append(m.OutputBias, appendRow(m.D, m.C, k, p, r))
	}
	if err := m.Validate(); err != nil {
		return nil, nil, err
	}
	return m, notes, nil
}

// appendRow splits a row at the last input into two matrices, in float32, and returns its bias.
func appendRow(inputs, states *sparse.Matrix[float32], i, p int, r affine) float32 {
	for k, col := range r.cols {
		v := float32(r.values[k])
		switch {
		case v == 0: // below the smallest float32
		case int(col) < p:
			inputs.Indices, inputs.Data = append(inputs.Indices, col), append(inputs.Data, v)
		default:
			states.Indices, states.Data = append(states.Indices, col-int32(p)), append(states.Data, v)
		}
	}
	inputs.AppendRow(i, nil, nil)
	states.AppendRow(i, nil, nil)
	return float32(r.constant)
}

// Network returns the equations as a chain of dense layers. Groups of states are the layers; a group
// that reads anything but the one before it is an error that wraps ErrNotChain.
func (g *Graph) Network() (*Network, error) {
	n := &Network{Inputs: g.inputs}
	from, width := 0, g.inputs // the variables that the next layer may read
	for _, group := range g.groups {
		if group.count == 0 {
			continue
		}
		states := g.states[group.first : group.first+group.count]
		rows := make([]affine, len(states))
		for i, s := range states {
			rows[i] = s.row
		}
		layer, err := denseLayer(rows, from, width, group.node)
		if err != nil {
			return nil, err
		}
		layer.Activation = states[0].act
		n.Layers = append(n.Layers, layer)
		from, width = g.inputs+group.first, group.count
	}
	layer, err := denseLayer(g.outputs, from, width, "the output")
	if err != nil {
		return nil, err
	}
	n.Layers = append(n.Layers, layer)
	return n, n.Validate()
}

// maxDense is the largest number of weights of a dense layer; more come only from elementwise products
// over very long inputs.
const maxDense = 1 << 28

func denseLayer(rows []affine, from, width int, what string) (Layer, error) {
	l := Layer{In: width, Out: len(rows)}
	if l.In > maxDense/l.Out {
		return l, fmt.Errorf("%s: a dense layer %d → %d is too large: %w", what, l.In, l.Out, ErrUnsupported)
	}
	l.W, l.B = make([]float32, l.In*l.Out), make([]float32, l.Out)
	for i, r := range rows {
		l.B[i] = float32(r.constant)
		for k, col := range r.cols {
			j := int(col) - from
			if j < 0 || j >= width {
				return l, fmt.Errorf("%s does not read the layer before it alone: %w; it can be converted, not used as a chain", what, ErrNotChain)
			}
			l.W[i*l.In+j] = float32(r.values[k])
		}
	}
	return l, nil
}
