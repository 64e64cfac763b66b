package teacher

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/onnx"
	"github.com/sparse-implicit/sim/format/sparse"
)

// ErrNetwork is wrapped by every error of Network.Validate.
var ErrNetwork = errors.New("invalid network")

// Network is a chain of dense layers, x ← φ(W x + b). The last layer's activation is Identity: its
// result is the output.
type Network struct {
	Inputs int
	Layers []Layer
}

// Layer is one dense layer: W is Out × In, row-major; B has length Out.
type Layer struct {
	In, Out    int
	W, B       []float32
	Activation model.Activation
}

// Validate checks that the layers fit together, that their numbers are finite and that the last one is
// linear.
func (n *Network) Validate() error {
	if len(n.Layers) == 0 {
		return fmt.Errorf("there is no layer: %w", ErrNetwork)
	}
	width := n.Inputs
	for i, l := range n.Layers {
		switch {
		case l.In != width || l.Out <= 0:
			return fmt.Errorf("layer %d is %d → %d after width %d: %w", i, l.In, l.Out, width, ErrNetwork)
		case len(l.W) != l.In*l.Out || len(l.B) != l.Out:
			return fmt.Errorf("layer %d has %d weights and %d biases, %d → %d needs %d and %d: %w", i, len(l.W), len(l.B), l.In, l.Out, l.In*l.Out, l.Out, ErrNetwork)
		}
		if err := l.Activation.Validate(); err != nil {
			return fmt.Errorf("layer %d: %w: %w", i, err, ErrNetwork)
		}
		for _, numbers := range [][]float32{l.W, l.B} {
			for _, v := range numbers {
				if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
					return fmt.Errorf("layer %d has a weight or bias that is not finite: %w", i, ErrNetwork)
				}
			}
		}
		width = l.Out
	}
	if kind := n.Layers[len(n.Layers)-1].Activation.Kind; kind != model.Identity {
		return fmt.Errorf("the last layer's activation is %s, it must be identity: %w", kind, ErrNetwork)
	}
	return nil
}

// Dims returns the widths: inputs, then every layer's output.
func (n *Network) Dims() []int {
	dims := []int{n.Inputs}
	for _, l := range n.Layers {
		dims = append(dims, l.Out)
	}
	return dims
}

// Outputs returns the width of the last layer.
func (n *Network) Outputs() int { return n.Layers[len(n.Layers)-1].Out }

// Forward32 evaluates a valid network on samples rows of u (sample-major, samples × Inputs) in float32
// and returns the outputs, samples × Outputs. After each layer collect, when it is not nil, receives
// pre-activations z and activations x, both samples × Out, which it may keep but not change; in a
// linear layer they are the same slice.
//
// The sums run over the inputs in ascending order, so the result does not depend on GOMAXPROCS nor on
// how samples are divided into calls.
func (n *Network) Forward32(u []float32, samples int, collect func(layer int, z, x []float32)) []float32 {
	x := u
	for i, l := range n.Layers {
		z := l.affine(x, samples)
		x = l.activate(z)
		if collect != nil {
			collect(i, z, x)
		}
	}
	return x
}

// affine returns x Wᵀ + b for all samples. Without a transposition the product adds scaled rows of Wᵀ
// one after the other and skips the zeros of x, of which images and relu states have many.
func (l *Layer) affine(x []float32, samples int) []float32 {
	z := make([]float32, samples*l.Out)
	for s := range samples {
		copy(z[s*l.Out:], l.B)
	}
	if samples == 0 || l.In == 0 {
		return z
	}
	transposed := make([]float32, len(l.W))
	for i := range l.Out {
		for j := range l.In {
			transposed[j*l.Out+i] = l.W[i*l.In+j]
		}
	}
	blas32.Gemm(blas.NoTrans, blas.NoTrans, 1,
		blas32.General{Rows: samples, Cols: l.In, Stride: l.In, Data: x},
		blas32.General{Rows: l.In, Cols: l.Out, Stride: l.Out, Data: transposed},
		1, blas32.General{Rows: samples, Cols: l.Out, Stride: l.Out, Data: z})
	return z
}

func (l *Layer) activate(z []float32) []float32 {
	if l.Activation.Kind == model.Identity {
		return z
	}
	x := make([]float32, len(z))
	for i, v := range z {
		x[i] = float32(l.Activation.Apply(float64(v)))
	}
	return x
}

// Model returns the network as a causal implicit model: the states are the hidden layers in order, C
// the last layer, zero weights left out. lo and hi are the box of inputs.
func (n *Network) Model(lo, hi []float32, decision model.Decision) (*model.Model, error) {
	if err := n.Validate(); err != nil {
		return nil, err
	}
	states := 0
	hidden := n.Layers[:len(n.Layers)-1]
	for _, l := range hidden {
		states += l.Out
	}
	last := n.Layers[len(hidden)]
	m := &model.Model{
		A: sparse.New[float32](states, states), B: sparse.New[float32](states, n.Inputs),
		C: sparse.New[float32](last.Out, states), D: sparse.New[float32](last.Out, n.Inputs),
		OutputBias: append([]float32(nil), last.B...),
		InputLo:    append([]float32(nil), lo...), InputHi: append([]float32(nil), hi...),
		Decision: decision,
	}
	row, from := 0, 0
	for k, l := range hidden {
		to, offset := m.A, from
		if k == 0 {
			to, offset = m.B, 0
		}
		l.appendTo(to, row, offset)
		if k > 0 {
			from += l.In
		}
		row += l.Out
		m.StateBias = append(m.StateBias, l.B...)
		for range l.Out {
			m.Activations = append(m.Activations, l.Activation)
		}
	}
	if len(hidden) == 0 {
		last.appendTo(m.D, 0, 0)
	} else {
		last.appendTo(m.C, 0, from)
	}
	return m, m.Validate()
}

// appendTo appends the layer's nonzero weights as rows row… of m, columns shifted by offset.
func (l *Layer) appendTo(m *sparse.Matrix[float32], row, offset int) {
	for i := range l.Out {
		for j, w := range l.W[i*l.In : (i+1)*l.In] {
			if w != 0 {
				m.Indices = append(m.Indices, int32(offset+j))
				m.Data = append(m.Data, w)
			}
		}
		m.AppendRow(row+i, nil, nil)
	}
}

// ONNX returns the network as a graph: per layer a Gemm (transB = 1) and its activation, input "input"
// N × Inputs, output "output" N × Outputs. Weights are shared with the network, not copied.
func (n *Network) ONNX() *onnx.Graph {
	g := &onnx.Graph{
		Name:    "network",
		Inputs:  []onnx.ValueInfo{batched("input", n.Inputs)},
		Outputs: []onnx.ValueInfo{batched("output", n.Outputs())},
	}
	x := "input"
	for i, l := range n.Layers {
		name := fmt.Sprintf("layer%d", i+1)
		z := name
		if l.Activation.Kind == model.Identity && i == len(n.Layers)-1 {
			z = "output"
		}
		g.Initializers = append(g.Initializers,
			onnx.NewTensor(name+".weight", []int{l.Out, l.In}, l.W),
			onnx.NewTensor(name+".bias", []int{l.Out}, l.B))
		g.Nodes = append(g.Nodes, onnx.Node{
			Op: "Gemm", Name: name, Inputs: []string{x, name + ".weight", name + ".bias"}, Outputs: []string{z},
			Attributes: []onnx.Attribute{onnx.IntAttribute("transB", 1)},
		})
		x = l.appendActivation(g, name, z)
	}
	return g
}

func batched(name string, width int) onnx.ValueInfo {
	return onnx.ValueInfo{Name: name, Type: onnx.Float32, Shape: []onnx.Dim{{Size: -1, Name: "N"}, {Size: width}}}
}

// appendActivation adds the node that applies the layer's activation to z, and returns its output.
func (l *Layer) appendActivation(g *onnx.Graph, name, z string) string {
	node := onnx.Node{Name: name + ".activation", Inputs: []string{z}, Outputs: []string{name + ".activation"}}
	switch l.Activation.Kind {
	case model.Identity:
		return z
	case model.ReLU:
		node.Op = "Relu"
	case model.LeakyReLU:
		node.Op = "LeakyRelu"
		node.Attributes = []onnx.Attribute{onnx.FloatAttribute("alpha", l.Activation.P0)}
	case model.ClippedReLU, model.HardTanh:
		node.Op = "Clip"
		for _, limit := range []struct {
			name  string
			value float32
		}{{name + ".min", l.Activation.P0}, {name + ".max", l.Activation.P1}} {
			g.Initializers = append(g.Initializers, onnx.NewTensor(limit.name, nil, []float32{limit.value}))
			node.Inputs = append(node.Inputs, limit.name)
		}
	case model.Tanh:
		node.Op = "Tanh"
	case model.Sigmoid:
		node.Op = "Sigmoid"
	}
	g.Nodes = append(g.Nodes, node)
	return node.Outputs[0]
}
