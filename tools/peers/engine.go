package main

import (
	"fmt"
	"slices"
)

// engine runs one network on frames that it got when it was made. A frame is a batch of samples.
type engine interface {
	// run makes count inferences, of the frames in rotation beginning with number first. Where each is not nil
	// it receives the nanoseconds of each inference, those of reading the clock included.
	run(first, count int, each []int64) error

	// answer classifies a sample that is not among the frames; for engines with a batch of one sample.
	answer(sample []float32) (class int, err error)

	close()
}

// The kinds of engines.
const (
	kindSim         = "sim"
	kindOnnxRuntime = "onnxruntime"
	kindXNNPACK     = "xnnpack"
)

// inPlace stands for the name of a kernel in a recipe.
const inPlace = "in place"

// recipe says how an engine is made, in this process or in another one.
type recipe struct {
	// One of the kinds above.
	Kind string
	// A .simb, .onnx, or .xnn, see writeLayers
	File string
	// What is opened at run time; empty for our own
	Library string
	// Of our own: empty: what Load chooses; or inPlace
	Kernel string
	// Whether it takes integers; frames are quantised when the engine is made
	Integers bool
	// Samples of a frame
	Batch int

	// Of an .onnx file, which is not looked into.
	Inputs, Outputs int

	// U/Scale + Zero, rounded, is what an integer input stands for.
	Scale float32
	Zero  int
}

// open makes an engine. frames hold Batch samples each, sample-major.
func (r recipe) open(frames [][]float32) (engine, error) {
	switch r.Kind {
	case kindSim:
		return openSim(r, frames)
	case kindOnnxRuntime:
		return openOnnxRuntime(r, frames)
	case kindXNNPACK:
		return openXNNPACK(r, frames)
	}
	return nil, fmt.Errorf("%q is no kind of engine", r.Kind)
}

// contender is an engine in a table.
type contender struct {
	name   string
	recipe recipe
	fresh  bool // whether it is measured in a process of its own, too
}

func (c contender) input() string {
	if c.recipe.Integers {
		return "integers"
	}
	return "floats"
}

// largest returns the index of the largest value, the lowest of equal ones.
func largest[V int8 | int32 | float32](values []V) int {
	return slices.Index(values, slices.Max(values))
}

// rotate is run for an engine that takes one frame at a time.
func rotate[F any](frames []F, first, count int, each []int64, infer func(F) error) error {
	clock := startClock()
	frame := first % len(frames)
	for k := range count {
		if err := infer(frames[frame]); err != nil {
			return err
		}
		if frame++; frame == len(frames) {
			frame = 0
		}
		if each != nil {
			each[k] = clock.lap()
		}
	}
	return nil
}
