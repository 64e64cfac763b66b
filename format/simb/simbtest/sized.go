package simbtest

import (
	"fmt"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// Sized returns a model of 7 bits with exactly so many weights, spread evenly over the rows: one level of
// relu states that read inputs, and outputs that read inputs too. Whatever depends on the number of weights
// alone can be measured with it. An error says that a row would need more weights than there are inputs.
func Sized(inputs, states, outputs, nonzeros int) (*simb.Model, error) {
	rows := states + outputs
	if inputs < 1 || states < 1 || outputs < 1 || nonzeros < 0 || nonzeros > rows*inputs {
		return nil, fmt.Errorf("%d weights do not fit %d rows of %d inputs", nonzeros, rows, inputs)
	}
	m := &simb.Model{
		Width: quant.Width7, SourceInputs: inputs, SourceStates: states, OutputScale: 0x1p-7,
		Decision: simb.DecideArgmax, Schedule: []simb.Segment{{States: states}}, Compiler: "simbtest 1",
		Weights: sparse.New[int16](rows, inputs+states),
	}
	for j := range inputs {
		m.Inputs = append(m.Inputs, simb.Input{Source: int32(j), Scale: 0x1p-7, Hi: 127 * 0x1p-7})
	}
	for i := range rows {
		row := simb.Row{Planes: 1, Bias: int32(i % 64), Multiplier: quant.Multiplier{M: 1 << 10, S: 16}, Table: simb.NoTable}
		if i < states {
			row.Kind, row.Scale, row.Hi, row.Saturates = simb.ReLU, 0x1p-7, uint16(m.Width.Max()), simb.SaturatesHigh
			m.SourceState = append(m.SourceState, int32(i))
		}
		m.Rows = append(m.Rows, row)
		length := nonzeros*(i+1)/rows - nonzeros*i/rows
		cols, weights := make([]int32, length), make([]int16, length)
		for k := range length {
			cols[k] = int32(k * inputs / length)
			weights[k] = int16((k*37+i*11)%127) + 1
			if (k+i)%2 == 1 {
				weights[k] = -weights[k]
			}
		}
		m.Weights.AppendRow(i, cols, weights)
	}
	return m, nil
}
