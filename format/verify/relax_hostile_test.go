package verify

import (
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// falseClaims are pairs of a float model and a file whose integers are nothing but zeros, with a relaxed bound that
// is below what y* = y*(1) is: numbers at which float64 fails sums that look harmless.
var falseClaims = []struct {
	name   string
	claim  float32
	source *model.Model
	file   *simb.Model
}{
	// 1e30·(tanh 18 − tanh 30) = −4.6e14: known to a part of 2⁻⁵⁰, and the middle of that is 2.1e14 off.
	{"a folded constant in an output's bias", 2.2e14, foldedConstants(), zeros(1, 0)},
	// 1e38⁸ · 1e-38⁹ = 1e-38: carried backward the factor is 1e-342, which is 0 in float64.
	{"factors below the range of float64", 1e-42, chain(17, 8), zeros(1e-44, 17)},
	// 1.5e-269·(3e310 − 6e310) = −5e41: carried backward the factors are Inf and −Inf, and together NaN.
	{"factors above the range of float64", 1e34, fork(8, 8), zeros(1e-44, 24)},
}

func foldedConstants() *model.Model {
	tanh := model.Activation{Kind: model.Tanh}
	return &model.Model{
		A: sparse.New[float32](2, 2), B: sparse.New[float32](2, 1), D: sparse.New[float32](1, 1),
		C:         sparse.FromDense(1, 2, []float32{1e30, -1e30}),
		StateBias: []float32{18, 30}, OutputBias: []float32{0}, Activations: []model.Activation{tanh, tanh},
		InputLo: []float32{0}, InputHi: []float32{1}, Decision: model.DecideNone,
	}
}

// chain returns n identities one behind the other, of weight 1e38 the first ones, 1e-38 the others.
func chain(n, large int) *model.Model {
	m := &model.Model{
		D: sparse.New[float32](1, 1), StateBias: make([]float32, n), OutputBias: []float32{0},
		InputLo: []float32{0}, InputHi: []float32{1}, Decision: model.DecideNone,
	}
	a, b, c := make([]float32, n*n), make([]float32, n), make([]float32, n)
	b[0], c[n-1] = 1e38, 1
	for i := range n {
		m.Activations = append(m.Activations, identityKind)
		if i > 0 {
			a[i*n+i-1] = 1e38
		}
		if i >= large {
			a[i*n+i-1] = 1e-38
		}
	}
	m.A, m.B, m.C = sparse.FromDense(n, n, a), sparse.FromDense(n, 1, b), sparse.FromDense(1, n, c)
	return m
}

// fork returns a chain of identities of weight 2.5e-34, and two chains of 3e34 that go out from its end, one of which
// counts twice, and negative, in the output.
func fork(trunk, branch int) *model.Model {
	const small, large = 2.5e-34, 3.1623e34
	n := trunk + 2*branch
	m := chain(n, n)
	a, c := make([]float32, n*n), make([]float32, n)
	for i := 1; i < n; i++ {
		a[i*n+i-1] = large
		if i < trunk {
			a[i*n+i-1] = small
		}
	}
	second := trunk + branch
	a[second*n+second-1], a[second*n+trunk-1] = 0, large
	c[second-1], c[n-1] = large, -2*large
	m.A, m.C = sparse.FromDense(n, n, a), sparse.FromDense(1, n, c)
	m.B.Data[0] = small
	return m
}

// zeros returns a file of one output and no weights; without states the source has two, which fold.
func zeros(scale float32, states int) *simb.Model {
	one := must(quant.NewMultiplier(1, 16))
	m := &simb.Model{Width: quant.Width7, SourceInputs: 1, SourceStates: max(states, 2), OutputScale: scale, Compiler: "test"}
	if states > 0 {
		m.Inputs = []simb.Input{{Scale: 1. / 120, Lo: 0, Hi: 1}}
	}
	for i := range states {
		m.SourceState, m.Schedule = append(m.SourceState, int32(i)), append(m.Schedule, simb.Segment{States: 1})
		m.Rows = append(m.Rows, simb.Row{Planes: 1, Multiplier: one, Table: simb.NoTable, Scale: scale, Hi: 127, Zero: 64,
			Kind: simb.Identity, Saturates: simb.SaturatesLow | simb.SaturatesHigh})
	}
	m.Rows = append(m.Rows, simb.Row{Planes: 1, Multiplier: one, Table: simb.NoTable})
	m.Weights = sparse.New[int16](len(m.Rows), len(m.Inputs)+states)
	return m
}

// TestFalseBoundsOfExtremeNumbers wants both the proof and the samples to refuse them.
func TestFalseBoundsOfExtremeNumbers(t *testing.T) {
	for _, f := range falseClaims {
		t.Run(f.name, func(t *testing.T) {
			m := *f.file
			m.Certificates.Relaxed = &simb.RelaxedCertificate{Output: []float32{f.claim}, Realised: []float32{f.claim}, Tree: []uint8{0}}
			data := must(simb.Encode(&m, simb.EncodeOptions{}))
			r := must(File(data, Options{Against: f.source, Samples: 4}))
			for _, check := range r.Checks {
				wanted := check.Name != "error-relaxed" && check.Name != "outputs-observed"
				if check.OK != wanted {
					t.Errorf("%s: %v, %s", check.Name, check.OK, check.Detail)
				}
			}
		})
	}
}

// TestWhatIsExactlyZeroCostsNothing has relu states that read nothing, and others that read only those: x̃ and x* are 0,
// and no slack may move them over their kink, where rounding begins to count.
func TestWhatIsExactlyZeroCostsNothing(t *testing.T) {
	m := zeros(1, 3)
	for i := range 3 {
		row := &m.Rows[i]
		row.Kind, row.Zero, row.Saturates = simb.ReLU, 0, simb.SaturatesHigh
	}
	m.Weights = sparse.New[int16](4, 4)
	for i := range 4 {
		if i > 0 {
			m.Weights.AppendRow(i, []int32{int32(i)}, []int16{100})
		} else {
			m.Weights.AppendRow(i, nil, nil)
		}
	}
	c := newChecker(m)
	for _, calibrated := range []bool{false, true} {
		figures := must(c.newRelaxation(nil, calibrated).bounds(nil, defaultWork))
		if want := c.outputRounding(3); figures[0].bound > want*(1+1e-9) {
			t.Errorf("calibrated %v: the bound is %g, the output's own rounding %g", calibrated, figures[0].bound, want)
		}
	}
}
