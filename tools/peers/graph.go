package main

import (
	"fmt"

	"github.com/sparse-implicit/sim/format/onnx"
	"google.golang.org/protobuf/encoding/protowire"
)

// form is a way to write a quantised network in ONNX. Which one an engine runs fastest depends on the machine:
// with VNNI uint8 × int8, elsewhere perhaps int8 × int8, in small networks perhaps the dynamic one.
type form struct {
	name     string
	signed   bool // activations are int8 instead of uint8
	dynamic  bool // activations are quantised as they come, with scales of their own in each inference
	integers bool // the graph takes uint8 as they are, instead of floats
}

var forms = []form{
	{name: "static u8s8"},
	{name: "static s8s8", signed: true},
	{name: "dynamic u8s8", dynamic: true},
	{name: "static u8s8", integers: true},
}

// Element types that format/onnx does not hold.
const (
	onnxUint8 onnx.Type = 2
	onnxInt8  onnx.Type = 3
)

// byteTensor is a constant of 8-bit elements.
type byteTensor struct {
	name   string
	shape  []int
	kind   onnx.Type
	values []byte
}

// quantGraph is a graph under construction.
type quantGraph struct {
	onnx.Graph
	form  form
	bytes []byteTensor
}

// writeGraph returns layers in integers as an ONNX file: in the static forms every layer is a Gemm between
// DequantizeLinear and QuantizeLinear, which optimisers replace by one operator in integers; relu is the
// quantisation's own lower limit then. The outputs are floats. Weights are int8 with a scale for each row.
func writeGraph(layers []layer, f form) ([]byte, error) {
	g := quantGraph{form: f}
	first, last := &layers[0], &layers[len(layers)-1]
	batched := func(name string, width int, kind onnx.Type) []onnx.ValueInfo {
		return []onnx.ValueInfo{{Name: name, Type: kind, Shape: []onnx.Dim{{Size: -1, Name: batchName}, {Size: width}}}}
	}
	g.Name = "quantised"
	g.Graph.Inputs, g.Graph.Outputs = batched("input", first.In, onnx.Float32), batched("output", last.Out, onnx.Float32)
	if f.integers {
		g.Graph.Inputs = batched("input", first.In, onnxUint8)
	}
	x := "input"
	for k := range layers {
		out := fmt.Sprintf("layer%d", k+1)
		if k == len(layers)-1 {
			out = "output"
		}
		if f.dynamic {
			g.dynamicLayer(&layers[k], fmt.Sprint("d", k+1), x, out)
		} else {
			g.staticLayer(&layers[k], fmt.Sprint("s", k+1), x, out)
		}
		x = out
	}
	return g.encode()
}

// batchName is the name of the first dimension, as teacher.Network.ONNX has it.
const batchName = "N"

func (g *quantGraph) node(op, out string, inputs []string, attributes ...onnx.Attribute) {
	g.Nodes = append(g.Nodes, onnx.Node{Op: op, Name: out, Inputs: inputs, Outputs: []string{out}, Attributes: attributes})
}

// reals adds a constant of floats and returns its name.
func (g *quantGraph) reals(name string, shape []int, values ...float32) string {
	g.Initializers = append(g.Initializers, onnx.NewTensor(name, shape, values))
	return name
}

// constant adds a constant of 8-bit elements and returns its name.
func (g *quantGraph) constant(name string, shape []int, kind onnx.Type, values ...byte) string {
	g.bytes = append(g.bytes, byteTensor{name, shape, kind, values})
	return name
}

// zero adds the zero point of an activation.
func (g *quantGraph) zero(name string, zero int) string {
	if g.form.signed {
		return g.constant(name, nil, onnxInt8, byte(int8(zero-signed)))
	}
	return g.constant(name, nil, onnxUint8, byte(zero))
}

// staticLayer adds a layer whose activations have scales of their own. x is a float, or uint8 in the first layer
// of a graph that takes integers; out is a float: what lies between two layers is for the optimiser to remove.
func (g *quantGraph) staticLayer(y *layer, name, x, out string) {
	scale, zero := g.reals(name+".x.scale", nil, y.InScale), g.zero(name+".x.zero", y.InZero)
	q := x
	if x != "input" || !g.form.integers {
		q = name + ".x.q"
		g.node("QuantizeLinear", q, []string{x, scale, zero})
	}
	g.node("DequantizeLinear", name+".x", []string{q, scale, zero})

	rows, axis := []int{y.Out}, onnx.IntAttribute("axis", 0)
	g.node("DequantizeLinear", name+".w", []string{
		g.constant(name+".w.q", []int{y.Out, y.In}, onnxInt8, bytesOf(y.Weights)...),
		g.reals(name+".w.scale", rows, y.WeightScales...),
		g.constant(name+".w.zero", rows, onnxInt8, make([]byte, y.Out)...),
	}, axis)
	units := make([]float32, y.Out)
	for i := range units {
		units[i] = y.InScale * y.weightScale(i)
	}
	g.Initializers = append(g.Initializers,
		&onnx.Tensor{Name: name + ".b.q", Type: onnx.Int32, Shape: rows, Int32: y.Biases},
		&onnx.Tensor{Name: name + ".b.zero", Type: onnx.Int32, Shape: rows, Int32: make([]int32, y.Out)})
	g.node("DequantizeLinear", name+".b", []string{name + ".b.q", g.reals(name+".b.scale", rows, units...), name + ".b.zero"}, axis)
	g.node("Gemm", out, []string{name + ".x", name + ".w", name + ".b"}, onnx.IntAttribute("transB", 1))
}

// dynamicLayer adds a layer that finds the scale of its inputs itself.
func (g *quantGraph) dynamicLayer(y *layer, name, x, out string) {
	parts := []string{name + ".x.q", name + ".x.scale", name + ".x.zero"}
	g.Nodes = append(g.Nodes, onnx.Node{Op: "DynamicQuantizeLinear", Name: name + ".x", Inputs: []string{x}, Outputs: parts})
	transposed := make([]byte, len(y.Weights))
	for i := range y.Out {
		for j := range y.In {
			transposed[j*y.Out+i] = byte(y.Weights[i*y.In+j])
		}
	}
	rows := []int{y.Out}
	g.node("MatMulInteger", name+".sum", []string{
		parts[0], g.constant(name+".w.q", []int{y.In, y.Out}, onnxInt8, transposed...), parts[2],
		g.constant(name+".w.zero", rows, onnxInt8, make([]byte, y.Out)...),
	})
	g.node("Cast", name+".real", []string{name + ".sum"}, onnx.IntAttribute("to", int64(onnx.Float32)))
	g.node("Mul", name+".unit", []string{parts[1], g.reals(name+".w.scale", rows, y.WeightScales...)})
	g.node("Mul", name+".product", []string{name + ".real", name + ".unit"})
	z := out
	if y.ReLU {
		z = name + ".z"
	}
	g.node("Add", z, []string{name + ".product", g.reals(name+".b", rows, y.RealBiases...)})
	if y.ReLU {
		g.node("Relu", out, []string{z})
	}
}

func bytesOf(values []int8) []byte {
	b := make([]byte, len(values))
	for k, v := range values {
		b[k] = byte(v)
	}
	return b
}

// The fields of ONNX's messages that encode writes itself.
const (
	fieldGraph       = 7 // of a model
	fieldInitializer = 5 // of a graph
	fieldDims        = 1 // of a tensor
	fieldDataType    = 2
	fieldName        = 8
	fieldRawData     = 9
)

// encode writes the graph. What format/onnx does not hold, constants of 8 bits, follows as a second occurrence of
// the graph's field: whoever reads protocol buffers merges the two.
func (g *quantGraph) encode() ([]byte, error) {
	b, err := onnx.Encode(&g.Graph)
	if err != nil {
		return nil, err
	}
	var more []byte
	for _, t := range g.bytes {
		var tensor []byte
		for _, d := range t.shape {
			tensor = protowire.AppendVarint(protowire.AppendTag(tensor, fieldDims, protowire.VarintType), uint64(d))
		}
		tensor = protowire.AppendVarint(protowire.AppendTag(tensor, fieldDataType, protowire.VarintType), uint64(t.kind))
		tensor = protowire.AppendString(protowire.AppendTag(tensor, fieldName, protowire.BytesType), t.name)
		tensor = protowire.AppendBytes(protowire.AppendTag(tensor, fieldRawData, protowire.BytesType), t.values)
		more = protowire.AppendBytes(protowire.AppendTag(more, fieldInitializer, protowire.BytesType), tensor)
	}
	return protowire.AppendBytes(protowire.AppendTag(b, fieldGraph, protowire.BytesType), more), nil
}
