package pass

import (
	"math"

	"github.com/sparse-implicit/sim/format/simb"
)

// A row is rounded to nearest, weight by weight, or against samples, so that each weight makes up for what
// those rounded before it have lost: minimise E(z − r(b̃ + Σ w̃ q))² over integers, where z is what the
// float model has and q what the integers hold (GPTQ, arXiv 2210.17323; the same as Babai's nearest plane).
// It adds no nonzeros and leaves entries of A inside a loop rounded toward zero.

// searchedColumns is how long a row may be of which every unit is tried with its weights rounded against
// samples; longer ones take the unit that is best to nearest, which hardly matters among so many weights.
const searchedColumns = 160

// rounding says how a row becomes integers.
type rounding struct {
	inLoop func(j int32) bool // entries to round toward zero, or nil
	fit    *rowFit            // or nil: to nearest
}

// rowFit is what a row is rounded to against samples.
type rowFit struct {
	*moments
	goal    []float64 // least squares on what the integers hold, damped toward the row: by column, worth of one step
	average float64   // of z over the samples
}

// fitOf prepares the rounding of row i against samples; nil where there are none.
func (p *Program) fitOf(i int, inLoop func(int32) bool) *rowFit {
	m := p.momentsOf(i, inLoop)
	if m == nil {
		return nil
	}
	sums := p.sumsOf(i)
	f := &rowFit{moments: m}
	for _, z := range sums {
		f.average += z
	}
	f.average /= float64(len(sums))
	cols, weights := p.Weights.Row(i)
	right, values := make([]float64, len(cols)), make([]float64, len(cols))
	for s, z := range sums {
		p.read(values, cols, s, inLoop)
		for k, v := range values {
			right[k] += float64((z - f.average) * (v - m.mean[k]))
		}
	}
	for k, j := range cols {
		right[k] = right[k]/float64(len(sums)) + float64(m.extra[k]*float64(float64(weights[k])*p.columnScale(j)))
	}
	f.goal = m.solve(right)
	for _, v := range f.goal {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
	}
	return f
}

// compensate fills in integers of row i in units r within [lo, hi], from those to nearest that it finds
// in `out`: in the order opposite to elimination, each to nearest of what is left of its goal once the
// errors of those before are passed on. Where that is no gain, those to nearest stay.
func (p *Program) compensate(i int, r, lo, hi float64, out []int16, how rounding) {
	f, cols := how.fit, p.Quantised.Indices[p.Quantised.Indptr[i]:p.Quantised.Indptr[i+1]]
	n := len(cols)
	nearest := f.loss(out, r)
	kept, off := append([]int16(nil), out...), make([]float64, n) // off: in elimination order, integer less goal
	for k := n - 1; k >= 0; k-- {
		at, carried := f.order[k], 0.0
		row := f.upper[k*n : (k+1)*n]
		for c := k + 1; c < n; c++ {
			carried += float64(row[c] * off[c])
		}
		goal := f.goal[at] / r
		if !p.fixed(cols[at], how) {
			out[at] = int16(min(max(math.Floor(goal-carried/row[k]+0.5), lo), hi))
		}
		off[k] = float64(out[at]) - goal
	}
	if !(f.loss(out, r) < nearest) {
		copy(out, kept)
	}
}

// fixed reports whether the integer of a column is not free: inside a loop, or of a column that is always zero.
func (p *Program) fixed(j int32, how rounding) bool {
	return how.inLoop != nil && how.inLoop(j) || p.columnSteps(j) == 0
}

// loss returns the mean square, over the samples and damped, of what integers in units r are off by.
func (f *rowFit) loss(weights []int16, r float64) float64 {
	n, sum := len(f.cols), 0.0
	off := make([]float64, n)
	for k, at := range f.order {
		off[k] = float64(float64(weights[at])*r) - f.goal[at]
	}
	for k := range n {
		part, row := 0.0, f.upper[k*n:(k+1)*n]
		for c := k; c < n; c++ {
			part += float64(row[c] * off[c])
		}
		sum += float64(part * part)
	}
	return sum
}

// bias returns the integer bias with which the row's mean over the samples is the float model's.
func (f *rowFit) bias(weights []int16, r float64) float64 {
	sum := f.average / r
	for k, w := range weights {
		sum -= float64(float64(w) * f.mean[k])
	}
	return math.Floor(sum + 0.5)
}

// begin prepares the rounding against samples: inputs as the integers have them, states not yet.
func (p *Program) begin() {
	p.observed, p.shared, p.longest = nil, nil, 0
	if p.Reference == nil || !p.Options.Compensate {
		return
	}
	p.longest = p.longestRow()
	p.observed = p.quantisedInputs()
}

// follow computes the states of a segment, whose rows are integers now, on every sample: rows after it
// are rounded for what these hold.
func (p *Program) follow(m *simb.Model, segment *simb.Segment, first, end int) {
	p.shared = nil
	if p.observed == nil {
		return
	}
	run := *segment
	if run.Sweeps > 0 { // how many it takes is not decided yet
		run.Sweeps = contracted(p.Wellposed.Enclosing[first])
	}
	width := len(p.InputPlan) + p.states()
	var saturations uint64
	for s := range p.Reference.count {
		runSegment(m, run, first, end, p.observed[s*width:(s+1)*width], &saturations)
	}
}
