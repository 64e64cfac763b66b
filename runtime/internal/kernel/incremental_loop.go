package kernel

// loop computes the states of a loop, of which something outside has changed, and lists those that move in the
// end. It sweeps as a full inference does, from clamp(z, lo, hi), but adds only what moves from sweep to
// sweep. Warm it begins where the states are; and again from clamp(z, lo, hi) if that does not come to
// rest.
func (s *Stream) loop(segment *Segment, report *record) {
	first, end := len(s.columns.program.Inputs)+segment.First, len(s.columns.program.Inputs)+segment.End
	states := s.current[first:end]
	before := s.before[:len(states)]
	copy(before, states)
	sums := s.sums[segment.First:segment.End]
	*report = record{}
	switch {
	case !s.columns.warm:
		sums = s.sweep[:len(states)]
		copy(sums, s.sums[segment.First:segment.End])
		for k := range states {
			states[k] = s.columns.program.Rows[segment.First+k].start()
		}
		s.sweepUntilRest(segment, sums, report)
	case s.fresh || !s.sweepUntilRest(segment, sums, report):
		s.backToStart(segment, sums)
		report.saturations = 0
		s.sweepUntilRest(segment, sums, report)
	}
	clear(s.marks[segment.First:segment.End])
	s.moves = s.moves[:0]
	for k, q := range states {
		if q != before[k] {
			s.moves = append(s.moves, move{int32(first + k), int32(q) - int32(before[k])})
		}
	}
}

// sweepUntilRest sweeps until nothing moves, which it reports, or all sweeps are done. sums are the
// accumulators of the loop's rows for the states as they are; unless warm they are not those of the states in the
// end when all sweeps are done.
func (s *Stream) sweepUntilRest(segment *Segment, sums []int64, report *record) (rests bool) {
	first, end := len(s.columns.program.Inputs)+segment.First, len(s.columns.program.Inputs)+segment.End
	clipped := uint64(0)
	for _, flag := range s.clipped[first:end] {
		clipped += uint64(flag)
	}
	marks := s.marks[segment.First:segment.End]
	for k := range marks {
		marks[k] = 1
	}
	for sweep := uint32(1); ; sweep++ {
		s.moves = s.moves[:0]
		s.requantise(segment, sums, &clipped)
		report.sweeps++
		report.saturations += clipped
		switch {
		case len(s.moves) == 0:
			return true
		case sweep == segment.Sweeps && !s.columns.warm:
			return false
		}
		s.addWithin(segment, sums)
		if sweep == segment.Sweeps {
			return false
		}
	}
}

// addWithin adds what has moved to the sums of the loop's own rows.
func (s *Stream) addWithin(segment *Segment, sums []int64) {
	c := s.columns
	marks := s.marks[segment.First:segment.End]
	for _, m := range s.moves {
		first, end := c.first[m.activation], c.outer[int(m.activation)-len(c.program.Inputs)]
		c.add(first, end, segment.First, sums, marks, m.delta)
		s.Touched += uint64(end - first)
	}
}

// backToStart moves all states to where a full inference begins.
func (s *Stream) backToStart(segment *Segment, sums []int64) {
	p := s.columns.program
	s.moves = s.moves[:0]
	for i := segment.First; i < segment.End; i++ {
		q := &s.current[len(p.Inputs)+i]
		start := p.Rows[i].start()
		if start != *q {
			s.moves = append(s.moves, move{int32(len(p.Inputs) + i), int32(start) - int32(*q)})
			*q = start
		}
	}
	s.addWithin(segment, sums)
}
