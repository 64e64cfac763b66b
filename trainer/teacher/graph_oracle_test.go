package teacher

import (
	"fmt"
	"math"
	"testing"

	"github.com/sparse-implicit/sim/format/onnx"
)

// The oracle: an ONNX graph evaluated node by node in float64, on arrays addressed by multi-index. It
// shares nothing with the folding but the file's own types, and knows the operators from the ONNX
// operator specification.

type array struct {
	shape []int
	data  []float64
}

func newArray(shape []int) array {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return array{shape, make([]float64, n)}
}

// at reads the element of a multi-index that may be longer than the array's rank; dimensions of size 1
// repeat.
func (a array) at(index []int) float64 {
	offset := 0
	skip := len(index) - len(a.shape)
	for i, d := range a.shape {
		k := index[skip+i]
		if d == 1 {
			k = 0
		}
		offset = offset*d + k
	}
	return a.data[offset]
}

// fill computes every element from its multi-index.
func (a array) fill(element func(index []int) float64) array {
	index := make([]int, len(a.shape))
	for o := range a.data {
		rest := o
		for i := len(index) - 1; i >= 0; i-- {
			index[i] = rest % a.shape[i]
			rest /= a.shape[i]
		}
		a.data[o] = element(index)
	}
	return a
}

func common(a, b []int) []int {
	for len(a) < len(b) {
		a = append([]int{1}, a...)
	}
	for len(b) < len(a) {
		b = append([]int{1}, b...)
	}
	shape := make([]int, len(a))
	for i := range a {
		shape[i] = max(a[i], b[i])
		if a[i] == 0 || b[i] == 0 {
			shape[i] = 0
		}
	}
	return shape
}

func (a array) zip(b array, op func(x, y float64) float64) array {
	return newArray(common(a.shape, b.shape)).fill(func(index []int) float64 { return op(a.at(index), b.at(index)) })
}

func (a array) apply(op func(x float64) float64) array {
	return newArray(a.shape).fill(func(index []int) float64 { return op(a.at(index)) })
}

func (a array) transpose() array {
	return newArray([]int{a.shape[1], a.shape[0]}).fill(func(index []int) float64 { return a.at([]int{index[1], index[0]}) })
}

func (a array) matMul(b array) array {
	shapeA, shapeB := a.shape, b.shape
	if len(shapeA) == 1 {
		shapeA = []int{1, shapeA[0]}
	}
	if len(shapeB) == 1 {
		shapeB = []int{shapeB[0], 1}
	}
	wideA, wideB := array{shapeA, a.data}, array{shapeB, b.data}
	batch := common(shapeA[:len(shapeA)-2], shapeB[:len(shapeB)-2])
	shape := append(append([]int{}, batch...), shapeA[len(shapeA)-2], shapeB[len(shapeB)-1])
	out := newArray(shape).fill(func(index []int) float64 {
		last := len(index) - 1
		sum := 0.0
		for k := range shapeA[len(shapeA)-1] {
			ia, ib := append([]int{}, index...), append([]int{}, index...)
			ia[last], ib[last-1] = k, k
			sum += wideA.at(ia) * wideB.at(ib)
		}
		return sum
	})
	if len(b.shape) == 1 {
		out.shape = out.shape[:len(out.shape)-1]
	}
	if len(a.shape) == 1 {
		at := len(batch)
		out.shape = append(append([]int{}, out.shape[:at]...), out.shape[at+1:]...)
	}
	return out
}

// oracle evaluates the graph on one sample and returns its output. Softmax is left out: what is
// compared are the logits.
func oracle(t *testing.T, g *onnx.Graph, u []float32) []float64 {
	t.Helper()
	arrays := map[string]array{}
	for _, v := range g.Initializers {
		arrays[v.Name] = tensorArray(v)
	}
	for _, in := range g.Inputs {
		if g.Initializer(in.Name) != nil {
			continue
		}
		var shape []int
		for _, d := range in.Shape {
			if d.Size < 0 {
				d.Size = 1
			}
			shape = append(shape, d.Size)
		}
		a := newArray(shape)
		for i, v := range u {
			a.data[i] = float64(v)
		}
		arrays[in.Name] = a
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		var x []array
		for _, name := range n.Inputs {
			a, ok := arrays[name]
			if !ok && name != "" {
				t.Fatalf("oracle: %s of node %q is not there", name, n.Name)
			}
			x = append(x, a)
		}
		if n.Op == "Constant" {
			x = []array{constantNode(&n.Attributes[0])}
		}
		out, err := evaluate(n, x)
		if err != nil {
			t.Fatal(err)
		}
		arrays[n.Outputs[0]] = out
	}
	return arrays[g.Outputs[0].Name].data
}

func tensorArray(v *onnx.Tensor) array { return array{append([]int{}, v.Shape...), v.Floats()} }

func constantNode(a *onnx.Attribute) array {
	switch a.Name {
	case "value_float":
		return array{nil, []float64{float64(a.Float)}}
	case "value_int":
		return array{nil, []float64{float64(a.Int)}}
	case "value_floats":
		return tensorArray(onnx.NewTensor("", []int{len(a.Floats)}, a.Floats))
	case "value_ints":
		return tensorArray(onnx.NewIntTensor("", []int{len(a.Ints)}, a.Ints))
	}
	return tensorArray(a.Tensor)
}

func number(n *onnx.Node, name string, otherwise float64) float64 {
	for _, a := range n.Attributes {
		if a.Name != name {
			continue
		}
		if a.Kind == onnx.AttributeInt {
			return float64(a.Int)
		}
		return float64(a.Float)
	}
	return otherwise
}

func evaluate(n *onnx.Node, x []array) (array, error) {
	switch n.Op {
	case "Constant", "Identity", "Dropout", "Softmax", "LogSoftmax":
		return x[0], nil
	case "Add":
		return x[0].zip(x[1], func(a, b float64) float64 { return a + b }), nil
	case "Sub":
		return x[0].zip(x[1], func(a, b float64) float64 { return a - b }), nil
	case "Mul":
		return x[0].zip(x[1], func(a, b float64) float64 { return a * b }), nil
	case "Div":
		return x[0].zip(x[1], func(a, b float64) float64 { return a / b }), nil
	case "MatMul":
		return x[0].matMul(x[1]), nil
	case "Gemm":
		return evaluateGemm(n, x), nil
	case "Relu":
		return x[0].apply(func(v float64) float64 { return math.Max(v, 0) }), nil
	case "Tanh":
		return x[0].apply(math.Tanh), nil
	case "Sigmoid":
		return x[0].apply(func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }), nil
	case "LeakyRelu":
		alpha := number(n, "alpha", float64(float32(0.01)))
		return x[0].apply(func(v float64) float64 {
			if v < 0 {
				return alpha * v
			}
			return v
		}), nil
	case "Clip":
		lo, hi := number(n, "min", math.Inf(-1)), number(n, "max", math.Inf(1))
		if len(x) > 1 && x[1].data != nil {
			lo = x[1].data[0]
		}
		if len(x) > 2 && x[2].data != nil {
			hi = x[2].data[0]
		}
		return x[0].apply(func(v float64) float64 { return math.Min(math.Max(v, lo), hi) }), nil
	case "BatchNormalization":
		epsilon := number(n, "epsilon", float64(float32(1e-5)))
		return newArray(x[0].shape).fill(func(i []int) float64 {
			c := i[1]
			return x[1].data[c]*(x[0].at(i)-x[3].data[c])/math.Sqrt(x[4].data[c]+epsilon) + x[2].data[c]
		}), nil
	case "Flatten":
		axis := int(number(n, "axis", 1))
		rows := newArray(x[0].shape[:axis])
		return array{[]int{len(rows.data), len(x[0].data) / len(rows.data)}, x[0].data}, nil
	case "Reshape":
		return evaluateReshape(x), nil
	}
	return array{}, fmt.Errorf("the oracle does not know %s", n.Op)
}

func evaluateGemm(n *onnx.Node, x []array) array {
	a, b := x[0], x[1]
	if number(n, "transA", 0) == 1 {
		a = a.transpose()
	}
	if number(n, "transB", 0) == 1 {
		b = b.transpose()
	}
	alpha, beta := number(n, "alpha", 1), number(n, "beta", 1)
	y := a.matMul(b).apply(func(v float64) float64 { return alpha * v })
	if len(x) < 3 {
		return y
	}
	return y.zip(x[2], func(p, c float64) float64 { return p + beta*c })
}

func evaluateReshape(x []array) array {
	shape := make([]int, len(x[1].data))
	known, open := 1, -1
	for i, d := range x[1].data {
		shape[i] = int(d)
		switch d {
		case 0:
			shape[i] = x[0].shape[i]
			known *= shape[i]
		case -1:
			open = i
		default:
			known *= int(d)
		}
	}
	if open >= 0 {
		shape[open] = len(x[0].data) / known
	}
	return array{shape, x[0].data}
}
