package kernel

import (
	"runtime"
	"slices"
	"sync/atomic"
)

// Team is a session's goroutines beside the one that calls: they take parts of a phase, the slices of a
// level, until none is left. Which of them computes a part changes no bit, since parts write different
// states and counts are sums. A team never allocates after NewTeam.
//
// One word says all: the phase and the next part of it. Whoever moves it on by one has claimed that
// part, and the phase cannot end before the part is done; so it does not matter how old the word was that
// a goroutine had in mind.
type Team struct {
	helpers int
	wake    chan struct{}

	word        atomic.Uint64 // phase·2³² + next part, or idle
	done        atomic.Uint32 // parts of the phase that are done
	saturations atomic.Uint64
	moved       atomic.Uint32

	job    divided
	counts []uint32 // parts of each phase
	mem    *Memory  // written between inferences, read by whoever has claimed a part
	own    progress // of the calling goroutine
}

// divided is an engine whose phases can be computed in parts, in any order.
type divided interface {
	// divide prepares the engine, once, before parts and part are called.
	divide()

	// parts returns how many parts each phase has.
	parts() []uint32

	// part computes a part of a phase, with p as its own, and returns what saturated and whether a loop's state moved.
	part(mem *Memory, p *progress, phase, k int) (saturations uint64, moved bool)
}

// idle is the word between inferences.
const idle = ^uint64(0)

// spins is how often a goroutine looks for work before it lets others run: some microseconds.
const spins = 1 << 12

// Divide prepares an engine for teams. It must be called once, before any session uses the engine.
func Divide(e Engine) {
	if job, ok := e.(divided); ok {
		job.divide()
	}
}

// NewTeam starts helpers goroutines for sessions of an engine, one session at a time. They sleep until an
// inference; Close ends them. An engine that cannot be divided, or has nothing worth it, has no team: nil.
// Any other must have been divided.
func NewTeam(e Engine, helpers int) *Team {
	job, ok := e.(divided)
	if !ok || helpers < 1 {
		return nil
	}
	counts := job.parts()
	if !slices.ContainsFunc(counts, func(count uint32) bool { return count > 1 }) {
		return nil
	}
	t := &Team{helpers: helpers, wake: make(chan struct{}, helpers), job: job, counts: counts}
	t.word.Store(idle)
	for range helpers {
		go t.help()
	}
	return t
}

// Close ends the goroutines once they are done. The team must not be used afterwards.
func (t *Team) Close() { close(t.wake) }

// help sleeps until it is woken and then takes parts until the inference is over.
func (t *Team) help() {
	own := new(progress)
	for range t.wake {
		for tries := 1; ; tries++ {
			word := t.word.Load()
			if word == idle {
				break
			}
			if !t.take(word, own) && tries%spins == 0 {
				runtime.Gosched()
			}
		}
	}
}

// take claims the next part of the phase and computes it; it reports whether there was one.
func (t *Team) take(word uint64, own *progress) bool {
	phase, part := word>>32, uint32(word)
	if part >= t.counts[phase] || !t.word.CompareAndSwap(word, word+1) {
		return false
	}
	saturations, moved := t.job.part(t.mem, own, int(phase), int(part))
	if saturations != 0 {
		t.saturations.Add(saturations)
	}
	if moved {
		t.moved.Store(1)
	}
	t.done.Add(1)
	return true
}

// begin makes ready for an inference.
func (t *Team) begin(mem *Memory) {
	t.mem = mem
	t.saturations.Store(0)
}

// call wakes sleepers; those that are awake already find a token later and nothing to do.
func (t *Team) call() {
	for range t.helpers {
		select {
		case t.wake <- struct{}{}:
		default:
			return
		}
	}
}

// run computes a phase and reports whether a loop's state moved. What has one part only is not worth a call.
func (t *Team) run(phase int) (moved bool) {
	count := t.counts[phase]
	if count <= 1 {
		saturations := uint64(0)
		if count == 1 {
			saturations, moved = t.job.part(t.mem, &t.own, phase, 0)
		}
		t.saturations.Add(saturations)
		return moved
	}
	t.moved.Store(0)
	t.done.Store(0)
	if first := t.word.Swap(uint64(phase)<<32) == idle; first {
		t.call()
	}
	for word := t.word.Load(); uint32(word) < count; word = t.word.Load() {
		t.take(word, &t.own)
	}
	for tries := 1; t.done.Load() < count; tries++ {
		if tries%spins == 0 {
			runtime.Gosched()
		}
	}
	return t.moved.Load() != 0
}

// end lets the team sleep and returns what saturated. Nothing of the session is kept.
func (t *Team) end() (saturations uint64) {
	t.word.Store(idle)
	t.mem = nil
	return t.saturations.Load()
}
