package trainer

import (
	"context"
	"fmt"

	"github.com/sparse-implicit/sim/format/model"
)

// subset is a source that shows some of another's samples, numbered anew in their order.
type subset struct {
	whole  Source
	shape  Shape
	keep   func(sample int) bool
	inputs []float32 // all of them, when the whole has them in memory
}

func newSubset(whole Source, keep func(sample int) bool) Source {
	s := &subset{whole: whole, shape: *whole.Shape(), keep: keep}
	all := s.shape.Samples
	s.shape.Samples = 0
	inputs := inputsOf(whole)
	for k := range all {
		if !keep(k) {
			continue
		}
		s.shape.Samples++
		if p := s.shape.Inputs; inputs != nil {
			s.inputs = append(s.inputs, inputs[k*p:(k+1)*p]...)
		}
	}
	if teacher, ok := whole.(runner); ok {
		return &runnableSubset{s, teacher}
	}
	return s
}

// runnableSubset is one whose teacher can be run on other inputs.
type runnableSubset struct {
	*subset
	runner
}

// Shape implements Source.
func (s *subset) Shape() *Shape { return &s.shape }

// Sensitivity implements Source: that of the whole.
func (s *subset) Sensitivity(ctx context.Context, task Task, seed uint64) (states, outputs []float64, err error) {
	return s.whole.Sensitivity(ctx, task, seed)
}

// Batches implements Source.
func (s *subset) Batches(ctx context.Context, visit func(*Batch) error) error {
	n, p, q := s.shape.States(), s.shape.Inputs, s.shape.Outputs
	first := 0
	return s.whole.Batches(ctx, func(b *Batch) error {
		part := &Batch{First: first}
		for k := range b.Samples {
			if !s.keep(b.First + k) {
				continue
			}
			part.Samples++
			part.U = append(part.U, b.U[k*p:(k+1)*p]...)
			part.Z = append(part.Z, b.Z[k*n:(k+1)*n]...)
			part.X = append(part.X, b.X[k*n:(k+1)*n]...)
			part.Y = append(part.Y, b.Y[k*q:(k+1)*q]...)
		}
		first += part.Samples
		if part.Samples == 0 {
			return nil
		}
		return visit(part)
	})
}

func (s *subset) contractiveScales(scales []float64, kappa float64) []float64 {
	if knows, ok := s.whole.(contractive); ok {
		return knows.contractiveScales(scales, kappa)
	}
	return scales
}

func (s *subset) allInputs() []float32 { return s.inputs }

func (s *subset) teacherModel() (*model.Model, error) {
	if knows, ok := s.whole.(weighted); ok {
		return knows.teacherModel()
	}
	return nil, fmt.Errorf("states do not tell the teacher's weights: %w", ErrOptions)
}
