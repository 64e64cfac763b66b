package verify

import (
	"fmt"

	"github.com/sparse-implicit/sim/format/simb"
)

// differences is what separates one row's integers from the float model.
type differences struct {
	columns []int32
	offs    []interval // W − W̃, per column
	bias    interval   // b + Wc − b̃ − W̃c, c the inputs of 𝒰 nearest to zero
}

// difference computes row i's differences into d.
func (c *checker) difference(l *links, i int, d *differences) {
	d.columns, d.offs = d.columns[:0], d.offs[:0]
	columns, weights, bias := l.row(i)
	for k, column := range columns {
		if int(column) < c.p && c.nearestSteps(column) != 0 {
			bias = bias.add(weights[k].mul(c.nearest(column)))
		}
	}
	d.bias = bias.sub(c.bias[i])
	put := func(column int32, off interval) {
		d.columns, d.offs = append(d.columns, column), append(d.offs, off)
	}
	at, own := 0, c.m.Weights.Indptr[i]
	for own < c.m.Weights.Indptr[i+1] || at < len(columns) {
		switch end := own == c.m.Weights.Indptr[i+1]; {
		case end || at < len(columns) && columns[at] < c.m.Weights.Indices[own]:
			put(columns[at], weights[at]) // a weight of the source that the integers do not have
			at++
		case at < len(columns) && columns[at] == c.m.Weights.Indices[own]:
			put(columns[at], weights[at].sub(c.weights[own]))
			at, own = at+1, own+1
		default:
			put(c.m.Weights.Indices[own], point(0).sub(c.weights[own]))
			own++
		}
	}
}

// residual is one family of stored residuals, with what they must at least be.
type residual struct {
	name   string
	absent bool
	reason string // why it cannot be checked, or ""
	stored []float32
	rows   int // how many rows it covers
	least  func(i int, d *differences) float64
	wrong  string
}

// residuals checks, row by row, the largest |ΔA x + ΔB (u − c) + Δb + ΔB c| ≤ ρ for both error claims, |ΔA| v ≤ the
// residual of the witness, and |ΔA| g + |ΔB| 1 ≤ the residual of the gains.
func (c *checker) residuals(l *links) []Check {
	families := []*residual{
		c.errorResidual("residual-box", c.m.Certificates.Box, true),
		c.errorResidual("residual-calibrated", c.m.Certificates.Calibrated, false),
		c.wellPosedResidual(), c.lipschitzResidual(),
	}
	var d differences
	for i := range c.m.Rows {
		c.difference(l, i, &d)
		for _, f := range families {
			if f.absent || f.reason != "" || f.wrong != "" || i >= f.rows {
				continue
			}
			if least := f.least(i, &d); !(least <= float64(f.stored[i])) {
				f.wrong = fmt.Sprintf("row %d: a residual of %g is claimed, proved is %g", i, f.stored[i], least)
			}
		}
	}
	var checks []Check
	for _, f := range families {
		switch {
		case f.absent:
			checks = append(checks, notClaimed(f.name))
		case f.reason != "":
			checks = append(checks, failed(f.name, "%s", f.reason))
		case f.wrong != "":
			checks = append(checks, failed(f.name, "%s", f.wrong))
		default:
			checks = append(checks, passed(f.name, "largest of %d rows %.4g", f.rows, largest(f.stored)))
		}
	}
	return checks
}

// absolute returns Σ |ΔW|·weight over all columns, rounded up.
func (d *differences) absolute(weight func(column int) float64) float64 {
	sum := 0.0
	for k, column := range d.columns {
		sum = addUp(sum, mulUp(d.offs[k].magnitude(), weight(int(column))))
	}
	return sum
}

// errorResidual describes ρ of one error claim, the largest |Δ| for columns in their ranges: inputs in 𝒰, states
// in their proved reach, and for the claim without clipping also within the error of what the integers reach.
func (c *checker) errorResidual(name string, claim *simb.ErrorCertificate, clipping bool) *residual {
	f := &residual{name: name, absent: claim == nil, rows: len(c.m.Rows)}
	if claim == nil {
		return f
	}
	if !c.hasReach() && (clipping || len(c.loops) > 0) {
		f.reason = "the claim needs proved ranges of the states, the file has none"
		return f
	}
	ranges := append([]interval(nil), c.region...)
	for j := range c.n {
		v := everything
		if c.hasReach() {
			v = c.reach(j)
		}
		if !clipping && c.loopOf[j] < 0 {
			v = v.narrowed(c.integerReach(j).widen(float64(claim.State[j])))
		}
		ranges = append(ranges, v)
	}
	f.stored = claim.Residual
	f.least = func(_ int, d *differences) float64 {
		sum := d.bias
		for k, column := range d.columns {
			sum = sum.add(d.offs[k].mul(ranges[column]))
		}
		return sum.magnitude()
	}
	return f
}

func (c *checker) wellPosedResidual() *residual {
	claim := &c.m.Certificates
	f := &residual{name: "residual-wellposed", absent: len(claim.V) == 0 || len(c.loops) == 0, rows: c.n, stored: claim.VResidual}
	f.least = func(i int, d *differences) float64 {
		return d.absolute(func(column int) float64 {
			j := column - c.p
			if j < 0 || c.loopOf[i] < 0 || c.loopOf[i] != c.loopOf[j] {
				return 0
			}
			return float64(claim.V[j])
		})
	}
	return f
}

func (c *checker) lipschitzResidual() *residual {
	claim := &c.m.Certificates
	f := &residual{name: "residual-lipschitz", absent: len(claim.Lipschitz) == 0, rows: len(c.m.Rows), stored: claim.GainResidual}
	f.least = func(_ int, d *differences) float64 {
		return d.absolute(func(column int) float64 {
			if column < c.p {
				return 1
			}
			return float64(claim.Gain[column-c.p])
		})
	}
	return f
}
