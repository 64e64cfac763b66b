package pass

import (
	"fmt"
	"math"
	"slices"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// certifier holds what the certificates of one program are computed from.
type certifier struct {
	*Program
	real        *affine // the integers' real worth
	model       *simb.Model
	rounding    []float64 // per row: what requantisation, tables and the conversion to float32 can be off by
	tableErrors []float64 // per table
	deltaU      []float64 // per input: half a step
	proved      reach
	overBox     []float32 // residuals of the error over the box
	well        WellPosed // of |Ã| + |ΔA|
}

// Certify proves the bounds of SEMANTICS §4 in the form that format/verify checks, and decides how
// many sweeps each loop makes. What is not finite is not claimed.
func (p *Program) Certify() (string, error) {
	c := &certifier{Program: p, model: p.Model()}
	c.real = p.realised(c.model)
	c.deltaU = make([]float64, len(p.InputPlan))
	for k, input := range p.InputPlan {
		c.deltaU[k] = float64(float64(input.Scale) * (0.5 + inputSlack) * (1 + slack))
	}
	if err := c.wellPosed(); err != nil {
		return "", err
	}
	for k := range p.Tables {
		c.tableErrors = append(c.tableErrors, tableError(p.Options.Width, &p.Tables[k], c.rowOfTable(k)))
	}
	c.rounding = make([]float64, len(p.Rows))
	for i := range p.Rows {
		c.rounding[i] = c.roundingOf(i)
	}
	c.claimErrors()
	p.real, p.certified = c.real, c
	c.lipschitz()
	return c.summary(), nil
}

// CertifyBriefly proves the same bounds again, a little larger and in as few digits as that allows: for a
// file that makes use of it. Where that takes a bound over the box above `most`, if most is not 0, they
// are proved once more as they were.
func (p *Program) CertifyBriefly(most float64) (string, error) {
	p.Certificates, p.own, p.inBrief = simb.Certificates{}, nil, true
	detail, err := p.Certify()
	box := p.Certificates.Box
	if err != nil || most == 0 || box != nil && float64(slices.Max(box.Output)) <= most {
		return detail, err
	}
	p.Certificates, p.own, p.inBrief = simb.Certificates{}, nil, false
	return p.Certify()
}

// claimErrors proves reach and the two error claims, as far as they are finite. The calibrated claim
// rests on reach where there are loops, and may use it elsewhere only where it is claimed.
func (c *certifier) claimErrors() {
	var residuals []float32
	c.proved, residuals = c.reaches(c.real, &c.well, c.roundResidual)
	c.overBox = residuals
	calibrated, _ := c.errors(nil)
	box, own := c.errors(residuals)
	switch {
	case c.proved.bounded() && finite(box.State, box.Start, box.Residual, box.Output):
		c.Certificates.Box, c.own = box, own
		c.Certificates.ReachLo, c.Certificates.ReachHi = make([]float32, len(c.proved)), make([]float32, len(c.proved))
		for i, v := range c.proved {
			c.Certificates.ReachLo[i], c.Certificates.ReachHi[i] = float32(v.lo), float32(v.hi)
		}
	case c.well.V != nil:
		return
	default:
		for i := range c.proved {
			c.proved[i] = everything
		}
		calibrated, _ = c.errors(nil)
	}
	if finite(calibrated.State, calibrated.Start, calibrated.Residual, calibrated.Output) {
		c.Certificates.Calibrated = calibrated
	}
}

// How much a figure of a brief file may exceed what is proved: residuals by a sixteenth of themselves or of
// what requantisation adds to their row, those of gains by a hundred-and-twenty-eighth of the gain,
// figures that users see by a thirty-second.
const (
	residualRoom = 1.0 / 16
	gainRoom     = 1.0 / 128
	figureRoom   = 1.0 / 32
)

// brief reports whether claims are to be short. Not with loops, whose enclosures need residuals as near as
// bfloat16 comes.
func (p *Program) brief() bool {
	if !p.inBrief {
		return false
	}
	for _, segment := range p.Segments {
		if segment.Sweeps > 0 {
			return false
		}
	}
	return true
}

// roundResidual rounds the residual of row i up. Where claims are brief it is the one nearby, which then costs
// nothing in the file, if that is as good: the residual of the row before, or of the same row over the box.
func (c *certifier) roundResidual(i int, residual float64, nearby float32) float32 {
	if !c.brief() {
		return upShort(residual)
	}
	return fewestDigits(residual, float64(max(residual, c.rounding[i])*residualRoom), nearby)
}

// roundFigure rounds a bound of an output up.
func (c *certifier) roundFigure(v float64) float32 {
	if !c.brief() {
		return upShort(v)
	}
	return fewestDigits(v, float64(v*figureRoom), 0)
}

// rowOfTable returns a row that reads table k; all of them have the same scale and zero point.
func (c *certifier) rowOfTable(k int) *simb.Row {
	for i := range c.Rows {
		if c.Rows[i].Table == uint16(k) {
			return &c.Rows[i]
		}
	}
	panic("unreachable: tables are made when a row first needs one")
}

func (c *certifier) summary() string {
	worst := func(e *simb.ErrorCertificate) string {
		if e == nil {
			return "not proved"
		}
		largest := float32(0)
		for _, v := range e.Output {
			largest = max(largest, v)
		}
		return fmt.Sprintf("%.4g", largest)
	}
	return fmt.Sprintf("output error: %s over the box, %s while nothing saturates", worst(c.Certificates.Box), worst(c.Certificates.Calibrated))
}

// Widen makes the scales of the next round cover what states may reach by the certificates of this one,
// where only proofs limit them, and reports whether that changes anything: a clamp inside that range
// costs an error, in loops many times over. It forgets the certificates.
func (p *Program) Widen() bool {
	if p.Certificates.Box == nil || p.narrowed { // what states may reach by intervals is no measure then
		return false
	}
	changed := false
	for i := range p.States {
		if _, byData := p.wanted(i); byData || p.own[i].clamping == 0 {
			continue
		}
		v := &p.floatReach[i]
		v.lo, v.hi = min(v.lo, float64(p.Certificates.ReachLo[i])), max(v.hi, float64(p.Certificates.ReachHi[i]))
		changed = true
	}
	if changed {
		p.Certificates = simb.Certificates{}
	}
	return changed
}

// wellPosed renews the witness for the integers' loops: Σ|Ã|v + Σ|ΔA|v ≤ κ v.
func (c *certifier) wellPosed() error {
	c.well = WellPosed{Kind: c.Wellposed.Kind, V: c.Wellposed.V}
	if c.well.V == nil {
		return nil
	}
	n := c.states()
	c.well.Enclosing = make([]float64, n)
	c.Certificates.V, c.Certificates.VResidual = make([]float32, n), make([]float32, n)
	return c.eachSegment(func(segment *simb.Segment, first, end int) error {
		if segment.Sweeps == 0 {
			return nil
		}
		v := c.well.V[first:end]
		own := multiply(absolute(c.loopBlock(c.real.weights, first, end)), v)
		off := multiply(c.loopBlock(c.real.off.sizes, first, end), v)
		enclosing := 0.0
		for i := range v {
			residual := up32(off[i] * (1 + slack))
			c.Certificates.V[first+i], c.Certificates.VResidual[first+i] = float32(v[i]), residual
			ratio := float64((own[i]+float64(residual))*(1+2*slack)) / v[i]
			c.well.Kappa = max(c.well.Kappa, float64(up32(ratio)))
			enclosing = max(enclosing, float64((own[i]+float64(float64(residual)*(1+shortError)))*(1+2*slack))/v[i])
		}
		if !(c.well.Kappa < 1) {
			return fmt.Errorf("the loop of %d states through state %d contracts by κ = %.6g in integers, it must be below 1: use --bits 14 or --weights 16: %w", end-first, c.States[first], c.well.Kappa, ErrNotWellPosed)
		}
		for i := first; i < end; i++ {
			c.well.Enclosing[i] = enclosing
		}
		c.Certificates.Kappa = float32(c.well.Kappa)
		return nil
	})
}

func absolute(m *sparse.Matrix[float64]) *sparse.Matrix[float64] {
	out := m.Clone()
	for k, v := range out.Data {
		out.Data[k] = math.Abs(v)
	}
	return out
}

// roundingOf bounds what separates row i's integer result from φ of its accumulator's real worth, apart
// from what a saturation cuts off. A limit within half a step of the function's own is within the
// rounding of a step.
func (c *certifier) roundingOf(i int) float64 {
	row := &c.Rows[i]
	unit := float64(c.model.Unit(i))
	half := float64(unit * 0.5 * (1 + slack))
	if i >= c.states() {
		worth := float64(c.largestOutput(i) * unit)
		if worth > math.MaxFloat32 {
			return math.Inf(1) // a caller may receive Inf
		}
		return half + float64(worth*0x1p-24*(1+slack))
	}
	switch row.Kind {
	case simb.Tanh, simb.Sigmoid:
		return c.tableErrors[row.Table] + float64(gain(c.activation(i).Kind)*half)
	case simb.LeakyReLU:
		wanted := float64(float64(row.Parameter) * row.Multiplier.Ratio())
		off := distance(row.Negative.Ratio(), wanted)
		return half + float64(off*float64(row.Scale)*c.deepest(i)*(1+slack))
	}
	return half
}

// accumulated returns the least and largest acc of row i for q in range.
func (c *certifier) accumulated(i int) (least, most int64) {
	least, most = int64(c.Rows[i].Bias), int64(c.Rows[i].Bias)
	for k := c.Quantised.Indptr[i]; k < c.Quantised.Indptr[i+1]; k++ {
		lo, hi := c.columnRange(c.Quantised.Indices[k])
		w := int64(c.Quantised.Data[k])
		least += min(w*lo, w*hi)
		most += max(w*lo, w*hi)
	}
	return least, most
}

// deepest returns the largest −acc of row i for q in range, at least 0.
func (c *certifier) deepest(i int) float64 {
	least, _ := c.accumulated(i)
	return float64(max(-least, 0))
}

// largestOutput returns the largest |y| of an output row for q in range.
func (c *certifier) largestOutput(i int) float64 {
	least, most := c.accumulated(i)
	m := c.Rows[i].Multiplier
	return float64(max(abs64(m.Requantise(least)), abs64(m.Requantise(most)))) + 1
}

// cut bounds what a clamp that is counted as a saturation takes off the real range of state i.
func (c *certifier) cut(i int) float64 {
	row, scale := &c.Rows[i], float64(c.Rows[i].Scale)
	top := float64(scale * float64(int(row.Hi)-int(row.Zero))) // exact, as is bottom
	bottom := float64(scale * float64(int(row.Lo)-int(row.Zero)))
	over := 0.0
	if row.Saturates&simb.SaturatesHigh != 0 {
		over = max(over, c.proved[i].hi-top)
	}
	if row.Saturates&simb.SaturatesLow != 0 {
		over = max(over, bottom-c.proved[i].lo)
	}
	return float64(over * (1 + slack))
}

// integerReach returns the least and largest worth that state i can have, exactly.
func (c *certifier) integerReach(i int) interval {
	row := &c.Rows[i]
	lo, hi := int(row.Lo), int(row.Hi)
	if row.Table != simb.NoTable {
		entries := c.Tables[row.Table].Entries
		lo, hi = int(entries[0]), int(entries[len(entries)-1])
	}
	scale, zero := float64(row.Scale), int(row.Zero)
	return interval{float64(scale * float64(lo-zero)), float64(scale * float64(hi-zero))}
}

func finite(columns ...[]float32) bool {
	for _, values := range columns {
		for _, v := range values {
			if f := float64(v); math.IsInf(f, 0) || math.IsNaN(f) {
				return false
			}
		}
	}
	return true
}
