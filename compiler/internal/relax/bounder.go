package relax

import "math"

// bounder bounds boxes, one after the other: the memory for it, and what is known of the box at hand. Columns
// that are zero in both networks all over the box are dropped on the way; what is left is numbered
// anew: positions. Inputs keep theirs.
type bounder struct {
	n         *Networks
	unclamped bool
	alone     bool    // only the reference's ranges are wanted
	slack     float64 // relative, of the magnitudes that go into a coefficient

	box    Box
	known  []ranges // per state
	dead   []bool   // per state
	at     []int32  // per column: its position, −1 for dropped ones
	states []int    // per position less inputs: the state

	// Per position: ranges of v and f as middle, half width and magnitude.
	vMid, vRad, vMost []float64
	fMid, fRad, fMost []float64

	// Per state that is not dropped.
	valueAbove, valueBelow []line
	errorAbove, errorBelow []line
	gapV, gapE             []float64

	// Rows of states that are not dropped and of the row at hand, over positions.
	integers, reference, delta []float64
	columns                    []int32
	kept                       []keptRow // per position less inputs
	runs                       []run

	a, g               []float64 // coefficients of f and of v, per position
	offsets            []int     // of rows about to be added
	onError, onValue   []float64 // their multipliers
	offsetsV           []int
	k, size, magnitude float64 // of a pass: the constant, what went into it, what went into coefficients

	pull   []float64 // per state, where it was bounded backward, and input: the coefficients of z's bounds
	weight []float64 // per state: its part of the outputs' bounds, in their scales
}

// keptRow is a row over positions: values from start on.
type keptRow struct {
	start, count   int
	first          int // position of the first column of a dense one
	dense          bool
	bias, offset   float64
	sizeZ, sizeD   float64 // magnitudes of what z and d are sums of
	biasUncertain  float64
	errorUncertain float64
}

// run is a run of positions whose rows are dense over the same positions.
type run struct {
	first, end int
	dense      bool
}

func newBounder(n *Networks, unclamped bool) *bounder {
	stored := 0
	for i := range n.Rows {
		stored += len(n.Rows[i].Columns)
	}
	columns, states := n.Inputs+n.States, n.States
	floats := func(count int) []float64 { return make([]float64, count) }
	b := &bounder{
		n: n, unclamped: unclamped, slack: float64(4*(2*states+n.Inputs+16)) * 0x1p-52,
		known: make([]ranges, states), dead: make([]bool, states), at: make([]int32, columns),
		vMid: floats(columns), vRad: floats(columns), vMost: floats(columns),
		fMid: floats(columns), fRad: floats(columns), fMost: floats(columns),
		valueAbove: make([]line, columns), valueBelow: make([]line, columns),
		errorAbove: make([]line, columns), errorBelow: make([]line, columns),
		gapV: floats(columns), gapE: floats(columns),
		integers: floats(stored), reference: floats(stored), columns: make([]int32, stored),
		kept: make([]keptRow, columns+1), a: floats(columns), g: floats(columns),
		pull: floats(states * n.Inputs), weight: floats(states),
	}
	if !n.same {
		b.delta = floats(stored)
	}
	return b
}

// bound bounds the outputs over a box: a bound of the integers' difference from the reference, per output, with
// what the outputs' rounding adds. Ranges of the enclosing box, if any, are of `within`.
func (b *bounder) bound(box Box, within *node, scale []float64) []float64 {
	b.start(box)
	if within != nil {
		within.unpack(b)
	}
	stored := 0
	for _, block := range b.n.blocks {
		b.runs = append(b.runs, run{len(b.states) + b.n.Inputs, 0, b.n.rows[block.first].dense})
		for i := block.first; i < block.end; i++ {
			if b.dead[i] {
				continue
			}
			if b.state(i, stored, within != nil) {
				stored += b.kept[len(b.states)+b.n.Inputs-1].count
			}
		}
		last := &b.runs[len(b.runs)-1]
		last.end = len(b.states) + b.n.Inputs
		if last.end == last.first {
			b.runs = b.runs[:len(b.runs)-1]
		}
	}
	if b.alone {
		return nil
	}
	out := make([]float64, b.n.Outputs())
	for k := range out {
		out[k] = b.output(k, stored, scale)
	}
	return out
}

func (b *bounder) start(box Box) {
	b.box, b.states, b.runs = box, b.states[:0], b.runs[:0]
	for j := range b.n.Inputs {
		b.at[j] = int32(j)
		b.put(j, box.Lo[j], box.Hi[j], -b.n.Steps[j], b.n.Steps[j])
	}
	clear(b.dead)
	clear(b.pull)
	clear(b.weight)
	for i := range b.known {
		b.known[i] = ranges{lo: math.Inf(-1), hi: math.Inf(1), dLo: math.Inf(-1), dHi: math.Inf(1)}
	}
}

// put sets the ranges of v and f at a position.
func (b *bounder) put(at int, vLo, vHi, fLo, fHi float64) {
	b.vMid[at], b.vRad[at], b.vMost[at] = halves(vLo, vHi)
	b.fMid[at], b.fRad[at], b.fMost[at] = halves(fLo, fHi)
}

// halves returns middle and half width of a range, so that it is covered, and its magnitude.
func halves(lo, hi float64) (mid, rad, most float64) {
	mid, most = float64(0.5*(lo+hi)), largest(lo, hi)
	return mid, up(max(hi-mid, mid-lo), most), most
}

// state bounds state i and keeps it, unless it is zero in both networks all over the box: then it reports false.
func (b *bounder) state(i, start int, narrowed bool) bool {
	row, p, r := &b.n.Rows[i], &b.n.pieces[i], &b.known[i]
	at := b.n.Inputs + len(b.states)
	b.take(i, at, start)
	b.forward(at, r, row)
	b.together(row, r)
	settled, acts := b.settled(row, p, r)
	if !settled {
		b.backward(i, at, r)
		b.together(row, r)
		settled, acts = b.settled(row, p, r)
	}
	above, below := valueLines(row.Activation, p, r.lo, r.hi)
	eAbove, eBelow := errorLines(row, p, r, settled, acts)
	zero := line{}
	if settled && above == zero && below == zero && eAbove == zero && eBelow == zero {
		b.dead[i], b.at[b.n.Inputs+i] = true, -1
		return false
	}
	b.at[b.n.Inputs+i] = int32(at)
	b.states = append(b.states, i)
	b.valueAbove[at], b.valueBelow[at], b.errorAbove[at], b.errorBelow[at] = above, below, eAbove, eBelow
	vLo, vHi := valueRange(row.Activation, p, r.lo, r.hi)
	b.put(at, vLo, vHi, eBelow.leastOn(r.dLo, r.dHi), eAbove.largestOn(r.dLo, r.dHi))
	b.gapV[at], b.gapE[at] = 0, 0
	if !settled {
		b.gapV[at] = max(above.largestOn(r.lo, r.lo)-below.leastOn(r.lo, r.lo), above.largestOn(r.hi, r.hi)-below.leastOn(r.hi, r.hi))
		b.gapE[at] = max(eAbove.largestOn(r.dLo, r.dLo)-eBelow.leastOn(r.dLo, r.dLo), eAbove.largestOn(r.dHi, r.dHi)-eBelow.leastOn(r.dHi, r.dHi)) - float64(2*row.Rounding)
	}
	return true
}

// settled reports whether φ has one slope and no limit acts, and the latter.
func (b *bounder) settled(row *Row, p *pieces, r *ranges) (settled, acts bool) {
	acts = !b.unclamped && row.acts(r)
	return !acts && r.straight(p), acts
}

// together sets the range of z + d, and narrows both by what no saturation means.
func (b *bounder) together(row *Row, r *ranges) {
	r.iLo, r.iHi = r.lo+r.dLo, r.hi+r.dHi
	r.iLo, r.iHi = down(r.iLo, math.Abs(r.iLo)), up(r.iHi, math.Abs(r.iHi))
	if !b.unclamped {
		return
	}
	if row.High.Flagged && row.High.Bounds {
		r.iHi = min(r.iHi, up(row.High.Worth+row.High.Half, math.Abs(row.High.Worth)))
	}
	if row.Low.Flagged && row.Low.Bounds {
		r.iLo = max(r.iLo, down(row.Low.Worth-row.Low.Half, math.Abs(row.Low.Worth)))
	}
	lo, hi := r.iLo-r.dHi, r.iHi-r.dLo
	lo, hi = down(lo, math.Abs(lo)+math.Abs(r.dHi)), up(hi, math.Abs(hi)+math.Abs(r.dLo))
	if lo = max(lo, r.lo); lo <= min(hi, r.hi) && r.iLo <= r.iHi {
		r.lo, r.hi = lo, min(hi, r.hi)
	}
}

// take copies row i to the position `at`, without the columns that were dropped.
func (b *bounder) take(i, at, start int) {
	row, l := &b.n.Rows[i], &b.n.rows[i]
	kept := keptRow{start: start, dense: l.dense, bias: row.Bias, offset: row.Offset, biasUncertain: row.BiasError}
	end := start
	for k, j := range l.columns {
		position := b.at[j]
		if position < 0 {
			continue
		}
		b.columns[end] = position
		b.integers[end], b.reference[end] = row.Integers[k], row.Reference[k]
		if b.delta != nil {
			b.delta[end] = row.Delta[k]
		}
		end++
	}
	kept.count = end - start
	if kept.count > 0 {
		kept.first = int(b.columns[start])
	}
	b.kept[at] = kept
}

// forward bounds z and d of the row at a position from the ranges of what it reads.
func (b *bounder) forward(at int, r *ranges, row *Row) {
	kept := &b.kept[at]
	z, zOff, zSize := kept.bias, 0.0, math.Abs(kept.bias)
	d, dOff, dSize := kept.offset, 0.0, math.Abs(kept.offset)
	for k := kept.start; k < kept.start+kept.count; k++ {
		j := b.columns[k]
		w, integer := b.reference[k], b.integers[k]
		z += float64(w * b.vMid[j])
		zOff += float64(math.Abs(w) * b.vRad[j])
		zSize += float64(math.Abs(w) * b.vMost[j])
		d += float64(integer * b.fMid[j])
		dOff += float64(math.Abs(integer) * b.fRad[j])
		dSize += float64(math.Abs(integer) * (b.fMost[j] + b.vMost[j]))
	}
	if b.delta != nil {
		for k := kept.start; k < kept.start+kept.count; k++ {
			j := b.columns[k]
			delta := b.delta[k]
			d += float64(delta * b.vMid[j])
			dOff += float64(math.Abs(delta) * b.vRad[j])
			dSize += float64(math.Abs(delta) * b.vMost[j])
		}
	}
	kept.sizeZ, kept.sizeD = zSize, dSize
	zOff += float64(b.slack*zSize) + kept.biasUncertain
	dOff += float64(b.slack*dSize) + kept.biasUncertain
	r.lo, r.hi = max(r.lo, z-zOff), min(r.hi, z+zOff)
	r.dLo, r.dHi = max(r.dLo, d-dOff), min(r.dHi, d+dOff)
	if r.lo > r.hi || r.dLo > r.dHi { // only what cannot happen within the limits has empty ranges
		r.lo, r.hi, r.dLo, r.dHi = z-zOff, z+zOff, d-dOff, d+dOff
	}
}

// backward bounds z and d of the row at a position through everything that it reads.
func (b *bounder) backward(i, at int, r *ranges) {
	pull := b.pull[i*b.n.Inputs:][:b.n.Inputs]
	hi := b.passValue(at, 1)
	addMagnitudes(pull, b.g)
	if b.alone {
		b.share(r.hi - r.lo)
	}
	lo := -b.passValue(at, -1)
	addMagnitudes(pull, b.g)
	if b.alone {
		r.lo, r.hi = max(lo, r.lo), min(hi, r.hi)
		return
	}
	dHi, dLo := b.passError(at, 1), -b.passError(at, -1)
	if lo = max(lo, r.lo); lo <= min(hi, r.hi) {
		r.lo, r.hi = lo, min(hi, r.hi)
	}
	if dLo = max(dLo, r.dLo); dLo <= min(dHi, r.dHi) {
		r.dLo, r.dHi = dLo, min(dHi, r.dHi)
	}
}

func addMagnitudes(sum, v []float64) {
	for j := range sum {
		sum[j] += math.Abs(v[j])
	}
}

// output bounds output k.
func (b *bounder) output(k, start int, scale []float64) float64 {
	i, at := b.n.States+k, b.n.Inputs+len(b.states)
	b.take(i, at, start)
	var unused ranges
	b.forward(at, &unused, &b.n.Rows[i])
	worst := 0.0
	for _, sign := range []float64{1, -1} {
		worst = max(worst, b.passError(at, sign))
		if scale != nil {
			b.share(scale[k])
		}
	}
	total := up(worst+b.n.Rows[i].Rounding, worst)
	if math.IsNaN(total) {
		return math.Inf(1)
	}
	return total
}

// share notes what the lines of each state have as their part in the bound that was just found.
func (b *bounder) share(scale float64) {
	if !(scale > 0) {
		return
	}
	for position, i := range b.states {
		at := b.n.Inputs + position
		part := float64(math.Abs(b.a[at])*b.gapE[at]) + float64(math.Abs(b.g[at])*b.gapV[at])
		b.weight[i] = max(b.weight[i], part/scale)
	}
}
