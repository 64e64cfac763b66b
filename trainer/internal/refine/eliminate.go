package refine

import (
	"math"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// Removal is one step of an Elimination: the feature that left and by how much ½ mean (t − wᵀf − β)²
// (with the ridge) grew, all other coefficients having been refitted.
type Removal struct {
	Feature int32
	Cost    float64
}

// Elimination removes the features of one row's least-squares fit one after the other, always the one
// whose removal costs least once the others are refitted: w_k² / 2[H⁻¹]_kk, the optimal brain surgeon
// rule (Hassibi, Stork, Wolff 1993), which is exact here because the row's error is quadratic.
type Elimination struct {
	support []int32
	coef    []float64 // in standardised units
	inverse []float64 // of the standardised moments, lower triangle, row-major with the first stride
	stride  int
}

// NewElimination starts from the least-squares fit of target on support (features that vary, without
// repeats), with LeastSquares' ridge. It takes O(s³) time and s² numbers for a support of s.
func (m *Moments) NewElimination(target int, support []int32, ridge float64) *Elimination {
	n := len(support)
	e := &Elimination{support: append([]int32(nil), support...), stride: n}
	if n == 0 {
		return e
	}
	scale, chol := m.factorise(support, ridge)
	var inverse mat.SymDense
	// An ill-conditioned system is reported as an error, but inverted: the ridge keeps it harmless.
	_ = chol.InverseTo(&inverse)
	e.coef = make([]float64, n)
	e.inverse = make([]float64, n*n)
	for a := range n {
		for b := range a + 1 {
			e.inverse[a*n+b] = inverse.At(a, b)
		}
		for b, j := range support {
			e.coef[a] += inverse.At(a, b) * float64(m.cross[target][j]*scale[b])
		}
	}
	return e
}

// Until removes features while the next one's cost is at most limit, and returns the removals in order.
func (e *Elimination) Until(limit float64) []Removal {
	var removals []Removal
	for len(e.support) > 0 {
		k, cost := e.cheapest()
		if cost > limit {
			break
		}
		removals = append(removals, Removal{e.support[k], cost})
		e.remove(k)
	}
	return removals
}

// Remaining returns the number of features left.
func (e *Elimination) Remaining() int { return len(e.support) }

func (e *Elimination) cheapest() (k int, cost float64) {
	cost = math.Inf(1)
	for a, w := range e.coef {
		if c := w * w / (2 * e.inverse[a*e.stride+a]); c < cost {
			k, cost = a, c
		}
	}
	return k, cost
}

// remove takes feature k out: the last one moves into its place and the inverse loses its part along k.
func (e *Elimination) remove(k int) {
	last := len(e.support) - 1
	e.swap(k, last)
	pivot := e.inverse[last*e.stride : last*e.stride+last]
	diagonal := e.inverse[last*e.stride+last]
	factor := e.coef[last] / diagonal
	row, along := blas64.Vector{Inc: 1}, blas64.Vector{Inc: 1}
	for a := range last {
		e.coef[a] -= pivot[a] * factor
		row.N, row.Data = a+1, e.inverse[a*e.stride:]
		along.N, along.Data = a+1, pivot
		blas64.Axpy(-pivot[a]/diagonal, along, row)
	}
	e.support, e.coef = e.support[:last], e.coef[:last]
}

// swap exchanges features k and last ≥ k in everything.
func (e *Elimination) swap(k, last int) {
	if k == last {
		return
	}
	e.support[k], e.support[last] = e.support[last], e.support[k]
	e.coef[k], e.coef[last] = e.coef[last], e.coef[k]
	at := func(i, j int) *float64 { return &e.inverse[max(i, j)*e.stride+min(i, j)] }
	for i := range last {
		if i != k {
			*at(i, k), *at(i, last) = *at(i, last), *at(i, k)
		}
	}
	*at(k, k), *at(last, last) = *at(last, last), *at(k, k)
}
