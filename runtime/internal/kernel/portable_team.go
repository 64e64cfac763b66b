package kernel

// partEntries is about how many entries a part has: enough to be worth a claim, some microseconds.
var partEntries = 1 << 11 // tests take less

// Phases of a portable model: segment k has the phases 2k (a level, or what a loop gets from outside)
// and 2k+1 (a loop's sweep).

// divide has nothing to prepare.
func (e *portable[T]) divide() {}

// parts returns how many parts each phase has.
func (e *portable[T]) parts() []uint32 {
	var counts []uint32
	for _, s := range e.program.Segments {
		count := uint32(1)
		if entries := int(e.extents[s.End-1].end - e.extents[s.First].first); entries > partEntries {
			count = uint32(min(entries/partEntries, s.End-s.First))
		}
		counts = append(counts, count, count)
	}
	return counts
}

// part computes a part of a phase: an equal share of its rows.
func (e *portable[T]) part(mem *Memory, _ *progress, phase, k int) (saturations uint64, moved bool) {
	s := &e.program.Segments[phase/2]
	count, rows := int(mem.Team.counts[phase]), s.End-s.First
	first, end := s.First+rows*k/count, s.First+rows*(k+1)/count
	switch {
	case s.Sweeps == 0:
		return e.level(mem, first, end), false
	case phase%2 == 0:
		e.begin(mem, s, first, end)
		return 0, false
	}
	return e.sweep(mem, s, first, end)
}

// statesTogether is States with a team.
func (e *portable[T]) statesTogether(mem *Memory) {
	t := mem.Team
	t.begin(mem)
	for k := range e.program.Segments {
		s := &e.program.Segments[k]
		t.run(2 * k)
		for moved, sweep := true, uint32(0); moved && sweep < s.Sweeps; sweep++ {
			moved = t.run(2*k + 1)
			e.endSweep(mem, s)
		}
	}
	mem.Saturations += t.end()
}
