package teacher

import (
	"fmt"
	"math"
	"slices"

	"github.com/sparse-implicit/sim/format/onnx"
)

func (f *folder) add(n *onnx.Node, x []*value) (*value, error) {
	return elementwise(n, x[0], x[1], func(a, b float64) float64 { return a + b }, func(a, b affine) affine { return a.plus(1, b) })
}

func (f *folder) sub(n *onnx.Node, x []*value) (*value, error) {
	return elementwise(n, x[0], x[1], func(a, b float64) float64 { return a - b }, func(a, b affine) affine { return a.plus(-1, b) })
}

func (f *folder) mul(n *onnx.Node, x []*value) (*value, error) {
	a, b := x[0], x[1]
	if !a.constant() && !b.constant() {
		return nil, fmt.Errorf("both factors depend on the input, only a constant factor is supported: %w", ErrUnsupported)
	}
	return elementwise(n, a, b, func(a, b float64) float64 { return a * b }, func(ra, rb affine) affine {
		if b.constant() {
			return ra.scaled(rb.constant, 0)
		}
		return rb.scaled(ra.constant, 0)
	})
}

func (f *folder) div(n *onnx.Node, x []*value) (*value, error) {
	if !x[1].constant() {
		return nil, fmt.Errorf("the divisor depends on the input, only a constant divisor is supported: %w", ErrUnsupported)
	}
	return elementwise(n, x[0], x[1], func(a, b float64) float64 { return a / b }, func(ra, rb affine) affine {
		out := affine{cols: ra.cols, values: make([]float64, len(ra.values)), constant: ra.constant / rb.constant}
		for k, v := range ra.values {
			out.values[k] = v / rb.constant
		}
		return out
	})
}

// elementwise applies one of two functions to all pairs of elements after broadcasting: numbers to two
// constants, rows otherwise.
func elementwise(n *onnx.Node, a, b *value, numbers func(a, b float64) float64, rows func(a, b affine) affine) (*value, error) {
	if n.Attribute("axis") != nil {
		return nil, fmt.Errorf("attribute axis is a way of broadcasting that ONNX gave up with version 7: export again with a newer version: %w", ErrUnsupported)
	}
	shape, ia, ib, err := broadcast(a.shape, b.shape)
	if err != nil {
		return nil, err
	}
	out := &value{shape: shape}
	if a.constant() && b.constant() {
		out.numbers = make([]float64, len(ia))
		for k := range ia {
			out.numbers[k] = numbers(a.numbers[ia[k]], b.numbers[ib[k]])
		}
		return out, nil
	}
	if _, err := computedSize(shape); err != nil {
		return nil, err
	}
	out.rows = make([]affine, len(ia))
	terms := 0
	for k := range ia {
		out.rows[k] = rows(a.row(int(ia[k])), b.row(int(ib[k])))
		if terms += len(out.rows[k].cols); terms > maxTerms {
			return nil, fmt.Errorf("more than %d coefficients: %w", maxTerms, ErrUnsupported)
		}
	}
	return out, nil
}

// broadcast returns the common shape of two tensors and, per element of it, which element of each is
// used.
func broadcast(a, b []int) (shape []int, ia, ib []int32, err error) {
	shape = make([]int, max(len(a), len(b)))
	for i := range shape {
		da, db := fromEnd(a, len(shape)-i), fromEnd(b, len(shape)-i)
		switch {
		case da == db || db == 1:
			shape[i] = da
		case da == 1:
			shape[i] = db
		default:
			return nil, nil, nil, fmt.Errorf("shapes %v and %v do not fit together: %w", a, b, ErrUnsupported)
		}
	}
	if _, err := shapeSize(shape); err != nil {
		return nil, nil, nil, err
	}
	return shape, spread(a, shape), spread(b, shape), nil
}

// fromEnd returns the k-th last dimension, 1 where there is none.
func fromEnd(shape []int, k int) int {
	if k > len(shape) {
		return 1
	}
	return shape[len(shape)-k]
}

// spread lists, for every element of the shape `to`, the element of `from` that broadcasting puts there.
func spread(from, to []int) []int32 {
	index := []int32{0}
	stride := 1
	strides := make([]int, len(to))
	for k := 1; k <= len(to); k++ {
		if d := fromEnd(from, k); d > 1 {
			strides[len(to)-k] = stride
			stride *= d
		}
	}
	for i, d := range to {
		next := make([]int32, 0, len(index)*d)
		for _, base := range index {
			for j := range d {
				next = append(next, base+int32(j*strides[i]))
			}
		}
		index = next
	}
	return index
}

func (f *folder) gemm(n *onnx.Node, x []*value) (*value, error) {
	alpha, beta := float32(1), float32(1)
	var transA, transB bool
	for i := range n.Attributes {
		switch a := &n.Attributes[i]; a.Name {
		case "alpha":
			alpha = a.Float
		case "beta":
			beta = a.Float
		case "transA":
			transA = a.Int != 0
		case "transB":
			transB = a.Int != 0
		}
	}
	a, b := x[0], x[1]
	if len(a.shape) != 2 || len(b.shape) != 2 {
		return nil, fmt.Errorf("its factors have shapes %v and %v, Gemm takes matrices: %w", a.shape, b.shape, ErrUnsupported)
	}
	if transA {
		a = a.transposed()
	}
	if transB {
		b = b.transposed()
	}
	product, err := f.product(n, a, b)
	if err != nil {
		return nil, err
	}
	product = product.times(float64(alpha))
	if x[2] == nil || beta == 0 {
		return product, nil
	}
	sum, err := f.add(&onnx.Node{}, []*value{product, x[2].times(float64(beta))})
	if err == nil && !slices.Equal(sum.shape, product.shape) {
		err = fmt.Errorf("its third input has shape %v, which does not spread to the product's %v: %w", x[2].shape, product.shape, ErrUnsupported)
	}
	return sum, err
}

func (v *value) times(s float64) *value {
	if s == 1 {
		return v
	}
	out := &value{shape: v.shape}
	if v.constant() {
		out.numbers = make([]float64, len(v.numbers))
		for i, x := range v.numbers {
			out.numbers[i] = x * s
		}
		return out
	}
	out.rows = make([]affine, len(v.rows))
	for i, r := range v.rows {
		out.rows[i] = r.scaled(s, 0)
	}
	return out
}

// transposed swaps the two dimensions of a matrix.
func (v *value) transposed() *value {
	rows, cols := v.shape[0], v.shape[1]
	out := &value{shape: []int{cols, rows}}
	if v.constant() {
		out.numbers = make([]float64, len(v.numbers))
	} else {
		out.rows = make([]affine, len(v.rows))
	}
	for i := range rows {
		for j := range cols {
			if v.constant() {
				out.numbers[j*rows+i] = v.numbers[i*cols+j]
			} else {
				out.rows[j*rows+i] = v.rows[i*cols+j]
			}
		}
	}
	return out
}

// batchNormalization is (x − mean)·scale/√(variance + ε) + bias along dimension 1.
func (f *folder) batchNormalization(n *onnx.Node, x []*value) (*value, error) {
	epsilon := float32(1e-5)
	for i := range n.Attributes {
		switch a := &n.Attributes[i]; {
		case a.Name == "epsilon":
			epsilon = a.Float
		case a.Name == "training_mode" && a.Int != 0:
			return nil, fmt.Errorf("it is in training mode: export the network for inference: %w", ErrUnsupported)
		case a.Name == "spatial" && a.Int == 0 && len(x[0].shape) > 2:
			return nil, fmt.Errorf("attribute spatial = 0 is not supported: %w", ErrUnsupported)
		}
	}
	shape := x[0].shape
	if len(shape) < 2 {
		return nil, fmt.Errorf("its input has shape %v, it needs a dimension of channels: %w", shape, ErrUnsupported)
	}
	channels := shape[1]
	for i, v := range x[1:5] {
		if !v.constant() || len(v.numbers) != channels {
			return nil, fmt.Errorf("input %d must be %d constants: %w", i+1, channels, ErrUnsupported)
		}
	}
	factor, shift := make([]float64, channels), make([]float64, channels)
	for c := range channels {
		factor[c] = x[1].numbers[c] / math.Sqrt(x[4].numbers[c]+float64(epsilon))
		shift[c] = x[2].numbers[c] - float64(x[3].numbers[c]*factor[c])
	}
	along := append([]int{channels}, make([]int, len(shape)-2)...)
	for i := range along[1:] {
		along[i+1] = 1
	}
	scaled, err := f.mul(&onnx.Node{}, []*value{x[0], {shape: along, numbers: factor}})
	if err != nil {
		return nil, err
	}
	return f.add(&onnx.Node{}, []*value{scaled, {shape: along, numbers: shift}})
}
