package teacher

import (
	"math"
	"math/rand/v2"
	"testing"
)

// randomFloats draws numbers of both signs and many magnitudes, a few of them 0.
func randomFloats(random *rand.Rand, n int) []float32 {
	values := make([]float32, n)
	for k := range values {
		if random.IntN(8) > 0 {
			values[k] = float32(random.NormFloat64() * math.Ldexp(1, random.IntN(20)-10))
		}
	}
	return values
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for k := range want {
		if math.Float32bits(got[k]) != math.Float32bits(want[k]) {
			t.Fatalf("%s[%d] = %x (%g), the generic kernel gives %x (%g)", what, k, math.Float32bits(got[k]), got[k], math.Float32bits(want[k]), want[k])
		}
	}
}

func TestAccumulateGivesTheGenericKernelsBits(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const rows = 37
	for width := lanes; width <= 27*lanes; width += lanes {
		m := randomFloats(random, rows*width)
		for _, n := range []int{0, 1, 2, 3, 17, 130} {
			values, index := randomFloats(random, n), make([]int32, n)
			for k := range index {
				index[k] = int32(random.IntN(rows))
			}
			want := randomFloats(random, width)
			got := append([]float32(nil), want...)
			accumulate(got, m, values, index)
			accumulateGeneric(want, m, values, index)
			sameBits(t, "dst", got, want)
		}
	}
}

func TestUpdateGivesTheGenericKernelsBits(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	trainer := &trainer{decay1: 0.3, decay2: 0.9}
	constants := trainer.adamw(0.01, 0.2)
	for n := 0; n <= 20*lanes; n += lanes {
		var got, want [3][]float32
		gradient := randomFloats(random, n)
		for k := range got {
			got[k] = randomFloats(random, n)
			if k > 0 {
				for i, v := range got[k] {
					got[k][i] = float32(math.Abs(float64(v)))
					if random.IntN(4) == 0 { // moments about to vanish
						got[k][i], gradient[i] = float32(math.Ldexp(1, -98-random.IntN(50))), 0
					}
				}
			}
			want[k] = append([]float32(nil), got[k]...)
		}
		update(&constants, got[0], got[1], got[2], gradient)
		updateGeneric(&constants, want[0], want[1], want[2], gradient)
		for k, what := range []string{"weights", "first moment", "second moment"} {
			sameBits(t, what, got[k], want[k])
		}
	}
}

func TestUpdateIsAdamW(t *testing.T) {
	const rate, decay = 0.01, 0.3
	trainer := &trainer{decay1: 1, decay2: 1}
	weights, first, second := []float32{1, -2, 0.5, 0}, make([]float32, 4), make([]float32, 4)
	var w, m, v [4]float64
	for k := range w {
		w[k] = float64(weights[k])
	}
	random := rand.New(rand.NewPCG(5, 6))
	for step := 1; step <= 50; step++ {
		gradient := randomFloats(random, 4)
		trainer.decay1, trainer.decay2 = trainer.decay1*beta1, trainer.decay2*beta2
		constants := trainer.adamw(rate, decay)
		updateGeneric(&constants, weights, first, second, gradient)
		for k, g32 := range gradient { // algorithm 2 of arXiv 1711.05101, as printed
			g := float64(g32)
			m[k] = 0.9*m[k] + 0.1*g
			v[k] = 0.999*v[k] + 0.001*g*g
			unbiased1 := m[k] / (1 - math.Pow(0.9, float64(step)))
			unbiased2 := v[k] / (1 - math.Pow(0.999, float64(step)))
			w[k] -= rate * (unbiased1/(math.Sqrt(unbiased2)+1e-8) + decay*w[k])
		}
	}
	for k := range w {
		if math.Abs(w[k]-float64(weights[k])) > 1e-4*(1+math.Abs(w[k])) {
			t.Errorf("weight %d is %g after 50 steps, AdamW gives %g", k, weights[k], w[k])
		}
	}
}

func TestMomentsDoNotBecomeSubnormal(t *testing.T) {
	trainer := &trainer{decay1: 0.5, decay2: 0.5}
	constants := trainer.adamw(0.01, 0)
	weights, first, second := make([]float32, lanes), make([]float32, lanes), make([]float32, lanes)
	gradient := []float32{1, -1, 1e-3, -1e-3, 1e-18, -1e-18, 1e-30, 0}
	for range 2000 {
		update(&constants, weights, first, second, gradient)
		clear(gradient)
	}
	for k, v := range first {
		if v != 0 {
			t.Errorf("first moment %d is still %g", k, v)
		}
	}
	for k, v := range second {
		if v != 0 && v < 1e-30 {
			t.Errorf("second moment %d is still %g", k, v)
		}
	}
}

func TestHalfCosineFollowsTheCosine(t *testing.T) {
	for k := 0; k <= 1000; k++ {
		x := float64(k) / 1000
		if want := (1 + math.Cos(math.Pi*x)) / 2; math.Abs(halfCosine(x)-want) > 1e-14 {
			t.Fatalf("halfCosine(%g) = %g, want %g", x, halfCosine(x), want)
		}
	}
}

func BenchmarkAccumulate(b *testing.B) {
	const width, rows, n = 64, 784, 392
	random := rand.New(rand.NewPCG(7, 8))
	m, values, dst := randomFloats(random, width*rows), randomFloats(random, n), make([]float32, width)
	index := make([]int32, n)
	for k := range index {
		index[k] = int32(2 * k)
	}
	b.ReportAllocs()
	for b.Loop() {
		accumulate(dst, m, values, index)
	}
	b.ReportMetric(float64(b.N)*n*width/b.Elapsed().Seconds()/1e9, "GMAC/s")
}
