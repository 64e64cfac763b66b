//go:build !noasm && !purego

package kernel

import "math"

// What packAVX2 makes of a model in the window layout. What it makes is a model in that layout too, with
// the same answers: interpret runs it.

// flagEasy says that a slice has one plane of weights and that easeMultipliers did for all of its rows.
const flagEasy = 1 << 16

// pairLimit bounds the positive and the negative weights whose products with activations (or planes of
// them) of at most 127 add up within int16.
const pairLimit = math.MaxInt16 / 127

// pairSteps makes every slice an even number of steps, so that the products of two steps may be added as
// int16 before they are widened: each lane of 16 bits holds four products then. Where those could
// overflow, a step gets one without weights for its partner.
func pairSteps(w *windows) {
	size := lanes * w.rows
	starts := make([]uint32, 0, len(w.starts)+len(w.commands))
	data := make([]byte, 0, len(w.data)+len(w.data)/16)
	for k := range w.commands {
		c := &w.commands[k]
		stride := c.stride(size)
		first, begin := c.start, c.data
		c.start, c.data = uint32(len(starts)), uint32(len(data))
		for t := uint32(0); t < c.steps; t++ {
			step := w.data[begin+t*stride:][:stride]
			starts, data = append(starts, w.starts[first+t]), append(data, step...)
			if t+1 < c.steps && c.fit(step[size:], w.data[begin+(t+1)*stride:][size:stride]) {
				t++
				starts, data = append(starts, w.starts[first+t]), append(data, w.data[begin+t*stride:][:stride]...)
				continue
			}
			starts, data = append(starts, w.starts[first+t]), append(data, zeroStep[:stride]...)
		}
		c.steps = uint32(len(starts)) - c.start
	}
	w.starts, w.data = starts, aligned(data)
}

// stride returns the bytes of a step of size indices.
func (c *command) stride(size int) uint32 {
	if c.flags&flagTwoPlanes != 0 {
		return uint32(3 * size)
	}
	return uint32(2 * size)
}

// fit reports whether the products of two steps with these weights may be added as int16. Weights of two
// planes always may: they are at most 64 in magnitude, and 4·64·127 < 2¹⁵.
func (c *command) fit(one, other []byte) bool {
	if c.flags&flagTwoPlanes != 0 {
		return true
	}
	for k := 0; k < len(one); k += 2 {
		var positive, negative int
		for _, weight := range [...]byte{one[k], one[k+1], other[k], other[k+1]} {
			positive += max(0, int(int8(weight)))
			negative -= min(0, int(int8(weight)))
		}
		if max(positive, negative) > pairLimit {
			return false
		}
	}
	return true
}

// easyShift is the least shift of flagEasy: acc·M >> 32 is the high half of a product, and what is left of
// the shift, less the last bit, which rounds, is not negative.
const easyShift = 33

// easeMultipliers doubles multipliers and adds one to their shifts, which changes no result, for (acc·2M +
// 2^S) >> (S+1) = (acc·M + 2^(S−1)) >> S, until all shifts of a slice are easyShift at least, where that is
// possible: for ratios below a quarter, those of nearly all states.
func easeMultipliers(w *windows) {
	block := constants * w.rows
	easy := make([]bool, len(w.constants)/block)
	for k := range easy {
		row := w.constants[k*block:][:block]
		easy[k] = true
		for lane := range w.rows {
			positive := ease(&row[constMultiplier*w.rows+lane], &row[constShift*w.rows+lane])
			negative := ease(&row[constNegative*w.rows+lane], &row[constNegativeShift*w.rows+lane])
			easy[k] = easy[k] && positive && negative
		}
	}
	for k := range w.commands {
		c := &w.commands[k]
		if c.op != opBegin && c.op != opEnd && c.flags&flagTwoPlanes == 0 && easy[int(c.constants)/(4*block)] {
			c.flags |= flagEasy
		}
	}
}

// ease raises a shift to easyShift and the multiplier with it, and reports whether it could.
func ease(m, s *int32) bool {
	for *s < easyShift && *m <= math.MaxInt32/2 {
		*m *= 2
		*s++
	}
	return *s >= easyShift
}
