package refine

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/sparse-implicit/sim/trainer/internal/rowsolve"
)

// samplesOf makes correlated features and one target, and the moments of them.
func samplesOf(t *testing.T, features, samples int, intercept bool) (x, y []float32, m *Moments) {
	t.Helper()
	random := rand.New(rand.NewPCG(7, uint64(features)))
	x, y = make([]float32, samples*features), make([]float32, samples)
	for s := range samples {
		row := x[s*features : (s+1)*features]
		common := random.NormFloat64()
		for j := range row {
			row[j] = float32(float64(j+1)*(random.NormFloat64()+0.5*common) + 0.3)
			y[s] += float32(math.Sin(float64(j))/float64(j+1)) * row[j]
		}
		y[s] += float32(0.3*random.NormFloat64() + 1)
	}
	g := rowsolve.NewGram(features, 1)
	g.Add(x, y, samples)
	return x, y, FromGram(g, intercept)
}

// direct fits by QR on the samples themselves and returns ½ mean squared error and coefficients.
func direct(x, y []float32, features int, support []int32, intercept bool) (float64, []float64) {
	samples := len(y)
	cols := len(support)
	if intercept {
		cols++
	}
	loss := func(w *mat.VecDense, a *mat.Dense, b *mat.VecDense) float64 {
		residual := mat.NewVecDense(samples, nil)
		if w != nil {
			residual.MulVec(a, w)
		}
		residual.SubVec(b, residual)
		return mat.Dot(residual, residual) / float64(2*samples)
	}
	b := mat.NewVecDense(samples, nil)
	for s, v := range y {
		b.SetVec(s, float64(v))
	}
	if cols == 0 {
		return loss(nil, nil, b), nil
	}
	a := mat.NewDense(samples, cols, nil)
	for s := range samples {
		for k, j := range support {
			a.Set(s, k, float64(x[s*features+int(j)]))
		}
		if intercept {
			a.Set(s, cols-1, 1)
		}
	}
	w := mat.NewVecDense(cols, nil)
	if err := w.SolveVec(a, b); err != nil {
		panic("unreachable: " + err.Error())
	}
	return loss(w, a, b), w.RawVector().Data
}

func TestLeastSquaresEqualsQROnTheSamples(t *testing.T) {
	for _, intercept := range []bool{false, true} {
		x, y, m := samplesOf(t, 9, 400, intercept)
		support := []int32{1, 3, 4, 8}
		want, weights := direct(x, y, 9, support, intercept)
		coef := m.LeastSquares(0, support, 1e-12)
		for k, w := range coef {
			if math.Abs(w-weights[k]) > 1e-6 {
				t.Errorf("intercept %v: coefficient %d is %g, QR gives %g", intercept, k, w, weights[k])
			}
		}
		if got := m.Loss(0, support, coef); math.Abs(got-want) > 1e-9*want {
			t.Errorf("intercept %v: loss %g from moments, %g from samples", intercept, got, want)
		}
		if intercept {
			if got := m.Intercept(0, support, coef); math.Abs(got-weights[4]) > 1e-5 {
				t.Errorf("β = %g, QR gives %g", got, weights[4])
			}
		}
	}
}

// The oracle refits by QR after every possible removal.
func TestEliminationRemovesWhatIsMissedLeast(t *testing.T) {
	for _, intercept := range []bool{false, true} {
		x, y, m := samplesOf(t, 8, 300, intercept)
		support := []int32{0, 1, 2, 3, 4, 5, 6, 7}
		loss, _ := direct(x, y, 8, support, intercept)
		removals := m.NewElimination(0, support, 1e-12).Until(math.Inf(1))
		if len(removals) != len(support) {
			t.Fatalf("%d removals of %d features", len(removals), len(support))
		}
		for step, removal := range removals {
			best, next := int32(-1), math.Inf(1)
			for k := range support {
				rest := slices.Delete(slices.Clone(support), k, k+1)
				if l, _ := direct(x, y, 8, rest, intercept); l < next {
					best, next = support[k], l
				}
			}
			if removal.Feature != best || math.Abs(removal.Cost-(next-loss)) > 1e-6*next {
				t.Fatalf("step %d removes feature %d at %g; refitting says %d at %g", step, removal.Feature, removal.Cost, best, next-loss)
			}
			support = slices.DeleteFunc(support, func(j int32) bool { return j == best })
			loss = next
		}
	}
}

func TestEliminationStopsAtTheLimitAndGoesOn(t *testing.T) {
	_, _, m := samplesOf(t, 12, 200, true)
	support := []int32{0, 2, 3, 5, 7, 8, 9, 11}
	whole := m.NewElimination(0, support, 1e-9).Until(math.Inf(1))
	e := m.NewElimination(0, support, 1e-9)
	limit := whole[3].Cost
	removals := e.Until(limit)
	for _, r := range removals {
		if r.Cost > limit {
			t.Errorf("removed feature %d at %g, above the limit %g", r.Feature, r.Cost, limit)
		}
	}
	if len(removals)+e.Remaining() != len(support) {
		t.Errorf("%d removed, %d left of %d", len(removals), e.Remaining(), len(support))
	}
	if removals = append(removals, e.Until(math.Inf(1))...); !slices.Equal(removals, whole) {
		t.Errorf("in two parts %v, in one %v", removals, whole)
	}
}

func TestDependentAndConstantFeaturesDoNoHarm(t *testing.T) {
	const samples = 50
	x, y := make([]float32, samples*3), make([]float32, samples)
	for s := range samples {
		v := float32(s%7) - 3
		x[s*3], x[s*3+1], x[s*3+2] = v, 2*v, 5
		y[s] = 3*v + 1
	}
	g := rowsolve.NewGram(3, 1)
	g.Add(x, y, samples)
	m := FromGram(g, true)
	support := m.Varying([]int32{0, 1, 2})
	if !slices.Equal(support, []int32{0, 1}) {
		t.Fatalf("varying features are %v", support)
	}
	coef := m.LeastSquares(0, support, 1e-9)
	if got := coef[0] + 2*coef[1]; math.Abs(got-3) > 1e-6 {
		t.Errorf("a feature and its double together weigh %g, not 3", got)
	}
	removals := m.NewElimination(0, support, 1e-9).Until(1e-6)
	if len(removals) != 1 {
		t.Errorf("removing one of two equal features should be free: %v", removals)
	}
}

func BenchmarkElimination(b *testing.B) {
	const n = 600
	random := rand.New(rand.NewPCG(1, 1))
	g := rowsolve.NewGram(n, 1)
	x, y := make([]float32, 4*n*n), make([]float32, 4*n)
	for i := range x {
		x[i] = random.Float32()
	}
	for i := range y {
		y[i] = random.Float32()
	}
	g.Add(x, y, 4*n)
	m := FromGram(g, true)
	support := make([]int32, n)
	for i := range support {
		support[i] = int32(i)
	}
	for b.Loop() {
		m.NewElimination(0, support, 1e-6).Until(math.Inf(1))
	}
}
