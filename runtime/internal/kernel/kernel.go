// Package kernel computes the integers of an inference: accumulators, requantisation, the schedule of
// levels and loops. There is one table of kernels; the portable one is the specification of all others.
//
// It promises that every kernel gives the bits of the portable one, saturation counts and sweeps
// included; that nothing allocates after packing; and that a packed model is never written again, so
// that goroutines may share it. It must never know files or what an output means, and of real numbers the
// inputs only: a Program that reaches it has been checked by whoever made it.
package kernel

import (
	"slices"

	"github.com/sparse-implicit/sim/format/quant"
)

// Program is what a kernel runs, apart from the weights. Activations are numbered inputs first, then
// states; rows are numbered states first, then outputs.
type Program struct {
	Width quant.Width

	// SourceInputs is how many numbers a caller hands over, Inputs those of them that are read, Source
	// ascending.
	SourceInputs int
	Inputs       []Input

	States   int
	Rows     []Row // States + outputs
	Segments []Segment
	Tables   [][]uint16 // each of Width.TableLen() entries
}

// Input says which of the caller's numbers an input is, and how a real one becomes q in [0, Q].
type Input struct {
	// Source is its index in what the caller hands over.
	Source int32

	// A real input u becomes q = clamp(⌊u/Scale + ½⌋ + Zero, 0, Q): quant.InputFromReal.
	Scale float32
	Zero  int32
}

// Outputs returns the number of outputs.
func (p *Program) Outputs() int { return len(p.Rows) - p.States }

// Activations returns how many activations an inference holds: inputs and states.
func (p *Program) Activations() int { return len(p.Inputs) + p.States }

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

// Buffers is what an inference writes, beside the counts in Memory. Each engine uses those that its Sizes
// give a length.
type Buffers struct {
	// Activations8 and Activations16 hold inputs and states, Next8 and Next16 a sweep's results: of 7 bits in
	// bytes, of 14 in words or, by the window layout, in two planes of bytes.
	Activations8  []uint8
	Next8         []uint8
	Activations16 []uint16
	Next16        []uint16

	// External is what a loop's rows get from outside the loop.
	External []int64

	// Outputs is for engines that compute states and outputs in one go.
	Outputs []int32
}

// Sizes is the length of each of Buffers.
type Sizes struct {
	// Elements, not bytes.
	Activations8, Next8, Activations16, Next16, External, Outputs int
}

// Memory is everything that an inference writes. It belongs to one inference at a time.
type Memory struct {
	Buffers

	// What the last inference reports. Inputs sets Saturations, States sets Sweeps and adds to Saturations.
	Sweeps      uint64
	Saturations uint64

	// Team, when there is one, computes with whoever calls States. It must be of the same engine.
	Team *Team

	output  int    // the next output to compute
	streams cursor // where its row begins; in place only

	progress progress // of the window layout
}

// Engine is a model packed for one kernel; it is safe for concurrent use. An inference is one of Quantise,
// Gather7, Gather14 and SetInputs, then States, then Outputs.
type Engine interface {
	// Sizes returns the lengths that buffers must have.
	Sizes() Sizes

	// Quantise turns real inputs into activations and counts those outside their range. src has
	// SourceInputs numbers. It returns the index of the first that is not finite, or −1.
	Quantise(mem *Memory, src []float32) int

	// Gather7 takes integer inputs for 7 bits: src has SourceInputs numbers; those that are read and are
	// above 127 are clamped and counted. Gather14 is the same for 14 bits and 16383.
	Gather7(mem *Memory, src []uint8)
	Gather14(mem *Memory, src []uint16)

	// SetInputs takes the inputs that are read, each in [0, Q], one after the other, as they are.
	SetInputs(mem *Memory, q []uint16)

	// States computes all states from the inputs.
	States(mem *Memory)

	// Outputs computes the next len(dst) outputs after States, beginning with output 0.
	Outputs(mem *Memory, dst []int32)

	// Resume is States from segment k of the program on, or from an earlier one, which it returns; what is before
	// stands in the activations. It adds to Sweeps and Saturations. The last k, behind all segments, only
	// prepares Outputs.
	Resume(mem *Memory, k int) int

	// Set stores activation j, an input or a state: after an inference has begun.
	Set(mem *Memory, j int, q uint16)

	// CopyStates stores the states in dst, in the program's order.
	CopyStates(mem *Memory, dst []uint16)

	// Bytes returns the memory that was packed, without Program and Streams.
	Bytes() int
}

// Kernel is one way to run a program.
type Kernel struct {
	Name   string
	Usable func() bool // whether this processor can run it

	// Pack packs a program and tells about how many nanoseconds an inference takes, to choose by. It
	// keeps a reference to the program, none to the streams.
	Pack func(*Program, *Streams) (Engine, float64)
}

// Portable is the name of the kernel that runs everywhere.
const Portable = "portable"

// kernels is the dispatch table, the best kernel first; the last one is the portable one. Kernels in
// assembly put themselves before it, in files that the build tags noasm and purego leave out.
var kernels = []Kernel{{Name: Portable, Usable: func() bool { return true }, Pack: packPortable}}

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

// Find returns the kernel of this name if this processor can run it.
func Find(name string) (Kernel, bool) {
	k := slices.IndexFunc(kernels, func(k Kernel) bool { return k.Usable() && k.Name == name })
	if k < 0 {
		return Kernel{}, false
	}
	return kernels[k], true
}

// Choose packs a program for the best kernel that this processor can run and the portable one, keeps
// the faster by their own estimates and returns it with its name and its estimate.
func Choose(p *Program, s *Streams) (string, Engine, float64) {
	best := kernels[slices.IndexFunc(kernels, func(k Kernel) bool { return k.Usable() })]
	engine, cost := best.Pack(p, s)
	if best.Name == Portable || cost < portableCost(p, s) {
		return best.Name, engine, cost
	}
	engine, cost = packPortable(p, s)
	return Portable, engine, cost
}
