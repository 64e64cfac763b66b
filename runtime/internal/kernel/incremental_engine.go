package kernel

// How engines take part in updates: single activations are set, and States begins at a later segment.

// Set stores activation j.
func (in inputs[T]) Set(mem *Memory, j int, q uint16) { activations[T](mem)[j] = T(q) }

// Resume computes the segments from k on, alone but for a whole inference.
func (e *portable[T]) Resume(mem *Memory, k int) int {
	if k == 0 {
		e.States(mem)
		return 0
	}
	mem.output = 0
	for i := k; i < len(e.program.Segments); i++ {
		s := &e.program.Segments[i]
		if s.Sweeps == 0 {
			mem.Saturations += e.level(mem, s.First, s.End)
		} else {
			e.loop(mem, s)
		}
	}
	return k
}

// Resume computes all segments: where the rows of a later one lie is known only when the earlier ones have
// been walked.
func (e *inPlace[T]) Resume(mem *Memory, _ int) int {
	e.States(mem)
	return 0
}

// Set stores activation j.
func (w *windows) Set(mem *Memory, j int, q uint16) {
	at := 0
	if states := j - len(w.inputAt); states >= 0 {
		at = int(w.stateAt[states])
	} else {
		at = int(w.inputAt[j])
	}
	w.set(mem, at, q)
}

// Resume computes the segments from k on, and all outputs; alone but for a whole inference.
func (w *windows) Resume(mem *Memory, k int) int {
	if k == 0 {
		w.States(mem)
		return 0
	}
	mem.output = 0
	p := &mem.progress
	*p = progress{command: w.segmentAt[k], end: uint32(len(w.commands))}
	w.runTo(mem, p)
	mem.Sweeps += p.sweeps
	mem.Saturations += p.saturations
	return k
}
