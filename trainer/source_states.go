package trainer

import (
	"context"
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/trainer/dataset"
)

// StatesSource holds a teacher's states as given, taken as already scaled. It implements Labelled.
type StatesSource struct {
	shape      Shape
	u, z, x, y []float32 // sample-major
	labels     []int32
	targets    []float32 // sample-major
}

// States are a teacher's states on samples. Arrays are features × samples, row-major: sample s of
// feature i is number i·Samples + s.
type States struct {
	Inputs, Outputs, Samples int // p, q, m

	U    []float32 // p × m, inputs
	Z, X []float32 // n × m, pre-activations and states X = φ(Z), n = len(Activations)
	Y    []float32 // q × m, outputs

	Activations []model.Activation // of each state
	Ranks       []int              // as in Shape; nil: only a free structure can be fitted

	// What the outputs ought to be, at most one of them: m classes in [0, q), or q × m numbers. Nothing
	// but fine-tuning looks at them.
	Labels  []int32
	Targets []float32
}

// activationTolerance is how far X may be from φ(Z), relative to 1 + |X|.
const activationTolerance = 1e-4

// NewStatesSource takes features × samples arrays: U p×m, Z and X n×m, Y q×m, each row-major, with one
// activation for all states and their ranks, which may be nil (only a free structure can then be
// fitted). Errors are those of States.Source.
func NewStatesSource(inputs, states, outputs, samples int, u, z, x, y []float32, activation model.Activation, ranks []int) (*StatesSource, error) {
	all := States{Inputs: inputs, Outputs: outputs, Samples: samples, U: u, Z: z, X: x, Y: y, Ranks: ranks}
	for range states {
		all.Activations = append(all.Activations, activation)
	}
	return all.Source()
}

// Source copies the states into a source. Errors, all wrapping ErrStates: lengths that do not fit, a
// number that is not finite (by array, row and column), X that is not φ(Z), labels outside [0, q), both
// labels and targets.
func (s *States) Source() (*StatesSource, error) {
	source, err := newStatesSource(Shape{Inputs: s.Inputs, Outputs: s.Outputs, Samples: s.Samples, Activations: s.Activations, Ranks: s.Ranks})
	if err != nil {
		return nil, err
	}
	for _, part := range source.parts() {
		if err := source.take(part, map[string][]float32{"U": s.U, "Z": s.Z, "X": s.X, "Y": s.Y, "targets": s.Targets}[part.name]); err != nil {
			return nil, err
		}
	}
	source.labels = s.Labels
	return source, source.check()
}

// newStatesSource returns a source that has no numbers yet.
func newStatesSource(shape Shape) (*StatesSource, error) {
	shape.Scaled = true
	return &StatesSource{shape: shape}, shape.validate()
}

// statesPart is one array of a source.
type statesPart struct {
	name     string
	rows     int
	to       *[]float32
	optional bool
}

// parts lists the arrays of float numbers.
func (s *StatesSource) parts() []statesPart {
	n := s.shape.States()
	return []statesPart{
		{"U", s.shape.Inputs, &s.u, false}, {"Z", n, &s.z, false}, {"X", n, &s.x, false},
		{"Y", s.shape.Outputs, &s.y, false}, {"targets", s.shape.Outputs, &s.targets, true},
	}
}

// take checks an array of features × samples and keeps it sample by sample.
func (s *StatesSource) take(part statesPart, from []float32) error {
	if from == nil && part.optional {
		return nil
	}
	samples := s.shape.Samples
	if len(from) != part.rows*samples {
		return fmt.Errorf("%s has %d numbers, %d × %d are needed: %w", part.name, len(from), part.rows, samples, ErrStates)
	}
	to := make([]float32, len(from))
	for i := range part.rows {
		for k, v := range from[i*samples : (i+1)*samples] {
			if !isFinite(v) {
				return fmt.Errorf("%s[%d, %d] is %g, every number must be finite: %w", part.name, i, k, v, ErrStates)
			}
			to[k*part.rows+i] = v
		}
	}
	*part.to = to
	return nil
}

// check holds the arrays against each other.
func (s *StatesSource) check() error {
	n := s.shape.States()
	for k, x := range s.x {
		a := s.shape.Activations[k%n]
		want := a.Apply(float64(s.z[k]))
		if !(math.Abs(float64(x)-want) <= activationTolerance*(1+math.Abs(want))) {
			return fmt.Errorf("state X[%d, %d] = %g, but the %s of Z there is %g: name the states' activations, or mend the file: %w", k%n, k/n, x, a.Kind, want, ErrStates)
		}
	}
	switch {
	case s.labels != nil && s.targets != nil:
		return fmt.Errorf("both labels and targets: give the one that the task needs: %w", ErrStates)
	case s.labels != nil && len(s.labels) != s.shape.Samples:
		return fmt.Errorf("%d labels for %d samples: %w", len(s.labels), s.shape.Samples, ErrStates)
	}
	for k, label := range s.labels {
		if label < 0 || int(label) >= s.shape.Outputs {
			return fmt.Errorf("labels[%d] = %d: with %d outputs labels are 0 to %d: %w", k, label, s.shape.Outputs, s.shape.Outputs-1, ErrStates)
		}
	}
	return nil
}

// Box returns the box of the inputs that leaves out so many percent of the samples at either end of
// each, as dataset.PercentileBox.
func (s *StatesSource) Box(percent float64) (lo, hi []float32, err error) {
	return dataset.PercentileBox(s.u, s.shape.Inputs, percent)
}

// Clip brings inputs outside a box to its limits, as a compiled model does.
func (s *StatesSource) Clip(lo, hi []float32) {
	p := s.shape.Inputs
	for k, v := range s.u {
		s.u[k] = min(max(v, lo[k%p]), hi[k%p])
	}
}

// Labels implements Labelled.
func (s *StatesSource) Labels() []int32 { return s.labels }

// Targets implements Labelled.
func (s *StatesSource) Targets() []float32 { return s.targets }

// Shape implements Source.
func (s *StatesSource) Shape() *Shape { return &s.shape }

// Batches implements Source.
func (s *StatesSource) Batches(ctx context.Context, visit func(*Batch) error) error {
	n, p, q := s.shape.States(), s.shape.Inputs, s.shape.Outputs
	for first := 0; first < s.shape.Samples; first += batchSamples {
		if err := ctx.Err(); err != nil {
			return err
		}
		last := min(first+batchSamples, s.shape.Samples)
		err := visit(&Batch{
			First: first, Samples: last - first,
			U: s.u[first*p : last*p], Z: s.z[first*n : last*n], X: s.x[first*n : last*n], Y: s.y[first*q : last*q],
		})
		if err != nil {
			return err
		}
	}
	return nil
}
