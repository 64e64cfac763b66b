package simb

import (
	"math/bits"
)

// numberModel codes unsigned numbers below 2³² by how many bits v + 1 has behind its top one, in unary, and
// then these bits; the sets of contexts for the first part are the caller's choice.
type numberModel struct {
	limit  uint32
	noise  bool                // the bits behind the first two of them are as likely as not
	unary  [][mostBits]context // by set: is there another bit?
	first  [mostBits + 1][4]context
	others [mostBits]context // by position, of the bits behind the first two
}

// mostBits is how many bits v + 1 can have behind its top one.
const mostBits = 32

func newNumberModel(sets int, limit uint32, noise bool) *numberModel {
	m := &numberModel{limit: limit, noise: noise, unary: make([][mostBits]context, sets)}
	for s := range m.unary {
		reset(m.unary[s][:])
	}
	for k := range m.first {
		reset(m.first[k][:])
	}
	reset(m.others[:])
	return m
}

func reset(contexts []context) {
	for k := range contexts {
		contexts[k] = even
	}
}

// at returns the context for the bit at position b of a number with k of them, given those above it with
// a one in front.
func (m *numberModel) at(k, b int, above uint64) *context {
	if above < 4 {
		return &m.first[k][above]
	}
	return &m.others[b]
}

func (m *numberModel) write(w *bitWriter, set int, v uint32) {
	u := uint64(v) + 1
	k := bits.Len64(u) - 1
	for b := range k {
		w.bit(&m.unary[set][b], 1, m.limit)
	}
	if k == mostBits {
		return // 2³² alone has that many, all zero
	}
	w.bit(&m.unary[set][k], 0, m.limit)
	for b := k - 1; b >= 0; b-- {
		if m.noise && b == k-3 {
			w.plain(uint32(u), b+1)
			return
		}
		w.bit(m.at(k, b, u>>(b+1)), uint32(u>>b&1), m.limit)
	}
}

// read is r.bit over the contexts that write takes, with the reader's state in registers: it takes most
// of the time of opening a packed file.
func (m *numberModel) read(r *bitReader, set int) uint32 {
	code, size, limit := r.code, r.size, m.limit
	k := 0
	for unary := &m.unary[set]; k < mostBits; k++ {
		c := &unary[k]
		ones := size >> 12 * c.share()
		more := code < ones
		if more {
			*c, size = c.seen(1, limit), ones
		} else {
			*c, code, size = c.seen(0, limit), code-ones, size-ones
		}
		for size < 1<<24 {
			code, size = code<<8|r.next(), size<<8
		}
		if !more {
			break
		}
	}
	if k == mostBits {
		r.code, r.size = code, size
		return 1<<32 - 1
	}
	u, b := uint64(1), k-1
	for ; b >= 0 && !(m.noise && b == k-3); b-- {
		c, one := m.at(k, b, u), uint32(0)
		now := *c
		code, size, one = decide(code, size, size>>12*now.share())
		*c = now.seen(one&1, limit)
		u = u<<1 | uint64(one&1)
		for size < 1<<24 {
			code, size = code<<8|r.next(), size<<8
		}
	}
	r.code, r.size = code, size
	if b >= 0 {
		u = u<<(b+1) | uint64(r.plain(b+1))
	}
	return uint32(u - 1)
}

// zigzag maps small numbers of either sign to small unsigned ones: 0, −1, 1, −2 to 0, 1, 2, 3.
func zigzag(v int32) uint32 { return uint32(v<<1) ^ uint32(v>>31) }

func unzigzag(v uint32) int32 { return int32(v>>1) ^ -int32(v&1) }

// floatModel codes the bits of float32 numbers, each beside another one that is known: how far sign and
// exponent together lie above those of the other, counted from the least distance of a column; and the
// mantissa without the zeros that all of a column end in.
type floatModel struct {
	exponents *numberModel
	first     [8]context  // the upper three bits of a mantissa, by those above with a one in front
	others    [23]context // the others, by position
	base      int         // least distance of sign and exponent
	zeros     int         // trailing zeros of the mantissas
}

func newFloatModel() *floatModel {
	m := &floatModel{exponents: newNumberModel(1, slowLimit, false)}
	reset(m.first[:])
	reset(m.others[:])
	return m
}

const (
	mantissaBits = 23
	exponents    = 1 << 9 // that a float32 can have, with its sign
)

func (m *floatModel) at(b int, above uint32) *context {
	if above < 8 {
		return &m.first[above]
	}
	return &m.others[b]
}

// writeHead looks at a column beside another and codes what its numbers have in common.
func (m *floatModel) writeHead(w *bitWriter, column, other elements, count int) {
	m.base, m.zeros = exponents, mantissaBits
	for k := range count {
		v := uint32(column.uint(k))
		m.base = min(m.base, int(v>>mantissaBits)-int(uint32(other.uint(k))>>mantissaBits))
		m.zeros = min(m.zeros, bits.TrailingZeros32(v|1<<mantissaBits))
	}
	w.plain(uint32(m.base+exponents), 10)
	w.plain(uint32(m.zeros), 5)
}

func (m *floatModel) write(w *bitWriter, v, other uint32) {
	m.exponents.write(w, 0, uint32(int(v>>mantissaBits)-int(other>>mantissaBits)-m.base))
	above := uint32(1)
	for b := mantissaBits - 1; b >= m.zeros; b-- {
		bit := v >> b & 1
		w.bit(m.at(b, above), bit, slowLimit)
		above = above<<1 | bit
	}
}

// readHead reports whether what the numbers have in common is possible.
func (m *floatModel) readHead(r *bitReader) bool {
	m.base, m.zeros = int(r.plain(10))-exponents, int(r.plain(5))
	return m.zeros <= mantissaBits
}

// read returns the bits of a number; ok is false for an exponent that no number has.
func (m *floatModel) read(r *bitReader, other uint32) (v uint32, ok bool) {
	exponent := int64(m.exponents.read(r, 0)) + int64(m.base) + int64(other>>mantissaBits)
	above := uint32(1)
	for b := mantissaBits - 1; b >= m.zeros; b-- {
		above = above<<1 | r.bit(m.at(b, above), slowLimit)
	}
	mantissa := above << m.zeros & (1<<mantissaBits - 1)
	return uint32(exponent)<<mantissaBits | mantissa, exponent >= 0 && exponent < exponents
}
