package runtime

import (
	"slices"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// Model is a compiled model, verified and ready to run. It is never written again: any number of
// goroutines may use it, each with a Session of its own.
type Model struct {
	program kernel.Program
	engine  kernel.Engine
	kernel  string
	threads int
	batch   *kernel.Batch // nil unless WithBatches, where the kernel has something for them

	nanoseconds float64         // what an inference is expected to take
	columns     *kernel.Columns // nil unless WithUpdates

	inputs       []simb.Input // those that the plan reads
	sourceInputs int
	outputScale  float32
	decision     Decision
	memory       int
	decompressed int // bytes of streams that WithInPlace had to decompress
	macs         uint64
	sequence     uint64
	bounds       ErrorBounds
	selfTest     []simb.SelfTestCase
	margins      *margins // nil unless WithMargins
}

// Decision is the rule by which outputs become one class.
type Decision = simb.Decision

// The decision rules.
const (
	DecideNone   = simb.DecideNone   // the outputs are the answer; Decide is an error
	DecideArgmax = simb.DecideArgmax // the index of the largest output
	DecideArgmin = simb.DecideArgmin // the index of the smallest output
)

// ErrorBounds are the bounds on |y − y*| that the file claims, y* the output of the real model, one for
// each output. `simc verify` proves them again. An input that was declared constant (a box that is a
// point) is not read, so it must have that value for the bounds to hold: it is not checked.
type ErrorBounds struct {
	Box        []float32 // for every input in the box, clipping included; nil when not proved
	Calibrated []float32 // for every input in the box whose inference reports no saturation; nil when not proved
}

// Inputs returns how many numbers an inference takes.
func (m *Model) Inputs() int { return m.sourceInputs }

// Outputs returns how many numbers an inference gives.
func (m *Model) Outputs() int { return m.program.Outputs() }

// States returns how many states the compiled model has; the float model may have had more.
func (m *Model) States() int { return m.program.States }

// Width returns the bits of every input and state: 7 or 14.
func (m *Model) Width() int { return int(m.program.Width) }

// MemorySize returns the working memory of a portable or in-place session in bytes, the file's ram_bytes:
// exactly the sum of WorkspaceSize there. A session of another kernel takes somewhat more, what
// WorkspaceSize says. The Session that points to it, a few hundred bytes of fixed size, and the parameters
// of the Model (see PackedBytes) are apart.
func (m *Model) MemorySize() int { return m.memory }

// PackedBytes returns what the weights take in memory beside the file, in bytes: what the kernel packed
// when the model was loaded; with WithInPlace, what had to be decompressed, 0 for raw streams; and
// what WithUpdates and WithBatches packed. Parameters of rows and inputs, some dozens of bytes each, come on top in any case.
func (m *Model) PackedBytes() int {
	packed := m.engine.Bytes()
	if m.kernel == kernelInPlace {
		packed = m.decompressed
	}
	if m.columns != nil {
		packed += m.columns.Bytes()
	}
	if m.batch != nil {
		packed += m.batch.Bytes()
	}
	return packed
}

// MACs returns the number of multiply-accumulates that no inference exceeds.
func (m *Model) MACs() uint64 { return m.macs }

// Kernel returns the name of the kernel that runs the model, one of Kernels, or "in place" for WithInPlace.
func (m *Model) Kernel() string { return m.kernel }

// OutputScale returns what one unit of an integer output is worth.
func (m *Model) OutputScale() float32 { return m.outputScale }

// Decision returns the rule that Decide follows.
func (m *Model) Decision() Decision { return m.decision }

// InputScale returns what an integer q of input j is worth: scale·(q − zero). An input that the compiled
// model does not read has the scale 0. j is in [0, Inputs()).
func (m *Model) InputScale(j int) (scale float32, zero int32) {
	k, read := slices.BinarySearchFunc(m.inputs, j, func(in simb.Input, j int) int { return int(in.Source) - j })
	if !read {
		return 0, 0
	}
	return m.inputs[k].Scale, m.inputs[k].Zero
}

// InputBox returns the range that input j was declared to have. ErrorBounds hold within it. Values outside are
// clamped, and counted as saturations, only beyond what the integers can hold, which may be farther out. For an
// input that the compiled model does not read, or that was declared constant and folded, it is 0, 0.
func (m *Model) InputBox(j int) (lo, hi float32) {
	k, read := slices.BinarySearchFunc(m.inputs, j, func(in simb.Input, j int) int { return int(in.Source) - j })
	if !read {
		return 0, 0
	}
	return m.inputs[k].Lo, m.inputs[k].Hi
}

// ErrorBounds returns the bounds that the file claims, in newly made slices.
func (m *Model) ErrorBounds() ErrorBounds {
	return ErrorBounds{Box: slices.Clone(m.bounds.Box), Calibrated: slices.Clone(m.bounds.Calibrated)}
}
