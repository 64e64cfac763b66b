package trainer

import (
	"fmt"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/trainer/internal/tune"
)

// runner is a source that can run its teacher on other inputs.
type runner interface {
	// outputsOn returns the outputs for inputs (samples × p); nil, nil when it cannot.
	outputsOn(u []float32) ([]float32, error)
}

func (s *NetworkSource) outputsOn(u []float32) ([]float32, error) { return s.run.outputsOn(u) }
func (s *ModelSource) outputsOn(u []float32) ([]float32, error)   { return s.run.outputsOn(u) }

func (r *teacherRun) outputsOn(u []float32) ([]float32, error) {
	b, err := r.run(0, u)
	if err != nil {
		return nil, err
	}
	return b.Y, nil
}

// follow sets what the teachers want of every sample: the mean of their outputs, or of their probabilities.
// Images are also seen moved, where all teachers can be run on them.
func (f *fitter) follow(s *tune.Samples) error {
	teachers := append([]Source{f.source}, f.options.Ensemble...)
	if f.options.Image != nil && f.options.Epochs > 0 {
		s.Moves = f.options.Image.OnePixel()
		for _, teacher := range teachers {
			if _, runs := teacher.(runner); !runs {
				s.Moves = nil
			}
		}
	}
	s.Goal.Lowest = f.options.Decision == model.DecideArgmin
	s.Goal.Teacher = make([]float32, s.Count*max(1, len(s.Moves))*f.shape.Outputs)
	for _, teacher := range teachers {
		add := f.asGiven
		if s.Moves != nil {
			add = f.asMoved
		}
		if err := add(s, teacher, 1/float64(len(teachers))); err != nil {
			return err
		}
	}
	return nil
}

// asGiven adds a teacher's part of what is wanted, from the outputs that it has.
func (f *fitter) asGiven(s *tune.Samples, teacher Source, part float64) error {
	return teacher.Batches(f.ctx, func(b *Batch) error {
		f.addOutputs(s, b.Y, part, func(k int) int { return b.First + k })
		return nil
	})
}

// asMoved runs a teacher on every move of the samples.
func (f *fitter) asMoved(s *tune.Samples, teacher Source, part float64) error {
	p, variants := f.shape.Inputs, len(s.Moves)
	moved := make([]float32, min(batchSamples, s.Count)*p)
	for first := 0; first < s.Count; first += batchSamples {
		if err := f.ctx.Err(); err != nil {
			return err
		}
		count := min(batchSamples, s.Count-first)
		for v := range variants {
			parallel(count, func(k int) {
				s.Moves.Apply(moved[k*p:(k+1)*p], s.Inputs[(first+k)*p:(first+k+1)*p], v)
			})
			y, err := teacher.(runner).outputsOn(moved[:count*p])
			if err != nil {
				return err
			}
			f.addOutputs(s, y, part, func(k int) int { return (first+k)*variants + v })
		}
	}
	return nil
}

// addOutputs adds outputs y (samples × q), as probabilities in a classification, times part; place tells
// where sample k's belong.
func (f *fitter) addOutputs(s *tune.Samples, y []float32, part float64, place func(k int) int) {
	q := f.shape.Outputs
	softened := make([]float64, q)
	for k := 0; k*q < len(y); k++ {
		row, to := y[k*q:(k+1)*q], s.Goal.Teacher[place(k)*q:]
		if s.Goal.Regression {
			for c, v := range row {
				to[c] += float32(float64(v) * part)
			}
			continue
		}
		soften(row, s.Goal.Temperature, s.Goal.Lowest, softened)
		for c, v := range softened {
			to[c] += float32(v * part)
		}
	}
}

// soften writes the softmax probabilities of outputs at a temperature into p; the lowest output may be the
// likeliest.
func soften(y []float32, temperature float64, lowest bool, p []float64) {
	if lowest {
		temperature = -temperature
	}
	scaled := make([]float32, len(y))
	for c, v := range y {
		scaled[c] = float32(float64(v) / temperature)
	}
	softmax(scaled, p)
}

// checkImage refuses images that are not the inputs, and teachers that are not of the same samples.
func (o *Options) checkImage(shape *Shape) error {
	if i := o.Image; i != nil && (i.Height <= 0 || i.Width <= 0 || i.Channels <= 0 || i.Height*i.Width*i.Channels != shape.Inputs) {
		return fmt.Errorf("images of %d × %d pixels with %d channels, but %d inputs: %w", i.Height, i.Width, i.Channels, shape.Inputs, ErrOptions)
	}
	for k, teacher := range o.Ensemble {
		if t := teacher.Shape(); t.Inputs != shape.Inputs || t.Outputs != shape.Outputs || t.Samples != shape.Samples {
			return fmt.Errorf("teacher %d has %d inputs, %d outputs and %d samples, the first %d, %d and %d: %w", k+2, t.Inputs, t.Outputs, t.Samples, shape.Inputs, shape.Outputs, shape.Samples, ErrOptions)
		}
	}
	return nil
}
