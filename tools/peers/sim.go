package main

import (
	"os"

	"github.com/sparse-implicit/sim/format/quant"
	simrt "github.com/sparse-implicit/sim/runtime"
)

// session is what runs frames: samples one after the other, in and out.
type session interface {
	Infer(dst, src []float32) error
	InferQ7(dst []int32, src []uint8) error
	InferQ14(dst []int32, src []uint16) error
}

// newSession returns a session for frames of so many samples.
func newSession(m *simrt.Model, batch int) (session, error) {
	if batch == 1 {
		return m.NewSession(), nil
	}
	return m.NewBatch(batch), nil
}

// simEngine is a session of our own runtime.
type simEngine struct {
	session session
	model   *simrt.Model
	reals   [][]float32 // one of these three has the frames
	q7      [][]uint8
	q14     [][]uint16
	y       []float32
	q       []int32
}

func openSim(r recipe, frames [][]float32) (engine, error) {
	data, err := os.ReadFile(r.File)
	if err != nil {
		return nil, err
	}
	var options []simrt.Option
	if r.Batch > 1 {
		options = append(options, simrt.WithBatches())
	}
	switch r.Kernel {
	case "":
	case inPlace:
		options = append(options, simrt.WithInPlace())
	default:
		options = append(options, simrt.WithKernel(r.Kernel))
	}
	m, err := simrt.Load(data, options...)
	if err != nil {
		return nil, err
	}
	outputs := m.Outputs() * r.Batch
	e := &simEngine{model: m, y: make([]float32, outputs), q: make([]int32, outputs)}
	if e.session, err = newSession(m, r.Batch); err != nil {
		return nil, err
	}
	for _, frame := range frames {
		switch {
		case !r.Integers:
			e.reals = append(e.reals, frame)
		case m.Width() == 7:
			e.q7 = append(e.q7, integers[uint8](m, frame))
		default:
			e.q14 = append(e.q14, integers[uint16](m, frame))
		}
	}
	return e, nil
}

// integers quantises the samples of a frame as InferQ7 and InferQ14 take them.
func integers[Q uint8 | uint16](m *simrt.Model, frame []float32) []Q {
	q := make([]Q, len(frame))
	for k, u := range frame {
		if scale, zero := m.InputScale(k % m.Inputs()); scale > 0 {
			v, _ := quant.InputFromReal(u, scale, zero, quant.Width(m.Width()))
			q[k] = Q(v)
		}
	}
	return q
}

func (e *simEngine) run(first, count int, each []int64) error {
	switch {
	case e.q7 != nil:
		return rotate(e.q7, first, count, each, func(u []uint8) error { return e.session.InferQ7(e.q, u) })
	case e.q14 != nil:
		return rotate(e.q14, first, count, each, func(u []uint16) error { return e.session.InferQ14(e.q, u) })
	}
	return rotate(e.reals, first, count, each, func(u []float32) error { return e.session.Infer(e.y, u) })
}

func (e *simEngine) answer(sample []float32) (int, error) {
	var err error
	switch {
	case e.q7 != nil:
		err = e.session.InferQ7(e.q, integers[uint8](e.model, sample))
	case e.q14 != nil:
		err = e.session.InferQ14(e.q, integers[uint16](e.model, sample))
	default:
		err = e.session.Infer(e.y, sample)
		return largest(e.y), err
	}
	return largest(e.q), err
}

func (*simEngine) close() {}
