package pass

import (
	"math"

	"github.com/sparse-implicit/sim/format/sparse"
)

// witnessBits is how many bits of mantissa a witness v has: 6 fewer than float32, so that its multiples by
// numbers of 6 bits are float32 as they stand.
const witnessBits = 18

func ones(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

// multiply returns m·v, unfused.
func multiply(m *sparse.Matrix[float64], v []float64) []float64 {
	out := make([]float64, m.Rows)
	for i := range out {
		out[i] = rowTimes(m, i, v)
	}
	return out
}

func rowTimes(m *sparse.Matrix[float64], i int, v []float64) float64 {
	cols, values := m.Row(i)
	sum := 0.0
	for k, j := range cols {
		sum += float64(values[k] * v[j])
	}
	return sum
}

// rowRatio returns an upper bound of max (M v)_i / v_i.
func rowRatio(m *sparse.Matrix[float64], v []float64) float64 {
	worst := 0.0
	for i, x := range multiply(m, v) {
		worst = max(worst, float64(x*(1+slack))/v[i])
	}
	return worst
}

// leastRatio returns min (M v)_i / v_i, nearly.
func leastRatio(m *sparse.Matrix[float64], v []float64) float64 {
	least := math.Inf(1)
	for i, x := range multiply(m, v) {
		least = min(least, x/v[i])
	}
	return least
}

// perron returns a positive vector v whose ratio max (M v)_i / v_i is near the Perron-Frobenius eigenvalue
// of the irreducible non-negative matrix M, and that ratio: by power iteration where that converges,
// else, in long cycles of uneven weights, by the super-solution of the least target that has one. The
// least ratio of any positive vector lies below the eigenvalue (Collatz and Wielandt).
func perron(m *sparse.Matrix[float64]) ([]float64, float64) {
	const near = 1e-3
	v, lower, kappa := power(m)
	if kappa-lower < near || lower >= 1 {
		return v, kappa
	}
	upper := min(kappa, 1)
	for _, share := range []float64{0.02, 0.1, 0.3, 0.6, 0.9, 0.99, 0.999} {
		if w, ratio := superSolution(m, lower+float64(share*(upper-lower))); ratio < upper {
			return w, ratio
		}
	}
	return v, kappa
}

// power iterates (M + I)/2, which is primitive where M may be periodic. It returns the best vector with the
// least and the largest of its ratios.
func power(m *sparse.Matrix[float64]) (best []float64, lower, kappa float64) {
	const most, every, still = 5000, 32, 1e-7
	v := ones(m.Rows)
	best, kappa = v, math.Inf(1)
	for sweep := range most {
		next := multiply(m, v)
		largest := 0.0
		for i := range next {
			next[i] = float64(next[i]+v[i]) / 2
			largest = max(largest, next[i])
		}
		for i := range next {
			v[i] = max(next[i]/largest, 0x1p-250)
		}
		if sweep%every != every-1 {
			continue
		}
		rounded := roundVector(v)
		ratio := rowRatio(m, rounded)
		done := ratio >= kappa-still
		if ratio < kappa {
			best, lower, kappa = rounded, leastRatio(m, rounded), ratio
		}
		if done {
			break
		}
	}
	return best, lower, kappa
}

// superSolution raises v from 1 to the least vector with M v ≤ target·v, which there is where M's
// eigenvalue is below the target. Sweeps go up and down in turn and use what they have found, so that
// one of them runs along the whole of a cycle.
func superSolution(m *sparse.Matrix[float64], target float64) ([]float64, float64) {
	const most, enough = 400, 1e-9
	v := ones(m.Rows)
	for sweep := range most {
		raised := false
		for k := range v {
			i := k
			if sweep%2 == 1 {
				i = len(v) - 1 - k
			}
			if least := rowTimes(m, i, v) / target; least > float64(v[i]*(1+enough)) {
				v[i], raised = least, true
			}
			if v[i] > 0x1p250 {
				return v, math.Inf(1)
			}
		}
		if !raised {
			break
		}
	}
	rounded := roundVector(v)
	return rounded, rowRatio(m, rounded)
}

// roundVector rounds to witnessBits and moves v by a power of two to the middle of float32's range.
func roundVector(v []float64) []float64 {
	lowest, highest := math.MaxInt, math.MinInt
	for _, x := range v {
		_, exponent := math.Frexp(x)
		lowest, highest = min(lowest, exponent), max(highest, exponent)
	}
	shift := -(lowest + highest) / 2
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = min(max(math.Ldexp(upBits(x, witnessBits), shift), 0x1p-120), 0x1p120)
	}
	return out
}
