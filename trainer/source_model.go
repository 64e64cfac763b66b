package trainer

import (
	"context"
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
)

// ModelSource runs a causal implicit model on samples: any network that converts to one exactly, skip
// connections and mixed activations included, or a sparse model that is to become sparser. A state's
// rank is the length of the longest path to it. It belongs to one Fit at a time.
type ModelSource struct {
	teacher *model.Model
	order   []int // states in the order of computation
	run     *teacherRun
}

// NewModelSource returns the source for a valid model and samples of its inputs (sample-major), which
// it keeps. Errors wrap ErrStates (a model with loops, a length that is no multiple of the inputs, an
// input that is not finite, by sample and feature) or model.ErrInvalid.
func NewModelSource(m *model.Model, samples []float32) (*ModelSource, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	s := &ModelSource{teacher: m}
	shape := Shape{Inputs: m.Inputs(), Outputs: m.Outputs(), Activations: m.Activations, Ranks: make([]int, m.States())}
	for _, component := range sparse.Components(m.A) {
		i := component[0]
		if sparse.IsLoop(m.A, component) {
			return nil, fmt.Errorf("state %d of the teacher lies on a loop: only causal models can be taught from: %w", i, ErrStates)
		}
		s.order = append(s.order, i)
		cols, _ := m.A.Row(i)
		for _, j := range cols {
			shape.Ranks[i] = max(shape.Ranks[i], shape.Ranks[j]+1)
		}
	}
	run, err := newTeacherRun(shape, samples)
	if err != nil {
		return nil, err
	}
	s.run, run.forward, run.backward = run, s.forward, s.backward
	return s, nil
}

// Shape implements Source.
func (s *ModelSource) Shape() *Shape { return &s.run.shape }

// Batches implements Source.
func (s *ModelSource) Batches(ctx context.Context, visit func(*Batch) error) error {
	return s.run.batches(ctx, visit)
}

// Sensitivity implements Source by back-propagation through the model.
func (s *ModelSource) Sensitivity(ctx context.Context, task Task, seed uint64) (states, outputs []float64, err error) {
	return s.run.sensitivity(ctx, task, seed)
}

func (s *ModelSource) forward(b *Batch) {
	m := s.teacher
	n, p, q := m.States(), m.Inputs(), m.Outputs()
	parallel(b.Samples, func(k int) {
		u, z, x, y := b.U[k*p:(k+1)*p], b.Z[k*n:(k+1)*n], b.X[k*n:(k+1)*n], b.Y[k*q:(k+1)*q]
		for _, i := range s.order {
			z[i] = float32(dotRow(m.A, i, x, dotRow(m.B, i, u, float64(m.StateBias[i]))))
			x[i] = float32(m.Activations[i].Apply(float64(z[i])))
		}
		for i := range y {
			y[i] = float32(dotRow(m.C, i, x, dotRow(m.D, i, u, float64(m.OutputBias[i]))))
		}
	})
}

// dotRow returns sum + row i of m times v.
func dotRow(m *sparse.Matrix[float32], i int, v []float32, sum float64) float64 {
	cols, values := m.Row(i)
	for k, j := range cols {
		sum += float64(values[k]) * float64(v[j])
	}
	return sum
}

func (s *ModelSource) backward(b *Batch, gradients []float32, sum []float64) {
	m := s.teacher
	n, q := m.States(), m.Outputs()
	g := make([]float64, n) // at the states
	for k := range b.Samples {
		clear(g)
		for i, v := range gradients[k*q : (k+1)*q] {
			sum[n+i] += float64(v) * float64(v)
			addRow(m.C, i, float64(v), g)
		}
		for a := len(s.order) - 1; a >= 0; a-- {
			i := s.order[a]
			if g[i] == 0 {
				continue
			}
			v := g[i] * float64(slope(m.Activations[i], b.Z[k*n+i], b.X[k*n+i]))
			sum[i] += v * v
			addRow(m.A, i, v, g)
		}
	}
}

// addRow adds v times row i of m to g.
func addRow(m *sparse.Matrix[float32], i int, v float64, g []float64) {
	cols, values := m.Row(i)
	for k, j := range cols {
		g[j] += v * float64(values[k])
	}
}

// contractiveScales implements contractive: t_i ≥ Σ_j |A_ij| t_j / κ in the order of computation.
func (s *ModelSource) contractiveScales(scales []float64, kappa float64) []float64 {
	out := append([]float64(nil), scales...)
	for _, i := range s.order {
		sum := 0.0
		cols, values := s.teacher.A.Row(i)
		for k, j := range cols {
			sum += math.Abs(float64(values[k])) * out[j]
		}
		if s.teacher.Activations[i].Kind.Homogeneous() {
			out[i] = powerOfTwoAbove(max(out[i], sum/kappa))
		}
	}
	return out
}
