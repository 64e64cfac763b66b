package kernel

import "math"

// Groups of slices. Where an instruction set has registers for the sums of several slices, a command
// computes them together, one window after the other: a window is loaded once for all of them, and a step costs no
// more than its indices and weights.

// maxGroup is how many slices of one plane of weights a group has at most; of two planes half as many.
const maxGroup = 8

// groupStore is how many states a group stores at once, and what windows and segments begin at multiples of: so a
// window that was just written is one that was stored, or two.
const groupStore = 64

// windowVisit is what a group does at one window: of each of its slices so many steps, one slice after the other.
type windowVisit struct {
	start  uint32
	counts [maxGroup]uint8
}

// slicesOfGroup is slice for all slices of a group: c.count visits from c.start on.
func (w *windows) slicesOfGroup(c *command, mem *Memory, p *progress) {
	var s [maxGroup]sums
	for k := range c.slices {
		w.begin(w.sliceOf(c, k), mem, &s[k])
	}
	data, stride := w.data[c.data:], w.stepBytes(c.flags)
	for _, visit := range w.visits[c.start:][:c.count] {
		for k := range c.slices {
			for range visit.counts[k] {
				w.step(c, mem, int(visit.start), data, &s[k])
				data = data[stride:]
			}
		}
	}
	for k := range c.slices {
		w.finish(w.sliceOf(c, k), mem, p, &s[k])
	}
}

// sliceOf returns the command of a group's slice k, apart from its steps.
func (w *windows) sliceOf(c *command, k uint32) *command {
	one, rows := *c, uint32(w.rows)
	one.constants += k * rows * 4 * constants
	one.next += k * rows
	one.current += k * rows
	switch c.op {
	case opLevel:
		one.dest += k * rows
	case opOutput:
		one.dest += k * rows * 4
	default:
		one.dest += k * rows * externalBytes
	}
	return &one
}

// mostGroupSteps is about how many steps a group should have at most: some microseconds, even from the last cache.
const mostGroupSteps = 1 << 11

// groupSize returns how many slices a group has at most whose longest row is this one: with few entries all that
// there is room for, with very many one.
func (b *windowPacker) groupSize(row int32) int {
	most := b.group
	if b.program.Rows[row].Planes == 2 {
		most /= 2
	}
	return max(1, min(most, mostGroupSteps*lanes/max(1, int(b.length(row)))))
}

// groupSteps deals the entries of b.lanes[:rows] out to visits and steps.
func (b *windowPacker) groupSteps(c *command, rows int) {
	c.start, c.slices = uint32(len(b.visits)), uint32(roundTo(rows, b.layout.rows)/b.layout.rows)
	for {
		start := b.leftmost(rows)
		if start == math.MaxUint32 || b.isFull() {
			c.count = uint32(len(b.visits)) - c.start
			return
		}
		visit := windowVisit{start: start &^ (groupStore - 1)}
		for first := 0; first < rows; first += b.layout.rows {
			count := b.visit(visit.start, b.lanes[first:min(first+b.layout.rows, rows)], c.flags)
			visit.counts[first/b.layout.rows] = uint8(count)
			c.steps += uint32(count)
		}
		b.visits = append(b.visits, visit)
	}
}

// visit packs all entries of a slice in the window at start and returns how many steps they take.
func (b *windowPacker) visit(start uint32, slice []span, flags uint32) int {
	var ends [maxRows]int32
	longest, end := int32(0), start+uint32(b.window)
	for r := range slice {
		k := slice[r].first
		for k < slice[r].end && b.at[k] < end {
			k++
		}
		ends[r] = k
		longest = max(longest, k-slice[r].first)
	}
	if longest == 0 {
		return 0
	}
	size, stride := lanes*b.layout.rows, b.stepBytes(flags)
	count := int(longest+lanes-1) / lanes
	begin := len(b.packed)
	b.packed = append(b.packed, make([]byte, count*stride)...)
	for r := range slice {
		b.setRow(b.packed[begin+r*lanes:], size, stride, start, span{slice[r].first, ends[r]}, flags)
		slice[r].first = ends[r]
	}
	return count
}

// setRow puts entries of a row into its lanes of one step after the other.
func (b *windowPacker) setRow(steps []byte, size, stride int, start uint32, row span, flags uint32) {
	if flags&flagTwoPlanes != 0 {
		for k := range int(row.end - row.first) {
			b.setEntry(steps[k/lanes*stride:], size, k%lanes, start, row.first+int32(k), flags)
		}
		return
	}
	at := b.at[row.first:row.end]
	weights := b.weights[row.first:row.end][:len(at)]
	for k, position := range at {
		to := k/lanes*stride + k%lanes
		steps[to], steps[to+size] = uint8(position-start), uint8(weights[k])
	}
}
