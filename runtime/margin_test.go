package runtime

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
	"github.com/sparse-implicit/sim/format/sparse"
)

// twoOutputs is x = relu(u), y_0 = 2u + x, y_1 = 3x − u on the box [0, 1.875], in steps of 1/64, with claims
// that are round numbers: g = 1.5, residuals 1/4 and 1/2, bounds 1/8 and 1/4 (half of them unsaturated).
func twoOutputs(decision Decision) *simb.Model {
	weights := sparse.New[int16](3, 2)
	weights.AppendRow(0, []int32{0}, []int16{2})
	weights.AppendRow(1, []int32{0, 1}, []int16{4, 2})
	weights.AppendRow(2, []int32{0, 1}, []int16{-2, 6})
	half := quant.Multiplier{M: 1, S: 1}
	return &simb.Model{
		Width: quant.Width7, SourceInputs: 2, Inputs: []simb.Input{{Source: 1, Scale: 0x1p-6, Hi: 1.875}},
		SourceStates: 1, SourceState: []int32{0}, OutputScale: 0x1p-6, Decision: decision, Compiler: "test",
		Rows: []simb.Row{
			{Planes: 1, Multiplier: half, Kind: simb.ReLU, Scale: 0x1p-6, Hi: 127, Saturates: simb.SaturatesHigh, Table: simb.NoTable},
			{Planes: 1, Multiplier: half, Table: simb.NoTable}, {Planes: 1, Multiplier: half, Table: simb.NoTable},
		},
		Weights: weights, Schedule: []simb.Segment{{States: 1}},
		Certificates: simb.Certificates{
			Box:        &simb.ErrorCertificate{State: []float32{0}, Residual: []float32{0, 0, 0}, Start: []float32{0}, Output: []float32{0.125, 0.25}},
			Calibrated: &simb.ErrorCertificate{State: []float32{0}, Residual: []float32{0, 0, 0}, Start: []float32{0}, Output: []float32{0.0625, 0.125}},
			Lipschitz:  []float32{9, 9}, Gain: []float32{1.5}, GainResidual: []float32{0, 0.25, 0.5},
		},
	}
}

// margined loads a model WithMargins in every way that there is.
func margined(t testing.TB, m *simb.Model) map[string]*Model {
	t.Helper()
	all := map[string]*Model{}
	for name, load := range map[string]func() (*Model, error){
		"packed":              func() (*Model, error) { return Load(encode(t, m, simb.CodecHuff0), WithMargins()) },
		"in place":            func() (*Model, error) { return Load(encode(t, m, simb.CodecRaw), WithMargins(), WithInPlace()) },
		"in place, from bits": func() (*Model, error) { return Load(encode(t, m, simb.CodecPacked), WithMargins(), WithInPlace()) },
	} {
		model, err := load()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = model
	}
	return all
}

func TestMarginOfASmallModelByHand(t *testing.T) {
	// L_01 = |2 − (−1)| + |1 − 3|·1.5 + 1/4 + 1/2 = 6.75; y_0 − y_1 = 3u − 2x = u; E_0 + E_1 = 3/8 and 3/16.
	const gain = 6.75
	for _, c := range []struct {
		name        string
		u           float32
		lead        float64
		radius      float64
		unsaturated bool
		boxRadius   float64
	}{
		{"in the middle", 1, 1, (1 - 0.375) / gain, true, (1 - 0.75) / gain},
		{"near the end", 1.875, 1.875, (1.875 - 0.375) / gain, true, (1.875 - 0.75) / gain},
		{"a lead that the errors of the box eat up", 0.5, 0.5, (0.5 - 0.375) / gain, true, 0},
		{"a lead that all errors eat up", 0.375, 0.375, 0, false, 0},
		{"a tie", 0, 0, 0, false, 0},
		{"outside the box, not clamped", 1.90625, 1.90625, 0, false, 0},
		{"outside the box, clamped", 5, 127.0 / 64, 0, false, 0},
	} {
		for name, model := range margined(t, twoOutputs(DecideArgmax)) {
			got, err := model.NewSession().Margin([]float32{99, c.u})
			if err != nil {
				t.Fatal(err)
			}
			near := func(got, want float64) bool { return got <= want && got >= want*(1-1e-13) && (want == 0 || got < want) }
			if got.Class != 0 || got.Lead != c.lead || got.Unsaturated != c.unsaturated || !near(got.Radius, c.radius) || !near(got.BoxRadius, c.boxRadius) {
				t.Errorf("%s, %s: %+v, want %+v", c.name, name, got, c)
			}
		}
	}
}

func TestMarginFollowsTheRuleAndTheClaims(t *testing.T) {
	margin := func(m *simb.Model, u float32) (Margin, error) {
		return margined(t, m)["packed"].NewSession().Margin([]float32{0, u})
	}
	const gain = 6.75
	close := func(got, want float64) bool { return math.Abs(got-want) <= 1e-13*want }
	if got, err := margin(twoOutputs(DecideArgmin), 1); err != nil || got.Class != 1 || got.Lead != 1 || !close(got.Radius, 0.625/gain) {
		t.Errorf("argmin: %+v, %v", got, err)
	}
	bare := twoOutputs(DecideArgmax)
	bare.Certificates.Calibrated = nil
	if got, err := margin(bare, 1); err != nil || got.Unsaturated || got.Radius != got.BoxRadius || !close(got.Radius, 0.25/gain) {
		t.Errorf("the box's bound alone: %+v, %v", got, err)
	}
	bare.Certificates.Box, bare.Certificates.Calibrated = nil, twoOutputs(DecideArgmax).Certificates.Calibrated
	if got, err := margin(bare, 1); err != nil || !got.Unsaturated || got.BoxRadius != 0 || !close(got.Radius, 0.625/gain) {
		t.Errorf("the unsaturated bound alone: %+v, %v", got, err)
	}
	tight := twoOutputs(DecideArgmax)
	tight.Certificates.Box.Output = []float32{0.03125, 0.25} // less than while nothing saturates, for one output
	if got, err := margin(tight, 1); err != nil || !close(got.Radius, (1-2*(0.03125+0.125))/gain) {
		t.Errorf("each output's better bound: %+v, %v", got, err)
	}
	// The state is clamped at 40/64 and counts it: y = (2u + 5/8, 15/8 − u).
	cut := twoOutputs(DecideArgmax)
	cut.Rows[0].Hi = 40
	if got, err := margin(cut, 1.5); err != nil || got.Lead != 3.625-0.375 || got.Unsaturated || !close(got.Radius, (3.25-0.75)/gain) {
		t.Errorf("a saturated inference: %+v, %v", got, err)
	}
	// Left out, g = |2·2⁻⁷/2⁻⁶| + its residual = 1, so L = 3 + 2 + 3/4.
	derived := twoOutputs(DecideArgmax)
	derived.Certificates = derived.Certificates.Derive()
	if got, err := margin(derived, 1); err != nil || !close(got.Radius, 0.625/5.75) {
		t.Errorf("a derived witness: %+v, %v", got, err)
	}
	single := constantModel(DecideArgmax, 7)
	single.Certificates = simb.Certificates{
		Box:       &simb.ErrorCertificate{State: make([]float32, single.States()), Residual: make([]float32, len(single.Rows)), Start: make([]float32, single.States()), Output: []float32{1}},
		Lipschitz: []float32{0}, Gain: make([]float32, single.States()), GainResidual: make([]float32, len(single.Rows)),
	}
	got, err := margined(t, single)["packed"].NewSession().Margin([]float32{0})
	if err != nil || got.Class != 0 || !math.IsInf(got.Lead, 1) || !math.IsInf(got.Radius, 1) {
		t.Errorf("one output: %+v, %v", got, err)
	}
}

func TestMarginNeedsClaimsAndPreparation(t *testing.T) {
	errorOf := func(m *simb.Model, src []float32, options ...Option) error {
		model, err := Load(encode(t, m, simb.CodecRaw), options...)
		if err != nil {
			t.Fatal(err)
		}
		_, err = model.NewSession().Margin(src)
		return err
	}
	noLipschitz, noBounds := twoOutputs(DecideArgmax), twoOutputs(DecideArgmax)
	noLipschitz.Certificates.Lipschitz, noLipschitz.Certificates.Gain, noLipschitz.Certificates.GainResidual = nil, nil, nil
	noBounds.Certificates.Box, noBounds.Certificates.Calibrated = nil, nil
	u := []float32{0, 1}
	for _, c := range []struct {
		name string
		got  error
		want error
	}{
		{"not prepared", errorOf(twoOutputs(DecideArgmax), u), ErrNoMargin},
		{"no rule", errorOf(twoOutputs(DecideNone), u, WithMargins()), ErrNoDecision},
		{"no Lipschitz constants", errorOf(noLipschitz, u, WithMargins()), ErrNoMargin},
		{"no bounds", errorOf(noBounds, u, WithMargins()), ErrNoMargin},
		{"an input too many", errorOf(twoOutputs(DecideArgmax), []float32{0, 1, 2}, WithMargins()), ErrLength},
		{"not a number", errorOf(twoOutputs(DecideArgmax), []float32{0, float32(math.NaN())}, WithMargins()), ErrNotFinite},
		{"all that is needed", errorOf(twoOutputs(DecideArgmax), u, WithMargins()), nil},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
}

// TestGainsCoverTheExactOnes computes L_ab in rationals, and g too where the file leaves it out.
func TestGainsCoverTheExactOnes(t *testing.T) {
	tried, derived := 0, 0
	for seed := range uint64(150) {
		m := simbtest.Random(simbtest.NewRand(seed), simbtest.Options{Outputs: 4, NoLoops: seed%2 == 0, Derived: seed%2 == 0})
		if m.Certificates.Lipschitz == nil || m.Certificates.Box == nil && m.Certificates.Calibrated == nil {
			continue
		}
		tried++
		if m.Certificates.Derived {
			derived++
		}
		exact := exactTerms(m)
		for name, model := range margined(t, m) {
			for a := range m.Outputs() {
				for b := range m.Outputs() {
					if a == b {
						continue
					}
					want := exactGain(m, exact[a], exact[b], a, b)
					got := new(big.Rat).SetFloat64(model.margins.gain(a, b))
					most := new(big.Rat).Mul(want, big.NewRat(1+1e12, 1e12))
					most.Add(most, new(big.Rat).Mul(magnitude(exact[a], exact[b]), big.NewRat(1, 1e12)))
					if got == nil || got.Cmp(want) < 0 || got.Cmp(most) > 0 {
						t.Fatalf("seed %d, %s: L of outputs %d and %d is %v, exactly %s", seed, name, a, b, model.margins.gain(a, b), want.FloatString(12))
					}
				}
			}
		}
	}
	if tried < 30 || derived < 5 {
		t.Errorf("%d models tried, %d of them with derived witnesses", tried, derived)
	}
}

func rational(x float32) *big.Rat { return new(big.Rat).SetFloat64(float64(x)) }

// exactTerms returns W̃_kj g_j of every output, dense, in rationals.
func exactTerms(m *simb.Model) [][]*big.Rat {
	p, n := len(m.Inputs), m.States()
	gains := make([]*big.Rat, p+n)
	for j := range p {
		gains[j] = big.NewRat(1, 1)
	}
	outputs := make([][]*big.Rat, m.Outputs())
	for i := range m.Rows {
		r := new(big.Rat).Mul(rational(m.Unit(i)), big.NewRat(int64(m.Rows[i].Multiplier.M), int64(1)<<m.Rows[i].Multiplier.S))
		row, sum := make([]*big.Rat, p+n), rational(m.Certificates.GainResidual[i])
		for j := range row {
			row[j] = new(big.Rat)
			weight := int64(m.Weights.At(i, j))
			if weight == 0 {
				continue
			}
			scale := float32(0)
			if j < p {
				scale = m.Inputs[j].Scale
			} else {
				scale = m.Rows[j-p].Scale
			}
			row[j].Mul(big.NewRat(weight, 1), r)
			row[j].Quo(row[j], rational(scale))
			if gains[j] != nil { // one of its own loop is not asked for
				row[j].Mul(row[j], gains[j])
			}
			sum.Add(sum, new(big.Rat).Abs(row[j]))
		}
		switch {
		case i >= n:
			outputs[i-n] = row
		case m.Certificates.Derived:
			gains[p+i] = sum
		default:
			gains[p+i] = rational(m.Certificates.Gain[i])
		}
	}
	return outputs
}

func exactGain(m *simb.Model, rowA, rowB []*big.Rat, a, b int) *big.Rat {
	residuals := m.Certificates.GainResidual[m.States():]
	sum := new(big.Rat).Add(rational(residuals[a]), rational(residuals[b]))
	for j := range rowA {
		difference := new(big.Rat).Sub(rowA[j], rowB[j])
		sum.Add(sum, difference.Abs(difference))
	}
	return sum
}

func magnitude(rowA, rowB []*big.Rat) *big.Rat {
	sum := new(big.Rat)
	for j := range rowA {
		sum.Add(sum, new(big.Rat).Abs(rowA[j]))
		sum.Add(sum, new(big.Rat).Abs(rowB[j]))
	}
	return sum
}

func TestMarginsAllocateNothing(t *testing.T) {
	m := twoOutputs(DecideArgmax)
	src := []float32{0, 1}
	for name, model := range margined(t, m) {
		s := model.NewSession()
		if allocs := testing.AllocsPerRun(100, func() {
			if _, err := s.Margin(src); err != nil {
				t.Fatal(err)
			}
		}); allocs != 0 {
			t.Errorf("%s: %g allocations", name, allocs)
		}
		// An inference after a margin is as it was before.
		y := make([]float32, 2)
		if err := s.Infer(y, src); err != nil || y[0] != 3 || y[1] != 2 {
			t.Errorf("%s: %v, %v", name, y, err)
		}
	}
}

// manyInputs has four outputs that read so many inputs and claims whose residuals are 0: the first two
// differ in the last bits of their multipliers alone, the others read inputs that nobody else reads.
func manyInputs(d *dice, inputs int) *simb.Model {
	m := &simb.Model{
		Width: quant.Width7, SourceInputs: inputs, OutputScale: 0x1.8p-9, Decision: DecideArgmax, Compiler: "test",
		Weights: sparse.New[int16](4, inputs),
		Certificates: simb.Certificates{
			Box:       &simb.ErrorCertificate{State: []float32{}, Residual: make([]float32, 4), Start: []float32{}, Output: make([]float32, 4)},
			Lipschitz: make([]float32, 4), Gain: []float32{}, GainResidual: make([]float32, 4),
		},
	}
	var columns [4][]int32
	for j := range int32(inputs) {
		m.Inputs = append(m.Inputs, simb.Input{Source: j, Scale: 0x1p-7 * (1 + float32(d.below(1<<20))/(1<<20))})
		switch part := d.below(3); part {
		case 0:
			columns[0], columns[1] = append(columns[0], j), append(columns[1], j)
		default:
			columns[part+1] = append(columns[part+1], j)
		}
	}
	weights := make([]int16, inputs)
	for k := range weights {
		weights[k] = int16(d.between(1, 127))
	}
	multiplier := int32(1<<21 + d.below(1<<20))
	for i := range columns {
		m.Weights.AppendRow(i, columns[i], weights[:len(columns[i])])
		m.Rows = append(m.Rows, simb.Row{Planes: 1, Multiplier: quant.Multiplier{M: multiplier + int32(i), S: 30}, Table: simb.NoTable})
	}
	return m
}

// TestGainsCoverTheRoundingOfLongSumsAndSmallDifferences: without what is added for it, half of them are too small.
func TestGainsCoverTheRoundingOfLongSumsAndSmallDifferences(t *testing.T) {
	inputs := 2500
	if testing.Short() {
		inputs = 800 // exact sums of fractions take their time
	}
	for seed := range uint64(2) {
		m := manyInputs(&dice{seed}, inputs)
		model, err := Load(encode(t, m, simb.CodecRaw), WithMargins())
		if err != nil {
			t.Fatal(err)
		}
		exact := exactTerms(m)
		for _, pair := range [][2]int{{0, 1}, {2, 3}, {0, 3}} {
			want := exactGain(m, exact[pair[0]], exact[pair[1]], pair[0], pair[1])
			got := model.margins.gain(pair[0], pair[1])
			ratio, _ := new(big.Rat).Quo(new(big.Rat).SetFloat64(got), want).Float64()
			if new(big.Rat).SetFloat64(got).Cmp(want) < 0 || ratio > 1+1e-7 {
				t.Errorf("seed %d: L of outputs %v is %v, that is %v of the exact one", seed, pair, got, ratio)
			}
		}
	}
}
