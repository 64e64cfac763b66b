package simb

// Weights of a prefix-coded file: PREFIX.md, section 5.

// Sets of values by the weight before in the row, whose symbol of the magnitude an entry of the table of
// values ranks.
const (
	ranks      = 4
	afterState = ranks     // added for columns of states
	afterGap   = 2 * ranks // added where columns lie between the weight and the one before
	beginsRow  = 4 * ranks // added for a row's first weight
)

// rankOf returns how large a weight is, by the symbol of its magnitude.
func rankOf(symbol int) int {
	switch {
	case symbol < 6:
		return 0
	case symbol < 9:
		return 1
	case symbol < 11:
		return 2
	}
	return 3
}

// valueSymbols is one more than the largest symbol of a value: that of a magnitude below 128, less one, and in
// the lowest bit whether the sign is another than that of the row's weight before.
const valueSymbols = 28

// upperSymbols is the same of the upper planes, which are bytes.
const upperSymbols = 16

// dense reports whether a row is told by the columns that it does not read.
func dense(length, columns uint32) bool { return length > columns-length }

// placesOf returns how many places of a row are coded.
func placesOf(length, columns uint32) uint32 { return min(length, columns-length) }

// prefixWeights writes sections 1 to 4.
type prefixWeights struct {
	w      *bitString // all but values
	second *bitString
	layout *packedLayout
	limits []uint32
	raw    map[sectionID][]byte
}

// pack writes all of them: lengths, all codes, gaps; and into the second string values.
func (p *prefixWeights) pack() {
	var lengths histogram
	p.eachRow(func(_ int, length uint32, _ []uint32) { lengths.add(length) })
	code := newWordCode(&lengths)
	code.describe(p.w)
	p.eachRow(func(_ int, length uint32, _ []uint32) { code.number(p.w, length) })
	if p.layout.nonzeros == 0 {
		return
	}
	counts := make([]histogram, gapSets)
	p.eachPlace(func(set, gap uint32) { counts[set].add(gap) })
	sets := newCodeSets(counts)
	sets.describe(p.w)
	p.values()
	p.eachPlace(func(set, gap uint32) { sets.code(int(set)).number(p.w, gap) })
}

// eachRow visits rows with their gaps.
func (p *prefixWeights) eachRow(visit func(i int, length uint32, gaps []uint32)) {
	lengths, gaps := 0, 0
	var row []uint32
	for i := range p.limits {
		var length uint32
		length, lengths, _ = readVarint(p.raw[sectionLengths], lengths) // no errors: written by us
		row = row[:0]
		for range length {
			var gap uint32
			gap, gaps, _ = readVarint(p.raw[sectionGaps], gaps)
			row = append(row, gap)
		}
		visit(i, length, row)
	}
}

// eachPlace visits the places that are coded: of weights, or in dense rows of columns without one.
func (p *prefixWeights) eachPlace(visit func(set, gap uint32)) {
	p.eachRow(func(i int, length uint32, gaps []uint32) {
		columns, left := p.limits[i], placesOf(length, p.limits[i])
		places := gaps
		if dense(length, columns) {
			places = complement(gaps, columns)
		}
		set := gapSet(columns, left)
		for _, gap := range places {
			visit(set, gap)
			set = gapSet(columns, left)
			columns, left = columns-1-gap, left-1
		}
	})
}

// complement returns the gaps of the columns that are not read.
func complement(gaps []uint32, columns uint32) (others []uint32) {
	between, column := uint32(0), uint32(0)
	for _, gap := range gaps {
		for range gap {
			others = append(others, between)
			between = 0
		}
		between++
		column += gap + 1
	}
	for ; column < columns; column++ {
		others = append(others, between)
		between = 0
	}
	return others
}

// eachValue visits the weights of rows of one plane, and of two.
func (p *prefixWeights) eachValue(one func(set, symbol int, magnitude uint32), two func(upper, low int8)) {
	values, low := p.raw[sectionValues], p.raw[sectionLow]
	p.eachRow(func(i int, _ uint32, gaps []uint32) {
		column, set, negative := uint64(0), beginsRow, uint32(0)
		for _, gap := range gaps {
			v := int32(int8(values[0]))
			values = values[1:]
			if p.layout.twoPlanes(i) {
				two(int8(v), int8(low[0]))
				low = low[1:]
				continue
			}
			column += uint64(gap)
			if gap > 0 && set < beginsRow {
				set += afterGap
			}
			if column >= p.layout.inputs {
				set += afterState
			}
			magnitude, sign := uint32(v-1), uint32(0)
			if v < 0 {
				magnitude, sign = uint32(-v-1), 1
			}
			symbol := symbolOf(magnitude)
			one(set, 2*symbol|int(sign^negative), magnitude)
			column, set, negative = column+1, rankOf(symbol), sign
		}
	})
}

// values writes the codes of values, and values into the second string.
func (p *prefixWeights) values() {
	counts, uppers := make([]histogram, valueSets), histogram{}
	singles, pairs := 0, 0
	p.eachValue(func(set, symbol int, _ uint32) {
		counts[set][symbol]++
		singles++
	}, func(upper, _ int8) {
		uppers.add(zigzag(int32(upper)))
		pairs++
	})
	sets, upperCode := newCodeSets(counts), newWordCode(&uppers)
	if singles > 0 {
		sets.describe(p.w)
	}
	if pairs > 0 {
		upperCode.describe(p.w)
	}
	p.eachValue(func(set, symbol int, magnitude uint32) {
		sets.code(set).symbol(p.second, symbol)
		p.second.bits(magnitude, bitsBelow(symbol/2))
	}, func(upper, low int8) {
		upperCode.number(p.second, zigzag(int32(upper)))
		p.second.bits(uint32(low+64), 7)
	})
}

// weights decodes sections 1 to 4. The values' string is stored behind the rest.
func (u *prefixUnpacker) weights() (reason string) {
	limits := u.layout.readable()
	lengths, reason := u.lengths(limits)
	if reason != "" || u.layout.nonzeros == 0 {
		return reason
	}
	pairs, reason := u.codes(lengths)
	if reason != "" {
		return reason
	}
	// Lower planes are last, values before them, and gaps take the rest.
	r := &u.rows
	behind := u.layout.nonzeros + pairs
	if behind > uint64(len(u.room)) {
		return tooLong
	}
	split := len(u.room) - int(behind)
	r.gapRoom, r.valueRoom, r.lowers = u.room[:split], u.room[split:][:u.layout.nonzeros], u.room[split:][u.layout.nonzeros:]
	r.inputs = uint32(u.layout.inputs)
	for i, length := range lengths {
		if reason := r.row(u.layout.planesOf(i), limits[i], length); reason != "" {
			return reason
		}
	}
	if r.at != split {
		return tooShort
	}
	u.takeWeights(sectionGaps, split)
	u.takeWeights(sectionValues, int(u.layout.nonzeros))
	u.takeWeights(sectionLow, int(pairs))
	return ""
}

// lengths decodes how many weights each row has: as many as the header counts together.
func (u *prefixUnpacker) lengths(limits []uint32) (lengths []uint32, reason string) {
	c := &u.columns
	if !c.code.read(u.r) {
		return nil, noCode
	}
	c.values.fillIn(&c.code)
	lengths = make([]uint32, len(limits))
	at, left := 0, u.layout.nonzeros
	for i, limit := range limits {
		length := c.values.number(u.r)
		if length > limit || uint64(length) > left {
			return nil, "a row has more weights than the file counts or than there are columns before it"
		}
		left -= uint64(length)
		lengths[i] = length
		if at = putVarint(u.room, at, length); at < 0 {
			return nil, tooLong
		}
	}
	if left > 0 {
		return nil, "rows have fewer weights than the file counts"
	}
	u.takeWeights(sectionLengths, at)
	return lengths, ""
}

// codes reads the codes of gaps and values and returns how many weights have two planes.
func (u *prefixUnpacker) codes(lengths []uint32) (pairs uint64, reason string) {
	for i, length := range lengths {
		if u.layout.twoPlanes(i) {
			pairs += uint64(length)
		}
	}
	r := &u.rows
	if reason := r.gapCodes.read(u.r, gapSets, symbols, numberEntry); reason != "" {
		return 0, reason
	}
	for set := gapSets; set < len(r.gapCodes.at); set++ {
		r.gapCodes.at[set] = r.gapCodes.at[gapSets-1]
	}
	if pairs < u.layout.nonzeros {
		if reason := r.valueCodes.read(u.r, valueSets, valueSymbols, valueEntry); reason != "" {
			return 0, reason
		}
		copy(r.valueCodes.at[beginsRow+afterGap:], r.valueCodes.at[beginsRow:][:afterGap])
	}
	if pairs > 0 {
		if !u.columns.code.read(u.r) || u.columns.code.end > upperSymbols {
			return 0, noCode
		}
		r.upper.fillIn(&u.columns.code)
	}
	return pairs, ""
}
