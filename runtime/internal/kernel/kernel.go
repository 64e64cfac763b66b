// Package kernel computes the integers of an inference: accumulators, requantisation, the schedule of
// levels and loops. There is one table of kernels; the portable one is the specification of all others.
//
// It promises that every kernel gives the bits of the portable one, saturation counts and sweeps
// included; that nothing allocates after packing; and that a packed model is never written again, so
// that goroutines may share it. It must never know files, real numbers or what an output means: a
// Program that reaches it has been checked by whoever made it.
package kernel

import (
	"slices"

	"github.com/sparse-implicit/sim/format/quant"
)

// Program is what a kernel runs, apart from the weights. Activations are numbered inputs first, then
// states; rows are numbered states first, then outputs.
type Program struct {
	Width    quant.Width
	Inputs   int
	States   int
	Rows     []Row // States + outputs
	Segments []Segment
	Tables   [][]uint16 // each of Width.TableLen() entries
}

// Outputs returns the number of outputs.
func (p *Program) Outputs() int { return len(p.Rows) - p.States }

// Activations returns how many activations an inference holds: inputs and states.
func (p *Program) Activations() int { return p.Inputs + p.States }

// LargestLoop returns the number of states of the largest loop.
func (p *Program) LargestLoop() int {
	largest := 0
	for _, s := range p.Segments {
		if s.Sweeps > 0 {
			largest = max(largest, s.End-s.First)
		}
	}
	return largest
}

// Segment is a piece of the schedule: the states First to End−1.
type Segment struct {
	First, End int
	Sweeps     uint32 // 0: a level; K ≥ 1: a loop of at most K sweeps
}

// Activation is the type of an activation in memory: uint8 for 7 bits, uint16 for 14 bits.
type Activation interface{ uint8 | uint16 }

// Memory is everything that an inference writes. It belongs to one inference at a time.
type Memory[T Activation] struct {
	Activations []T     // length Program.Activations(); the inputs are filled in by the caller
	Next        []T     // length Program.LargestLoop(): a sweep's results
	External    []int64 // length Program.LargestLoop(): what a loop's rows get from outside the loop

	// What the last inference reports. States sets Sweeps and adds to Saturations.
	Sweeps      uint64
	Saturations uint64

	output  int    // the next output to compute
	streams cursor // where its row begins; in place only
}

// Engine is a model packed for one kernel; it is safe for concurrent use.
type Engine[T Activation] interface {
	// States computes all states from the inputs in mem.Activations.
	States(mem *Memory[T])

	// Outputs computes the next len(dst) outputs after States, beginning with output 0.
	Outputs(mem *Memory[T], dst []int32)

	// Bytes returns the memory that was packed, without Program and Streams.
	Bytes() int
}

// Kernel is one way to run a program.
type Kernel struct {
	Name   string
	Usable func() bool // whether this processor can run it
	Pack7  func(*Program, *Streams) Engine[uint8]
	Pack14 func(*Program, *Streams) Engine[uint16]
}

// Portable is the name of the kernel that runs everywhere.
const Portable = "portable"

// kernels is the dispatch table, the best kernel first; the last one is the portable one. Kernels in
// assembly put themselves before it, in files that the build tags noasm and purego leave out.
var kernels = []Kernel{{
	Name:   Portable,
	Usable: func() bool { return true },
	Pack7:  packPortable[uint8],
	Pack14: packPortable[uint16],
}}

// Names returns the names of the kernels that this processor can run, the best first.
func Names() []string {
	var names []string
	for _, k := range kernels {
		if k.Usable() {
			names = append(names, k.Name)
		}
	}
	return names
}

// Choose returns the kernel of this name if this processor can run it, the best one for the empty name.
func Choose(name string) (Kernel, bool) {
	k := slices.IndexFunc(kernels, func(k Kernel) bool { return k.Usable() && (name == "" || k.Name == name) })
	if k < 0 {
		return Kernel{}, false
	}
	return kernels[k], true
}
