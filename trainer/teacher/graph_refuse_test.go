package teacher

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/onnx"
)

func TestWhatCannotBeConvertedIsRefusedByName(t *testing.T) {
	relu := func(s *sketch) string { return s.of("Relu", "r", "x") }
	for _, c := range []struct {
		name  string
		build func() *onnx.Graph
		says  []string
	}{
		{"a convolution", func() *onnx.Graph {
			s := newSketch(1, 3, 8, 8)
			return s.graph(s.of("MaxPool", "pool1", s.node("Conv", "conv1", names("x", s.weight("w", 4, 3, 3, 3)))))
		}, []string{`node "conv1" (Conv)`, "MaxPool", "not supported"}},
		{"another operator set", func() *onnx.Graph {
			s := newSketch(-1, 3)
			s.of("Relu", "r", "x")
			s.g.Nodes[0].Domain = "com.example"
			return s.graph("r")
		}, []string{`node "r" (com.example.Relu)`}},
		{"a softmax in the middle", func() *onnx.Graph {
			s := newSketch(-1, 3)
			return s.graph(s.dense("y", s.of("Softmax", "attention", relu(s)), 3, 2))
		}, []string{`node "y" (Gemm)`, `node "attention" (Softmax)`, "end of the network"}},
		{"a softmax behind an identity", func() *onnx.Graph {
			s := newSketch(-1, 3)
			return s.graph(s.of("Tanh", "y", s.of("Identity", "i", s.of("Softmax", "p", relu(s)))))
		}, []string{`node "y" (Tanh)`, `node "p" (Softmax)`}},
		{"a softmax over a part", func() *onnx.Graph {
			s := newSketch(4, 3)
			return s.graph(s.of("Softmax", "y", relu(s)))
		}, []string{`node "y" (Softmax)`, "over all outputs"}},
		{"a product of two tensors", func() *onnx.Graph {
			s := newSketch(-1, 3)
			return s.graph(s.node("Mul", "gate", names("x", relu(s))))
		}, []string{`node "gate" (Mul)`, "depend on the input"}},
		{"a matrix product of two tensors", func() *onnx.Graph {
			s := newSketch(3, 3)
			return s.graph(s.node("MatMul", "scores", names("x", relu(s))))
		}, []string{`node "scores" (MatMul)`, "depend on the input"}},
		{"a computed divisor", func() *onnx.Graph {
			s := newSketch(-1, 3)
			return s.graph(s.node("Div", "ratio", names(s.number("one", 1), relu(s))))
		}, []string{`node "ratio" (Div)`, "divisor"}},
		{"a division by zero", func() *onnx.Graph {
			s := newSketch(-1, 3)
			return s.graph(s.node("Div", "ratio", names("x", s.number("zero", 0))))
		}, []string{`node "ratio" (Div)`, "not finite"}},
		{"a NaN weight", func() *onnx.Graph {
			s := newSketch(-1, 3)
			s.dense("y", "x", 3, 2)
			s.g.Initializers[0].Float32[4] = float32(math.NaN())
			return s.graph("y")
		}, []string{`node "y" (Gemm)`, "not finite"}},
		{"a falling leaky relu", func() *onnx.Graph {
			s := newSketch(-1, 3)
			return s.graph(s.of("LeakyRelu", "l", "x", onnx.FloatAttribute("alpha", -0.5)))
		}, []string{`node "l" (LeakyRelu)`, "-0.5"}},
		{"dropout in training", func() *onnx.Graph {
			s := newSketch(-1, 3)
			return s.graph(s.node("Dropout", "d", names("x", s.number("ratio", 0.5), s.number("training", 1))))
		}, []string{`node "d" (Dropout)`, "training"}},
		{"batch normalisation in training", func() *onnx.Graph {
			s := newSketch(-1, 3)
			c := s.weight("c", 3)
			return s.graph(s.node("BatchNormalization", "n", names("x", c, c, c, c), onnx.IntAttribute("training_mode", 1)))
		}, []string{`node "n" (BatchNormalization)`, "training"}},
		{"weights that do not fit", func() *onnx.Graph {
			s := newSketch(-1, 3)
			return s.graph(s.dense("y", "x", 4, 2))
		}, []string{`node "y" (Gemm)`, "[1 3]", "[4 2]"}},
		{"a reshape to another size", func() *onnx.Graph {
			s := newSketch(-1, 3)
			return s.graph(s.node("Reshape", "y", names("x", s.shape("s", 2, 2))))
		}, []string{`node "y" (Reshape)`, "[2 2]"}},
		{"a tensor that nothing computes", func() *onnx.Graph {
			s := newSketch(-1, 3)
			return s.graph(s.node("Add", "y", names("x", "nowhere")))
		}, []string{`node "y" (Add)`, `"nowhere"`}},
		{"nodes in the wrong order", func() *onnx.Graph {
			s := newSketch(-1, 3)
			s.of("Relu", "y", "t")
			s.of("Tanh", "t", "x")
			s.g.Nodes[0], s.g.Nodes[1] = s.g.Nodes[1], s.g.Nodes[0]
			s.of("Relu", "z", "late")
			s.of("Tanh", "late", "y")
			return s.graph("z")
		}, []string{`node "z" (Relu)`, `"late"`}},
		{"an output without the input", func() *onnx.Graph {
			s := newSketch(-1, 3)
			return s.graph(s.of("Relu", "y", s.weight("c", 3)))
		}, []string{`"y"`, "does not depend"}},
		{"two outputs", func() *onnx.Graph {
			s := newSketch(-1, 3)
			g := s.graph(relu(s))
			g.Outputs = append(g.Outputs, onnx.ValueInfo{Name: "x"})
			return g
		}, []string{"2 outputs"}},
		{"a symbolic length", func() *onnx.Graph {
			s := newSketch(1, -1)
			return s.graph(relu(s))
		}, []string{`"x"`, "symbolic"}},
		{"an image of bytes", func() *onnx.Graph {
			s := newSketch(1, 3)
			s.g.Inputs[0].Type = 2
			return s.graph(relu(s))
		}, []string{`"x"`, "uint8"}},
		{"a broadcast without end", func() *onnx.Graph {
			s := newSketch(1, 5000)
			column := s.node("Reshape", "column", names(relu(s), s.shape("s", 5000, 1)))
			return s.graph(s.node("Add", "y", names("x", column)))
		}, []string{`node "y" (Add)`, "more than"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Convert(c.build(), ConvertOptions{})
			if !errors.Is(err, ErrUnsupported) {
				t.Fatalf("error %v, want ErrUnsupported", err)
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}
