package rowsolve

import (
	"fmt"
	"math"
)

// LeastSquares fits target on the columns of support without penalty or constraint:
// min (1/2m) Σ_s (t_s − wᵀf_s − β)² + ½ ridge ‖w‖², β = 0 without intercept. Coefficients come in the
// order of support, which may be in any order without repeats. Columns that do not vary, and columns
// that depend on the ones before them, get 0.
func LeastSquares(g *Gram, target int, support []int32, intercept bool, ridge float64) (coef []float64, beta float64, err error) {
	p := Problem{Target: target, Omega: 1, Ridge: ridge, Penalty: make([]float64, g.features)}
	if err := p.check(g); err != nil {
		return nil, 0, err
	}
	seen := make([]bool, g.features)
	for i, j := range support {
		if j < 0 || int(j) >= g.features || seen[j] {
			return nil, 0, fmt.Errorf("%w: support[%d] is %d, out of range or a repeat (%d features)", ErrProblem, i, j, g.features)
		}
		seen[j] = true
	}
	m, n := g.moments(intercept), g.features
	c := m.c[target*n : (target+1)*n]
	kept := make([]int, 0, len(support)) // places in support
	var chol factor
	for i, j := range support {
		d := m.g[int(j)*n+int(j)] + ridge
		if math.IsNaN(d) || math.IsInf(d, 0) || math.IsNaN(c[j]) {
			return nil, 0, fmt.Errorf("%w: feature %d or target %d is not finite in every sample", ErrProblem, j, target)
		}
		if !m.ok[j] {
			continue
		}
		cross := make([]float64, len(kept)+1)[:len(kept)]
		for r, k := range kept {
			cross[r] = m.g[int(j)*n+int(support[k])]
		}
		if !chol.push(cross, d) {
			chol.n--
			continue
		}
		kept = append(kept, i)
	}
	coef = make([]float64, len(support))
	// The second solve refines what the first one's rounding left.
	for range 2 {
		rest := make([]float64, len(kept))
		for r, k := range kept {
			j := int(support[k])
			sum := c[j]
			for _, l := range kept {
				sum -= float64(m.g[j*n+int(support[l])] * coef[l])
			}
			rest[r] = sum - float64(ridge*coef[k])
		}
		chol.solve(rest)
		for r, k := range kept {
			coef[k] += rest[r]
		}
	}
	if intercept {
		beta = g.intercept(target, support, coef)
	}
	return coef, beta, nil
}
