package compiler_test

import (
	"errors"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// TestFilesThatNoReaderTakesAreNotWritten compiles the mean of very many inputs: so little is stored that a
// reader does not believe how much memory it takes.
func TestFilesThatNoReaderTakesAreNotWritten(t *testing.T) {
	const inputs = 60_000
	m := &model.Model{
		A: sparse.New[float32](0, 0), B: sparse.New[float32](0, inputs), C: sparse.New[float32](1, 0), D: sparse.New[float32](1, inputs),
		StateBias: []float32{}, OutputBias: []float32{0}, Activations: []model.Activation{}, Decision: model.DecideNone,
		InputLo: make([]float32, inputs), InputHi: make([]float32, inputs),
	}
	var cols []int32
	var values []float32
	for j := range inputs {
		m.InputHi[j] = 1
		cols, values = append(cols, int32(j)), append(values, 1./inputs)
	}
	m.D.AppendRow(0, cols, values)
	for _, codec := range []simb.Codec{simb.CodecPacked, simb.CodecHuff0, simb.CodecRaw} {
		data, _, err := compiler.Compile(m, compiler.Options{Bits: 7, WeightBits: 4, Codec: codec})
		if err != nil {
			if codec == simb.CodecRaw || !errors.Is(err, compiler.ErrUnfit) || !errors.Is(err, simb.ErrTooLarge) {
				t.Errorf("codec %v: %v", codec, err)
			}
			continue
		}
		if _, err := simb.Open(data); err != nil {
			t.Errorf("codec %v: written, but %v", codec, err)
		}
	}
}
