package teacher

import (
	"fmt"
	"slices"

	"github.com/sparse-implicit/sim/format/onnx"
)

// matMul multiplies as numpy does: vectors become matrices, further dimensions are batches.
func (f *folder) matMul(n *onnx.Node, x []*value) (*value, error) {
	a, b := x[0], x[1]
	if len(a.shape) == 0 || len(b.shape) == 0 {
		return nil, fmt.Errorf("a factor is a scalar: %w", ErrUnsupported)
	}
	vectorA, vectorB := len(a.shape) == 1, len(b.shape) == 1
	if vectorA {
		a = a.reshaped([]int{1, a.shape[0]})
	}
	if vectorB {
		b = b.reshaped([]int{b.shape[0], 1})
	}
	out, err := f.product(n, a, b)
	if err != nil {
		return nil, err
	}
	last := len(out.shape) - 1
	switch {
	case vectorA && vectorB:
		out.shape = out.shape[:last-1]
	case vectorA:
		out.shape = append(out.shape[:last-1:last-1], out.shape[last])
	case vectorB:
		out.shape = out.shape[:last]
	}
	return out, nil
}

// layout says where the factors of every element of a product of (stacks of) matrices lie.
type layout struct {
	rows, inner, cols int
	batchA, batchB    []int32 // which matrix of each stack
	shape             []int
}

func layoutOf(a, b []int) (layout, error) {
	la, lb := len(a)-2, len(b)-2
	l := layout{rows: a[la], inner: a[la+1], cols: b[lb+1]}
	if b[lb] != l.inner {
		return l, fmt.Errorf("matrices %v and %v do not fit together: %w", a, b, ErrUnsupported)
	}
	var err error
	if l.shape, l.batchA, l.batchB, err = broadcast(a[:la], b[:lb]); err != nil {
		return l, err
	}
	l.shape = append(l.shape, l.rows, l.cols)
	_, err = shapeSize(l.shape)
	return l, err
}

// outs returns the number of elements of the product.
func (l layout) outs() int { return len(l.batchA) * l.rows * l.cols }

// each calls visit for every element of the product: element o is Σ_k a[firstA + k]·b[firstB + k·cols].
func (l layout) each(visit func(o, firstA, firstB int) error) error {
	o := 0
	for batch := range l.batchA {
		for i := range l.rows {
			for j := range l.cols {
				firstA := (int(l.batchA[batch])*l.rows + i) * l.inner
				firstB := int(l.batchB[batch])*l.inner*l.cols + j
				if err := visit(o, firstA, firstB); err != nil {
					return err
				}
				o++
			}
		}
	}
	return nil
}

// product multiplies two stacks of matrices of which at most one depends on the input.
func (f *folder) product(n *onnx.Node, a, b *value) (*value, error) {
	l, err := layoutOf(a.shape, b.shape)
	if err == nil {
		err = f.spend(l.outs(), l.inner)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case a.constant() && b.constant():
		return constantProduct(l, a.numbers, b.numbers), nil
	case b.constant():
		return f.combine(n, combination{layout: l, left: true, rows: a, weights: b.numbers})
	case a.constant():
		return f.combine(n, combination{layout: l, rows: b, weights: a.numbers})
	}
	return nil, fmt.Errorf("both factors depend on the input, only a constant factor is supported: %w", ErrUnsupported)
}

// spend counts outs·inner multiplications.
func (f *folder) spend(outs, inner int) error {
	if outs > 0 && inner > (maxWork-f.work)/outs {
		return fmt.Errorf("its products take more than %d multiplications: %w", maxWork, ErrUnsupported)
	}
	f.work += outs * inner
	return nil
}

func constantProduct(l layout, a, b []float64) *value {
	out := &value{shape: l.shape, numbers: make([]float64, l.outs())}
	_ = l.each(func(o, firstA, firstB int) error {
		for k := range l.inner {
			out.numbers[o] += float64(a[firstA+k] * b[firstB+k*l.cols])
		}
		return nil
	})
	return out
}

// combine multiplies rows with weights, carrying the rows first where that is cheaper.
func (f *folder) combine(n *onnx.Node, p combination) (*value, error) {
	if _, err := computedSize(p.shape); err != nil {
		return nil, err
	}
	carry, err := f.cheaperCarried(p)
	if err != nil {
		return nil, err
	}
	if carry {
		f.carry(n, p.rows)
	}
	out := &value{shape: p.shape, rows: make([]affine, p.outs())}
	terms := f.terms
	f.sum.grow(f.out.inputs + len(f.out.states))
	err = p.layout.each(func(o, firstA, firstB int) error {
		p.each(firstA, firstB, f.sum.add)
		out.rows[o] = f.sum.take()
		if terms += len(out.rows[o].cols); terms > maxTerms {
			return fmt.Errorf("more than %d coefficients: %w", maxTerms, ErrUnsupported)
		}
		return nil
	})
	return out, err
}

// combination is a product of rows with constant weights.
type combination struct {
	layout
	left    bool // the rows are the left factor
	rows    *value
	weights []float64
}

// each calls visit for the rows and weights, zeros left out, that make one element.
func (p combination) each(firstA, firstB int, visit func(weight float64, row affine)) {
	for k := range p.inner {
		row, weight := firstA+k, firstB+k*p.cols
		if !p.left {
			row, weight = weight, row
		}
		if w := p.weights[weight]; w != 0 {
			visit(w, p.rows.rows[row])
		}
	}
}

// cheaperCarried reports whether composing the rows with the weights would store more nonzeros than
// identity states that carry the rows: a narrow linear layer between wide ones, for instance.
func (f *folder) cheaperCarried(p combination) (bool, error) {
	carried, compound := 0, false
	for _, r := range p.rows.rows {
		carried += len(r.cols)
		compound = compound || len(r.cols) > 1
	}
	if !compound {
		return false, nil
	}
	composed := 0
	f.sum.grow(f.out.inputs + len(f.out.states))
	err := p.layout.each(func(_, firstA, firstB int) error {
		work := 0
		p.each(firstA, firstB, func(_ float64, row affine) {
			carried += min(len(row.cols), 1)
			work += len(row.cols)
			f.sum.touch(row)
		})
		composed += len(f.sum.touched)
		f.sum.reset()
		return f.spend(1, work)
	})
	return composed > carried, err
}

// accumulator adds up affine functions of the variables.
type accumulator struct {
	values   []float64
	seen     []bool
	touched  []int32
	constant float64
}

// grow makes room for that many variables.
func (s *accumulator) grow(variables int) {
	if more := variables - len(s.values); more > 0 {
		s.values = append(s.values, make([]float64, more)...)
		s.seen = append(s.seen, make([]bool, more)...)
	}
}

// touch marks the variables of a row as used.
func (s *accumulator) touch(row affine) {
	for _, col := range row.cols {
		if !s.seen[col] {
			s.seen[col] = true
			s.touched = append(s.touched, col)
		}
	}
}

func (s *accumulator) add(weight float64, row affine) {
	s.touch(row)
	s.constant += float64(weight * row.constant)
	for k, col := range row.cols {
		s.values[col] += float64(weight * row.values[k])
	}
}

// take returns the sum and starts again from zero.
func (s *accumulator) take() affine {
	slices.Sort(s.touched)
	out := affine{cols: make([]int32, 0, len(s.touched)), values: make([]float64, 0, len(s.touched)), constant: s.constant}
	for _, col := range s.touched {
		if v := s.values[col]; v != 0 {
			out.cols, out.values = append(out.cols, col), append(out.values, v)
		}
	}
	s.reset()
	return out
}

func (s *accumulator) reset() {
	for _, col := range s.touched {
		s.values[col], s.seen[col] = 0, false
	}
	s.touched, s.constant = s.touched[:0], 0
}
