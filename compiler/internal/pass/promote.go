package pass

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
)

// planes returns how many weight planes row i is to have.
func (p *Program) planes(i int) uint8 {
	if p.Promoted != nil && p.Promoted[i] {
		return 2
	}
	return p.Options.Planes
}

// promotedRows says how many rows have two planes although the options ask for one; nothing without.
func (p *Program) promotedRows() string {
	promoted := 0
	for _, yes := range p.Promoted {
		if yes {
			promoted++
		}
	}
	if promoted == 0 {
		return ""
	}
	return fmt.Sprintf("; %d of %d rows promoted to two planes", promoted, len(p.Rows))
}

// Fork returns a program that goes on from where ranges are known, on its own: what one does to it the
// other does not see.
func (p *Program) Fork(promoted []bool) *Program {
	if p.ofInputs == nil {
		p.ofInputs = &inputMoments{}
	}
	fork := *p
	fork.floatReach, fork.floatSums = slices.Clone(p.floatReach), slices.Clone(p.floatSums)
	fork.Segments = slices.Clone(p.Segments)
	fork.Promoted = promoted
	fork.Tables, fork.SelfTest, fork.own = nil, nil, nil
	fork.Certificates = simb.Certificates{}
	return &fork
}

// Measured is what the integers lose on the samples.
type Measured struct {
	Samples int
	Agreed  int       // samples with the float model's decision; all of them when there is no rule
	Largest []float64 // |y − ỹ| by output, in its own unit
	Span    []float64 // by output, how far the float model's values lie apart
	Missed  [2]int    // what is decided most often in place of what: float model's, integers'
}

// quantisedInputs returns q of all columns on every sample, of which only the inputs are there yet.
func (p *Program) quantisedInputs() []uint16 {
	r, width := p.Reference, len(p.InputPlan)+p.states()
	observed := make([]uint16, r.count*width)
	sources := p.Source.Inputs()
	for s := range r.count {
		for k, input := range p.InputPlan {
			q, _ := quant.InputFromReal(r.inputs[s*sources+int(input.Source)], input.Scale, input.Zero, p.Options.Width)
			observed[s*width+k] = uint16(q)
		}
	}
	return observed
}

// Measure runs the integers on the samples; nil without samples. Sweeps have to be decided.
func (p *Program) Measure() *Measured {
	if p.Reference == nil {
		return nil
	}
	m, r, n := p.Model(), p.Reference, p.states()
	width := len(p.InputPlan) + n
	observed := p.quantisedInputs()
	out := &Measured{Samples: r.count, Largest: make([]float64, p.outputs()), Span: make([]float64, p.outputs())}
	least, most := slices.Repeat([]float64{math.Inf(1)}, p.outputs()), slices.Repeat([]float64{math.Inf(-1)}, p.outputs())
	y, worth := make([]float64, p.outputs()), make([]float64, p.outputs())
	confused := make([]int, p.outputs()*p.outputs())
	for s := range r.count {
		outputs, _ := evaluate(m, observed[s*width:(s+1)*width])
		for k, v := range outputs {
			y[k], worth[k] = p.sumsOf(n + k)[s], float64(quant.OutputToReal(v, p.OutputScale))
			out.Largest[k] = max(out.Largest[k], math.Abs(y[k]-worth[k]))
			least[k], most[k] = min(least[k], y[k]), max(most[k], y[k])
			worth[k] = float64(v) // decisions are of the integers
		}
		wanted, got := p.Source.Decide(y), p.Source.Decide(worth)
		if wanted == got {
			out.Agreed++
			continue
		}
		at := wanted*p.outputs() + got
		confused[at]++
		if confused[at] > confused[out.Missed[0]*p.outputs()+out.Missed[1]] {
			out.Missed = [2]int{wanted, got}
		}
	}
	for k := range out.Span {
		out.Span[k] = most[k] - least[k]
	}
	return out
}

// Order returns the rows in the order in which a second plane does most good for what it costs: by what
// their weights' rounding moves the outputs on the samples, and for a proof by its share of the bound.
func (p *Program) Order(proof bool) []int {
	score := make([]float64, len(p.Rows))
	if p.Reference != nil {
		addShares(score, p.sampleShares())
	}
	if proof && p.Certificates.Box != nil {
		for k := range p.outputs() {
			addShares(score, p.weightShares(k))
		}
	}
	var rows []int
	for i := range p.Rows {
		cols, _ := p.Weights.Row(i)
		score[i] /= float64(len(cols) + 1)
		if len(cols) > 0 {
			rows = append(rows, i)
		}
	}
	slices.SortStableFunc(rows, func(a, b int) int { return -cmp.Compare(score[a], score[b]) })
	return rows
}

// addShares adds parts to a score, each as a share of their sum.
func addShares(score, parts []float64) {
	sum := 0.0
	for _, v := range parts {
		sum += v
	}
	if !(sum > 0) || math.IsInf(sum, 0) {
		return
	}
	for i, v := range parts {
		score[i] += v / sum
	}
}

// sampleShares returns, per row, the mean square that its weights' rounding adds to the outputs, each
// output by its span.
func (p *Program) sampleShares() []float64 {
	influence := p.influence()
	shares := make([]float64, len(p.Rows))
	observed := p.observed
	if observed == nil {
		observed = p.run()
	}
	for i := range p.Rows {
		loss := p.rowLoss[i]
		if loss == 0 {
			loss = p.rowError(i, observed)
		}
		shares[i] = float64(influence[i] * loss)
	}
	return shares
}

// run returns q of all columns on every sample.
func (p *Program) run() []uint16 {
	m, width, observed := p.Model(), len(p.InputPlan)+p.states(), p.quantisedInputs()
	for s := range p.Reference.count {
		evaluate(m, observed[s*width:(s+1)*width])
	}
	return observed
}

// rowError returns the mean square of what separates row i's integer sum from its weights' on what the
// integers hold.
func (p *Program) rowError(i int, observed []uint16) float64 {
	width, sum := len(p.InputPlan)+p.states(), 0.0
	m := p.Model()
	r := float64(float64(m.Unit(i)) * p.Rows[i].Multiplier.Ratio())
	cols, weights := p.Weights.Row(i)
	for s := range p.Reference.count {
		q := observed[s*width : (s+1)*width]
		exact := p.Bias[i].Value
		for k, j := range cols {
			exact += float64(float64(weights[k]) * float64(p.columnScale(j)*float64(int64(q[j])-p.columnZero(j))))
		}
		off := exact - float64(float64(accumulate(m, i, q))*r)
		sum += float64(off * off)
	}
	return sum / float64(p.Reference.count)
}

// weightShares returns each row's part of the bound of output k that rounded weights make up.
func (p *Program) weightShares(k int) []float64 {
	reading := p.readings(k)
	shares := make([]float64, len(p.Rows))
	for i := range shares {
		shares[i] = times(p.own[i].weights, reading[i])
	}
	return shares
}

// Heaviest returns the rows that do most harm to the outputs on the samples, at most `most` of them, as
// the source numbers its states.
func (p *Program) Heaviest(most int) []Blame {
	shares := make([]float64, len(p.Rows))
	addShares(shares, p.sampleShares())
	var all []Blame
	for i, v := range shares {
		if v > 0 {
			all = append(all, Blame{State: p.sourceRow(i), Share: v, Cause: CauseWeights})
		}
	}
	slices.SortStableFunc(all, func(a, b Blame) int { return -cmp.Compare(a.Share, b.Share) })
	return all[:min(len(all), most)]
}

// influence returns, per row of the plan, the mean square of ∂y/∂z over the samples, summed over the
// outputs, each by its span.
func (p *Program) influence() []float64 {
	if p.Reference.influence == nil {
		p.Reference.influence = p.measureInfluence()
	}
	return p.Reference.influence
}

// Influence is estimated on so many samples, and of so many outputs at once by random signs (Hutchinson).
const (
	influenceSamples = 256
	influenceProbes  = 8
)

func (p *Program) measureInfluence() []float64 {
	r, n, q := p.Reference, p.states(), p.outputs()
	weight := make([]float64, q) // of an output: one over its span
	for k := range weight {
		sums := p.sumsOf(n + k)
		if span := slices.Max(sums) - slices.Min(sums); span > 0 {
			weight[k] = 1 / span
		}
	}
	out := make([]float64, n+q)
	signs := splitMix(2)
	gradient := make([]float64, n+q)
	use := min(r.count, influenceSamples)
	for k := range use {
		s := k * r.count / use
		for probe := range min(q, influenceProbes) {
			clear(gradient)
			for output := range q {
				switch {
				case q > influenceProbes:
					gradient[n+output] = weight[output] * float64(1-2*int(signs.next()&1)) / math.Sqrt(influenceProbes)
				case output == probe:
					gradient[n+output] = weight[output]
				}
			}
			p.backward(gradient, s)
			for i, g := range gradient {
				out[i] += float64(g * g)
			}
		}
	}
	return out
}

// backward passes gradients by the outputs on to the rows' arguments, on sample s of the float model.
func (p *Program) backward(gradient []float64, s int) {
	n := p.states()
	for i := n; i < len(gradient); i++ {
		p.pass(gradient, gradient[i], i, 0, n)
	}
	first := n
	for k := len(p.Segments) - 1; k >= 0; k-- {
		end := first
		first -= p.Segments[k].States
		if p.Segments[k].Sweeps > 0 {
			p.backwardLoop(gradient, s, first, end)
		} else {
			for i := first; i < end; i++ {
				gradient[i] = float64(gradient[i] * slope(p.activation(i), p.sumsOf(i)[s]))
			}
		}
		for i := first; i < end; i++ {
			p.pass(gradient, gradient[i], i, 0, first)
		}
	}
}

// pass adds to the states from..until that row i reads what reaches them through it.
func (p *Program) pass(gradient []float64, g float64, i, from, until int) {
	if g == 0 {
		return
	}
	cols, weights := p.Weights.Row(i)
	for k, j := range cols {
		if t := p.stateColumn(j); t >= from && t >= 0 && t < until {
			gradient[t] += float64(g * float64(weights[k]))
		}
	}
}

// backwardLoop solves v = φ'(z)(h + Aᵀv) over a loop by iteration, to what an order of rows needs.
func (p *Program) backwardLoop(gradient []float64, s, first, end int) {
	const most, still = 100, 1e-3
	h := slices.Clone(gradient[first:end])
	v := make([]float64, end-first)
	for range most {
		copy(gradient[first:end], h)
		for i := first; i < end; i++ {
			p.pass(gradient, v[i-first], i, first, end)
		}
		moved, size := 0.0, 0.0
		for i := first; i < end; i++ {
			next := float64(gradient[i] * slope(p.activation(i), p.sumsOf(i)[s]))
			moved, size = max(moved, math.Abs(next-v[i-first])), max(size, math.Abs(next))
			v[i-first] = next
		}
		if moved <= float64(still*size) {
			break
		}
	}
	copy(gradient[first:end], v)
}

// slope returns φ'(z).
func slope(a model.Activation, z float64) float64 {
	inside := func(yes bool, below float64) float64 {
		if yes {
			return 1
		}
		return below
	}
	switch a.Kind {
	case model.ReLU:
		return inside(z > 0, 0)
	case model.ClippedReLU:
		return inside(z > 0 && z < float64(a.P1), 0)
	case model.LeakyReLU:
		return inside(z > 0, float64(a.P0))
	case model.HardTanh:
		return inside(math.Abs(z) < float64(a.P1), 0)
	case model.Tanh:
		t := a.Apply(z)
		return 1 - float64(t*t)
	case model.Sigmoid:
		t := a.Apply(z)
		return t - float64(t*t)
	}
	return 1
}
