package pass

import (
	"math"

	"github.com/sparse-implicit/sim/format/simb"
)

// lipschitz proves g ≥ |A| g + |B| 1, the gain from the inputs (ℓ∞) to every state of the float model,
// and from it the constant of each output. Left out when no super-solution is found.
func (c *certifier) lipschitz() {
	n, q := c.states(), c.outputs()
	g := make([]float32, n)
	residual := make([]float32, n+q)
	sum := func(i int) float64 {
		own, off := 0.0, 0.0
		cols, values := c.real.weights.Row(i)
		_, deltas := c.real.off.sizes.Row(i)
		for k, j := range cols {
			weight := 1.0
			if s := c.stateColumn(j); s >= 0 {
				weight = float64(g[s])
			}
			own += times(math.Abs(values[k]), weight)
			off += times(deltas[k], weight)
		}
		residual[i] = c.roundGain(i, own, float64(off*(1+slack)))
		return float64((own + float64(residual[i])) * (1 + slack))
	}
	proved := true
	_ = c.eachSegment(func(segment *simb.Segment, first, end int) error {
		if segment.Sweeps == 0 {
			for i := first; i < end; i++ {
				g[i] = upShort(sum(i))
			}
			return nil
		}
		proved = proved && c.loopGain(first, end, g, sum)
		return nil
	})
	lipschitz := make([]float32, q)
	for k := range q {
		lipschitz[k] = c.roundFigure(sum(n + k))
	}
	if proved && finite(g, residual, lipschitz) {
		c.Certificates.Lipschitz, c.Certificates.Gain, c.Certificates.GainResidual = lipschitz, g, residual
	}
}

// roundGain rounds what the integers' gain of row i can be off by up. Where claims are brief it is the residual of
// the error over the box where that is as good: rows that read inputs of about one unit have both alike.
func (c *certifier) roundGain(i int, own, off float64) float32 {
	if !c.brief() {
		return upShort(off)
	}
	room, nearby := max(float64(off*residualRoom), float64(own*gainRoom)), float32(0)
	if c.Certificates.Box != nil {
		nearby = c.Certificates.Box.Residual[i]
	}
	return fewestDigits(off, room, nearby)
}

// loopGain finds a super-solution for the states of a loop: the recursion from below, inflated so little
// that the figure does not show it, until it no longer rises by that much.
func (c *certifier) loopGain(first, end int, g []float32, sum func(int) float64) bool {
	const inflation = 1e-6
	next := make([]float32, end-first)
	for range maxSweeps {
		holds := true
		for i := first; i < end; i++ {
			s := sum(i)
			holds = holds && float64(s*(1+slack)) <= float64(g[i])
			next[i-first] = max(g[i], up32(s*(1+inflation)))
		}
		if holds {
			return true
		}
		copy(g[first:end], next)
	}
	return false
}
