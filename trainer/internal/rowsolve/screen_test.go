package rowsolve

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// streamOf hands out samples in blocks and counts passes.
func streamOf(p *sampled, block int, passes *int) Stream {
	return func(visit func(features, targets []float32, samples int) error) error {
		*passes++
		for first := 0; first < p.m; first += block {
			last := min(first+block, p.m)
			if err := visit(p.features[first*p.n:last*p.n], p.targets[first*p.q:last*p.q], last-first); err != nil {
				return err
			}
		}
		return nil
	}
}

// drawWide makes rows over many correlated features.
func drawWide(random *rand.Rand) (*sampled, []Problem) {
	p := &sampled{m: 150 + random.IntN(100), n: 100 + random.IntN(150), q: 6}
	p.features, p.targets = make([]float32, p.m*p.n), make([]float32, p.m*p.q)
	for k := range p.m {
		var common [5]float64
		for c := range common {
			common[c] = random.NormFloat64()
		}
		row := p.features[k*p.n : (k+1)*p.n]
		for j := range row {
			row[j] = float32(common[j%5] + 0.8*random.NormFloat64() + 0.2)
		}
		for t := range p.q {
			sum := 0.3 * random.NormFloat64()
			for a := range 8 {
				sum += math.Sin(float64(a+t)) * float64(row[(a*a*7+t*11)%p.n])
			}
			p.targets[k*p.q+t] = float32(sum)
		}
	}
	lambda := math.Pow(10, -0.5-1.5*random.Float64())
	var problems []Problem
	for t := range p.q {
		problem := Problem{Target: t, Omega: 0.5 + random.Float64(), Intercept: random.IntN(2) == 0}
		for range p.n {
			v := lambda * (0.5 + random.Float64())
			if random.IntN(30) == 0 {
				v = math.Inf(1)
			}
			problem.Penalty = append(problem.Penalty, v)
		}
		switch random.IntN(4) {
		case 0:
			problem.BallSize, problem.Kappa = p.n/2, 0.5
		case 1:
			problem.Knee = make([]float64, p.n)
			for j := range problem.Knee {
				problem.Knee[j] = 0.05 + 0.3*random.Float64()
			}
		case 2:
			problem.Ridge = 0.1
		}
		if random.IntN(3) == 0 {
			for j := range p.n {
				if j%3 > 0 {
					problem.Candidates = append(problem.Candidates, int32(j))
				}
			}
		}
		problems = append(problems, problem)
	}
	return p, problems
}

// The oracle is the solver on the whole Gram.
func TestScreeningReachesTheOptimumOfTheWholeProblem(t *testing.T) {
	random := rand.New(rand.NewPCG(51, 52))
	rounds := 0
	for trial := range 12 {
		p, problems := drawWide(random)
		want, err := SolveAll(p.gram(), problems, nil, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range [][2]int{{3, 1}, {10, 40_000}, {40, 1 << 30}} {
			cross := NewCross(p.n, p.q)
			cross.Add(p.features, p.targets, p.m)
			passes := 0
			s := NewScreened(cross, streamOf(p, 64, &passes), size[0], size[1])
			last := 0
			got, err := s.Solve(problems, nil, func(done, total int) {
				if done < last || total != len(problems) {
					t.Errorf("trial %d: progress went from %d to %d of %d", trial, last, done, total)
				}
				last = done
			})
			if err != nil {
				t.Fatal(err)
			}
			if last != len(problems) {
				t.Errorf("trial %d: progress ended at %d", trial, last)
			}
			rounds += passes
			for i, sol := range got {
				if sol.Gap > Tolerance || math.Abs(sol.Objective-want[i].Objective) > 2e-6*want[i].Objective {
					t.Errorf("trial %d, %v, row %d: objective %v (gap %v), on the whole Gram %v", trial, size, i, sol.Objective, sol.Gap, want[i].Objective)
				}
				if !slices.IsSorted(sol.Support) || math.Abs(sol.Intercept-want[i].Intercept) > 1e-2*(1+math.Abs(want[i].Intercept)) {
					t.Errorf("trial %d, %v, row %d: support %v, β = %v (%v)", trial, size, i, sol.Support, sol.Intercept, want[i].Intercept)
				}
			}
			rough, err := s.Rough(problems, got)
			if err != nil {
				t.Fatal(err)
			}
			for i, sol := range rough {
				if math.Abs(sol.Objective-want[i].Objective) > 2e-6*want[i].Objective {
					t.Errorf("trial %d, row %d: over the candidates that solved it the objective is %v, not %v", trial, i, sol.Objective, want[i].Objective)
				}
			}
		}
	}
	t.Logf("%d passes over the samples", rounds)
}

// What the candidates alone give must not count as solved: the certificate has to see the other features.
func TestScreeningIsNotContentWithItsFirstCandidates(t *testing.T) {
	random := rand.New(rand.NewPCG(53, 54))
	p, problems := drawWide(random)
	cross := NewCross(p.n, p.q)
	cross.Add(p.features, p.targets, p.m)
	passes := 0
	s := NewScreened(cross, streamOf(p, 100, &passes), 2, 1<<30)
	for i := range problems {
		problems[i].Candidates, problems[i].BallSize = nil, 0
		for j := range problems[i].Penalty {
			problems[i].Penalty[j] = 0.01
		}
	}
	rough, err := s.Rough(problems, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := SolveAll(p.gram(), problems, nil, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Solve(problems, rough, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if rough[i].Objective < want[i].Objective*1.01 {
			t.Errorf("row %d: two candidates suffice: no test of this", i)
		}
		if math.Abs(got[i].Objective-want[i].Objective) > 2e-6*want[i].Objective {
			t.Errorf("row %d: objective %v, want %v", i, got[i].Objective, want[i].Objective)
		}
	}
}

func TestScreeningRefusesWhatItCannotCheck(t *testing.T) {
	p, problems := drawWide(rand.New(rand.NewPCG(55, 56)))
	cross := NewCross(p.n, p.q)
	cross.Add(p.features, p.targets, p.m)
	passes := 0
	problems[2].Ridge, problems[2].Knee, problems[2].Match = 0, nil, 0.1
	s := NewScreened(cross, streamOf(p, 100, &passes), 5, 1<<30)
	if _, err := s.Solve(problems, nil, nil); !errors.Is(err, ErrProblem) {
		t.Errorf("exact matching gave %v", err)
	}
	problems[2].Match = 0
	stop := errors.New("the source has failed")
	s = NewScreened(cross, func(func(features, targets []float32, samples int) error) error { return stop }, 5, 1<<30)
	if _, err := s.Solve(problems, nil, nil); !errors.Is(err, stop) {
		t.Errorf("a failing source gave %v", err)
	}
}

func TestCrossHoldsWhatTheGramHolds(t *testing.T) {
	random := rand.New(rand.NewPCG(57, 58))
	for _, shape := range [][3]int{{1, 1, 1}, {9, 1, 129}, {13, 11, 300}, {20, 0, 40}, {16, 9, 256}} {
		n, q, m := shape[0], shape[1], shape[2]
		f, u := randomBlock(random, m, n), randomBlock(random, m, q)
		g, c := NewGram(n, q), NewCross(n, q)
		g.Add(f, u, m)
		c.Add(f, u, m)
		if !slices.Equal(g.ft, c.ft) || !slices.Equal(g.featureSum, c.featureSum) || !slices.Equal(g.targetSquare, c.targetSquare) || g.samples != c.samples {
			t.Errorf("shape %v: the products differ", shape)
		}
		for j := range n {
			if math.Abs(g.FF(j, j)-c.featureSquare[j]) > 1e-13*g.FF(j, j) {
				t.Errorf("shape %v: Σ f² of feature %d is %v, the Gram has %v", shape, j, c.featureSquare[j], g.FF(j, j))
			}
		}
	}
}
