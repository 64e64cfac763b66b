package pass

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// Headrooms: a calibrated range is widened by calibrationHeadroom before it becomes a scale, and a
// proved range by proofHeadroom, so that what quantisation adds to it is not clipped.
const (
	calibrationHeadroom = 1.1
	proofHeadroom       = 1.02
)

// inputSlack is what InputFromReal's own rounding can add to half a step.
const inputSlack = 0x1p-20

// Ranges chooses the scales of inputs from their box and propagates the region of unsaturated inputs
// through the float model: the proved range of every state.
func (p *Program) Ranges() (string, error) {
	p.InputPlan = make([]simb.Input, len(p.Inputs))
	for k, j := range p.Inputs {
		lo, hi := p.Source.InputLo[j], p.Source.InputHi[j]
		scale, zero, err := inputScale(lo, hi, p.Options.Width)
		if err != nil {
			return "", fmt.Errorf("input %d: %w", j, err)
		}
		p.InputPlan[k] = simb.Input{Source: int32(j), Scale: scale, Zero: zero, Lo: lo, Hi: hi}
	}
	weights := &sparse.Matrix[float64]{Rows: p.Weights.Rows, Cols: p.Weights.Cols, Indptr: p.Weights.Indptr, Indices: p.Weights.Indices, Data: make([]float64, len(p.Weights.Data))}
	for k, v := range p.Weights.Data {
		weights.Data[k] = float64(v)
	}
	p.floatReach, _ = p.reaches(&affine{weights: weights, bias: p.Bias, inputs: p.inputRegion()}, &p.Wellposed)
	widest := 0.0
	for _, v := range p.floatReach {
		widest = max(widest, v.hi-v.lo)
	}
	return fmt.Sprintf("widest proved state range %.4g", widest), nil
}

// inputScale returns the scale and zero point of an input with the box [lo, hi], lo < hi: the finest
// scale with which no input of the box saturates.
func inputScale(lo, hi float32, width quant.Width) (float32, int32, error) {
	scale := up32((float64(hi) - float64(lo)) / float64(width.Max()))
	if least := up32(max(math.Abs(float64(lo)), math.Abs(float64(hi))) * 0x1p-30); scale < least {
		scale = least // a finer one has no zero point in int32; float32 resolves no finer anyway
	}
	for range 64 {
		if math.IsInf(float64(scale), 0) {
			break
		}
		zero := -math.Floor(float64(lo)/float64(scale) + 0.5)
		_, cutLo := quant.InputFromReal(lo, scale, int32(int64(zero)), width)
		_, cutHi := quant.InputFromReal(hi, scale, int32(int64(zero)), width)
		if !cutLo && !cutHi {
			return scale, int32(int64(zero)), nil
		}
		scale = math.Nextafter32(scale, float32(math.Inf(1)))
	}
	return 0, 0, fmt.Errorf("no scale resolves the box [%g, %g]: %w", lo, hi, ErrUnfit)
}

// inputRegion returns 𝒰: all reals that quantise to an input of the plan without saturating.
func (p *Program) inputRegion() []interval {
	q := float64(p.Options.Width.Max())
	region := make([]interval, len(p.InputPlan))
	for k, input := range p.InputPlan {
		s, z := float64(input.Scale), float64(input.Zero)
		lo, hi := float64(s*(-z-0.5-inputSlack)), float64(s*(q-z+0.5+inputSlack))
		size := math.Abs(lo) + math.Abs(hi)
		region[k] = interval{lo - float64(size*0x1p-48), hi + float64(size*0x1p-48)}
	}
	return region
}

// Scales chooses what one step of each state is worth, its zero point and its limits.
func (p *Program) Scales() (string, error) {
	p.Rows = make([]simb.Row, p.states()+p.outputs())
	calibrated := 0
	for i := range p.States {
		proved, data := p.floatReach[i], p.dataRange(i)
		use := interval{min(0, float64(proved.lo*proofHeadroom)), max(0, float64(proved.hi*proofHeadroom))}
		if data != nil {
			if data.lo > use.lo || data.hi < use.hi {
				calibrated++
			}
			use = interval{max(use.lo, data.lo), min(use.hi, data.hi)}
		}
		row := &p.Rows[i]
		*row = simb.Row{Planes: p.Options.Planes, Kind: simb.Kind(p.activation(i).Kind), Table: simb.NoTable}
		p.shapeRow(row, p.activation(i), use)
		if !(row.Scale > 0) || math.IsInf(float64(row.Scale), 0) {
			return "", fmt.Errorf("state %d: its range [%g, %g] has no float32 scale: %w", p.States[i], use.lo, use.hi, ErrUnfit)
		}
	}
	for k := range p.outputs() {
		p.Rows[p.states()+k] = simb.Row{Planes: p.Options.Planes, Table: simb.NoTable}
	}
	return fmt.Sprintf("%d of %d states scaled by data, the others by proof", calibrated, p.states()), nil
}

// dataRange returns the widened range of a state over the calibration data, or nil when unknown or
// when the state never left zero there.
func (p *Program) dataRange(i int) *interval {
	if p.Source.StateLo == nil {
		return nil
	}
	s := p.States[i]
	lo, hi := min(0, float64(p.Source.StateLo[s])), max(0, float64(p.Source.StateHi[s]))
	if lo == hi {
		return nil
	}
	return &interval{float64(lo * calibrationHeadroom), float64(hi * calibrationHeadroom)}
}

// shapeRow fills scale, zero point, limits and saturation flags for a state whose values are to range
// over `use`, which contains 0.
func (p *Program) shapeRow(row *simb.Row, a model.Activation, use interval) {
	q := p.Options.Width.Max()
	half := q / 2 // steps on either side of a centred zero point
	switch a.Kind {
	case model.ReLU:
		row.Hi, row.Saturates = uint16(q), simb.SaturatesHigh
		row.Scale = stepOf(use.hi, q)
	case model.ClippedReLU:
		row.Hi, row.Parameter = uint16(q), a.P1
		if use.hi >= float64(a.P1) {
			row.Scale = float32(float64(a.P1) / float64(q))
			return
		}
		row.Saturates = simb.SaturatesHigh
		row.Scale = stepOf(use.hi, q)
	case model.HardTanh:
		row.Parameter = a.P1
		if use.lo > -float64(a.P1) && use.hi < float64(a.P1) {
			p.shapeTwoSided(row, use)
			return
		}
		row.Scale = float32(float64(a.P1) / float64(half))
		row.Zero, row.Lo, row.Hi = uint16(half+1), 1, uint16(q)
	case model.LeakyReLU:
		row.Parameter = a.P0
		p.shapeTwoSided(row, use)
	case model.Identity:
		p.shapeTwoSided(row, use)
	case model.Tanh:
		row.Scale, row.Zero, row.Hi = float32(1/float64(half)), uint16(half+1), uint16(q)
		row.Table = p.table(simb.Tanh, row)
	case model.Sigmoid:
		row.Scale, row.Hi = float32(1/float64(q)), uint16(q)
		row.Table = p.table(simb.Sigmoid, row)
	}
}

// shapeTwoSided covers a range on both sides of zero; both clamps count as saturations.
func (p *Program) shapeTwoSided(row *simb.Row, use interval) {
	q := p.Options.Width.Max()
	row.Hi, row.Saturates = uint16(q), simb.SaturatesLow|simb.SaturatesHigh
	row.Scale = stepOf(use.hi-use.lo, q-1) // one step to spare for the rounding of the zero point
	row.Zero = uint16(min(max(math.Ceil(-use.lo/float64(row.Scale)), 0), float64(q)))
}

// stepOf returns the smallest bfloat16 step with which `steps` of them cover a range; 1 for none.
func stepOf(length float64, steps int32) float32 {
	if !(length > 0) {
		return 1
	}
	return upShort(max(length/float64(steps), 0x1p-100))
}

// Domains of the stored tables: tanh and sigmoid, the real worth of one unit of t. Beyond the domain the
// table's last entry stands, whose distance from the function's limit is part of the proved error. The
// 14-bit steps balance that distance against the error of interpolation (BenchmarkTableError).
var tableStep = map[quant.Width]map[simb.Kind]float32{
	quant.Width7:  {simb.Tanh: 0x1p-5, simb.Sigmoid: 0x1p-4},
	quant.Width14: {simb.Tanh: 5 * 0x1p-15, simb.Sigmoid: 10 * 0x1p-15},
}

// table returns the index of the table for a kind, building it at first use.
func (p *Program) table(kind simb.Kind, row *simb.Row) uint16 {
	for k := range p.Tables {
		if p.Tables[k].Kind == kind {
			return uint16(k)
		}
	}
	width := p.Options.Width
	table := simb.Table{Kind: kind, Step: tableStep[width][kind], Entries: make([]uint16, width.TableLen())}
	lo, hi := width.TableDomain()
	spacing := int64(1)
	if width == quant.Width14 {
		spacing, hi = 256, hi+1
	}
	activation := model.Activation{Kind: model.Kind(kind)}
	for k := range table.Entries {
		t := min(lo+int64(k)*spacing, hi)
		value := activation.Apply(float64(t) * float64(table.Step))
		entry := math.Floor(value/float64(row.Scale)+0.5) + float64(row.Zero)
		table.Entries[k] = uint16(min(max(entry, 0), float64(width.Max())))
	}
	p.Tables = append(p.Tables, table)
	return uint16(len(p.Tables) - 1)
}
