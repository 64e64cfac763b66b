package pass

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
)

// How ranges become scales: a calibrated range is widened by quant.CalibrationHeadroom, a proved one by
// proofHeadroom, so that what quantisation adds to it is not clipped. Rounded weights also move a
// row's sum by a share of its size, which matters where a state is hardly ever active.
const (
	proofHeadroom   = 1.02
	oneByteHeadroom = 0x1p-9
	twoByteHeadroom = 0x1p-15
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
		scale, zero, err := p.inputScale(j)
		if err != nil {
			return "", fmt.Errorf("input %d: %w: declare another box: %w", j, err, ErrUnfit)
		}
		p.InputPlan[k] = simb.Input{Source: int32(j), Scale: scale, Zero: zero, Lo: lo, Hi: hi}
	}
	f := &affine{weights: p.Weights, bias: make([]Bounded, len(p.Bias)), inputs: p.inputRegion()}
	for i := range f.bias {
		f.bias[i] = p.nearestValue(i)
	}
	p.floatReach, _ = p.reaches(f, &p.Wellposed, func(_ int, residual float64, _ float32) float32 { return upShort(residual) })
	p.coverSweeps(f, p.floatReach)
	p.floatSums = make(reach, p.states())
	widest, unbounded := 0.0, 0
	for i, v := range p.floatReach {
		p.floatSums[i] = f.preactivation(i, p.floatReach, f.residual(i, p.floatReach.of))
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

// inputRegion returns 𝒰 less c: how far from nearestInput the reals are that quantise to an input of the
// plan without saturating.
func (p *Program) inputRegion() []interval {
	q := float64(p.Options.Width.Max())
	region := make([]interval, len(p.InputPlan))
	for k, input := range p.InputPlan {
		s, z := float64(input.Scale), float64(input.Zero)
		c := float64(p.nearestSteps(int32(k)))
		lo, hi := float64(s*(-z-c-0.5-inputSlack)), float64(s*(q-z-c+0.5+inputSlack))
		size := math.Abs(lo) + math.Abs(hi)
		region[k] = interval{lo - float64(size*0x1p-48), hi + float64(size*0x1p-48)}
	}
	return region
}

// Scales chooses what one step of each state is worth, its zero point and its limits.
func (p *Program) Scales() (string, error) {
	p.Rows = make([]simb.Row, p.states()+p.outputs())
	for i := range p.Rows {
		p.Rows[i] = simb.Row{Planes: p.planes(i), Table: simb.NoTable}
	}
	p.medianMagnitude = quant.MedianMagnitude(p.seenRanges())
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
	return fmt.Sprintf("%d of %d states scaled by data, the others by proof%s", calibrated, p.states(), p.keptSteps()), err
}

// scaleState chooses the scale of state i, given those of the states that come before it.
func (p *Program) scaleState(i int) error {
	use, _ := p.wanted(i)
	if !use.bounded() {
		return fmt.Errorf("state %d: its values are not proved to stay within float32 and no data says what they reach: scale the model's weights, or --calibrate it: %w", p.States[i], ErrUnfit)
	}
	row, a := &p.Rows[i], p.activation(i)
	*row = simb.Row{Planes: p.planes(i), Kind: simb.Kind(a.Kind), Table: simb.NoTable}
	if p.keepStep(i, row, use) {
		return nil
	}
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
	if p.planes(i) == 2 {
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

// dataRange returns the widened range of a state over the calibration data, or nil when unknown.
func (p *Program) dataRange(i int) *interval {
	if p.Source.StateLo == nil {
		return nil
	}
	seen := p.seenRange(i).Seen(p.medianMagnitude)
	if seen.Lo == seen.Hi {
		return nil
	}
	return &interval{seen.Lo, seen.Hi}
}

// seenRange returns what the calibration data showed of state i.
func (p *Program) seenRange(i int) quant.StateRange {
	s := p.States[i]
	return stateRange(p.activation(i), interval{float64(p.Source.StateLo[s]), float64(p.Source.StateHi[s])})
}

// seenRanges returns what the calibration data showed of the plan's states; nil without such data.
func (p *Program) seenRanges() []quant.StateRange {
	if p.Source.StateLo == nil {
		return nil
	}
	ranges := make([]quant.StateRange, p.states())
	for i := range ranges {
		ranges[i] = p.seenRange(i)
	}
	return ranges
}

func stateRange(a model.Activation, v interval) quant.StateRange {
	return quant.StateRange{Kind: uint8(a.Kind), Limit: float64(a.P1), Lo: v.lo, Hi: v.hi}
}

// shapeRow fills scale, zero point, limits and saturation flags for a state whose values are to range
// over `use`, which contains 0, with a scale of at least `least`. The function's own limits are met to
// within half a step, which costs nothing beyond the rounding of a step.
func (p *Program) shapeRow(row *simb.Row, a model.Activation, use interval, least float64) {
	q := p.Options.Width.Max()
	row.Hi = uint16(q)
	row.Scale = stateRange(a, use).Step(p.Options.Width, least, p.stepDigits())
	switch a.Kind {
	case model.ReLU:
		row.Saturates = simb.SaturatesHigh
	case model.ClippedReLU:
		row.Parameter = a.P1
		row.Hi = uint16(min(math.Floor(float64(a.P1)/float64(row.Scale)+0.5), float64(q)))
		row.Saturates = flagUnlessOwn(row, row.Hi, float64(a.P1), simb.SaturatesHigh)
	case model.HardTanh:
		p.shapeHardTanh(row, a.P1, use)
	case model.LeakyReLU:
		row.Parameter = a.P0
		p.shapeTwoSided(row, use)
	case model.Identity:
		p.shapeTwoSided(row, use)
	case model.Tanh:
		row.Zero = uint16(q/2 + 1)
		row.Table = p.table(simb.Tanh, row)
	case model.Sigmoid:
		row.Table = p.table(simb.Sigmoid, row)
	}
}

// stepDigits returns the significant bits of a state's step.
func (p *Program) stepDigits() int {
	if p.fewLevels() {
		return quant.TrainedStepDigits
	}
	return quant.StepDigits
}

// shapeTwoSided covers a range on both sides of zero; both clamps count as saturations.
func (p *Program) shapeTwoSided(row *simb.Row, use interval) {
	row.Saturates = simb.SaturatesLow | simb.SaturatesHigh
	row.Zero = uint16(min(max(math.Ceil(-use.lo/float64(row.Scale)), 0), float64(p.Options.Width.Max())))
}

// shapeHardTanh covers what is used of [−c, c] and puts each limit at the function's own where that is
// in reach of q.
func (p *Program) shapeHardTanh(row *simb.Row, c float32, use interval) {
	limit := float64(c)
	p.shapeTwoSided(row, interval{max(use.lo, -limit), min(use.hi, limit)})
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
