package verify

import (
	"math"

	"github.com/sparse-implicit/sim/format/simb"
)

// derive fills in the witnesses that a model without loops need not store: along the schedule each one
// is what its own inequality gives, rounded up to float32. It works on copies. What overflows becomes the
// largest float32, which the checks then refuse as they would a stored one.
func (c *checker) derive() {
	own := c.m.Certificates
	if !own.Derived {
		return
	}
	m := *c.m
	c.m = &m
	if own.Box != nil {
		box := *own.Box
		m.Certificates.Box = &box
		c.deriveReach(&box)
		c.deriveErrors(&box, true)
	}
	if own.Calibrated != nil {
		calibrated := *own.Calibrated
		m.Certificates.Calibrated = &calibrated
		c.deriveErrors(&calibrated, false)
	}
	if len(own.Lipschitz) > 0 {
		m.Certificates.Gain = make([]float32, c.n)
		for i := range c.n {
			m.Certificates.Gain[i] = float32Up(c.gainOf(i))
		}
	}
}

func (c *checker) deriveReach(box *simb.ErrorCertificate) {
	claims := &c.m.Certificates
	claims.ReachLo, claims.ReachHi = make([]float32, c.n), make([]float32, c.n)
	for i := range c.n {
		v := c.reachOf(i, box)
		claims.ReachLo[i], claims.ReachHi[i] = -float32Up(-v.lo), float32Up(v.hi)
	}
}

func (c *checker) deriveErrors(claim *simb.ErrorCertificate, clipping bool) {
	claim.State, claim.Start = make([]float32, c.n), make([]float32, c.n)
	e := make([]float64, c.n)
	for i := range c.n {
		claim.State[i] = float32Up(c.errorOf(i, claim, e, clipping))
		e[i] = float64(claim.State[i])
	}
}

// float32Up returns the smallest float32 ≥ x, at most the largest finite one; that for NaN.
func float32Up(x float64) float32 {
	if !(x <= math.MaxFloat32) {
		return math.MaxFloat32
	}
	f := float32(max(x, -math.MaxFloat32))
	if float64(f) < x {
		f = math.Nextafter32(f, math.MaxFloat32)
	}
	return f
}
