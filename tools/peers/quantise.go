package main

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// signed is what is taken off an activation in [0, 255] where an engine wants int8.
const signed = 128

// layer is a dense layer y = φ(W x + b), φ relu or identity, as the peers take it: either in floats, or in
// integers, with activations q in [0, 255] worth scale·(q − zero), in their usual asymmetric form.
type layer struct {
	// Lengths of x and y.
	In, Out int

	// In integers OutZero is 0 then, and the lower limit of activations does the rest.
	ReLU bool

	// Out × In, row-major; Out.
	Reals, RealBiases []float32

	// Out × In, row-major, in [−127, 127].
	Weights []int8

	// Of each row, or one of all.
	WeightScales []float32

	// Each worth InScale times its row's weight scale.
	Biases []int32

	// Of activations: see above.
	InScale, OutScale float32
	InZero, OutZero   int
}

func (y *layer) quantised() bool { return y.Weights != nil }

// weightScale returns the scale of the weights of row i.
func (y *layer) weightScale(i int) float32 { return y.WeightScales[min(i, len(y.WeightScales)-1)] }

// floatMin is the smallest value that the layer puts out in floats.
func (y *layer) floatMin() float32 {
	if y.ReLU {
		return 0
	}
	return float32(math.Inf(-1))
}

// span is a range of reals that holds 0.
type span struct{ lo, hi float32 }

func spanOf(values []float32) span {
	return span{min(0, slices.Min(values)), max(0, slices.Max(values))}
}

// activation returns scale and zero point of a range in 256 steps.
func (s span) activation() (scale float32, zero int) {
	scale = (s.hi - s.lo) / 255
	if scale == 0 {
		return 1, 0
	}
	return scale, int(math.RoundToEven(float64(-s.lo / scale)))
}

// layersOf takes a network apart. Errors say what the comparison does not cover.
func layersOf(net *teacher.Network) ([]layer, error) {
	var layers []layer
	for k, l := range net.Layers {
		last := k == len(net.Layers)-1
		relu := l.Activation.Kind == model.ReLU
		if l.Activation.Kind != model.Identity && !relu || relu == last {
			return nil, fmt.Errorf("layer %d of the teacher: the peers are compared on relu layers with linear outputs alone", k+1)
		}
		layers = append(layers, layer{In: l.In, Out: l.Out, ReLU: relu, Reals: l.W, RealBiases: l.B})
	}
	return layers, nil
}

// quantise returns the layers of a network in integers. Ranges of activations are those that samples of
// calibration (sample-major) reach. perRow gives each row of weights a scale of its own.
func quantise(net *teacher.Network, calibration []float32, perRow bool) ([]layer, error) {
	layers, err := layersOf(net)
	if err != nil {
		return nil, err
	}
	samples := len(calibration) / net.Inputs
	if samples == 0 {
		return nil, errors.New("there are no samples to calibrate with")
	}
	in := spanOf(calibration)
	net.Forward32(calibration, samples, func(k int, _, x []float32) {
		y := &layers[k]
		y.InScale, y.InZero = in.activation()
		in = spanOf(x)
		y.OutScale, y.OutZero = in.activation()
		y.quantiseWeights(perRow)
	})
	return layers, nil
}

// quantiseWeights fills in the integers, from the floats and the scale of the inputs.
func (y *layer) quantiseWeights(perRow bool) {
	groups := 1
	if perRow {
		groups = y.Out
	}
	size := len(y.Reals) / groups
	y.Weights, y.WeightScales, y.Biases = make([]int8, len(y.Reals)), make([]float32, groups), make([]int32, y.Out)
	for g := range groups {
		s := spanOf(y.Reals[g*size : (g+1)*size])
		scale := max(s.hi, -s.lo) / 127
		if scale == 0 {
			scale = 1
		}
		y.WeightScales[g] = scale
		for k := g * size; k < (g+1)*size; k++ {
			y.Weights[k] = int8(math.RoundToEven(float64(y.Reals[k] / scale)))
		}
	}
	for i, b := range y.RealBiases {
		unit := float64(y.InScale) * float64(y.weightScale(i))
		y.Biases[i] = int32(math.RoundToEven(max(math.MinInt32, min(math.MaxInt32, float64(b)/unit))))
	}
}

// quantiseFrames returns all frames one after the other as activations, less 128 where they are signed.
func quantiseFrames[Q uint8 | int8](frames [][]float32, scale float32, zero int) []Q {
	offset := 0
	if _, isSigned := any(Q(0)).(int8); isSigned {
		offset = signed
	}
	var q []Q
	for _, frame := range frames {
		for _, u := range frame {
			q = append(q, Q(activation(u, scale, zero)-offset))
		}
	}
	return q
}

// activation returns the q in [0, 255] of a real.
func activation(u, scale float32, zero int) int {
	return max(0, min(255, int(math.RoundToEven(float64(u/scale)))+zero))
}

// evaluate computes the outputs of layers in integers, as the peers are meant to: q in [0, 255], of one sample.
func evaluate(layers []layer, sample []float32) []int {
	var q []int
	for _, u := range sample {
		q = append(q, activation(u, layers[0].InScale, layers[0].InZero))
	}
	for k := range layers {
		y := &layers[k]
		next := make([]int, y.Out)
		for i := range y.Out {
			sum := int64(y.Biases[i])
			for j := range y.In {
				sum += int64(y.Weights[i*y.In+j]) * int64(q[j]-y.InZero)
			}
			real := float64(sum) * float64(y.InScale) * float64(y.weightScale(i))
			next[i] = max(0, min(255, int(math.RoundToEven(real/float64(y.OutScale)))+y.OutZero))
		}
		q = next
	}
	return q
}

// flatten returns all frames one after the other.
func flatten(frames [][]float32) []float32 { return slices.Concat(frames...) }
