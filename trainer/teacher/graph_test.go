package teacher

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/onnx"
)

// sketch builds small graphs over one input x. Constants are random, reproducibly so.
type sketch struct {
	g      onnx.Graph
	random *rand.Rand
}

func newSketch(shape ...int) *sketch {
	s := &sketch{random: rand.New(rand.NewPCG(1, 2))}
	dims := make([]onnx.Dim, len(shape))
	for i, d := range shape {
		dims[i] = onnx.Dim{Size: d}
		if d < 0 {
			dims[i].Name = "N"
		}
	}
	s.g.Inputs = []onnx.ValueInfo{{Name: "x", Type: onnx.Float32, Shape: dims}}
	return s
}

// random constants in [lo, hi].
func (s *sketch) uniform(name string, lo, hi float32, shape ...int) string {
	n := 1
	for _, d := range shape {
		n *= d
	}
	values := make([]float32, n)
	for i := range values {
		values[i] = lo + (hi-lo)*s.random.Float32()
	}
	s.g.Initializers = append(s.g.Initializers, onnx.NewTensor(name, shape, values))
	return name
}

func (s *sketch) weight(name string, shape ...int) string { return s.uniform(name, -1, 1, shape...) }

func (s *sketch) number(name string, v float32) string {
	s.g.Initializers = append(s.g.Initializers, onnx.NewTensor(name, nil, []float32{v}))
	return name
}

func (s *sketch) shape(name string, dims ...int64) string {
	s.g.Initializers = append(s.g.Initializers, onnx.NewIntTensor(name, []int{len(dims)}, dims))
	return name
}

// node appends a node whose name and output are out.
func (s *sketch) node(op, out string, inputs []string, attributes ...onnx.Attribute) string {
	s.g.Nodes = append(s.g.Nodes, onnx.Node{Op: op, Name: out, Inputs: inputs, Outputs: []string{out}, Attributes: attributes})
	return out
}

func (s *sketch) of(op, out, input string, attributes ...onnx.Attribute) string {
	return s.node(op, out, []string{input}, attributes...)
}

// dense appends in·W + b with random W and b.
func (s *sketch) dense(out, input string, from, to int) string {
	return s.node("Gemm", out, []string{input, s.weight(out+".w", from, to), s.weight(out+".b", to)})
}

// graph finishes with the tensor that is the output.
func (s *sketch) graph(output string) *onnx.Graph {
	s.g.Outputs = []onnx.ValueInfo{{Name: output, Type: onnx.Float32}}
	return &s.g
}

func names(v ...string) []string { return v }

// Every supported operator in the middle of a small network, so that what is folded before and after a
// state is exercised.
var supportedGraphs = map[string]func() *onnx.Graph{
	"dense layers without activation": func() *onnx.Graph {
		s := newSketch(1, 4)
		return s.graph(s.dense("y", s.dense("h", "x", 4, 3), 3, 5))
	},
	"an output that is the input": func() *onnx.Graph {
		s := newSketch(-1, 3)
		return s.graph(s.of("Identity", "y", "x"))
	},
	"relu": func() *onnx.Graph {
		s := newSketch(-1, 4)
		return s.graph(s.dense("y", s.of("Relu", "r", s.dense("h", "x", 4, 6)), 6, 3))
	},
	"tanh, sigmoid as output": func() *onnx.Graph {
		s := newSketch(-1, 4)
		h := s.of("Tanh", "t", s.dense("h", "x", 4, 6))
		return s.graph(s.of("Sigmoid", "y", s.dense("z", h, 6, 3)))
	},
	"leaky relu with default, small, zero, unit and large slope": func() *onnx.Graph {
		s := newSketch(-1, 4)
		h := s.of("LeakyRelu", "l1", s.dense("h1", "x", 4, 6))
		for i, alpha := range []float32{0.3, 0, 1, 2.5} {
			n := string(rune('2' + i))
			h = s.of("LeakyRelu", "l"+n, s.dense("h"+n, h, 6, 6), onnx.FloatAttribute("alpha", alpha))
		}
		return s.graph(s.dense("y", h, 6, 3))
	},
	"clip by attributes": func() *onnx.Graph {
		s := newSketch(-1, 4)
		h := s.of("Clip", "c1", s.dense("h1", "x", 4, 6), onnx.FloatAttribute("min", 0), onnx.FloatAttribute("max", 1))
		h = s.of("Clip", "c2", s.dense("h2", h, 6, 6), onnx.FloatAttribute("min", -0.5), onnx.FloatAttribute("max", 0.5))
		h = s.of("Clip", "c3", s.dense("h3", h, 6, 6), onnx.FloatAttribute("min", 0.25))
		h = s.of("Clip", "c4", s.dense("h4", h, 6, 6), onnx.FloatAttribute("max", 0.25))
		h = s.of("Clip", "c5", s.dense("h5", h, 6, 6), onnx.FloatAttribute("min", -math.MaxFloat32), onnx.FloatAttribute("max", math.MaxFloat32))
		return s.graph(s.dense("y", h, 6, 3))
	},
	"clip by inputs with odd limits": func() *onnx.Graph {
		s := newSketch(-1, 4)
		h := s.node("Clip", "c1", names(s.dense("h1", "x", 4, 6), s.number("lo1", -0.3), s.number("hi1", 1.7)))
		h = s.node("Clip", "c2", names(s.dense("h2", h, 6, 6), s.number("lo2", 0.2), s.number("hi2", 0.9)))
		h = s.node("Clip", "c3", names(s.dense("h3", h, 6, 6), s.number("lo3", -2), s.number("hi3", -0.1)))
		h = s.node("Clip", "c4", names(s.dense("h4", h, 6, 6), "", s.number("hi4", -0.4)))
		h = s.node("Clip", "c5", names(s.dense("h5", h, 6, 6), s.number("lo5", -0.2), ""))
		h = s.node("Clip", "c6", names(s.dense("h6", h, 6, 6), "", ""))
		return s.graph(s.of("Relu", "y", s.node("Clip", "c7", names(h, s.number("lo7", -0.3), s.number("hi7", 0.3)))))
	},
	"clip whose limits meet or cross": func() *onnx.Graph {
		s := newSketch(-1, 4)
		h := s.dense("h", "x", 4, 6)
		a := s.node("Clip", "c1", names(h, s.number("lo1", 0.5), s.number("hi1", 0.5)))
		b := s.node("Clip", "c2", names(h, s.number("lo2", 0.75), s.number("hi2", -0.25)))
		return s.graph(s.node("Add", "y", names(h, s.node("Sub", "d", names(a, b)))))
	},
	"gemm with alpha, beta and both transpositions": func() *onnx.Graph {
		s := newSketch(4, 1)
		h := s.node("Gemm", "h", names("x", s.weight("w1", 6, 4), s.weight("b1", 1, 6)), onnx.IntAttribute("transA", 1), onnx.IntAttribute("transB", 1), onnx.FloatAttribute("alpha", 0.5), onnx.FloatAttribute("beta", -2))
		h = s.of("Relu", "r", h)
		return s.graph(s.node("Gemm", "y", names(h, s.weight("w2", 6, 3), s.number("b2", 0.7)), onnx.FloatAttribute("alpha", 3)))
	},
	"gemm without bias, with the weights first and with a computed bias": func() *onnx.Graph {
		s := newSketch(4, 1)
		h := s.node("Gemm", "h", names(s.weight("w1", 6, 4), "x"))
		h = s.of("Relu", "r", h)
		return s.graph(s.node("Gemm", "y", names(s.weight("w2", 6, 6), h, h), onnx.FloatAttribute("beta", 0.25)))
	},
	"matmul of vectors and stacks": func() *onnx.Graph {
		s := newSketch(2, 3, 4)
		h := s.of("Relu", "r", s.node("MatMul", "m1", names("x", s.weight("w1", 4, 5))))
		h = s.of("Tanh", "t", s.node("MatMul", "m2", names(s.weight("w2", 2, 2, 3), h)))
		return s.graph(s.node("MatMul", "y", names(h, s.weight("w3", 5))))
	},
	"matmul with a vector first": func() *onnx.Graph {
		s := newSketch(4)
		h := s.of("Relu", "r", s.node("MatMul", "m1", names("x", s.weight("w1", 4, 5))))
		h = s.node("MatMul", "m2", names(s.weight("w2", 3, 5), h))
		return s.graph(s.of("Tanh", "y", h))
	},
	"a narrow linear layer between wide ones": func() *onnx.Graph {
		s := newSketch(-1, 12)
		h := s.of("Relu", "r1", s.dense("h1", "x", 12, 12))
		h = s.of("Relu", "r2", s.dense("wide", s.dense("narrow", h, 12, 2), 2, 12))
		return s.graph(s.dense("y", h, 12, 4))
	},
	"arithmetic with constants on both sides": func() *onnx.Graph {
		s := newSketch(-1, 4)
		h := s.node("Sub", "s1", names("x", s.weight("mean", 1, 4)))
		h = s.node("Div", "d1", names(h, s.uniform("deviation", 0.5, 2, 4)))
		h = s.of("Relu", "r", s.dense("h", h, 4, 5))
		h = s.node("Sub", "s2", names(s.weight("from", 5), h))
		h = s.node("Mul", "m1", names(h, s.weight("factor", 5)))
		h = s.node("Mul", "m2", names(s.number("two", 2), h))
		return s.graph(s.node("Add", "y", names(s.weight("plus", 5), h)))
	},
	"constant nodes and arithmetic among constants": func() *onnx.Graph {
		s := newSketch(-1, 4)
		c := s.node("Constant", "c", nil, onnx.TensorAttribute("value", onnx.NewTensor("", []int{4}, []float32{1, -2, 3, 0.5})))
		c = s.node("Mul", "c2", names(c, s.weight("w", 5, 4)))
		c = s.node("Gemm", "c3", names(c, s.weight("w2", 4, 4)), onnx.IntAttribute("transA", 0))
		c = s.of("Relu", "c4", s.node("Div", "c5", names(c, s.uniform("v", 1, 2, 4))))
		return s.graph(s.of("Relu", "y", s.node("Gemm", "h", names("x", c), onnx.IntAttribute("transB", 1))))
	},
	"constants in every attribute": func() *onnx.Graph {
		s := newSketch(-1, 2, 3)
		h := s.node("Reshape", "r", names("x", s.node("Constant", "ints", nil, onnx.Attribute{Name: "value_ints", Kind: onnx.AttributeInts, Ints: []int64{1, 6}})))
		h = s.node("Mul", "m1", names(h, s.node("Constant", "float", nil, onnx.FloatAttribute("value_float", 0.5))))
		h = s.node("Add", "a1", names(h, s.node("Constant", "int", nil, onnx.IntAttribute("value_int", 3))))
		floats := onnx.Attribute{Name: "value_floats", Kind: onnx.AttributeFloats, Floats: []float32{1, 2, 3, 4, 5, 6}}
		return s.graph(s.node("Sub", "y", names(s.node("Constant", "floats", nil, floats), h)))
	},
	"elements that turn out constant": func() *onnx.Graph {
		s := newSketch(-1, 4)
		h := s.dense("h", "x", 4, 6)
		mask := []float32{1, 0, 1, 0, 0, 1}
		s.g.Initializers = append(s.g.Initializers, onnx.NewTensor("mask", []int{6}, mask))
		h = s.node("Add", "a", names(s.node("Mul", "m", names(h, "mask")), s.weight("c", 6)))
		h = s.of("LeakyRelu", "l", h, onnx.FloatAttribute("alpha", 0.5))
		h = s.dense("wide", s.node("Mul", "m2", names(s.dense("narrow", h, 6, 3), s.uniform("mask2", 0, 0, 3))), 3, 20)
		return s.graph(s.of("Tanh", "y", s.node("Add", "a2", names(h, s.dense("z", "x", 4, 20)))))
	},
	"two variables broadcast against each other": func() *onnx.Graph {
		s := newSketch(1, 3)
		a := s.of("Relu", "a", "x")
		b := s.node("Reshape", "b", names(s.of("Tanh", "t", "x"), s.shape("column", 3, 1)))
		return s.graph(s.node("Sub", "y", names(a, b)))
	},
	"skip connections": func() *onnx.Graph {
		s := newSketch(-1, 6)
		h := s.dense("stem", "x", 6, 6)
		for _, n := range []string{"1", "2", "3"} {
			r := s.of("Relu", "r"+n, s.dense("h"+n, h, 6, 8))
			h = s.node("Add", "a"+n, names(h, s.dense("p"+n, r, 8, 6)))
		}
		return s.graph(s.node("Add", "y", names(s.dense("out", h, 6, 6), "x")))
	},
	"a tensor added to itself": func() *onnx.Graph {
		s := newSketch(-1, 4)
		h := s.of("Relu", "r", s.dense("h", "x", 4, 4))
		return s.graph(s.node("Sub", "y", names(s.node("Add", "a", names(h, h)), "x")))
	},
	"batch normalisation before and after activations": func() *onnx.Graph {
		s := newSketch(-1, 4)
		norm := func(name, in string, c int) string {
			return s.node("BatchNormalization", name, names(in, s.weight(name+".g", c), s.weight(name+".b", c), s.weight(name+".m", c), s.uniform(name+".v", 0.1, 2, c)), onnx.FloatAttribute("epsilon", 1e-3))
		}
		h := s.of("Relu", "r1", norm("n1", s.dense("h1", norm("n0", "x", 4), 4, 6), 6))
		return s.graph(norm("y", s.dense("h2", norm("n2", h, 6), 6, 3), 3))
	},
	"batch normalisation over channels": func() *onnx.Graph {
		s := newSketch(1, 3, 2, 2)
		h := s.node("BatchNormalization", "n", names("x", s.weight("g", 3), s.weight("b", 3), s.weight("m", 3), s.uniform("v", 0.1, 2, 3)))
		return s.graph(s.dense("y", s.of("Flatten", "f", s.of("Relu", "r", h)), 12, 3))
	},
	"reshape, flatten, identity and dropout": func() *onnx.Graph {
		s := newSketch(-1, 2, 3, 2)
		h := s.node("Reshape", "r1", names("x", s.shape("s1", 0, -1)))
		h = s.of("Dropout", "d1", s.of("Relu", "a1", s.dense("h1", h, 12, 6)), onnx.FloatAttribute("ratio", 0.5))
		h = s.node("Reshape", "r2", names(h, s.shape("s2", 0, 2, -1)))
		h = s.of("Flatten", "f1", h, onnx.IntAttribute("axis", 2))
		h = s.of("Identity", "i2", s.of("Identity", "i1", h))
		return s.graph(s.node("MatMul", "y", names(h, s.weight("w", 3, 2))))
	},
	"a final softmax, reshaped": func() *onnx.Graph {
		s := newSketch(-1, 4)
		h := s.of("Softmax", "p", s.dense("h", s.of("Relu", "r", "x"), 4, 5), onnx.IntAttribute("axis", 1))
		return s.graph(s.node("Reshape", "y", names(s.of("Identity", "i", h), s.shape("s", 5))))
	},
	"a final log-softmax": func() *onnx.Graph {
		s := newSketch(-1, 4)
		return s.graph(s.of("LogSoftmax", "y", s.dense("h", "x", 4, 5)))
	},
	"nodes that reach nothing": func() *onnx.Graph {
		s := newSketch(-1, 4)
		y := s.dense("y", "x", 4, 5)
		s.of("Tanh", "unused", y)
		return s.graph(y)
	},
}

func TestConvertComputesWhatTheGraphComputes(t *testing.T) {
	for name, build := range supportedGraphs {
		t.Run(name, func(t *testing.T) {
			g := build()
			data, err := onnx.Encode(g)
			if err != nil {
				t.Fatal(err)
			}
			if g, err = onnx.Decode(data); err != nil {
				t.Fatal(err)
			}
			m, _, err := Convert(g, ConvertOptions{})
			if err != nil {
				t.Fatal(err)
			}
			inputs := boxSamples(rand.New(rand.NewPCG(3, 4)), uniformBox(m.Inputs(), -2, 2), 100)
			compare(t, g, m, inputs, 1e-6)
			if n, _, err := ToNetwork(g); err == nil {
				compareNetwork(t, g, n, inputs, 1e-5)
			} else if !errors.Is(err, ErrNotChain) {
				t.Errorf("as a network: %v", err)
			}
		})
	}
}

func uniformBox(n int, lo, hi float32) [][2]float32 {
	box := make([][2]float32, n)
	for j := range box {
		box[j] = [2]float32{lo, hi}
	}
	return box
}

// boxSamples draws inputs from a box, corners among them.
func boxSamples(random *rand.Rand, box [][2]float32, count int) [][]float32 {
	samples := make([][]float32, count)
	for s := range samples {
		samples[s] = make([]float32, len(box))
		for j, b := range box {
			r := random.Float32()
			if s%4 == 3 {
				r = float32(math.Round(float64(r)))
			}
			samples[s][j] = b[0] + (b[1]-b[0])*r
		}
	}
	return samples
}

// compare holds the reference equilibrium of a model against the oracle, relative to the largest output.
func compare(t *testing.T, g *onnx.Graph, m *model.Model, inputs [][]float32, tolerance float64) (worst float64) {
	t.Helper()
	requireStrictlyLower(t, m)
	solver, err := model.NewSolver(m)
	if err != nil {
		t.Fatal(err)
	}
	got, want := make([][]float64, len(inputs)), make([][]float64, len(inputs))
	for s, u := range inputs {
		wide := make([]float64, len(u))
		for j, v := range u {
			wide[j] = float64(v)
		}
		got[s], want[s] = make([]float64, m.Outputs()), oracle(t, g, u)
		if err := solver.Solve(wide, nil, got[s]); err != nil {
			t.Fatal(err)
		}
	}
	return requireClose(t, got, want, tolerance)
}

// compareNetwork holds a network's float32 evaluation, its model and its own ONNX graph against the
// oracle.
func compareNetwork(t *testing.T, g *onnx.Graph, n *Network, inputs [][]float32, tolerance float64) {
	t.Helper()
	var flat []float32
	want := make([][]float64, len(inputs))
	again := make([][]float64, len(inputs))
	written := n.ONNX()
	for s, u := range inputs {
		flat = append(flat, u...)
		want[s], again[s] = oracle(t, g, u), oracle(t, written, u)
	}
	y := n.Forward32(flat, len(inputs), nil)
	got := make([][]float64, len(inputs))
	for s := range got {
		for k := range n.Outputs() {
			got[s] = append(got[s], float64(y[s*n.Outputs()+k]))
		}
	}
	requireClose(t, got, want, tolerance)
	requireClose(t, again, want, tolerance)
	m, err := n.Model(make([]float32, n.Inputs), make([]float32, n.Inputs), model.DecideNone)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, g, m, inputs, tolerance)
}

func requireClose(t *testing.T, got, want [][]float64, tolerance float64) (worst float64) {
	t.Helper()
	scale := 1e-30
	for _, y := range want {
		for _, v := range y {
			scale = max(scale, math.Abs(v))
		}
	}
	for s := range want {
		if len(got[s]) != len(want[s]) {
			t.Fatalf("%d outputs, the graph has %d", len(got[s]), len(want[s]))
		}
		for k := range want[s] {
			difference := math.Abs(got[s][k]-want[s][k]) / scale
			if !(difference <= tolerance) {
				t.Fatalf("sample %d, output %d: %.9g, the graph gives %.9g", s, k, got[s][k], want[s][k])
			}
			worst = max(worst, difference)
		}
	}
	return worst
}

func requireStrictlyLower(t *testing.T, m *model.Model) {
	t.Helper()
	for i := range m.States() {
		cols, _ := m.A.Row(i)
		if len(cols) > 0 && int(cols[len(cols)-1]) >= i {
			t.Fatalf("state %d reads state %d: states must be in topological order", i, cols[len(cols)-1])
		}
	}
}

func TestNarrowLinearLayersAreCarriedWideOnesComposed(t *testing.T) {
	for _, c := range []struct {
		name           string
		widths         [3]int
		states, dense  int // hidden states and nonzeros of A and B
		carriedByState bool
	}{
		{"12 → 2 → 12", [3]int{12, 2, 12}, 14, 12*2 + 2*12, true},
		{"4 → 20 → 4", [3]int{4, 20, 4}, 4, 16, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSketch(-1, c.widths[0])
			h := s.dense("inner", "x", c.widths[0], c.widths[1])
			h = s.of("Relu", "r", s.dense("outer", h, c.widths[1], c.widths[2]))
			m, notes, err := Convert(s.graph(h), ConvertOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got := m.NNZ().A + m.NNZ().B; m.States() != c.states || got != c.dense {
				t.Errorf("%d states and %d nonzeros in A and B, want %d and %d", m.States(), got, c.states, c.dense)
			}
			if got := strings.Contains(strings.Join(notes, "\n"), "carried by 2 identity states"); got != c.carriedByState {
				t.Errorf("notes %q", notes)
			}
		})
	}
}

func TestSharedLinearTensorsAreStoredOnce(t *testing.T) {
	s := newSketch(-1, 10)
	h := s.dense("h", "x", 10, 10)
	sum := s.node("Add", "y", names(s.of("Relu", "r", h), s.of("Tanh", "t", h)))
	m, _, err := Convert(s.graph(sum), ConvertOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := m.NNZ().B; got != 100 {
		t.Errorf("B has %d nonzeros, want 100: the layer is stored twice", got)
	}
}

func TestConvertOptions(t *testing.T) {
	s := newSketch(-1, 3)
	logits := s.dense("h", "x", 3, 4)
	probabilities := s.of("Softmax", "p", logits)
	for _, c := range []struct {
		name   string
		output string
		option model.Decision
		want   model.Decision
	}{
		{"a softmax decides", probabilities, "", model.DecideArgmax},
		{"logits decide nothing", logits, "", model.DecideNone},
		{"unless told", logits, model.DecideArgmin, model.DecideArgmin},
		{"a softmax may be overruled", probabilities, model.DecideNone, model.DecideNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, notes, err := Convert(s.graph(c.output), ConvertOptions{Decision: c.option})
			if err != nil {
				t.Fatal(err)
			}
			if m.Decision != c.want {
				t.Errorf("decision %q, want %q", m.Decision, c.want)
			}
			if m.InputLo[0] != -1 || m.InputHi[2] != 1 || !strings.Contains(strings.Join(notes, "\n"), "--box") {
				t.Errorf("box %v to %v, notes %q", m.InputLo, m.InputHi, notes)
			}
		})
	}
	m, notes, err := Convert(s.graph(logits), ConvertOptions{Lo: []float32{0, 1, 2}, Hi: []float32{3, 4, 5}})
	if err != nil || m.InputLo[1] != 1 || m.InputHi[2] != 5 || len(notes) != 1 {
		t.Errorf("box %v to %v, notes %q, error %v", m.InputLo, m.InputHi, notes, err)
	}
	if _, _, err := Convert(s.graph(logits), ConvertOptions{Lo: []float32{0}, Hi: []float32{1}}); !errors.Is(err, model.ErrInvalid) {
		t.Errorf("a box of the wrong length: %v", err)
	}
}

func TestSkipConnectionsAreNoChain(t *testing.T) {
	_, _, err := ToNetwork(supportedGraphs["skip connections"]())
	if !errors.Is(err, ErrNotChain) {
		t.Errorf("error %v, want ErrNotChain", err)
	}
}
