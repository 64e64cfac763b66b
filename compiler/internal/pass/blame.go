package pass

import (
	"cmp"
	"math"
	"slices"

	"github.com/sparse-implicit/sim/format/sparse"
)

// Blame is one row's part of an output's error bound.
type Blame struct {
	State int     // index in the source model, −1 for the output's own row
	Share float64 // of the bound, in [0, 1]
	Cause string  // what adds most in that row, one of the Cause constants
}

// What can add to an error.
const (
	CauseWeights  = "rounded weights"
	CauseInputs   = "steps of the inputs"
	CauseRounding = "steps of the state"
	CauseClamping = "clamping"
)

// Blame returns the rows that add most to the box bound of output k, the largest first, at most `most`
// of them; nil without that bound. Sensitivities of the output to each row's own error follow from the
// bound's recursion run backward; in loops until it settles.
func (p *Program) Blame(k, most int) []Blame {
	if p.Certificates.Box == nil {
		return nil
	}
	reading := p.readings(k)
	var all []Blame
	for i := range p.Rows {
		if part := times(p.own[i].total(), reading[i]); part > 0 {
			all = append(all, Blame{State: p.sourceRow(i), Share: part / float64(p.Certificates.Box.Output[k]), Cause: p.own[i].cause()})
		}
	}
	slices.SortStableFunc(all, func(a, b Blame) int { return -cmp.Compare(a.Share, b.Share) })
	return all[:min(len(all), most)]
}

// readings returns how much of each row's own error reaches output k.
func (p *Program) readings(k int) []float64 {
	reading := make([]float64, len(p.Rows))
	reading[p.states()+k] = 1
	p.spread(reading, p.states()+k, p.states())
	first := p.states()
	for s := len(p.Segments) - 1; s >= 0; s-- {
		end := first
		first -= p.Segments[s].States
		if p.Segments[s].Sweeps > 0 {
			p.settle(reading, first, end)
		}
		for i := first; i < end; i++ {
			p.spread(reading, i, first)
		}
	}
	return reading
}

// spread passes what reaches the output from row i on to the states that it reads, those before `until`.
func (p *Program) spread(reading []float64, i, until int) {
	slope := 1.0
	if i < p.states() {
		slope = gain(p.activation(i).Kind)
	}
	cols, values := p.real.weights.Row(i)
	for k, j := range cols {
		if s := p.stateColumn(j); s >= 0 && s < until {
			reading[s] += float64(reading[i] * float64(slope*math.Abs(values[k])))
		}
	}
}

// settle solves g = h + (γ|Ã|)ᵀ g over the states of a loop, where h is what reaches the output from later
// rows.
func (p *Program) settle(reading []float64, first, end int) {
	const most, still = 5000, 1e-4
	step := absolute(p.loopBlock(p.real.weights, first, end))
	for i := first; i < end; i++ {
		_, values := step.Row(i - first)
		for k := range values {
			values[k] = float64(values[k] * gain(p.activation(i).Kind))
		}
	}
	back := step.Transpose()
	h := append([]float64(nil), reading[first:end]...)
	for range most {
		if !settleOnce(back, h, reading[first:end], still) {
			return
		}
	}
}

// settleOnce does one sweep in place and reports whether something moved.
func settleOnce(back *sparse.Matrix[float64], h, g []float64, still float64) bool {
	moved := false
	for i := range g {
		next := h[i] + rowTimes(back, i, g)
		moved = moved || next-g[i] > float64(still*next)
		g[i] = next
	}
	return moved
}

// sourceRow returns the source's number of a state of the plan, −1 for outputs.
func (p *Program) sourceRow(i int) int {
	if i < p.states() {
		return p.States[i]
	}
	return -1
}

// cause names the largest part.
func (e *ownError) cause() string {
	largest := max(e.weights, e.inputs, e.rounding, e.clamping)
	switch largest {
	case e.weights:
		return CauseWeights
	case e.inputs:
		return CauseInputs
	case e.clamping:
		return CauseClamping
	}
	return CauseRounding
}
