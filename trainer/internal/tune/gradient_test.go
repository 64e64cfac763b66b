package tune

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
)

// naive is an independent evaluator in float64: dense, sample by sample, plain sweeps.
type naive struct {
	net     *Net
	weights []float64 // rows × features
	sweeps  int
}

func newNaive(n *Net) *naive {
	o := &naive{net: n, weights: make([]float64, len(n.Rows)*n.features()), sweeps: 2000}
	for i, r := range n.Rows {
		for k, j := range r.Support {
			o.weights[i*n.features()+int(j)] = float64(r.Weights[k])
		}
	}
	return o
}

// states returns x after every sweep (sweeps+1 of them) and the outputs after the last.
func (o *naive) run(u []float32) (history [][]float64, y []float64) {
	n, f := o.net.States(), o.net.features()
	x := make([]float64, n)
	history = append(history, x)
	argument := func(i int, x []float64) float64 {
		w := o.weights[i*f:]
		z := w[f-1]
		for j, v := range x {
			z += w[j] * v
		}
		for j, v := range u {
			z += w[n+j] * float64(v)
		}
		return z
	}
	for range o.sweeps {
		next := make([]float64, n)
		change := 0.0
		for i, a := range o.net.Activations {
			if len(o.net.Rows[i].Support) > 0 {
				next[i] = a.Apply(argument(i, x))
			}
			change = max(change, math.Abs(next[i]-x[i]))
		}
		x = next
		history = append(history, x)
		if change < 1e-15 {
			break
		}
	}
	for k := range o.net.Outputs {
		y = append(y, argument(n+k, x))
	}
	return history, y
}

func (o *naive) loss(s *Samples, sample int) float64 {
	_, y := o.run(s.Inputs[sample*o.net.Inputs : (sample+1)*o.net.Inputs])
	return naiveLoss(y, &s.Goal, sample)
}

func naiveLoss(y []float64, g *Goal, sample int) float64 {
	q, loss := len(y), 0.0
	if g.Regression {
		for k, v := range y {
			to, task := float64(g.Teacher[sample*q+k]), float64(g.Targets[sample*q+k])
			loss += ((1-g.Distill)*(v-task)*(v-task) + g.Distill*(v-to)*(v-to)) / (2 * g.Spread[k] * g.Spread[k] * float64(q))
		}
		return loss
	}
	logSum := func(t float64) float64 {
		sum := 0.0
		for _, v := range y {
			sum += math.Exp(v / t)
		}
		return math.Log(sum)
	}
	loss = (1 - g.Distill) * (logSum(1) - y[g.Labels[sample]])
	for k, v := range y {
		loss -= g.Distill * g.Temperature * g.Temperature * float64(g.Teacher[sample*q+k]) * (v/g.Temperature - logSum(g.Temperature))
	}
	if g.Weights != nil {
		loss *= float64(g.Weights[g.Labels[sample]])
	}
	return loss
}

// unrolled is the derivative of one sample's loss by every weight, back through every sweep that was made.
func (o *naive) unrolled(s *Samples, sample int) []float64 {
	n, f := o.net.States(), o.net.features()
	u := s.Inputs[sample*o.net.Inputs : (sample+1)*o.net.Inputs]
	history, y := o.run(u)
	gradient := make([]float64, len(o.weights))
	features := func(x []float64) []float64 {
		v := slices.Clone(x)
		for _, w := range u {
			v = append(v, float64(w))
		}
		return append(v, 1)
	}
	last := features(history[len(history)-1])
	into := make([]float64, n)
	for k := range y {
		const h = 1e-6
		up, down := slices.Clone(y), slices.Clone(y)
		up[k] += h
		down[k] -= h
		d := (naiveLoss(up, &s.Goal, sample) - naiveLoss(down, &s.Goal, sample)) / (2 * h)
		for j, v := range last {
			gradient[(n+k)*f+j] += d * v
			if j < n {
				into[j] += d * o.weights[(n+k)*f+j]
			}
		}
	}
	for step := len(history) - 2; step >= 0; step-- {
		at, before := features(history[step]), make([]float64, n)
		for i, a := range o.net.Activations {
			if len(o.net.Rows[i].Support) == 0 {
				continue
			}
			z := 0.0
			for j, v := range at {
				z += o.weights[i*f+j] * v
			}
			const h = 1e-7
			d := into[i] * (a.Apply(z+h) - a.Apply(z-h)) / (2 * h)
			for j, v := range at {
				gradient[i*f+j] += d * v
				if j < n {
					before[j] += d * o.weights[i*f+j]
				}
			}
		}
		into = before
	}
	return gradient
}

var everyActivation = []model.Activation{
	{Kind: model.ReLU}, {Kind: model.Tanh}, {Kind: model.LeakyReLU, P0: 0.25}, {Kind: model.Identity},
	{Kind: model.HardTanh, P0: -0.7, P1: 0.7}, {Kind: model.Sigmoid}, {Kind: model.ClippedReLU, P1: 0.9},
}

// randomNet draws a net over all activations; causal, or with loops whose rows lie in the ball.
func randomNet(random *rand.Rand, states, inputs, outputs int, causal bool, kappa float64) *Net {
	n := &Net{Inputs: inputs, Outputs: outputs, Rows: make([]Row, states+outputs)}
	for i := range states {
		n.Activations = append(n.Activations, everyActivation[i%len(everyActivation)])
		if causal {
			n.Ranks = append(n.Ranks, i/2)
		}
	}
	for i := range n.Rows {
		ball := 0.0
		for j := range n.features() {
			if i < states && causal && j < states && n.Ranks[j] >= n.Ranks[i] {
				continue
			}
			if random.Float64() < 0.6 {
				n.Rows[i].Support = append(n.Rows[i].Support, int32(j))
				w := random.NormFloat64()
				if j < states {
					ball += math.Abs(w)
				}
				n.Rows[i].Weights = append(n.Rows[i].Weights, float32(w))
			}
		}
		if !causal && i < states && ball > 0 {
			for k, j := range n.Rows[i].Support {
				if int(j) < states {
					n.Rows[i].Weights[k] *= float32(kappa / ball)
				}
			}
		}
	}
	return n
}

func randomSamples(random *rand.Rand, n *Net, count int, regression bool) *Samples {
	s := &Samples{Count: count, Inputs: randomFloats(random, count*n.Inputs)}
	s.Goal = Goal{Regression: regression, Distill: 0.3, Temperature: 2}
	for range count {
		s.Goal.Labels = append(s.Goal.Labels, int32(random.IntN(n.Outputs)))
	}
	s.Goal.Targets, s.Goal.Teacher = randomFloats(random, count*n.Outputs), randomFloats(random, count*n.Outputs)
	for k := range n.Outputs {
		s.Goal.Spread = append(s.Goal.Spread, 0.5+float64(k))
		s.Goal.Weights = append(s.Goal.Weights, 0.5+float32(k))
	}
	if !regression {
		for k := range count {
			sum := float32(0)
			row := s.Goal.Teacher[k*n.Outputs : (k+1)*n.Outputs]
			for c, v := range row {
				row[c] = v * v
				sum += row[c]
			}
			for c := range row {
				row[c] /= sum
			}
		}
	}
	return s
}

func TestGradientIsThatOfTheEquilibrium(t *testing.T) {
	for _, c := range []struct {
		name               string
		causal, regression bool
		kappa              float64
	}{{"causal classification", true, false, 0}, {"causal regression", true, true, 0}, {"loops classification", false, false, 0.9}, {"loops regression", false, true, 0.6}, {"slow loops", false, false, 0.97}} {
		t.Run(c.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(5, 6))
			n := randomNet(random, 9, 4, 3, c.causal, c.kappa)
			samples := randomSamples(random, n, 70, c.regression)
			tuner := newTuner(n, samples, Options{Epochs: 1, Batch: 70, LearningRate: 1})
			batch := make([]int, 70)
			for k := range batch {
				batch[k] = (k * 37) % 70
			}
			got, loss := make([]float64, len(n.Rows)*n.features()), 0.0
			for k := range 2 {
				s := tuner.shards[k]
				chosen := batch[k*lanes : min((k+1)*lanes, 70)]
				s.load(tuner.plan, samples, n.Inputs, chosen)
				s.forward(n, tuner.plan, tuner.params.weights)
				s.derive(&samples.Goal, chosen, 1, 1./70)
				s.backward(n, tuner.plan, tuner.params.weights)
				loss += s.loss
				for i, r := range n.Rows {
					for e, j := range r.Support {
						got[i*n.features()+int(j)] += float64(s.gradient[tuner.params.place[tuner.plan.rows[i].first+e]])
					}
				}
			}
			oracle := newNaive(n)
			wantLoss, unrolled := 0.0, make([]float64, len(got))
			for k := range 70 {
				wantLoss += oracle.loss(samples, k) / 70
				for e, v := range oracle.unrolled(samples, k) {
					unrolled[e] += v / 70
				}
			}
			if math.Abs(loss-wantLoss) > 1e-4*math.Abs(wantLoss) {
				t.Errorf("loss %g, should be %g", loss, wantLoss)
			}
			largest := 0.0
			for _, v := range got {
				largest = max(largest, math.Abs(v))
			}
			for i, r := range n.Rows {
				for _, j := range r.Support {
					at := i*n.features() + int(j)
					if math.Abs(got[at]-unrolled[at]) > 2e-4*largest {
						t.Errorf("row %d, feature %d: %g, back through all sweeps %g", i, j, got[at], unrolled[at])
					}
					if j%7 == 0 {
						if want := oracle.difference(samples, at); math.Abs(got[at]-want) > 2e-3*largest {
							t.Errorf("row %d, feature %d: %g, finite differences %g", i, j, got[at], want)
						}
					}
				}
			}
		})
	}
}

// difference is the central difference of the mean loss by one weight.
func (o *naive) difference(s *Samples, at int) float64 {
	const h = 1e-6
	mean := func(by float64) float64 {
		keep := o.weights[at]
		o.weights[at] += by
		defer func() { o.weights[at] = keep }()
		sum := 0.0
		for k := range s.Count {
			sum += o.loss(s, k) / float64(s.Count)
		}
		return sum
	}
	return (mean(h) - mean(-h)) / (2 * h)
}
