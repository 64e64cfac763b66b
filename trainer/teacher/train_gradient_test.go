package teacher

import (
	"fmt"
	"math"
	"testing"

	"github.com/sparse-implicit/sim/trainer/dataset"
)

// naiveLoss is the mean loss over the training part, computed in float64 from a plain copy of the
// weights: layer by layer, (in+1) × stride, the last row the bias. balanced: both classes weigh the same.
func naiveLoss(net mlp, weights [][]float64, set *dataset.Set, balanced bool) float64 {
	total, count := 0.0, map[int32]float64{}
	for _, label := range set.Train.Labels {
		count[label]++
	}
	for s := range set.Train.Samples {
		x := make([]float64, set.Features)
		for j := range x {
			x[j] = float64(set.Train.X[s*set.Features+j])
		}
		for k, l := range net {
			z := make([]float64, l.out)
			for i := range z {
				z[i] = weights[k][l.in*l.stride+i]
				for j, v := range x {
					z[i] += v * weights[k][j*l.stride+i]
				}
				if k < len(net)-1 {
					z[i] = math.Max(z[i], 0)
				}
			}
			x = z
		}
		if set.Regression() {
			for i, y := range x {
				d := y - float64(set.Train.Targets[s*set.Outputs+i])
				total += d * d / 2 / float64(set.Outputs)
			}
			continue
		}
		sum := 0.0
		for _, y := range x {
			sum += math.Exp(y)
		}
		label, weight := set.Train.Labels[s], 1.0
		if balanced {
			weight = float64(set.Train.Samples) / (2 * count[label])
		}
		total += weight * (math.Log(sum) - x[label])
	}
	return total / float64(set.Train.Samples)
}

// gradientSet is small but longer than one block of rows, with zeros among its inputs.
func gradientSet(regression bool) *dataset.Set {
	set := ringSet(9, false)
	const features = 70
	set.Features, set.Lo, set.Hi = features, nil, nil
	x := make([]float32, set.Train.Samples*features)
	for k := range x {
		x[k] = set.Train.X[k%len(set.Train.X)] * float32(k%4)
	}
	set.Train.X = x
	if regression {
		set.Classes, set.Outputs, set.Train.Labels = 0, 2, nil
		set.Train.Targets = x[:2*set.Train.Samples]
	}
	return set
}

func mustTrainer(t *testing.T, set *dataset.Set, c Config) *trainer {
	t.Helper()
	run, err := newTrainer(set, c)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestGradientsEqualFiniteDifferences(t *testing.T) {
	for _, loss := range []string{"cross-entropy", "balanced cross-entropy", "squared error"} {
		for _, hidden := range [][]int{nil, {5}, {9, 66, 4}} {
			t.Run(fmt.Sprintf("%s hidden=%v", loss, hidden), func(t *testing.T) {
				regression, balanced := loss == "squared error", loss == "balanced cross-entropy"
				set := gradientSet(regression)
				c := Config{Hidden: hidden, Epochs: 1, Batch: set.Train.Samples, LearningRate: 1e-3, Seed: 8}
				if balanced {
					c.ClassWeights = dataset.Balanced
				}
				run := mustTrainer(t, set, c)
				if regression { // compare on the targets as they are
					run.y = set.Train.Targets
				}
				run.batch.samples = run.order
				for s := range run.order {
					run.derive(s, run.memory[0])
				}
				compareGradients(t, run, set, balanced)
			})
		}
	}
}

// compareGradients holds every derivative against a central difference of naiveLoss.
func compareGradients(t *testing.T, run *trainer, set *dataset.Set, balanced bool) {
	t.Helper()
	weights := make([][]float64, len(run.net))
	for k, l := range run.net {
		for _, w := range l.weights {
			weights[k] = append(weights[k], float64(w))
		}
	}
	if want, got := naiveLoss(run.net, weights, set, balanced), mean(run.batch.loss); math.Abs(got-want) > 1e-5*(1+want) {
		t.Errorf("loss %g, want %g", got, want)
	}
	const h = 1e-6
	largest := 0.0
	for k, l := range run.net {
		for block := range run.batch.layers[k].blocks + 1 {
			gradient := run.batch.gradients(run.net, k, block, run.memory[0])
			first := block * blockRows
			if block == run.batch.layers[k].blocks {
				first = l.in
			}
			for e, got := range gradient {
				at := first*l.stride + e
				if e%l.stride >= l.out {
					if got != 0 {
						t.Fatalf("layer %d: the padding has a gradient, %g", k, got)
					}
					continue
				}
				old := weights[k][at]
				weights[k][at] = old + h
				above := naiveLoss(run.net, weights, set, balanced)
				weights[k][at] = old - h
				below := naiveLoss(run.net, weights, set, balanced)
				weights[k][at] = old
				want := (above - below) / (2 * h)
				if math.Abs(float64(got)-want) > 2e-5+1e-4*math.Abs(want) {
					t.Fatalf("layer %d, input %d, output %d: derivative %g, differences give %g", k, at/l.stride, at%l.stride, got, want)
				}
				largest = max(largest, math.Abs(want))
			}
		}
	}
	if largest < 0.01 {
		t.Errorf("no derivative above %g: nothing was tested", largest)
	}
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
