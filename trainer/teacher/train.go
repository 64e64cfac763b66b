package teacher

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/trainer/dataset"
)

// ErrConfig is wrapped by every error about a Config that cannot be trained with.
var ErrConfig = errors.New("wrong training options")

// Config says what to train and how. A zero field takes the default that Defaults computes; Hidden has
// none (empty is a linear model).
type Config struct {
	Hidden []int // widths of the hidden layers, from the input on; relu after each

	Epochs       int     // passes over the training part
	Batch        int     // samples per step
	LearningRate float64 // of the first step; falls along half a cosine to 0
	WeightDecay  float64 // AdamW's, per step LearningRate·WeightDecay; not on biases. Negative: none

	// ClassWeights is the rule by which the loss of a sample is weighted by its class. Default: all alike.
	// Classification only.
	ClassWeights dataset.ClassWeighting

	// Augment shows images (Set.Image) moved by at most a pixel, drawn anew in every epoch.
	Augment bool

	Seed uint64 // of the first weights and the order of the samples

	// Progress, when it is not nil, is called after every epoch with the mean loss over it.
	Progress func(epoch, epochs int, loss float64)
}

// Report is what training tells about itself. It has no times, so that it is the same at every run.
type Report struct {
	Config   Config    // as used, defaults filled in
	Steps    int       // of the optimiser
	Loss     []float64 // mean loss over each epoch: cross-entropy in nats, weighted by class, or half the mean squared error of standardised targets
	Weights  int       // numbers of the network, biases included
	Rescaled bool      // the inputs were standardised while training; the network takes them as they are
}

// Limits that keep a slip of the pen from filling the memory.
const (
	maxLayers  = 64
	maxWidth   = 1 << 16
	maxWeights = 1 << 27
	maxEpochs  = 1 << 20
)

// Train trains a multilayer perceptron with biases on the training part of a set by AdamW (arXiv
// 1711.05101), on softmax cross-entropy, or on the squared error of standardised targets when the set
// is a regression. The test part is not looked at. Inputs whose box leaves [−1, 1] are standardised
// while training, and the network is rewritten at the end to take them as they are.
//
// The weights depend on the set, the configuration and nothing else: not on GOMAXPROCS, nor on the
// processor's vector instructions.
//
// Errors wrap ErrConfig, or are those of the context, or say that the loss became infinite.
func Train(ctx context.Context, set *dataset.Set, c Config) (*Network, *Report, error) {
	c, err := c.check(set)
	if err != nil {
		return nil, nil, err
	}
	t, err := newTrainer(set, c)
	if err != nil {
		return nil, nil, err
	}
	report := &Report{Config: c, Weights: t.net.size(), Rescaled: t.inputs != nil}
	for epoch := range c.Epochs {
		loss, err := t.epoch(ctx)
		if err != nil {
			return nil, nil, err
		}
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return nil, nil, fmt.Errorf("the loss is %g after epoch %d: take a smaller learning rate than %g", loss, epoch+1, c.LearningRate)
		}
		report.Loss = append(report.Loss, loss)
		if c.Progress != nil {
			c.Progress(epoch+1, c.Epochs, loss)
		}
	}
	report.Steps = t.step
	network := t.network()
	if err := network.Validate(); err != nil {
		return nil, nil, fmt.Errorf("training failed, take a smaller learning rate than %g: %w", c.LearningRate, err)
	}
	return network, report, nil
}

// Defaults fills the zero fields for a training part of so many samples. Small parts get smaller
// batches and more epochs, so that the number of steps falls slower than the number of samples. The
// numbers were chosen on validation splits of small sets of images and of sensor data.
func (c Config) Defaults(samples int) Config {
	if c.Epochs == 0 {
		c.Epochs = min(max(int(math.Sqrt(12e6/float64(max(samples, 1)))), 20), 400)
	}
	if c.Batch == 0 {
		c.Batch = min(max(samples/64, 16), 128)
	}
	if c.LearningRate == 0 {
		c.LearningRate = 2e-3
	}
	if c.WeightDecay == 0 {
		c.WeightDecay = 0.1
	}
	if c.ClassWeights == "" {
		c.ClassWeights = dataset.Unweighted
	}
	return c
}

// check fills in defaults and refuses what cannot be trained.
func (c Config) check(set *dataset.Set) (Config, error) {
	if err := checkTrainingPart(set); err != nil {
		return c, err
	}
	c = c.Defaults(set.Train.Samples)
	weights, width := int64(0), set.Features
	for k, out := range append(append([]int(nil), c.Hidden...), set.Outputs) {
		if out < 1 || out > maxWidth {
			return c, fmt.Errorf("hidden layer %d has %d units, between 1 and %d are needed: %w", k+1, out, maxWidth, ErrConfig)
		}
		weights += int64(width+1) * int64(out)
		width = out
	}
	switch {
	case len(c.Hidden) > maxLayers:
		return c, fmt.Errorf("%d hidden layers, at most %d: %w", len(c.Hidden), maxLayers, ErrConfig)
	case weights > maxWeights:
		return c, fmt.Errorf("the network would have %d weights, at most %d are trained: %w", weights, maxWeights, ErrConfig)
	case c.Epochs < 0 || c.Epochs > maxEpochs:
		return c, fmt.Errorf("%d epochs, between 1 and %d are needed: %w", c.Epochs, maxEpochs, ErrConfig)
	case c.Augment && set.Image == nil:
		return c, fmt.Errorf("only images can be moved, and %s is not known to hold any: %w", set.Name, ErrConfig)
	case c.Batch < 0:
		return c, fmt.Errorf("batches of %d samples: %w", c.Batch, ErrConfig)
	case !(c.LearningRate > 0 && c.LearningRate <= 1):
		return c, fmt.Errorf("learning rate %g, it must be in (0, 1]: %w", c.LearningRate, ErrConfig)
	case !(c.WeightDecay*c.LearningRate < 1):
		return c, fmt.Errorf("weight decay %g at learning rate %g, their product must be below 1: %w", c.WeightDecay, c.LearningRate, ErrConfig)
	}
	if set.Regression() && c.ClassWeights != dataset.Unweighted {
		return c, fmt.Errorf("class weights %q in a regression, which has no classes: leave them out: %w", c.ClassWeights, ErrConfig)
	}
	c.WeightDecay = max(c.WeightDecay, 0)
	c.Batch = min(c.Batch, set.Train.Samples)
	return c, nil
}

// checkTrainingPart refuses a set that was put together wrongly; those of dataset.Open never are.
func checkTrainingPart(set *dataset.Set) error {
	part := set.Train
	switch {
	case part.Samples < 1 || set.Features < 1 || set.Outputs < 1:
		return fmt.Errorf("the training part has %d samples of %d features, the set %d outputs; none may be 0: %w", part.Samples, set.Features, set.Outputs, ErrConfig)
	case len(part.X) != part.Samples*set.Features:
		return fmt.Errorf("the training part has %d values, %d samples need %d: %w", len(part.X), part.Samples, part.Samples*set.Features, ErrConfig)
	case set.Regression() && len(part.Targets) != part.Samples*set.Outputs:
		return fmt.Errorf("the training part has %d targets, %d samples need %d: %w", len(part.Targets), part.Samples, part.Samples*set.Outputs, ErrConfig)
	case !set.Regression() && (len(part.Labels) != part.Samples || set.Outputs != set.Classes):
		return fmt.Errorf("the training part has %d labels for %d samples, the set %d outputs for %d classes: %w", len(part.Labels), part.Samples, set.Outputs, set.Classes, ErrConfig)
	}
	for k, label := range part.Labels {
		if label < 0 || int(label) >= set.Outputs {
			return fmt.Errorf("label %d (counted from 0) is %d, the set has %d classes: %w", k, label, set.Classes, ErrConfig)
		}
	}
	return nil
}

// network returns the trained layers with the standardisations folded in, computed in float64.
func (t *trainer) network() *Network {
	n := &Network{Inputs: t.set.Features}
	for k := range t.net {
		from := &t.net[k]
		l := Layer{In: from.in, Out: from.out, W: make([]float32, from.in*from.out), B: make([]float32, from.out)}
		if k < len(t.net)-1 {
			l.Activation = model.Activation{Kind: model.ReLU}
		}
		for i := range l.Out {
			gain, shift := 1.0, 0.0
			if k == len(t.net)-1 && t.targets != nil {
				gain, shift = t.targets.spread[i], t.targets.mean[i]
			}
			bias := float64(from.weights[from.in*from.stride+i])
			for j := range l.In {
				w := float64(from.weights[j*from.stride+i])
				if k == 0 && t.inputs != nil {
					w *= t.inputs.inverse[j]
					bias -= float64(w * t.inputs.mean[j])
				}
				l.W[i*l.In+j] = float32(w * gain)
			}
			l.B[i] = float32(float64(bias*gain) + shift)
		}
		n.Layers = append(n.Layers, l)
	}
	return n
}
