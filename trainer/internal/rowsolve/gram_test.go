package rowsolve

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func randomBlock(random *rand.Rand, rows, cols int) []float32 {
	out := make([]float32, rows*cols)
	for i := range out {
		out[i] = float32(random.NormFloat64())
		if random.IntN(2) == 0 {
			out[i] = 0
		}
	}
	return out
}

func TestGramHoldsTheSumsOfProducts(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 22))
	for _, shape := range [][3]int{{1, 1, 1}, {3, 2, 5}, {8, 8, 128}, {9, 1, 129}, {13, 11, 300}, {20, 0, 40}, {16, 9, 256}} {
		n, q, m := shape[0], shape[1], shape[2]
		f, u := randomBlock(random, m, n), randomBlock(random, m, q)
		g := NewGram(n, q)
		g.Add(f, u, m)
		near := func(what string, got float64, product func(s int) float64) {
			t.Helper()
			want, size := 0.0, 0.0
			for s := range m {
				want += product(s)
				size += math.Abs(product(s))
			}
			if math.Abs(got-want) > 1e-14*size {
				t.Fatalf("shape %v: %s is %v, want %v", shape, what, got, want)
			}
		}
		for i := range n {
			for j := range n {
				near("FF", g.FF(i, j), func(s int) float64 { return float64(f[s*n+i]) * float64(f[s*n+j]) })
			}
			for k := range q {
				near("FT", g.FT(i, k), func(s int) float64 { return float64(f[s*n+i]) * float64(u[s*q+k]) })
			}
			near("a feature's sum", g.FeatureMean(i)*float64(m), func(s int) float64 { return float64(f[s*n+i]) })
		}
		for k := range q {
			near("a target's sum", g.TargetMean(k)*float64(m), func(s int) float64 { return float64(u[s*q+k]) })
			near("a target's square", g.targetSquare[k], func(s int) float64 { return float64(u[s*q+k]) * float64(u[s*q+k]) })
		}
		if g.Samples() != m {
			t.Errorf("shape %v: %d samples", shape, g.Samples())
		}
	}
}

func TestStandardDeviations(t *testing.T) {
	g := NewGram(3, 2)
	g.Add([]float32{1, 0.1, 0, 3, 0.1, 0, 5, 0.1, 0, 7, 0.1, 0}, []float32{2, 0.3, 2, 0.3, 2, 0.3, 4, 0.3}, 4)
	std := g.FeatureStd()
	if math.Abs(std[0]-math.Sqrt(5)) > 1e-12 || std[1] != 0 || std[2] != 0 {
		t.Errorf("features: %v, want √5 and exact zeros for the constant ones", std)
	}
	std = g.TargetStd()
	if math.Abs(std[0]-math.Sqrt(0.75)) > 1e-12 || std[1] != 0 {
		t.Errorf("targets: %v, want √0.75 and 0", std)
	}
}

func TestShardsMergeToTheWhole(t *testing.T) {
	random := rand.New(rand.NewPCG(23, 24))
	const n, q, m = 19, 5, 400
	f, u := randomBlock(random, m, n), randomBlock(random, m, q)
	whole, merged := NewGram(n, q), NewGram(n, q)
	whole.Add(f, u, m)
	for _, cut := range [][2]int{{0, 130}, {130, 131}, {131, 400}} {
		shard := NewGram(n, q)
		shard.Add(f[cut[0]*n:cut[1]*n], u[cut[0]*q:cut[1]*q], cut[1]-cut[0])
		if err := merged.Merge(shard); err != nil {
			t.Fatal(err)
		}
	}
	if merged.Samples() != m {
		t.Errorf("%d samples after merging", merged.Samples())
	}
	var a, b []float64
	whole.visit(func(v []float64) { a = append(a, v...) })
	merged.visit(func(v []float64) { b = append(b, v...) })
	for i := range a {
		if math.Abs(a[i]-b[i]) > 1e-12*float64(m) {
			t.Fatalf("number %d is %v in the whole, %v merged", i, a[i], b[i])
		}
	}
	if err := merged.Merge(NewGram(n, q+1)); err == nil {
		t.Error("Grams of different shapes were merged")
	}
}

// A solve before more samples arrive must not leave stale moments behind.
func TestAddingAfterSolvingIsSeen(t *testing.T) {
	random := rand.New(rand.NewPCG(25, 26))
	const n, m = 6, 50
	f, u := randomBlock(random, 2*m, n), randomBlock(random, 2*m, 1)
	p := &Problem{Omega: 1, Penalty: slices.Repeat([]float64{0.01}, n)}
	g, whole := NewGram(n, 1), NewGram(n, 1)
	g.Add(f[:m*n], u[:m], m)
	if _, err := Solve(g, p, nil); err != nil {
		t.Fatal(err)
	}
	g.Add(f[m*n:], u[m:], m)
	whole.Add(f, u, 2*m)
	got, err := Solve(g, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Solve(whole, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(got.Objective-want.Objective) > 1e-9*want.Objective {
		t.Errorf("objective %v after adding, want %v", got.Objective, want.Objective)
	}
}

func TestSubsetIsTheGramOfTheChosenFeatures(t *testing.T) {
	random := rand.New(rand.NewPCG(27, 28))
	const n, q, m = 12, 3, 70
	f, u := randomBlock(random, m, n), randomBlock(random, m, q)
	chosen := []int32{7, 2, 11, 0}
	var part []float32
	for s := range m {
		for _, j := range chosen {
			part = append(part, f[s*n+int(j)])
		}
	}
	g, want := NewGram(n, q), NewGram(len(chosen), q)
	g.Add(f, u, m)
	want.Add(part, u, m)
	got := g.Subset(chosen)
	a, _ := got.MarshalBinary()
	b, _ := want.MarshalBinary()
	if !slices.Equal(a, b) {
		t.Error("the subset differs from the Gram of the chosen columns")
	}
}

func TestGramSurvivesSerialisationAndRefusesDamage(t *testing.T) {
	random := rand.New(rand.NewPCG(29, 30))
	g := NewGram(5, 2)
	g.Add(randomBlock(random, 30, 5), randomBlock(random, 30, 2), 30)
	raw, err := g.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var back Gram
	if err := back.UnmarshalBinary(raw); err != nil {
		t.Fatal(err)
	}
	again, _ := back.MarshalBinary()
	if !slices.Equal(raw, again) {
		t.Error("the bytes changed on a round trip")
	}
	for i := range raw {
		damaged := slices.Clone(raw)
		damaged[i] ^= 0x10
		if err := back.UnmarshalBinary(damaged); !errors.Is(err, ErrGram) {
			t.Fatalf("a flip in byte %d gave %v", i, err)
		}
		if err := back.UnmarshalBinary(raw[:i]); !errors.Is(err, ErrGram) {
			t.Fatalf("%d of %d bytes gave %v", i, len(raw), err)
		}
	}
}
