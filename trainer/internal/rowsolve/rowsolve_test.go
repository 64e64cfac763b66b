package rowsolve

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"
)

func TestSolutionsAreOptimalFeasibleAndCertified(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for trial := range 200 {
		p := draw(random)
		sol, err := Solve(p.gram(), &p.Problem, nil)
		if err != nil {
			t.Fatalf("trial %d: %v", trial, err)
		}
		w := p.dense(sol)
		atZero := p.objective(make([]float64, p.n), mean(p))
		reached := p.objective(w, sol.Intercept)
		if math.Abs(reached-sol.Objective) > 1e-6*max(reached, 1e-6*atZero) {
			t.Errorf("trial %d: the samples say objective %v, the solution %v", trial, reached, sol.Objective)
		}
		if sol.Gap > Tolerance {
			t.Errorf("trial %d: gap %v", trial, sol.Gap)
		}
		norm := 0.0
		for j, v := range w {
			if v != 0 && !p.allowed(j) {
				t.Errorf("trial %d: forbidden feature %d is used", trial, j)
			}
			if j < p.BallSize {
				norm += math.Abs(v)
			}
		}
		if p.Kappa > 0 && norm > p.Kappa*(1+1e-12) {
			t.Errorf("trial %d: ‖a‖₁ = %v outside the ball %v", trial, norm, p.Kappa)
		}
		// A certificate cannot be beaten, and the search must have found the optimum.
		v, beta := p.optimum(3000)
		oracle := p.objective(v, beta)
		scale := max(reached, 1e-9*atZero)
		if oracle < reached-sol.Gap*scale-1e-9*scale-1e-12*atZero {
			t.Errorf("trial %d: proximal gradient reaches %v, below the certified %v (gap %v)", trial, oracle, reached, sol.Gap)
		}
	}
}

func mean(p *sampled) float64 {
	if !p.Intercept {
		return 0
	}
	sum := 0.0
	for k := range p.m {
		sum += float64(p.targets[k*p.q+p.Target])
	}
	return sum / float64(p.m)
}

// The gap at an arbitrary point must bound what that point loses to the optimum.
func TestCertificateHoldsFarFromTheOptimum(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for trial := range 300 {
		p := draw(random)
		for j, v := range p.Penalty { // a point with unpenalised columns has no finite dual in general
			if v == 0 {
				p.Penalty[j] = 0.01
			}
		}
		g := p.gram()
		sol, err := Solve(g, &p.Problem, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := newSolver()
		if err := s.load(g.moments(p.Intercept), g.features, &p.Problem); err != nil {
			t.Fatal(err)
		}
		s.start(nil)
		size := math.Pow(10, -4*random.Float64())
		for _, j := range s.candidates {
			at := 0.0
			if i := slices.Index(sol.Support, j); i >= 0 {
				at = sol.Coef[i]
			}
			at = at*(1-size) + size*random.NormFloat64()
			if s.enter(j, at, true) {
				s.w[s.where[j]] = at
			}
		}
		s.confine()
		for i, v := range s.w { // confine goes by signs
			if v*s.sign[i] < 0 {
				t.Fatal("a sign is wrong in the test's point")
			}
		}
		s.gradient()
		cert := s.certify()
		loss := p.Omega*p.Omega*cert.objective - sol.Objective
		if gap := p.Omega * p.Omega * cert.gap; gap < loss*(1-1e-6)-1e-9*sol.Objective {
			t.Errorf("trial %d: the gap %v does not cover the loss %v", trial, gap, loss)
		}
	}
}

// Fewer samples than features, duplicates and sums of columns: supports are not unique, optima are.
func TestDependentColumnsAreSolvedToTheGap(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	for trial := range 60 {
		m, n := 6+random.IntN(12), 40
		p := &sampled{m: m, n: n, q: 1}
		p.features, p.targets = make([]float32, m*n), make([]float32, m)
		for k := range m {
			row := p.features[k*n : (k+1)*n]
			for j := range n / 2 {
				row[j] = float32(random.IntN(4))
			}
			for j := n / 2; j < n; j++ { // exact in float32
				row[j] = row[j%7] + row[j%5+7]
			}
			p.targets[k] = float32(random.NormFloat64())
		}
		p.Problem = Problem{Omega: 1, Penalty: make([]float64, n), Intercept: trial%2 == 0}
		for j := range p.Penalty {
			p.Penalty[j] = []float64{1e-1, 1e-2, 1e-4, 1e-6}[trial%4]
			if trial%3 == 0 && j >= n/2 {
				p.Penalty[j] *= 2
			}
		}
		if trial%5 < 2 {
			p.BallSize, p.Kappa = n/2+5, 0.3
		}
		sol, err := Solve(p.gram(), &p.Problem, nil)
		if err != nil {
			t.Fatal(err)
		}
		if sol.Gap > Tolerance {
			t.Errorf("trial %d: gap %v with penalty %v", trial, sol.Gap, p.Penalty[0])
		}
		reached := p.objective(p.dense(sol), sol.Intercept)
		if math.Abs(reached-sol.Objective) > 1e-6*reached {
			t.Errorf("trial %d: the samples say objective %v, the solution %v", trial, reached, sol.Objective)
		}
	}
}

// The pivoting method alone, from nothing, must reach the optimum: it is what the fast path falls
// back on.
func TestPivotingAloneReachesTheOptimum(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	for trial := range 200 {
		p := draw(random)
		g := p.gram()
		want, err := Solve(g, &p.Problem, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := newSolver()
		if err := s.load(g.moments(p.Intercept), g.features, &p.Problem); err != nil {
			t.Fatal(err)
		}
		s.start(nil)
		cert := s.finish()
		got := s.solution(g, &p.Problem, cert)
		if got.Gap > Tolerance || math.Abs(got.Objective-want.Objective) > 1e-6*want.Objective+1e-12 {
			t.Errorf("trial %d: pivoting reaches %v (gap %v), want %v", trial, got.Objective, got.Gap, want.Objective)
		}
	}
}

func TestWarmStartsReachTheSameOptimum(t *testing.T) {
	random := rand.New(rand.NewPCG(13, 14))
	for trial := range 200 {
		p := draw(random)
		g := p.gram()
		cold, err := Solve(g, &p.Problem, nil)
		if err != nil {
			t.Fatal(err)
		}
		// The guess comes from another penalty and another target, or is nonsense.
		other := p.Problem
		other.Target = random.IntN(p.q)
		other.Penalty = slices.Clone(p.Penalty)
		for j := range other.Penalty {
			other.Penalty[j] *= 0.3 + 2*random.Float64()
		}
		other.Candidates = nil
		guess, err := Solve(g, &other, nil)
		if err != nil {
			t.Fatal(err)
		}
		if trial%4 == 0 {
			guess = &Solution{Support: []int32{0, int32(p.n - 1), 99}, Coef: []float64{-5, math.NaN()}}
		}
		warm, err := Solve(g, &p.Problem, guess)
		if err != nil {
			t.Fatal(err)
		}
		if warm.Gap > Tolerance || math.Abs(warm.Objective-cold.Objective) > 2e-6*cold.Objective+1e-12 {
			t.Errorf("trial %d: warm %v (gap %v), cold %v", trial, warm.Objective, warm.Gap, cold.Objective)
		}
	}
}

func TestResultsDoNotDependOnWorkersOrCores(t *testing.T) {
	random := rand.New(rand.NewPCG(15, 16))
	const m, n, q = 300, 61, 9
	features, targets := make([]float32, m*n), make([]float32, m*q)
	for i := range features {
		features[i] = float32(max(random.NormFloat64(), 0))
	}
	for i := range targets {
		targets[i] = float32(random.NormFloat64())
	}
	var problems []Problem
	penalty := slices.Repeat([]float64{0.01}, n)
	for k := range q {
		problems = append(problems, Problem{Target: k, Omega: 1, Penalty: penalty, BallSize: 20, Kappa: 0.2, Intercept: k%2 == 0})
	}
	run := func(cores, workers int) ([]byte, []*Solution) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
		g := NewGram(n, q)
		g.Add(features, targets, m)
		raw, _ := g.MarshalBinary()
		calls := 0
		solutions, err := SolveAll(g, problems, nil, workers, func(done, total int) {
			if calls++; done != calls || total != q {
				t.Errorf("progress said %d of %d at call %d", done, total, calls)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if calls != q {
			t.Errorf("progress was called %d times", calls)
		}
		return raw, solutions
	}
	raw, solutions := run(1, 1)
	for _, c := range [][2]int{{2, 0}, {2, 2}, {4, 3}, {1, 7}} {
		raw2, solutions2 := run(c[0], c[1])
		if !slices.Equal(raw, raw2) {
			t.Errorf("the Gram differs on %d cores", c[0])
		}
		if !reflect.DeepEqual(solutions, solutions2) {
			t.Errorf("solutions differ with %d cores and %d workers", c[0], c[1])
		}
	}
}

func TestLeastSquaresSolvesTheNormalEquations(t *testing.T) {
	random := rand.New(rand.NewPCG(17, 18))
	for trial := range 100 {
		p := draw(random)
		g := p.gram()
		support := []int32{}
		for _, j := range random.Perm(p.n)[:1+random.IntN(p.n)] {
			support = append(support, int32(j))
		}
		ridge := 0.1 * float64(trial%2)
		coef, beta, err := LeastSquares(g, p.Target, support, p.Intercept, ridge)
		if err != nil {
			t.Fatal(err)
		}
		// The residual is orthogonal to every column (and to 1), dependent columns too.
		inner, size := make([]float64, p.n+1), 0.0
		for k := range p.m {
			r := float64(p.targets[k*p.q+p.Target]) - beta
			for i, j := range support {
				r -= coef[i] * float64(p.features[k*p.n+int(j)])
			}
			for _, j := range support {
				inner[j] += r * float64(p.features[k*p.n+int(j)]) / float64(p.m)
			}
			if p.Intercept {
				inner[p.n] += r / float64(p.m)
			}
			size = max(size, math.Abs(r))
		}
		for i, j := range support {
			if coef[i] != 0 {
				inner[j] -= ridge * coef[i]
			}
		}
		for j, v := range inner {
			if math.Abs(v) > 1e-7*(1+size) {
				t.Errorf("trial %d: the residual has product %v with column %d", trial, v, j)
			}
		}
	}
}

func TestIllPosedProblemsAreRefused(t *testing.T) {
	g := NewGram(3, 2)
	g.Add([]float32{1, 2, 3, 4, 5, 7}, []float32{1, 2, 3, 4}, 2)
	spoilt := NewGram(3, 2)
	spoilt.Add([]float32{1, float32(math.NaN()), 3, 4, 5, 6}, []float32{1, 2, float32(math.Inf(1)), 4}, 2)
	fine := func() Problem { return Problem{Omega: 1, Penalty: []float64{1, 1, 1}} }
	for _, c := range []struct {
		name  string
		g     *Gram
		spoil func(*Problem)
	}{
		{"no samples", NewGram(3, 2), func(p *Problem) {}},
		{"target out of range", g, func(p *Problem) { p.Target = 2 }},
		{"negative target", g, func(p *Problem) { p.Target = -1 }},
		{"omega zero", g, func(p *Problem) { p.Omega = 0 }},
		{"omega NaN", g, func(p *Problem) { p.Omega = math.NaN() }},
		{"ridge negative", g, func(p *Problem) { p.Ridge = -1 }},
		{"ridge weight NaN", g, func(p *Problem) { p.RidgeWeights = []float64{1, math.NaN(), 1} }},
		{"ridge weights too few", g, func(p *Problem) { p.RidgeWeights = []float64{1} }},
		{"penalty NaN", g, func(p *Problem) { p.Penalty[1] = math.NaN() }},
		{"penalty negative", g, func(p *Problem) { p.Penalty[1] = -1 }},
		{"penalties too few", g, func(p *Problem) { p.Penalty = p.Penalty[:2] }},
		{"candidates descend", g, func(p *Problem) { p.Candidates = []int32{1, 0} }},
		{"candidate out of range", g, func(p *Problem) { p.Candidates = []int32{3} }},
		{"ball too large", g, func(p *Problem) { p.BallSize = 4 }},
		{"kappa NaN", g, func(p *Problem) { p.Kappa = math.NaN() }},
		{"NaN in a feature", spoilt, func(p *Problem) { p.Target = 1 }},
		{"infinite target", spoilt, func(p *Problem) { p.Candidates = []int32{0} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := fine()
			c.spoil(&p)
			if _, err := Solve(c.g, &p, nil); !errors.Is(err, ErrProblem) {
				t.Errorf("Solve gave %v", err)
			}
			if _, err := SolveAll(c.g, []Problem{p}, nil, 1, nil); !errors.Is(err, ErrProblem) {
				t.Errorf("SolveAll gave %v", err)
			}
		})
	}
	if _, err := Solve(g, &Problem{Omega: 1, Penalty: []float64{1, 1, 1}}, nil); err != nil {
		t.Errorf("a fine problem was refused: %v", err)
	}
	if _, _, err := LeastSquares(g, 0, []int32{0, 0}, false, 0); !errors.Is(err, ErrProblem) {
		t.Errorf("LeastSquares with a repeated column gave %v", err)
	}
}
