package model

import (
	"fmt"
	"strings"

	"github.com/sparse-implicit/sim/format/npz"
	"github.com/sparse-implicit/sim/format/sparse"
)

// FromNPZ reads a model from dense arrays: A (n × n), B (n × p), C (q × n), D (q × p), whose zeros are
// not stored, and optionally
//
//	b (n), d (q)                 default 0
//	input_lo, input_hi (p)       default the box [−1, 1]; a scalar stands for every input
//	activation_kind (n)          numbers of Kind, default relu; a scalar stands for every state
//	activation_param (n × 2)     default 0; required by kinds that have parameters
//
// The decision rule is none. Vectors may be rows or columns. Array names may use a point in place of
// the underscore. Errors name the array and wrap ErrInvalid, npz.ErrMalformed or npz.ErrTooLarge.
func FromNPZ(archive *npz.Archive, options ...Option) (*Model, error) {
	r := &npzReader{archive: archive, limits: limitsOf(options)}
	a, b, c, d := r.matrix("A"), r.matrix("B"), r.matrix("C"), r.matrix("D")
	if r.err != nil {
		return nil, r.err
	}
	m := &Model{A: a, B: b, C: c, D: d, Decision: DecideNone, Provenance: Provenance{}}
	n, p, q := m.States(), m.Inputs(), m.Outputs()
	if err := r.limits.dimensions(n, p, q); err != nil {
		return nil, fmt.Errorf("%w: %w", err, npz.ErrTooLarge)
	}
	m.StateBias, m.OutputBias = r.vector("b", n, 0), r.vector("d", q, 0)
	m.InputLo, m.InputHi = r.vector("input_lo", p, -1), r.vector("input_hi", p, 1)
	kinds := r.vector("activation_kind", n, float32(ReLU))
	params := r.vector("activation_param", 2*n, 0)
	if r.err != nil {
		return nil, r.err
	}
	m.Activations = make([]Activation, n)
	for i := range m.Activations {
		k := kinds[i]
		if !(k >= 0 && k < KindCount) || k != float32(Kind(k)) {
			return nil, fmt.Errorf("activation_kind[%d] = %g, it must be one of 0 to %d: %w", i, k, KindCount-1, ErrInvalid)
		}
		m.Activations[i] = Activation{Kind(k), params[2*i], params[2*i+1]}
	}
	return m, m.Validate()
}

// maxNPZDimension caps what an array without elements can make us allocate.
const maxNPZDimension = 1 << 20

// npzReader reads arrays by name; after the first error it returns nothing of use.
type npzReader struct {
	archive *npz.Archive
	limits  Limits
	err     error
}

func (r *npzReader) numbers(name string) ([]int, []float32) {
	if r.err != nil {
		return nil, nil
	}
	if dotted := strings.Replace(name, "_", ".", 1); !r.archive.Has(name) && r.archive.Has(dotted) {
		name = dotted
	}
	array, err := r.archive.Array(name)
	if err != nil {
		r.err = err
		return nil, nil
	}
	values, err := array.Float32()
	if err != nil {
		r.err = fmt.Errorf("array %q: %w", name, err)
	}
	return array.Shape, values
}

func (r *npzReader) matrix(name string) *sparse.Matrix[float32] {
	shape, values := r.numbers(name)
	if r.err != nil {
		return nil
	}
	if len(shape) != 2 {
		r.err = fmt.Errorf("array %q has shape %v, a matrix is needed: %w", name, shape, ErrInvalid)
		return nil
	}
	if max(shape[0], shape[1]) > maxNPZDimension { // an empty matrix may claim any number of rows
		r.err = fmt.Errorf("array %q has shape %v, at most %d rows and columns are read: %w", name, shape, maxNPZDimension, npz.ErrTooLarge)
		return nil
	}
	if len(values) > r.limits.Nonzeros {
		r.err = fmt.Errorf("array %q: %w: %w", name, tooLarge("entries", int64(len(values)), int64(r.limits.Nonzeros)), npz.ErrTooLarge)
		return nil
	}
	return sparse.FromDense(shape[0], shape[1], values)
}

// vector reads length numbers, or spreads a scalar over them, or the default where there is no array.
func (r *npzReader) vector(name string, length int, missing float32) []float32 {
	values := []float32{missing}
	shape := []int{}
	if r.archive.Has(name) || r.archive.Has(strings.Replace(name, "_", ".", 1)) {
		shape, values = r.numbers(name)
	}
	if r.err != nil {
		return nil
	}
	if len(shape) == 0 {
		spread := make([]float32, length)
		for i := range spread {
			spread[i] = values[0]
		}
		return spread
	}
	if len(values) != length {
		r.err = fmt.Errorf("array %q has shape %v, the model needs %d numbers: %w", name, shape, length, ErrInvalid)
	}
	return values
}
