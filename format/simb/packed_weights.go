package simb

import "math/bits"

// Sets of contexts of the weights' models.
const (
	densities = 24 // how many columns there are for each weight that is left of a row, in half octaves
	gapSizes  = 5
)

// weightModel codes lengths of rows, gaps between columns and values, one after another.
type weightModel struct {
	lengths, gaps, magnitudes, upper *numberModel
	signs                            [2][3][gapSizes]context // by input or state, the sign before it in the row, the gap
}

func newWeightModel() *weightModel {
	m := &weightModel{
		lengths: newNumberModel(1, slowLimit, true), gaps: newNumberModel(densities, slowLimit, true),
		magnitudes: newNumberModel(1, fastLimit, true), upper: newNumberModel(1, slowLimit, true),
	}
	for side := range m.signs {
		for last := range m.signs[side] {
			reset(m.signs[side][last][:])
		}
	}
	return m
}

// halfOctaves returns ⌊2·log₂ x⌋ for 1 ≤ x < 2³².
func halfOctaves(x uint64) int {
	k := bits.Len64(x|1) - 1
	if x*x>>(2*k+1) != 0 {
		return 2*k + 1
	}
	return 2 * k
}

// density returns the set for a gap when `columns` follow the last weight and `left` weights are to come,
// 1 ≤ left ≤ columns.
func density(columns, left uint64) int {
	return min(max(halfOctaves(columns)-halfOctaves(left), 0), densities-1)
}

// rowWalk goes over the weights of a packed file in order, as their lengths and gaps tell.
type rowWalk struct {
	lengths, gaps []byte // varints
	atRow, atGap  int
	inputs        uint64
	left          uint32 // weights left in the row
	column        int64
	last          int // sign before this one in the row: 0 none, 1 negative, 2 positive
}

// next moves on to the next row and returns its length.
func (w *rowWalk) next() uint32 {
	w.left, w.atRow, _ = readVarint(w.lengths, w.atRow) // no error: they have been written or read by us
	w.column, w.last = -1, 0
	return w.left
}

// step moves on to the next weight of the row and returns its side and the size of its gap.
func (w *rowWalk) step() (side, gap int) {
	v, at, _ := readVarint(w.gaps, w.atGap)
	w.atGap = at
	w.column += 1 + int64(v)
	if uint64(w.column) >= w.inputs {
		side = 1
	}
	return side, min(bits.Len32(v), gapSizes-1)
}

// packWeights codes sections 1 to 4.
func packWeights(w *bitWriter, l *packedLayout, sections map[sectionID][]byte) {
	m := newWeightModel()
	lengths, gaps, values, low := sections[sectionLengths], sections[sectionGaps], sections[sectionValues], sections[sectionLow]
	rows := int(l.states + l.outputs)
	for i, at := 0, 0; i < rows; i++ {
		var length uint32
		length, at, _ = readVarint(lengths, at)
		m.lengths.write(w, 0, length)
	}
	walk := rowWalk{lengths: lengths, gaps: gaps, inputs: l.inputs}
	at := 0
	for _, limit := range l.readable() {
		columns := uint64(limit)
		for left := walk.next(); left > 0; left-- {
			var gap uint32
			gap, at, _ = readVarint(gaps, at)
			m.gaps.write(w, density(columns, uint64(left)), gap)
			columns -= 1 + uint64(gap)
		}
	}
	walk = rowWalk{lengths: lengths, gaps: gaps, inputs: l.inputs}
	k := 0
	for i := range rows {
		for left := walk.next(); left > 0; left-- {
			side, gap := walk.step()
			if v := int32(int8(values[k])); l.twoPlanes(i) {
				m.upper.write(w, 0, zigzag(v))
				w.plain(uint32(low[0]+64), 7)
				low = low[1:]
			} else {
				m.writeValue(w, &walk, side, gap, v)
			}
			k++
		}
	}
}

// writeValue codes a weight of one plane, which is not 0.
func (m *weightModel) writeValue(w *bitWriter, walk *rowWalk, side, gap int, v int32) {
	sign := &m.signs[side][walk.last][gap]
	walk.last = 2
	if v < 0 {
		v, walk.last = -v, 1
	}
	m.magnitudes.write(w, 0, uint32(v-1))
	w.bit(sign, uint32(2-walk.last), slowLimit)
}

// weights decodes sections 1 to 4.
func (u *unpacker) weights() (reason string) {
	m := newWeightModel()
	limits := u.layout.readable()
	if reason := u.lengths(m.lengths, limits); reason != "" {
		return reason
	}
	if reason := u.gaps(m.gaps, limits); reason != "" {
		return reason
	}
	return u.values(m)
}

// lengths decodes how many weights each row has: as many as the header counts together.
func (u *unpacker) lengths(m *numberModel, limits []uint32) (reason string) {
	l := u.layout
	at, left := 0, l.nonzeros
	for _, limit := range limits {
		length := m.read(u.r, 0)
		if length > limit || uint64(length) > left {
			return "a row has more weights than the file counts or than there are columns before it"
		}
		left -= uint64(length)
		if at = putVarint(u.room, at, length); at < 0 {
			return tooLong
		}
	}
	if left > 0 {
		return "rows have fewer weights than the file counts"
	}
	u.takeWeights(sectionLengths, at)
	return ""
}

// gaps decodes the columns of all rows.
func (u *unpacker) gaps(m *numberModel, limits []uint32) (reason string) {
	at := 0
	walk := rowWalk{lengths: u.sections[sectionLengths]}
	for _, limit := range limits {
		columns := uint64(limit)
		for left := uint64(walk.next()); left > 0; left-- {
			gap := m.read(u.r, density(columns, left))
			if uint64(gap) > columns-left {
				return noColumn
			}
			columns -= 1 + uint64(gap)
			if at = putVarint(u.room, at, gap); at < 0 {
				return tooLong
			}
		}
	}
	u.takeWeights(sectionGaps, at)
	return ""
}

// putVarint writes a number into the room at a place and returns the place behind it, negative without room.
func putVarint(room []byte, at int, v uint32) int {
	for ; at < len(room); v >>= 7 {
		if v < 0x80 {
			room[at] = byte(v)
			return at + 1
		}
		room[at] = byte(v) | 0x80
		at++
	}
	return -1
}

// values decodes the weights themselves.
func (u *unpacker) values(m *weightModel) (reason string) {
	l := u.layout
	if uint64(len(u.room)) < l.nonzeros {
		return tooLong
	}
	values, low := u.room[:l.nonzeros], u.room[l.nonzeros:]
	walk := rowWalk{lengths: u.sections[sectionLengths], gaps: u.sections[sectionGaps], inputs: l.inputs}
	k, lower := 0, 0
	for i := range int(l.states + l.outputs) {
		two := l.twoPlanes(i)
		for left := walk.next(); left > 0; left-- {
			v, ok := int32(0), true
			if side, gap := walk.step(); two {
				v = unzigzag(m.upper.read(u.r, 0))
				if ok = lower < len(low); ok {
					low[lower] = byte(u.r.plain(7)) - 64
					lower++
				}
			} else {
				v = m.readValue(u.r, &walk, side, gap)
			}
			if !ok || int32(int8(v)) != v {
				return "a weight that a byte cannot hold, or one too many"
			}
			values[k] = byte(v)
			k++
		}
	}
	u.takeWeights(sectionValues, len(values))
	u.takeWeights(sectionLow, lower)
	return ""
}

// readValue decodes a weight of one plane.
func (m *weightModel) readValue(r *bitReader, walk *rowWalk, side, gap int) int32 {
	sign := &m.signs[side][walk.last][gap]
	v := int32(min(m.magnitudes.read(r, 0), 1<<16)) + 1
	walk.last = 2
	if r.bit(sign, slowLimit) != 0 {
		walk.last = 1
		return -v
	}
	return v
}

// takeWeights makes the next n bytes of the room one of the sections of weights, none of no bytes.
func (u *unpacked) takeWeights(id sectionID, n int) {
	if n > 0 {
		info, _ := describe(id)
		u.take(info, n)
	}
}
