package pass

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// Accumulators stay below 2³¹ for every q in range; a row's unit is enlarged until they do.
const accumulatorLimit = 1<<31 - 1

// multiplierBits is how many bits of M are used: the weights absorb what M rounds off, so that few
// suffice, and its upper bytes cost nothing in the file. A leaky slope needs more: it is a ratio of two.
const (
	multiplierBits = 8
	fewLevelsBits  = 5
	leakyBits      = 24
)

// search says which units of a row's sum are tried: multipliers of some bits, from and to shares of the
// finest unit that cuts no weight.
type search struct {
	bits     int
	from, to float64
}

// unitSearch returns how units are searched. With few levels a unit may cut the row's largest weights,
// if the others gain by it.
func (p *Program) unitSearch(i int) search {
	if p.fewLevels() && p.Rows[i].Planes == 1 {
		return search{fewLevelsBits, 0.75, 1.5}
	}
	return search{multiplierBits, 1 + 0x1p-8, mostCoarser}
}

// fewLevels reports whether weights have fewer bits than a byte: then all else of a row has few digits too.
func (p *Program) fewLevels() bool {
	return p.Options.Planes == 1 && p.Options.Levels < quant.OnePlaneMax
}

// mostCoarser is how far above the finest unit of a row a better one is looked for. Rows are short: some
// unit of 16 to 32 within an eighth of the finest has their weights nearer to integers.
const mostCoarser = 1.125

// Quantise turns every row into integers: weights, bias, multiplier. Entries of A inside a loop are
// rounded toward zero, so that the integers' loop contracts at least as fast as the float one; all
// others to nearest, or against samples (see rounding).
func (p *Program) Quantise() (string, error) {
	p.Quantised = &sparse.Matrix[int16]{Rows: p.Weights.Rows, Cols: p.Weights.Cols, Indptr: p.Weights.Indptr, Indices: p.Weights.Indices, Data: make([]int16, len(p.Weights.Data))}
	widest := 0
	p.asTrained, p.rowLoss = 0, make([]float64, len(p.Rows))
	p.begin()
	m := p.Model()
	err := p.eachSegment(func(segment *simb.Segment, first, end int) error {
		for i := first; i < end; i++ {
			row := &p.Rows[i]
			unit := row.Scale
			if row.Table != simb.NoTable {
				unit = p.Tables[row.Table].Step
			}
			inLoop := func(j int32) bool {
				s := p.stateColumn(j)
				return s >= first && s < end
			}
			if segment.Sweeps == 0 {
				inLoop = nil
			}
			bits, err := p.quantiseRow(i, unit, p.wantedUnit(i), inLoop)
			if err != nil {
				return fmt.Errorf("state %d: %w", p.States[i], err)
			}
			widest = max(widest, bits)
		}
		p.follow(m, segment, first, end)
		return nil
	})
	if err != nil {
		return "", err
	}
	bits, err := p.quantiseOutputs()
	detail := fmt.Sprintf("%d of %d weights rounded to zero; accumulators of at most %d bits", p.Quantised.Stored()-p.Quantised.NNZ(), p.Quantised.Stored(), max(bits, widest))
	if p.trained() {
		detail += fmt.Sprintf("; %d of %d rows at their trained levels, the others rounded", p.asTrained, len(p.Rows))
	}
	return detail + p.promotedRows(), err
}

// wantedUnit returns the finest real unit of the accumulator with which all weights of a row fit their
// planes.
func (p *Program) wantedUnit(i int) float64 {
	limit := float64(p.Options.Levels)
	if p.Rows[i].Planes == 2 {
		limit = quant.TwoPlaneMax
	}
	largest := 0.0
	cols, values := p.Weights.Row(i)
	for k, j := range cols {
		if p.columnSteps(j) > 0 {
			largest = max(largest, float64(math.Abs(float64(values[k]))*p.columnScale(j)))
		}
	}
	unit := largest / limit
	bias := math.Abs(p.nearestValue(i).Value)
	if unit == 0 {
		unit = bias * 0x1p-20 // no weights: the bias has its own scale
	}
	return max(unit, bias*0x1p-29)
}

func (p *Program) columnScale(j int32) float64 {
	if s := p.stateColumn(j); s >= 0 {
		return float64(p.Rows[s].Scale)
	}
	return float64(p.InputPlan[j].Scale)
}

func (p *Program) columnZero(j int32) int64 {
	if s := p.stateColumn(j); s >= 0 {
		return int64(p.Rows[s].Zero)
	}
	return int64(p.InputPlan[j].Zero)
}

// columnRange returns the smallest and largest q of a column.
func (p *Program) columnRange(j int32) (lo, hi int64) {
	if s := p.stateColumn(j); s >= 0 {
		return int64(p.Rows[s].Lo), int64(p.Rows[s].Hi)
	}
	return 0, int64(p.Options.Width.Max())
}

// columnNearest returns the q of a column that is worth least: its zero point, or for an input whose box
// leaves zero out, the limit next to it.
func (p *Program) columnNearest(j int32) int64 {
	lo, hi := p.columnRange(j)
	return min(max(p.columnZero(j), lo), hi)
}

// nearestInput returns the real worth of columnNearest for an input: 0 unless its box leaves zero out.
func (p *Program) nearestInput(j int32) float64 {
	return float64(float64(p.InputPlan[j].Scale) * float64(p.nearestSteps(j)))
}

func (p *Program) nearestSteps(j int32) int64 {
	return min(max(-int64(p.InputPlan[j].Zero), 0), int64(p.Options.Width.Max())-int64(p.InputPlan[j].Zero))
}

// nearestValue is b + Wc, the row's real value where every column is worth least: its bias, unless the
// boxes of inputs leave zero out. That value is what the integers' bias is rounded for: were it the value
// at zero, every weight's rounding would count for all the way from there to the box.
func (p *Program) nearestValue(i int) Bounded {
	out := p.Bias[i]
	cols, values := p.Weights.Row(i)
	size := math.Abs(out.Value)
	for k, j := range cols {
		if p.stateColumn(j) >= 0 || p.nearestSteps(j) == 0 {
			continue
		}
		term := float64(float64(values[k]) * p.nearestInput(j))
		out.Value += term
		size += math.Abs(term)
	}
	if size > math.Abs(p.Bias[i].Value) {
		out.Error += float64(size * float64(coefficientError*float64(len(cols))))
	}
	return out
}

// columnSteps returns the largest |q − z| of a column: 0 for a state whose limits leave it only zero.
func (p *Program) columnSteps(j int32) int64 {
	lo, hi := p.columnRange(j)
	z := p.columnZero(j)
	return max(abs64(lo-z), abs64(hi-z))
}

// quantiseRow sets multiplier, weights and bias of a row whose requantised value is worth unit a step.
// The accumulator's unit starts from wanted and grows until every bound holds; of the multipliers a
// little above that the one is taken whose integers are nearest to the row. It returns the bits that
// the accumulator needs.
func (p *Program) quantiseRow(i int, unit float32, wanted float64, inLoop func(int32) bool) (int, error) {
	if bits, ok := p.trainedRow(i, unit, inLoop != nil); ok {
		p.asTrained++
		return bits, nil
	}
	wanted = max(wanted, float64(unit)*0x1p-40) // finer is never seen, and no S could express it
	ways := []rounding{{inLoop, nil}}
	if fit := p.fitOf(i, inLoop); fit != nil {
		ways = []rounding{{inLoop, fit}, {inLoop, nil}} // where the first does not fit its unit, the second may
	}
	for range 200 {
		first, err := quant.NewMultiplier(float64(wanted*p.unitSearch(i).from)/float64(unit), p.unitSearch(i).bits)
		if err != nil {
			return 0, fmt.Errorf("the finest step of its sum is %.3g steps of its value, no multiplier stands for that: scale its weights down: %w: %w", wanted/float64(unit), ErrUnfit, err)
		}
		for _, how := range ways {
			if bits, fits := p.bestUnit(i, unit, first, how); fits {
				return bits, nil
			}
		}
		wanted *= 1.125
	}
	return 0, fmt.Errorf("no unit keeps its accumulator below 2³¹: its weights times the zero points of what it reads are too large, declare a box nearer to zero: %w", ErrUnfit)
}

// bestUnit rounds row i with the multiplier, from `first` on as far as units are searched, whose integers are
// nearest to the row. It reports whether there is one with which every bound holds.
func (p *Program) bestUnit(i int, unit float32, first quant.Multiplier, how rounding) (bits int, fits bool) {
	row, units, tried := &p.Rows[i], p.unitSearch(i), how
	if cols, _ := p.Weights.Row(i); len(cols) > searchedColumns {
		tried.fit = nil
	}
	best, nearest := quant.Multiplier{}, math.Inf(1)
	for m := first; m.Valid() && m.Ratio() <= float64(first.Ratio()*units.to); m = coarser(m, units.bits) {
		row.Multiplier = m
		if _, fits := p.tryRow(i, unit, tried); !fits {
			continue
		}
		if off := p.distanceOf(i, unit, tried); off < nearest || !best.Valid() {
			best, nearest = m, off
		}
	}
	if !best.Valid() {
		return 0, false
	}
	row.Multiplier = best
	bits, fits = p.tryRow(i, unit, how)
	if fits && how.fit != nil {
		p.rowLoss[i] = p.distanceOf(i, unit, how)
	}
	return bits, fits
}

// coarser returns the next multiplier of the given bits.
func coarser(m quant.Multiplier, bits int) quant.Multiplier {
	step := max(1, m.M>>(bits-1))
	if m.M+step == 1<<bits && m.S > quant.MinShift {
		return quant.Multiplier{M: 1 << (bits - 1), S: m.S - 1}
	}
	return quant.Multiplier{M: m.M + step, S: m.S}
}

// distanceOf bounds how far the integers of a row are from it, in the real numbers of its argument: where
// every column is worth least, and from there on. Rounded against samples, it is their mean square.
func (p *Program) distanceOf(i int, unit float32, how rounding) float64 {
	r := float64(float64(unit) * p.Rows[i].Multiplier.Ratio())
	if how.fit != nil {
		return how.fit.loss(p.Quantised.Data[p.Quantised.Indptr[i]:p.Quantised.Indptr[i+1]], r)
	}
	cols, values := p.Weights.Row(i)
	sum, value := 0.0, int64(p.Rows[i].Bias)
	for k, j := range cols {
		q, nearest := int64(p.Quantised.Data[int(p.Quantised.Indptr[i])+k]), p.columnNearest(j)
		value += q * nearest
		scale, steps := p.columnScale(j), p.columnSteps(j)
		if nearest != p.columnZero(j) {
			steps = int64(p.Options.Width.Max()) // from there on
		}
		off := math.Abs(float64(values[k]) - float64(float64(q)*r)/scale)
		sum += float64(off * float64(scale*float64(steps)))
	}
	return sum + math.Abs(p.nearestValue(i).Value-float64(float64(value)*r))
}

// tryRow rounds the row in the unit that its multiplier stands for and reports whether every bound of
// the integer semantics holds, and the bits of its accumulator.
func (p *Program) tryRow(i int, unit float32, how rounding) (bits int, fits bool) {
	row := &p.Rows[i]
	if !row.Multiplier.Valid() {
		return 0, false
	}
	r := float64(float64(unit) * row.Multiplier.Ratio())
	bias := math.Floor(p.nearestValue(i).Value/r + 0.5)
	if !(math.Abs(bias) <= accumulatorLimit) {
		return 0, false
	}
	total, planeSums := p.roundWeights(i, r, how)
	total += int64(bias)
	if how.fit != nil {
		bias = how.fit.bias(p.Quantised.Data[p.Quantised.Indptr[i]:p.Quantised.Indptr[i+1]], r)
		if !(math.Abs(bias) <= accumulatorLimit) {
			return 0, false
		}
		total = int64(bias)
	}
	if abs64(total) > accumulatorLimit || planeSums[0] > accumulatorLimit || planeSums[1] > accumulatorLimit {
		return 0, false
	}
	row.Bias = int32(total)
	size := abs64(total) + planeSums[0]
	if row.Planes == 2 {
		size = abs64(total) + 128*planeSums[0] + planeSums[1]
	} else if size > accumulatorLimit {
		return 0, false
	}
	if size > row.Multiplier.AccumulatorLimit() {
		return 0, false
	}
	if row.Kind == simb.LeakyReLU && i < p.states() {
		row.Negative = leakyMultiplier(float64(row.Parameter) * row.Multiplier.Ratio())
		if size > row.Negative.AccumulatorLimit() {
			return 0, false
		}
	}
	return quant.BitLen(size), true
}

// leakyMultiplier returns the multiplier for negative arguments; a slope too small for any is as good as
// the smallest one, whose distance from it is part of the proved error.
func leakyMultiplier(ratio float64) quant.Multiplier {
	m, err := quant.NewMultiplier(ratio, leakyBits)
	if err != nil {
		return quant.Multiplier{M: 1, S: quant.MaxShift}
	}
	return m
}

// roundWeights fills in the integers of row i in units r. It returns −Σ w·q for the q of columnNearest and,
// per plane, Σ |w|·q for the largest q: the bounds that a reader computes.
func (p *Program) roundWeights(i int, r float64, how rounding) (total int64, planeSums [2]int64) {
	row := &p.Rows[i]
	lo, hi := -float64(p.Options.Levels), float64(p.Options.Levels)
	if row.Planes == 2 {
		lo, hi = quant.TwoPlaneMin, quant.TwoPlaneMax
	}
	cols, values := p.Weights.Row(i)
	out := p.Quantised.Data[p.Quantised.Indptr[i]:p.Quantised.Indptr[i+1]]
	for k, j := range cols {
		exact := float64(float64(values[k])*p.columnScale(j)) / r
		w := math.Floor(exact + 0.5)
		if how.inLoop != nil && how.inLoop(j) {
			w = math.Trunc(exact)
		}
		out[k] = int16(min(max(w, lo), hi))
		if p.columnSteps(j) == 0 {
			out[k] = 0
		}
	}
	if how.fit != nil {
		p.compensate(i, r, lo, hi, out, how)
	}
	for k, j := range cols {
		high, low := int64(out[k]), int64(0)
		if row.Planes == 2 {
			h, l := quant.SplitPlanes(out[k])
			high, low = int64(h), int64(l)
		}
		_, most := p.columnRange(j)
		planeSums[0] += abs64(high) * most
		planeSums[1] += abs64(low) * most
		total -= int64(out[k]) * p.columnNearest(j)
	}
	return total, planeSums
}

func abs64(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}

// quantiseOutputs chooses the common scale of the outputs, a sixteenth of the finest row's unit or as
// coarse as int32 demands, and quantises their rows.
func (p *Program) quantiseOutputs() (int, error) {
	n, finest, largest := p.states(), math.Inf(1), 0.0
	for i := n; i < len(p.Rows); i++ {
		finest = min(finest, p.wantedUnit(i))
		size := math.Abs(p.Bias[i].Value)
		cols, values := p.Weights.Row(i)
		for k, j := range cols {
			size += float64(math.Abs(float64(values[k])) * float64(p.columnScale(j)*float64(p.columnSteps(j))))
		}
		largest = max(largest, size)
	}
	p.OutputScale = upShort(max(finest/16, largest*0x1p-29, leastScale))
	if trained, ok := p.trainedOutputs(); ok {
		p.OutputScale = quant.RoundUp(max(trained/16, largest*0x1p-29, leastScale), 1)
	}
	if math.IsInf(float64(p.OutputScale), 0) {
		return 0, fmt.Errorf("the outputs reach %.3g, beyond float32: scale the weights of C, D or d down: %w", largest, ErrUnfit)
	}
	widest := 0
	for i := n; i < len(p.Rows); i++ {
		bits, err := p.quantiseRow(i, p.OutputScale, p.wantedUnit(i), nil)
		if err != nil {
			return 0, fmt.Errorf("output %d: %w", i-n, err)
		}
		widest = max(widest, bits)
	}
	return widest, nil
}
