package kernel

// cursor is a place in the streams where a row begins.
type cursor struct {
	lengths, gaps, values, low int
}

// inPlace runs a model from the file's own streams: nothing is packed, and rows are walked in order.
type inPlace[T Activation] struct {
	program *Program
	streams *Streams
}

// InPlace7 returns the in-place engine of a 7-bit model. It keeps references to both arguments.
func InPlace7(p *Program, s *Streams) Engine[uint8] { return &inPlace[uint8]{p, s} }

// InPlace14 returns the in-place engine of a 14-bit model. It keeps references to both arguments.
func InPlace14(p *Program, s *Streams) Engine[uint16] { return &inPlace[uint16]{p, s} }

// Bytes returns 0: nothing is packed.
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
		value, saturated := p.state(row, row.join(e.sums(&mem.streams, row, q, 0, len(q))))
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
		external[k] = pack(e.sums(&mem.streams, row, q, 0, first))
		states[k] = T(row.start())
	}
	for moved, sweep := true, uint32(0); moved && sweep < s.Sweeps; sweep++ {
		moved = false
		mem.streams = begin
		for k := range next {
			row := &p.Rows[s.First+k]
			hi, lo := unpack(external[k])
			innerHi, innerLo := e.sums(&mem.streams, row, q, first, end)
			value, saturated := p.state(row, row.join(hi+innerHi, lo+innerLo))
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
	p := e.program
	for k := range dst {
		row := &p.Rows[p.States+mem.output+k]
		dst[k] = row.output(row.join(e.sums(&mem.streams, row, mem.Activations, 0, len(mem.Activations))))
	}
	mem.output += len(dst)
}

// sums walks one row and returns Σ w·q, each plane modulo 2³², over its columns from first to end−1;
// the cursor moves on to the next row.
func (e *inPlace[T]) sums(c *cursor, row *Row, q []T, first, end int) (hi, lo int32) {
	s := e.streams
	length, lengths := uvarint(s.Lengths, c.lengths)
	values := s.Values[c.values : c.values+length]
	column, gaps := -1, c.gaps
	low := s.Low[c.low:]
	for k, v := range values {
		var gap int
		gap, gaps = uvarint(s.Gaps, gaps)
		column += 1 + gap
		if column < first || column >= end {
			continue
		}
		hi += int32(int8(v)) * int32(q[column])
		if row.Planes == 2 {
			lo += int32(int8(low[k])) * int32(q[column])
		}
	}
	c.lengths, c.gaps, c.values = lengths, gaps, c.values+length
	if row.Planes == 2 {
		c.low += length
		return hi, lo
	}
	return 0, hi
}

// uvarint reads a number in LEB128 at stream[at:] and returns it and where the next one begins. The
// stream has been checked: numbers are complete and small.
func uvarint(stream []byte, at int) (value, next int) {
	b := stream[at]
	value, next = int(b&0x7F), at+1
	for shift := 7; b >= 0x80; shift += 7 {
		b = stream[next]
		value |= int(b&0x7F) << shift
		next++
	}
	return value, next
}
