package model

import (
	"errors"
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/sparse"
)

// ErrNoEquilibrium is returned by Solve when the sweeps of a loop do not settle.
var ErrNoEquilibrium = errors.New("no equilibrium found")

// Limits of the reference solver's sweeps over a loop.
const (
	solverSweeps    = 100000
	solverTolerance = 1e-13
)

// Solver computes equilibria of one model in float64: the oracle that everything else is held against.
// States outside cycles are computed once in an order of computation, exactly; each cycle is swept until
// no state moves by more than 1e-13 of its size. Products and sums are rounded one by one, in a fixed
// order, so that the bits are the same on every architecture. A Solver belongs to one goroutine.
type Solver struct {
	model      *Model
	components [][]int
	loop       []bool // per component
	next       []float64
	sweeps     int
}

// NewSolver validates the model and prepares its order of computation.
func NewSolver(m *Model) (*Solver, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	s := &Solver{model: m, components: sparse.Components(m.A)}
	s.loop = make([]bool, len(s.components))
	largest := 0
	for k, component := range s.components {
		s.loop[k] = sparse.IsLoop(m.A, component)
		largest = max(largest, len(component))
	}
	s.next = make([]float64, largest)
	return s, nil
}

// Solve computes the equilibrium x (length n) and the outputs y (length q) for the input u (length p).
func (s *Solver) Solve(u, x, y []float64) error {
	m := s.model
	if len(u) != m.Inputs() || len(x) != m.States() || len(y) != m.Outputs() {
		return fmt.Errorf("lengths %d, %d, %d of u, x, y; the model needs %d, %d, %d: %w", len(u), len(x), len(y), m.Inputs(), m.States(), m.Outputs(), ErrInvalid)
	}
	s.sweeps = 0
	clear(x)
	for k, component := range s.components {
		if !s.loop[k] {
			i := component[0]
			x[i] = m.Activations[i].Apply(s.preactivation(i, u, x))
			continue
		}
		if err := s.settle(component, u, x); err != nil {
			return err
		}
	}
	for k := range y {
		sum := float64(m.OutputBias[k])
		sum = accumulate(m.D, k, u, sum)
		y[k] = accumulate(m.C, k, x, sum)
	}
	return nil
}

// Sweeps returns how many sweeps the loops of the last Solve took together.
func (s *Solver) Sweeps() int { return s.sweeps }

func (s *Solver) preactivation(i int, u, x []float64) float64 {
	sum := accumulate(s.model.B, i, u, float64(s.model.StateBias[i]))
	return accumulate(s.model.A, i, x, sum)
}

func accumulate(w *sparse.Matrix[float32], i int, v []float64, sum float64) float64 {
	cols, values := w.Row(i)
	for k, j := range cols {
		sum += float64(float64(values[k]) * v[j])
	}
	return sum
}

// settle sweeps a loop until it rests.
func (s *Solver) settle(component []int, u, x []float64) error {
	for range solverSweeps {
		s.sweeps++
		moved := false
		for k, i := range component {
			v := s.model.Activations[i].Apply(s.preactivation(i, u, x))
			if math.Abs(v-x[i]) > solverTolerance*max(1, math.Abs(v)) {
				moved = true
			}
			s.next[k] = v
		}
		for k, i := range component {
			x[i] = s.next[k]
		}
		if !moved {
			return nil
		}
	}
	return fmt.Errorf("the loop through state %d still moves after %d sweeps: %w", component[0], solverSweeps, ErrNoEquilibrium)
}
