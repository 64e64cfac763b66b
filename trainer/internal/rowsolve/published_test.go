package rowsolve

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// states is shared/data/states/fmnist2000.npz as sample-major features (x, u) and targets (z, y).
type states struct {
	n, p, q, m        int
	features, targets []float32
}

func (s *states) gram() *Gram {
	g := NewGram(s.n+s.p, s.n+s.q)
	g.Add(s.features, s.targets, s.m)
	return g
}

// rows returns the published problem: (A,B) on z with the ball 0.99 on x, then (C,D) on y.
func (s *states) rows(lambda float64) (ab, cd []Problem) {
	penalty := make([]float64, s.n+s.p)
	for j := range penalty {
		penalty[j] = lambda
	}
	for i := range s.n {
		ab = append(ab, Problem{Target: i, Omega: 1, Penalty: penalty, BallSize: s.n, Kappa: 0.99})
	}
	for k := range s.q {
		cd = append(cd, Problem{Target: s.n + k, Omega: 1, Penalty: penalty})
	}
	return ab, cd
}

func readStates(t testing.TB) *states {
	t.Helper()
	path := filepath.Join("..", "..", "..", "..", "shared", "data", "states", "fmnist2000.npz")
	r, err := zip.OpenReader(path)
	if err != nil {
		t.Skipf("the published states are not there: %v", err)
	}
	defer r.Close()
	arrays, shapes := map[string][]float32{}, map[string][2]int{}
	for _, f := range r.File {
		name := f.Name[:1]
		arrays[name], shapes[name] = readNPY(t, f)
	}
	s := &states{n: shapes["X"][0], p: shapes["U"][0], q: shapes["Y"][0], m: shapes["U"][1]}
	stack := func(a, b []float32) []float32 {
		out, rows := make([]float32, len(a)+len(b)), (len(a)+len(b))/s.m
		for i, v := range append(append([]float32{}, a...), b...) {
			out[i%s.m*rows+i/s.m] = v
		}
		return out
	}
	s.features, s.targets = stack(arrays["X"], arrays["U"]), stack(arrays["Z"], arrays["Y"])
	return s
}

func readNPY(t testing.TB, f *zip.File) ([]float32, [2]int) {
	t.Helper()
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	end := bytes.IndexByte(raw, '\n')
	match := regexp.MustCompile(`'descr': '<f4', 'fortran_order': False, 'shape': \((\d+), (\d+)\)`).FindSubmatch(raw[:end])
	if match == nil {
		t.Fatalf("%s: not a little-endian float32 matrix in C order: %q", f.Name, raw[:end])
	}
	rows, _ := strconv.Atoi(string(match[1]))
	cols, _ := strconv.Atoi(string(match[2]))
	out := make([]float32, rows*cols)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[end+1+4*i:]))
	}
	return out, [2]int{rows, cols}
}

// The optima were computed by an independent solver to six digits.
func TestPublishedProblemReachesTheKnownOptimum(t *testing.T) {
	s := readStates(t)
	g := s.gram()
	for _, want := range []struct {
		lambda, ab, cd float64
		long           bool
	}{
		{0.005, 11.252152, 5.909618, false},
		{0.0005, 1.853051, 1.223797, true},
	} {
		t.Run(fmt.Sprint(want.lambda), func(t *testing.T) {
			if want.long && os.Getenv("SIM_LONG") == "" {
				t.Skip("set SIM_LONG=1 to solve with the small penalty")
			}
			ab, cd := s.rows(want.lambda)
			checkOptimum(t, g, ab, want.ab)
			checkOptimum(t, g, cd, want.cd)
		})
	}
}

func checkOptimum(t *testing.T, g *Gram, problems []Problem, want float64) {
	t.Helper()
	solutions, err := SolveAll(g, problems, nil, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	sum, worst, nonzeros, iterations := 0.0, 0.0, 0, 0
	for i, sol := range solutions {
		sum += sol.Objective
		worst = max(worst, sol.Gap)
		nonzeros += len(sol.Support)
		iterations += sol.Iterations
		norm := 0.0
		for k, j := range sol.Support {
			if int(j) < problems[i].BallSize {
				norm += math.Abs(float64(float32(sol.Coef[k])))
			}
		}
		if problems[i].Kappa > 0 && norm > problems[i].Kappa*(1+1e-6) {
			t.Errorf("row %d: ‖a‖₁ = %v in float32, more than %v", i, norm, problems[i].Kappa)
		}
	}
	t.Logf("%d rows: objective %.7f, largest gap %.2g, %d nonzeros, %d linear systems", len(problems), sum, worst, nonzeros, iterations)
	if math.Abs(sum/want-1) > 3e-6 {
		t.Errorf("objective %.8f, want %.6f", sum, want)
	}
	if worst > Tolerance {
		t.Errorf("largest gap %v, want at most %v", worst, Tolerance)
	}
}
