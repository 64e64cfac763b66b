package pass

import (
	"fmt"
	"slices"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// WellPosed is the witness that there is exactly one equilibrium: v > 0 with |A| v ≤ Kappa·v over the
// states of every loop, Kappa < 1 (arXiv 1908.06315: the Perron-Frobenius eigenvalue of |A|).
type WellPosed struct {
	Kind      string    // "causal", "norm" (v = 1) or "perron"
	Kappa     float64   // of the worst loop; 0 when causal
	V         []float64 // numbers of witnessBits, length n; 0 outside loops, nil when causal
	Enclosing []float64 // per state, the κ of its own loop, with residuals as they are stored
}

// ProveWellPosed finds the witness for the float model, or refuses it.
func (p *Program) ProveWellPosed() (string, error) {
	magnitudes := absolute(p.Weights)
	p.Wellposed = WellPosed{Kind: "causal"}
	err := p.eachSegment(func(segment *simb.Segment, first, end int) error {
		if segment.Sweeps == 0 {
			return nil
		}
		well := &p.Wellposed
		if well.V == nil {
			well.Kind, well.V, well.Enclosing = "norm", make([]float64, p.states()), make([]float64, p.states())
		}
		loop := p.loopBlock(magnitudes, first, end)
		v, kappa := ones(end-first), rowRatio(loop, ones(end-first))
		if !(kappa < 1) {
			well.Kind = "perron"
			v, kappa = perron(loop)
		}
		if !(kappa < 1) {
			return fmt.Errorf("the loop of %d states through state %d is not proved to be a contraction: no v > 0 found with |A| v ≤ κ v and κ below 1, the best has κ = %.6g; refit with --structure causal or a smaller --kappa: %w",
				end-first, p.States[first], kappa, ErrNotWellPosed)
		}
		copy(well.V[first:end], v)
		for i := first; i < end; i++ {
			well.Enclosing[i] = kappa
		}
		well.Kappa = max(well.Kappa, kappa)
		return nil
	})
	if p.Wellposed.Kind == "causal" {
		return "causal: one pass is exact", err
	}
	return fmt.Sprintf("by %s, κ = %.6g", p.Wellposed.Kind, p.Wellposed.Kappa), err
}

// loopBlock returns the square block of a loop, out of stacked rows.
func (p *Program) loopBlock(m *sparse.Matrix[float64], first, end int) *sparse.Matrix[float64] {
	out := sparse.New[float64](end-first, end-first)
	from, to := int32(len(p.Inputs)+first), int32(len(p.Inputs)+end)
	for i := first; i < end; i++ {
		cols, values := m.Row(i)
		k, _ := slices.BinarySearch(cols, from)
		for ; k < len(cols) && cols[k] < to; k++ {
			out.Indices = append(out.Indices, cols[k]-from)
			out.Data = append(out.Data, values[k])
		}
		out.Indptr[i-first+1] = int32(len(out.Indices))
	}
	return out
}
