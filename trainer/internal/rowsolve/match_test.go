package rowsolve

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize/convex/lp"
)

// simplex solves min Σ Penalty|w| s.t. Fw + β = t and the ball, by gonum's simplex in w = w⁺ − w⁻.
func simplex(t *testing.T, p *sampled) (float64, bool) {
	t.Helper()
	rows, cols := p.m, 2*p.n+2
	if p.Kappa > 0 {
		rows, cols = rows+1, cols+1
	}
	a := mat.NewDense(rows, cols, nil)
	cost, right := make([]float64, cols), make([]float64, rows)
	for k := range p.m {
		for j := range p.n {
			if p.allowed(j) {
				a.Set(k, 2*j, float64(p.features[k*p.n+j]))
				a.Set(k, 2*j+1, -float64(p.features[k*p.n+j]))
			}
		}
		if p.Intercept {
			a.Set(k, 2*p.n, 1)
			a.Set(k, 2*p.n+1, -1)
		}
		right[k] = float64(p.targets[k*p.q+p.Target])
	}
	for j := range p.n {
		cost[2*j], cost[2*j+1] = p.Penalty[j], p.Penalty[j]
		if !p.allowed(j) {
			cost[2*j], cost[2*j+1] = 0, 0
		}
	}
	if p.Kappa > 0 {
		for j := range p.BallSize {
			a.Set(p.m, 2*j, 1)
			a.Set(p.m, 2*j+1, 1)
		}
		a.Set(p.m, cols-1, 1)
		right[p.m] = p.Kappa
	}
	// lp.Simplex wants no empty columns.
	var kept []int
	for c := range cols {
		if mat.Norm(a.ColView(c), 1) > 0 {
			kept = append(kept, c)
		}
	}
	b := mat.NewDense(rows, len(kept), nil)
	costs := make([]float64, len(kept))
	for to, from := range kept {
		costs[to] = cost[from]
		for k := range rows {
			b.Set(k, to, a.At(k, from))
		}
	}
	optimum, _, err := lp.Simplex(costs, b, right, 1e-10, nil)
	if errors.Is(err, lp.ErrInfeasible) {
		return 0, false
	}
	if err != nil {
		t.Fatalf("the simplex oracle: %v", err)
	}
	return optimum, true
}

// wide draws a problem with more features than samples, so that weights that match exactly exist unless
// the ball forbids them.
func wide(random *rand.Rand) *sampled {
	s := &sampled{m: 3 + random.IntN(6), q: 2}
	s.n = s.m + 3 + random.IntN(8)
	s.features, s.targets = make([]float32, s.m*s.n), make([]float32, s.m*s.q)
	for i := range s.features {
		s.features[i] = float32(random.NormFloat64())
	}
	for i := range s.targets {
		s.targets[i] = float32(random.NormFloat64())
	}
	s.Problem = Problem{Target: random.IntN(2), Omega: 0.5 + random.Float64(), Intercept: random.IntN(2) == 0, Match: 1e-4}
	for range s.n {
		s.Penalty = append(s.Penalty, 0.2+random.Float64())
	}
	if random.IntN(3) == 0 {
		s.Penalty[random.IntN(s.n)] = math.Inf(1)
	}
	if random.IntN(2) == 0 {
		s.BallSize, s.Kappa = 1+random.IntN(s.n), 0.05+random.Float64()
	}
	return s
}

func TestExactMatchingReachesTheSimplexOptimum(t *testing.T) {
	random := rand.New(rand.NewPCG(31, 32))
	infeasible := 0
	for trial := range 200 {
		p := wide(random)
		want, feasible := simplex(t, p)
		sol, err := Solve(p.gram(), &p.Problem, nil)
		if !feasible {
			infeasible++
			if !errors.Is(err, ErrInfeasible) {
				t.Errorf("trial %d: the simplex finds no weights, Solve gave %v and %v", trial, sol, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("trial %d: %v, but the simplex reaches %v", trial, err, want)
			continue
		}
		if sol.Gap > Tolerance || sol.Objective > want*(1+1e-7) || sol.Objective < want*(1-5e-3) {
			t.Errorf("trial %d: objective %v (gap %v), the simplex reaches %v", trial, sol.Objective, sol.Gap, want)
		}
		checkMatch(t, trial, p, sol)
	}
	if infeasible < 10 {
		t.Errorf("only %d infeasible problems: no test of the refusal", infeasible)
	}
}

// checkMatch evaluates a solution sample by sample.
func checkMatch(t *testing.T, trial int, p *sampled, sol *Solution) {
	t.Helper()
	w := p.dense(sol)
	centre, off, spread, norm, ball := mean(p), 0.0, 0.0, 0.0, 0.0
	for k := range p.m {
		v := float64(p.targets[k*p.q+p.Target])
		r := v - sol.Intercept
		for j := range w {
			r -= w[j] * float64(p.features[k*p.n+j])
		}
		off += r * r
		spread += (v - centre) * (v - centre)
	}
	for j, v := range w {
		if v != 0 {
			norm += p.Penalty[j] * math.Abs(v)
		}
		if j < p.BallSize {
			ball += math.Abs(v)
		}
	}
	if math.Sqrt(off/spread) > p.Match*(1+1e-3)+1e-9 {
		t.Errorf("trial %d: %v of the deviation remains, %v is allowed", trial, math.Sqrt(off/spread), p.Match)
	}
	if math.Abs(norm-sol.Objective) > 1e-9*norm {
		t.Errorf("trial %d: the penalty is %v, the solution says %v", trial, norm, sol.Objective)
	}
	if p.Kappa > 0 && ball > p.Kappa*(1+1e-12) {
		t.Errorf("trial %d: ‖a‖₁ = %v outside the ball %v", trial, ball, p.Kappa)
	}
}

// With more samples than features some of the target cannot be matched: how much, QR tells.
func TestWhatNoWeightsMatchIsToldAndNothingElse(t *testing.T) {
	random := rand.New(rand.NewPCG(33, 34))
	for trial := range 100 {
		p := wide(random)
		p.BallSize, p.Kappa = 0, 0
		p.m, p.n = 30, 6
		p.features, p.targets = randomBlock(random, p.m, p.n), randomBlock(random, p.m, p.q)
		p.Penalty = p.Penalty[:p.n]
		noise := math.Pow(10, -4*random.Float64())
		for k := range p.m {
			sum := 0.5
			if !p.Intercept {
				sum = 0
			}
			for j := range p.n {
				if p.allowed(j) {
					sum += math.Sin(float64(j+1)) * float64(p.features[k*p.n+j])
				}
			}
			p.targets[k*p.q+p.Target] = float32(sum + noise*random.NormFloat64())
		}
		support := []int32{}
		for j := range p.n {
			if p.allowed(j) {
				support = append(support, int32(j))
			}
		}
		coef, beta, err := LeastSquares(p.gram(), p.Target, support, p.Intercept, 0)
		if err != nil {
			t.Fatal(err)
		}
		off, spread := 0.0, 0.0
		for k := range p.m {
			v := float64(p.targets[k*p.q+p.Target])
			r := v - beta
			for i, j := range support {
				r -= coef[i] * float64(p.features[k*p.n+int(j)])
			}
			off += r * r
			spread += (v - mean(p)) * (v - mean(p))
		}
		least := math.Sqrt(off / spread)
		p.Match = least * 0.9
		if _, err := Solve(p.gram(), &p.Problem, nil); !errors.Is(err, ErrInfeasible) {
			t.Errorf("trial %d: %v of the deviation is the least there can be; asked for %v, Solve gave %v", trial, least, p.Match, err)
		}
		p.Match = least * 1.1
		sol, err := Solve(p.gram(), &p.Problem, nil)
		if err != nil || sol.Gap > Tolerance {
			t.Errorf("trial %d: %v of the deviation is the least there can be; asked for %v, Solve gave %+v, %v", trial, least, p.Match, sol, err)
			continue
		}
		checkMatch(t, trial, p, sol)
	}
}

func TestExactMatchingOfWhatDoesNotVary(t *testing.T) {
	g := NewGram(2, 1)
	g.Add([]float32{1, 2, 3, 4, 5, 7}, []float32{3, 3, 3}, 3)
	sol, err := Solve(g, &Problem{Omega: 1, Penalty: []float64{1, 1}, Intercept: true, Match: 1e-4}, nil)
	if err != nil || len(sol.Support) != 0 || sol.Intercept != 3 || sol.Objective != 0 {
		t.Errorf("a constant target needs its constant alone: %+v, %v", sol, err)
	}
	if _, err := Solve(g, &Problem{Omega: 1, Penalty: []float64{1, 1}, Ridge: 1, Match: 1e-4}, nil); !errors.Is(err, ErrProblem) {
		t.Errorf("a ridge with exact matching gave %v", err)
	}
}

// Weights that match better than they must cost more than the optimum: the gap must cover what they lose.
func TestMatchingCertificateHoldsFarFromTheOptimum(t *testing.T) {
	random := rand.New(rand.NewPCG(35, 36))
	bound := 0
	for trial := range 200 {
		p := wide(random)
		p.Match = 0.2
		g := p.gram()
		best, err := Solve(g, &p.Problem, nil)
		if err != nil {
			continue // the ball forbids it
		}
		m := &matching{solver: newSolver(), gram: g, problem: &p.Problem, rows: p.Problem}
		m.rows.Match, m.rows.Omega, m.rows.Penalty = 0, 1, make([]float64, p.n)
		for lambda := 1.0; lambda > 1e-9; lambda /= 3 {
			if err := m.solve(lambda); err != nil {
				t.Fatal(err)
			}
			m.allowed = 0.04 * m.tt
			if m.residual() > m.allowed || m.residual() < 1e-9*m.tt {
				continue
			}
			if m.mu > 0 {
				bound++
			}
			sol := m.certified(lambda)
			if loss := sol.Objective - best.Objective; sol.Gap*sol.Objective < loss-1e-6*best.Objective {
				t.Errorf("trial %d: the gap %v does not cover the loss %v", trial, sol.Gap*sol.Objective, loss)
			}
		}
	}
	if bound < 50 {
		t.Errorf("the ball bound only %d times", bound)
	}
}
