package trainer

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
)

// Baseline is a way to prune the teacher itself, to compare with.
type Baseline string

// The baselines: weights leave in the order of |w|, or of |w| times what a change of it does to the loss
// (|w|·σ·ω without fine-tuning, |w| times the root of Adam's second moment with it). Each is trained with
// the learning rate that suits it better on a validation split of FashionMNIST.
const (
	Magnitude Baseline = "magnitude"
	Saliency  Baseline = "saliency"
)

// weighted is a source that knows its teacher's weights.
type weighted interface {
	// teacherModel returns the teacher as a model with the source's states in their order.
	teacherModel() (*model.Model, error)
}

func (s *NetworkSource) teacherModel() (*model.Model, error) {
	box := make([]float32, s.network.Inputs)
	return s.network.Model(box, box, model.DecideNone)
}

func (s *ModelSource) teacherModel() (*model.Model, error) { return s.teacher, nil }

// teacherDraft returns the teacher itself as a draft.
func (f *fitter) teacherDraft() (*draft, error) {
	source, ok := f.source.(weighted)
	if !ok {
		return nil, fmt.Errorf("baseline %s: states do not tell the teacher's weights; give the teacher itself: %w", f.options.Baseline, ErrOptions)
	}
	m, err := source.teacherModel()
	if err != nil {
		return nil, err
	}
	n := f.states()
	d := &draft{rows: make([]row, f.rows())}
	for i := range d.rows {
		r, at, states, inputs := &d.rows[i], i, m.A, m.B
		unit := 1.0
		if i < n {
			r.bias, unit = float64(m.StateBias[i]), f.scale[i]
		} else {
			at, states, inputs = i-n, m.C, m.D
			r.bias = float64(m.OutputBias[at])
		}
		r.bias /= unit
		cols, values := states.Row(at)
		for k, j := range cols {
			r.support, r.coef = append(r.support, j), append(r.coef, float64(values[k])*f.scale[j]/unit)
		}
		cols, values = inputs.Row(at)
		for k, j := range cols {
			r.support, r.coef = append(r.support, int32(n)+j), append(r.coef, float64(values[k])/unit)
		}
	}
	return d, nil
}

// oneShotScore ranks the teacher's weights when nothing is trained.
func (f *fitter) oneShotScore() func(row int, feature int32, weight float32) float64 {
	if f.options.Baseline == Magnitude {
		return func(_ int, _ int32, weight float32) float64 { return math.Abs(float64(weight)) }
	}
	return func(row int, feature int32, weight float32) float64 {
		return math.Abs(float64(weight)) * f.sigma[feature] * f.omega[row]
	}
}
