package verify

import (
	"math"
)

// relaxation is two networks in the plan's columns, which boxes of inputs are bounded over together: the
// reference, z = W v + b, and the integers, z̃ = W̃ ṽ + b̃. CLAIMS.md, "Relaxed bounds", has the procedure and
// the names. Matrices are kept by their middles, in one pattern of entries; what the middles, and sums of
// products in float64, are off by goes into the slack of each row (box.interval). It is read only while
// boxes are evaluated.
type relaxation struct {
	c          *checker
	calibrated bool // bound what reports no saturation

	start     []int32   // of each row's entries, one more than rows
	columns   []int32   // of each entry, ascending in a row
	integers  []float64 // W̃
	reference []float64 // W; the same slice as integers when these are the reference
	gap       []float64 // D = W̃ − W; nil when it is nothing
	spread    []float64 // radius of W; nil when every W is a float64

	bias, gapBias             []float64 // b, β
	biasSpread, gapBiasSpread []float64 // their radii

	relative         float64   // radius of W̃ in parts of its middle
	rounding         []float64 // r, per state
	readsStates      []bool    // per row
	outputRounding   []float64 // s_y/2 and the conversion to float32, per output
	lowest, highest  []float64 // the declared box, per input, u itself
	offsetLo, offset []float64 // c of each input lies between them
}

// newRelaxation pairs the integers with the float model, or with themselves without one. It needs a model
// without loops.
func (c *checker) newRelaxation(l *links, calibrated bool) *relaxation {
	rows := len(c.m.Rows)
	r := &relaxation{
		c: c, calibrated: calibrated, start: make([]int32, 1, rows+1),
		bias: make([]float64, rows), gapBias: make([]float64, rows), biasSpread: make([]float64, rows), gapBiasSpread: make([]float64, rows),
		rounding: make([]float64, c.n), readsStates: make([]bool, rows),
	}
	for _, w := range c.weights {
		middle, radius := w.middle()
		r.relative = max(r.relative, divUp(radius, math.Abs(middle)))
	}
	if l == nil {
		r.realise()
	} else {
		r.pair(l)
	}
	for i := range rows {
		end := r.start[i+1]
		r.readsStates[i] = end > r.start[i] && int(r.columns[end-1]) >= c.p
	}
	for i := range c.n {
		r.rounding[i] = c.rounding(i)
	}
	for i := c.n; i < rows; i++ {
		r.outputRounding = append(r.outputRounding, c.outputRounding(i))
	}
	for j, input := range c.m.Inputs {
		at := c.nearest(int32(j))
		r.lowest, r.highest = append(r.lowest, float64(input.Lo)), append(r.highest, float64(input.Hi))
		r.offsetLo, r.offset = append(r.offsetLo, at.lo), append(r.offset, at.hi)
	}
	return r
}

// realise makes the integers' own real worth the reference.
func (r *relaxation) realise() {
	m := r.c.m
	r.start, r.columns = m.Weights.Indptr, m.Weights.Indices
	for _, w := range r.c.weights {
		middle, _ := w.middle()
		r.integers = append(r.integers, middle)
	}
	r.reference = r.integers
	for i := range m.Rows {
		r.bias[i], r.biasSpread[i] = r.c.bias[i].middle()
	}
}

// pair lines up the entries of both networks, row by row.
func (r *relaxation) pair(l *links) {
	c, wide := r.c, false
	put := func(column int32, integers, reference interval) {
		t, _ := integers.middle() // its radius is in relative
		w, radius := reference.middle()
		wide = wide || radius > 0
		r.columns, r.spread = append(r.columns, column), append(r.spread, radius)
		r.integers, r.reference, r.gap = append(r.integers, t), append(r.reference, w), append(r.gap, t-w)
	}
	for i := range c.m.Rows {
		columns, weights, bias := l.row(i)
		k, own, end := 0, c.m.Weights.Indptr[i], c.m.Weights.Indptr[i+1]
		for k < len(columns) || own < end {
			switch {
			case own == end || k < len(columns) && columns[k] < c.m.Weights.Indices[own]:
				put(columns[k], point(0), weights[k])
				k++
			case k == len(columns) || c.m.Weights.Indices[own] < columns[k]:
				put(c.m.Weights.Indices[own], c.weights[own], point(0))
				own++
			default:
				put(columns[k], c.weights[own], weights[k])
				k, own = k+1, own+1
			}
		}
		for k, j := range columns {
			if int(j) < c.p && c.nearestSteps(j) != 0 {
				bias = bias.add(weights[k].mul(c.nearest(j)))
			}
		}
		r.bias[i], r.biasSpread[i] = bias.middle()
		r.gapBias[i], r.gapBiasSpread[i] = c.bias[i].add(interval{-bias.hi, -bias.lo}).middle()
		r.start = append(r.start, int32(len(r.columns)))
	}
	if !wide {
		r.spread = nil
	}
}

// middle returns a number and the radius around it that encloses v.
func (v interval) middle() (at, radius float64) {
	at = v.lo + float64((v.hi-v.lo)/2)
	return at, max(subUp(v.hi, at), subUp(at, v.lo))
}
