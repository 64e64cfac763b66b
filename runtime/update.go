package runtime

import (
	"math"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// WithUpdates prepares a model for Session.Update: all weights are packed once more, by columns, 4 bytes each (6 in
// models of more than 65,536 rows), and some bytes for each row and input, all of it counted in PackedBytes. A
// session takes UpdateBytes more, and Infer the time to keep a copy of its inputs.
func WithUpdates() Option { return func(c *config) { c.updates = true } }

// WithWarmStart is WithUpdates with loops that sweep on from the states that they have, instead of clamp(z, lo, hi):
// fewer sweeps where little has changed. What it gives up is the equality with Infer: integer loops may
// come to rest at more than one point, and which one is found then depends on the updates before. It still
// depends on nothing else: the same calls give the same bits on every machine and with every kernel. Models
// without loops give the bits of Infer.
//
// A loop that has not come to rest after its K sweeps begins again from clamp(z, lo, hi), as Infer does, so
// that an update may take up to twice the multiply-accumulates of an Infer; Stats then counts the sweeps of
// both, and the saturations of the second. Every Infer in between makes the next Update begin from
// clamp(z, lo, hi).
//
// The error bounds. Let e = |x̃ − x*| on a loop's states, x* the equilibrium for the inputs as they are now,
// F the map of format/verify's CLAIMS.md, which the checker iterates from Start, M its linear part, and e^∞
// its fixed point. F is monotone and, by the witness v, a contraction. States at rest are a sweep's image of
// themselves, so e ≤ F(e), hence e ≤ F^k(e) → e^∞, wherever the loop set out from. By induction along the
// schedule all bounds of the file hold as far as e^∞ ≤ State in every loop. That is so wherever
// F(State) ≤ State, or Start ≥ e^∞. What any file proves is a little less:
//
//	State ≥ F^K(Start) ≥ F^K(0) = e^∞ − M^K e^∞
//
// State may thus fall short of e^∞ by M^K e^∞, which is at most κ^K of it in the norm of v. The file holds no
// figure for that remainder. The calibrated bounds hold alike, if Stats reports no saturation.
//
// K sweeps alone prove nothing from a warm start, for that may be farther away than Start: the old states
// are within State of the old equilibrium, and that may lie anywhere in the reach. This is why a loop that
// does not come to rest begins again.
func WithWarmStart() Option {
	return func(c *config) { c.updates, c.warm = true, true }
}

// UpdateBytes returns what a session of a model loaded WithUpdates takes beside WorkspaceSize: 0 without it.
func (m *Model) UpdateBytes() int {
	if m.columns == nil {
		return 0
	}
	return m.columns.StreamBytes() + (4+m.program.Width.Bytes())*m.sourceInputs
}

// updates is what a session keeps for Update.
type updates struct {
	stream *kernel.Stream

	// The inputs that the stream does not have yet: those of the last inference.
	pending pending
	reals   []float32
	narrow  []uint8
	wide    []uint16
}

// pending says where the current inputs are, if not in the stream.
type pending uint8

const (
	pendingReals  pending = iota // in reals; at first zeros
	pendingNarrow                // in narrow
	pendingWide                  // in wide
	pendingMemory                // in the stream, but perhaps no longer in the memory of inferences
	pendingNone
)

// newUpdates returns nil for a model that was not loaded WithUpdates.
func (m *Model) newUpdates() *updates {
	if m.columns == nil {
		return nil
	}
	u := &updates{stream: m.columns.NewStream(), reals: make([]float32, m.sourceInputs)}
	if m.program.Width == quant.Width7 {
		u.narrow = make([]uint8, m.sourceInputs)
	} else {
		u.wide = make([]uint16, m.sourceInputs)
	}
	return u
}

// The inputs of an inference are kept as they came: what Update needs of them is made when it is called.

func (u *updates) rememberReals(src []float32) {
	if u != nil {
		copy(u.reals, src)
		u.pending = pendingReals
	}
}

func (u *updates) remember7(src []uint8) {
	if u != nil {
		copy(u.narrow, src)
		u.pending = pendingNarrow
	}
}

func (u *updates) remember14(src []uint16) {
	if u != nil {
		copy(u.wide, src)
		u.pending = pendingWide
	}
}

// disturbed says that an inference has failed and may have left anything in its memory.
func (u *updates) disturbed() {
	if u != nil && u.pending == pendingNone {
		u.pending = pendingMemory
	}
}

// Update changes some of the inputs of the last Infer, Decide, Margin or Update and computes the outputs:
// input changed[i] becomes values[i], and where an index is repeated the last one counts. dst, states and
// Stats are those of an Infer of all inputs as they are then, bit for bit. Before the first inference all
// inputs are 0.
//
// It costs what moves: the entries of the changed inputs' columns, and of the columns of states that move,
// and the rows that these reach. Where the kernel's full pass is expected to be faster, by the kernel's own
// estimate, that takes over, from a segment of the schedule on. What updates need has then to be made anew,
// after an Infer too, in about the time of one or two passes of the portable kernel: it is done once full
// passes have taken as long, and more rarely if it has not paid before; so that a stream of updates is
// expected to take no more than about twice the time of as many Infers, at worst.
//
// The model must be loaded WithUpdates, else it is an ErrNoUpdates. len(dst) must be Outputs() and
// len(values) len(changed), else a *LengthError is returned; an index outside [0, Inputs()) is an
// *IndexError, a NaN or an infinity in values a *NotFiniteError. An error leaves the session as it was.
func (s *Session) Update(dst []float32, changed []int, values []float32) error {
	if err := s.checkUpdate(len(dst), changed, len(values)); err != nil {
		return err
	}
	for i, v := range values {
		if math.Float32bits(v)&0x7F800000 == 0x7F800000 {
			return &NotFiniteError{Argument: "values", Index: i}
		}
	}
	s.takePending()
	for i, j := range changed {
		if k := s.model.columns.Input(j); k >= 0 {
			q, clipped := s.fromReal(k, values[i])
			s.updates.stream.Set(&s.memory, k, q, clipped)
		}
	}
	s.updates.stream.States(&s.memory)
	for first := 0; first < len(dst); first += outputChunk {
		part := dst[first:min(first+outputChunk, len(dst))]
		integers := s.outputs[:len(part)]
		s.updates.stream.Outputs(&s.memory, integers, first)
		for k, y := range integers {
			part[k] = quant.OutputToReal(y, s.model.outputScale)
		}
	}
	return nil
}

// UpdateQ7 is Update in integers for a 7-bit model, as InferQ7 is Infer. A 14-bit model is an ErrWidth.
func (s *Session) UpdateQ7(dst []int32, changed []int, values []uint8) error {
	if s.model.program.Width != quant.Width7 {
		return ErrWidth
	}
	return updateIntegers(s, dst, changed, values)
}

// UpdateQ14 is Update in integers for a 14-bit model, as InferQ14 is Infer. A 7-bit model is an ErrWidth.
func (s *Session) UpdateQ14(dst []int32, changed []int, values []uint16) error {
	if s.model.program.Width != quant.Width14 {
		return ErrWidth
	}
	return updateIntegers(s, dst, changed, values)
}

func updateIntegers[T uint8 | uint16](s *Session, dst []int32, changed []int, values []T) error {
	if err := s.checkUpdate(len(dst), changed, len(values)); err != nil {
		return err
	}
	s.takePending()
	for i, j := range changed {
		if k := s.model.columns.Input(j); k >= 0 {
			q, clipped := clampInteger(s, uint16(values[i]))
			s.updates.stream.Set(&s.memory, k, q, clipped)
		}
	}
	s.updates.stream.States(&s.memory)
	s.updates.stream.Outputs(&s.memory, dst, 0)
	return nil
}

func (s *Session) checkUpdate(outputs int, changed []int, values int) error {
	if s.updates == nil {
		return ErrNoUpdates
	}
	if outputs != s.model.Outputs() {
		return &LengthError{Argument: "dst", Got: outputs, Want: s.model.Outputs()}
	}
	if values != len(changed) {
		return &LengthError{Argument: "values", Got: values, Want: len(changed)}
	}
	for i, j := range changed {
		if j < 0 || j >= s.model.sourceInputs {
			return &IndexError{Position: i, Index: j, Inputs: s.model.sourceInputs}
		}
	}
	return nil
}

// fromReal returns the q of a real value of input k, and 1 if it had to be clamped.
func (s *Session) fromReal(k int, value float32) (q uint16, clipped uint8) {
	in := &s.model.program.Inputs[k]
	t, saturated := quant.InputFromReal(value, in.Scale, in.Zero, s.model.program.Width)
	if saturated {
		clipped = 1
	}
	return uint16(t), clipped
}

func clampInteger(s *Session, value uint16) (q uint16, clipped uint8) {
	if largest := uint16(s.model.program.Width.Max()); value > largest {
		return largest, 1
	}
	return value, 0
}

// takePending hands the stream the inputs of the last inference, if there has been one.
func (s *Session) takePending() {
	u, inputs := s.updates, s.model.program.Inputs
	switch u.pending {
	case pendingReals:
		u.stream.SetAll(&s.memory, func(k int) (uint16, uint8) { return s.fromReal(k, u.reals[inputs[k].Source]) })
	case pendingNarrow:
		u.stream.SetAll(&s.memory, func(k int) (uint16, uint8) { return clampInteger(s, uint16(u.narrow[inputs[k].Source])) })
	case pendingWide:
		u.stream.SetAll(&s.memory, func(k int) (uint16, uint8) { return clampInteger(s, u.wide[inputs[k].Source]) })
	case pendingMemory:
		u.stream.SetAll(&s.memory, u.stream.Input)
	}
	u.pending = pendingNone
}
