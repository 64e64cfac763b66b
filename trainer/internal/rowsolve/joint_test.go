package rowsolve

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// coupled is a small joint problem with its samples.
type coupled struct {
	rows []*sampled // they share their samples
	Joint
}

// drawJoint makes a joint problem of rows of a draw.
func drawJoint(random *rand.Rand) *coupled {
	first := draw(random)
	for math.IsInf(slices.Max(first.Penalty), 1) && random.IntN(2) == 0 {
		first = draw(random)
	}
	c := &coupled{}
	lambda := math.Pow(10, -0.5-1.5*random.Float64())
	first.Ridge, first.RidgeWeights, first.Knee, first.Target = 0, nil, nil, 0
	for i := range first.q {
		row := *first
		row.Target, row.Omega = i, 0.5+random.Float64()
		row.Penalty = slices.Clone(first.Penalty)
		scale := make([]float64, first.n)
		for j := range scale {
			scale[j] = 0.5 + random.Float64()
			if random.IntN(10) == 0 {
				scale[j] = 0
			}
			if !math.IsInf(row.Penalty[j], 1) {
				row.Penalty[j] = lambda * (0.5 + random.Float64()) * float64(random.IntN(4)) / 3
			}
		}
		c.rows, c.Scale = append(c.rows, &row), append(c.Scale, scale)
		c.Rows = append(c.Rows, row.Problem)
	}
	groups := 1 + random.IntN(4)
	for range first.n {
		c.Group = append(c.Group, int32(random.IntN(groups+1))-1)
	}
	for range groups {
		c.Weight = append(c.Weight, lambda*random.Float64()*2)
	}
	return c
}

// objective evaluates the joint problem sample by sample.
func (c *coupled) objective(w [][]float64, beta []float64) float64 {
	sum := 0.0
	square := make([]float64, len(c.Weight))
	for i, r := range c.rows {
		sum += r.objective(w[i], beta[i])
		for j, k := range c.Group {
			if k >= 0 {
				square[k] += math.Pow(c.Scale[i][j]*w[i][j], 2)
			}
		}
	}
	for k, v := range square {
		sum += c.Weight[k] * math.Sqrt(v)
	}
	return sum
}

// optimum minimises by the alternating direction method of multipliers with three copies of w: one for
// the loss, one for L1 and the balls, one for the group norms (a naive oracle: dense normal equations by
// Gauss-Seidel are avoided by gradient steps on the loss copy).
func (c *coupled) optimum(steps int) ([][]float64, []float64) {
	n, q := c.rows[0].n, len(c.rows)
	make2 := func() [][]float64 {
		out := make([][]float64, q)
		for i := range out {
			out[i] = make([]float64, n+1)
		}
		return out
	}
	x, z1, z2, u1, u2 := make2(), make2(), make2(), make2(), make2()
	// The Gram of each row, from the samples, with a column of ones for β.
	grams, right := make([][]float64, q), make([][]float64, q)
	rho, smooth := 0.0, 0.0
	for i, r := range c.rows {
		grams[i], right[i] = make([]float64, (n+1)*(n+1)), make([]float64, n+1)
		f := make([]float64, n+1)
		for k := range r.m {
			for j := range n {
				f[j] = 0
				if r.allowed(j) {
					f[j] = float64(r.features[k*n+j])
				}
			}
			f[n] = 0
			if r.Intercept {
				f[n] = 1
			}
			weight := r.Omega * r.Omega / float64(r.m)
			for a := range f {
				right[i][a] += weight * f[a] * float64(r.targets[k*r.q+r.Target])
				for b := range f {
					grams[i][a*(n+1)+b] += weight * f[a] * f[b]
				}
			}
		}
		trace := 0.0
		for j := range n + 1 {
			trace += grams[i][j*(n+1)+j]
		}
		smooth = max(smooth, trace)
	}
	rho = 0.05 * smooth
	for range steps {
		for i := range c.rows {
			for a := range n + 1 { // one Gauss-Seidel sweep; warm from the last
				sum := right[i][a] + rho*(z1[i][a]-u1[i][a]) + rho*(z2[i][a]-u2[i][a])
				for b := range n + 1 {
					if b != a {
						sum -= grams[i][a*(n+1)+b] * x[i][b]
					}
				}
				x[i][a] = sum / (grams[i][a*(n+1)+a] + 2*rho)
			}
			v := make([]float64, n+1)
			for a := range v {
				v[a] = x[i][a] + u1[i][a]
			}
			c.rows[i].prox(v, rho)
			copy(z1[i], v)
		}
		square := make([]float64, len(c.Weight))
		for i := range x {
			for a := range x[i] {
				z2[i][a] = x[i][a] + u2[i][a]
			}
		}
		c.shrinkGroups(z2, rho, square)
		for i := range x {
			for a := range x[i] {
				u1[i][a] += x[i][a] - z1[i][a]
				u2[i][a] += x[i][a] - z2[i][a]
			}
		}
	}
	w, beta := make([][]float64, q), make([]float64, q)
	for i := range z1 {
		w[i], beta[i] = z1[i][:n], z1[i][n]
	}
	return w, beta
}

// shrinkGroups is the proximal map of the group norms with unequal scales: v/(1 + Weight·scale²/(rho·η)),
// η the scaled norm of the result, by bisection.
func (c *coupled) shrinkGroups(v [][]float64, rho float64, square []float64) {
	for k := range square {
		norm := func(eta float64) float64 {
			sum := 0.0
			for i := range v {
				for j, g := range c.Group {
					if int(g) == k {
						s := c.Scale[i][j]
						sum += math.Pow(s*v[i][j]/(1+c.Weight[k]*s*s/(rho*eta)), 2)
					}
				}
			}
			return math.Sqrt(sum)
		}
		low, high := 0.0, 1e-12
		for norm(high) > high {
			high *= 2
		}
		for range 60 {
			middle := (low + high) / 2
			if norm(middle) > middle {
				low = middle
			} else {
				high = middle
			}
		}
		for i := range v {
			for j, g := range c.Group {
				if s := c.Scale[i][j]; int(g) == k && s > 0 && c.Weight[k] > 0 {
					v[i][j] /= 1 + c.Weight[k]*s*s/(rho*high)
				}
			}
		}
	}
}

func TestJointSolutionsAreOptimalFeasibleAndCertified(t *testing.T) {
	random := rand.New(rand.NewPCG(41, 42))
	balls, empty := 0, 0
	for trial := range 80 {
		c := drawJoint(random)
		solutions, err := SolveJoint(c.rows[0].gram(), &c.Joint, nil)
		if err != nil {
			t.Fatalf("trial %d: %v", trial, err)
		}
		var w [][]float64
		var beta []float64
		said := 0.0
		for i, sol := range solutions {
			r := c.rows[i]
			w, beta = append(w, r.dense(sol)), append(beta, sol.Intercept)
			said += sol.Objective
			norm := 0.0
			for j, v := range w[i] {
				if v != 0 && !r.allowed(j) {
					t.Errorf("trial %d: forbidden feature %d is used", trial, j)
				}
				if j < r.BallSize {
					norm += math.Abs(v)
				}
			}
			if r.Kappa > 0 && norm > r.Kappa*(1+1e-12) {
				t.Errorf("trial %d: ‖a‖₁ = %v outside the ball %v", trial, norm, r.Kappa)
			}
			if r.Kappa > 0 && norm > r.Kappa*(1-1e-9) {
				balls++
			}
			if len(sol.Support) == 0 {
				empty++
			}
		}
		reached := c.objective(w, beta)
		if math.Abs(reached-said) > 1e-6*reached {
			t.Errorf("trial %d: the samples say objective %v, the solutions %v", trial, reached, said)
		}
		if solutions[0].Gap > Tolerance {
			t.Errorf("trial %d: gap %v", trial, solutions[0].Gap)
		}
		v, intercepts := c.optimum(500)
		if oracle := c.objective(v, intercepts); oracle < reached*(1-solutions[0].Gap-1e-8) {
			t.Errorf("trial %d: the alternating method reaches %v, below the certified %v (gap %v)", trial, oracle, reached, solutions[0].Gap)
		} else if oracle > reached*1.01+1e-9 {
			t.Logf("trial %d: the oracle only reaches %v of %v", trial, oracle, reached)
		}
	}
	if balls < 15 || empty < 5 {
		t.Errorf("%d rows at the ball, %d empty: no test of them", balls, empty)
	}
}

// With one group over all features of one row and equal scales, the optimum at a penalty just below the
// norm of Fᵀt is almost zero, and zero above it.
func TestAGroupEntersWhereItsNormExceedsTheWeight(t *testing.T) {
	random := rand.New(rand.NewPCG(43, 44))
	const m, n = 50, 6
	f, u := randomBlock(random, m, n), randomBlock(random, m, 1)
	g := NewGram(n, 1)
	g.Add(f, u, m)
	norm := 0.0
	for j := range n {
		norm += math.Pow(g.FT(j, 0)/m, 2)
	}
	norm = math.Sqrt(norm)
	for _, part := range []float64{0.999, 1.001} {
		joint := &Joint{Rows: []Problem{{Omega: 1, Penalty: make([]float64, n)}}, Group: make([]int32, n), Weight: []float64{part * norm}}
		solutions, err := SolveJoint(g, joint, nil)
		if err != nil || solutions[0].Gap > Tolerance {
			t.Fatalf("%+v, %v", solutions[0], err)
		}
		if used := len(solutions[0].Support); (used > 0) != (part < 1) {
			t.Errorf("weight %v of ‖Fᵀt‖: %d features in use", part, used)
		}
	}
}

func TestIllPosedJointProblemsAreRefused(t *testing.T) {
	g := NewGram(2, 1)
	g.Add([]float32{1, 2, 3, 5}, []float32{1, 2}, 2)
	fine := func() *Joint {
		return &Joint{Rows: []Problem{{Omega: 1, Penalty: []float64{1, 1}}}, Group: []int32{0, -1}, Weight: []float64{1}, Scale: [][]float64{{1, 1}}}
	}
	if _, err := SolveJoint(g, fine(), nil); err != nil {
		t.Errorf("a fine problem was refused: %v", err)
	}
	for name, spoil := range map[string]func(*Joint){
		"group out of range": func(j *Joint) { j.Group[0] = 1 },
		"groups too few":     func(j *Joint) { j.Group = j.Group[:1] },
		"weight negative":    func(j *Joint) { j.Weight[0] = -1 },
		"scale NaN":          func(j *Joint) { j.Scale[0][1] = math.NaN() },
		"scales too few":     func(j *Joint) { j.Scale = nil; j.Scale = [][]float64{} },
		"a ridge":            func(j *Joint) { j.Rows[0].Ridge = 1 },
		"exact matching":     func(j *Joint) { j.Rows[0].Match = 0.1 },
	} {
		joint := fine()
		spoil(joint)
		if _, err := SolveJoint(g, joint, nil); !errors.Is(err, ErrProblem) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := SolveJoint(g, fine(), []*Solution{nil, nil}); !errors.Is(err, ErrProblem) {
		t.Errorf("two warm starts for one row: %v", err)
	}
}
