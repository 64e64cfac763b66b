package compiler

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
)

// calibrationSamples is how many samples Calibrate looks at, spread evenly over what it is given.
const calibrationSamples = 20000

// Calibrate sets the model's state ranges to what its states reach on samples (sample-major, a multiple
// of the model's inputs), by the float64 reference solver. At most 20,000 samples are used, evenly
// spread. Errors: a length that is no multiple of the inputs, no sample, a sample without equilibrium.
func Calibrate(m *model.Model, samples []float32, progress func(done, total int)) error {
	p := m.Inputs()
	if p == 0 || len(samples) == 0 || len(samples)%p != 0 {
		return fmt.Errorf("%d numbers are no samples of %d inputs: %w", len(samples), p, ErrOptions)
	}
	solver, err := model.NewSolver(m)
	if err != nil {
		return err
	}
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
		for i, v := range x {
			lo[i], hi[i] = min(lo[i], float32(v)), max(hi[i], float32(v))
		}
		if progress != nil {
			progress(k+1, use)
		}
	}
	m.StateLo, m.StateHi = lo, hi
	return nil
}
