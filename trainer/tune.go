package trainer

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/trainer/internal/tune"
)

// Supervision is what fine-tuning compares the outputs with, besides the teacher.
type Supervision struct {
	Labels  []int32   // classification: class per sample
	Targets []float32 // regression: samples × q
	Weights []float32 // classification: weight of each class in the loss; nil: 1
}

// inputHolder is a source that has all its inputs in memory, sample-major.
type inputHolder interface{ allInputs() []float32 }

// Fine-tuning as FINDINGS 4 has it; what was tried besides is told there and in the README.
const (
	distillTemperature = 2
	distillPart        = 0.5
	tuneRate           = 2e-3
	tuneBatch          = 128
)

// fineTune trains the weights of a draft by the gradient through its equilibrium, removing weights until
// budget numbers are left (0: none is removed).
func (f *fitter) fineTune(d *draft, budget int) (*draft, error) {
	samples, err := f.tuneSamples()
	if err != nil {
		return nil, err
	}
	net := f.netOf(d, samples)
	o := tune.Options{
		Epochs: f.options.Epochs, Batch: tuneBatch, LearningRate: tuneRate,
		Budget: budget, PruneUntil: 0.5, Seed: f.options.Seed,
		Progress: func(epoch int, loss float64) { f.options.Progress("tune", epoch, f.options.Epochs) },
	}
	if f.options.Structure == Free {
		o.Kappa = f.options.Kappa
	}
	if Lab != nil {
		Lab(&o, samples)
	}
	tuned, err := tune.Run(f.ctx, net, samples, o)
	if err != nil {
		return nil, fmt.Errorf("fine-tuning: %w", err)
	}
	return f.draftOfNet(tuned, samples), nil
}

var Lab func(o *tune.Options, s *tune.Samples)

// tuneSamples gathers inputs, the teacher's outputs and what the task wants.
func (f *fitter) tuneSamples() (*tune.Samples, error) {
	p, q := f.shape.Inputs, f.shape.Outputs
	s := &tune.Samples{Count: f.shape.Samples}
	s.Goal = tune.Goal{Regression: f.options.Task == Regression, Distill: 1, Temperature: distillTemperature, Teacher: make([]float32, f.shape.Samples*q)}
	if holder, ok := f.source.(inputHolder); ok {
		s.Inputs = holder.allInputs()
	} else {
		s.Inputs = make([]float32, f.shape.Samples*p)
	}
	soft := make([]float64, q)
	err := f.source.Batches(f.ctx, func(b *Batch) error {
		if _, held := f.source.(inputHolder); !held {
			copy(s.Inputs[b.First*p:], b.U)
		}
		to := s.Goal.Teacher[b.First*q:]
		copy(to, b.Y)
		for k := 0; k < len(b.Y) && !s.Goal.Regression; k += q {
			for c := range q {
				to[k+c] /= distillTemperature
			}
			softmax(to[k:k+q], soft)
			for c, v := range soft {
				to[k+c] = float32(v)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if given := f.options.Supervision; given != nil {
		s.Goal.Labels, s.Goal.Targets, s.Goal.Weights = given.Labels, given.Targets, given.Weights
		s.Goal.Distill = distillPart
	}
	std := f.gram.TargetStd()
	for k := range q {
		s.Goal.Spread = append(s.Goal.Spread, std[f.states()+k])
		if s.Goal.Spread[k] == 0 {
			s.Goal.Spread[k] = 1
		}
	}
	f.standardise(s)
	return s, nil
}

// standardise has inputs standardised while training when some leave [−1, 1].
func (f *fitter) standardise(s *tune.Samples) {
	leaves := false
	for j, lo := range f.survey.inputLo {
		leaves = leaves || lo < -1 || f.survey.inputHi[j] > 1
	}
	if !leaves {
		return
	}
	n, std := f.states(), f.gram.FeatureStd()
	s.Shift, s.Gain = make([]float32, f.shape.Inputs), make([]float32, f.shape.Inputs)
	for j := range s.Shift {
		s.Gain[j] = 1
		if std[n+j] > 0 {
			s.Shift[j], s.Gain[j] = float32(f.gram.FeatureMean(n+j)), float32(1/std[n+j])
		}
	}
	if f.options.NoBias {
		clear(s.Shift)
	}
}

// netOf turns a draft into a net on standardised inputs.
func (f *fitter) netOf(d *draft, s *tune.Samples) *tune.Net {
	n := f.states()
	net := &tune.Net{Inputs: f.shape.Inputs, Outputs: f.shape.Outputs, Activations: f.activations, Rows: make([]tune.Row, f.rows())}
	if f.options.Structure == Causal {
		net.Ranks = f.shape.Ranks
	}
	alive := f.reached(d)
	for i, r := range d.rows {
		if !alive[i] {
			continue
		}
		bias := r.bias
		row := &net.Rows[i]
		for k, j := range r.support {
			w := r.coef[k]
			if at := int(j) - n; at >= 0 && s.Gain != nil {
				bias += float64(w * float64(s.Shift[at]))
				w /= float64(s.Gain[at])
			}
			row.Support, row.Weights = append(row.Support, j), append(row.Weights, float32(w))
		}
		if !f.options.NoBias {
			row.Support, row.Weights = append(row.Support, int32(f.features())), append(row.Weights, float32(bias))
		}
	}
	return net
}

// draftOfNet is the way back.
func (f *fitter) draftOfNet(net *tune.Net, s *tune.Samples) *draft {
	n := f.states()
	d := &draft{rows: make([]row, f.rows())}
	for i, from := range net.Rows {
		r := &d.rows[i]
		for k, j := range from.Support {
			w := float64(from.Weights[k])
			if int(j) == f.features() {
				r.bias += w
				continue
			}
			if at := int(j) - n; at >= 0 && s.Gain != nil {
				w *= float64(s.Gain[at])
				r.bias -= float64(w * float64(s.Shift[at]))
			}
			r.support, r.coef = append(r.support, j), append(r.coef, w)
		}
	}
	return d
}

func finiteOr(v, other float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return other
	}
	return v
}

var tuneStartLab = 3.0
