package teacher

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/sparse-implicit/sim/trainer/dataset"
)

// trainer is one run of Train.
type trainer struct {
	set    *dataset.Set
	config Config
	net    mlp

	x       []float32 // inputs as trained on
	y       []float32 // targets as trained on
	inputs  *scaling  // nil: as they are
	targets *scaling
	classes []float64 // what a sample of each class weighs; nil in a regression

	random *rand.PCG
	order  []int
	moves  [][]int32 // of images, nil without
	moved  []uint8   // per sample: its move in this epoch
	batch  *batch
	tasks  []task
	memory []*scratch

	step, steps    int
	decay1, decay2 float64 // β₁ᵗ, β₂ᵗ
}

// task is a block of rows of a layer's weights that one worker updates.
type task struct{ layer, block int }

// shardSamples is how many samples of a batch one worker takes at a time.
const shardSamples = 8

func newTrainer(set *dataset.Set, c Config) (*trainer, error) {
	dims := append([]int{set.Features}, c.Hidden...)
	t := &trainer{set: set, config: c, x: set.Train.X, random: rand.NewPCG(c.Seed, 0x7465616368), decay1: 1, decay2: 1}
	t.net = newMLP(append(dims, set.Outputs), t.random)
	if leavesUnit(set.Lo, set.Hi) {
		t.inputs = newScaling(t.x, set.Features)
		t.x = t.inputs.apply(t.x)
	}
	if set.Regression() {
		t.targets = newScaling(set.Train.Targets, set.Outputs)
		t.y = t.targets.apply(set.Train.Targets)
	} else {
		classes, err := dataset.ClassWeights(set.Train.Labels, set.Classes, c.ClassWeights)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", err, ErrConfig)
		}
		t.classes = classes
	}
	t.order = make([]int, set.Train.Samples)
	for k := range t.order {
		t.order[k] = k
	}
	if c.Augment {
		t.moves, t.moved = set.Image.OnePixel(), make([]uint8, set.Train.Samples)
	}
	t.batch = newBatch(t.net, c.Batch)
	for k := range t.net {
		for block := range t.batch.layers[k].blocks + 1 {
			t.tasks = append(t.tasks, task{k, block})
		}
	}
	for range runtime.GOMAXPROCS(0) {
		t.memory = append(t.memory, newScratch(t.net, c.Batch))
	}
	t.steps = c.Epochs * ((len(t.order) + c.Batch - 1) / c.Batch)
	return t, nil
}

// leavesUnit reports whether some input leaves [−1, 1].
func leavesUnit(lo, hi []float32) bool {
	for j := range lo {
		if lo[j] < -1 || hi[j] > 1 {
			return true
		}
	}
	return false
}

// epoch passes once over the training part in a new order and returns the mean loss.
func (t *trainer) epoch(ctx context.Context) (float64, error) {
	for last := len(t.order) - 1; last > 0; last-- {
		chosen, _ := bits.Mul64(t.random.Uint64(), uint64(last+1))
		t.order[last], t.order[chosen] = t.order[chosen], t.order[last]
	}
	for k := range t.moved {
		chosen, _ := bits.Mul64(t.random.Uint64(), uint64(len(t.moves)))
		t.moved[k] = uint8(chosen)
	}
	loss := 0.0
	for first := 0; first < len(t.order); first += t.config.Batch {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		t.batch.samples = t.order[first:min(first+t.config.Batch, len(t.order))]
		t.learn()
		for _, v := range t.batch.loss[:len(t.batch.samples)] {
			loss += v
		}
	}
	return loss / float64(len(t.order)), nil
}

// learn does one step of the optimiser on the batch.
func (t *trainer) learn() {
	samples := len(t.batch.samples)
	shards := (samples + shardSamples - 1) / shardSamples
	t.parallel(shards, func(shard int, mem *scratch) {
		for s := shard * shardSamples; s < min((shard+1)*shardSamples, samples); s++ {
			t.derive(s, mem)
		}
	})
	rate := t.config.LearningRate * halfCosine(float64(t.step)/float64(t.steps))
	t.step++
	t.decay1, t.decay2 = t.decay1*beta1, t.decay2*beta2
	weights, biases := t.adamw(rate, t.config.WeightDecay), t.adamw(rate, 0)
	t.parallel(len(t.tasks), func(k int, mem *scratch) {
		layer, block := t.tasks[k].layer, t.tasks[k].block
		gradient := t.batch.gradients(t.net, layer, block, mem)
		l := &t.net[layer]
		first, constants := block*blockRows, &weights
		if block == t.batch.layers[layer].blocks {
			first, constants = l.in, &biases
		}
		from, to := first*l.stride, first*l.stride+len(gradient)
		update(constants, l.weights[from:to], l.moment1[from:to], l.second[from:to], gradient)
		if l.byOutput != nil {
			l.transpose(first, first+blockRows)
		}
	})
}

// derive runs sample s of the batch forward and backward.
func (t *trainer) derive(s int, mem *scratch) {
	row, scale := t.batch.samples[s], 1/float64(len(t.batch.samples))
	t.batch.forward(t.net, s, t.sample(row, mem))
	last := &t.net[len(t.net)-1]
	outputs := t.batch.layers[len(t.net)-1].z[s*last.stride:][:last.out]
	if t.targets != nil {
		t.batch.loss[s] = squaredError(outputs, t.y[row*last.out:(row+1)*last.out], scale)
	} else {
		label := t.set.Train.Labels[row]
		t.batch.loss[s] = t.classes[label] * crossEntropy(outputs, label, scale*t.classes[label], mem.probabilities)
	}
	t.batch.backward(t.net, s, mem)
}

// sample returns the inputs of a sample, moved as it is in this epoch.
func (t *trainer) sample(row int, mem *scratch) []float32 {
	x := t.x[row*t.set.Features : (row+1)*t.set.Features]
	if t.moves == nil || t.moved[row] == 0 {
		return x
	}
	mem.image = mem.image[:0]
	for _, from := range t.moves[t.moved[row]] {
		v := float32(0)
		if from >= 0 {
			v = x[from]
		}
		mem.image = append(mem.image, v)
	}
	return mem.image
}

// parallel runs do(0) … do(n−1), each worker with a memory of its own.
func (t *trainer) parallel(n int, do func(k int, mem *scratch)) {
	workers := min(len(t.memory), n)
	if workers <= 1 {
		for k := range n {
			do(k, t.memory[0])
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for _, mem := range t.memory[:workers] {
		wg.Go(func() {
			for k := int(next.Add(1)) - 1; k < n; k = int(next.Add(1)) - 1 {
				do(k, mem)
			}
		})
	}
	wg.Wait()
}

// AdamW's constants.
const (
	beta1   = 0.9
	beta2   = 0.999
	epsilon = 1e-8
)

// adamw returns the constants of one step.
func (t *trainer) adamw(rate, weightDecay float64) stepConstants {
	return stepConstants{
		keep1: beta1, take1: 1 - beta1,
		keep2: beta2, take2: 1 - beta2,
		unbias2: float32(1 / math.Sqrt(1-t.decay2)), epsilon: epsilon,
		rate: float32(rate / (1 - t.decay1)), keep: float32(1 - float64(rate*weightDecay)),
		tiny: 1e-30,
	}
}

// halfCosine falls from 1 at 0 to 0 at 1 along (1 + cos πt)/2 = cos²(πt/2), by the cosine's Taylor
// series, which gives the same bits on every machine.
func halfCosine(t float64) float64 {
	square := float64(t*math.Pi/2) * float64(t*math.Pi/2)
	cosine := 1.0
	for k := 20; k > 0; k -= 2 {
		cosine = 1 - float64(float64(square/float64(k*(k-1)))*cosine)
	}
	return float64(cosine * cosine)
}

// scaling standardises columns.
type scaling struct {
	mean, spread, inverse []float64 // inverse is 1/spread, 0 for a column that never changes
}

func newScaling(x []float32, width int) *scaling {
	c := &scaling{mean: make([]float64, width), spread: make([]float64, width), inverse: make([]float64, width)}
	samples := float64(len(x) / width)
	for k, v := range x {
		c.mean[k%width] += float64(v)
	}
	for j := range c.mean {
		c.mean[j] /= samples
	}
	for k, v := range x {
		d := float64(v) - c.mean[k%width]
		c.spread[k%width] += float64(d * d)
	}
	for j := range c.spread {
		c.spread[j] = math.Sqrt(c.spread[j] / samples)
		if c.spread[j] > 0 {
			c.inverse[j] = 1 / c.spread[j]
		}
	}
	return c
}

// apply returns a standardised copy.
func (c *scaling) apply(x []float32) []float32 {
	out := make([]float32, len(x))
	for k, v := range x {
		j := k % len(c.mean)
		out[k] = float32((float64(v) - c.mean[j]) * c.inverse[j])
	}
	return out
}
