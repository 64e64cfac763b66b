package kernel

import "github.com/sparse-implicit/sim/format/quant"

// The window layout, from which the kernels in assembly run. Rows of a segment share slices of
// layout.rows rows; a slice is a list of steps. A step takes of every row of its slice up to four entries
// whose activations lie within layout.window consecutive bytes, starting anywhere: one permutation within
// registers gathers them, one dot product of bytes multiplies and adds. So activations of 14 bits lie in
// two planes of bytes, q = 128·hi + lo, and are computed with twice.
//
// An inference is a list of commands. interpret, in windows_generic.go, is the specification of every
// kernel that runs them.

// lanes is how many entries of a row a step takes.
const lanes = 4

// layout is the shape of a step, which an instruction set decides, and how inputs lie in memory.
type layout struct {
	rows   int // of a slice
	window int // bytes; at most 256
	group  int // slices of a command, which share windows; 0: each has a command of its own; see windows_groups.go

	// sourceOrder says that inputs lie where the caller has them, those that are not read included. Else
	// those that are read lie one after the other.
	sourceOrder bool
}

// The commands.
const (
	opLevel    = iota // computes the states of a slice
	opOutput          // computes the outputs of a slice
	opBegin           // begins a loop: its states start
	opExternal        // accumulates what a slice of a loop gets from outside of it
	opSweep           // computes a slice of a loop from the states of the sweep before
	opEnd             // ends a sweep: goes back to the first slice while something moved, K times at most
)

// Flags of a command. A flag that is not set promises that no row of the slice needs it.
const (
	flagTwoPlanes = 1 << iota // all rows of the slice have two planes of weights, else all have one
	flagTable                 // all states are computed through a table, else none
	flagNegative              // accumulators below zero have a multiplier of their own
	flagCounts                // a clamp may be a saturation
	flagHighHalf              // one plane, and all shifts at least highHalf: the high half of acc·M suffices
)

// highHalf: with one plane |acc·M| < 2⁶², so that for S ≥ 33 t = (h + 2^(S−33)) >> (S−32), h the high half of
// acc·M, all in 32 bits. Where M leaves room, M and S are packed as M·2^k and S+k with S+k = 33.
const highHalf = 33

// command is 64 bytes. Positions are bytes from the beginning of a plane of activations.
type command struct {
	op        uint32
	flags     uint32
	steps     uint32
	start     uint32 // of the first step, in windows.starts; of a group's first visit, in windows.visits
	data      uint32 // bytes from the beginning of windows.data
	constants uint32 // bytes from the beginning of windows.constants

	// Level: the position of the first state. Output: bytes from the beginning of Memory.Outputs. External
	// and sweep: bytes from the beginning of Memory.External; see externalBytes. Begin and end: the position
	// of the loop's first state.
	dest uint32

	next    uint32 // sweep: bytes from the beginning of a plane of Memory.Next8
	current uint32 // sweep: the position of the first state
	count   uint32 // begin and end: how many positions the loop's states take, a multiple of layout.rows; of a group its visits
	initial uint32 // begin: bytes from the beginning of windows.initial
	limit   uint32 // end: K
	target  uint32 // end: the command of the first slice to sweep
	segment uint32 // of the schedule; that after the last one for outputs
	slices  uint32 // of a group, at most maxGroup
	_       uint32
}

// The constants of a slice: arrays of layout.rows int32, one after the other. Rows that fill up a slice
// have all zero but a multiplier of 1 and a shift of 33.
const (
	constBias          = iota
	constMultiplier    // 1 to 2³¹−1
	constShift         // 1 to 62
	constLow           // lo − z: below it t is clamped
	constHigh          // hi − z
	constZero          // z, added after the clamp
	constCountLow      // −1 where a clamp at low is a saturation, else 0
	constCountHigh     //
	constNegative      // the multiplier of accumulators below zero
	constNegativeShift //
	constTable         // the first entry of the row's table, in windows.tables
	constants          // how many arrays there are
)

// externalBytes is what Memory.External holds for each row of a loop: two int32 arrays of layout.rows for
// each slice. One plane of weights: bias + Σ w·q, unused. Two: Σ w_lo·q, Σ w_hi·q.
const externalBytes = 8

// windows is a model packed into the window layout.
type windows struct {
	layout
	program *Program

	commands  []command
	segmentAt []uint32      // of every segment, and of the outputs, the first command
	starts    []uint32      // of every step, its window's position; not with groups
	visits    []windowVisit // of groups
	data      []byte        // of every step: rows·lanes indices within the window, as many weights, for two planes as many low weights
	constants []int32
	initial   []byte   // what the states of loops start from: of each loop one plane, or the low and the high one
	tables    []uint16 // one after the other, and one entry more, since a kernel may read four bytes at an entry

	inputAt  []int32 // position of each input that is read
	stateAt  []int32 // position of each state
	outputAt []int32 // index of each output in Memory.Outputs
	plane    int     // bytes from a plane of activations to the next: all positions and a window more
	next     int     // bytes from a plane of Memory.Next8 to the next
	sizes    Sizes

	phases []windowPhase // for a team
	beside int           // bytes that the kernel packed for itself
	budget int32         // steps after which execute returns, so that the scheduler gets its turn
	kernel windowKernel

	oversized bool // packing was given up: the model is not complete
}

// windowKernel is what an instruction set puts in the place of the generic functions of windows; a nil
// one leaves the generic function.
type windowKernel struct {
	execute  func(*windows, *Memory, *progress)
	quantise func(*windows, *Memory, []float32) int
	gather7  func(*windows, *Memory, []uint8)
	gather14 func(*windows, *Memory, []uint16)
}

// progress is where an inference stands, between two calls of execute.
type progress struct {
	command, end uint32 // the next command, the one to stop before
	budget       int32  // steps left; a command is begun while it is not negative
	moved        uint32 // whether anything has moved in this sweep
	sweep        uint32 // sweeps of this loop that are done
	sweeps       uint64
	saturations  uint64
}

// stepBudget is some ten microseconds of any kernel's.
const stepBudget = 1 << 12

// sweepBudget is how many slices of a loop may be swept for stepBudget steps: those without entries take no step, but
// time.
const sweepBudget = 4 * stepBudget

// planes returns how many bytes an activation takes.
func (w *windows) planes() int { return w.program.Width.Bytes() }

// Sizes returns the lengths that buffers must have.
func (w *windows) Sizes() Sizes { return w.sizes }

// Bytes returns the memory that was packed.
func (w *windows) Bytes() int {
	return w.beside + 64*len(w.commands) + 4*len(w.segmentAt) + 4*len(w.starts) + 12*len(w.visits) + cap(w.data) + 4*len(w.constants) + len(w.initial) + 2*len(w.tables) +
		4*(len(w.inputAt)+len(w.stateAt)+len(w.outputAt))
}

// States computes all states and all outputs.
func (w *windows) States(mem *Memory) {
	mem.output = 0
	if mem.Team != nil {
		w.statesTogether(mem)
		return
	}
	p := &mem.progress // not on the stack: kernels are called through a variable, from which it would escape
	*p = progress{end: uint32(len(w.commands))}
	w.runTo(mem, p)
	mem.Sweeps = p.sweeps
	mem.Saturations += p.saturations
}

// Outputs copies the next len(dst) outputs.
func (w *windows) Outputs(mem *Memory, dst []int32) {
	outputs := mem.Outputs
	for k, at := range w.outputAt[mem.output:][:len(dst)] {
		dst[k] = outputs[at]
	}
	mem.output += len(dst)
}

// CopyStates stores the states in dst.
func (w *windows) CopyStates(mem *Memory, dst []uint16) {
	for i, at := range w.stateAt {
		dst[i] = uint16(mem.Activations8[at])
		if w.program.Width == quant.Width14 {
			dst[i] |= uint16(mem.Activations8[int(at)+w.plane]) << 7
		}
	}
}

// set stores an activation at a position.
func (w *windows) set(mem *Memory, at int, q uint16) {
	if w.program.Width == quant.Width7 {
		mem.Activations8[at] = uint8(q)
		return
	}
	mem.Activations8[at] = uint8(q & 0x7F)
	mem.Activations8[at+w.plane] = uint8(q >> 7)
}

// SetInputs takes the inputs that are read.
func (w *windows) SetInputs(mem *Memory, q []uint16) {
	mem.Saturations = 0
	for k, value := range q {
		w.set(mem, int(w.inputAt[k]), value)
	}
}

// Quantise turns real inputs into activations.
func (w *windows) Quantise(mem *Memory, src []float32) int {
	if w.kernel.quantise != nil {
		return w.kernel.quantise(w, mem, src)
	}
	if j := firstNotFinite(src); j >= 0 {
		return j
	}
	mem.Saturations = 0
	w.quantiseInputs(mem, src, 0, len(w.program.Inputs))
	return -1
}

// quantiseInputs turns the inputs first to end−1, which are finite, into activations.
func (w *windows) quantiseInputs(mem *Memory, src []float32, first, end int) {
	for k := first; k < end; k++ {
		input := &w.program.Inputs[k]
		q, saturated := quant.InputFromReal(src[input.Source], input.Scale, input.Zero, w.program.Width)
		w.set(mem, int(w.inputAt[k]), uint16(q))
		if saturated {
			mem.Saturations++
		}
	}
}

// Gather7 takes integer inputs of a 7-bit model.
func (w *windows) Gather7(mem *Memory, src []uint8) {
	if w.kernel.gather7 != nil {
		w.kernel.gather7(w, mem, src)
		return
	}
	gatherWindows(w, mem, src)
}

// Gather14 takes integer inputs of a 14-bit model.
func (w *windows) Gather14(mem *Memory, src []uint16) {
	if w.kernel.gather14 != nil {
		w.kernel.gather14(w, mem, src)
		return
	}
	gatherWindows(w, mem, src)
}

func gatherWindows[T Activation](w *windows, mem *Memory, src []T) {
	mem.Saturations = 0
	largest := uint16(w.program.Width.Max())
	for k := range w.program.Inputs {
		q := uint16(src[w.program.Inputs[k].Source])
		if q > largest {
			q = largest
			mem.Saturations++
		}
		w.set(mem, int(w.inputAt[k]), q)
	}
}
