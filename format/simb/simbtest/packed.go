package simbtest

import "encoding/binary"

// unpacked decodes section 5 as PACKED.md describes it: a second reading beside the one that the reader
// uses, slow and plain. It keeps to files of reasonable size.
type unpacked struct {
	stored     []byte
	taken      int
	code, size uint32
	contexts   map[place]*[2]int64

	field    func(id int) int
	sections map[int][]byte
	all      []byte
	broken   bool
}

// place names a context: what it belongs to (a section, or one of the names below), and three indices.
type place struct {
	of      int
	letter  byte
	a, b, c int
}

// What contexts of the weights belong to.
const (
	ofLengths, ofGaps, ofUpper, ofMagnitudes, ofSigns = 1001, 1002, 1003, 1004, 1005
	ofUpperHalf                                       = 2000 // and the section
)

// packedElements lists the sections of a packed file: bytes of an element, what they are, how many.
var packedElements = []struct {
	id, bytes int
	form      byte // u: number, s: zigzag, f: f32, q: u64, p: plain
	count     func(u *unpacked) int
}{
	{10, 4, 'u', inputs}, {11, 4, 'f', inputs}, {12, 4, 's', inputs}, {13, 4, 'f', inputs}, {14, 4, 'f', inputs},
	{20, 4, 'u', states}, {21, 4, 'f', states}, {22, 2, 'u', states}, {23, 2, 'u', states}, {24, 2, 'u', states}, {25, 1, 'u', states}, {26, 1, 'u', states},
	{27, 2, 'u', ofKinds(5, 6)}, {28, 4, 'f', ofKinds(2, 3, 4)}, {29, 4, 'u', ofKinds(3)}, {30, 1, 'u', ofKinds(3)},
	{40, 1, 'u', rows}, {41, 4, 's', rows}, {42, 4, 'u', rows}, {43, 1, 'u', rows},
	{50, 1, 'u', tables}, {51, 4, 'f', tables}, {52, 2, 'u', func(u *unpacked) int { return tables(u) * map[int]int{7: 256, 14: 257}[u.field(7)] }},
	{60, 4, 'u', segments}, {61, 4, 'u', segments},
	{70, 8, 'q', tests}, {71, 4, 's', func(u *unpacked) int { return tests(u) * outputs(u) }}, {72, 8, 'q', tests}, {73, 4, 'p', tests},
	{80, 4, 'f', claimed(16, one)}, {81, 4, 'f', claimed(16, states)}, {82, 4, 'f', claimed(16, states)},
	{83, 4, 'f', claimed(1, witness)}, {84, 4, 'f', claimed(1, witness)},
	{85, 4, 'f', claimed(2, witness)}, {86, 4, 'f', claimed(2, rows)}, {87, 4, 'f', claimed(2, witness)}, {88, 4, 'f', claimed(2, outputs)},
	{89, 4, 'f', claimed(4, witness)}, {90, 4, 'f', claimed(4, rows)}, {91, 4, 'f', claimed(4, witness)}, {92, 4, 'f', claimed(4, outputs)},
	{93, 4, 'f', claimed(8, outputs)}, {94, 4, 'f', claimed(8, witness)}, {95, 4, 'f', claimed(8, rows)},
	{96, 1, 'u', claimed(32, one)}, {97, 4, 'f', claimed(32, outputs)}, {98, 4, 'f', claimed(32, outputs)}, {99, 4, 'f', claimed(64, outputs)}, {100, 4, 'f', claimed(64, outputs)},
}

func one(*unpacked) int        { return 1 }
func inputs(u *unpacked) int   { return u.field(12) }
func states(u *unpacked) int   { return u.field(13) }
func outputs(u *unpacked) int  { return u.field(14) }
func tables(u *unpacked) int   { return u.field(16) }
func segments(u *unpacked) int { return u.field(17) }
func tests(u *unpacked) int    { return u.field(18) }
func rows(u *unpacked) int     { return states(u) + outputs(u) }

// witness counts what a file with derived witnesses leaves out.
func witness(u *unpacked) int {
	if u.field(2)&32 != 0 {
		return 0
	}
	return states(u)
}

func claimed(bit int, count func(*unpacked) int) func(*unpacked) int {
	return func(u *unpacked) int {
		if u.field(9)&bit == 0 {
			return 0
		}
		return count(u)
	}
}

func ofKinds(kinds ...byte) func(*unpacked) int {
	return func(u *unpacked) (count int) {
		for _, kind := range u.sections[26] {
			for _, k := range kinds {
				if kind == k {
					count++
				}
			}
		}
		return count
	}
}

// unpackers decode section 5 by its coding.
var unpackers = map[int]func(*Layout, []byte, Section) (u *unpacked, ok bool){2: unpack, 3: unpackPrefix}

// newUnpacked returns what is to be decoded of a packed section. ok is false when it is none of reasonable size.
func newUnpacked(l *Layout, data []byte, s Section) (u *unpacked, ok bool) {
	const reasonable = 1 << 18
	if s.ID != 5 || s.Element != 1 {
		return nil, false
	}
	u = &unpacked{stored: data[s.Payload[0]:s.Payload[1]], size: 1<<32 - 1, contexts: map[place]*[2]int64{}, sections: map[int][]byte{}}
	u.field = func(id int) int {
		var v [8]byte
		copy(v[:], data[l.Fields[id][0]:l.Fields[id][1]])
		return int(min(binary.LittleEndian.Uint64(v[:]), reasonable+1))
	}
	for id := 12; id <= 18; id++ {
		if u.field(id) > reasonable {
			return nil, false
		}
	}
	return u, tests(u)*outputs(u) <= reasonable && tables(u) <= reasonable/257
}

// unpack decodes the packed section of a file. ok is false when it is none.
func unpack(l *Layout, data []byte, s Section) (u *unpacked, ok bool) {
	if u, ok = newUnpacked(l, data, s); !ok {
		return nil, false
	}
	for range 4 {
		u.code = u.code<<8 | u.byte()
	}
	for _, e := range packedElements {
		if n := e.count(u); n > 0 && u.plain(1) == 1 {
			if e.id == 96 {
				n = 1 + int(u.plain(20)) // a tree tells how many nodes it has
			}
			u.column(e.id, e.bytes, e.form, n)
		}
	}
	u.weights()
	return u, !u.broken && len(u.all) == s.Length && u.taken >= len(u.stored) && u.taken <= len(u.stored)+4
}

func (u *unpacked) byte() uint32 {
	u.taken++
	if u.taken <= len(u.stored) {
		return uint32(u.stored[u.taken-1])
	}
	return 0
}

func (u *unpacked) decide(ones uint32) (bit uint32) {
	if u.code < ones {
		bit, u.size = 1, ones
	} else {
		u.code, u.size = u.code-ones, u.size-ones
	}
	for u.size < 1<<24 {
		u.code, u.size = u.code<<8|u.byte(), u.size<<8
	}
	return bit
}

func (u *unpacked) plain(k int) (v uint32) {
	for range k {
		v = v<<1 | u.decide(u.size>>1)
	}
	return v
}

func (u *unpacked) bit(at place) uint32 {
	c := u.contexts[at]
	if c == nil {
		c = &[2]int64{32768, 0}
		u.contexts[at] = c
	}
	limit := int64(127)
	if at.of == ofMagnitudes {
		limit = 20
	}
	bit := u.decide(u.size >> 12 * uint32(max(c[0]>>4, 1)))
	c[0] += (int64(bit)<<16 - c[0]) * ((1 << 17) / (2*c[1] + 3)) >> 16
	c[1] = min(c[1]+1, max(limit, c[1]))
	return bit
}

func (u *unpacked) number(of, set int, noisy bool) uint32 {
	k := 0
	for u.bit(place{of, 'U', set, k, 0}) == 1 {
		if k++; k == 32 {
			return 1<<32 - 1
		}
	}
	v := uint64(1)
	for b := k - 1; b >= 0; b-- {
		switch {
		case v < 4:
			v = 2*v + uint64(u.bit(place{of, 'F', k, int(v), 0}))
		case noisy:
			v = 2*v + uint64(u.plain(1))
		default:
			v = 2*v + uint64(u.bit(place{of, 'O', b, 0, 0}))
		}
	}
	return uint32(v - 1)
}

func zigzag(v uint32) int64 {
	if v%2 == 0 {
		return int64(v / 2)
	}
	return -int64(v/2) - 1
}

func (u *unpacked) column(id, size int, form byte, count int) {
	beside := []byte(nil)
	if id == 90 || id == 95 {
		beside = u.sections[86]
	}
	var base, zeros int64
	if form == 'f' {
		base, zeros = int64(u.plain(10))-512, int64(u.plain(5))
		u.broken = u.broken || zeros > 23
	}
	raw := make([]byte, 0, size*count)
	var last uint64
	same := uint32(0)
	for k := range count {
		other := uint32(0)
		if beside != nil {
			other = binary.LittleEndian.Uint32(beside[4*k:])
			last = uint64(other)
		}
		if same = u.bit(place{id, 'S', int(same), 0, 0}); same == 0 {
			last = u.element(id, form, other>>23, base, zeros)
		}
		u.broken = u.broken || size < 8 && last>>(8*size) != 0
		raw = append(raw, binary.LittleEndian.AppendUint64(nil, last)[:size]...)
	}
	u.sections[id] = raw
	u.all = append(u.all, raw...)
}

func (u *unpacked) element(id int, form byte, other uint32, base, zeros int64) uint64 {
	switch form {
	case 's':
		return uint64(uint32(int32(zigzag(u.number(id, 0, false)))))
	case 'p':
		return uint64(u.plain(32))
	case 'q':
		low := uint64(u.number(id, 0, false))
		return low | uint64(u.number(ofUpperHalf+id, 0, false))<<32
	case 'f':
		upper := int64(other) + base + int64(u.number(id, 0, false))
		u.broken = u.broken || upper < 0 || upper > 511
		m := uint64(1)
		for b := int64(22); b >= zeros; b-- {
			at := place{id, 'G', int(m), 0, 0}
			if m >= 8 {
				at = place{id, 'H', int(b), 0, 0}
			}
			m = 2*m + uint64(u.bit(at))
		}
		return uint64(upper)<<23&0xFFFFFFFF | m<<zeros&(1<<23-1)
	}
	return uint64(u.number(id, 0, false))
}

// firstUnreadable returns c of every row.
func (u *unpacked) firstUnreadable() []int {
	word := func(id, k int) int {
		if u.sections[id] == nil {
			return 0
		}
		return int(min(binary.LittleEndian.Uint32(u.sections[id][4*k:]), 1<<30))
	}
	var c []int
	for k := range segments(u) {
		before, after := len(c), min(len(c)+word(60, k), states(u))
		for len(c) < after {
			if word(61, k) > 0 {
				c = append(c, inputs(u)+after)
			} else {
				c = append(c, inputs(u)+before)
			}
		}
	}
	for len(c) < rows(u) {
		c = append(c, inputs(u)+states(u))
	}
	return c
}

func twiceLog(x int) int {
	k := 0
	for x>>(k+1) > 0 {
		k++
	}
	if int64(x)*int64(x) >= 1<<(2*k+1) {
		return 2*k + 1
	}
	return 2 * k
}

func (u *unpacked) weights() {
	readable := u.firstUnreadable()
	lengths, total := make([]int, len(readable)), 0
	var raw [5][]byte
	for i, c := range readable {
		lengths[i] = int(min(u.number(ofLengths, 0, true), 1<<30))
		if total += lengths[i]; lengths[i] > c || total > u.field(15) {
			u.broken = true
			return
		}
		raw[1] = binary.AppendUvarint(raw[1], uint64(lengths[i]))
	}
	u.broken = u.broken || total != u.field(15)
	var gaps []int
	for i, columns := range readable {
		for left := lengths[i]; left > 0; left-- {
			gap := int(min(u.number(ofGaps, min(max(twiceLog(columns)-twiceLog(left), 0), 23), true), 1<<30))
			if gap > columns-left {
				u.broken = true
				return
			}
			columns -= 1 + gap
			gaps = append(gaps, gap)
			raw[2] = binary.AppendUvarint(raw[2], uint64(gap))
		}
	}
	for i := range readable {
		column, last := -1, 0
		for range lengths[i] {
			gap := gaps[0]
			gaps = gaps[1:]
			column += 1 + gap
			var v int64
			if u.sections[40] != nil && u.sections[40][i] == 2 {
				v = zigzag(u.number(ofUpper, 0, true))
				raw[4] = append(raw[4], byte(int(u.plain(7))-64))
			} else {
				v = int64(u.number(ofMagnitudes, 0, true)) + 1
				at := place{ofSigns, 'T', 0, last, 0}
				if column >= inputs(u) {
					at.a = 1
				}
				for ; gap > 0 && at.c < 4; gap >>= 1 {
					at.c++
				}
				if last = 2; u.bit(at) == 1 {
					v, last = -v, 1
				}
			}
			u.broken = u.broken || v < -128 || v > 127
			raw[3] = append(raw[3], byte(v))
		}
	}
	for id, bytes := range raw {
		if len(bytes) > 0 {
			u.sections[id] = bytes
			u.all = append(u.all, bytes...)
		}
	}
}
