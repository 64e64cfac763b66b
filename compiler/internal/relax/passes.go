package relax

import "math"

// begin starts a pass with the row at a position: clears the coefficients of what may come before.
func (b *bounder) begin(at int) {
	clear(b.a[:at])
	clear(b.g[:at])
	b.k, b.size, b.magnitude = 0, 0, 0
}

// constant adds to the constant.
func (b *bounder) constant(v float64) {
	b.k += v
	b.size += math.Abs(v)
}

// add adds c times the row at a position: its d (onError) or its z, to coefficients.
func (b *bounder) add(at int, c float64, onError bool) {
	kept := &b.kept[at]
	end := kept.start + kept.count
	if !onError {
		b.addTo(b.g, b.reference[kept.start:end], kept, c)
		return
	}
	b.addTo(b.a, b.integers[kept.start:end], kept, c)
	if b.delta != nil {
		b.addTo(b.g, b.delta[kept.start:end], kept, c)
	}
}

func (b *bounder) addTo(sums, values []float64, kept *keptRow, c float64) {
	if kept.dense {
		addRow(sums[kept.first:kept.first+kept.count], values, c)
		return
	}
	scatterRow(sums, b.columns[kept.start:kept.start+kept.count], values, c)
}

// account adds what substituting c·z or c·d of a row adds to the constant, and to what rounding may be off by.
func (b *bounder) accountValue(kept *keptRow, c float64) {
	b.constant(float64(c * kept.bias))
	size := math.Abs(c)
	b.k += float64(size * kept.biasUncertain)
	b.magnitude += float64(size * kept.sizeZ)
}

func (b *bounder) accountError(kept *keptRow, c float64) {
	b.constant(float64(c * kept.offset))
	size := math.Abs(c)
	b.k += float64(size * kept.biasUncertain)
	b.magnitude += float64(size * kept.sizeD)
}

// passValue returns an upper bound of sign·z of the row at a position.
func (b *bounder) passValue(at int, sign float64) float64 {
	b.begin(at)
	b.accountValue(&b.kept[at], sign)
	b.add(at, sign, false)
	for r := b.lastRun(at); r >= 0; r-- {
		b.throughRun(b.runs[r], at, false)
	}
	return b.overInputs()
}

// passError returns an upper bound of sign·d of the row at a position.
func (b *bounder) passError(at int, sign float64) float64 {
	b.begin(at)
	b.accountError(&b.kept[at], sign)
	b.add(at, sign, true)
	for r := b.lastRun(at); r >= 0; r-- {
		b.throughRun(b.runs[r], at, true)
	}
	return b.overInputs()
}

// lastRun returns the last run with positions before `at`.
func (b *bounder) lastRun(at int) int {
	r := len(b.runs) - 1
	for r >= 0 && b.runs[r].first >= at {
		r--
	}
	return r
}

// throughRun substitutes the states of a run that come before `at`.
func (b *bounder) throughRun(r run, at int, errors bool) {
	end := r.end
	if end == 0 || end > at {
		end = at // the run at hand has no end yet
	}
	b.offsets, b.offsetsV, b.onError, b.onValue = b.offsets[:0], b.offsetsV[:0], b.onError[:0], b.onValue[:0]
	for j := end - 1; j >= r.first; j-- {
		if g := b.g[j]; g != 0 {
			b.substituteValue(j, g, r.dense)
		}
		if a := b.a[j]; errors && a != 0 {
			b.substituteError(j, a, r.dense)
		}
	}
	if len(b.offsets)+len(b.offsetsV) == 0 {
		return
	}
	kept := &b.kept[r.first]
	first, last := kept.first, kept.first+kept.count
	addRows(b.g[first:last], b.reference, b.offsetsV, b.onValue)
	addRows(b.a[first:last], b.integers, b.offsets, b.onError)
	if b.delta != nil {
		addRows(b.g[first:last], b.delta, b.offsets, b.onError)
	}
}

// substituteValue replaces g·v of a state by its line in z and z by its row, at once or, where all rows of the run
// are dense over the same positions, later.
func (b *bounder) substituteValue(j int, g float64, later bool) {
	l := &b.valueAbove[j]
	if g < 0 {
		l = &b.valueBelow[j]
	}
	b.constant(float64(g * l.at))
	c := float64(g * l.slope)
	if c == 0 {
		return
	}
	b.accountValue(&b.kept[j], c)
	if later {
		b.offsetsV, b.onValue = append(b.offsetsV, b.kept[j].start), append(b.onValue, c)
		return
	}
	b.add(j, c, false)
}

// substituteError does the same with a·f, a line in d, and d.
func (b *bounder) substituteError(j int, a float64, later bool) {
	l := &b.errorAbove[j]
	if a < 0 {
		l = &b.errorBelow[j]
	}
	b.constant(float64(a * l.at))
	c := float64(a * l.slope)
	if c == 0 {
		return
	}
	b.accountError(&b.kept[j], c)
	if later {
		b.offsets, b.onError = append(b.offsets, b.kept[j].start), append(b.onError, c)
		return
	}
	b.add(j, c, true)
}

// overInputs ends a pass: the largest value over the box, and what rounding may be off by.
func (b *bounder) overInputs() float64 {
	for j := range b.n.Inputs {
		if g := b.g[j]; g != 0 {
			b.constant(max(float64(g*b.box.Lo[j]), float64(g*b.box.Hi[j])))
			b.magnitude += float64(math.Abs(g) * b.vMost[j]) // the products above
		}
		if a := b.a[j]; a != 0 {
			b.constant(float64(math.Abs(a) * b.n.Steps[j]))
		}
	}
	off := float64(float64(6*b.n.States+2*b.n.Inputs+32)*0x1p-53*b.size) + float64(b.slack*b.magnitude)
	return up(b.k+off, b.size)
}
