package kernel

// inPlace runs a model from the file's own streams: nothing is packed, and rows are walked in order.
type inPlace[T Activation] struct {
	program *Program
	streams *Streams
}

// InPlace7 returns the in-place engine of a 7-bit model. It keeps references to both arguments.
func InPlace7(p *Program, s *Streams) Engine[uint8] { return &inPlace[uint8]{p, s} }

// InPlace14 returns the in-place engine of a 14-bit model. It keeps references to both arguments.
func InPlace14(p *Program, s *Streams) Engine[uint16] { return &inPlace[uint16]{p, s} }

// Bytes returns 0: nothing is packed (what Load had to decompress is not the kernel's).
func (e *inPlace[T]) Bytes() int { return 0 }

// States computes all states and leaves the cursor at the first output.
func (e *inPlace[T]) States(mem *Memory[T]) {
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

func (e *inPlace[T]) level(mem *Memory[T], s *Segment) {
	p, q := e.program, mem.Activations
	for i := s.First; i < s.End; i++ {
		row := &p.Rows[i]
		value, saturated := p.state(row, row.accumulator(e.sum(&mem.streams, row, q, 0, len(q))))
		q[p.Inputs+i] = T(value)
		mem.Saturations += saturated
	}
}

// loop walks the loop's rows once for what comes from outside, then once a sweep.
func (e *inPlace[T]) loop(mem *Memory[T], s *Segment) {
	p, q := e.program, mem.Activations
	first, end := p.Inputs+s.First, p.Inputs+s.End
	states := q[first:end]
	next, external := mem.Next[:len(states)], mem.External[:len(states)]
	begin := mem.streams
	for k := range states {
		row := &p.Rows[s.First+k]
		external[k] = e.sum(&mem.streams, row, q, 0, first)
		states[k] = T(row.start())
	}
	for moved, sweep := true, uint32(0); moved && sweep < s.Sweeps; sweep++ {
		moved = false
		mem.streams = begin
		for k := range next {
			row := &p.Rows[s.First+k]
			value, saturated := p.state(row, row.accumulator(external[k]+e.sum(&mem.streams, row, q, first, end)))
			next[k] = T(value)
			moved = moved || next[k] != states[k]
			mem.Saturations += saturated
		}
		copy(states, next)
		mem.Sweeps++
	}
}

// Outputs computes the next len(dst) outputs.
func (e *inPlace[T]) Outputs(mem *Memory[T], dst []int32) {
	p, q := e.program, mem.Activations
	for k := range dst {
		row := &p.Rows[p.States+mem.output+k]
		dst[k] = row.output(row.accumulator(e.sum(&mem.streams, row, q, 0, len(q))))
	}
	mem.output += len(dst)
}

// sum walks one row and returns Σ w·q over its columns from first to end−1; the cursor moves on to the
// next row. It is rowReader's loop with everything in registers: three times as fast (BenchmarkInfer).
func (e *inPlace[T]) sum(at *cursor, row *Row, q []T, first, end int) int64 {
	length, lengths := uvarint(e.streams.Lengths, at.lengths)
	gaps, gap := e.streams.Gaps, at.gaps
	values := e.streams.Values[at.values : at.values+length]
	var low []byte
	if row.Planes == 2 {
		low = e.streams.Low[at.low : at.low+length]
	}
	q = q[first:end]
	var sum int64
	column := -1 - first // within q
	for k, v := range values {
		distance := int(gaps[gap])
		gap++
		if distance >= 0x80 {
			distance, gap = uvarint(gaps, gap-1)
		}
		column += 1 + distance
		if uint(column) >= uint(len(q)) {
			continue
		}
		weight := int32(int8(v))
		if low != nil {
			weight = weight<<7 + int32(int8(low[k]))
		}
		sum += int64(weight * int32(q[column]))
	}
	*at = cursor{lengths: lengths, gaps: gap, values: at.values + length, low: at.low + len(low)}
	return sum
}
