package kernel

import "github.com/sparse-implicit/sim/format/quant"

// inPlace runs a model from the file's own streams: nothing is packed, and rows are walked in order.
type inPlace[T Activation] struct {
	inputs[T]
	streams *Streams
}

// InPlace returns the in-place engine of a model. It keeps references to both arguments.
func InPlace(p *Program, s *Streams) Engine {
	if p.Width == quant.Width7 {
		return &inPlace[uint8]{inputs[uint8]{p}, s}
	}
	return &inPlace[uint16]{inputs[uint16]{p}, s}
}

// Bytes returns 0: nothing is packed (what Load had to decompress is not the kernel's).
func (e *inPlace[T]) Bytes() int { return 0 }

// States computes all states and leaves the cursor at the first output.
func (e *inPlace[T]) States(mem *Memory) {
	mem.Sweeps, mem.output, mem.streams = 0, 0, cursor{}
	for k := range e.program.Segments {
		s := &e.program.Segments[k]
		if s.Sweeps == 0 {
			e.level(mem, s)
		} else {
			e.loop(mem, s)
		}
	}
}

func (e *inPlace[T]) level(mem *Memory, s *Segment) {
	p, q := e.program, activations[T](mem)
	for i := s.First; i < s.End; i++ {
		row := &p.Rows[i]
		value, saturated := p.state(row, row.accumulator(e.sum(&mem.streams, row, q, 0, len(q))))
		q[len(p.Inputs)+i] = T(value)
		mem.Saturations += saturated
	}
}

// loop walks the loop's rows once for what comes from outside, then once a sweep.
func (e *inPlace[T]) loop(mem *Memory, s *Segment) {
	p, q := e.program, activations[T](mem)
	first, end := len(p.Inputs)+s.First, len(p.Inputs)+s.End
	states := q[first:end]
	following, external := sweepResults[T](mem)[:len(states)], mem.External[:len(states)]
	begin := mem.streams
	for k := range states {
		row := &p.Rows[s.First+k]
		external[k] = e.sum(&mem.streams, row, q, 0, first)
		states[k] = T(row.start())
	}
	for moved, sweep := true, uint32(0); moved && sweep < s.Sweeps; sweep++ {
		moved = false
		mem.streams = begin
		for k := range following {
			row := &p.Rows[s.First+k]
			value, saturated := p.state(row, row.accumulator(external[k]+e.sum(&mem.streams, row, q, first, end)))
			following[k] = T(value)
			moved = moved || following[k] != states[k]
			mem.Saturations += saturated
		}
		copy(states, following)
		mem.Sweeps++
	}
}

// Outputs computes the next len(dst) outputs.
func (e *inPlace[T]) Outputs(mem *Memory, dst []int32) {
	p, q := e.program, activations[T](mem)
	for k := range dst {
		row := &p.Rows[p.States+mem.output+k]
		dst[k] = row.output(row.accumulator(e.sum(&mem.streams, row, q, 0, len(q))))
	}
	mem.output += len(dst)
}

// sum walks one row and returns Σ w·q over its columns from first to end−1, for one plane modulo 2³²; the
// cursor moves on to the next row.
func (e *inPlace[T]) sum(at *cursor, row *Row, q []T, first, end int) (sum int64) {
	length, lengths := uvarint(e.streams.Lengths, at.lengths)
	values := e.streams.Values[at.values : at.values+length]
	read := 0
	if row.Planes == 1 {
		var sum32 int32
		sum32, read = walk32(e.streams.Gaps[at.gaps:], values, q[first:end], -first)
		sum = int64(sum32)
	} else {
		sum, read = walk64(e.streams.Gaps[at.gaps:], values, e.streams.Low[at.low:at.low+length], q[first:end], -first)
		at.low += length
	}
	at.lengths, at.gaps, at.values = lengths, at.gaps+read, at.values+length
	return sum
}
