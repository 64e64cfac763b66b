package trainer

import (
	"context"
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/npz"
)

// StatesSource holds a teacher's states as given, taken as already scaled. It knows no network, so ω is
// 1 for every row.
type StatesSource struct {
	shape      Shape
	u, z, x, y []float32 // sample-major
}

// activationTolerance is how far X may be from φ(Z), relative to 1 + |X|.
const activationTolerance = 1e-4

// NewStatesSource takes features × samples arrays: U p×m, Z and X n×m, Y q×m, each row-major, with one
// activation for all states and their ranks, which may be nil (only a free structure can then be
// fitted). Errors, all wrapping ErrStates: lengths that do not fit, a number that is not finite (by
// array, row and column), X that is not φ(Z).
func NewStatesSource(inputs, states, outputs, samples int, u, z, x, y []float32, activation model.Activation, ranks []int) (*StatesSource, error) {
	s := &StatesSource{shape: Shape{Inputs: inputs, Outputs: outputs, Samples: samples, Ranks: ranks, Scaled: true}}
	for range states {
		s.shape.Activations = append(s.shape.Activations, activation)
	}
	if err := s.shape.validate(); err != nil {
		return nil, err
	}
	for _, part := range []struct {
		name string
		from []float32
		rows int
		to   *[]float32
	}{{"U", u, inputs, &s.u}, {"Z", z, states, &s.z}, {"X", x, states, &s.x}, {"Y", y, outputs, &s.y}} {
		if len(part.from) != part.rows*samples {
			return nil, fmt.Errorf("%s has %d numbers, %d × %d are needed: %w", part.name, len(part.from), part.rows, samples, ErrStates)
		}
		to := make([]float32, len(part.from))
		for k, v := range part.from {
			if !isFinite(v) {
				return nil, fmt.Errorf("%s[%d, %d] is %g, every number must be finite: %w", part.name, k/samples, k%samples, v, ErrStates)
			}
			to[k%samples*part.rows+k/samples] = v
		}
		*part.to = to
	}
	return s, s.checkActivation(activation)
}

func (s *StatesSource) checkActivation(a model.Activation) error {
	n := s.shape.States()
	for k, x := range s.x {
		want := a.Apply(float64(s.z[k]))
		if math.Abs(float64(x)-want) > activationTolerance*(1+math.Abs(want)) {
			return fmt.Errorf("state X[%d, %d] = %g, but the %s of Z there is %g: name the states' activation, or mend the file: %w", k%n, k/n, x, a.Kind, want, ErrStates)
		}
	}
	return nil
}

// ReadStates makes a source from an NPZ file's arrays U, Z, X, Y (features × samples, as for
// NewStatesSource) and, where present, rank (n whole numbers). Errors wrap npz.ErrMalformed,
// npz.ErrTooLarge or ErrStates.
func ReadStates(archive *npz.Archive, activation model.Activation) (*StatesSource, error) {
	values, rows, samples := map[string][]float32{}, map[string]int{}, -1
	for _, name := range []string{"U", "Z", "X", "Y"} {
		array, err := archive.Array(name)
		if err != nil {
			return nil, err
		}
		if len(array.Shape) != 2 {
			return nil, fmt.Errorf("%s has %d dimensions, it must be features × samples: %w", name, len(array.Shape), ErrStates)
		}
		if samples >= 0 && int(array.Shape[1]) != samples {
			return nil, fmt.Errorf("%s has %d samples (columns), the arrays before it %d: %w", name, array.Shape[1], samples, ErrStates)
		}
		samples, rows[name] = int(array.Shape[1]), int(array.Shape[0])
		if values[name], err = array.Float32(); err != nil {
			return nil, err
		}
	}
	if rows["Z"] != rows["X"] {
		return nil, fmt.Errorf("array Z has %d states, X %d: %w", rows["Z"], rows["X"], ErrStates)
	}
	ranks, err := readRanks(archive)
	if err != nil {
		return nil, err
	}
	return NewStatesSource(rows["U"], rows["X"], rows["Y"], samples, values["U"], values["Z"], values["X"], values["Y"], activation, ranks)
}

func readRanks(archive *npz.Archive) ([]int, error) {
	if !archive.Has("rank") {
		return nil, nil
	}
	array, err := archive.Array("rank")
	if err != nil {
		return nil, err
	}
	whole, err := array.Int64()
	if err != nil {
		return nil, err
	}
	ranks := make([]int, len(whole))
	for i, r := range whole {
		if r < 0 || r > math.MaxInt32 {
			return nil, fmt.Errorf("rank[%d] = %d is out of range: %w", i, r, ErrStates)
		}
		ranks[i] = int(r)
	}
	return ranks, nil
}

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

// Sensitivity implements Source: nothing is known.
func (s *StatesSource) Sensitivity(context.Context, Task, uint64) (states, outputs []float64, err error) {
	return nil, nil, nil
}

func (s *StatesSource) allInputs() []float32 { return s.u }
