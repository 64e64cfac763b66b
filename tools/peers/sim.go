package main

import (
	"os"

	"github.com/sparse-implicit/sim/format/quant"
	simrt "github.com/sparse-implicit/sim/runtime"
)

// simEngine is a session of our own runtime, for one sample at a time.
type simEngine struct {
	session *simrt.Session
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
	e := &simEngine{session: m.NewSession(), model: m, y: make([]float32, m.Outputs()), q: make([]int32, m.Outputs())}
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

// integers quantises a sample as InferQ7 and InferQ14 take it.
func integers[Q uint8 | uint16](m *simrt.Model, sample []float32) []Q {
	q := make([]Q, len(sample))
	for j, u := range sample {
		if scale, zero := m.InputScale(j); scale > 0 {
			v, _ := quant.InputFromReal(u, scale, zero, quant.Width(m.Width()))
			q[j] = Q(v)
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

func (e *simEngine) close() { e.session.Close() }
