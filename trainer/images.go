package trainer

import (
	"fmt"

	"github.com/sparse-implicit/sim/trainer/internal/tune"
)

// Image is how the values of an input are pixels: Planar has channel after channel, otherwise the channels
// of a pixel lie together.
type Image struct {
	Height, Width, Channels int
	Planar                  bool
}

// moves by which fine-tuning shows images: as they are, and by one pixel along an axis.
var moves = [][2]int{{0, 0}, {1, 0}, {-1, 0}, {0, 1}, {0, -1}}

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

// moveImages adds the moves of images to the samples and the teacher's outputs on them. A teacher that
// cannot be run has none.
func (f *fitter) moveImages(s *tune.Samples) error {
	image := f.options.Image
	teacher, ok := f.source.(runner)
	if image == nil || !ok || f.options.Epochs == 0 {
		return nil
	}
	m := &tune.Moves{Height: image.Height, Width: image.Width, Channels: image.Channels, Planar: image.Planar, By: moves}
	p, q, variants := f.shape.Inputs, f.shape.Outputs, len(moves)
	outputs := make([]float32, s.Count*variants*q)
	moved := make([]float32, min(batchSamples, s.Count)*p)
	for first := 0; first < s.Count; first += batchSamples {
		if err := f.ctx.Err(); err != nil {
			return err
		}
		count := min(batchSamples, s.Count-first)
		for v := range variants {
			parallel(count, func(k int) {
				m.Apply(moved[k*p:(k+1)*p], s.Inputs[(first+k)*p:(first+k+1)*p], v)
			})
			y, err := teacher.outputsOn(moved[:count*p])
			if y == nil {
				return err
			}
			for k := range count {
				copy(outputs[((first+k)*variants+v)*q:], y[k*q:(k+1)*q])
			}
		}
	}
	s.Moves, s.Goal.Teacher = m, outputs
	return nil
}

// check refuses an image that is not the inputs.
func (i *Image) check(inputs int) error {
	if i == nil || i.Height > 0 && i.Width > 0 && i.Channels > 0 && i.Height*i.Width*i.Channels == inputs {
		return nil
	}
	return fmt.Errorf("images of %d × %d pixels with %d channels, but %d inputs: %w", i.Height, i.Width, i.Channels, inputs, ErrOptions)
}
