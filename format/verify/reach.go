package verify

import "github.com/sparse-implicit/sim/format/simb"

// reach returns the stored range of state i; the file must hold one.
func (c *checker) reach(i int) interval {
	return interval{float64(c.m.Certificates.ReachLo[i]), float64(c.m.Certificates.ReachHi[i])}
}

// hasReach reports whether the file claims ranges of the states.
func (c *checker) hasReach() bool { return len(c.m.Certificates.ReachLo) > 0 || c.n == 0 }

// preactivation encloses W̃·(u, x) + b̃ of a row over u ∈ 𝒰 and x in reach.
func (c *checker) preactivation(i int) interval {
	z := c.bias[i]
	for k := c.m.Weights.Indptr[i]; k < c.m.Weights.Indptr[i+1]; k++ {
		j := int(c.m.Weights.Indices[k])
		var v interval
		if j < c.p {
			v = c.region[j]
		} else {
			v = c.reach(j - c.p)
		}
		z = z.add(c.weights[k].mul(v))
	}
	return z
}

// reachClaim checks that φ(Ã·reach + B̃·𝒰 + b̃ ± ρ) ⊆ reach for every state. For a state computed once that
// is induction along the schedule; for a loop the map takes the box of its reach into itself, so
// it has an equilibrium there, and there is no other one.
func (c *checker) reachClaim() Check {
	const name = "reach"
	if !c.hasReach() {
		return notClaimed(name)
	}
	if c.n > 0 && c.m.Certificates.Box == nil {
		return failed(name, "ranges are claimed without the residuals of a box certificate, nothing ties them to the float model")
	}
	if len(c.loops) > 0 && !c.wellOK {
		return failed(name, "ranges are claimed for loops that are not proved well-posed")
	}
	for i := range c.n {
		stored := c.reach(i)
		proved := c.reachOf(i, c.m.Certificates.Box)
		if !(stored.lo <= proved.lo && proved.hi <= stored.hi) {
			return failed(name, "state %d is claimed to stay in [%g, %g], proved is [%g, %g]", i, stored.lo, stored.hi, proved.lo, proved.hi)
		}
	}
	return passed(name, "%d states stay in their ranges for every input that does not saturate", c.n)
}

// reachOf returns φ(Ã·reach + B̃·𝒰 + b̃ ± ρ) of state i, with the residuals of the box claim.
func (c *checker) reachOf(i int, box *simb.ErrorCertificate) interval {
	return activate(&c.m.Rows[i], c.preactivation(i).widen(float64(box.Residual[i])))
}

// wellPosed checks v > 0 with |Ã| v + residual ≤ κ v over every loop, κ < 1: each loop has exactly one
// equilibrium for every input. A model without loops needs no witness.
func (c *checker) wellPosed() Check {
	const name = "well-posed"
	claim := &c.m.Certificates
	if len(c.loops) == 0 {
		c.wellOK = true
		return passed(name, "causal: one pass in order is the equilibrium")
	}
	if len(claim.V) == 0 {
		return notClaimed(name)
	}
	kappa := float64(claim.Kappa)
	if !(kappa < 1) {
		return failed(name, "kappa is %g, it must be below 1", kappa)
	}
	for i := range c.n {
		v := float64(claim.V[i])
		if c.loopOf[i] < 0 {
			if v != 0 {
				return failed(name, "v[%d] is %g for a state outside loops, it must be 0", i, v)
			}
			continue
		}
		if !(v > 0) {
			return failed(name, "v[%d] is %g, it must be positive", i, v)
		}
		sum := float64(claim.VResidual[i])
		from, to := c.within(i, c.loops[c.loopOf[i]])
		for k := from; k < to; k++ {
			j := int(c.m.Weights.Indices[k]) - c.p
			sum = addUp(sum, mulUp(c.weights[k].magnitude(), float64(claim.V[j])))
		}
		if allowed := mulDown(kappa, v); sum > allowed {
			return failed(name, "state %d: |A| v = %g exceeds kappa·v = %g", i, sum, allowed)
		}
	}
	c.wellOK = true
	return passed(name, "%d loops contract with kappa = %.6g", len(c.loops), kappa)
}

// lipschitz checks the super-solution g ≥ |Ã| g + |B̃| 1 + residual and the constants that follow from it.
func (c *checker) lipschitz() Check {
	const name = "lipschitz"
	claim := &c.m.Certificates
	if len(claim.Lipschitz) == 0 {
		return notClaimed(name)
	}
	if len(c.loops) > 0 && !c.wellOK {
		return failed(name, "constants are claimed for loops that are not proved well-posed")
	}
	for i := range c.m.Rows {
		sum := c.gainOf(i)
		if i < c.n && sum > float64(claim.Gain[i]) {
			return failed(name, "state %d: gain %g is claimed, proved is %g", i, claim.Gain[i], sum)
		}
		if i >= c.n && sum > float64(claim.Lipschitz[i-c.n]) {
			return failed(name, "output %d: %g is claimed, proved is %g", i-c.n, claim.Lipschitz[i-c.n], sum)
		}
	}
	return passed(name, "largest constant %.4g", largest(claim.Lipschitz))
}

// gainOf returns |Ã| g + |B̃| 1 + residual of row i.
func (c *checker) gainOf(i int) float64 {
	claim := &c.m.Certificates
	sum := float64(claim.GainResidual[i])
	for k := c.m.Weights.Indptr[i]; k < c.m.Weights.Indptr[i+1]; k++ {
		weight := c.weights[k].magnitude()
		if j := int(c.m.Weights.Indices[k]); j >= c.p {
			weight = mulUp(weight, float64(claim.Gain[j-c.p]))
		}
		sum = addUp(sum, weight)
	}
	return sum
}

func largest(values []float32) float32 {
	most := float32(0)
	for _, v := range values {
		most = max(most, v)
	}
	return most
}
