//go:build !noasm && !purego

package kernel

import (
	"math"
	"slices"

	"github.com/sparse-implicit/sim/format/quant"
)

// What packAVX2 makes of a model in the window layout.

// lowIndex is what packed indices have more than windows.data has: those below 16 stay below 0x80, and
// VPSHUFB takes a byte of the low half of a window by their last four bits; those from 16 on give 0 there. With
// the other sign it is the other way round.
const lowIndex = 0x80 - 16

// flagPlain says of a level that it has 7 bits, one plane of weights, one multiplier for each row, flagHighHalf
// and no table.
const flagPlain = 1 << 16

func setPlain(w *windows) {
	for k := range w.commands {
		c := &w.commands[k]
		if w.program.Width == quant.Width7 && c.op == opLevel && c.flags&^flagCounts == flagHighHalf {
			c.flags |= flagPlain
		}
	}
}

// pairLimit bounds the positive and the negative weights whose products with activations (or planes of
// them) of at most 127 add up within int16.
const pairLimit = math.MaxInt16 / 127

// pairSteps makes every slice an even number of steps, so that the products of two steps may be added as
// int16 before they are widened: each lane of 16 bits holds four products then. Where those could overflow
// and no other order of a row's entries helps, a step gets one without weights for its partner.
func pairSteps(w *windows) {
	size := lanes * w.rows
	starts := make([]uint32, 0, len(w.starts)+len(w.commands))
	data := make([]byte, 0, len(w.data)+len(w.data)/8)
	for k := range w.commands {
		c := &w.commands[k]
		stride := uint32(w.stepBytes(c.flags))
		first, begin := c.start, c.data
		step := func(t uint32) []byte { return w.data[begin+t*stride:][:stride] }
		c.start, c.data = uint32(len(starts)), uint32(len(data))
		for t := uint32(0); t < c.steps; t++ {
			partner, start := zeroStep[:stride], w.starts[first+t]
			starts, data = append(starts, start), append(data, step(t)...)
			if t+1 < c.steps && (c.flags&flagTwoPlanes != 0 || pair(data[len(data)-int(stride):], step(t+1), size)) {
				t++
				partner, start = step(t), w.starts[first+t]
			}
			starts, data = append(starts, start), append(data, partner...)
		}
		c.steps = uint32(len(starts)) - c.start
		for at := int(c.data); at < len(data); at += int(stride) {
			for i := range data[at:][:size] {
				data[at+i] += lowIndex
			}
		}
	}
	w.starts, w.data = starts, aligned(data)
}

// halves are the ways to deal a row's four entries of a step out to two lanes of 16 bits.
var halves = [...][lanes]int{{0, 1, 2, 3}, {2, 3, 0, 1}, {0, 2, 1, 3}, {1, 3, 0, 2}, {0, 3, 1, 2}, {1, 2, 0, 3}}

// pair reports whether the products of two steps of one plane of weights may be added as int16, after it has
// reordered the entries of the second one where that was needed. Of two planes all may: their weights are at
// most 64 in magnitude, and 4·64·127 < 2¹⁵.
func pair(step, partner []byte, size int) bool {
	for row := 0; row < size; row += lanes {
		indices, weights := partner[row:][:lanes], partner[size+row:][:lanes]
		fits := func(order [lanes]int) bool { return fit(step[size+row:], weights, order) }
		k := slices.IndexFunc(halves[:], fits)
		if k < 0 {
			return false
		}
		i, w := [lanes]byte(indices), [lanes]byte(weights)
		for to, from := range halves[k] {
			indices[to], weights[to] = i[from], w[from]
		}
	}
	return true
}

// fit reports whether the products of both lanes of a row stay within int16 for partner's weights in this order.
func fit(weights, partner []byte, order [lanes]int) bool {
	for half := 0; half < lanes; half += 2 {
		positive, negative := 0, 0
		for k := half; k < half+2; k++ {
			one, other := int(int8(weights[k])), int(int8(partner[order[k]]))
			positive += max(one, 0) + max(other, 0)
			negative -= min(one, 0) + min(other, 0)
		}
		if max(positive, negative) > pairLimit {
			return false
		}
	}
	return true
}
