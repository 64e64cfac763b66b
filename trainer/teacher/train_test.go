package teacher

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/trainer/dataset"
)

// ringSet has two classes that no line divides: inside and outside of a circle, plus inputs that say
// nothing, one of them constant. Values are spread far beyond [−1, 1] where wide.
func ringSet(samples int, wide bool) *dataset.Set {
	const features = 7
	random := rand.New(rand.NewPCG(11, 12))
	set := &dataset.Set{Features: features, Classes: 2, Outputs: 2, Lo: make([]float32, features), Hi: make([]float32, features)}
	for _, part := range []*dataset.Part{&set.Train, &set.Test} {
		part.Samples = samples
		for range samples {
			x := make([]float32, features)
			for j := range x {
				x[j] = 2*random.Float32() - 1
			}
			x[3] = 0.25
			label := int32(0)
			if x[0]*x[0]+x[1]*x[1] > 0.6 {
				label = 1
			}
			part.Labels = append(part.Labels, label)
			if random.IntN(3) == 0 {
				x[5] = 0
			}
			if wide {
				x[0], x[1] = 1000*x[0]+5000, 1e-3*x[1]
			}
			part.X = append(part.X, x...)
		}
	}
	for j := range set.Lo {
		set.Lo[j], set.Hi[j] = -1, 1
	}
	if wide {
		set.Lo[0], set.Hi[0] = 4000, 6000
	}
	return set
}

func accuracyOf(n *Network, set *dataset.Set, part dataset.Part) float64 {
	return Accuracy(Classes(n.Forward32(part.X, part.Samples, nil), set.Outputs), part.Labels)
}

func TestTrainLearnsWhatNoLinearModelCan(t *testing.T) {
	for name, wide := range map[string]bool{"inputs in the unit box": false, "inputs of different scales": true} {
		t.Run(name, func(t *testing.T) {
			set := ringSet(1500, wide)
			network, report, err := Train(context.Background(), set, Config{Hidden: []int{16, 8}, Epochs: 60, Batch: 32, LearningRate: 5e-3, Seed: 3})
			if err != nil {
				t.Fatal(err)
			}
			if report.Rescaled != wide {
				t.Errorf("inputs standardised: %v, want %v", report.Rescaled, wide)
			}
			if got := accuracyOf(network, set, set.Test); got < 0.93 {
				t.Errorf("accuracy %.3f on the test part, want 0.93 at least", got)
			}
			linear, _, err := Train(context.Background(), set, Config{Epochs: 20, Batch: 32, Seed: 3})
			if err != nil {
				t.Fatal(err)
			}
			if got := accuracyOf(linear, set, set.Test); got > 0.8 {
				t.Errorf("accuracy %.3f without hidden layer: the set is too easy to prove anything", got)
			}
		})
	}
}

func TestTrainFitsTargetsOfARegression(t *testing.T) {
	random := rand.New(rand.NewPCG(13, 14))
	const features = 3
	set := &dataset.Set{Features: features, Outputs: 3, Lo: []float32{-50, 0, 0}, Hi: []float32{50, 1, 1}}
	set.Train.Samples = 1000
	for range set.Train.Samples {
		x := []float32{100*random.Float32() - 50, random.Float32(), random.Float32()}
		set.Train.X = append(set.Train.X, x...)
		set.Train.Targets = append(set.Train.Targets,
			3*x[0]-40*x[1]+700, float32(math.Abs(float64(x[0])))*1e-4, 42)
	}
	network, _, err := Train(context.Background(), set, Config{Hidden: []int{24}, Epochs: 80, Batch: 32, LearningRate: 5e-3, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	outputs := network.Forward32(set.Train.X, set.Train.Samples, nil)
	if got := R2(outputs, set.Train.Targets, 3); got < 0.99 {
		t.Errorf("R² %.4f, want 0.99 at least", got)
	}
	if outputs[2] != 42 {
		t.Errorf("a target that is always 42 is predicted as %g", outputs[2])
	}
}

func TestTrainLearnsTheMiniFashionMNIST(t *testing.T) {
	set, err := dataset.Open("builtin:fashion-mini", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	epochs, want := 4, 0.80
	network, _, err := Train(context.Background(), set, Config{Hidden: []int{64, 32, 16}, Epochs: epochs, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	got := accuracyOf(network, set, set.Test)
	t.Logf("accuracy %.4f on the test part after %d epochs", got, epochs)
	if got < want {
		t.Errorf("accuracy %.4f on the test part, want %.2f at least", got, want)
	}
	if kind := network.Layers[0].Activation.Kind; kind != model.ReLU || len(network.Layers) != 4 {
		t.Errorf("%d layers with %v, want 4 with relu", len(network.Layers), kind)
	}
}

// weightsOf returns every number of a network.
func weightsOf(n *Network) []float32 {
	var all []float32
	for _, l := range n.Layers {
		all = append(append(all, l.W...), l.B...)
	}
	return all
}

func TestTrainGivesTheSameBits(t *testing.T) {
	set := ringSet(300, true)
	train := func(set *dataset.Set, seed uint64) []float32 {
		network, _, err := Train(context.Background(), set, Config{Hidden: []int{70, 20}, Epochs: 4, Batch: 48, Seed: seed, ClassWeights: dataset.SquareRoot})
		if err != nil {
			t.Fatal(err)
		}
		return weightsOf(network)
	}
	was := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(was)
	want := train(set, 5)
	for _, procs := range []int{2, 3, 8} {
		runtime.GOMAXPROCS(procs)
		sameBits(t, "weights", train(set, 5), want)
	}
	t.Run("without looking at the test part", func(t *testing.T) {
		blind := *set
		blind.Test = dataset.Part{}
		sameBits(t, "weights", train(&blind, 5), want)
	})
	t.Run("but not with another seed", func(t *testing.T) {
		if slices.Equal(train(set, 6), want) {
			t.Error("seeds 5 and 6 give the same weights")
		}
	})
	t.Run("without assembly", func(t *testing.T) {
		withoutAssembly(t, func() { sameBits(t, "weights", train(set, 5), want) })
	})
}

func TestTrainRefuses(t *testing.T) {
	good := ringSet(20, false)
	short, wrongLabel, empty := *good, *good, *good
	short.Train.X = short.Train.X[1:]
	wrongLabel.Train.Labels = slices.Clone(wrongLabel.Train.Labels)
	wrongLabel.Train.Labels[7] = 2
	empty.Train = dataset.Part{}
	for name, c := range map[string]struct {
		set    *dataset.Set
		config Config
	}{
		"a hidden layer without units": {good, Config{Hidden: []int{4, 0}}},
		"a hidden layer too wide":      {good, Config{Hidden: []int{1 << 20}}},
		"too many weights":             {good, Config{Hidden: []int{1 << 16, 1 << 16}}},
		"too many layers":              {good, Config{Hidden: slices.Repeat([]int{2}, 100)}},
		"negative epochs":              {good, Config{Epochs: -1}},
		"negative batch":               {good, Config{Batch: -1}},
		"negative learning rate":       {good, Config{LearningRate: -1e-3}},
		"learning rate not a number":   {good, Config{LearningRate: math.NaN()}},
		"weight decay beyond the rate": {good, Config{WeightDecay: 1e6}},
		"values missing":               {&short, Config{}},
		"a label out of range":         {&wrongLabel, Config{}},
		"no samples":                   {&empty, Config{}},
		"class weights not known":      {good, Config{ClassWeights: "inverse"}},
		"class weights of targets":     {gradientSet(true), Config{ClassWeights: dataset.Balanced}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := Train(context.Background(), c.set, c.config); !errors.Is(err, ErrConfig) {
				t.Errorf("error %v, want one that wraps ErrConfig", err)
			}
		})
	}
}

func TestTrainStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	config := Config{Epochs: 1000, Seed: 1, Progress: func(epoch, _ int, _ float64) {
		if epoch == 2 {
			cancel()
		}
	}}
	if _, _, err := Train(ctx, ringSet(50, false), config); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestDefaultsTakeMoreEpochsForFewerSamples(t *testing.T) {
	last := Config{}.Defaults(1)
	for _, samples := range []int{100, 1000, 6000, 60000, 1000000} {
		c := Config{}.Defaults(samples)
		if c.Epochs > last.Epochs || c.Batch < last.Batch || c.Epochs < 20 || c.Batch > 128 {
			t.Errorf("%d samples: %d epochs in batches of %d after %d in %d", samples, c.Epochs, c.Batch, last.Epochs, last.Batch)
		}
		last = c
	}
	chosen := Config{Epochs: 3, Batch: 5, LearningRate: 0.1, WeightDecay: -1}
	if c := chosen.Defaults(1000); c.Epochs != 3 || c.Batch != 5 || c.LearningRate != 0.1 || c.WeightDecay != -1 {
		t.Errorf("Defaults changed what was chosen: %+v", c)
	}
}

func TestWeightDecayLeavesBiasesAlone(t *testing.T) {
	set := ringSet(40, false)
	run := mustTrainer(t, set, Config{Hidden: []int{4}, Epochs: 100, Batch: 40, LearningRate: 1e-3, WeightDecay: 900, Seed: 1})
	l := &run.net[0]
	bias := l.weights[l.in*l.stride:]
	bias[2], l.weights[2] = 5, 5
	run.batch.samples = run.order
	run.learn()
	if math.Abs(float64(bias[2])-5) > 0.01 || math.Abs(float64(l.weights[2])-0.5) > 0.01 {
		t.Errorf("one step with decay 0.9 takes a bias of 5 to %g and a weight of 5 to %g, want 5 and 0.5", bias[2], l.weights[2])
	}
}

// One class in ten: unweighted training may neglect it, balanced training may not.
func TestClassWeightsRaiseTheRecallOfARareClass(t *testing.T) {
	random := rand.New(rand.NewPCG(15, 16))
	set := &dataset.Set{Features: 1, Classes: 2, Outputs: 2, Lo: []float32{-1}, Hi: []float32{1}}
	for k := range 2000 {
		label := int32(0)
		if k%10 == 0 {
			label = 1
		}
		// Two overlapping bells: the optimal border lies at their middle when both weigh the same, and
		// above it when the rare one weighs a tenth.
		set.Train.X = append(set.Train.X, float32(0.25*random.NormFloat64()+0.25*float64(2*label-1)))
		set.Train.Labels = append(set.Train.Labels, label)
	}
	set.Train.Samples = len(set.Train.Labels)
	recall := map[dataset.ClassWeighting]float64{}
	for _, rule := range []dataset.ClassWeighting{dataset.Unweighted, dataset.SquareRoot, dataset.Balanced} {
		network, report, err := Train(context.Background(), set, Config{Epochs: 20, LearningRate: 2e-2, WeightDecay: -1, ClassWeights: rule, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		if report.Config.ClassWeights != rule {
			t.Errorf("the report tells of class weights %q, want %q", report.Config.ClassWeights, rule)
		}
		classes := Classes(network.Forward32(set.Train.X, set.Train.Samples, nil), 2)
		recall[rule] = Recalls(classes, set.Train.Labels, 2)[1]
	}
	// With bells of deviation ¼ at ±¼ the borders are ln(9)/8, ln(3)/8 and 0, which the rare class
	// exceeds with probabilities .46, .67 and .84.
	for rule, want := range map[dataset.ClassWeighting]float64{dataset.Unweighted: .46, dataset.SquareRoot: .67, dataset.Balanced: .84} {
		if math.Abs(recall[rule]-want) > 0.06 {
			t.Errorf("%s: recall %.3f of the rare class, theory says %.2f", rule, recall[rule], want)
		}
	}
}
