package pass

import (
	"math"

	"github.com/sparse-implicit/sim/format/simb"
)

// maxSweeps caps the sweeps of a loop, and sweepTolerance says how near the bound after K sweeps comes
// to what infinitely many would leave.
const (
	maxSweeps      = 20000
	sweepTolerance = 1.02
)

// recursion iterates e^{k+1} = |Ã| e^k + w over the states of a loop, whose earlier states' errors are
// final, calling after with each new iterate until it returns false.
func (c *certifier) recursion(first, end int, start []float32, constant []float64, after func(k int, e []float32) bool) {
	e := make([]float32, end)
	copy(e, start[:end])
	next := make([]float32, end-first)
	for k := 1; ; k++ {
		for i := first; i < end; i++ {
			next[i-first] = up32(c.through(i, e, constant[i-first]))
		}
		copy(e[first:end], next)
		if !after(k, e[first:end]) {
			return
		}
	}
}

// loopStart returns the errors that a loop's recursion starts from: final ones of earlier states, e⁰ of
// its own.
func loopStart(first, end int, out *simb.ErrorCertificate) []float32 {
	start := make([]float32, end)
	copy(start, out.State[:first])
	copy(start[first:], out.Start[first:end])
	return start
}

// sweepsNeeded returns the smallest K after which every state's bound is within sweepTolerance of the
// limit of the recursion.
func (c *certifier) sweepsNeeded(first, end int, out *simb.ErrorCertificate, constant []float64) uint32 {
	start := loopStart(first, end, out)
	limit := make([]float32, end-first)
	c.recursion(first, end, start, constant, func(k int, e []float32) bool {
		moved := false
		for i, v := range e {
			if math.Abs(float64(v-limit[i])) > 1e-6*float64(v) {
				moved = true
			}
		}
		copy(limit, e)
		return moved && k < maxSweeps
	})
	sweeps := uint32(maxSweeps)
	c.recursion(first, end, start, constant, func(k int, e []float32) bool {
		for i, v := range e {
			if float64(v) > float64(limit[i])*sweepTolerance {
				return k < maxSweeps
			}
		}
		sweeps = uint32(k)
		return false
	})
	return sweeps
}

// sweep returns the bounds after the given number of sweeps.
func (c *certifier) sweep(first, end int, out *simb.ErrorCertificate, constant []float64, sweeps int) []float32 {
	result := make([]float32, end-first)
	c.recursion(first, end, loopStart(first, end, out), constant, func(k int, e []float32) bool {
		copy(result, e)
		return k < sweeps
	})
	return result
}

// lipschitz proves g ≥ |A| g + |B| 1, the gain from the inputs (ℓ∞) to every state of the float model,
// and from it the constant of each output. Left out when no super-solution is found.
func (c *certifier) lipschitz() {
	n, q := c.states(), c.outputs()
	g := make([]float32, n)
	residual := make([]float32, n+q)
	sum := func(i int) float64 {
		own, off := 0.0, 0.0
		cols, values := c.real.weights.Row(i)
		_, deltas := c.real.delta.Row(i)
		for k, j := range cols {
			weight := 1.0
			if s := c.stateColumn(j); s >= 0 {
				weight = float64(g[s])
			}
			own += float64(math.Abs(values[k]) * weight)
			off += float64(deltas[k] * weight)
		}
		residual[i] = upShort(off * (1 + slack))
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
		lipschitz[k] = upShort(sum(n + k))
		proved = proved && !math.IsInf(float64(lipschitz[k]), 0)
	}
	if proved {
		c.Certificates.Lipschitz, c.Certificates.Gain, c.Certificates.GainResidual = lipschitz, g, residual
	}
}

// loopGain finds a super-solution for the states of a loop: the recursion from below, lifted by a
// multiple of the witness v, which has room (1 − κ)·v to spare.
func (c *certifier) loopGain(first, end int, g []float32, sum func(int) float64) bool {
	below := make([]float64, end-first)
	for range maxSweeps {
		moved := false
		for i := first; i < end; i++ {
			below[i-first] = sum(i)
		}
		for i := first; i < end; i++ {
			if below[i-first] > float64(g[i])*(1+1e-7) {
				moved = true
			}
			g[i] = up32(below[i-first])
		}
		if !moved {
			break
		}
	}
	lift := 0.0
	for i := range below {
		lift = max(lift, float64(g[first+i])/c.well.V[first+i])
	}
	for share := 1e-4; share <= 1; share *= 10 {
		for i := first; i < end; i++ {
			g[i] = up32(below[i-first] + float64(share*lift*c.well.V[i]))
		}
		holds := true
		for i := first; i < end; i++ {
			holds = holds && sum(i)*(1+slack) <= float64(g[i])
		}
		if holds {
			return true
		}
	}
	return false
}

func allFinite(proved reach, certificates ...*simb.ErrorCertificate) bool {
	for _, v := range proved {
		if math.IsInf(v.lo, 0) || math.IsInf(v.hi, 0) || math.IsNaN(v.lo+v.hi) {
			return false
		}
	}
	for _, e := range certificates {
		for _, values := range [][]float32{e.State, e.Start, e.Residual, e.Output} {
			for _, v := range values {
				if math.IsInf(float64(v), 0) || math.IsNaN(float64(v)) {
					return false
				}
			}
		}
	}
	return true
}
