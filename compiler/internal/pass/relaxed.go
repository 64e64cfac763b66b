package pass

import (
	"fmt"
	"math"
	"slices"

	"github.com/sparse-implicit/sim/compiler/internal/relax"
	"github.com/sparse-implicit/sim/format/simb"
)

// networks describes the float model and the integers for the relaxation; or the integers' own real worth in
// place of the float model.
func (c *certifier) networks(realised bool) *relax.Networks {
	rows := make([]relax.Row, len(c.Rows))
	for i := range rows {
		rows[i] = c.relaxedRow(i, realised)
	}
	return relax.New(len(c.InputPlan), c.states(), rows, c.deltaU)
}

func (c *certifier) relaxedRow(i int, realised bool) relax.Row {
	cols, real := c.real.weights.Row(i)
	row := relax.Row{Columns: cols, Integers: real, Reference: real, Rounding: c.rounding[i]}
	worth := c.real.bias[i].Value
	row.Bias, row.BiasError = worth, float64(math.Abs(worth)*coefficientError)
	if !realised {
		c.referenceRow(i, &row)
		row.Delta = make([]float64, len(cols))
		for k := range cols {
			row.Delta[k] = real[k] - row.Reference[k]
		}
		row.Offset = worth - row.Bias
		row.BiasError += float64(math.Abs(worth)*coefficientError) + float64(math.Abs(row.Offset)*coefficientError)
	}
	if i < c.states() {
		c.relaxedState(i, &row)
	}
	return row
}

// referenceRow sets columns, weights and bias of row i of the float model, and what they may be off by.
func (p *Program) referenceRow(i int, row *relax.Row) {
	row.Columns, row.Reference = p.Weights.Row(i)
	exact := p.nearestValue(i)
	row.Bias, row.BiasError = exact.Value, exact.Error
	if p.weightError == nil {
		return
	}
	first := p.Weights.Indptr[i]
	row.Unsure = p.weightError[first:p.Weights.Indptr[i+1]]
	for k, j := range row.Columns {
		if p.stateColumn(j) < 0 {
			row.BiasError += float64(unsureShare * float64(row.Unsure[k]*math.Abs(p.nearestInput(j))))
		}
	}
}

// unsureShare is how many times an inexact weight is counted in a bias that it is part of.
const unsureShare = 4

// relaxedState adds what a state's function and limits are.
func (c *certifier) relaxedState(i int, row *relax.Row) {
	own := &c.Rows[i]
	scale := float64(own.Scale)
	row.Activation = c.activation(i)
	half := float64(0.5 * scale)
	row.ZeroBelow = own.Kind == simb.ReLU || own.Kind == simb.ClippedReLU
	if own.Table != simb.NoTable {
		return
	}
	limit := func(q uint16, flag uint8, bounds bool) relax.Clamp {
		return relax.Clamp{
			Worth: float64(scale * float64(int(q)-int(own.Zero))), Half: half, // exact
			Flagged: own.Saturates&flag != 0, Bounds: bounds,
		}
	}
	leaky := own.Kind == simb.LeakyReLU // a negative sum has another multiplier
	row.High = limit(own.Hi, simb.SaturatesHigh, !leaky || own.Hi >= own.Zero)
	row.Low = limit(own.Lo, simb.SaturatesLow, !leaky)
}

// declared returns the box that the plan's inputs were declared with, and what inputs are counted from.
func (p *Program) declared() (box relax.Box, from []float64) {
	for k := range p.InputPlan {
		box.Lo = append(box.Lo, float64(p.InputPlan[k].Lo))
		box.Hi = append(box.Hi, float64(p.InputPlan[k].Hi))
		from = append(from, p.nearestInput(int32(k)))
	}
	return box, from
}

// Budget says how long bounds by relaxation are searched for. Each function is asked again and again, with how
// many boxes there are so far; what is found depends on the answers only.
type Budget struct {
	Ranges func(boxes int) bool // of the states, for their scales
	Search func(boxes int) bool
	Refine func(boxes int) bool // where the realised model's bounds are above the source's
}

// mostWork is how many products the bound of one box may take.
const mostWork = 4_000_000_000

// A box is split where it has few inputs, for halving one of many narrows next to nothing, and where its parts are
// bounded fast enough that a search ends near its time.
const (
	mostSplit     = 16
	mostSplitWork = 4e8
)

func splits(n *relax.Networks) bool { return n.Inputs <= mostSplit && n.Work() <= mostSplitWork }

// relaxes reports whether bounds by relaxation are in reach, and if not, why.
func (p *Program) relaxes() (why string, ok bool) {
	for _, segment := range p.Segments {
		if segment.Sweeps > 0 {
			return "there are loops: bounds stay component by component", false
		}
	}
	return "", true
}

// NarrowRanges narrows the proved ranges of states by relaxation of the float model over the declared box, before
// scales are chosen. Intervals of six layers are thousands of times too wide (benchmark: ACAS Xu), and what a
// state's step rounds off is in proportion to its range.
func (p *Program) NarrowRanges(b Budget) (string, error) {
	if why, ok := p.relaxes(); !ok {
		return why, nil
	}
	rows := make([]relax.Row, len(p.Bias))
	for i := range rows {
		p.referenceRow(i, &rows[i])
		rows[i].Integers = rows[i].Reference
		if i < p.states() {
			rows[i].Activation = p.activation(i)
		}
	}
	n := relax.New(len(p.InputPlan), p.states(), rows, make([]float64, len(p.InputPlan)))
	if n.Work() > mostWork {
		return fmt.Sprintf("left out: about %.2g products a box", float64(n.Work())), nil
	}
	box, from := p.declared()
	boxes := 1
	more := func(count int) bool {
		boxes = count
		return splits(n) && b.Ranges(count)
	}
	widest := 0.0
	for i, r := range n.Reach(box, from, p.seenSums(), more) {
		sum, reach := &p.floatSums[i], &p.floatReach[i]
		sum.lo, sum.hi = max(sum.lo, r.Lo), min(sum.hi, r.Hi)
		narrow := activate(p.activation(i), *sum)
		reach.lo, reach.hi = max(reach.lo, narrow.lo), min(reach.hi, narrow.hi)
		widest = max(widest, reach.hi-reach.lo)
	}
	p.narrowed = true
	return fmt.Sprintf("widest range of a state %.4g, over %d boxes", widest, boxes), nil
}

// claimRoom is by how much claims exceed what was computed, for a checker that rounds otherwise; treeRoom by how much
// they may where that makes a tree smaller.
const (
	claimRoom = 1e-6
	treeRoom  = 1.0 / 64
)

// Prove bounds the outputs' errors by relaxation of both networks over the declared box, and claims what it finds.
// With loops, and where a box takes too long, it claims nothing.
func (p *Program) Prove(b Budget) (string, error) {
	if why, ok := p.relaxes(); !ok {
		return why, nil
	}
	c := p.certified
	both, own := c.networks(false), c.networks(true)
	if both.Work() > mostWork {
		return fmt.Sprintf("left out: about %.2g products a box", float64(both.Work())), nil
	}
	box, from := p.declared()
	p.Certificates.RelaxedCalibrated = c.relaxedClaim(nil, both.Bound(box, from, true), own.Bound(box, from, true))
	search := relax.Search{Box: box, From: from, Scale: p.seenErrors(), Split: splits(both), More: b.Search}
	tree := both.Split(search)
	if tree.Boxes > 1 {
		for k := range tree.Bound {
			tree.Bound[k] = float64(tree.Bound[k] * (1 + treeRoom))
		}
	}
	cuts := tree.Cuts(tree.Bound)
	start := len(cuts)
	search.More = func(boxes int) bool { return tree.Boxes > 1 && b.Refine(boxes-start) }
	realised := own.Refine(cuts, search, tree.Bound)
	cuts = realised.Cuts(realised.Bound)
	p.Proof.Boxes = tree.Boxes + realised.Boxes - start
	p.Certificates.Relaxed = c.relaxedClaim(cuts, tree.Bound, realised.Bound)
	worst := func(e *simb.RelaxedCertificate) string {
		if e == nil {
			return "not proved"
		}
		return fmt.Sprintf("%.4g", slices.Max(e.Output))
	}
	return fmt.Sprintf("output error by relaxation: %s over %d boxes, %d of them kept; %s while nothing saturates", worst(p.Certificates.Relaxed), p.Proof.Boxes, len(cuts), worst(p.Certificates.RelaxedCalibrated)), nil
}

// relaxedClaim rounds bounds to what is claimed; nil where one is not finite.
func (c *certifier) relaxedClaim(cuts []byte, output, realised []float64) *simb.RelaxedCertificate {
	claim := &simb.RelaxedCertificate{Tree: cuts, Output: make([]float32, len(output)), Realised: make([]float32, len(output))}
	for k := range output {
		claim.Output[k] = c.roundFigure(float64(output[k] * (1 + claimRoom)))
		claim.Realised[k] = c.roundFigure(float64(realised[k] * (1 + claimRoom)))
	}
	if !finite(claim.Output, claim.Realised) {
		return nil
	}
	return claim
}
