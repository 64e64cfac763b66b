package pass

import (
	"fmt"
	"math"
	"slices"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// How ranges become scales: a calibrated range is widened by calibrationHeadroom, a proved one by
// proofHeadroom, so that what quantisation adds to it is not clipped. Rounded weights also move a
// row's sum by a share of its size, which matters where a state is hardly ever active.
const (
	calibrationHeadroom = 1.1
	proofHeadroom       = 1.02
	oneByteHeadroom     = 0x1p-9
	twoByteHeadroom     = 0x1p-15
)

// leastScale is the smallest scale, a normal float32; a row's unit is at most mostUnit steps of its scale,
// so that a multiplier can stand for the ratio whatever the data saw of the state.
const (
	leastScale = 0x1p-126
	mostUnit   = 0x1p20
)

// inputSlack is what InputFromReal's own rounding can add to half a step.
const inputSlack = 0x1p-20

// Ranges chooses the scales of inputs from their box and propagates the region of unsaturated inputs
// through the float model: the proved range of every state.
func (p *Program) Ranges() (string, error) {
	p.InputPlan = make([]simb.Input, len(p.Inputs))
	for k, j := range p.Inputs {
		lo, hi := p.Source.InputLo[j], p.Source.InputHi[j]
		scale, zero, err := inputScale(lo, hi, p.Options)
		if err != nil {
			return "", fmt.Errorf("input %d: %w", j, err)
		}
		p.InputPlan[k] = simb.Input{Source: int32(j), Scale: scale, Zero: zero, Lo: lo, Hi: hi}
	}
	f := &affine{weights: widened(p.Weights), bias: p.Bias, inputs: p.inputRegion()}
	p.floatReach, _ = p.reaches(f, &p.Wellposed)
	p.coverSweeps(f, p.floatReach)
	p.floatSums = make(reach, p.states())
	widest, unbounded := 0.0, 0
	for i, v := range p.floatReach {
		p.floatSums[i] = f.preactivation(i, p.floatReach, f.residual(i, p.floatReach.magnitude))
		if !v.bounded() {
			unbounded++
			continue
		}
		widest = max(widest, v.hi-v.lo)
	}
	if unbounded > 0 {
		return fmt.Sprintf("%d states are not proved to stay within float32, widest range of the others %.4g", unbounded, widest), nil
	}
	return fmt.Sprintf("widest proved state range %.4g", widest), nil
}

func widened(m *sparse.Matrix[float32]) *sparse.Matrix[float64] {
	out := &sparse.Matrix[float64]{Rows: m.Rows, Cols: m.Cols, Indptr: m.Indptr, Indices: m.Indices, Data: make([]float64, len(m.Data))}
	for k, v := range m.Data {
		out.Data[k] = float64(v)
	}
	return out
}

// inputScale returns the scale and zero point of an input with the box [lo, hi], lo < hi: the finest
// scale with which no input of the box saturates, but no finer than the row's bias can follow, which
// holds w·z in 32 bits: below that each bit of the input would cost one of the weight.
func inputScale(lo, hi float32, o Options) (float32, int32, error) {
	finest := 0x1p-21
	if o.Planes == 2 {
		finest = 0x1p-16
	}
	span, size := float64(hi)-float64(lo), max(math.Abs(float64(lo)), math.Abs(float64(hi)))
	scale := up32(max(span/float64(o.Width.Max()), size*finest))
	for range 64 {
		if math.IsInf(float64(scale), 0) {
			break
		}
		zero := -math.Floor(float64(lo)/float64(scale) + 0.5)
		_, cutLo := quant.InputFromReal(lo, scale, int32(int64(zero)), o.Width)
		_, cutHi := quant.InputFromReal(hi, scale, int32(int64(zero)), o.Width)
		if !cutLo && !cutHi {
			return scale, int32(int64(zero)), nil
		}
		scale = math.Nextafter32(scale, float32(math.Inf(1)))
	}
	return 0, 0, fmt.Errorf("no float32 scale resolves its box [%g, %g]: declare another box: %w", lo, hi, ErrUnfit)
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
	for i := range p.Rows {
		p.Rows[i] = simb.Row{Planes: p.Options.Planes, Table: simb.NoTable}
	}
	p.findMedian()
	calibrated := 0
	for i := range p.States {
		if _, byData := p.wanted(i); byData {
			calibrated++
		}
	}
	err := p.eachSegment(func(segment *simb.Segment, first, end int) error {
		passes := 1
		if segment.Sweeps > 0 {
			passes = 3 // scales of a loop depend on one another
		}
		for range passes {
			for i := first; i < end; i++ {
				if err := p.scaleState(i); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return fmt.Sprintf("%d of %d states scaled by data, the others by proof", calibrated, p.states()), err
}

// scaleState chooses the scale of state i, given those of the states that come before it.
func (p *Program) scaleState(i int) error {
	use, _ := p.wanted(i)
	if !use.bounded() {
		return fmt.Errorf("state %d: its values are not proved to stay within float32 and no data says what they reach: scale the model's weights, or --calibrate it: %w", p.States[i], ErrUnfit)
	}
	row, a := &p.Rows[i], p.activation(i)
	*row = simb.Row{Planes: p.Options.Planes, Kind: simb.Kind(a.Kind), Table: simb.NoTable}
	p.shapeRow(row, a, use, max(p.wantedUnit(i)/mostUnit, leastScale))
	if !(row.Scale > 0) || math.IsInf(float64(row.Scale), 0) {
		return fmt.Errorf("state %d: its range [%g, %g] has no float32 scale: scale the model's weights: %w", p.States[i], use.lo, use.hi, ErrUnfit)
	}
	return nil
}

// wanted returns the values that the scale of state i has to cover, 0 among them, and whether data
// narrowed them.
func (p *Program) wanted(i int) (use interval, byData bool) {
	proved, sum := p.floatReach[i], p.floatSums[i]
	share := oneByteHeadroom
	if p.Options.Planes == 2 {
		share = twoByteHeadroom
	}
	room := float64(sum.magnitude() * share)
	moved := activate(p.activation(i), interval{sum.lo - room, sum.hi + room})
	use = interval{
		min(0, float64(proved.lo*proofHeadroom), moved.lo),
		max(0, float64(proved.hi*proofHeadroom), moved.hi),
	}
	data := p.dataRange(i)
	if data == nil {
		return use, false
	}
	byData = data.lo > use.lo || data.hi < use.hi
	return interval{max(use.lo, data.lo), min(use.hi, data.hi)}, byData
}

// dataRange returns the widened range of a state over the calibration data, or nil when unknown. A state
// that never left zero there gets the median of those that did: as wide a one as can be proved would
// make its step so coarse that the weights beside it in a row round to zero.
func (p *Program) dataRange(i int) *interval {
	if p.Source.StateLo == nil {
		return nil
	}
	s := p.States[i]
	lo, hi := min(0, float64(p.Source.StateLo[s])), max(0, float64(p.Source.StateHi[s]))
	if lo == hi {
		lo, hi = -p.medianMagnitude, p.medianMagnitude
	}
	if lo == hi {
		return nil
	}
	return &interval{float64(lo * calibrationHeadroom), float64(hi * calibrationHeadroom)}
}

// findMedian sets medianMagnitude from the states of the plan that left zero.
func (p *Program) findMedian() {
	p.medianMagnitude = 0
	if p.Source.StateLo == nil {
		return
	}
	var seen []float64
	for _, s := range p.States {
		if v := max(math.Abs(float64(p.Source.StateLo[s])), math.Abs(float64(p.Source.StateHi[s]))); v > 0 {
			seen = append(seen, v)
		}
	}
	slices.Sort(seen)
	if len(seen) > 0 {
		p.medianMagnitude = seen[len(seen)/2]
	}
}

// shapeRow fills scale, zero point, limits and saturation flags for a state whose values are to range
// over `use`, which contains 0, with a scale of at least `least`. The function's own limits are met to
// within half a step, which costs nothing beyond the rounding of a step.
func (p *Program) shapeRow(row *simb.Row, a model.Activation, use interval, least float64) {
	q := p.Options.Width.Max()
	half := q / 2 // steps on either side of a centred zero point
	switch a.Kind {
	case model.ReLU:
		row.Hi, row.Saturates = uint16(q), simb.SaturatesHigh
		row.Scale = stepOf(use.hi, q, least)
	case model.ClippedReLU:
		row.Parameter = a.P1
		row.Scale = stepOf(min(use.hi, float64(a.P1)), q, least)
		row.Hi = uint16(min(math.Floor(float64(a.P1)/float64(row.Scale)+0.5), float64(q)))
		row.Saturates = flagUnlessOwn(row, row.Hi, float64(a.P1), simb.SaturatesHigh)
	case model.HardTanh:
		p.shapeHardTanh(row, a.P1, use, least)
	case model.LeakyReLU:
		row.Parameter = a.P0
		p.shapeTwoSided(row, use, least)
	case model.Identity:
		p.shapeTwoSided(row, use, least)
	case model.Tanh:
		row.Scale, row.Zero, row.Hi = float32(1/float64(half)), uint16(half+1), uint16(q)
		row.Table = p.table(simb.Tanh, row)
	case model.Sigmoid:
		row.Scale, row.Hi = float32(1/float64(q)), uint16(q)
		row.Table = p.table(simb.Sigmoid, row)
	}
}

// shapeTwoSided covers a range on both sides of zero; both clamps count as saturations.
func (p *Program) shapeTwoSided(row *simb.Row, use interval, least float64) {
	q := p.Options.Width.Max()
	row.Hi, row.Saturates = uint16(q), simb.SaturatesLow|simb.SaturatesHigh
	row.Scale = stepOf(use.hi-use.lo, q-1, least) // one step to spare for the rounding of the zero point
	row.Zero = uint16(min(max(math.Ceil(-use.lo/float64(row.Scale)), 0), float64(q)))
}

// shapeHardTanh covers what is used of [−c, c] and puts each limit at the function's own where that is
// in reach of q.
func (p *Program) shapeHardTanh(row *simb.Row, c float32, use interval, least float64) {
	limit := float64(c)
	p.shapeTwoSided(row, interval{max(use.lo, -limit), min(use.hi, limit)}, least)
	steps := min(math.Floor(limit/float64(row.Scale)+0.5), 1<<15)
	zero, q := float64(row.Zero), float64(p.Options.Width.Max())
	row.Lo, row.Hi, row.Parameter = uint16(max(zero-steps, 0)), uint16(min(zero+steps, q)), c
	row.Saturates = flagUnlessOwn(row, row.Lo, -limit, simb.SaturatesLow) | flagUnlessOwn(row, row.Hi, limit, simb.SaturatesHigh)
}

// flagUnlessOwn returns the flag when the limit q is not within half a step of the function's own.
func flagUnlessOwn(row *simb.Row, q uint16, own float64, flag uint8) uint8 {
	worth := float64(float64(row.Scale) * float64(int(q)-int(row.Zero))) // exact
	if math.Abs(worth-own) <= float64(row.Scale)/2 {
		return 0
	}
	return flag
}

// stepOf returns the smallest bfloat16 step, at least `least`, with which `steps` of them cover a range.
func stepOf(length float64, steps int32, least float64) float32 {
	return upShort(max(length/float64(steps), least))
}
