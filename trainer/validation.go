package trainer

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/sparse-implicit/sim/format/model"
)

// Validation is a part of the data that nothing is fitted to: a source of the same teacher on it, and what
// the task wants there (nil: agreement with the teacher counts).
type Validation struct {
	Source      Source
	Supervision *Supervision
}

// ValidationScore is how teacher and model did on the validation part: accuracy, agreement or R², at most 1.
type ValidationScore struct {
	Samples int     `json:"samples"`
	Teacher float64 `json:"teacher"`
	Model   float64 `json:"model"`
}

// splitValidation returns the validation part: the given one, or a sixth that it takes from the samples.
func (f *fitter) splitValidation() (*Validation, error) {
	if f.options.Validation != nil {
		given := f.options.Validation.Source.Shape()
		if given.Inputs != f.shape.Inputs || given.Outputs != f.shape.Outputs {
			return nil, fmt.Errorf("the validation part has %d inputs and %d outputs, the teacher %d and %d: %w", given.Inputs, given.Outputs, f.shape.Inputs, f.shape.Outputs, ErrOptions)
		}
		return f.options.Validation, f.options.Validation.Supervision.check(given, f.options.Task)
	}
	if f.shape.Samples < 10*validationPart {
		return nil, fmt.Errorf("%d samples are too few to split a validation part off: give more, or a part of its own: %w", f.shape.Samples, ErrOptions)
	}
	order := rand.New(rand.NewPCG(f.options.Seed, 0x76616c)).Perm(f.shape.Samples)
	held := make([]bool, f.shape.Samples)
	for _, k := range order[:f.shape.Samples/validationPart] {
		held[k] = true
	}
	q := f.shape.Outputs
	v := &Validation{newSubset(f.source, func(k int) bool { return held[k] }), f.options.Supervision.take(held, true, q)}
	rest := func(k int) bool { return !held[k] }
	f.source = newSubset(f.source, rest)
	ensemble := f.options.Ensemble
	f.options.Ensemble = nil
	for _, teacher := range ensemble {
		f.options.Ensemble = append(f.options.Ensemble, newSubset(teacher, rest))
	}
	f.shape = f.source.Shape()
	f.options.Supervision = f.options.Supervision.take(held, false, q)
	return v, nil
}

// take returns the part of the samples for which which is as wanted.
func (s *Supervision) take(which []bool, wanted bool, outputs int) *Supervision {
	if s == nil {
		return nil
	}
	part := &Supervision{Weights: s.Weights}
	for k, w := range which {
		if w != wanted {
			continue
		}
		if s.Labels != nil {
			part.Labels = append(part.Labels, s.Labels[k])
		}
		if s.Targets != nil {
			part.Targets = append(part.Targets, s.Targets[k*outputs:(k+1)*outputs]...)
		}
	}
	return part
}

// teacherScore is the teacher's own score; 1 where agreement with it counts.
func (v *Validation) teacherScore(ctx context.Context, o *Options) (float64, error) {
	return v.judge(ctx, o, func(b *Batch) ([]float32, error) { return b.Y, nil })
}

// score is that of a model, by the float64 reference solver.
func (v *Validation) score(ctx context.Context, m *model.Model, o *Options) (float64, error) {
	return v.judge(ctx, o, func(b *Batch) ([]float32, error) {
		out := make([]float32, len(b.Y))
		p, q := m.Inputs(), m.Outputs()
		errs := make([]error, b.Samples)
		const block = 64
		parallel((b.Samples+block-1)/block, func(part int) {
			solver, err := model.NewSolver(m)
			if err != nil {
				errs[part] = err
				return
			}
			u, x, y := make([]float64, p), make([]float64, m.States()), make([]float64, q)
			for k := part * block; k < min((part+1)*block, b.Samples); k++ {
				for j := range u {
					u[j] = float64(b.U[k*p+j])
				}
				if err := solver.Solve(u, x, y); err != nil {
					errs[part] = err
					return
				}
				for c, v := range y {
					out[k*q+c] = float32(v)
				}
			}
		})
		for _, err := range errs {
			if err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}

// judge scores outputs (samples × q of a batch) against the task or the teacher.
func (v *Validation) judge(ctx context.Context, o *Options, outputs func(*Batch) ([]float32, error)) (float64, error) {
	q := v.Source.Shape().Outputs
	right, squared := 0, newDeviation(q)
	err := v.Source.Batches(ctx, func(b *Batch) error {
		y, err := outputs(b)
		if err != nil {
			return err
		}
		for k := range b.Samples {
			row := y[k*q : (k+1)*q]
			if o.Task == Regression {
				want := b.Y[k*q : (k+1)*q]
				if v.Supervision != nil {
					want = v.Supervision.Targets[(b.First+k)*q : (b.First+k+1)*q]
				}
				squared.add(row, want)
				continue
			}
			want := decided(b.Y[k*q:(k+1)*q], o.Decision)
			if v.Supervision != nil {
				want = int(v.Supervision.Labels[b.First+k])
			}
			if decided(row, o.Decision) == want {
				right++
			}
		}
		return nil
	})
	if o.Task == Regression {
		return squared.r2(), err
	}
	return float64(right) / float64(v.Source.Shape().Samples), err
}

// decided returns the lowest index of a largest value, or of a smallest with argmin.
func decided(y []float32, decision model.Decision) int {
	best := 0
	for k, v := range y {
		if decision == model.DecideArgmin && v < y[best] || decision != model.DecideArgmin && v > y[best] {
			best = k
		}
	}
	return best
}

// deviation gathers R², the mean over the outputs that vary of 1 − squared error / variance.
type deviation struct {
	samples            int
	error, sum, square []float64
	first              []float32 // what sums are taken from, so that they do not cancel
}

func newDeviation(q int) *deviation {
	return &deviation{error: make([]float64, q), sum: make([]float64, q), square: make([]float64, q)}
}

func (d *deviation) add(y, want []float32) {
	if d.samples++; d.samples == 1 {
		d.first = append(d.first, want...)
	}
	for k, w := range want {
		off, shifted := float64(y[k])-float64(w), float64(w)-float64(d.first[k])
		d.error[k] += off * off
		d.sum[k] += shifted
		d.square[k] += shifted * shifted
	}
}

func (d *deviation) r2() float64 {
	total, varying := 0.0, 0
	for k, e := range d.error {
		if spread := d.square[k] - d.sum[k]*d.sum[k]/float64(d.samples); spread > 0 {
			total += 1 - e/spread
			varying++
		}
	}
	return total / float64(max(1, varying))
}
