package pass

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// TestShortNumbersLieOnTheirSide: bfloat16 above and below, nearest of its kind, for both signs, subnormal
// numbers, the ends of the range, and what is no number.
func TestShortNumbersLieOnTheirSide(t *testing.T) {
	check := func(x float64) {
		up, down := upShort(x), downShort(x)
		if float64(up) < x || float64(down) > x {
			t.Errorf("%g rounds to [%g, %g]", x, down, up)
		}
		for _, v := range []float32{up, down} {
			if math.Float32bits(v)&0xFFFF != 0 {
				t.Errorf("%g rounds to %g, which is no bfloat16", x, v)
			}
		}
		steps := int64(ordered(up)) - int64(ordered(down))
		if exact := float64(up) == x || float64(down) == x; exact && up != down || !exact && steps != 1<<16 {
			t.Errorf("%g rounds to [%g, %g], %d float32 apart", x, down, up, steps)
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 100000 {
		check(math.Ldexp(rng.NormFloat64(), rng.IntN(250)-130))
	}
	for _, x := range []float64{0, 1, -1, 0x1p-149, -0x1p-149, 0x1p-126, 1 + 0x1p-7, 1 + 0x1p-30, math.MaxFloat32, -math.MaxFloat32} {
		check(x)
	}
	inf := float32(math.Inf(1))
	if upShort(1e39) != inf || downShort(-1e39) != -inf || upShort(math.NaN()) != inf || downShort(math.NaN()) != -inf || up32(1e39) != inf {
		t.Error("what float32 cannot hold does not become infinite")
	}
	if float64(upShort(-1e39)) < -1e39 || math.IsInf(float64(upShort(-1e39)), 0) {
		t.Error("a large negative number rounded up is not finite")
	}
}

// ordered numbers the float32 in ascending order.
func ordered(v float32) int32 {
	bits := int32(math.Float32bits(v))
	if bits < 0 {
		return math.MinInt32 - bits
	}
	return bits
}

// TestTablesAreNearTheirBest tries steps around the chosen one: none of few bits has a table that is better
// by more than 2 %.
func TestTablesAreNearTheirBest(t *testing.T) {
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		for _, kind := range []simb.Kind{simb.Tanh, simb.Sigmoid} {
			p := &Program{Options: Options{Width: width, Planes: 1, Levels: 127}}
			row := &simb.Row{}
			p.shapeRow(row, model.Activation{Kind: model.Kind(kind)}, interval{}, leastScale)
			total := func(step float64) float64 {
				table := newTable(width, kind, float32(step), row)
				return tableError(width, &table, row) + gain(model.Kind(kind))*step/2
			}
			chosen := float64(quant.TableStep(uint8(kind), width))
			now, best, at := total(chosen), math.Inf(1), 0.0
			for share := 0.7; share < 1.4; share += 0.03 {
				if e := total(chosen * share); e < best {
					best, at = e, chosen*share
				}
			}
			t.Logf("%d bits, %v: off by %.3g, %.2f steps of the state", width, model.Kind(kind), now, now/float64(row.Scale))
			if now > 1.02*best {
				t.Errorf("%d bits, %v: a step of %g is off by %g, one of %g by %g", width, model.Kind(kind), chosen, now, at, best)
			}
		}
	}
}

// TestWitnessesOfUnevenLoops: long cycles and weights far apart, where the vector is very uneven.
func TestWitnessesOfUnevenLoops(t *testing.T) {
	cycle := func(n int, weight func(i int) float64) *sparse.Matrix[float64] {
		dense := make([]float64, n*n)
		for i := range n {
			dense[i*n+(i+1)%n] = weight(i)
		}
		return sparse.FromDense(n, n, dense)
	}
	tests := []struct {
		name       string
		m          *sparse.Matrix[float64]
		eigenvalue float64
	}{
		{"a pair, 1e20 and 1e-21", cycle(2, func(i int) float64 { return []float64{1e20, 1e-21}[i] }), math.Sqrt(0.1)},
		{"a pair, 1e30 and 1e-31", cycle(2, func(i int) float64 { return []float64{1e30, 1e-31}[i] }), math.Sqrt(0.1)},
		{"a cycle of 1000 even weights", cycle(1000, func(int) float64 { return 0.9 }), 0.9},
		{"a cycle of 300, uneven", cycle(300, func(i int) float64 { return math.Exp(0.2*math.Sin(float64(i)*2*math.Pi/300) - 0.1) }), math.Exp(-0.1)},
		{"a cycle of 100, half 2 and half 0.4", cycle(100, func(i int) float64 { return []float64{2, 0.4}[i/50] }), math.Sqrt(0.8)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v, kappa := perron(test.m)
			if !(kappa < 1) || kappa < test.eigenvalue*(1-1e-6) {
				t.Fatalf("κ = %g, the eigenvalue is %g", kappa, test.eigenvalue)
			}
			t.Logf("κ = %.6g, eigenvalue %.6g", kappa, test.eigenvalue)
			for i, x := range v {
				if !(x > 0) || float64(float32(x)) != x || rowTimes(test.m, i, v) > kappa*x {
					t.Fatalf("v[%d] = %g is no witness", i, x)
				}
			}
		})
	}
	if _, kappa := perron(cycle(7, func(int) float64 { return 1 })); kappa < 1 {
		t.Errorf("κ = %g for an eigenvalue of 1", kappa)
	}
}
