package kernel

// partSteps is about how many steps a part has: enough to be worth a claim, about a microsecond.
var partSteps uint32 = 1 << 8 // tests take less

// windowPhase is a run of commands whose slices do not depend on each other, cut into parts: part k has
// the commands bounds[k] to bounds[k+1]−1.
type windowPhase struct{ bounds []uint32 }

// divide cuts the commands into phases, those that no team shares (the beginning of a loop and the
// end of a sweep) left out.
func (w *windows) divide() {
	for first := 0; first < len(w.commands); {
		c := &w.commands[first]
		end := first + 1
		if c.op == opBegin || c.op == opEnd {
			first = end
			continue
		}
		phase := windowPhase{bounds: []uint32{uint32(first)}}
		steps := c.steps
		for ; end < len(w.commands) && w.commands[end].op == c.op && w.commands[end].segment == c.segment; end++ {
			if steps >= partSteps {
				phase.bounds = append(phase.bounds, uint32(end))
				steps = 0
			}
			steps += w.commands[end].steps
		}
		phase.bounds = append(phase.bounds, uint32(end))
		w.phases = append(w.phases, phase)
		first = end
	}
}

// parts returns how many parts each phase has.
func (w *windows) parts() []uint32 {
	counts := make([]uint32, len(w.phases))
	for k := range counts {
		counts[k] = uint32(len(w.phases[k].bounds) - 1)
	}
	return counts
}

// part computes a part of a phase.
func (w *windows) part(mem *Memory, p *progress, phase, k int) (saturations uint64, moved bool) {
	bounds := w.phases[phase].bounds
	*p = progress{command: bounds[k], end: bounds[k+1]}
	w.runTo(mem, p)
	return p.saturations, p.moved != 0
}

// runTo executes commands until p.end.
func (w *windows) runTo(mem *Memory, p *progress) {
	for p.command < p.end {
		p.budget = w.budget
		w.kernel.execute(w, mem, p)
	}
}

// statesTogether is States with a team: the calling goroutine begins loops and ends sweeps.
func (w *windows) statesTogether(mem *Memory) {
	t := mem.Team
	t.begin(mem)
	p := &mem.progress
	*p = progress{}
	phase := 0
	for int(p.command) < len(w.commands) {
		c := &w.commands[p.command]
		p.command++
		switch c.op {
		case opBegin:
			w.beginLoop(c, mem, p)
		case opEnd:
			w.endSweep(c, mem, p)
			if p.command == c.target {
				phase--
			}
		default:
			if t.run(phase) {
				p.moved = 1
			}
			bounds := w.phases[phase].bounds
			p.command = bounds[len(bounds)-1]
			phase++
		}
	}
	mem.Sweeps = p.sweeps
	mem.Saturations += t.end()
}
