package pass

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
)

// A model may say for which integers its weights were trained: what one step of each column is worth and
// one unit of each row's sum (quant.Level). They are taken as they are, so that the file's integers are
// the levels that training saw; where the box, new calibration data or a bound of the integer semantics
// speak against a step, the rows that read its column are rounded as others are.

// trainedSlack is how far beyond a trained step's cover a widened range may reach: what the data showed
// is then clipped by a tenth at most, and counted where it is.
const trainedSlack = quant.CalibrationHeadroom * quant.CalibrationHeadroom

// trained reports whether the model's levels are to be kept: they are given, and fit the weights asked for.
func (p *Program) trained() bool {
	return p.Source.ColumnStep != nil && p.Options.Planes == 1 && quant.MaxLevel(p.Source.WeightBits) <= p.Options.Levels
}

// trainedFactor returns what a step of the plan's width is in steps of the trained one, a power of two:
// multiplying steps and row scales by it changes no level.
func (p *Program) trainedFactor() float32 {
	return float32(math.Ldexp(1, p.Source.ColumnBits-int(p.Options.Width)))
}

// trainedStep returns the step that the weights of a source column (inputs first) were trained for, in
// the plan's width, or 0, as where float32 has none in that width.
func (p *Program) trainedStep(column int) float32 {
	if !p.trained() {
		return 0
	}
	step := p.Source.ColumnStep[column] * p.trainedFactor()
	if step > math.MaxFloat32 {
		return 0
	}
	return step
}

// inputScale returns scale and zero point of source input j: the trained ones where no input of the box
// saturates with them, and they are not so fine that the bias would have to be cut.
func (p *Program) inputScale(j int) (float32, int32, error) {
	lo, hi := p.Source.InputLo[j], p.Source.InputHi[j]
	scale, zero, err := quant.InputStep(lo, hi, p.Options.Width, p.Options.Planes)
	if step := p.trainedStep(j); err == nil && step >= scale {
		if own, fits := quant.InputZero(lo, hi, step, p.Options.Width); fits {
			return step, own, nil
		}
	}
	return scale, zero, err
}

// keepStep gives state i, which is to cover `use`, the step that it was trained with. It reports whether
// that step covers enough and is one that a file can hold.
func (p *Program) keepStep(i int, row *simb.Row, use interval) bool {
	step := p.trainedStep(p.Source.Inputs() + p.States[i])
	if !(step >= leastScale) || float64(step) < p.wantedUnit(i)/mostUnit {
		return false
	}
	slack := proofHeadroom
	if _, byData := p.wanted(i); byData {
		slack = trainedSlack
	}
	a := p.activation(i)
	length, steps := stateRange(a, use).Span(p.Options.Width)
	covered := float64(float64(step) * float64(steps))
	if length > float64(covered*slack) {
		return false
	}
	if share := covered / length; share < 1 && a.Kind != model.Tanh && a.Kind != model.Sigmoid {
		use = interval{float64(use.lo * share), float64(use.hi * share)}
	}
	shaped := *row
	p.shapeRow(&shaped, a, use, float64(step))
	if shaped.Scale != step {
		return false
	}
	*row = shaped
	return true
}

// keeps reports whether column j of the plan has its trained step.
func (p *Program) keeps(j int32) bool {
	if s := p.stateColumn(j); s >= 0 {
		return p.Rows[s].Scale == p.trainedStep(p.Source.Inputs()+p.States[s])
	}
	return p.InputPlan[j].Scale == p.trainedStep(int(p.InputPlan[j].Source))
}

// keptSteps says how many columns have their trained steps, or nothing for a model without.
func (p *Program) keptSteps() string {
	if p.Source.ColumnStep == nil {
		return ""
	}
	if !p.trained() {
		return fmt.Sprintf("; not the %d-bit weights that the model was trained for", p.Source.WeightBits)
	}
	kept, total := 0, len(p.InputPlan)+p.states()
	for j := range total {
		if p.keeps(int32(j)) {
			kept++
		}
	}
	return fmt.Sprintf("; %d of %d columns keep their trained steps", kept, total)
}

// trainedScale returns the worth of one unit of row i's sum that its weights were trained for, when every
// column that the row reads keeps its step, else 0.
func (p *Program) trainedScale(i int) float32 {
	if !p.trained() || p.Rows[i].Planes == 2 {
		return 0
	}
	if p.equationOf(i).rewritten {
		return 0
	}
	cols, _ := p.Weights.Row(i)
	for _, j := range cols {
		if !p.keeps(j) {
			return 0
		}
	}
	source := p.Source.States() + i - p.states()
	if i < p.states() {
		source = p.States[i]
	}
	return p.Source.WeightScale[source] * p.trainedFactor()
}

// trainedRow sets multiplier, weights and bias of row i to its trained levels. The multiplier may stand
// for a unit next to the trained one: levels do not depend on it, and what that changes is part of the
// proved error. In a loop it stands for none that is larger, so that the integers' loop contracts at
// least as fast. It reports whether the row is as trained and every bound of the integer semantics holds.
func (p *Program) trainedRow(i int, unit float32, loop bool) (bits int, ok bool) {
	scale := p.trainedScale(i)
	if scale == 0 {
		return 0, false
	}
	row, ratio := &p.Rows[i], float64(scale)/float64(unit)
	m, err := quant.NewMultiplier(ratio, multiplierBits)
	if err == nil && loop && m.Ratio() > ratio {
		m, err = quant.NewMultiplier(float64(ratio*(1-0x1p-8)), multiplierBits)
	}
	if err != nil {
		return 0, false
	}
	row.Multiplier = m
	bits, ok = p.tryRow(i, unit, rounding{})
	if !ok {
		return 0, false
	}
	cols, values := p.Weights.Row(i)
	levels := p.Quantised.Data[p.Quantised.Indptr[i]:p.Quantised.Indptr[i+1]]
	for k, j := range cols {
		if p.columnSteps(j) > 0 && int32(levels[k]) != quant.Level(float32(values[k]), float32(p.columnScale(j)), scale, p.Options.Levels) {
			return 0, false
		}
	}
	return bits, true
}

// trainedOutputs returns the finest unit of the outputs' rows when all of them are as trained.
func (p *Program) trainedOutputs() (finest float64, ok bool) {
	finest = math.Inf(1)
	for i := p.states(); i < len(p.Rows); i++ {
		scale := p.trainedScale(i)
		if scale == 0 {
			return 0, false
		}
		finest = min(finest, float64(scale))
	}
	return finest, true
}
