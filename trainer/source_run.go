package trainer

import (
	"context"
	"fmt"

	"github.com/sparse-implicit/sim/format/model"
)

const (
	batchSamples = 1024
	// keepBytes is up to how much memory the states of a teacher that is run are kept in; beyond it
	// they are computed again at every pass.
	keepBytes = 192 << 20
)

// teacherRun is what sources have in common that run a teacher on samples.
type teacherRun struct {
	shape  Shape
	inputs []float32
	kept   []*Batch // filled by the first pass when it is small enough

	// forward fills Z, X and Y (allocated) from U.
	forward func(b *Batch)
	// backward takes gradients at the outputs back to the pre-activations and adds their squares to
	// sum (states, then outputs).
	backward func(b *Batch, gradients []float32, sum []float64)
}

// newTeacherRun checks the samples of a teacher whose shape is known but for their number.
func newTeacherRun(shape Shape, samples []float32) (*teacherRun, error) {
	p := shape.Inputs
	if p <= 0 || len(samples)%p != 0 {
		return nil, fmt.Errorf("%d numbers are no samples of %d inputs: %w", len(samples), p, ErrStates)
	}
	for k, v := range samples {
		if !isFinite(v) {
			return nil, fmt.Errorf("feature %d of sample %d is %g, every number must be finite: %w", k%p, k/p, v, ErrStates)
		}
	}
	shape.Samples = len(samples) / p
	return &teacherRun{shape: shape, inputs: samples}, nil
}

// batches is Source's Batches.
func (r *teacherRun) batches(ctx context.Context, visit func(*Batch) error) error {
	keep := 4*r.shape.Samples*(2*r.shape.States()+r.shape.Outputs) <= keepBytes
	var kept []*Batch
	for first := 0; first < r.shape.Samples; first += batchSamples {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := r.batch(first, min(batchSamples, r.shape.Samples-first))
		if err != nil {
			return err
		}
		if err := visit(b); err != nil {
			return err
		}
		if keep {
			kept = append(kept, b)
		}
	}
	r.kept = kept
	return nil
}

// batch runs the teacher on some samples.
func (r *teacherRun) batch(first, samples int) (*Batch, error) {
	if r.kept != nil {
		return r.kept[first/batchSamples], nil
	}
	p := r.shape.Inputs
	return r.run(first, r.inputs[first*p:(first+samples)*p])
}

func (r *teacherRun) run(first int, u []float32) (*Batch, error) {
	n, q, samples := r.shape.States(), r.shape.Outputs, len(u)/r.shape.Inputs
	b := &Batch{
		First: first, Samples: samples,
		U: u, Z: make([]float32, samples*n), X: make([]float32, samples*n), Y: make([]float32, samples*q),
	}
	r.forward(b)
	for _, part := range []struct {
		name   string
		values []float32
		width  int
	}{{"state", b.Z, n}, {"output", b.Y, q}} {
		for k, v := range part.values {
			if !isFinite(v) {
				return nil, fmt.Errorf("%s %d of sample %d is %g: the teacher overflows on its inputs: %w", part.name, k%part.width, first+k/part.width, v, ErrStates)
			}
		}
	}
	return b, nil
}

func softmax(y []float32, p []float64) {
	largest := y[0]
	for _, v := range y {
		largest = max(largest, v)
	}
	sum := 0.0
	for k, v := range y {
		p[k] = model.Exp(float64(v) - float64(largest))
		sum += p[k]
	}
	for k := range p {
		p[k] /= sum
	}
}

// slope returns φ'(z), x = φ(z).
func slope(a model.Activation, z, x float32) float32 {
	inside := true
	switch a.Kind {
	case model.Tanh:
		return 1 - x*x
	case model.Sigmoid:
		return x * (1 - x)
	case model.ReLU:
		inside = z > 0
	case model.ClippedReLU, model.HardTanh:
		inside = z > a.P0 && z < a.P1
	case model.LeakyReLU:
		if z < 0 {
			return a.P0
		}
	}
	if inside {
		return 1
	}
	return 0
}
