package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// What follows is a second reading of the files that writeGraph writes: fields as ONNX numbers them, occurrences of
// the graph merged, operators as ONNX defines them, in float64 and one after the other.

// readNode is a node of a file that was read.
type readNode struct {
	op              string
	inputs, outputs []string
	ints            map[string]int64
}

// readGraph is a file that was read. Tensors are row-major.
type readGraph struct {
	nodes   []readNode
	tensors map[string][]float64
	shapes  map[string][]int
	types   map[string]uint64 // of graph inputs too
}

// fields calls f for every field of a message.
func fields(t *testing.T, message []byte, f func(number protowire.Number, value uint64, content []byte)) {
	t.Helper()
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			t.Fatal("no tag")
		}
		message = message[n:]
		var value uint64
		var content []byte
		switch kind {
		case protowire.VarintType:
			value, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			content, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			t.Fatal("a field ends early")
		}
		message = message[n:]
		f(number, value, content)
	}
}

func readFile(t *testing.T, file []byte) *readGraph {
	t.Helper()
	g := &readGraph{tensors: map[string][]float64{}, shapes: map[string][]int{}, types: map[string]uint64{}}
	fields(t, file, func(number protowire.Number, _ uint64, content []byte) {
		if number != 7 {
			return
		}
		fields(t, content, func(number protowire.Number, _ uint64, content []byte) {
			switch number {
			case 1:
				g.readNode(t, content)
			case 5:
				g.readTensor(t, content)
			case 11:
				g.readInput(t, content)
			}
		})
	})
	return g
}

func (g *readGraph) readNode(t *testing.T, message []byte) {
	n := readNode{ints: map[string]int64{}}
	fields(t, message, func(number protowire.Number, _ uint64, content []byte) {
		switch number {
		case 1:
			n.inputs = append(n.inputs, string(content))
		case 2:
			n.outputs = append(n.outputs, string(content))
		case 4:
			n.op = string(content)
		case 5:
			var name string
			fields(t, content, func(number protowire.Number, value uint64, content []byte) {
				switch number {
				case 1:
					name = string(content)
				case 3:
					n.ints[name] = int64(value)
				}
			})
		}
	})
	g.nodes = append(g.nodes, n)
}

func (g *readGraph) readTensor(t *testing.T, message []byte) {
	var name string
	var raw []byte
	var kind uint64
	shape, elements := []int{}, 1
	fields(t, message, func(number protowire.Number, value uint64, content []byte) {
		switch number {
		case 1:
			shape = append(shape, int(value))
			elements *= int(value)
		case 2:
			kind = value
		case 8:
			name = string(content)
		case 9:
			raw = content
		}
	})
	size := map[uint64]int{1: 4, 2: 1, 3: 1, 6: 4}[kind]
	if size == 0 || len(raw) != size*elements {
		t.Fatalf("%s: type %d, shape %v, %d bytes", name, kind, shape, len(raw))
	}
	values := make([]float64, elements)
	for k := range values {
		switch kind {
		case 1:
			values[k] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*k:])))
		case 2:
			values[k] = float64(raw[k])
		case 3:
			values[k] = float64(int8(raw[k]))
		case 6:
			values[k] = float64(int32(binary.LittleEndian.Uint32(raw[4*k:])))
		}
	}
	g.tensors[name], g.shapes[name], g.types[name] = values, shape, kind
}

func (g *readGraph) readInput(t *testing.T, message []byte) {
	var name string
	fields(t, message, func(number protowire.Number, _ uint64, content []byte) {
		if number == 1 {
			name = string(content)
			return
		}
		fields(t, content, func(_ protowire.Number, _ uint64, content []byte) {
			fields(t, content, func(number protowire.Number, value uint64, _ []byte) {
				if number == 1 {
					g.types[name] = value
				}
			})
		})
	})
}

// run computes the output for one sample.
func (g *readGraph) run(t *testing.T, input []float64) []float64 {
	t.Helper()
	g.tensors["input"], g.shapes["input"] = input, []int{1, len(input)}
	for _, n := range g.nodes {
		for _, name := range n.inputs {
			if _, known := g.tensors[name]; !known {
				t.Fatalf("%s reads %q, which is not there yet", n.op, name)
			}
		}
		g.apply(t, n)
	}
	return g.tensors["output"]
}

func (g *readGraph) apply(t *testing.T, n readNode) {
	in := func(k int) []float64 { return g.tensors[n.inputs[k]] }
	x := in(0)
	y := make([]float64, len(x))
	g.shapes[n.outputs[0]] = g.shapes[n.inputs[0]]
	switch n.op {
	case "QuantizeLinear":
		lo := map[uint64]float64{2: 0, 3: -128}[g.types[n.inputs[2]]]
		for k, v := range x {
			y[k] = max(lo, min(lo+255, math.RoundToEven(v/in(1)[0])+in(2)[0]))
		}
	case "DequantizeLinear":
		inner := 1 // how many elements share a scale: all, or those of a row
		if scales := len(in(1)); scales > 1 {
			inner = len(x) / scales
		} else {
			inner = len(x)
		}
		for k, v := range x {
			y[k] = (v - in(2)[k/inner]) * in(1)[k/inner]
		}
	case "Gemm":
		y = product(x, in(1), g.shapes[n.inputs[1]], n.ints["transB"] == 1, 0, 0)
		for k := range y {
			y[k] += in(2)[k]
		}
	case "DynamicQuantizeLinear":
		g.dynamic(n, x)
		return
	case "MatMulInteger":
		y = product(x, in(1), g.shapes[n.inputs[1]], false, in(2)[0], in(3)[0])
	case "Cast":
		copy(y, x)
	case "Mul":
		y = make([]float64, max(len(x), len(in(1))))
		for k := range y {
			y[k] = x[min(k, len(x)-1)] * in(1)[k]
		}
	case "Add":
		for k, v := range x {
			y[k] = v + in(1)[k]
		}
	case "Relu":
		for k, v := range x {
			y[k] = max(0, v)
		}
	default:
		t.Fatalf("operator %s", n.op)
	}
	g.tensors[n.outputs[0]] = y
}

// dynamic is DynamicQuantizeLinear.
func (g *readGraph) dynamic(n readNode, x []float64) {
	lo, hi := 0.0, 0.0
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
	}
	scale := (hi - lo) / 255
	zero := math.RoundToEven(max(0, min(255, -lo/scale)))
	q := make([]float64, len(x))
	for k, v := range x {
		q[k] = max(0, min(255, math.RoundToEven(v/scale)+zero))
	}
	g.tensors[n.outputs[0]], g.tensors[n.outputs[1]], g.tensors[n.outputs[2]] = q, []float64{scale}, []float64{zero}
}

// product multiplies a row by a matrix, with zero points.
func product(x, w []float64, shape []int, transposed bool, xZero, wZero float64) []float64 {
	in, out := shape[0], shape[1]
	if transposed {
		in, out = out, in
	}
	y := make([]float64, out)
	for i := range y {
		for j := range in {
			at := j*out + i
			if transposed {
				at = i*in + j
			}
			y[i] += (x[j] - xZero) * (w[at] - wZero)
		}
	}
	return y
}

func TestGraphsSayWhatTheLayersDo(t *testing.T) {
	for seed := range uint64(4) {
		net, u := drawn(seed, 60)
		layers, err := quantise(net, u, true)
		if err != nil {
			t.Fatal(err)
		}
		reals := net.Forward32(u, 60, nil)
		for _, f := range forms {
			file, err := writeGraph(layers, f)
			if err != nil {
				t.Fatal(err)
			}
			g := readFile(t, file)
			if want := map[bool]uint64{false: 1, true: 2}[f.integers]; g.types["input"] != want {
				t.Errorf("%s: the input is of type %d, want %d", f.name, g.types["input"], want)
			}
			last := layers[len(layers)-1]
			for s := range 60 {
				sample := u[s*net.Inputs : (s+1)*net.Inputs]
				got := g.run(t, graphInput(layers, f, sample))
				if len(got) != last.Out {
					t.Fatalf("%s: %d outputs", f.name, len(got))
				}
				q := evaluate(layers, sample)
				for i, y := range got {
					want, allowed := float64(last.OutScale)*float64(q[i]-last.OutZero), 0.51*float64(last.OutScale)
					if f.dynamic {
						want, allowed = float64(reals[s*last.Out+i]), 0.05*255*float64(last.OutScale)
					} else if q[i] == 0 || q[i] == 255 {
						continue // the graph's last layer has no limits
					}
					if math.Abs(y-want) > allowed {
						t.Fatalf("seed %d, %s: output %d of sample %d is %g, want %g within %g", seed, f.name, i, s, y, want, allowed)
					}
				}
			}
		}
	}
}

// graphInput returns a sample as a graph of a form takes it.
func graphInput(layers []layer, f form, sample []float32) []float64 {
	values := make([]float64, len(sample))
	for j, u := range sample {
		values[j] = float64(u)
		if f.integers {
			values[j] = float64(activation(u, layers[0].InScale, layers[0].InZero))
		}
	}
	return values
}

func TestGraphsAreTheSameBytesEveryTime(t *testing.T) {
	net, u := drawn(2, 30)
	layers, err := quantise(net, u, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range forms {
		a, _ := writeGraph(layers, f)
		b, _ := writeGraph(layers, f)
		if fmt.Sprintf("%x", a) != fmt.Sprintf("%x", b) {
			t.Errorf("%s: two files of one network differ", f.name)
		}
	}
}
