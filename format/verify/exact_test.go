package verify

import (
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// above demands exact ≤ got ≤ exact·(1 + 1e-12).
func above(t *testing.T, what string, got float64, exact *big.Rat) {
	t.Helper()
	if rat(got).Cmp(exact) < 0 {
		f, _ := exact.Float64()
		t.Errorf("%s: %v lies below the exact %v", what, got, f)
	}
	if rat(got).Cmp(add(exact, mul(abs(exact), rat(1e-12)))) > 0 {
		f, _ := exact.Float64()
		t.Errorf("%s: %v lies needlessly far above the exact %v", what, got, f)
	}
}

func enclosed(t *testing.T, what string, got interval, lo, hi *big.Rat) {
	t.Helper()
	above(t, what+", upper end", got.hi, hi)
	above(t, what+", lower end", -got.lo, new(big.Rat).Neg(lo))
}

// TestEveryQuantityIsTheExactOneRoundedOutward compares what the checks are made of with rational
// arithmetic, quantity by quantity: the stored figures are too coarse to show a small term left out.
func TestEveryQuantityIsTheExactOneRoundedOutward(t *testing.T) {
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			p := build(31, s)
			x, c := newExact(p), newChecker(p.file)
			for j := range 3 {
				enclosed(t, "region", c.region[j], sub(x.region[j].lo, x.near[j]), sub(x.region[j].hi, x.near[j]))
				above(t, "input rounding", c.deltaU[j], x.du[j])
			}
			for i := range p.file.Rows {
				bias := x.b[i]
				for j, near := range x.near {
					bias = add(bias, mul(x.w[i][j], near))
				}
				enclosed(t, "bias", c.bias[i], bias, bias)
				enclosed(t, "unit", c.units[i], x.r[i], x.r[i])
				for k := p.file.Weights.Indptr[i]; k < p.file.Weights.Indptr[i+1]; k++ {
					w := x.w[i][p.file.Weights.Indices[k]]
					enclosed(t, "weight", c.weights[k], w, w)
				}
				if i >= x.n {
					checkOutputError(t, x, c, i)
					continue
				}
				if plainCurve(p.file.Rows[i].Kind) == nil { // tables are known to the oracle within 1e-13 only
					above(t, "rounding", c.rounding(i), x.rounding(i, false))
					above(t, "rounding and cut", c.own(i, true), x.rounding(i, true))
				}
			}
		})
	}
}

// checkOutputError compares the right-hand side of an output's bound.
func checkOutputError(t *testing.T, x *exact, c *checker, i int) {
	claim := x.file.Certificates.Box
	sum := rat(float64(claim.Residual[i]))
	for j, w := range x.w[i] {
		if j < 3 {
			sum = add(sum, mul(abs(w), x.du[j]))
		} else {
			sum = add(sum, mul(abs(w), rat(float64(claim.State[j-3]))))
		}
	}
	scale := rat(float64(x.file.OutputScale))
	sum = add(sum, mul(scale, rat(0.5)))
	sum = add(sum, mul(mul(scale, rat(0x1p-24)), x.largestOutput(i)))
	above(t, "output error", c.outputError(i, claim, widened(claim.State)), sum)
}

func TestALeakyStateReachesItsLowestValueThroughItsSecondMultiplier(t *testing.T) {
	p := build(4, shapes[2])
	for i := range p.file.States() {
		row := &p.file.Rows[i]
		if row.Kind != simb.LeakyReLU {
			continue
		}
		row.Saturates = 0 // allowed as long as the integers never get to the limits
		c := newChecker(p.file)
		r := c.ranges[i]
		least := math.Floor(float64(r.lo)*row.Negative.Ratio() + 0.5)
		most := math.Floor(float64(r.hi)*row.Multiplier.Ratio() + 0.5)
		lo, hi := c.clampRange(i)
		if r.lo >= 0 || r.hi <= 0 {
			t.Fatalf("state %d accumulates from %d to %d, the test needs both signs", i, r.lo, r.hi)
		}
		if float64(lo) != least+float64(row.Zero) || float64(hi) != most+float64(row.Zero) {
			t.Errorf("state %d reaches from %d to %d, want %g to %g", i, lo, hi, least+float64(row.Zero), most+float64(row.Zero))
		}
	}
}

// outputOnly is a model of one output that reads many inputs with one weight.
func outputOnly(inputs int, weight int16, planes uint8, m quant.Multiplier) *simb.Model {
	f := &simb.Model{Width: 14, SourceInputs: inputs, OutputScale: 1, Rows: []simb.Row{{Planes: planes, Table: simb.NoTable, Multiplier: m}}}
	f.Weights = sparse.New[int16](1, inputs)
	var cols []int32
	var values []int16
	for j := range inputs {
		f.Inputs = append(f.Inputs, simb.Input{Source: int32(j), Scale: 1, Lo: 0, Hi: 1})
		cols, values = append(cols, int32(j)), append(values, weight)
	}
	f.Weights.AppendRow(0, cols, values)
	return f
}

func TestAccumulatorsAreHeldAgainstEveryLimit(t *testing.T) {
	one := quant.Multiplier{M: 1, S: 20}
	for _, c := range []struct {
		name string
		file *simb.Model
		ok   bool
	}{
		{"one plane just below 2^31", outputOnly(1032, 127, 1, one), true}, // 1032·127·16383 = 2147221512
		{"one plane above 2^31", outputOnly(1033, 127, 1, one), false},
		{"an upper plane just below 2^31", outputOnly(2048, -8192, 2, one), true}, // 2048·64·16383 = 2^31 − 2^17
		{"an upper plane above 2^31", outputOnly(2049, -8192, 2, one), false},
		{"a lower plane above 2^31", outputOnly(2049, -64, 2, one), false},
		{"two planes that requantisation holds", outputOnly(2000, 8000, 2, quant.Multiplier{M: 1 << 24, S: 44}), true},
		{"two planes that overflow it", outputOnly(2000, 8000, 2, quant.Multiplier{M: 1 << 26, S: 46}), false},
		{"an output just inside 32 bits", outputOnly(1032, 127, 1, quant.Multiplier{M: 2, S: 1}), true},
		{"an output beyond 32 bits", outputOnly(1032, 127, 1, quant.Multiplier{M: 4, S: 1}), false},
	} {
		failed := Opened(c.file, Options{}).Failed()
		if slices.Contains(failed, "accumulators") == c.ok || len(failed) > 1 {
			t.Errorf("%s: refused by %v", c.name, failed)
		}
	}
}

func TestAStateOfALoopAlsoTakesTheValueThatItStartsFrom(t *testing.T) {
	p := build(6, shapes[1])
	for i := range p.file.States() {
		row := &p.file.Rows[i]
		if row.Table == simb.NoTable || row.Kind != simb.Tanh {
			continue
		}
		entries := p.file.Tables[row.Table].Entries
		for k := range entries {
			entries[k] = 100 + uint16(k/64)
		}
		c := newChecker(p.file)
		want := span{100, 103}
		if c.loopOf[i] >= 0 {
			want.lo = int64(row.Zero)
		}
		if got := c.spans[c.p+i]; got != want {
			t.Errorf("state %d (loop %d) is in %v, want %v", i, c.loopOf[i], got, want)
		}
	}
}

func TestObservedErrorsAreHeldAgainstEveryClaim(t *testing.T) {
	for name, spoil := range map[string]func(c *simb.Certificates){
		"state":             func(c *simb.Certificates) { c.Box.State[4] = 1e-6 },
		"output":            func(c *simb.Certificates) { c.Box.Output[1] = 1e-6 },
		"calibrated state":  func(c *simb.Certificates) { c.Calibrated.State[4] = 1e-6 },
		"calibrated output": func(c *simb.Certificates) { c.Calibrated.Output[0] = 1e-6 },
		"reach":             func(c *simb.Certificates) { c.ReachHi[0] = c.ReachLo[0] },
	} {
		p := build(3, shapes[1])
		spoil(&p.file.Certificates)
		if failed := Opened(p.file, Options{Against: p.source, Samples: 200}).Failed(); !slices.Contains(failed, "outputs-observed") {
			t.Errorf("%s: refused by %v, samples should have shown it too", name, failed)
		}
	}
	p := build(3, shapes[2]) // clips: the calibrated claim says nothing of such samples
	p.file.Certificates.Calibrated.Output[0] = 1e-6
	p.file.Certificates.Calibrated.State = make([]float32, p.file.States())
	r := Opened(p.file, Options{Against: p.source, Samples: 30})
	observed := r.Checks[len(r.Checks)-1]
	if observed.Name != "outputs-observed" || !observed.OK {
		t.Errorf("samples that saturate were held against the calibrated claim: %v", observed)
	}
}

func TestATableAnswersForWhatLiesBeyondItsDomain(t *testing.T) {
	for _, s := range []shape{shapes[1], shapes[3]} {
		p := build(8, s)
		for i := range p.file.States() {
			row := &p.file.Rows[i]
			curve := plainCurve(row.Kind)
			if curve == nil {
				continue
			}
			table := &p.file.Tables[row.Table]
			for _, step := range []float32{table.Step, table.Step / 8, table.Step / 3} { // the shorter, the more is cut off
				table.Step = step
				got, want := newChecker(p.file).tableError(i), plainTableError(p.file, row, curve)
				if math.Abs(got-want) > 1e-12 {
					t.Errorf("%s: state %d with a step of %g is off by %g, want %g", s.name, i, step, got, want)
				}
			}
		}
	}
}
