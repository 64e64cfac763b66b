package rowsolve

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"testing"
)

const growthRows = 16 // row problems per case

// synthetic streams samples that are made on the way and never stored: features with common factors, half
// of them cut at zero as states are, and targets that are sums of forty of them, plus noise. seconds
// collects the CPU time spent in visits.
func synthetic(features, samples int, seconds *float64) Stream {
	return func(visit func(features, targets []float32, samples int) error) error {
		const block = 512
		f, t := make([]float32, block*features), make([]float32, block*growthRows)
		state := uint64(88172645463325252)
		next := func() float32 { // xorshift; uniform in [−1, 1)
			state ^= state << 13
			state ^= state >> 7
			state ^= state << 17
			return float32(int64(state)>>40) / (1 << 23)
		}
		for first := 0; first < samples; first += block {
			count := min(block, samples-first)
			for k := range count {
				common := [4]float32{next(), next(), next(), next()}
				row := f[k*features : (k+1)*features]
				for j := range row {
					row[j] = next() + common[j%4]
					if j%2 == 0 {
						row[j] = max(row[j], 0)
					}
				}
				for r := range growthRows {
					sum := 0.5 * next()
					for a := range 40 {
						sum += row[(a*a*13+a*7+r*31)%features] * float32(1+a%5) / 10
					}
					t[k*growthRows+r] = sum
				}
			}
			before := userSeconds()
			if err := visit(f[:count*features], t[:count*growthRows], count); err != nil {
				return err
			}
			*seconds += userSeconds() - before
		}
		return nil
	}
}

// growthProblems are rows at penalties that leave some forty features or so in use.
func growthProblems(features int, std []float64) []Problem {
	var problems []Problem
	for r := range growthRows {
		p := Problem{Target: r, Omega: 1, Penalty: make([]float64, features), Intercept: true}
		for j := range p.Penalty {
			p.Penalty[j] = 0.06 * std[j]
		}
		problems = append(problems, p)
	}
	return problems
}

// heap returns the bytes in use.
func heap() float64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}

// growth is what one case took.
type growth struct {
	features, samples         int
	gramSeconds, gramBytes    float64
	rowsSeconds               float64
	screenSeconds, screenHeap float64 // of the rows by screening: in all passes, what is solved between them apart
	weights                   int
}

// measureGram gathers the Gram and solves the rows.
func measureGram(t *testing.T, features, samples int) growth {
	t.Helper()
	out := growth{features: features, samples: samples}
	before := heap()
	g := NewGram(features, growthRows)
	err := synthetic(features, samples, &out.gramSeconds)(func(f, u []float32, n int) error {
		g.Add(f, u, n)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	out.gramBytes = heap() - before
	problems := growthProblems(features, g.FeatureStd())
	start := userSeconds()
	solutions, err := SolveAll(g, problems, nil, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	out.rowsSeconds = userSeconds() - start
	for i, s := range solutions {
		out.weights += len(s.Support)
		if s.Gap > Tolerance {
			t.Errorf("%d features, %d samples: the gap of row %d is %g", features, samples, i, s.Gap)
		}
	}
	runtime.KeepAlive(g)
	return out
}

// measureScreening solves the same rows without the Gram.
func measureScreening(t *testing.T, out *growth) {
	t.Helper()
	before := heap()
	cross := NewCross(out.features, growthRows)
	stream := synthetic(out.features, out.samples, &out.screenSeconds)
	err := stream(func(f, u []float32, n int) error {
		cross.Add(f, u, n)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := NewScreened(cross, stream, 200, 64<<20)
	solutions, err := s.Solve(growthProblems(out.features, cross.FeatureStd()), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	out.screenHeap = heap() - before
	for i, sol := range solutions {
		if sol.Gap > Tolerance {
			t.Errorf("%d features, %d samples: by screening the gap of row %d is %g", out.features, out.samples, i, sol.Gap)
		}
	}
	runtime.KeepAlive(s)
}

// exponents fits log y = a + b·log features + c·log samples by least squares and returns b and c.
func exponents(cases []growth, y func(growth) float64) (b, c float64) {
	var sums [3][4]float64
	for _, g := range cases {
		v := y(g)
		if v <= 0 {
			continue
		}
		row := [4]float64{1, math.Log(float64(g.features)), math.Log(float64(g.samples)), math.Log(v)}
		for i := range 3 {
			for j := range 4 {
				sums[i][j] += row[i] * row[j]
			}
		}
	}
	for i := range 3 { // Gauss-Jordan on the normal equations
		for k := range 3 {
			if k != i {
				factor := sums[k][i] / sums[i][i]
				for j := range 4 {
					sums[k][j] -= factor * sums[i][j]
				}
			}
		}
	}
	return sums[1][3] / sums[1][1], sums[2][3] / sums[2][2]
}

// Memory must not depend on the number of samples. SIM_LONG=1 prints times and memory of large cases and
// their growth.
func TestGrowth(t *testing.T) {
	grid := []growth{{features: 100, samples: 600}, {features: 200, samples: 600}, {features: 400, samples: 600}, {features: 100, samples: 2400}, {features: 100, samples: 9600}}
	if os.Getenv("SIM_LONG") != "" {
		grid = nil
		for _, features := range []int{500, 1000, 2000, 4000, 8000} {
			for _, samples := range []int{2_000, 20_000, 200_000, 1_000_000} {
				if float64(features)*float64(features)*float64(samples) <= 1.3e12 { // some minutes in all
					grid = append(grid, growth{features: features, samples: samples})
				}
			}
		}
	}
	var cases []growth
	line := "\nfeatures  samples  Gram CPU s  Gram MiB  16 rows CPU s  screened CPU s  screened MiB  weights\n"
	for _, c := range grid {
		done := measureGram(t, c.features, c.samples)
		measureScreening(t, &done)
		cases = append(cases, done)
		line += fmt.Sprintf("%8d %8d %11.2f %9.1f %14.3f %15.2f %13.1f %8d\n", done.features, done.samples, done.gramSeconds, done.gramBytes/(1<<20),
			done.rowsSeconds, done.screenSeconds, done.screenHeap/(1<<20), done.weights)
	}
	for _, part := range []struct {
		name string
		y    func(growth) float64
	}{
		{"Gram seconds", func(g growth) float64 { return g.gramSeconds }},
		{"Gram bytes", func(g growth) float64 { return g.gramBytes }},
		{"seconds of the rows", func(g growth) float64 { return g.rowsSeconds }},
		{"screened seconds", func(g growth) float64 { return g.screenSeconds }},
		{"screened bytes", func(g growth) float64 { return g.screenHeap }},
	} {
		b, c := exponents(cases, part.y)
		line += fmt.Sprintf("%s ~ features^%.2f samples^%.2f\n", part.name, b, c)
	}
	t.Log(line)
	for _, c := range cases {
		for _, o := range cases {
			if c.features == o.features && c.gramBytes > 1.1*o.gramBytes+1<<16 {
				t.Errorf("%d features: %.0f bytes at %d samples, %.0f at %d", c.features, c.gramBytes, c.samples, o.gramBytes, o.samples)
			}
		}
	}
}
