package kernel

import (
	"math"
	"math/bits"
)

// Stream is what a session keeps from one update to the next. Its inputs are always current. Of the
// accumulators those of the first `valid` segments are (and those of the outputs, where valid is one more than
// there are segments); behind them the engine computes.
//
// Before what has moved is added to rows of a segment, the time that it takes is compared with the engine's from
// that segment on; where the engine is faster, it goes on, and the accumulators from there on are lost. They are
// made anew once the engine has worked for as long as that takes, which costs at most as much again;
// and each time that it did not pay, the stream waits twice as long.
type Stream struct {
	columns *Columns

	current []uint16 // activations: the inputs; states of valid segments
	sums    []int64  // of each row: the accumulator; in loops, unless warm, of a sweep from the start
	sweep   []int64  // of a loop's rows: accumulators of the current sweep
	outputs []int32
	marks   []uint8  // 1: a row whose accumulator has got something
	clipped []uint8  // 1: an activation that is clamped and counts
	before  []uint16 // of the inputs that have moved, and of a loop's states: what they were
	moved   []uint8  // 1: an input that is in moves
	moves   []move   // of the inputs, or of the segment that was computed last
	records []record // of each segment
	inputs  uint64   // saturated inputs

	valid    int
	fresh    bool    // accumulators have just been made of zero activations
	own      bool    // outputs are the stream's, not the engine's
	owed     float64 // nanoseconds that the engine has worked since accumulators were lost
	gained   float64 // nanoseconds that updates have saved since, less what it took to make them anew
	patience float64 // owed ≥ patience·rebuild makes them anew

	// Touched is how many entries of columns updates have added so far.
	Touched uint64
}

// move is an activation that has moved by delta.
type move struct {
	activation, delta int32
}

// record is what a segment reports.
type record struct {
	sweeps, saturations uint64
}

// NewStream returns a stream whose inputs must be set by SetAll.
func (c *Columns) NewStream() *Stream {
	p := c.program
	s := &Stream{
		columns: c, current: make([]uint16, p.Activations()), sums: make([]int64, len(p.Rows)), outputs: make([]int32, p.Outputs()),
		marks: make([]uint8, len(p.Rows)), clipped: make([]uint8, p.Activations()), moved: make([]uint8, len(p.Inputs)),
		before: make([]uint16, max(len(p.Inputs), p.LargestLoop())), moves: make([]move, 0, c.largest+1),
		records: make([]record, len(p.Segments)), patience: 1,
	}
	if !c.warm {
		s.sweep = make([]int64, p.LargestLoop())
	}
	return s
}

// StreamBytes returns the memory of a stream.
func (c *Columns) StreamBytes() int {
	p := c.program
	bytes := 2*p.Activations() + 8*len(p.Rows) + 4*p.Outputs() + len(p.Rows) + p.Activations() + len(p.Inputs) +
		2*max(len(p.Inputs), p.LargestLoop()) + 8*(c.largest+1) + 16*len(p.Segments)
	if !c.warm {
		bytes += 8 * p.LargestLoop()
	}
	return bytes
}

// Set changes input k, one of those that are read, to q in [0, Q]; clipped is 1 when it was clamped, else 0.
func (s *Stream) Set(mem *Memory, k int, q uint16, clipped uint8) {
	s.inputs += uint64(clipped) - uint64(s.clipped[k])
	s.clipped[k] = clipped
	if s.current[k] == q {
		return
	}
	if s.moved[k] == 0 {
		s.moved[k], s.before[k] = 1, s.current[k]
		s.moves = append(s.moves, move{activation: int32(k)})
	}
	s.current[k] = q
	s.columns.engine.Set(mem, k, q)
}

// Input returns what Set has set of input k.
func (s *Stream) Input(k int) (q uint16, clipped uint8) { return s.current[k], s.clipped[k] }

// SetAll takes all inputs anew: value returns q and clipped of input k. Nothing of what the stream held is kept. It
// must not stand between Set and States.
func (s *Stream) SetAll(mem *Memory, value func(k int) (q uint16, clipped uint8)) {
	s.inputs = 0
	for k := range s.columns.program.Inputs {
		s.current[k], s.clipped[k] = value(k)
		s.inputs += uint64(s.clipped[k])
	}
	s.columns.engine.SetInputs(mem, s.current[:len(s.columns.program.Inputs)])
	s.lose(0)
}

// lose gives up the accumulators from segment k on.
func (s *Stream) lose(k int) {
	if s.valid > len(s.records) {
		s.patience = min(2*s.patience, 1<<16)
		if s.gained > 0 {
			s.patience = 1
		}
		s.gained, s.owed = 0, 0
	}
	s.valid = k
}

// rowsBefore returns how many rows the first k segments have; beyond all segments there are the outputs.
func (s *Stream) rowsBefore(k int) int {
	p := s.columns.program
	switch {
	case k == 0:
		return 0
	case k <= len(p.Segments):
		return p.Segments[k-1].End
	}
	return len(p.Rows)
}

// States computes all states, and with Outputs what a full inference from the current inputs would give; mem
// gets its Sweeps and Saturations.
func (s *Stream) States(mem *Memory) {
	c, p := s.columns, s.columns.program
	s.inputMoves()
	all := len(p.Segments) + 1
	engine := 1.0
	if s.valid < all && (c.alone() || s.owed >= s.patience*c.rebuild) {
		s.restart(mem)
		engine = math.Inf(1)
	}
	s.run(mem, engine)
	s.fresh = false
	if s.valid == all {
		s.own = true
		s.gained += c.resume[0]
	}
}

// inputMoves completes the list of what has moved.
func (s *Stream) inputMoves() {
	kept := s.moves[:0]
	for _, m := range s.moves {
		k := m.activation
		s.moved[k] = 0
		if m.delta = int32(s.current[k]) - int32(s.before[k]); m.delta != 0 {
			kept = append(kept, m)
		}
	}
	s.moves = kept
}

// restart makes all accumulators those of zero activations, and lists all inputs as moved from there.
func (s *Stream) restart(mem *Memory) {
	p := s.columns.program
	copy(s.sums, s.columns.base)
	for i := range s.marks {
		s.marks[i] = 1
	}
	n := len(p.Inputs)
	clear(s.current[n:])
	clear(s.clipped[n:])
	clear(s.records)
	for i := range p.States {
		s.columns.engine.Set(mem, n+i, 0)
	}
	s.moves = s.moves[:0]
	for k, q := range s.current[:n] {
		if q != 0 {
			s.moves = append(s.moves, move{int32(k), int32(q)})
		}
	}
	s.valid, s.fresh = len(p.Segments)+1, true
}

// run takes what has moved through the segments, and leaves the rest to the engine from where that is expected
// to be faster. With engine = +Inf it never is.
func (s *Stream) run(mem *Memory, engine float64) {
	p := s.columns.program
	for k := 0; ; k++ {
		cost := s.cost(k)
		if k == s.valid || cost > engine*s.columns.resume[k] {
			s.resume(mem, k)
			return
		}
		s.gained -= cost
		s.addMoves(k)
		if k == len(p.Segments) {
			break
		}
		s.compute(mem, k)
	}
	marks := s.marks[p.States:]
	for k := next(marks, 0); k < len(marks); k = next(marks, k+1) {
		marks[k] = 0
		s.outputs[k] = p.Rows[p.States+k].output(s.sums[p.States+k])
	}
	mem.Sweeps, mem.Saturations = 0, 0
	s.report(mem, len(s.records))
}

// entries returns which entries of a column lie in rows behind the activation's own segment.
func (s *Stream) entries(activation int32) (first, end uint32) {
	c := s.columns
	first, end = c.first[activation], c.first[activation+1]
	if state := int(activation) - len(c.program.Inputs); state >= 0 {
		first = c.outer[state]
	}
	return first, end
}

// cost estimates the nanoseconds that it takes to add the moves before segment k and to compute what then has
// to be.
func (s *Stream) cost(k int) float64 {
	count := 0
	for _, m := range s.moves {
		first, end := s.entries(m.activation)
		count += int(end - first)
	}
	cost := moveCost*float64(len(s.moves)) + entryCost*float64(count) + rowCost*float64(min(count, s.rowsBefore(s.valid)-s.rowsBefore(k)))
	if k < len(s.records) && s.columns.loops[k] > 0 && (count > 0 || s.marked(k)) {
		cost += s.columns.loops[k]
	}
	return cost
}

// marked reports whether a row of segment k has to be computed.
func (s *Stream) marked(k int) bool {
	marks := s.marks[s.rowsBefore(k):s.rowsBefore(k+1)]
	return next(marks, 0) < len(marks)
}

// addMoves adds what has moved before segment k to all rows that are kept.
func (s *Stream) addMoves(k int) {
	kept := s.rowsBefore(s.valid)
	sums, marks := s.sums[:kept], s.marks[:kept]
	for _, m := range s.moves {
		first, end := s.entries(m.activation)
		s.columns.add(first, end, 0, sums, marks, m.delta)
		s.Touched += uint64(end - first)
	}
	s.moves = s.moves[:0]
}

// compute brings the states of segment k up to date and lists those that move.
func (s *Stream) compute(mem *Memory, k int) {
	segment, report := &s.columns.program.Segments[k], &s.records[k]
	switch {
	case segment.Sweeps == 0:
		s.requantise(segment, s.sums[segment.First:segment.End], &report.saturations)
	case s.marked(k):
		s.loop(segment, report)
	}
	for _, m := range s.moves {
		s.columns.engine.Set(mem, int(m.activation), s.current[m.activation])
	}
}

// requantise computes the marked states of a segment from the sums of its rows, lists those that move and keeps
// count of those that are clipped. Whether a state moves can hardly be foretold, so that there is no branch: each
// move is written, and counted if it is one (BenchmarkUpdate).
func (s *Stream) requantise(segment *Segment, sums []int64, clipped *uint64) {
	p := s.columns.program
	begin := len(p.Inputs) + segment.First
	marks := s.marks[segment.First:segment.End]
	rows, sums := p.Rows[segment.First:segment.End], sums[:len(marks)]
	current, flags := s.current[begin:][:len(marks)], s.clipped[begin:][:len(marks)]
	moves, count, saturations := s.moves[:cap(s.moves)], len(s.moves), *clipped
	for from := 0; from < len(marks); from += 8 {
		for word := takeMarks(marks, from); word != 0; word &= word - 1 {
			k := from + bits.TrailingZeros64(word)/8
			q, saturated := p.branchless(&rows[k], sums[k])
			before := current[k]
			saturations += saturated - uint64(flags[k])
			current[k], flags[k] = q, uint8(saturated)
			moves[count] = move{int32(begin + k), int32(q) - int32(before)}
			moved := 0
			if q != before {
				moved = 1
			}
			count += moved
		}
	}
	s.moves, *clipped = moves[:count], saturations
}

// branchless is state, without branches where there is no table: rows come in no order that a processor could
// learn their signs and clamps from.
func (p *Program) branchless(r *Row, acc int64) (q uint16, saturations uint64) {
	if r.Table != NoTable {
		return p.state(r, acc)
	}
	m, s := int64(r.Multiplier.M), r.Multiplier.S
	if acc < 0 {
		m = int64(r.Negative.M)
	}
	if acc < 0 {
		s = r.Negative.S
	}
	t := (acc*m+1<<((s-1)&63))>>(s&63) + int64(r.Zero)
	clamped := min(max(t, int64(r.Lo)), int64(r.Hi))
	low, high := uint64(r.CountLow), uint64(r.CountHigh)
	if t >= clamped {
		low = 0
	}
	if t <= clamped {
		high = 0
	}
	return uint16(clamped), low + high
}

// takeMarks clears eight marks, as far as there are so many, and returns them, the first in the lowest byte.
func takeMarks(marks []uint8, from int) (word uint64) {
	if from+8 > len(marks) {
		for k, mark := range marks[from:] {
			word |= uint64(mark) << (8 * k)
		}
		clear(marks[from:])
		return word
	}
	m := marks[from : from+8 : from+8]
	word = uint64(m[0]) | uint64(m[1])<<8 | uint64(m[2])<<16 | uint64(m[3])<<24 |
		uint64(m[4])<<32 | uint64(m[5])<<40 | uint64(m[6])<<48 | uint64(m[7])<<56
	m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7] = 0, 0, 0, 0, 0, 0, 0, 0
	return word
}

// resume leaves segment k and all behind it to the engine.
func (s *Stream) resume(mem *Memory, k int) {
	s.own = false
	s.moves = s.moves[:0]
	if k < s.valid {
		s.lose(k)
	}
	s.owed += s.columns.resume[k]
	mem.Sweeps, mem.Saturations = 0, 0
	s.report(mem, s.columns.engine.Resume(mem, k))
}

// report adds what the first k segments report, and the inputs.
func (s *Stream) report(mem *Memory, k int) {
	mem.Saturations += s.inputs
	for _, r := range s.records[:k] {
		mem.Sweeps += r.sweeps
		mem.Saturations += r.saturations
	}
}

// Outputs stores the outputs from `first` on in dst. After States they are taken in order, each once.
func (s *Stream) Outputs(mem *Memory, dst []int32, first int) {
	if s.own {
		copy(dst, s.outputs[first:])
		return
	}
	s.columns.engine.Outputs(mem, dst)
}

// next returns the first k ≥ from with marks[k] ≠ 0, or len(marks).
func next(marks []uint8, from int) int {
	for from+8 <= len(marks) {
		m := marks[from : from+8 : from+8]
		if uint64(m[0])|uint64(m[1])<<8|uint64(m[2])<<16|uint64(m[3])<<24|uint64(m[4])<<32|uint64(m[5])<<40|uint64(m[6])<<48|uint64(m[7])<<56 != 0 {
			break
		}
		from += 8
	}
	for from < len(marks) && marks[from] == 0 {
		from++
	}
	return from
}
