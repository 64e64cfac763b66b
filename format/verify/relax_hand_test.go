package verify

import (
	"math"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// TestTinyNetworksByHand has bounds that can be worked out on paper: one input, one relu, one output, everything a
// power of two.
func TestTinyNetworksByHand(t *testing.T) {
	const (
		du      = 0x1p-7 * (0.5 + 0x1p-20)
		half    = 0x1p-7 // of the state's scale
		readout = 0x1p-11 + 0x1p-24*0x1p-10*2032
	)
	for _, c := range []struct {
		name             string
		weight           float32
		lo, hi           float32
		source, realised float64
	}{
		{"active", 1, 0.5, 1, du + half + readout, du + half + readout},
		{"active, heavier", 1.015625, 0.5, 1, du + 0x1p-6 + half + readout, du + half + readout},
		{"inactive", 1, -1, -0.5, readout, readout},
		{"inactive, heavier", 1.015625, -1, -0.5, readout, readout},
		// ũ = 2⁻⁹ + δu lies below half a step, but q may be 1 where z̃ is half a step or more.
		{"just active", 1, 0, 0x1p-9, du + half + readout, du + half + readout},
		// z in [−½, ½], d in ±δu. e ≤ the chord from (−δu, 0) to (δu, δu), plus half: δu + half at most.
		{"both", 1, -0.5, 0.5, du + half + readout, du + half + readout},
		// T ≤ e − v·(gap of the readout, 0): a saturating clamp at 127/64 takes off what z has above it.
		{"clamped", 1, 2.5, 3, 1.015625 + half + readout, 1.015625 + half + readout},
	} {
		m, source := tinyPair(c.weight, c.lo, c.hi)
		checker := newChecker(m)
		l := must(checker.link(source))
		for name, pairing := range map[string]struct {
			links *links
			want  float64
		}{"source": {l, c.source}, "realised": {nil, c.realised}} {
			got := must(checker.newRelaxation(pairing.links, false).bounds(nil, defaultWork))[0].bound
			if math.Abs(got-pairing.want) > 1e-12 {
				t.Errorf("%s, %s: %g, by hand %g", c.name, name, got, pairing.want)
			}
		}
	}
}

// tinyPair returns a network of one input, one relu of u times the weight and an output that is the relu; in the
// integers the weight is 1.
func tinyPair(weight, lo, hi float32) (*simb.Model, *model.Model) {
	m := &simb.Model{
		Width: quant.Width7, SourceInputs: 1, Inputs: []simb.Input{{Scale: 0x1p-7, Zero: 64, Lo: lo, Hi: hi}},
		SourceStates: 1, SourceState: []int32{0}, OutputScale: 0x1p-10, Schedule: []simb.Segment{{States: 1}},
		Rows: []simb.Row{
			{Planes: 1, Multiplier: quant.Multiplier{M: 1, S: 7}, Kind: simb.ReLU, Scale: 0x1p-6, Hi: 127, Saturates: simb.SaturatesHigh, Table: simb.NoTable},
			{Planes: 1, Multiplier: quant.Multiplier{M: 1, S: 2}, Table: simb.NoTable},
		},
		Weights: sparse.New[int16](2, 2),
	}
	m.Weights.AppendRow(0, []int32{0}, []int16{64})
	m.Weights.AppendRow(1, []int32{1}, []int16{64})
	m.Rows[0].Bias = -64 * m.Inputs[0].Zero
	source := &model.Model{
		A: sparse.New[float32](1, 1), B: sparse.New[float32](1, 1), C: sparse.New[float32](1, 1), D: sparse.New[float32](1, 1),
		StateBias: []float32{0}, OutputBias: []float32{0}, Activations: []model.Activation{{Kind: model.ReLU}},
		InputLo: []float32{lo}, InputHi: []float32{hi}, Decision: model.DecideNone,
	}
	source.A.AppendRow(0, nil, nil)
	source.B.AppendRow(0, []int32{0}, []float32{weight})
	source.C.AppendRow(0, []int32{0}, []float32{1})
	source.D.AppendRow(0, nil, nil)
	return m, source
}

// TestLimitsByHand has ranges and bounds of the tiny network where its limits matter.
func TestLimitsByHand(t *testing.T) {
	const (
		du, half = 0x1p-7 * (0.5 + 0x1p-20), 0x1p-7
		top      = 127.0 / 64
		readout  = 0x1p-11 + 0x1p-24*0x1p-10*2032
	)
	bounded := func(m *simb.Model, calibrated bool) (z, d interval, bound float64) {
		r := newChecker(m).newRelaxation(nil, calibrated)
		b, known := r.newBoxBounds(), &ranges{make([]interval, 1), make([]interval, 1)}
		b.enter(r.lowest, r.highest)
		b.states(nil, known)
		return known.z[0], known.d[0], b.outputBound(0)
	}
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
	m, _ := tinyPair(1, 0.5, 3)
	if z, _, bound := bounded(m, true); !near(z.lo, 0.5) || !near(z.hi, top+half+du) || !near(bound, du+half+readout) {
		t.Errorf("without saturation: z in [%g, %g], bound %g", z.lo, z.hi, bound)
	}
	if z, _, bound := bounded(m, false); !near(z.hi, 3) || !near(bound, 3-top+du+half+readout) && bound > 3-top+du+half+readout {
		t.Errorf("over the box: z up to %g, bound %g", z.hi, bound)
	}
	// Clipped at 1 by the function, at 127/64 by the integers: x̃ can be z̃ where x* is 1.
	m.Rows[0].Kind, m.Rows[0].Parameter, m.Rows[0].Saturates = simb.ClippedReLU, 1, 0
	m.Inputs[0].Lo, m.Inputs[0].Hi = 1.25, 1.5
	if _, _, bound := bounded(m, false); !near(bound, 0.5+du+half+readout) {
		t.Errorf("a limit beyond the function's own: bound %g, by hand %g", bound, 0.5+du+half+readout)
	}
}

// TestManyStatesAreWorkToo: a box is given up where it is too much work, and states count even where nothing
// is read.
func TestManyStatesAreWorkToo(t *testing.T) {
	const n = 3000
	m, _ := tinyPair(1, -1, 1)
	row, out := m.Rows[0], m.Rows[1]
	m.Rows, m.SourceState, m.Schedule, m.SourceStates = nil, nil, nil, n
	weights := sparse.New[int16](n+1, n+1)
	for i := range int32(n) {
		if i > 0 {
			row.Bias = 0
		}
		m.Rows, m.SourceState, m.Schedule = append(m.Rows, row), append(m.SourceState, i), append(m.Schedule, simb.Segment{States: 1})
		weights.AppendRow(int(i), []int32{i}, []int16{64}) // each reads the one before it
	}
	weights.AppendRow(n, []int32{n}, []int16{64})
	m.Rows, m.Weights = append(m.Rows, out), weights
	r := newChecker(m).newRelaxation(nil, false)
	if _, err := r.bounds(nil, 100*n); err == nil {
		t.Error("a box of 3000 states in a chain is not too much for 300000 multiplications")
	}
	b := r.newBoxBounds()
	b.most = 100 * n
	b.enter(r.lowest, r.highest)
	if b.states(nil, &ranges{make([]interval, n), make([]interval, n)}); !b.overflow || b.work > 200*n {
		t.Errorf("given up: %v, after %d multiplications", b.overflow, b.work)
	}
}
