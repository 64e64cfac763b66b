package pass

import (
	"math"

	"github.com/sparse-implicit/sim/compiler/internal/relax"
)

// samplesSeen is how many inputs of the box are looked at before it is split. They prove nothing: they say which
// bound, or which range, is the loosest.
const samplesSeen = 3000

// sampler draws inputs of the declared box, its corners first.
type sampler struct {
	box    relax.Box
	random uint64
	drawn  int
}

// next sets u to the next input.
func (s *sampler) next(u []float64) {
	for j := range u {
		s.random = s.random*6364136223846793005 + 1442695040888963407
		share := float64(s.random>>11) * 0x1p-53
		if s.drawn < 64 {
			share = float64(s.drawn >> min(j, 62) & 1)
		}
		u[j] = s.box.Lo[j] + float64(share*(s.box.Hi[j]-s.box.Lo[j]))
	}
	s.drawn++
}

// seenErrors returns the largest error of each output over samples, at least a little.
func (p *Program) seenErrors() []float64 {
	m := p.Model()
	box, from := p.declared()
	draw := sampler{box: box, random: 1}
	most := float64(p.Options.Width.Max())
	errors := make([]float64, p.outputs())
	q, u, v := make([]uint16, len(m.Inputs)+m.States()), make([]float64, len(m.Inputs)), make([]float64, len(m.Inputs)+m.States())
	bias := p.nearestValues()
	for range p.samples() {
		draw.next(u)
		for j, input := range m.Inputs {
			q[j] = uint16(min(max(math.Floor(u[j]/float64(input.Scale)+0.5)+float64(input.Zero), 0), most))
			v[j] = u[j] - from[j]
		}
		outputs, _ := evaluate(m, q)
		p.solve(bias, v, nil)
		for k := range errors {
			y := p.sumOf(p.states()+k, bias, v)
			errors[k] = max(errors[k], math.Abs(float64(float64(outputs[k])*float64(p.OutputScale))-y))
		}
	}
	worst := 0.0
	for _, e := range errors {
		worst = max(worst, e)
	}
	for k := range errors {
		errors[k] = max(errors[k], float64(worst*0x1p-6), float64(p.OutputScale))
	}
	return errors
}

// seenSums returns the ranges of the states' sums over samples.
func (p *Program) seenSums() []relax.Range {
	box, from := p.declared()
	draw := sampler{box: box, random: 1}
	seen := make([]relax.Range, p.states())
	for i := range seen {
		seen[i] = relax.Range{Lo: math.Inf(1), Hi: math.Inf(-1)}
	}
	u, v, bias := make([]float64, len(p.InputPlan)), make([]float64, len(p.InputPlan)+p.states()), p.nearestValues()
	for range p.samples() {
		draw.next(u)
		for j := range u {
			v[j] = u[j] - from[j]
		}
		p.solve(bias, v, func(i int, z float64) { seen[i] = relax.Range{Lo: min(seen[i].Lo, z), Hi: max(seen[i].Hi, z)} })
	}
	return seen
}

// samples returns how many are drawn: fewer of large models.
func (p *Program) samples() int { return max(64, min(samplesSeen, 100_000_000/(1+p.Weights.Stored()))) }

func (p *Program) nearestValues() []float64 {
	bias := make([]float64, len(p.Bias))
	for i := range bias {
		bias[i] = p.nearestValue(i).Value
	}
	return bias
}

// solve sets the states of a model without loops, in the plan's columns, and shows their sums.
func (p *Program) solve(bias, v []float64, show func(i int, z float64)) {
	for i := range p.States {
		z := p.sumOf(i, bias, v)
		if show != nil {
			show(i, z)
		}
		v[len(p.InputPlan)+i] = p.activation(i).Apply(z)
	}
}

func (p *Program) sumOf(i int, bias, v []float64) float64 {
	sum := bias[i]
	cols, values := p.Weights.Row(i)
	for k, j := range cols {
		sum += float64(float64(values[k]) * v[j])
	}
	return sum
}
