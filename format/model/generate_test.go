package model

import (
	"testing"

	"github.com/sparse-implicit/sim/format/sparse"
)

// generator is splitmix64: the same numbers on every machine and in every version of Go.
type generator uint64

func (g *generator) next() uint64 {
	*g += 0x9E3779B97F4A7C15
	z := uint64(*g)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// unit returns a number in [−1, 1), a multiple of 2⁻²³ and so exact in float32.
func (g *generator) unit() float32 { return float32(int32(g.next()>>40)-1<<23) / (1 << 23) }

func (g *generator) below(n int) int { return int(g.next() % uint64(n)) }

// shape says what generate makes.
type shape struct {
	n, p, q int
	perRow  int     // entries of a row of [A B] and of [C D]
	causal  bool    // no cycles
	gain    float32 // with loops: λ(|A|) ≤ gain
}

// generate makes a valid model with every activation and a few stored zeros. Where there are loops,
// A = T·K·T⁻¹ with T a positive diagonal and ‖K‖∞ ≤ gain, so that λ(|A|) ≤ gain whatever ‖A‖∞ is.
func generate(t testing.TB, seed uint64, s shape) *Model {
	t.Helper()
	g := generator(seed)
	scale := make([]float32, s.n)
	for i := range scale {
		scale[i] = []float32{0.125, 0.5, 1, 2, 8}[g.below(5)]
	}
	m := &Model{
		A: sparse.New[float32](s.n, s.n), B: sparse.New[float32](s.n, s.p),
		C: sparse.New[float32](s.q, s.n), D: sparse.New[float32](s.q, s.p),
		Decision: DecideArgmax, Provenance: Provenance{"seed": "7", "teacher": "none <&> ünïcode \u2028"},
	}
	fill := func(to *sparse.Matrix[float32], value func(i, j int) float32, limit func(i int) int) {
		for i := range to.Rows {
			var cols []int32
			var values []float32
			for j := range limit(i) {
				if g.below(max(to.Cols, 1)) < s.perRow {
					cols = append(cols, int32(j))
					values = append(values, value(i, j))
				}
			}
			to.AppendRow(i, cols, values)
		}
	}
	width := func(n int) func(int) int { return func(int) int { return n } }
	plain := func(int, int) float32 {
		if g.below(50) == 0 {
			return 0
		}
		return g.unit()
	}
	if s.causal {
		fill(m.A, plain, func(i int) int { return i })
	} else {
		fill(m.A, plain, width(s.n))
		balance(m.A, scale, s.gain)
	}
	fill(m.B, plain, width(s.p))
	fill(m.C, plain, width(s.n))
	fill(m.D, plain, width(s.p))
	for i := range s.n {
		m.StateBias = append(m.StateBias, g.unit())
		a := Activation{Kind: Kind(i % KindCount)}
		switch a.Kind {
		case ClippedReLU:
			a.P1 = 1 + 0.5*g.unit()
		case LeakyReLU:
			a.P0 = 0.25
		case HardTanh:
			a.P1 = 1.5
			a.P0 = -1.5
		}
		m.Activations = append(m.Activations, a)
	}
	for range s.q {
		m.OutputBias = append(m.OutputBias, g.unit())
	}
	for range s.p {
		lo := g.unit()
		m.InputLo, m.InputHi = append(m.InputLo, lo), append(m.InputHi, lo+1)
	}
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	return m
}

// balance scales each row to an absolute sum of gain and applies T.
func balance(a *sparse.Matrix[float32], scale []float32, gain float32) {
	for i := range a.Rows {
		cols, values := a.Row(i)
		sum := float32(0)
		for _, v := range values {
			sum += max(v, -v)
		}
		for k, j := range cols {
			if sum > 0 {
				values[k] = float32(values[k]*(gain/sum)) * (scale[i] / scale[j])
			}
		}
	}
}

// norm returns ‖A‖∞.
func norm(a *sparse.Matrix[float32]) float64 {
	largest := 0.0
	for i := range a.Rows {
		_, values := a.Row(i)
		sum := 0.0
		for _, v := range values {
			sum += float64(max(v, -v))
		}
		largest = max(largest, sum)
	}
	return largest
}

// input draws a point of the box.
func (g *generator) input(m *Model) []float64 {
	u := make([]float64, m.Inputs())
	for j := range u {
		share := (float64(g.unit()) + 1) / 2
		u[j] = float64(m.InputLo[j]) + float64(share*(float64(m.InputHi[j])-float64(m.InputLo[j])))
	}
	return u
}
