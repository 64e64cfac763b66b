package simb

import "encoding/binary"

// Reasons to refuse a packed section.
const (
	tooLong  = "sections are longer than declared"
	tooShort = "sections are shorter than declared"
	noColumn = "a row reads a column that it comes before"
)

// valueEntry is an entry of a table of values without their words: bits 24 to 26 hold the rank of the magnitude,
// bit 31 whether the sign changes.
func valueEntry(symbol int) entry {
	return numberEntry(symbol>>1) | entry(rankOf(symbol>>1))<<24 | entry(symbol&1)<<31
}

// How many bits a gap of less than mostHalves or a value can take at most, with its word: numbers below 2^k have
// less than k bits below their symbols.
const (
	mostGapBits   = longestWord + 12
	mostValueBits = longestWord + 5
)

// rowsReader decodes rows: gaps into their room from `at` on, values and lower planes from the start of theirs.
type rowsReader struct {
	gaps, values stringReader
	gapCodes     setLookup
	valueCodes   setLookup
	upper        lookup

	inputs            uint32
	gapRoom           []byte
	at                int
	valueRoom, lowers []byte
}

// row decodes a row of so many planes and weights, which can read so many columns.
func (r *rowsReader) row(planes int, columns, length uint32) (reason string) {
	begin := r.at
	switch {
	case dense(length, columns):
		reason = r.denseGaps(columns, length)
	case planes == 1 && columns < mostHalves && r.gaps.holds(uint64(length)*mostGapBits) && r.values.holds(uint64(length)*mostValueBits):
		return r.quickRow(columns, length)
	default:
		reason = r.sparseGaps(columns, length)
	}
	switch {
	case reason != "":
		return reason
	case planes == 2:
		r.pairs(length)
	default:
		r.singles(r.gapRoom[begin:r.at], length)
	}
	return ""
}

// quickRow decodes gaps and values of a row of one plane that is told by the columns that it reads, in one loop,
// so that neither waits for the other. It does what sparseGaps and singles do, for a row whose bits do not come near
// the end of their strings.
func (r *rowsReader) quickRow(columns, length uint32) (reason string) {
	if uint64(length) > uint64(len(r.gapRoom)-r.at) {
		return tooLong
	}
	room, values := r.gapRoom[r.at:], r.valueRoom[:length]
	statesOnly := columns - min(r.inputs, columns) // columns that are left when those of the inputs are through
	place, set, negative := wideSet(columns, length), uint32(beginsRow), uint32(0)
	left, written := length, 0
	gapAt, valueAt := r.gaps.at, r.values.at
	var gapAhead, ahead uint64
	for k := range values {
		if k&1 == 0 { // two gaps are within the 57 bits, and below four values
			gapAhead = binary.LittleEndian.Uint64(r.gaps.data[gapAt>>3:]) >> (gapAt & 7)
		}
		e := r.gapCodes.entry(place, gapAhead)
		gap := e.number(gapAhead)
		gapAhead, gapAt = gapAhead>>e.length(), gapAt+e.length()
		if gap > columns-left {
			return noColumn
		}
		if gap < 0x80 && written < len(room) {
			room[written] = byte(gap)
			written++
		} else if written = putVarint(room, written, gap); written < 0 {
			return tooLong
		}
		place = uint32(halves[columns&(mostHalves-1)]) - uint32(halves[left&(mostHalves-1)])
		columns, left = columns-gap, left-1

		set |= min(gap, 1) * afterGap // a first weight's sets are there twice
		if columns <= statesOnly {
			set |= afterState
		}
		columns--
		if k&3 == 0 {
			ahead = binary.LittleEndian.Uint64(r.values.data[valueAt>>3:]) >> (valueAt & 7)
		}
		e = r.valueCodes.entry(set, ahead)
		values[k], set, negative = e.value(ahead, negative)
		ahead, valueAt = ahead>>e.length(), valueAt+e.length()
	}
	r.gaps.at, r.values.at = gapAt, valueAt
	r.at, r.valueRoom = r.at+written, r.valueRoom[length:]
	return ""
}

// value returns a weight, the rank of its magnitude and whether it is negative, by the one before it.
func (e entry) value(ahead uint64, negative uint32) (weight byte, rank, isNegative uint32) {
	negative ^= uint32(e) >> 31
	return byte((e.number(ahead) + 1) ^ -negative + negative), uint32(e) >> 24 & (ranks - 1), negative
}

// sparseGaps decodes the gaps of a row that is told by the columns that it reads.
func (r *rowsReader) sparseGaps(columns, left uint32) (reason string) {
	set := gapSet(columns, left)
	for left > 0 {
		gap := r.gapCodes.table(set).number(&r.gaps)
		if gap > columns-left {
			return noColumn
		}
		if r.at = putVarint(r.gapRoom, r.at, gap); r.at < 0 {
			return tooLong
		}
		set = gapSet(columns, left)
		columns, left = columns-1-gap, left-1
	}
	return ""
}

// denseGaps decodes the gaps of a row that is told by the columns that it does not read.
func (r *rowsReader) denseGaps(columns, length uint32) (reason string) {
	left, gap := columns-length, uint32(0)
	set := gapSet(columns, left)
	for left > 0 {
		between := r.gapCodes.table(set).number(&r.gaps)
		if between > columns-left {
			return noColumn
		}
		if between > 0 {
			if !r.adjacent(gap, between) {
				return tooLong
			}
			gap = 0
		}
		gap++
		set = gapSet(columns, left)
		columns, left = columns-1-between, left-1
	}
	if columns > 0 && !r.adjacent(gap, columns) {
		return tooLong
	}
	return ""
}

// adjacent puts the gaps of so many adjacent weights, of which the first has a gap before it. It reports whether
// there is room.
func (r *rowsReader) adjacent(gap, count uint32) bool {
	if r.at = putVarint(r.gapRoom, r.at, gap); r.at < 0 || uint64(count-1) > uint64(len(r.gapRoom)-r.at) {
		return false
	}
	clear(r.gapRoom[r.at:][:count-1])
	r.at += int(count - 1)
	return true
}

// singles decodes the weights of a row of one plane whose gaps are known.
func (r *rowsReader) singles(gaps []byte, length uint32) {
	column, set, negative := uint64(0), uint32(beginsRow), uint32(0)
	for k := range r.valueRoom[:length] {
		gap, size := binary.Uvarint(gaps)
		gaps = gaps[size:]
		column += gap
		if gap > 0 {
			set |= afterGap
		}
		if column >= uint64(r.inputs) {
			set |= afterState
		}
		column++
		ahead := r.values.ahead()
		e := r.valueCodes.entry(set, ahead)
		r.values.at += e.length()
		r.valueRoom[k], set, negative = e.value(ahead, negative)
	}
	r.valueRoom = r.valueRoom[length:]
}

// pairs decodes the weights of a row of two planes.
func (r *rowsReader) pairs(length uint32) {
	for k := range r.valueRoom[:length] {
		r.valueRoom[k] = byte(unzigzag(r.upper.number(&r.values)))
		r.lowers[k] = byte(r.values.bits(7)) - 64
	}
	r.valueRoom, r.lowers = r.valueRoom[length:], r.lowers[length:]
}
