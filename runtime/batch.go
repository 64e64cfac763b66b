package runtime

import (
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// WithBatches prepares a model for Batch: where the processor has a kernel for interleaved samples, all weights
// are packed once more for it, about 8 bytes each, counted in PackedBytes. Without it, or on other
// processors, a Batch runs its samples one after the other.
func WithBatches() Option { return func(c *config) { c.batches = true } }

// leastInterleaved is how many samples are worth a group of their own; fewer are run one after the other
// (BenchmarkBatch).
const leastInterleaved = 8

// Batch runs inferences of one model for several samples at once. It belongs to one goroutine at a time; a
// model may have any number of batches. Its methods allocate nothing, unless they return an error. Every
// sample gets the bits that a Session gives, and its Stats.
type Batch struct {
	model   *Model
	samples int
	session *Session
	memory  *kernel.BatchMemory // nil where samples are not interleaved
	stats   []Stats
}

// NewBatch returns a batch of at most samples samples, at least 1. Its memory does not depend on how many those are
// but for their Stats: samples are interleaved in groups of 64. See WithBatches.
func (m *Model) NewBatch(samples int) *Batch {
	b := &Batch{model: m, samples: max(samples, 1), session: m.NewSession()}
	b.stats = make([]Stats, b.samples)
	if m.batch != nil && b.samples >= leastInterleaved {
		b.memory = m.batch.NewMemory()
	}
	return b
}

// BatchBytes returns what a Batch takes beside a session's WorkspaceSize and 16 bytes for each sample.
func (m *Model) BatchBytes() int {
	if m.batch == nil {
		return 0
	}
	return m.batch.MemoryBytes()
}

// Close ends the goroutines of a batch of a model loaded WithThreads, as Session.Close does.
func (b *Batch) Close() { b.session.Close() }

// Stats reports of sample k of the last call. k is below the number of samples of that call.
func (b *Batch) Stats(k int) Stats { return b.stats[k] }

// Infer is Session.Infer for each of len(dst)/Outputs() samples, one after the other in dst and src. Other lengths
// than those of whole samples, of none or of more than NewBatch was told are a *LengthError. The index of a
// *NotFiniteError is that in src; dst is of no use then.
func (b *Batch) Infer(dst, src []float32) error {
	samples, err := b.check(len(dst), len(src))
	if err != nil {
		return err
	}
	p, q := b.model.Inputs(), b.model.Outputs()
	for first := 0; first < samples; first += kernel.GroupSamples {
		count := min(samples-first, kernel.GroupSamples)
		if b.alone(count) {
			for s := first; s < first+count; s++ {
				if err := b.session.Infer(dst[s*q:][:q], src[s*p:][:p]); err != nil {
					return inSample(err, s*p)
				}
				b.stats[s] = b.session.Stats()
			}
			continue
		}
		if err := b.quantise(first, count, src); err != nil {
			return err
		}
		outputs := b.run(first, count)
		for s := range count {
			y := dst[(first+s)*q:][:q]
			for k, at := 0, kernel.OutputOf(s); k < q; k, at = k+1, at+kernel.GroupSamples {
				y[k] = quant.OutputToReal(outputs[at], b.model.outputScale)
			}
		}
	}
	return nil
}

// InferQ7 is Session.InferQ7 for each of len(dst)/Outputs() samples; see Infer.
func (b *Batch) InferQ7(dst []int32, src []uint8) error {
	if b.model.program.Width != quant.Width7 {
		return ErrWidth
	}
	return inferIntegers(b, dst, src, (*Session).InferQ7, kernel.Engine.Gather7)
}

// InferQ14 is Session.InferQ14 for each of len(dst)/Outputs() samples; see Infer.
func (b *Batch) InferQ14(dst []int32, src []uint16) error {
	if b.model.program.Width != quant.Width14 {
		return ErrWidth
	}
	return inferIntegers(b, dst, src, (*Session).InferQ14, kernel.Engine.Gather14)
}

func inferIntegers[T kernel.Activation](b *Batch, dst []int32, src []T,
	alone func(*Session, []int32, []T) error, gather func(kernel.Engine, *kernel.Memory, []T)) error {
	samples, err := b.check(len(dst), len(src))
	if err != nil {
		return err
	}
	p, q := b.model.Inputs(), b.model.Outputs()
	for first := 0; first < samples; first += kernel.GroupSamples {
		count := min(samples-first, kernel.GroupSamples)
		if b.alone(count) {
			for s := first; s < first+count; s++ {
				if err := alone(b.session, dst[s*q:][:q], src[s*p:][:p]); err != nil {
					return err
				}
				b.stats[s] = b.session.Stats()
			}
			continue
		}
		for s := range count {
			gather(b.model.engine, &b.memory.Samples[s], src[(first+s)*p:][:p])
		}
		outputs := b.run(first, count)
		for s := range count {
			y := dst[(first+s)*q:][:q]
			for k, at := 0, kernel.OutputOf(s); k < q; k, at = k+1, at+kernel.GroupSamples {
				y[k] = outputs[at]
			}
		}
	}
	return nil
}

// Decide stores the class of each of len(classes) samples; see Session.Decide and Infer.
func (b *Batch) Decide(classes []int, src []float32) error {
	if b.model.decision == DecideNone {
		return ErrNoDecision
	}
	samples, err := b.check(len(classes)*b.model.Outputs(), len(src))
	if err != nil {
		return err
	}
	p := b.model.Inputs()
	for first := 0; first < samples; first += kernel.GroupSamples {
		count := min(samples-first, kernel.GroupSamples)
		if b.alone(count) {
			for s := first; s < first+count; s++ {
				if classes[s], err = b.session.Decide(src[s*p:][:p]); err != nil {
					return inSample(err, s*p)
				}
				b.stats[s] = b.session.Stats()
			}
			continue
		}
		if err := b.quantise(first, count, src); err != nil {
			return err
		}
		outputs := b.run(first, count)
		for s := range count {
			classes[first+s] = b.decide(outputs[kernel.OutputOf(s):])
		}
	}
	return nil
}

// decide returns the class of a sample from its outputs, each GroupSamples after the one before.
func (b *Batch) decide(outputs []int32) (class int) {
	best := int64(0)
	for k := range b.model.Outputs() {
		score := int64(outputs[k*kernel.GroupSamples])
		if b.model.decision == DecideArgmin {
			score = -score
		}
		if k == 0 || score > best {
			best, class = score, k
		}
	}
	return class
}

// alone reports whether so many samples are run one after the other.
func (b *Batch) alone(samples int) bool { return b.memory == nil || samples < leastInterleaved }

func (b *Batch) check(outputs, inputs int) (samples int, err error) {
	q := b.model.Outputs()
	samples = outputs / q
	if samples < 1 || samples > b.samples || outputs%q != 0 {
		return 0, &LengthError{Argument: "dst", Got: outputs, Want: min(max(samples, 1), b.samples) * q}
	}
	if want := samples * b.model.Inputs(); inputs != want {
		return 0, &LengthError{Argument: "src", Got: inputs, Want: want}
	}
	return samples, nil
}

// quantise takes the inputs of a group.
func (b *Batch) quantise(first, count int, src []float32) error {
	p := b.model.Inputs()
	for s := range count {
		at := (first + s) * p
		if j := b.model.engine.Quantise(&b.memory.Samples[s], src[at:][:p]); j >= 0 {
			return &NotFiniteError{Index: at + j}
		}
	}
	return nil
}

// run computes a group, keeps its Stats and returns its outputs.
func (b *Batch) run(first, count int) []int32 {
	b.model.batch.Run(b.memory, count)
	for s := range count {
		sample := &b.memory.Samples[s]
		b.stats[first+s] = Stats{Sweeps: sample.Sweeps, Saturations: sample.Saturations}
	}
	return b.model.batch.Outputs(b.memory)
}

// inSample moves the index of an error into the whole of src.
func inSample(err error, at int) error {
	if e, ok := err.(*NotFiniteError); ok {
		e.Index += at
	}
	return err
}
