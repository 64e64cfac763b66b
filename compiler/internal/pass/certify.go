package pass

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// certifier holds what the certificates of one program are computed from.
type certifier struct {
	*Program
	real     *affine // the integers' real worth
	model    *simb.Model
	rounding []float64 // per row: what requantisation, tables and a limit of its own can be off by
	deltaU   []float64 // per input: half a step
	proved   reach
	well     WellPosed // of |Ã| + |ΔA|
}

// Certify proves the bounds of SEMANTICS §4 in the form that format/verify checks, and decides how
// many sweeps each loop makes.
func (p *Program) Certify() (string, error) {
	m := p.Model()
	c := &certifier{Program: p, model: m, real: p.realised(m)}
	c.deltaU = make([]float64, len(p.InputPlan))
	for k, input := range p.InputPlan {
		c.deltaU[k] = float64(float64(input.Scale) * (0.5 + inputSlack) * (1 + slack))
	}
	if err := c.wellPosed(); err != nil {
		return "", err
	}
	c.rounding = make([]float64, len(p.Rows))
	for i := range p.Rows {
		c.rounding[i] = c.roundingOf(i)
	}
	proved, residuals := p.reaches(c.real, &c.well)
	c.proved = proved
	p.Certificates.ReachLo, p.Certificates.ReachHi = make([]float32, len(proved)), make([]float32, len(proved))
	for i, v := range proved {
		p.Certificates.ReachLo[i], p.Certificates.ReachHi[i] = float32(v.lo), float32(v.hi)
	}
	calibrated := c.errors(nil)
	box := c.errors(residuals)
	if allFinite(proved, calibrated, box) {
		p.Certificates.Calibrated, p.Certificates.Box = calibrated, box
	} else {
		p.Certificates.ReachLo, p.Certificates.ReachHi = nil, nil
	}
	c.lipschitz()
	return c.summary(), nil
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

// wellPosed renews the witness for the integers' loops: Σ|Ã|v + Σ|ΔA|v ≤ κ v.
func (c *certifier) wellPosed() error {
	c.well = WellPosed{Kind: c.Wellposed.Kind, V: c.Wellposed.V}
	if c.well.V == nil {
		return nil
	}
	n := c.states()
	c.Certificates.V, c.Certificates.VResidual = make([]float32, n), make([]float32, n)
	return c.eachSegment(func(segment *simb.Segment, first, end int) error {
		if segment.Sweeps == 0 {
			return nil
		}
		v := c.well.V[first:end]
		own := multiply(absolute(c.loopBlock(c.real.weights, first, end)), v)
		off := multiply(c.loopBlock(c.real.delta, first, end), v)
		for i := range v {
			residual := up32(off[i] * (1 + slack))
			c.Certificates.V[first+i], c.Certificates.VResidual[first+i] = float32(v[i]), residual
			ratio := float64((own[i]+float64(residual))*(1+2*slack)) / v[i]
			c.well.Kappa = max(c.well.Kappa, float64(up32(ratio)))
		}
		if !(c.well.Kappa < 1) {
			return fmt.Errorf("the loop through state %d contracts by κ = %.6g in integers, it must be below 1; use --bits 14 or --weights 16: %w", c.States[first], c.well.Kappa, ErrNotWellPosed)
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
// from what a saturation cuts off.
func (c *certifier) roundingOf(i int) float64 {
	row := &c.Rows[i]
	unit := float64(c.model.Unit(i))
	half := float64(unit * 0.5 * (1 + slack))
	if i >= c.states() {
		return half + float64(c.largestOutput(i)*unit*0x1p-24*(1+slack))
	}
	scale := float64(row.Scale)
	limit := func(q uint16, own float64) float64 { // the function's own limit against its integer stand-in
		worth := float64(scale * float64(int(q)-int(row.Zero)))
		return float64(math.Abs(worth-own)*(1+slack)) + float64(math.Abs(worth)*0x1p-52)
	}
	switch row.Kind {
	case simb.Tanh, simb.Sigmoid:
		table := &c.Tables[row.Table]
		return tableError(c.Options.Width, table, scale, row.Zero) + float64(gain(model.Kind(row.Kind))*half)
	case simb.LeakyReLU:
		wanted := float64(float64(row.Parameter) * row.Multiplier.Ratio())
		off := distance(row.Negative.Ratio(), wanted)
		return half + float64(off*scale*c.deepest(i)*(1+slack))
	case simb.ClippedReLU:
		if row.Saturates&simb.SaturatesHigh == 0 {
			half += limit(row.Hi, float64(row.Parameter))
		}
	case simb.HardTanh:
		if row.Saturates == 0 {
			half += max(limit(row.Hi, float64(row.Parameter)), limit(row.Lo, -float64(row.Parameter)))
		}
	}
	return half
}

// deepest returns the largest −acc of row i for q in range, at least 0.
func (c *certifier) deepest(i int) float64 {
	least := int64(c.Rows[i].Bias)
	for k := c.Quantised.Indptr[i]; k < c.Quantised.Indptr[i+1]; k++ {
		lo, hi := c.columnRange(c.Quantised.Indices[k])
		w := int64(c.Quantised.Data[k])
		least += min(w*lo, w*hi)
	}
	return float64(max(-least, 0))
}

// largestOutput returns the largest |y| of an output row for q in range.
func (c *certifier) largestOutput(i int) float64 {
	least, most := int64(c.Rows[i].Bias), int64(c.Rows[i].Bias)
	for k := c.Quantised.Indptr[i]; k < c.Quantised.Indptr[i+1]; k++ {
		lo, hi := c.columnRange(c.Quantised.Indices[k])
		w := int64(c.Quantised.Data[k])
		least += min(w*lo, w*hi)
		most += max(w*lo, w*hi)
	}
	return float64(max(abs64(c.Rows[i].Multiplier.Requantise(least)), abs64(c.Rows[i].Multiplier.Requantise(most)))) + 1
}

// tableError bounds |s·(T(t) − z) − φ(h·t)| over the domain, and beyond it against the function's limits.
func tableError(width quant.Width, table *simb.Table, scale float64, zero uint16) float64 {
	lo, hi := width.TableDomain()
	phi := model.Activation{Kind: model.Kind(table.Kind)}
	worst := 0.0
	for t := lo; t <= hi; t++ {
		worth := float64(scale * float64(quant.LookUp(width, table.Entries, t)-int32(zero)))
		worst = max(worst, math.Abs(worth-phi.Apply(float64(t)*float64(table.Step))))
	}
	limits := interval{0, 1}
	if table.Kind == simb.Tanh {
		limits.lo = -1
	}
	bottom := float64(scale * float64(quant.LookUp(width, table.Entries, lo)-int32(zero)))
	top := float64(scale * float64(quant.LookUp(width, table.Entries, hi)-int32(zero)))
	worst = max(worst, math.Abs(bottom-limits.lo), math.Abs(limits.hi-top))
	return worst + slack
}

// cut bounds what clamping takes off the real range of state i.
func (c *certifier) cut(i int) float64 {
	row := &c.Rows[i]
	if row.Table != simb.NoTable {
		return 0
	}
	scale := float64(row.Scale)
	top := float64(scale * float64(int(row.Hi)-int(row.Zero)))
	bottom := float64(scale * float64(int(row.Lo)-int(row.Zero)))
	over := max(0, c.proved[i].hi-top, bottom-c.proved[i].lo)
	if over == 0 {
		return 0
	}
	return float64(over*(1+slack)) + float64((math.Abs(top)+math.Abs(bottom))*0x1p-50)
}

// integerReach returns the largest |worth| that state i can have.
func (c *certifier) integerReach(i int) float64 {
	row := &c.Rows[i]
	lo, hi := int(row.Lo), int(row.Hi)
	if row.Table != simb.NoTable {
		entries := c.Tables[row.Table].Entries
		lo, hi = int(entries[0]), int(entries[len(entries)-1])
	}
	steps := max(abs64(int64(lo)-int64(row.Zero)), abs64(int64(hi)-int64(row.Zero)))
	return float64(float64(row.Scale) * float64(steps) * (1 + slack))
}

// errors proves one error certificate. With residuals it is the claim over the box, clipping included;
// without, the claim that holds while nothing saturates, whose residuals follow from what the
// integers can reach.
func (c *certifier) errors(residuals []float32) *simb.ErrorCertificate {
	n, q := c.states(), c.outputs()
	out := &simb.ErrorCertificate{State: make([]float32, n), Residual: make([]float32, n+q), Start: make([]float32, n), Output: make([]float32, q)}
	overBox := residuals != nil
	inLoop := make([]bool, n)
	magnitude := func(j int) float64 {
		if overBox || inLoop[j] {
			return c.proved[j].magnitude()
		}
		return min(c.proved[j].magnitude(), float64((c.integerReach(j)+float64(out.State[j]))*(1+slack)))
	}
	own := func(i int) float64 { // what does not depend on the states' errors
		if overBox {
			out.Residual[i] = residuals[i]
		} else {
			out.Residual[i] = upShort(c.real.residual(i, magnitude))
		}
		sum := float64(out.Residual[i])
		cols, values := c.real.weights.Row(i)
		for k, j := range cols {
			if int(j) < len(c.deltaU) {
				sum += float64(math.Abs(values[k]) * c.deltaU[j])
			}
		}
		if i < n {
			sum = float64(sum * gain(c.activation(i).Kind))
			if overBox {
				sum += c.cut(i)
			}
		}
		return float64((sum + c.rounding[i]) * (1 + slack))
	}
	_ = c.eachSegment(func(segment *simb.Segment, first, end int) error {
		if segment.Sweeps == 0 {
			for i := first; i < end; i++ {
				out.State[i] = upShort(c.through(i, out.State, own(i)))
			}
			return nil
		}
		for i := first; i < end; i++ {
			inLoop[i] = true
			row := &c.Rows[i]
			start := float64(float64(row.Scale) * float64(int(min(max(row.Zero, row.Lo), row.Hi))-int(row.Zero)))
			out.Start[i] = upShort(max(c.proved[i].hi-start, start-c.proved[i].lo) * (1 + slack))
		}
		constant := make([]float64, end-first)
		for i := first; i < end; i++ {
			constant[i-first] = own(i)
		}
		if !overBox { // calibrated comes first and decides how many sweeps there are
			segment.Sweeps = c.sweepsNeeded(first, end, out, constant)
		}
		copy(out.State[first:end], c.sweep(first, end, out, constant, int(segment.Sweeps)))
		for i := first; i < end; i++ {
			out.State[i] = upShort(float64(out.State[i]))
		}
		return nil
	})
	for k := range q {
		out.Output[k] = upShort(c.through(n+k, out.State, own(n+k)))
	}
	return out
}

// through returns gain·Σ|W̃|e over the states that row i reads, plus what it has of its own.
func (c *certifier) through(i int, e []float32, own float64) float64 {
	sum := 0.0
	cols, values := c.real.weights.Row(i)
	for k, j := range cols {
		if s := c.stateColumn(j); s >= 0 {
			sum += float64(math.Abs(values[k]) * float64(e[s]))
		}
	}
	if i < c.states() {
		sum = float64(sum * gain(c.activation(i).Kind))
	}
	return float64((sum + own) * (1 + slack))
}
