package trainer

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/trainer/internal/tune"
)

// Supervision is the task that fine-tuning serves besides following the teacher.
type Supervision struct {
	Labels  []int32   // classification: class per sample, in [0, q)
	Targets []float32 // regression: samples × q, sample-major
	Weights []float32 // classification: weight in the loss of each class's samples, > 0; nil: 1
}

// check refuses a task that is not that of the samples; nil is fine.
func (s *Supervision) check(shape *Shape, task Task) error {
	if s == nil {
		return nil
	}
	switch {
	case task == Classification && len(s.Labels) != shape.Samples:
		return fmt.Errorf("%d labels for %d samples: %w", len(s.Labels), shape.Samples, ErrOptions)
	case task == Regression && len(s.Targets) != shape.Samples*shape.Outputs:
		return fmt.Errorf("%d targets for %d samples of %d outputs: %w", len(s.Targets), shape.Samples, shape.Outputs, ErrOptions)
	case s.Weights != nil && len(s.Weights) != shape.Outputs:
		return fmt.Errorf("%d class weights for %d classes: %w", len(s.Weights), shape.Outputs, ErrOptions)
	}
	for k, label := range s.Labels {
		if label < 0 || int(label) >= shape.Outputs {
			return fmt.Errorf("label %d is %d, the teacher has %d outputs: %w", k, label, shape.Outputs, ErrOptions)
		}
	}
	for k, v := range s.Targets {
		if !isFinite(v) {
			return fmt.Errorf("target %d is %g, every number must be finite: %w", k, v, ErrOptions)
		}
	}
	for c, w := range s.Weights {
		if !(w > 0) || !isFinite(w) {
			return fmt.Errorf("the weight of class %d is %g, it must be positive: %w", c, w, ErrOptions)
		}
	}
	return nil
}

// DefaultEpochs is how many epochs of fine-tuning suit so many samples: 60 of 60,000, more of fewer, so that
// the number of steps falls slower than that of samples.
func DefaultEpochs(samples int) int {
	return min(max(int(math.Sqrt(216e6/float64(max(samples, 1)))), 20), 300)
}

// tuning is how fine-tuning is done. The numbers were chosen on a validation split of FashionMNIST's training
// part.
type tuning struct {
	rate        float64 // Adam's first learning rate
	batch       int
	start       func(budget int) int // weights at the start
	pruneUntil  float64              // the part of all steps in which weights are removed
	distill     float64              // the part of the loss that follows the teacher
	temperature float64
	adjust      func(*tune.Samples) // for trials
}

// startAt is three times the budget, and for small ones up to six times.
func startAt(budget int) int { return max(3*budget, min(6*budget, 15_000)) }

var defaultTuning = tuning{
	rate: 8e-3, batch: 128, start: startAt, pruneUntil: 0.75, distill: 0.5, temperature: 2,
}

// fineTune trains the weights of a draft by the gradient through its equilibrium, removing weights until
// the wanted numbers are left (none without a number), and rounds them to levels where few bits are asked
// for. On small sets the way is chosen first.
func (f *fitter) fineTune(d *draft) (*draft, error) {
	samples, err := f.tuneSamples()
	if err != nil {
		return nil, err
	}
	net := f.netOf(d, samples)
	if f.options.Baseline != "" && f.options.Epochs == 0 {
		net = tune.Prune(net, f.options.NNZ, f.oneShotScore())
	}
	way, err := f.chooseWay(samples)
	if err != nil {
		return nil, err
	}
	switch f.report.Way = way; way {
	case WayConvex:
		return f.refine(d, f.options.NNZ)
	case WayTeacher:
		samples.Goal.Distill = 1
	}
	tuned, err := tune.Run(f.ctx, net, samples, f.tuneOptions(samples))
	if err != nil {
		return nil, fmt.Errorf("fine-tuning: %w", err)
	}
	f.rounding = tuned.Rounding
	fitted := f.draftOfNet(tuned.Net, samples)
	if fitted.order = tuned.Order; fitted.order == nil {
		fitted.order = d.order
	}
	return fitted, nil
}

func (f *fitter) tuneOptions(samples *tune.Samples) tune.Options {
	how := *f.options.tuning
	if f.options.Baseline == Magnitude { // larger steps move weights by more than what tells them apart
		how.rate, how.pruneUntil = min(how.rate, 2e-3), min(how.pruneUntil, 0.5)
	}
	o := tune.Options{
		Epochs: f.options.Epochs, Batch: min(how.batch, max(samples.Count/64, 16)), LearningRate: how.rate,
		Budget: f.options.NNZ, PruneUntil: how.pruneUntil,
		Magnitude: f.options.Baseline == Magnitude, Levels: f.levels(samples), Seed: f.options.Seed,
		Progress: func(epoch int, loss float64) { f.options.Progress("tune", epoch, f.options.Epochs) },
	}
	if f.options.Pattern == WindowPattern {
		o.Windows = &tune.Windows{Layout: windowLayout, Steps: f.wantedSteps()}
	}
	if f.options.Structure == Free {
		o.Kappa = f.options.Kappa
	}
	return o
}

// tuneSamples gathers inputs, the teacher's outputs and what the task wants.
func (f *fitter) tuneSamples() (*tune.Samples, error) {
	p, q := f.shape.Inputs, f.shape.Outputs
	s := &tune.Samples{Count: f.shape.Samples}
	s.Inputs = inputsOf(f.source)
	held := s.Inputs != nil
	if !held {
		s.Inputs = make([]float32, f.shape.Samples*p)
	}
	s.Goal = tune.Goal{Regression: f.options.Task == Regression, Distill: 1, Temperature: f.options.tuning.temperature}
	if !held {
		err := f.source.Batches(f.ctx, func(b *Batch) error {
			copy(s.Inputs[b.First*p:], b.U)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if err := f.follow(s); err != nil {
		return nil, err
	}
	if task := f.options.Supervision; task != nil {
		s.Goal.Labels, s.Goal.Targets, s.Goal.Weights = task.Labels, task.Targets, task.Weights
		s.Goal.Distill = f.options.tuning.distill
	}
	std := f.gram.TargetStd()
	for k := range q {
		s.Goal.Spread = append(s.Goal.Spread, std[f.states()+k])
		if s.Goal.Spread[k] == 0 {
			s.Goal.Spread[k] = 1
		}
	}
	f.standardise(s)
	if f.options.tuning.adjust != nil {
		f.options.tuning.adjust(s)
	}
	return s, nil
}

// inputHolder is a source that may have all its inputs in memory, sample-major; nil: it has not.
type inputHolder interface{ allInputs() []float32 }

func inputsOf(source Source) []float32 {
	if holder, ok := source.(inputHolder); ok {
		return holder.allInputs()
	}
	return nil
}

func (s *NetworkSource) allInputs() []float32 { return s.run.inputs }
func (s *ModelSource) allInputs() []float32   { return s.run.inputs }
func (s *StatesSource) allInputs() []float32  { return s.u }

// standardise has inputs standardised while training when some leave [−1, 1]: a step of the optimiser is
// then worth the same for all of them.
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
	for j := range s.Gain {
		s.Gain[j] = 1
		if std[n+j] > 0 {
			s.Shift[j], s.Gain[j] = float32(f.gram.FeatureMean(n+j)), float32(1/std[n+j])
		}
	}
	if f.options.NoBias { // a shift would need one
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
		bias, row := r.bias, &net.Rows[i]
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
