package pass

import (
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// realised returns the integers' real worth W̃, b̃ + W̃c and what separates both from the float model.
func (p *Program) realised(m *simb.Model) *affine {
	w := p.Weights
	f := &affine{
		weights: &sparse.Matrix[float64]{Rows: w.Rows, Cols: w.Cols, Indptr: w.Indptr, Indices: w.Indices, Data: make([]float64, len(w.Data))},
		bias:    make([]Bounded, len(p.Rows)),
		inputs:  p.inputRegion(),
		off: &difference{
			weights: make([]float64, len(w.Data)),
			sizes:   &sparse.Matrix[float64]{Rows: w.Rows, Cols: w.Cols, Indptr: w.Indptr, Indices: w.Indices, Data: make([]float64, len(w.Data))},
			bias:    make([]Bounded, len(p.Rows)),
		},
	}
	for i := range p.Rows {
		r := float64(float64(m.Unit(i)) * p.Rows[i].Multiplier.Ratio())
		bias, inexact := int64(p.Rows[i].Bias), 0.0
		for k := w.Indptr[i]; k < w.Indptr[i+1]; k++ {
			j := w.Indices[k]
			q := int64(p.Quantised.Data[k])
			bias += q * p.columnNearest(j)
			worth := float64(float64(float64(q)*r) / p.columnScale(j))
			f.weights.Data[k] = worth
			f.off.weights[k] = w.Data[k] - worth
			f.off.sizes.Data[k] = distance(w.Data[k], worth) + p.inexact(k)
			if s := p.stateColumn(j); s < 0 {
				inexact += float64(p.inexact(k) * math.Abs(p.nearestInput(j)))
			}
		}
		worth, exact := float64(float64(bias)*r), p.nearestValue(i)
		f.bias[i] = Bounded{Value: worth}
		between := exact.Value - worth
		f.off.bias[i] = Bounded{between, distance(exact.Value, worth) - math.Abs(between) + exact.Error + outward(inexact)}
	}
	return f
}

// distance returns an upper bound of |exact − worth| where worth is known up to coefficientError.
func distance(exact, worth float64) float64 {
	return float64(math.Abs(exact-worth)*(1+slack)) + float64(math.Abs(worth)*coefficientError)
}

// gain bounds the slope of an activation.
func gain(k model.Kind) float64 {
	if k == model.Sigmoid {
		return 0.25
	}
	return 1
}

// inexact returns what entry k of Weights may be off by.
func (p *Program) inexact(k int32) float64 {
	if p.weightError == nil {
		return 0
	}
	return p.weightError[k]
}
