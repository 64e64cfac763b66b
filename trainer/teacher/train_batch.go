package teacher

import (
	"math"

	"github.com/sparse-implicit/sim/format/model"
)

// blockRows is how many rows of a layer's weights one task updates, and the length of the pieces in
// which a sample's nonzero inputs are listed.
const blockRows = 64

// batch holds what a step computes about its samples. Forward and backward pass treat every sample
// alone, the update every row of weights alone and its samples in order: no sum depends on how the
// work is spread.
type batch struct {
	samples []int // rows of the set
	layers  []batchLayer
	loss    []float64 // per sample
}

// batchLayer is one layer's part of a batch.
type batchLayer struct {
	blocks int

	// The nonzero inputs of sample s, ascending: values[s·in + k] of input index[s·in + k]. Those of
	// block b are k = starts[s·(blocks+1) + b] … starts[… + b + 1] − 1.
	index  []int32
	values []float32
	starts []int32

	z []float32 // samples × stride: pre-activations; after the backward pass, the loss's derivatives
}

func newBatch(net mlp, size int) *batch {
	b := &batch{loss: make([]float64, size)}
	for _, l := range net {
		blocks := (l.in + blockRows - 1) / blockRows
		b.layers = append(b.layers, batchLayer{
			blocks: blocks,
			index:  make([]int32, size*l.in),
			values: make([]float32, size*l.in),
			starts: make([]int32, size*(blocks+1)),
			z:      make([]float32, size*l.stride),
		})
	}
	return b
}

// list notes the nonzero ones of sample s's inputs x, and only the positive ones where x are the
// inputs of a relu. It does not branch on the values: which pixels are 0 is hard to predict.
func (b *batchLayer) list(s int, x []float32, relu bool) (values []float32, index []int32) {
	in := len(x)
	dropSign := uint32(0)
	if relu {
		dropSign = 1
	}
	values, index = b.values[s*in:(s+1)*in], b.index[s*in:(s+1)*in]
	starts := b.starts[s*(b.blocks+1):][:b.blocks+1]
	n := 0
	for block := range b.blocks {
		starts[block] = int32(n)
		first := block * blockRows
		for k, v := range x[first:min(first+blockRows, in)] {
			values[n], index[n] = v, int32(first+k)
			word := math.Float32bits(v)
			magnitude := word << 1
			n += int((magnitude | -magnitude) >> 31 &^ (word >> 31 & dropSign))
		}
	}
	starts[b.blocks] = int32(n)
	return values[:n], index[:n]
}

// scratch is one worker's memory.
type scratch struct {
	probabilities []float64
	values        []float32
	index         []int32
	gradient      []float32
	entries       []float32 // of one block of inputs, by input
	entrySamples  []int32
	image         []float32 // a sample as it is moved
}

func newScratch(net mlp, size int) *scratch {
	width := net.widest()
	return &scratch{
		probabilities: make([]float64, width),
		values:        make([]float32, width),
		index:         make([]int32, width),
		gradient:      make([]float32, blockRows*width),
		entries:       make([]float32, max(size, 1)*blockRows),
		entrySamples:  make([]int32, max(size, 1)*blockRows),
	}
}

// forward computes the pre-activations of all layers for sample s with inputs x.
func (b *batch) forward(net mlp, s int, x []float32) {
	for k := range net {
		l, own := &net[k], &b.layers[k]
		values, index := own.list(s, x, k > 0)
		z := own.z[s*l.stride : (s+1)*l.stride]
		copy(z, l.weights[l.in*l.stride:])
		accumulate(z, l.weights, values, index)
		x = z[:l.out]
	}
}

// backward replaces the pre-activations of the hidden layers by the loss's derivatives, given those of
// the last layer.
func (b *batch) backward(net mlp, s int, mem *scratch) {
	for k := len(net) - 1; k > 0; k-- {
		l := &net[k]
		n := 0
		for i, d := range b.layers[k].z[s*l.stride:][:l.out] {
			if d != 0 {
				mem.values[n], mem.index[n] = d, int32(i)
				n++
			}
		}
		dx := mem.gradient[:l.inStride]
		clear(dx)
		accumulate(dx, l.byOutput, mem.values[:n], mem.index[:n])
		z := b.layers[k-1].z[s*l.inStride:][:l.inStride]
		for j, d := range dx {
			if z[j] > 0 {
				z[j] = d
			} else {
				z[j] = 0
			}
		}
	}
}

// crossEntropy replaces logits by the derivatives of scale·loss and returns the loss, −log p of the
// label.
func crossEntropy(logits []float32, label int32, scale float64, p []float64) float64 {
	top := logits[0]
	for _, v := range logits {
		top = max(top, v)
	}
	sum := 0.0
	for i, v := range logits {
		p[i] = model.Exp(float64(v) - float64(top))
		sum += p[i]
	}
	loss := math.Log(sum) - (float64(logits[label]) - float64(top))
	for i := range logits {
		d := p[i] / sum
		if i == int(label) {
			d--
		}
		logits[i] = float32(d * scale)
	}
	return loss
}

// squaredError replaces outputs by the derivatives of scale·loss and returns the loss, half the mean
// squared distance to the targets.
func squaredError(outputs, targets []float32, scale float64) float64 {
	loss := 0.0
	each := 1 / float64(len(outputs))
	for i, y := range outputs {
		d := float64(y) - float64(targets[i])
		loss += float64(d*d) * each / 2
		outputs[i] = float32(d * each * scale)
	}
	return loss
}

// gradients sums the derivatives with respect to rows first … last−1 of layer k's weights over the
// samples, in order. The result is (last−first) × stride, in the worker's memory. Row `in` is the bias.
func (b *batch) gradients(net mlp, k, block int, mem *scratch) []float32 {
	l, own := &net[k], &b.layers[k]
	samples := len(b.samples)
	if block == own.blocks {
		return b.biasGradient(l, own, mem)
	}
	first := block * blockRows
	rows := min(blockRows, l.in-first)
	// Sort the block's entries by input, stably: count, add up, place.
	var at [blockRows + 1]int32
	for s := range samples {
		from, to := own.starts[s*(own.blocks+1)+block], own.starts[s*(own.blocks+1)+block+1]
		for _, j := range own.index[s*l.in+int(from) : s*l.in+int(to)] {
			at[int(j)-first+1]++
		}
	}
	for r := range rows {
		at[r+1] += at[r]
	}
	next := at
	for s := range samples {
		from, to := own.starts[s*(own.blocks+1)+block], own.starts[s*(own.blocks+1)+block+1]
		values := own.values[s*l.in+int(from) : s*l.in+int(to)]
		for e, j := range own.index[s*l.in+int(from) : s*l.in+int(to)] {
			place := &next[int(j)-first]
			mem.entries[*place], mem.entrySamples[*place] = values[e], int32(s)
			*place++
		}
	}
	gradient := mem.gradient[:rows*l.stride]
	clear(gradient)
	for r := range rows {
		accumulate(gradient[r*l.stride:(r+1)*l.stride], own.z, mem.entries[at[r]:at[r+1]], mem.entrySamples[at[r]:at[r+1]])
	}
	return gradient
}

func (b *batch) biasGradient(l *mlpLayer, own *batchLayer, mem *scratch) []float32 {
	gradient := mem.gradient[:l.stride]
	clear(gradient)
	for s := range b.samples {
		for i, d := range own.z[s*l.stride : (s+1)*l.stride] {
			gradient[i] += d
		}
	}
	return gradient
}
