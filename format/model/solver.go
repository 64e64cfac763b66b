package model

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/sparse-implicit/sim/format/sparse"
)

// ErrNoEquilibrium is wrapped by the error of Solve when a loop does not settle: the model is not well
// posed, or so close to that limit that its equilibrium cannot be iterated to.
var ErrNoEquilibrium = errors.New("no equilibrium")

// Limits of the iteration.
const (
	// SolveTolerance is the accuracy to which a loop's states are iterated, relative to the largest
	// state of the loop, where rounding and MaxSolveSweeps allow it: up to a contraction of about
	// 0.9995 per sweep.
	SolveTolerance = 1e-13
	// MaxSolveSweeps is the number of sweeps after which a loop is given up.
	MaxSolveSweeps = 100_000
)

// Solver computes equilibria of one model in float64: the reference that everything else is held
// against. Results are a function of model and input alone, with the same bits on every architecture:
// products and sums are rounded one by one, in the order of the stored entries. A Solver belongs to one
// goroutine.
//
// States outside loops are exact up to rounding, in topological order of A's graph. A loop is iterated
// by Gauss-Seidel sweeps from zero, which converge wherever λ(|A|) < 1.
type Solver struct {
	model   *Model
	inputs  rows64 // B
	outside rows64 // entries of A that are read from earlier components
	inside  rows64 // entries of A within a loop
	readout rows64 // C
	direct  rows64 // D

	components [][]int
	loop       []bool    // per component
	base       []float64 // per state: b + B u + what earlier components give
	state      []float64 // used when the caller wants no states
	sweeps     int
}

// rows64 is a matrix widened to float64.
type rows64 struct {
	indptr, indices []int32
	data            []float64
}

func widen(m *sparse.Matrix[float32]) rows64 {
	r := rows64{m.Indptr, m.Indices, make([]float64, len(m.Data))}
	for k, v := range m.Data {
		r.data[k] = float64(v)
	}
	return r
}

// dot returns sum + row i times x, unfused, in the order of the entries.
func (r *rows64) dot(sum float64, i int, x []float64) float64 {
	for k := r.indptr[i]; k < r.indptr[i+1]; k++ {
		sum += float64(r.data[k] * x[r.indices[k]])
	}
	return sum
}

// NewSolver prepares a solver; the model must not change while it is used. Errors are those of
// Validate.
func NewSolver(m *Model) (*Solver, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	n := m.States()
	s := &Solver{
		model: m, inputs: widen(m.B), readout: widen(m.C), direct: widen(m.D),
		components: sparse.Components(m.A), base: make([]float64, n), state: make([]float64, n),
	}
	home := make([]int, n) // the loop of a state, −1 outside loops
	for c, component := range s.components {
		s.loop = append(s.loop, sparse.IsLoop(m.A, component))
		for _, i := range component {
			home[i] = -1
			if s.loop[c] {
				home[i] = c
			}
		}
	}
	s.inside = widen(filter(m.A, func(i, j int) bool { return home[i] >= 0 && home[i] == home[j] }))
	s.outside = widen(filter(m.A, func(i, j int) bool { return home[i] < 0 || home[i] != home[j] }))
	return s, nil
}

// filter keeps the entries of m that keep accepts.
func filter(m *sparse.Matrix[float32], keep func(i, j int) bool) *sparse.Matrix[float32] {
	out := sparse.New[float32](m.Rows, m.Cols)
	for i := range m.Rows {
		cols, values := m.Row(i)
		for k, j := range cols {
			if keep(i, int(j)) {
				out.Indices = append(out.Indices, j)
				out.Data = append(out.Data, values[k])
			}
		}
		out.Indptr[i+1] = int32(len(out.Indices))
	}
	return out
}

// Solve computes the equilibrium x (length n) and the outputs y (length q) for the input u (length p).
// x or y may be nil when they are not wanted. u need not lie in the model's box. Errors: a wrong length
// or a number that is not finite in u (wrapping ErrInvalid), ErrNoEquilibrium.
func (s *Solver) Solve(u, x, y []float64) error {
	m := s.model
	if x == nil {
		x = s.state
	}
	if len(u) != m.Inputs() || len(x) != m.States() || (y != nil && len(y) != m.Outputs()) {
		return fmt.Errorf("%d inputs, %d states, %d outputs given, the model has %d, %d, %d: %w", len(u), len(x), len(y), m.Inputs(), m.States(), m.Outputs(), ErrInvalid)
	}
	for j, v := range u {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("input %d is %g, every input must be finite: %w", j, v, ErrInvalid)
		}
	}
	s.sweeps = 0
	clear(x)
	for c, component := range s.components {
		for _, i := range component {
			s.base[i] = s.outside.dot(s.inputs.dot(float64(m.StateBias[i]), i, u), i, x)
		}
		if !s.loop[c] {
			i := component[0]
			x[i] = m.Activations[i].Apply(s.base[i])
			if math.IsNaN(x[i]) || math.IsInf(x[i], 0) {
				return fmt.Errorf("state %d overflows float64: %w", i, ErrNoEquilibrium)
			}
			continue
		}
		if err := s.settle(component, x); err != nil {
			return err
		}
	}
	for k := range y {
		y[k] = s.direct.dot(s.readout.dot(float64(m.OutputBias[k]), k, x), k, u)
	}
	return nil
}

// Sweeps returns how many sweeps the slowest loop of the last Solve took, 0 without loops.
func (s *Solver) Sweeps() int { return s.sweeps }

// settle iterates one loop until the change δ of a sweep, and all that further sweeps would add to it,
// are below the tolerance. What they would add is at most δ/(1−ρ), and the rate ρ is taken from the
// change δ' of a sweep m sweeps ago, a quarter to a half of all that were made, because from one sweep
// to the next rounding hides a rate near one: ρ^m = δ/δ' gives 1−ρ ≥ (1 − δ/δ')/m (Bernoulli). Where δ
// does not shrink over so many sweeps, rounding is all that is left of it.
func (s *Solver) settle(component []int, x []float64) error {
	change, tolerance := 0.0, 0.0
	floor := s.restlessness(component)
	older, newer := 0.0, 0.0 // changes of the sweeps that were the last two powers of two
	for sweep := 1; sweep <= MaxSolveSweeps; sweep++ {
		var size float64
		change, size = s.sweep(component, x)
		tolerance = max(SolveTolerance*size, floor)
		s.sweeps = max(s.sweeps, sweep)
		if change == 0 {
			return nil
		}
		if math.IsNaN(change) || math.IsInf(change, 0) {
			return s.unsettled(component, sweep)
		}
		power := 1 << (bits.Len(uint(sweep)) - 1) // the newest power of two
		if sweep == power {
			older, newer = newer, change
		}
		if sweep < 4 || change > tolerance {
			continue
		}
		passed := float64(sweep - power/2)
		if shrunk := older - change; shrunk <= 0 || change*passed <= tolerance*(shrunk/older) {
			return nil
		}
	}
	if change <= tolerance { // no longer moving to speak of, if not proved to be where it goes
		return nil
	}
	return s.unsettled(component, MaxSolveSweeps)
}

// restlessness returns what the loop's activations themselves may be off by from sweep to sweep: Tanh and
// Sigmoid have an absolute error, so that states near zero never come to rest more finely.
func (s *Solver) restlessness(component []int) float64 {
	for _, i := range component {
		if !s.model.Activations[i].Kind.Homogeneous() {
			return 0x1p-48
		}
	}
	return 0
}

// sweep computes each state of the loop once, in place, and returns the largest change and the largest
// state.
func (s *Solver) sweep(component []int, x []float64) (change, size float64) {
	for _, i := range component {
		v := s.model.Activations[i].Apply(s.inside.dot(s.base[i], i, x))
		change = max(change, math.Abs(v-x[i])) // max keeps NaN
		size = max(size, math.Abs(v))
		x[i] = v
	}
	return change, size
}

func (s *Solver) unsettled(component []int, sweeps int) error {
	return fmt.Errorf("the loop of %d states around state %d does not settle within %d sweeps: %w", len(component), component[0], sweeps, ErrNoEquilibrium)
}

// Decide applies the model's decision rule to outputs: the index of the largest or smallest, the lowest
// index among equals; −1 when the rule is none.
func (m *Model) Decide(y []float64) int {
	if m.Decision == DecideNone || len(y) == 0 {
		return -1
	}
	best := 0
	for k, v := range y {
		if (m.Decision == DecideArgmax && v > y[best]) || (m.Decision == DecideArgmin && v < y[best]) {
			best = k
		}
	}
	return best
}
