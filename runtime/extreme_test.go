package runtime

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// extremeModel has one state and one output whose weights are all `weight` over as many inputs as the
// bound of the accumulator allows, with the bias that reaches the bound exactly.
func extremeModel(width quant.Width, planes uint8, weight int16) *simb.Model {
	step := int64(max(weight, -weight)) * int64(width.Max())
	inputs := int(int64(math.MaxInt32) / step)
	if planes == 2 {
		hi, lo := quant.SplitPlanes(weight)
		inputs = int(int64(math.MaxInt32) / (max(abs(hi), abs(lo)) * int64(width.Max())))
	}
	inputs = min(inputs, 5000)
	bias := math.MaxInt32 - int64(inputs)*step
	if planes == 2 {
		bias = math.MaxInt32
	}
	if weight < 0 {
		bias = -bias
	}
	size := int64(inputs)*step + max(bias, -bias)
	m := &simb.Model{Width: width, SourceInputs: inputs, SourceStates: 1, SourceState: []int32{0}, OutputScale: 1, Schedule: []simb.Segment{{States: 1}}}
	for j := range inputs {
		m.Inputs = append(m.Inputs, simb.Input{Source: int32(j), Scale: 1})
	}
	m.Weights = sparse.New[int16](2, inputs+1)
	columns, weights := make([]int32, inputs), make([]int16, inputs)
	for j := range inputs {
		columns[j], weights[j] = int32(j), weight
	}
	m.Weights.AppendRow(0, columns, weights)
	m.Weights.AppendRow(1, columns, weights)
	scale := quant.Multiplier{M: 1, S: uint8(quant.BitLen(size) - int(width))}
	largest := quant.Multiplier{M: math.MaxInt32, S: uint8(quant.BitLen(size))} // |y| < 2³¹, M as large as it can be
	for largest.AccumulatorLimit() < size {
		largest.M >>= 1
		largest.S--
	}
	m.Rows = []simb.Row{
		{Planes: planes, Bias: int32(bias), Multiplier: scale, Scale: 1, Zero: uint16(width.Max() / 2), Hi: uint16(width.Max()), Table: simb.NoTable, Saturates: 3},
		{Planes: planes, Bias: int32(bias), Multiplier: largest, Table: simb.NoTable},
	}
	return m
}

func abs(v int8) int64 { return max(int64(v), -int64(v)) }

func TestAccumulatorsReachTheirBoundsWithoutOverflow(t *testing.T) {
	for _, c := range []struct {
		name   string
		width  quant.Width
		planes uint8
		weight int16
	}{
		{"7 bits, one plane, up", quant.Width7, 1, 127},
		{"7 bits, one plane, down", quant.Width7, 1, -127},
		{"14 bits, one plane, up", quant.Width14, 1, 127},
		{"14 bits, one plane, down", quant.Width14, 1, -127},
		{"7 bits, two planes, up", quant.Width7, 2, quant.TwoPlaneMax},
		{"7 bits, two planes, down", quant.Width7, 2, quant.TwoPlaneMin},
		{"14 bits, two planes, up", quant.Width14, 2, quant.TwoPlaneMax},
		{"14 bits, two planes, down", quant.Width14, 2, quant.TwoPlaneMin},
		{"14 bits, two planes of different sign", quant.Width14, 2, 128*63 - 64},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := extremeModel(c.width, c.planes, c.weight)
			plan := make([]uint16, len(m.Inputs))
			for _, q := range []uint16{uint16(c.width.Max()), 0} {
				for j := range plan {
					plan[j] = q
				}
				// The oracle is dense; the same sum in closed form keeps the test quick.
				acc := int64(m.Rows[0].Bias) + int64(c.weight)*int64(q)*int64(len(plan))
				want := int32(m.Rows[1].Multiplier.Requantise(acc))
				for name, model := range variants(t, m) {
					got := run(model.NewSession(), plan)
					if diff := cmp.Diff([]int32{want}, got.Outputs); diff != "" {
						t.Errorf("%s, q = %d: %s", name, q, diff)
					}
				}
			}
		})
	}
}

// A model of more activations than 16-bit column indices can number.
func TestWideModelsRunWithWideColumns(t *testing.T) {
	const inputs = 1<<16 + 300
	m := &simb.Model{Width: quant.Width7, SourceInputs: inputs, SourceStates: 1, SourceState: []int32{0}, OutputScale: 1, Schedule: []simb.Segment{{States: 1}}}
	for j := range inputs {
		m.Inputs = append(m.Inputs, simb.Input{Source: int32(j), Scale: 1})
	}
	all, ones := make([]int32, inputs+1), make([]int16, inputs+1)
	for j := range all {
		all[j], ones[j] = int32(j), 1
	}
	ones[inputs] = 10 // of the state
	m.Weights = sparse.New[int16](2, inputs+1)
	m.Weights.AppendRow(0, []int32{0, 1 << 16, inputs - 1}, []int16{1, 2, 3})
	m.Weights.AppendRow(1, all, ones)
	unit := quant.Multiplier{M: 2, S: 1}
	m.Rows = []simb.Row{
		{Planes: 1, Multiplier: unit, Scale: 1, Hi: 127, Kind: simb.ReLU, Table: simb.NoTable, Saturates: 2},
		{Planes: 1, Multiplier: unit, Table: simb.NoTable},
	}
	plan := make([]uint16, inputs)
	plan[0], plan[5], plan[1<<16], plan[inputs-1] = 3, 1, 4, 5
	want := int32(3 + 1 + 4 + 5 + 10*(3+8+15))
	for name, model := range variants(t, m) {
		if got := run(model.NewSession(), plan).Outputs[0]; got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}
