package compiler

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/compiler/internal/pass"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
)

// calibrationSamples is how many samples Calibrate looks at, spread evenly over what it is given.
const calibrationSamples = 20000

// Calibrate sets the model's state ranges to what its states reach on samples (sample-major, a multiple
// of the model's inputs), by the float64 reference solver; in loops also to what the sweeps from zero
// pass through, so that they do not saturate on their way. At most 20,000 samples are used, evenly
// spread. Errors: a length that is no multiple of the inputs, no sample, a sample without equilibrium,
// a state beyond float32.
func Calibrate(m *model.Model, samples []float32, progress func(done, total int)) error {
	p := m.Inputs()
	if p == 0 || len(samples) == 0 || len(samples)%p != 0 {
		return fmt.Errorf("%d numbers are no samples of %d inputs: %w", len(samples), p, ErrOptions)
	}
	solver, err := model.NewSolver(m)
	if err != nil {
		return err
	}
	loops := loopsOf(m)
	total := len(samples) / p
	use := min(total, calibrationSamples)
	u, x, y := make([]float64, p), make([]float64, m.States()), make([]float64, m.Outputs())
	lo, hi := make([]float32, m.States()), make([]float32, m.States())
	for i := range lo {
		lo[i], hi[i] = math.MaxFloat32, -math.MaxFloat32
	}
	for k := range use {
		s := k * total / use
		for j := range u {
			u[j] = float64(samples[s*p+j])
		}
		if err := solver.Solve(u, x, y); err != nil {
			return fmt.Errorf("calibration sample %d: %w", s, err)
		}
		seen := func(i int, v float64) { lo[i], hi[i] = min(lo[i], float32(v)), max(hi[i], float32(v)) }
		for i, v := range x {
			if math.Abs(v) > math.MaxFloat32 {
				return fmt.Errorf("calibration sample %d: state %d is %g, beyond float32: scale the model's weights: %w", s, i, v, ErrUnfit)
			}
			seen(i, v)
		}
		for _, loop := range loops {
			sweepLoop(m, loop, u, x, seen)
		}
		if progress != nil {
			progress(k+1, use)
		}
	}
	m.StateLo, m.StateHi = lo, hi
	return nil
}

// onItsBox returns the model with its states' ranges on samples of its box.
func onItsBox(m *model.Model) (*model.Model, error) {
	if p := m.Inputs(); p == 0 || p > fewInputs {
		return nil, fmt.Errorf("a box of %d inputs cannot be sampled, one of 1 to %d can: calibrate on data: %w", p, fewInputs, ErrOptions)
	}
	calibrated := *m
	err := Calibrate(&calibrated, pass.BoxSamples(m.InputLo, m.InputHi, calibrationSamples), nil)
	return &calibrated, err
}

// loopsOf returns the states of each loop.
func loopsOf(m *model.Model) [][]int {
	var loops [][]int
	for _, component := range sparse.Components(m.A) {
		if sparse.IsLoop(m.A, component) {
			loops = append(loops, component)
		}
	}
	return loops
}

// sweepLoop sweeps one loop from zero as an inference does, all else at the equilibrium x, and shows what
// its states pass through until they are near it.
func sweepLoop(m *model.Model, loop []int, u, x []float64, seen func(i int, v float64)) {
	const most, near = 100, 1e-2
	now := append([]float64(nil), x...)
	for _, i := range loop {
		now[i] = 0
	}
	next := make([]float64, len(loop))
	for range most {
		left, size := 0.0, 0.0
		for k, i := range loop {
			z := dot(float64(m.StateBias[i]), m.B, i, u)
			next[k] = m.Activations[i].Apply(dot(z, m.A, i, now))
			left, size = max(left, math.Abs(next[k]-x[i])), max(size, math.Abs(x[i]))
		}
		for k, i := range loop {
			now[i] = next[k]
			seen(i, next[k])
		}
		if left <= float64(near*size) {
			return
		}
	}
}

// dot returns sum + row i of w times v, unfused.
func dot(sum float64, w *sparse.Matrix[float32], i int, v []float64) float64 {
	cols, values := w.Row(i)
	for k, j := range cols {
		sum += float64(float64(values[k]) * v[j])
	}
	return sum
}
