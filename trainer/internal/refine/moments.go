// Package refine improves the rows of a fitted model on their supports: least squares without the
// penalty's shrinkage, and the gradual removal of the weights that the rows' own errors miss least.
//
// It promises that what it computes is a function of second moments alone, the same whatever the
// number of cores. Like the row solver it must not know what a state, an input or a teacher is:
// features and targets are columns of numbers.
package refine

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/sparse-implicit/sim/trainer/internal/rowsolve"
)

// Moments are second moments per sample of features and targets: covariances when rows have an
// intercept, raw moments otherwise. Reading is safe from many goroutines.
type Moments struct {
	Features int

	gram       []float64   // Features × Features
	cross      [][]float64 // per target
	square     []float64   // per target
	mean       []float64   // per feature; zero without an intercept
	targetMean []float64
	varies     []bool // whether a feature carries anything that an intercept does not
}

// FromGram reads the moments of a Gram that has samples.
func FromGram(g *rowsolve.Gram, intercept bool) *Moments {
	n, samples := g.Features(), float64(g.Samples())
	m := &Moments{
		Features: n, gram: make([]float64, n*n), mean: make([]float64, n), varies: make([]bool, n),
		square: make([]float64, g.Targets()), targetMean: make([]float64, g.Targets()),
	}
	std, targetStd := g.FeatureStd(), g.TargetStd()
	for j := range n {
		m.varies[j] = std[j] > 0 || !intercept && g.FF(j, j) > 0
		if intercept {
			m.mean[j] = g.FeatureMean(j)
		}
	}
	for i := range n {
		for j := range i + 1 {
			v := g.FF(i, j)/samples - float64(m.mean[i]*m.mean[j])
			m.gram[i*n+j], m.gram[j*n+i] = v, v
		}
	}
	for k := range g.Targets() {
		mean := g.TargetMean(k)
		m.square[k] = float64(targetStd[k] * targetStd[k])
		if intercept {
			m.targetMean[k] = mean
		} else {
			m.square[k] += float64(mean * mean)
		}
		cross := make([]float64, n)
		for j := range cross {
			cross[j] = g.FT(j, k)/samples - float64(m.mean[j]*m.targetMean[k])
		}
		m.cross = append(m.cross, cross)
	}
	return m
}

// Varying returns the features of support that vary, in order.
func (m *Moments) Varying(support []int32) []int32 {
	var kept []int32
	for _, j := range support {
		if m.varies[j] {
			kept = append(kept, j)
		}
	}
	return kept
}

// Intercept returns the β that belongs to the coefficients; 0 where rows have none.
func (m *Moments) Intercept(target int, support []int32, coef []float64) float64 {
	beta := m.targetMean[target]
	for k, j := range support {
		beta -= float64(coef[k] * m.mean[j])
	}
	return beta
}

// Loss returns ½ mean (t − wᵀf − β)² for the best β, computed from the moments.
func (m *Moments) Loss(target int, support []int32, coef []float64) float64 {
	loss := m.square[target]
	for a, i := range support {
		row := m.gram[int(i)*m.Features : (int(i)+1)*m.Features]
		sum := -2 * m.cross[target][i]
		for b, j := range support {
			sum += float64(row[j] * coef[b])
		}
		loss += float64(sum * coef[a])
	}
	return max(loss, 0) / 2
}

// LeastSquares returns the coefficients that minimise ½ mean (t − wᵀf − β)² + ½ ridge Σ_j v_j w_j²,
// v_j the feature's own second moment (so that the ridge does not depend on units). Features that do
// not vary must have been left out (Varying). ridge must be positive.
func (m *Moments) LeastSquares(target int, support []int32, ridge float64) []float64 {
	if len(support) == 0 {
		return []float64{}
	}
	scale, chol := m.factorise(support, ridge)
	right := mat.NewVecDense(len(support), nil)
	for k, j := range support {
		right.SetVec(k, m.cross[target][j]*scale[k])
	}
	solution := mat.NewVecDense(len(support), nil)
	// An ill-conditioned system is reported as an error, but solved: the ridge keeps it harmless.
	_ = chol.SolveVecTo(solution, right)
	coef := make([]float64, len(support))
	for k := range coef {
		coef[k] = solution.AtVec(k) * scale[k]
	}
	return coef
}

// LeastSquaresOf returns LeastSquares of several targets on the same support, factorised once.
func (m *Moments) LeastSquaresOf(targets []int, support []int32, ridge float64) [][]float64 {
	n := len(support)
	all := make([][]float64, len(targets))
	for t := range all {
		all[t] = make([]float64, n)
	}
	if n == 0 || len(targets) == 0 {
		return all
	}
	scale, chol := m.factorise(support, ridge)
	right := mat.NewDense(n, len(targets), nil)
	for t, target := range targets {
		for k, j := range support {
			right.Set(k, t, m.cross[target][j]*scale[k])
		}
	}
	// An ill-conditioned system is reported as an error, but solved: the ridge keeps it harmless.
	_ = chol.SolveTo(right, right)
	for t := range all {
		for k := range all[t] {
			all[t][k] = right.At(k, t) * scale[k]
		}
	}
	return all
}

// factorise returns 1/√v of the support's features and the factor of their correlations + ridge·I.
// Where rounding has made those indefinite, the ridge grows until they are not.
func (m *Moments) factorise(support []int32, ridge float64) ([]float64, *mat.Cholesky) {
	n := len(support)
	scale := make([]float64, n)
	for k, j := range support {
		scale[k] = 1 / math.Sqrt(m.gram[int(j)*m.Features+int(j)])
	}
	correlation := mat.NewSymDense(n, nil)
	for a, i := range support {
		row := m.gram[int(i)*m.Features : (int(i)+1)*m.Features]
		for b := a; b < n; b++ {
			correlation.SetSym(a, b, float64(row[support[b]]*scale[a])*scale[b])
		}
	}
	var chol mat.Cholesky
	for added := 0.0; ; ridge *= 10 {
		for a := range n {
			correlation.SetSym(a, a, correlation.At(a, a)+ridge-added)
		}
		added = ridge
		if chol.Factorize(correlation) {
			return scale, &chol
		}
	}
}
