package verify

import "math"

// ranges is what is known of every state over one box: z, d and z̃ of a box lie within those of the box that
// encloses it.
type ranges struct{ z, d []interval }

// boxBounds evaluates boxes of one relaxation, one after another. Per column it holds the middle, the
// radius and the largest size of v and f; per state the lines above and below v in terms of z, and f in
// terms of d; per row what rounding can do to z and d (slack).
type boxBounds struct {
	*relaxation
	v, f           []column
	vAbove, vBelow []line
	fAbove, fBelow []line
	slackZ, slackD []float64
	inputs         []interval // v of the inputs
	eta            float64    // of a sum of products, in parts of the products' sizes
	vanished       float64    // what factors of a form that fall below float64's range can hide
	upper, lower   form
	work           int64 // multiplications of this box so far, and visits of states and inputs
	most           int64 // at which it is given up
	overflow       bool  // some range is not finite, or it is too much work: nothing is proved
}

// column is a range of v or f as the sums over weights read it.
type column struct{ middle, radius, size float64 }

func columnOf(v interval) column {
	middle, radius := v.middle()
	return column{middle, radius, addUp(math.Abs(middle), radius)}
}

// form is a linear form Σ a_j f_j + Σ g_j v_j + constant that is bounded from above.
type form struct {
	a, g     []float64
	constant sum
	slack    float64
}

// sum adds numbers, and keeps what each addition loses: at the end it is off by no more than a few parts in
// 2⁵² of itself and 2⁵³ of sizes, which is for the products added.
type sum struct{ total, lost, sizes float64 }

func (s *sum) add(x float64) {
	if x == 0 {
		return
	}
	t := s.total + x
	b := t - s.total
	s.lost += (s.total - (t - b)) + (x - b)
	s.total = t
	s.sizes += math.Abs(x)
}

func (s *sum) upper() float64 {
	slack := float64(s.sizes*0x1p-51) + math.SmallestNonzeroFloat64
	return addUp(addUp(s.total, s.lost), slack)
}

func (r *relaxation) newBoxBounds() *boxBounds {
	c := r.c
	columns, rows := c.p+c.n, len(c.m.Rows)
	b := &boxBounds{
		relaxation: r, v: make([]column, columns), f: make([]column, columns),
		vAbove: make([]line, c.n), vBelow: make([]line, c.n), fAbove: make([]line, c.n), fBelow: make([]line, c.n),
		slackZ: make([]float64, rows), slackD: make([]float64, rows), inputs: make([]interval, c.p),
		eta: float64(2*c.n+c.p+16) * 0x1p-52, most: math.MaxInt64,
	}
	for _, t := range []*form{&b.upper, &b.lower} {
		t.a, t.g = make([]float64, columns), make([]float64, columns)
	}
	for j := range c.p {
		b.f[j] = column{0, c.deltaU[j], c.deltaU[j]}
	}
	return b
}

// enter makes a box of inputs u the one that is bounded over.
func (b *boxBounds) enter(lo, hi []float64) {
	for j := range b.inputs {
		b.inputs[j] = interval{subDown(lo[j], b.offset[j]), subUp(hi[j], b.offsetLo[j])}
		b.v[j] = columnOf(b.inputs[j])
	}
	b.overflow = false
}

// states finds the ranges and lines of all states along the schedule. known holds ranges of a box around this
// one, or is nil; into may be known itself.
func (b *boxBounds) states(known, into *ranges) {
	for i := range b.c.n {
		row := &b.c.m.Rows[i]
		z, d := b.interval(i)
		if known != nil {
			z, d = z.narrowed(known.z[i]), d.narrowed(known.d[i])
		}
		z, shifted, done := b.narrow(i, z, d)
		if !done && b.readsStates[i] {
			zBack, dBack := b.back(i)
			z, d = z.narrowed(zBack), d.narrowed(dBack)
			z, shifted, done = b.narrow(i, z, d)
		}
		into.z[i], into.d[i] = z, d
		if !z.finite() || !d.finite() || !shifted.finite() || b.work > b.most {
			b.overflow = true
			return
		}
		b.vAbove[i], b.vBelow[i] = functionLines(row, z)
		b.fAbove[i], b.fBelow[i] = b.errorLines(i, z, d, shifted, done)
		b.v[b.c.p+i] = columnOf(activate(row, z))
		e := interval{b.fBelow[i].over(d).lo, b.fAbove[i].over(d).hi}
		b.f[b.c.p+i] = columnOf(e.hull(interval{e.hi, e.lo}))
	}
	for i := b.c.n; i < len(b.c.m.Rows); i++ {
		b.interval(i) // for its slack
	}
	b.vanished = b.vanishing(into)
}

// vanishing bounds what a form is off by because products of its factors fall below float64's range: each by up
// to 2⁻¹⁰⁷⁵, which stands before a v, f, z or d, or alone. Large weights can make those as large as the range is
// wide, and small ones behind them the product of all.
func (b *boxBounds) vanishing(known *ranges) float64 {
	const down = 0x1p-1000 // sizes stay within the range
	sum := down
	for j := range b.v {
		sum += float64(b.v[j].size*down) + float64(b.f[j].size*down)
	}
	for i := range known.z {
		sum += float64(known.z[i].magnitude()*down) + float64(known.d[i].magnitude()*down)
	}
	return float64(sum*0x1p-70) * float64(2*b.c.n+b.c.p+16)
}

// narrow returns z and z̃, in the claim without saturation narrowed to what that allows, and whether the state is
// settled: one slope, and no limit that cuts.
func (b *boxBounds) narrow(i int, z, d interval) (narrowed, shifted interval, done bool) {
	shifted = z.add(d)
	if b.calibrated {
		z, shifted = b.unsaturated(i, z, d, shifted)
	}
	return z, shifted, settled(&b.c.m.Rows[i], z.hull(shifted)) && b.cuts(i, shifted) == everything
}

// interval encloses z and d of row i by the ranges of what it reads, and finds the row's slack: what a sum over
// its entries can be off by, because weights are kept by their middles and products are rounded. The
// slack is good for any later sum in which the row has the factor 1 (CLAIMS.md, "Arithmetic").
func (b *boxBounds) interval(i int) (z, d interval) {
	from, to := b.start[i], b.start[i+1]
	b.work += int64(to-from) + 8
	var zAt, zRadius, zSize, zSpread, dAt, dRadius, dSize float64
	for k := from; k < to; k++ {
		j := b.columns[k]
		v, f := &b.v[j], &b.f[j]
		w, t := b.reference[k], b.integers[k]
		size, tSize := math.Abs(w), math.Abs(t)
		zAt += float64(w * v.middle)
		zRadius += float64(size * v.radius)
		zSize += float64(size * v.size)
		dAt += float64(t * f.middle)
		dRadius += float64(tSize * f.radius)
		dSize += float64(tSize * f.size)
		if b.gap == nil {
			continue
		}
		gap := b.gap[k]
		gapSize := math.Abs(gap)
		dAt += float64(gap * v.middle)
		dRadius += float64(gapSize * v.radius)
		dSize += float64((tSize + gapSize) * v.size)
		if b.spread != nil {
			zSpread += float64(b.spread[k] * v.size)
		}
	}
	relative := b.eta + b.relative
	tiny := 0x1p-900 // products may vanish below float64's range
	if zSize == 0 && dSize == 0 && b.still(i) {
		tiny = 0 // there are none: a sum that is exactly zero stays so
	}
	b.slackD[i] = float64(relative*(dSize+math.Abs(b.gapBias[i]))) + float64(2*zSpread) + float64(2*b.gapBiasSpread[i]) + tiny
	if b.gap == nil {
		b.slackZ[i] = float64(relative*(zSize+math.Abs(b.bias[i]))) + float64(2*b.biasSpread[i]) + tiny
	} else {
		b.slackZ[i] = float64(b.eta*(zSize+math.Abs(b.bias[i]))) + float64(2*zSpread) + float64(2*b.biasSpread[i]) + tiny
	}
	z = point(zAt).add(point(b.bias[i])).widen(addUp(zRadius, b.slackZ[i]))
	d = point(dAt).add(point(b.gapBias[i])).widen(addUp(dRadius, b.slackD[i]))
	return z, d
}

// still reports whether row i reads nothing but columns that are exactly zero in both networks.
func (b *boxBounds) still(i int) bool {
	for _, j := range b.columns[b.start[i]:b.start[i+1]] {
		if b.v[j].size != 0 || b.f[j].size != 0 {
			return false
		}
	}
	return true
}

// back bounds z and d of state i from both sides by taking the states before it in turn, last one first.
func (b *boxBounds) back(i int) (z, d interval) {
	b.clear()
	b.begin(i, 0, 1)
	z = b.bound(i)
	b.clear()
	b.begin(i, 1, 0)
	return z, b.bound(i)
}

// output bounds T = ỹ's accumulator less y* of output row i from both sides.
func (b *boxBounds) output(i int) interval {
	b.clear()
	b.begin(i, 1, 0)
	return b.bound(b.c.n)
}

func (b *boxBounds) clear() {
	for _, t := range []*form{&b.upper, &b.lower} {
		clear(t.a)
		clear(t.g)
		t.constant, t.slack = sum{}, 0
	}
}

// begin adds d of row i times onD and its z times onZ to the form that is bounded from above, and the same
// negated to the other.
func (b *boxBounds) begin(i int, onD, onZ float64) { b.substitute(i, onD, -onD, onZ, -onZ) }

// bound returns bounds of the form from both sides, once the first states have been taken: the upper
// one, and the negated upper one of the negated form.
func (b *boxBounds) bound(states int) interval {
	p := b.c.p
	b.work += int64(b.c.n) + int64(2*states+2*p) // clear, take and over
	for j := states - 1; j >= 0; j-- {
		dUp, zUp := b.upper.take(b, p, j)
		dLow, zLow := b.lower.take(b, p, j)
		if dUp != 0 || dLow != 0 || zUp != 0 || zLow != 0 {
			b.substitute(j, dUp, dLow, zUp, zLow)
		}
	}
	return interval{-b.lower.over(b), b.upper.over(b)}
}

// take replaces f and v of state j by their lines, and returns the factors of its d and z. A factor that is not
// a number, for two infinite ones have met, stays so: then the bound is infinite.
func (t *form) take(b *boxBounds, p, j int) (onD, onZ float64) {
	switch a := t.a[p+j]; {
	case a != a:
		onD = a
	case a > 0:
		onD = a * b.fAbove[j].slope
		t.constant.add(float64(a * b.fAbove[j].offset))
	case a < 0:
		onD = a * b.fBelow[j].slope
		t.constant.add(float64(a * b.fBelow[j].offset))
	}
	switch g := t.g[p+j]; {
	case g != g:
		onZ = g
	case g > 0:
		onZ = g * b.vAbove[j].slope
		t.constant.add(float64(g * b.vAbove[j].offset))
	case g < 0:
		onZ = g * b.vBelow[j].slope
		t.constant.add(float64(g * b.vBelow[j].offset))
	}
	return onD, onZ
}

// over bounds what is left, a form in the inputs, from above.
func (t *form) over(b *boxBounds) float64 {
	rest := 0.0
	for j, v := range b.inputs {
		g := t.g[j]
		rest += float64(math.Abs(t.a[j])*b.f[j].size) + max(float64(g*v.lo), float64(g*v.hi))
	}
	return addUp(addUp(t.constant.upper(), rest), addUp(float64(t.slack*(1+0x1p-20)), b.vanished))
}

// substitute adds the entries of row i to both forms, d with the factors dUp and dLow, z with zUp and zLow.
func (b *boxBounds) substitute(i int, dUp, dLow, zUp, zLow float64) {
	b.upper.row(b.relaxation, i, dUp, zUp)
	b.lower.row(b.relaxation, i, dLow, zLow)
	b.upper.slack += float64(math.Abs(dUp)*b.slackD[i]) + float64(math.Abs(zUp)*b.slackZ[i])
	b.lower.slack += float64(math.Abs(dLow)*b.slackD[i]) + float64(math.Abs(zLow)*b.slackZ[i])
	from, to := b.start[i], b.start[i+1]
	if from == to {
		return
	}
	onD, onZ := dUp != 0 || dLow != 0, zUp != 0 || zLow != 0
	w, t := b.reference[from:to], b.integers[from:to]
	k := b.columnsOf(i)
	up, low := &b.upper, &b.lower
	switch {
	case onD && b.gap == nil:
		k.add(up.a, low.a, t, dUp, dLow)
		b.work += 2 * int64(to-from)
	case onD && onZ:
		k.addAll(up, low, t, b.gap[from:to], w, dUp, dLow, zUp, zLow)
		b.work += 6 * int64(to-from)
		return
	case onD:
		k.add(up.a, low.a, t, dUp, dLow)
		k.add(up.g, low.g, b.gap[from:to], dUp, dLow)
		b.work += 4 * int64(to-from)
	}
	if onZ {
		k.add(up.g, low.g, w, zUp, zLow)
		b.work += 2 * int64(to-from)
	}
}

// row adds the biases of row i.
func (t *form) row(r *relaxation, i int, onD, onZ float64) {
	if onZ != 0 {
		t.constant.add(float64(onZ * r.bias[i]))
	}
	if onD != 0 {
		t.constant.add(float64(onD * r.gapBias[i]))
	}
}
