package pass

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// WellPosed is the witness that there is exactly one equilibrium: v > 0 with |A| v ≤ Kappa·v over the
// states of every loop, Kappa < 1 (arXiv 1908.06315: the Perron-Frobenius eigenvalue of |A|).
type WellPosed struct {
	Kind  string    // "causal", "norm" (v = 1) or "perron"
	Kappa float64   // 0 when causal
	V     []float64 // float32 values, length n; 0 outside loops, nil when causal
}

// ProveWellPosed finds the witness for the float model, or refuses it.
func (p *Program) ProveWellPosed() (string, error) {
	absolute := absoluteRows(p.Weights)
	p.Wellposed = WellPosed{Kind: "causal"}
	err := p.eachSegment(func(segment *simb.Segment, first, end int) error {
		if segment.Sweeps == 0 {
			return nil
		}
		if p.Wellposed.V == nil {
			p.Wellposed.V = make([]float64, p.states())
			p.Wellposed.Kind = "norm"
		}
		loop := p.loopBlock(absolute, first, end)
		v, kappa := ones(end-first), rowRatio(loop, ones(end-first))
		if kappa >= 1 {
			p.Wellposed.Kind = "perron"
			v, kappa = perron(loop)
		}
		if !(kappa < 1) {
			return fmt.Errorf("the loop through state %d (%d states) has |A| v ≤ κ v only with κ = %.6g, it must be below 1; refit with --structure causal or a smaller --kappa: %w",
				p.States[first], end-first, kappa, ErrNotWellPosed)
		}
		copy(p.Wellposed.V[first:end], v)
		p.Wellposed.Kappa = max(p.Wellposed.Kappa, kappa)
		return nil
	})
	if p.Wellposed.Kind == "causal" {
		return "causal: one pass is exact", err
	}
	return fmt.Sprintf("by %s, κ = %.6g", p.Wellposed.Kind, p.Wellposed.Kappa), err
}

// loopBlock returns the square block of a loop, out of stacked rows.
func (p *Program) loopBlock(m *sparse.Matrix[float64], first, end int) *sparse.Matrix[float64] {
	to := make([]int, m.Cols)
	for j := range to {
		to[j] = -1
	}
	rows := make([]int, end-first)
	for i := first; i < end; i++ {
		to[len(p.Inputs)+i] = i - first
		rows[i-first] = i
	}
	return m.SelectRows(rows).MapColumns(end-first, to)
}

func absoluteRows(m *sparse.Matrix[float32]) *sparse.Matrix[float64] {
	out := &sparse.Matrix[float64]{Rows: m.Rows, Cols: m.Cols, Indptr: m.Indptr, Indices: m.Indices, Data: make([]float64, len(m.Data))}
	for k, v := range m.Data {
		out.Data[k] = math.Abs(float64(v))
	}
	return out
}

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
		cols, values := m.Row(i)
		sum := 0.0
		for k, j := range cols {
			sum += float64(values[k] * v[j])
		}
		out[i] = sum
	}
	return out
}

// rowRatio returns an upper bound of max (M v)_i / v_i.
func rowRatio(m *sparse.Matrix[float64], v []float64) float64 {
	worst := 0.0
	for i, x := range multiply(m, v) {
		worst = max(worst, float64(x*(1+slack))/v[i])
	}
	return worst
}

// perron returns a positive vector v of float32 values whose ratio max (M v)_i / v_i is near the
// Perron-Frobenius eigenvalue of the irreducible non-negative matrix M, and that ratio. Power
// iteration on (M + I)/2, which is primitive where M may be periodic.
func perron(m *sparse.Matrix[float64]) ([]float64, float64) {
	const most, every, still = 20000, 32, 1e-7
	v := ones(m.Rows)
	best, kappa := roundVector(v), math.Inf(1)
	for sweep := range most {
		next := multiply(m, v)
		largest := 0.0
		for i := range next {
			next[i] = float64(next[i]+v[i]) / 2
			largest = max(largest, next[i])
		}
		for i := range next {
			v[i] = max(next[i]/largest, 1e-30)
		}
		if sweep%every != every-1 {
			continue
		}
		rounded := roundVector(v)
		ratio := rowRatio(m, rounded)
		if ratio >= kappa-still {
			if ratio < kappa {
				best, kappa = rounded, ratio
			}
			break
		}
		best, kappa = rounded, ratio
	}
	return best, kappa
}

// roundVector rounds to float32, as the file stores it.
func roundVector(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(float32(x))
	}
	return out
}
