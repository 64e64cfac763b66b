package trainer

import (
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/trainer/internal/tune"
)

// Rounding while training begins when the learning rate has come down to a fifth, and the rows' scales stay
// once it is nearly gone. States may still grow by rangeRoom of what they reach when it begins.
const (
	roundFrom  = 0.7
	scalesFrom = 0.9
	rangeRoom  = 1.15
)

// levelWidth is the width of activations that weights are trained for: a model keeps its levels with 14
// bits.
const levelWidth = quant.Width7

// levels returns what weights of few bits are trained for, nil for those of 8 bits, which the compiler
// rounds.
func (f *fitter) levels(s *tune.Samples) *tune.Levels {
	if bits := f.options.WeightBits; bits == 0 || bits == 8 {
		return nil
	}
	return &tune.Levels{
		Most: int(quant.MaxLevel(f.options.WeightBits)), From: roundFrom, Fixed: scalesFrom,
		Column: func(lo, hi []float32) []float32 { return f.columnSteps(s, lo, hi) },
		Scale:  f.rowScale,
	}
}

// columnSteps returns the worth of one step of each feature, in the units that the net sees.
func (f *fitter) columnSteps(s *tune.Samples, lo, hi []float32) []float32 {
	n := f.states()
	ranges := make([]quant.StateRange, n)
	for i, a := range f.activations {
		ranges[i] = quant.StateRange{Kind: uint8(a.Kind), Limit: float64(a.P1), Lo: min(0, rangeRoom*float64(lo[i])), Hi: max(0, rangeRoom*float64(hi[i]))}
	}
	steps := append(quant.StateSteps(ranges, levelWidth), f.inputSteps()...)
	for j := range f.shape.Inputs {
		if s.Gain != nil {
			steps[n+j] *= s.Gain[j]
		}
	}
	return append(steps, 1)
}

// inputSteps returns the worth of one step of each input, 1 where its box is a point or has no step.
func (f *fitter) inputSteps() []float32 {
	lo, hi := f.survey.inputLo, f.survey.inputHi
	if f.options.InputLo != nil {
		lo, hi = f.options.InputLo, f.options.InputHi
	}
	steps := make([]float32, f.shape.Inputs)
	for j := range steps {
		steps[j] = 1
		if lo[j] < hi[j] {
			if step, _, err := quant.InputStep(lo[j], hi[j], levelWidth, 1); err == nil {
				steps[j] = step
			}
		}
	}
	return steps
}

// rowScale returns the scale of row i nearest to the wanted one that a short multiplier gives.
func (f *fitter) rowScale(i int, column []float32, wanted float64) float32 {
	unit := float32(1)
	if i < f.states() {
		unit = quant.RowUnit(uint8(f.activations[i].Kind), column[i], levelWidth)
	}
	scale, err := quant.RowScale(wanted, unit)
	if err != nil {
		return float32(math.Max(wanted, 0x1p-100))
	}
	return scale
}

// storeLevels tells the compiler what the weights were trained for.
func (f *fitter) storeLevels(m *model.Model, kept []int) {
	if f.rounding == nil {
		return
	}
	n := f.states()
	m.WeightBits, m.ColumnBits = f.options.WeightBits, int(levelWidth)
	m.ColumnStep = f.inputSteps()
	for _, i := range kept {
		m.ColumnStep = append(m.ColumnStep, f.rounding.Column[i])
		m.WeightScale = append(m.WeightScale, f.rounding.Scale[i])
	}
	m.WeightScale = append(m.WeightScale, f.rounding.Scale[n:]...)
}
