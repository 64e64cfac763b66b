package pass

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
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
	leakyBits      = 24
)

// Quantise turns every row into integers: weights, bias, multiplier. Entries of A inside a loop are
// rounded toward zero, so that the integers' loop contracts at least as fast as the float one; all
// others to nearest.
func (p *Program) Quantise() (string, error) {
	p.Quantised = &sparse.Matrix[int16]{Rows: p.Weights.Rows, Cols: p.Weights.Cols, Indptr: p.Weights.Indptr, Indices: p.Weights.Indices, Data: make([]int16, len(p.Weights.Data))}
	widest := 0
	err := p.eachSegment(func(segment *simb.Segment, first, end int) error {
		for i := first; i < end; i++ {
			row := &p.Rows[i]
			unit := row.Scale
			if row.Table != simb.NoTable {
				unit = p.Tables[row.Table].Step
			}
			inLoop := func(j int32) bool {
				s := p.stateColumn(j)
				return segment.Sweeps > 0 && s >= first && s < end
			}
			bits, err := p.quantiseRow(i, unit, p.wantedUnit(i), inLoop)
			if err != nil {
				return fmt.Errorf("state %d: %w", p.States[i], err)
			}
			widest = max(widest, bits)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	bits, err := p.quantiseOutputs()
	return fmt.Sprintf("%d of %d weights rounded to zero; accumulators of at most %d bits", p.Quantised.Stored()-p.Quantised.NNZ(), p.Quantised.Stored(), max(bits, widest)), err
}

// wantedUnit returns the finest real unit of the accumulator with which all weights of a row fit their
// planes.
func (p *Program) wantedUnit(i int) float64 {
	limit := float64(quant.OnePlaneMax)
	if p.Rows[i].Planes == 2 {
		limit = quant.TwoPlaneMax
	}
	largest := 0.0
	cols, values := p.Weights.Row(i)
	for k, j := range cols {
		largest = max(largest, math.Abs(float64(values[k]))*p.columnScale(j))
	}
	unit := largest / limit
	bias := math.Abs(p.Bias[i].Value)
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

// quantiseRow sets multiplier, weights and bias of a row whose requantised value is worth unit a step.
// The accumulator's unit starts from wanted and grows until every bound holds. It returns the bits
// that the accumulator needs.
func (p *Program) quantiseRow(i int, unit float32, wanted float64, inLoop func(int32) bool) (int, error) {
	row := &p.Rows[i]
	wanted = max(wanted, float64(unit)*0x1p-40) // finer is never seen, and no S could express it
	for range 200 {
		multiplier, err := quant.NewMultiplier(float64(wanted*(1+0x1p-8))/float64(unit), multiplierBits)
		if err != nil {
			return 0, fmt.Errorf("its weights are worth %g steps of its range: %w: %w", wanted/float64(unit), ErrUnfit, err)
		}
		row.Multiplier = multiplier
		bits, fits, err := p.tryRow(i, unit, inLoop)
		if err != nil {
			return 0, err
		}
		if fits {
			return bits, nil
		}
		wanted *= 1.125
	}
	return 0, fmt.Errorf("no unit keeps its accumulator below 2³¹: %w", ErrUnfit)
}

// tryRow rounds the row in the unit that its multiplier stands for and reports whether every bound of
// the integer semantics holds.
func (p *Program) tryRow(i int, unit float32, inLoop func(int32) bool) (bits int, fits bool, err error) {
	row := &p.Rows[i]
	r := float64(unit) * row.Multiplier.Ratio()
	lo, hi := int64(-quant.OnePlaneMax), int64(quant.OnePlaneMax)
	if row.Planes == 2 {
		lo, hi = quant.TwoPlaneMin, quant.TwoPlaneMax
	}
	cols, values := p.Weights.Row(i)
	out := p.Quantised.Data[p.Quantised.Indptr[i]:p.Quantised.Indptr[i+1]]
	var planeSums [2]int64 // Σ |plane|·q, the reader's bound
	bias := math.Floor(p.Bias[i].Value/r + 0.5)
	if math.Abs(bias) > accumulatorLimit {
		return 0, false, nil
	}
	total := int64(bias)
	for k, j := range cols {
		exact := float64(values[k]) * p.columnScale(j) / r
		w := math.Floor(exact + 0.5)
		if inLoop != nil && inLoop(j) {
			w = math.Trunc(exact)
		}
		w = min(max(w, float64(lo)), float64(hi))
		out[k] = int16(w)
		_, qhi := p.columnRange(j)
		high, low := int64(w), int64(0)
		if row.Planes == 2 {
			h, l := quant.SplitPlanes(out[k])
			high, low = int64(h), int64(l)
		}
		planeSums[0] += abs64(high) * qhi
		planeSums[1] += abs64(low) * qhi
		total -= int64(w) * p.columnZero(j)
	}
	if abs64(total) > accumulatorLimit || planeSums[0] > accumulatorLimit || planeSums[1] > accumulatorLimit {
		return 0, false, nil
	}
	row.Bias = int32(total)
	size := abs64(total) + planeSums[0]
	if row.Planes == 2 {
		size = abs64(total) + 128*planeSums[0] + planeSums[1]
	} else if size > accumulatorLimit {
		return 0, false, nil
	}
	if size > row.Multiplier.AccumulatorLimit() {
		return 0, false, nil
	}
	if row.Kind == simb.LeakyReLU && i < p.states() {
		row.Negative, err = quant.NewMultiplier(float64(row.Parameter)*row.Multiplier.Ratio(), leakyBits)
		if err != nil {
			return 0, false, fmt.Errorf("slope %g: %w: %w", row.Parameter, ErrUnfit, err)
		}
		if size > row.Negative.AccumulatorLimit() {
			return 0, false, nil
		}
	}
	return quant.BitLen(size), true, nil
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
			qlo, qhi := p.columnRange(j)
			z := p.columnZero(j)
			size += float64(math.Abs(float64(values[k])) * p.columnScale(j) * float64(max(abs64(qlo-z), abs64(qhi-z))))
		}
		largest = max(largest, size)
	}
	p.OutputScale = upShort(max(finest/16, largest*0x1p-29, 0x1p-120))
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

// realised returns the integers' real worth W̃, b̃ and how far both are from the float model.
func (p *Program) realised(m *simb.Model) *affine {
	w := p.Weights
	f := &affine{
		weights: &sparse.Matrix[float64]{Rows: w.Rows, Cols: w.Cols, Indptr: w.Indptr, Indices: w.Indices, Data: make([]float64, len(w.Data))},
		delta:   &sparse.Matrix[float64]{Rows: w.Rows, Cols: w.Cols, Indptr: w.Indptr, Indices: w.Indices, Data: make([]float64, len(w.Data))},
		bias:    make([]Bounded, len(p.Rows)),
		inputs:  p.inputRegion(),
	}
	for i := range p.Rows {
		r := float64(m.Unit(i)) * p.Rows[i].Multiplier.Ratio()
		bias := int64(p.Rows[i].Bias)
		for k := w.Indptr[i]; k < w.Indptr[i+1]; k++ {
			j := w.Indices[k]
			q := int64(p.Quantised.Data[k])
			bias += q * p.columnZero(j)
			worth := float64(float64(float64(q)*r) / p.columnScale(j))
			f.weights.Data[k] = worth
			f.delta.Data[k] = distance(float64(w.Data[k]), worth)
		}
		worth := float64(float64(bias) * r)
		f.bias[i] = Bounded{worth, distance(p.Bias[i].Value, worth) + p.Bias[i].Error}
	}
	return f
}

// distance returns an upper bound of |exact − worth| where worth is known up to coefficientError.
func distance(exact, worth float64) float64 {
	return float64(math.Abs(exact-worth)*(1+slack)) + float64(math.Abs(worth)*coefficientError)
}

// gain bounds the slope of an activation.
func gain(k model.Kind) float64 {
	if k == model.Sigmoid {
		return 0.25
	}
	return 1
}
