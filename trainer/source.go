package trainer

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
)

// ErrStates is wrapped by errors about a teacher's samples and states: wrong shapes, numbers that are
// not finite, activations that do not fit.
var ErrStates = errors.New("unusable states")

// Shape says what a teacher is, apart from its numbers.
type Shape struct {
	Inputs, Outputs int                // p and q
	Activations     []model.Activation // per state; n of them

	// Ranks orders the states: state i is computed from inputs and states of smaller rank alone (a
	// layered network's rank is the layer). nil: unknown, and only a free structure can be fitted.
	Ranks []int

	// Scaled says that the states are to be taken as they are; otherwise Fit rescales them.
	Scaled bool

	Samples int // m
}

// States returns n.
func (s *Shape) States() int { return len(s.Activations) }

// Batch is a block of consecutive samples, all arrays sample-major: sample k of the batch has inputs
// U[k·p:], pre-activations Z[k·n:], states X[k·n:] and outputs Y[k·q:]. The numbers are finite and
// X = φ(Z). A batch belongs to its source: it is neither changed nor kept.
type Batch struct {
	First, Samples int
	U, Z, X, Y     []float32
}

// Source streams a teacher's samples.
type Source interface {
	// Shape returns the same values at every call.
	Shape() *Shape

	// Batches calls visit with consecutive batches that together cover every sample once, the same
	// batches at every call, and stops at the first error.
	Batches(ctx context.Context, visit func(*Batch) error) error

	// Sensitivity returns what an error in each pre-activation and each output costs (ω of SIM):
	// for classification the root mean square of ∂ log p_y/∂z_i with y drawn from the teacher's
	// softmax, for regression that of ‖∂y/∂z_i‖, each output measured in its own standard deviation.
	// nil, nil, nil where the source cannot know: every ω is then 1.
	Sensitivity(ctx context.Context, task Task, seed uint64) (states, outputs []float64, err error)
}

// Labelled is a source that may know what the outputs ought to be: a class in [0, Outputs) per sample, or
// Outputs numbers per sample (sample-major). nil where it does not know; never both.
type Labelled interface {
	Labels() []int32
	Targets() []float32
}

// contractive is a source that knows its teacher's weights and so can tell scales at which the teacher
// itself satisfies ‖A‖∞ ≤ κ, none below those given.
type contractive interface {
	contractiveScales(scales []float64, kappa float64) []float64
}

// survey is what one pass over a source finds.
type survey struct {
	inputLo, inputHi []float32
	rms              []float64 // of every state
}

// surveySource looks at every sample once.
func surveySource(ctx context.Context, source Source) (*survey, error) {
	shape := source.Shape()
	n, p := shape.States(), shape.Inputs
	s := &survey{inputLo: make([]float32, p), inputHi: make([]float32, p), rms: make([]float64, n)}
	for j := range p {
		s.inputLo[j], s.inputHi[j] = math.MaxFloat32, -math.MaxFloat32
	}
	err := source.Batches(ctx, func(b *Batch) error {
		for k := range b.Samples {
			for j, v := range b.U[k*p : (k+1)*p] {
				s.inputLo[j], s.inputHi[j] = min(s.inputLo[j], v), max(s.inputHi[j], v)
			}
			for i, v := range b.X[k*n : (k+1)*n] {
				s.rms[i] += float64(v) * float64(v)
			}
		}
		return nil
	})
	for i, v := range s.rms {
		s.rms[i] = math.Sqrt(v / float64(shape.Samples))
	}
	return s, err
}

// validate checks a shape before anything is computed from it.
func (s *Shape) validate() error {
	switch {
	case s.Inputs < 0 || s.Outputs <= 0:
		return fmt.Errorf("%d inputs and %d outputs: a model needs an output: %w", s.Inputs, s.Outputs, ErrStates)
	case s.Samples < 2:
		return fmt.Errorf("%d samples: give at least two: %w", s.Samples, ErrStates)
	case s.Ranks != nil && len(s.Ranks) != s.States():
		return fmt.Errorf("%d ranks for %d states: %w", len(s.Ranks), s.States(), ErrStates)
	}
	for i, a := range s.Activations {
		if err := a.Validate(); err != nil {
			return fmt.Errorf("activation of state %d: %w: %w", i, err, ErrStates)
		}
	}
	for i, r := range s.Ranks {
		if r < 0 {
			return fmt.Errorf("rank[%d] = %d: ranks are not negative: %w", i, r, ErrStates)
		}
	}
	return nil
}

func isFinite(v float32) bool { return !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) }
