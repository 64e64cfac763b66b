package main

import (
	"errors"

	"github.com/sparse-implicit/sim/format/simb/simbtest"
	simrt "github.com/sparse-implicit/sim/runtime"
)

// samples is how many inputs a pass goes through.
const samples = 100

// work is a session with the inputs of a pass and everything that inferences write.
type work struct {
	session  *simrt.Session
	decides  bool // the model has a decision rule
	reals    [][]float32
	q7       [][]uint8 // of models of 7 bits
	q14      [][]uint16
	outputs  []float32
	integers []int32
	sum      uint64 // of the pass so far
}

// newWork draws inputs: reals within their box and a sixteenth of it around, integers up to a little more
// than the largest.
func newWork(model *simrt.Model) *work {
	w := &work{
		session: model.NewSession(), decides: model.Decision() != simrt.DecideNone,
		outputs: make([]float32, model.Outputs()), integers: make([]int32, model.Outputs()),
	}
	rng := simbtest.NewRand(1)
	for range samples {
		reals := make([]float32, model.Inputs())
		q7, q14 := make([]uint8, len(reals)), make([]uint16, len(reals))
		for j := range reals {
			lo, hi := model.InputBox(j)
			reals[j] = lo + (hi-lo)*(rng.Float32()*1.125-0.0625)
			q7[j], q14[j] = uint8(rng.IntN(130)), uint16(rng.IntN(16500))
		}
		w.reals = append(w.reals, reals)
		if model.Width() == 7 {
			w.q7 = append(w.q7, q7)
		} else {
			w.q14 = append(w.q14, q14)
		}
	}
	return w
}

// entries is how many ways there are to ask the model.
func (w *work) entries() int {
	if w.decides {
		return 3
	}
	return 2
}

// pass returns the number of inferences of a pass.
func (w *work) pass() int { return samples * w.entries() }

// run makes one pass and returns the checksum of everything that it gave.
func (w *work) run() (uint64, error) {
	w.sum = 14695981039346656037
	for k := range samples {
		if err := w.session.Infer(w.outputs, w.reals[k]); err != nil {
			return 0, err
		}
		for _, y := range w.outputs {
			w.mix(uint64(int64(y * 0x1p20)))
		}
		w.count()
		if w.decides {
			class, err := w.session.Decide(w.reals[k])
			if err != nil {
				return 0, err
			}
			w.mix(uint64(class))
			w.count()
		}
		if err := w.inferIntegers(k); err != nil {
			return 0, err
		}
		for _, y := range w.integers {
			w.mix(uint64(y))
		}
		w.count()
	}
	return w.sum, nil
}

func (w *work) inferIntegers(k int) error {
	if len(w.q7) > 0 {
		return w.session.InferQ7(w.integers, w.q7[k])
	}
	return w.session.InferQ14(w.integers, w.q14[k])
}

// count adds what the session reports to the checksum.
func (w *work) count() {
	stats := w.session.Stats()
	w.mix(stats.Saturations<<32 | stats.Sweeps)
}

// mix is a step of FNV-1a over numbers instead of bytes.
func (w *work) mix(number uint64) { w.sum = (w.sum ^ number) * 1099511628211 }

// errChanged says that a pass gave something else than the first.
var errChanged = errors.New("a pass gave other outputs than the first one")
