package tune

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func randomFloats(random *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for k := range v {
		v[k] = float32(random.NormFloat64())
	}
	return v
}

func TestKernelsGiveTheGenericBits(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 3, 7, 64, 131} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			const columns = 150
			lines, line, weights := randomFloats(random, columns*lanes), randomFloats(random, lanes), randomFloats(random, n)
			lines[3], line[7] = float32(math.Inf(1)), 0
			cols := make([]int32, n)
			for k, j := range random.Perm(columns)[:n] {
				cols[k] = int32(j)
			}
			got, want := slices.Clone(line), slices.Clone(line)
			gather(got, lines, cols, weights)
			gatherGeneric(want, lines, cols, weights)
			sameBits(t, "gather", got, want)

			got, want = make([]float32, n), make([]float32, n)
			dots(got, line, lines, cols)
			dotsGeneric(want, line, lines, cols)
			sameBits(t, "dots", got, want)
			for k, j := range cols {
				exact, size := 0.0, 0.0
				for s := range lanes {
					v := float64(line[s]) * float64(lines[int(j)*lanes+s])
					exact, size = exact+v, size+math.Abs(v)
				}
				if math.Abs(float64(got[k])-exact) > 1e-5*size {
					t.Errorf("dot %d is %g, should be %g", k, got[k], exact)
				}
			}

			got, want = slices.Clone(lines), slices.Clone(lines)
			scatter(got, line, cols, weights)
			scatterGeneric(want, line, cols, weights)
			sameBits(t, "scatter", got, want)
		})
	}
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for k := range want {
		if math.Float32bits(got[k]) != math.Float32bits(want[k]) && !(got[k] != got[k] && want[k] != want[k]) {
			t.Fatalf("%s: number %d is %g, the generic kernel gives %g", what, k, got[k], want[k])
		}
	}
}

func BenchmarkKernels(b *testing.B) {
	const columns, n = 900, 4000
	random := rand.New(rand.NewPCG(3, 4))
	lines, line, weights, dst := randomFloats(random, columns*lanes), randomFloats(random, lanes), randomFloats(random, n), make([]float32, n)
	cols := make([]int32, n)
	for k := range cols {
		cols[k] = int32(random.IntN(columns))
	}
	for name, run := range map[string]func(){
		"gather":  func() { gather(line, lines, cols, weights) },
		"dots":    func() { dots(dst, line, lines, cols) },
		"scatter": func() { scatter(lines, dst[:lanes], cols, weights) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				clear(line)
				run()
			}
			b.ReportMetric(float64(b.N)*n*lanes/b.Elapsed().Seconds()/1e9, "GMAC/s")
		})
	}
}
