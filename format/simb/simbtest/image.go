package simbtest

import (
	"math/rand/v2"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// ImageNonzeros is how many weights a model of Image has.
const ImageNonzeros = 5_000

// imageRows says how many weights the rows of Image have together, each row about as many, and which
// columns they lie in: those of inputs for the first level, those of states for all that follows.
var imageRows = []struct{ rows, first, end, weights int }{
	{64, 0, 784, 3_600},
	{32, 784, 784 + 64, 700},
	{16, 784, 784 + 96, 300},
	{10, 784, 784 + 112, 400},
}

// Image returns a model of the shape of a classifier of small images, a network of 784-64-32-16-10 whose
// weights are pruned to ImageNonzeros: three levels of relu, columns without any order, one plane. It is
// what measurements outside of the runtime's own benchmarks run; its self-test holds.
func Image(width quant.Width) *simb.Model {
	const inputs, states, outputs = 784, 112, 10
	m := &simb.Model{
		Width: width, SourceInputs: inputs, SourceStates: states, OutputScale: 0x1p-7, Decision: simb.DecideArgmax,
		Schedule: []simb.Segment{{States: 64}, {States: 32}, {States: 16}}, Compiler: "simbtest 1",
		Weights: sparse.New[int16](states+outputs, inputs+states),
	}
	step := 1 / float32(width.Max()+1)
	for j := range inputs {
		m.Inputs = append(m.Inputs, simb.Input{Source: int32(j), Scale: step, Hi: step * float32(width.Max())})
	}
	rng := NewRand(784)
	for _, block := range imageRows {
		for i := range block.rows {
			at := len(m.Rows)
			row := simb.Row{Planes: 1, Bias: int32(rng.IntN(2001) - 1000), Multiplier: quant.Multiplier{M: 1 << 10, S: 18}, Table: simb.NoTable}
			if at < states {
				row.Kind, row.Scale, row.Hi, row.Saturates = simb.ReLU, step, uint16(width.Max()), simb.SaturatesHigh
				m.SourceState = append(m.SourceState, int32(at))
			}
			m.Rows = append(m.Rows, row)
			length := block.weights*(i+1)/block.rows - block.weights*i/block.rows
			columns, weights := scattered(rng, block.first, block.end, length)
			m.Weights.AppendRow(at, columns, weights)
		}
	}
	m.SelfTest = []simb.SelfTestCase{Case(m, 1)}
	return m
}

// scattered draws so many of the columns first to end−1, every choice as likely, and weights for them.
func scattered(rng *rand.Rand, first, end, count int) (columns []int32, weights []int16) {
	for j := first; j < end; j++ {
		if rng.IntN(end-j) >= count-len(columns) {
			continue
		}
		weight := int16(1 + rng.IntN(quant.OnePlaneMax))
		if rng.IntN(2) == 0 {
			weight = -weight
		}
		columns, weights = append(columns, int32(j)), append(weights, weight)
	}
	return columns, weights
}
