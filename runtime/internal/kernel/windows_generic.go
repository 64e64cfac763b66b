package kernel

import "github.com/sparse-implicit/sim/format/quant"

// maxRows is the largest layout.rows.
const maxRows = 16

// sums holds a slice's accumulators: Σ w·q of one plane, or of the low and the high one, modulo 2³².
type sums struct{ low, high [maxRows]int32 }

// interpret runs commands until p.end or until the budget is spent. It is the specification of the
// kernels that run the window layout, and their substitute where a test wants one.
func interpret(w *windows, mem *Memory, p *progress) {
	for p.command < p.end && p.budget >= 0 {
		c := &w.commands[p.command]
		p.command++
		p.budget -= int32(c.steps)
		switch c.op {
		case opBegin:
			w.beginLoop(c, mem, p)
		case opEnd:
			w.endSweep(c, mem, p)
		default:
			if w.group > 0 {
				w.slicesOfGroup(c, mem, p)
			} else {
				w.slice(c, mem, p)
			}
		}
	}
}

// beginLoop sets the states of a loop to their start.
func (w *windows) beginLoop(c *command, mem *Memory, p *progress) {
	for plane := range w.planes() {
		copy(mem.Activations8[plane*w.plane+int(c.dest):][:c.count], w.initial[int(c.initial)+plane*int(c.count):])
	}
	p.moved, p.sweep = 0, 0
}

// endSweep makes the sweep's results the states and goes back while something moved.
func (w *windows) endSweep(c *command, mem *Memory, p *progress) {
	for plane := range w.planes() {
		copy(mem.Activations8[plane*w.plane+int(c.dest):][:c.count], mem.Next8[plane*w.next:])
	}
	p.sweep++
	p.sweeps++
	if p.moved != 0 && p.sweep < c.limit {
		p.command = c.target
	}
	p.moved = 0
}

// slice accumulates a slice and does with its accumulators what the command says.
func (w *windows) slice(c *command, mem *Memory, p *progress) {
	var s sums
	w.begin(c, mem, &s)
	w.accumulate(c, mem, &s)
	w.finish(c, mem, p, &s)
}

// begin sets the sums of a slice to what they start from.
func (w *windows) begin(c *command, mem *Memory, s *sums) {
	switch {
	case c.op == opSweep:
		w.loadExternal(c, mem, s)
	case c.flags&flagTwoPlanes == 0:
		copy(s.low[:w.rows], w.constants[int(c.constants)/4+constBias*w.rows:])
	}
}

// finish does with the sums of a slice what the command says.
func (w *windows) finish(c *command, mem *Memory, p *progress, s *sums) {
	row := w.constants[c.constants/4:][:constants*w.rows]
	if c.op == opExternal {
		w.storeExternal(c, mem, s)
		return
	}
	for lane := range w.rows {
		constant := func(k int) int64 { return int64(row[k*w.rows+lane]) }
		acc := int64(s.low[lane])
		if c.flags&flagTwoPlanes != 0 {
			acc += constant(constBias) + 128*int64(s.high[lane])
		}
		m := quant.Multiplier{M: row[constMultiplier*w.rows+lane], S: uint8(constant(constShift))}
		if c.flags&flagNegative != 0 && acc < 0 {
			m = quant.Multiplier{M: row[constNegative*w.rows+lane], S: uint8(constant(constNegativeShift))}
		}
		t := m.Requantise(acc)
		switch {
		case c.op == opOutput:
			mem.Outputs[int(c.dest)/4+lane] = int32(t)
			continue
		case c.flags&flagTable != 0:
			t = int64(quant.LookUp(w.program.Width, w.tables[constant(constTable):][:w.program.Width.TableLen()], t))
		default:
			clamped := min(max(t, constant(constLow)), constant(constHigh))
			if clamped > t && constant(constCountLow) != 0 || clamped < t && constant(constCountHigh) != 0 {
				p.saturations++
			}
			t = clamped + constant(constZero)
		}
		w.store(c, mem, p, lane, t)
	}
}

// store keeps a state: in its place, or in a loop aside until the sweep ends.
func (w *windows) store(c *command, mem *Memory, p *progress, lane int, q int64) {
	for plane := range w.planes() {
		part := uint8(q >> (7 * plane) & 0x7F)
		if c.op == opLevel {
			mem.Activations8[plane*w.plane+int(c.dest)+lane] = part
			continue
		}
		mem.Next8[plane*w.next+int(c.next)+lane] = part
		if part != mem.Activations8[plane*w.plane+int(c.current)+lane] {
			p.moved = 1
		}
	}
}

// accumulate adds the entries of all steps of a slice.
func (w *windows) accumulate(c *command, mem *Memory, s *sums) {
	stride := w.stepBytes(c.flags)
	for t := range int(c.steps) {
		w.step(c, mem, int(w.starts[int(c.start)+t]), w.data[int(c.data)+t*stride:], s)
	}
}

// stepBytes returns how many bytes a step takes in windows.data.
func (w *windows) stepBytes(flags uint32) int {
	if flags&flagTwoPlanes != 0 {
		return 3 * lanes * w.rows
	}
	return 2 * lanes * w.rows
}

// step adds the entries of a step whose window lies at start.
func (w *windows) step(c *command, mem *Memory, start int, step []byte, s *sums) {
	size := lanes * w.rows
	for k := range size {
		at := start + int(step[k])
		q := int32(mem.Activations8[at])
		if w.program.Width == quant.Width14 {
			q |= int32(mem.Activations8[w.plane+at]) << 7
		}
		lane := k / lanes
		if c.flags&flagTwoPlanes == 0 {
			s.low[lane] += int32(int8(step[size+k])) * q
			continue
		}
		s.high[lane] += int32(int8(step[size+k])) * q
		s.low[lane] += int32(int8(step[2*size+k])) * q
	}
}

func (w *windows) loadExternal(c *command, mem *Memory, s *sums) {
	first := int(c.dest) / externalBytes
	for lane := range w.rows {
		s.low[lane] = externalPart(mem, first, lane)
		s.high[lane] = externalPart(mem, first, w.rows+lane)
	}
}

// externalPart returns the k-th int32 of a slice's part of External, as they lie in a little-endian memory.
func externalPart(mem *Memory, first, k int) int32 {
	return int32(mem.External[first+k/2] >> (32 * (k % 2)))
}

func (w *windows) storeExternal(c *command, mem *Memory, s *sums) {
	both := make([]int32, 0, 2*maxRows)
	both = append(append(both, s.low[:w.rows]...), s.high[:w.rows]...)
	for k := 0; k < len(both); k += 2 {
		mem.External[int(c.dest)/externalBytes+k/2] = int64(uint32(both[k])) | int64(both[k+1])<<32
	}
}
