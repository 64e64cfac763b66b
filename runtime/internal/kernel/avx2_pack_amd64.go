//go:build !noasm && !purego

package kernel

import "math"

// What packAVX2 makes of a model in the window layout. What it makes is a model in that layout too, with
// the same answers: interpret runs it.

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
