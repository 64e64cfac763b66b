package runtime

import (
	"math"
	"runtime"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// Session runs inferences of one model, one after the other. It belongs to one goroutine at a time; a
// model may have any number of sessions. No method of a session allocates, unless it returns an error.
type Session struct {
	model   *Model
	memory  kernel.Memory
	outputs [outputChunk]int32
	updates *updates // nil unless the model was loaded WithUpdates

	dismissal runtime.Cleanup // of the memory's team
}

// outputChunk is how many integer outputs a session computes at a time where no caller's buffer takes
// them.
const outputChunk = 16

// Stats is what a session reports of its last inference.
type Stats struct {
	// Sweeps is how many sweeps were made, over all loops: 0 for a model without loops.
	Sweeps uint64

	// Saturations is how many inputs and states were clamped at a bound that is not their function's
	// own, in every sweep. With 0 the calibrated error bound holds.
	Saturations uint64
}

// Stats reports of the last inference; of an inference that returned an error it reports nothing.
func (s *Session) Stats() Stats {
	return Stats{Sweeps: s.memory.Sweeps, Saturations: s.memory.Saturations}
}

// Infer computes y = C x + D u + d with x = φ(A x + B u + b) for the inputs u = src and stores y in dst.
// len(src) must be Inputs() and len(dst) Outputs(), else a *LengthError is returned; a NaN or an
// infinity in src is a *NotFiniteError. Inputs outside their box are clamped and counted in Stats.
func (s *Session) Infer(dst, src []float32) error {
	if err := s.check(len(dst), len(src)); err != nil {
		return err
	}
	if err := s.quantise(src); err != nil {
		return err
	}
	s.states()
	for first := 0; first < len(dst); first += outputChunk {
		part := dst[first:min(first+outputChunk, len(dst))]
		integers := s.outputs[:len(part)]
		s.nextOutputs(integers)
		for k, y := range integers {
			part[k] = quant.OutputToReal(y, s.model.outputScale)
		}
	}
	return nil
}

// InferQ7 is Infer in integers for a 7-bit model: src holds Inputs() values q in [0, 127], each worth
// scale·(q − zero) with the scale and zero of InputScale; larger ones are clamped and counted in Stats.
// dst receives Outputs() integers, each worth OutputScale(). A 14-bit model is an ErrWidth.
func (s *Session) InferQ7(dst []int32, src []uint8) error {
	if s.model.program.Width != quant.Width7 {
		return ErrWidth
	}
	if err := s.check(len(dst), len(src)); err != nil {
		return err
	}
	s.model.engine.Gather7(&s.memory, src)
	s.updates.remember7(src)
	s.states()
	s.nextOutputs(dst)
	return nil
}

// InferQ14 is Infer in integers for a 14-bit model: as InferQ7, with q in [0, 16383]. A 7-bit model is
// an ErrWidth.
func (s *Session) InferQ14(dst []int32, src []uint16) error {
	if s.model.program.Width != quant.Width14 {
		return ErrWidth
	}
	if err := s.check(len(dst), len(src)); err != nil {
		return err
	}
	s.model.engine.Gather14(&s.memory, src)
	s.updates.remember14(src)
	s.states()
	s.nextOutputs(dst)
	return nil
}

// Decide returns the class of the inputs src by the file's decision rule, computed in integers; of
// equal outputs the one with the lowest index wins. Errors are those of Infer, and ErrNoDecision.
func (s *Session) Decide(src []float32) (int, error) {
	if s.model.decision == DecideNone {
		return 0, ErrNoDecision
	}
	if err := s.check(s.model.Outputs(), len(src)); err != nil {
		return 0, err
	}
	if err := s.quantise(src); err != nil {
		return 0, err
	}
	s.states()
	class, _ := s.decide()
	return class, nil
}

// decide computes all outputs and returns the class and its score: its output, or for argmin minus that.
func (s *Session) decide() (class int, best int64) {
	count := s.model.Outputs()
	best = math.MinInt64
	for first := 0; first < count; first += outputChunk {
		integers := s.outputs[:min(outputChunk, count-first)]
		s.nextOutputs(integers)
		for k, y := range integers {
			score := int64(y)
			if s.model.decision == DecideArgmin {
				score = -score
			}
			if score > best {
				best, class = score, first+k
			}
		}
	}
	return class, best
}

// CopyStates stores the states of the last inference in dst: States() values q, in the order of the
// compiled model. It is meant for tests and for whoever checks a model.
func (s *Session) CopyStates(dst []uint16) error {
	if len(dst) != s.model.States() {
		return &LengthError{Argument: "dst", Got: len(dst), Want: s.model.States()}
	}
	s.model.engine.CopyStates(&s.memory, dst)
	return nil
}

func (s *Session) check(outputs, inputs int) error {
	if outputs != s.model.Outputs() {
		return &LengthError{Argument: "dst", Got: outputs, Want: s.model.Outputs()}
	}
	if inputs != s.model.sourceInputs {
		return &LengthError{Argument: "src", Got: inputs, Want: s.model.sourceInputs}
	}
	return nil
}

// quantise turns real inputs into the activations that the plan reads and starts to count saturations.
func (s *Session) quantise(src []float32) error {
	if j := s.model.engine.Quantise(&s.memory, src); j >= 0 {
		s.updates.disturbed()
		return &NotFiniteError{Index: j}
	}
	s.updates.rememberReals(src)
	return nil
}

func (s *Session) states() { s.model.engine.States(&s.memory) }

// nextOutputs computes the next len(dst) integer outputs.
func (s *Session) nextOutputs(dst []int32) { s.model.engine.Outputs(&s.memory, dst) }
