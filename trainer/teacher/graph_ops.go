package teacher

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sparse-implicit/sim/format/onnx"
)

// operator folds one node whose operands were looked up: operands[i] is nil where the optional input i
// is left out.
type operator struct {
	fold     func(f *folder, n *onnx.Node, operands []*value) (*value, error)
	required int  // operands that must be there
	most     int  // operands that may be there
	passes   bool // hands its first operand on element by element, so a Softmax may stand before it
}

var operators = map[string]operator{
	"Add":                {fold: (*folder).add, required: 2, most: 2},
	"BatchNormalization": {fold: (*folder).batchNormalization, required: 5, most: 5},
	"Clip":               {fold: (*folder).clip, required: 1, most: 3},
	"Constant":           {fold: (*folder).constant},
	"Div":                {fold: (*folder).div, required: 2, most: 2},
	"Dropout":            {fold: (*folder).dropout, required: 1, most: 3, passes: true},
	"Flatten":            {fold: (*folder).flatten, required: 1, most: 1, passes: true},
	"Gemm":               {fold: (*folder).gemm, required: 2, most: 3},
	"Identity":           {fold: (*folder).identity, required: 1, most: 1, passes: true},
	"LeakyRelu":          {fold: (*folder).leakyRelu, required: 1, most: 1},
	"LogSoftmax":         {fold: (*folder).softmax, required: 1, most: 1},
	"MatMul":             {fold: (*folder).matMul, required: 2, most: 2},
	"Mul":                {fold: (*folder).mul, required: 2, most: 2},
	"Relu":               {fold: (*folder).relu, required: 1, most: 1},
	"Reshape":            {fold: (*folder).reshape, required: 1, most: 2, passes: true},
	"Sigmoid":            {fold: (*folder).sigmoid, required: 1, most: 1},
	"Softmax":            {fold: (*folder).softmax, required: 1, most: 1},
	"Sub":                {fold: (*folder).sub, required: 2, most: 2},
	"Tanh":               {fold: (*folder).tanh, required: 1, most: 1},
}

// supported refuses the first node whose operator has no exact counterpart, before any work is done.
func supported(nodes []*onnx.Node) error {
	var first *onnx.Node
	var ops []string
	for _, n := range nodes {
		if _, ok := operators[n.Op]; ok && n.Domain == "" {
			continue
		}
		if first == nil {
			first = n
		} else if n.Op != first.Op && !slices.Contains(ops, n.Op) {
			ops = append(ops, n.Op)
		}
	}
	if first == nil {
		return nil
	}
	also := ""
	if len(ops) > 0 {
		slices.Sort(ops)
		also = ", nor further on " + strings.Join(ops, ", ")
	}
	return fmt.Errorf("%s: not supported%s; fully connected networks are read: export such a part, or record the network's states and fit a model to them (fit --states): %w", describe(first), also, ErrUnsupported)
}

// visit folds one node and names its first output.
func (f *folder) visit(n *onnx.Node) error {
	op := operators[n.Op]
	operands, err := f.operands(n, op)
	if err != nil {
		return err
	}
	result, err := op.fold(f, n, operands)
	if err != nil {
		return err
	}
	if !op.passes {
		if err := f.charge(result); err != nil {
			return err
		}
	}
	if len(n.Outputs) == 0 || n.Outputs[0] == "" {
		return fmt.Errorf("it has no output: %w", ErrUnsupported)
	}
	name := n.Outputs[0]
	if f.values[name] != nil {
		return fmt.Errorf("its output %q is computed twice: %w", name, ErrUnsupported)
	}
	for _, other := range n.Outputs[1:] {
		if other != "" && f.uses[other] > 0 {
			return fmt.Errorf("its second output %q is read, only the first one is computed: %w", other, ErrUnsupported)
		}
	}
	result.uses = f.uses[name]
	if op.passes && operands[0].softmax != "" {
		result.softmax = operands[0].softmax
	}
	f.values[name] = result
	if !result.constant() {
		f.share(n, result)
	}
	return nil
}

func (f *folder) operands(n *onnx.Node, op operator) ([]*value, error) {
	operands := make([]*value, max(op.most, len(n.Inputs)))
	for i, name := range n.Inputs {
		if name == "" {
			continue
		}
		v := f.values[name]
		switch {
		case i >= op.most:
			return nil, fmt.Errorf("it has %d inputs, at most %d are known: %w", len(n.Inputs), op.most, ErrUnsupported)
		case v == nil:
			return nil, fmt.Errorf("input %q is not computed before it: %w", name, ErrUnsupported)
		case v.softmax != "" && !op.passes:
			return nil, fmt.Errorf("it reads %s, which is supported only as the end of the network: %w", v.softmax, ErrUnsupported)
		}
		operands[i] = v
	}
	for i := range op.required {
		if operands[i] == nil {
			return nil, fmt.Errorf("input %d is missing: %w", i, ErrUnsupported)
		}
	}
	return operands, nil
}

// charge counts the terms of what a node computed and refuses numbers that are not finite.
func (f *folder) charge(v *value) error {
	f.terms += len(v.numbers)
	for _, r := range v.rows {
		f.terms += len(r.cols)
	}
	if f.terms > maxTerms {
		return fmt.Errorf("more than %d coefficients: %w", maxTerms, ErrUnsupported)
	}
	for _, r := range v.rows {
		sum := math.Abs(r.constant)
		for _, x := range r.values {
			sum += math.Abs(x)
		}
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			return fmt.Errorf("a coefficient is not finite, look for NaN, infinity or a division by zero in its constants: %w", ErrUnsupported)
		}
	}
	return nil
}

func (f *folder) identity(_ *onnx.Node, x []*value) (*value, error) {
	return x[0].reshaped(x[0].shape), nil
}

// reshaped returns the same elements in another shape of the same size.
func (v *value) reshaped(shape []int) *value {
	return &value{shape: shape, numbers: v.numbers, rows: v.rows}
}

func (f *folder) dropout(_ *onnx.Node, x []*value) (*value, error) {
	if mode := x[2]; mode != nil {
		if !mode.constant() || slices.ContainsFunc(mode.numbers, func(v float64) bool { return v != 0 }) {
			return nil, fmt.Errorf("it is in training mode: export the network for inference: %w", ErrUnsupported)
		}
	}
	return x[0].reshaped(x[0].shape), nil
}

func (f *folder) flatten(n *onnx.Node, x []*value) (*value, error) {
	rank := len(x[0].shape)
	axis := int64(1)
	if a := n.Attribute("axis"); a != nil {
		axis = a.Int
	}
	if axis < 0 {
		axis += int64(rank)
	}
	if axis < 0 || axis > int64(rank) {
		return nil, fmt.Errorf("axis %d of a tensor with %d dimensions: %w", axis, rank, ErrUnsupported)
	}
	rows, cols := 1, 1
	for i, d := range x[0].shape {
		if int64(i) < axis {
			rows *= d
		} else {
			cols *= d
		}
	}
	return x[0].reshaped([]int{rows, cols}), nil
}

func (f *folder) reshape(n *onnx.Node, x []*value) (*value, error) {
	var wanted []int64
	switch attribute := n.Attribute("shape"); {
	case x[1] != nil && !x[1].constant():
		return nil, fmt.Errorf("its shape depends on the input: %w", ErrUnsupported)
	case x[1] != nil:
		for _, d := range x[1].numbers {
			if d != math.Trunc(d) || d < -1 || d > math.MaxInt32 {
				return nil, fmt.Errorf("its shape has a dimension %g: %w", d, ErrUnsupported)
			}
			wanted = append(wanted, int64(d))
		}
	case attribute != nil:
		wanted = attribute.Ints
	default:
		return nil, fmt.Errorf("it has no shape: %w", ErrUnsupported)
	}
	allowZero := false
	if a := n.Attribute("allowzero"); a != nil {
		allowZero = a.Int != 0
	}
	shape, ok := resolveShape(x[0].shape, wanted, allowZero)
	if !ok {
		return nil, fmt.Errorf("shape %v cannot be made from %v (the batch counts as 1): %w", wanted, x[0].shape, ErrUnsupported)
	}
	return x[0].reshaped(shape), nil
}

// resolveShape replaces 0 (as in the input) and −1 (what remains).
func resolveShape(from []int, wanted []int64, allowZero bool) ([]int, bool) {
	total, err := shapeSize(from)
	if err != nil {
		return nil, false
	}
	shape := make([]int, len(wanted))
	rest, known := -1, 1
	for i, d := range wanted {
		switch {
		case d == -1 && rest < 0:
			rest = i
			continue
		case d == 0 && !allowZero && i < len(from):
			d = int64(from[i])
		case d < 0 || d == 0 && !allowZero:
			return nil, false
		}
		if known > 0 && d > int64(maxConstants/known) {
			return nil, false
		}
		shape[i] = int(d)
		known *= int(d)
	}
	if rest < 0 {
		return shape, known == total
	}
	if known == 0 || total%known != 0 {
		return nil, false
	}
	shape[rest] = total / known
	return shape, true
}

func (f *folder) constant(n *onnx.Node, _ []*value) (*value, error) {
	if len(n.Attributes) != 1 {
		return nil, fmt.Errorf("it has %d values, one is needed: %w", len(n.Attributes), ErrUnsupported)
	}
	a := &n.Attributes[0]
	switch {
	case a.Name == "value" && a.Tensor != nil:
		return &value{shape: a.Tensor.Shape, numbers: a.Tensor.Floats()}, nil
	case a.Name == "value_float":
		return &value{numbers: []float64{float64(a.Float)}}, nil
	case a.Name == "value_int":
		return &value{numbers: []float64{float64(a.Int)}}, nil
	case a.Name == "value_floats":
		return list(a.Floats), nil
	case a.Name == "value_ints":
		return list(a.Ints), nil
	}
	return nil, fmt.Errorf("attribute %q is not a dense tensor of numbers: %w", a.Name, ErrUnsupported)
}

func list[V float32 | int64](values []V) *value {
	v := &value{shape: []int{len(values)}, numbers: make([]float64, len(values))}
	for i, x := range values {
		v.numbers[i] = float64(x)
	}
	return v
}

// softmax hands its operand on, marked: it is an error for anything but the output to read it.
func (f *folder) softmax(n *onnx.Node, x []*value) (*value, error) {
	shape := x[0].shape
	rank := int64(len(shape))
	coerces := f.source.Opset > 0 && f.source.Opset < 13 // old: over all dimensions from the axis on
	axis := int64(-1)
	if coerces {
		axis = 1
	}
	if a := n.Attribute("axis"); a != nil {
		axis = a.Int
	}
	if axis < 0 {
		axis += rank
	}
	if axis < 0 || axis >= rank {
		return nil, fmt.Errorf("axis %d of a tensor with %d dimensions: %w", axis, rank, ErrUnsupported)
	}
	for i, d := range shape {
		inside := int64(i) == axis || coerces && int64(i) > axis
		if d != 1 && !inside {
			return nil, fmt.Errorf("it normalises along dimension %d of %v: only a Softmax over all outputs can be dropped: %w", axis, shape, ErrUnsupported)
		}
	}
	out := x[0].reshaped(shape)
	out.softmax = describe(n)
	return out, nil
}
