package tune

import (
	"github.com/sparse-implicit/sim/format/model"
)

// Loops are iterated until a sweep moves nothing by more than this part of the largest value in the
// shard, or so many sweeps.
const (
	loopTolerance = 1e-5
	loopSweeps    = 300
)

// shard is the memory in which one stretch of at most lanes samples is run forward and backward. Arrays
// are of lines: one number for each sample.
type shard struct {
	values   []float32 // per feature
	slope    []float32 // per state: φ'(z)
	base     []float32 // per state: what a loop's state gets from outside the loop
	outputs  []float32 // per output; after the loss, its derivatives
	into     []float32 // per state: the loss's derivative by the state
	next     []float32 // per state: the adjoint's next iterate
	line     []float32 // scratch
	gradient []float32 // per entry of the plan
	scratch  lossScratch

	sample, move [lanes]int // per lane: where its inputs begin, and how they are moved
	loss         float64
}

func newShard(n *Net) *shard {
	states, outputs := n.States(), n.Outputs
	s := &shard{
		values: make([]float32, n.features()*lanes), slope: make([]float32, states*lanes), base: make([]float32, states*lanes),
		outputs: make([]float32, outputs*lanes), into: make([]float32, states*lanes), next: make([]float32, states*lanes), line: make([]float32, lanes),
		scratch: newLossScratch(outputs),
	}
	one := s.values[(n.features()-1)*lanes:]
	for k := range one {
		one[k] = 1
	}
	return s
}

// lineOf returns column j of an array of lines.
func lineOf(lines []float32, j int) []float32 { return lines[j*lanes : (j+1)*lanes] }

// load fills in the inputs that the plan reads for the chosen variants of samples; lanes without one get
// zeros.
func (s *shard) load(p *plan, samples *Samples, width int, chosen []int) {
	variants := samples.variants()
	for lane, variant := range chosen {
		s.sample[lane], s.move[lane] = variant/variants*width, variant%variants
	}
	at, move := s.sample[:len(chosen)], s.move[:len(chosen)]
	for _, j := range p.inputs {
		line, input := lineOf(s.values, int(j)), int(j)-p.states
		if samples.Moves != nil {
			samples.Moves.load(line, samples.Inputs, at, move, input)
		} else {
			for lane, first := range at {
				line[lane] = samples.Inputs[first+input]
			}
		}
		if samples.Gain != nil {
			shift, gain := samples.Shift[input], samples.Gain[input]
			for lane, v := range line[:len(chosen)] {
				line[lane] = float32((v - shift) * gain)
			}
		}
		clear(line[len(chosen):])
	}
}

// forward computes states and outputs.
func (s *shard) forward(n *Net, p *plan, weights []float32) {
	for _, g := range p.groups {
		if g.loop {
			s.settle(n, p, weights, g.states)
			continue
		}
		i := g.states[0]
		r := p.rows[i]
		clear(s.line)
		gather(s.line, s.values, p.cols[r.inner:r.end], weights[r.inner:r.end])
		activate(n.Activations[i], s.line, lineOf(s.values, i), lineOf(s.slope, i))
	}
	for k := range n.Outputs {
		r := p.rows[p.states+k]
		y := lineOf(s.outputs, k)
		clear(y)
		gather(y, s.values, p.cols[r.first:r.end], weights[r.first:r.end])
	}
}

// activate sets x = φ(z) and slope = φ'(z). x may be z.
func activate(a model.Activation, z, x, slope []float32) {
	z, x, slope = z[:lanes], x[:lanes], slope[:lanes]
	switch a.Kind {
	case model.ReLU:
		for s, v := range z {
			x[s], slope[s] = 0, 0
			if v > 0 {
				x[s], slope[s] = v, 1
			}
		}
	case model.Identity:
		copy(x, z)
		for s := range slope {
			slope[s] = 1
		}
	case model.LeakyReLU:
		for s, v := range z {
			x[s], slope[s] = v, 1
			if v < 0 {
				x[s], slope[s] = float32(v*a.P0), a.P0
			}
		}
	case model.ClippedReLU, model.HardTanh:
		for s, v := range z {
			x[s], slope[s] = min(max(v, a.P0), a.P1), 0
			if v > a.P0 && v < a.P1 {
				slope[s] = 1
			}
		}
	case model.Tanh:
		for s, v := range z {
			t := float32(model.TanhOf(float64(v)))
			x[s], slope[s] = t, 1-float32(t*t)
		}
	case model.Sigmoid:
		for s, v := range z {
			t := float32(model.SigmoidOf(float64(v)))
			x[s], slope[s] = t, float32(t*(1-t))
		}
	}
}

// settle iterates a loop from zero to its equilibrium, each state from the newest values of the others.
// A relu's self-loop is solved in closed form: x = φ(z + ox) with o < 1 is φ(z/(1 − o)).
func (s *shard) settle(n *Net, p *plan, weights []float32, states []int) {
	for _, i := range states {
		base := lineOf(s.base, i)
		clear(base)
		r := p.rows[i]
		gather(base, s.values, p.cols[r.inner:r.end], weights[r.inner:r.end])
		clear(lineOf(s.values, i))
	}
	for range loopSweeps {
		change, largest := float32(0), float32(0)
		for _, i := range states {
			r, x := p.rows[i], lineOf(s.values, i)
			copy(s.line, lineOf(s.base, i))
			gather(s.line, s.values, p.cols[r.first:r.inner], weights[r.first:r.inner])
			if k := n.Activations[i].Kind; r.own >= 0 && (k == model.ReLU || k == model.Identity) {
				own := weights[r.own]
				inverse := 1 / (1 - own)
				for l, v := range x {
					s.line[l] = float32((s.line[l] - float32(own*v)) * inverse)
				}
			}
			old := s.next[:lanes]
			copy(old, x)
			activate(n.Activations[i], s.line, x, lineOf(s.slope, i))
			for l, v := range x {
				change, largest = max(change, v-old[l], old[l]-v), max(largest, v, -v)
			}
		}
		if change <= loopTolerance*largest {
			return
		}
	}
}

// backward takes the derivatives in outputs back and sets gradient.
func (s *shard) backward(n *Net, p *plan, weights []float32) {
	clear(s.into)
	for k := range n.Outputs {
		s.backRow(p, weights, p.states+k, lineOf(s.outputs, k))
	}
	for g := len(p.groups) - 1; g >= 0; g-- {
		group := p.groups[g]
		if group.loop {
			s.adjoint(p, weights, group.states)
		}
		for _, i := range group.states {
			into, slope := lineOf(s.into, i), lineOf(s.slope, i)
			for l, v := range slope {
				s.line[l] = float32(into[l] * v)
			}
			s.backRow(p, weights, i, s.line)
		}
	}
}

// backRow takes the derivative dz by row i's argument to its weights and to the states of earlier groups.
func (s *shard) backRow(p *plan, weights []float32, i int, dz []float32) {
	r := p.rows[i]
	dots(s.gradient[r.first:r.end], dz, s.values, p.cols[r.first:r.end])
	scatter(s.into, dz, p.cols[r.inner:r.outer], weights[r.inner:r.outer])
}

// adjoint turns s.into of a loop's states, derivatives with the loop held, into those at its equilibrium:
// v = g + Aᵀ(φ' ∘ v), the states' own entries solved for.
func (s *shard) adjoint(p *plan, weights []float32, states []int) {
	v := s.base // free once the loop has settled
	for _, i := range states {
		copy(lineOf(v, i), lineOf(s.into, i))
	}
	for range loopSweeps {
		for _, i := range states {
			copy(lineOf(s.next, i), lineOf(s.into, i))
		}
		for _, i := range states {
			r, slope, at := p.rows[i], lineOf(s.slope, i), lineOf(v, i)
			for l := range s.line {
				s.line[l] = float32(at[l] * slope[l])
			}
			scatter(s.next, s.line, p.cols[r.first:r.inner], weights[r.first:r.inner])
		}
		change, largest := float32(0), float32(0)
		for _, i := range states {
			own := float32(0)
			if r := p.rows[i]; r.own >= 0 {
				own = weights[r.own]
			}
			slope, at := lineOf(s.slope, i), lineOf(v, i)
			for l, next := range lineOf(s.next, i) {
				o := float32(own * slope[l])
				next = (next - float32(o*at[l])) / (1 - o)
				change, largest = max(change, next-at[l], at[l]-next), max(largest, next, -next)
				at[l] = next
			}
		}
		if change <= loopTolerance*largest {
			break
		}
	}
	for _, i := range states {
		copy(lineOf(s.into, i), lineOf(v, i))
	}
}
