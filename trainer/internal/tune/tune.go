package tune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
)

// ErrDiverged is wrapped when the loss stops being a number.
var ErrDiverged = errors.New("training diverged")

// Samples are what is trained on.
type Samples struct {
	Count  int
	Inputs []float32 // Count × p

	// Shift and Gain, when not nil, standardise inputs: the net sees (u_j − Shift_j)·Gain_j.
	Shift, Gain []float32

	// Moves, when not nil, has every sample moved anew in each epoch by one of them, drawn at random.
	Moves Moves

	Goal Goal // of every sample, and the teacher's outputs of every move of it in turn
}

// variants is in how many ways a sample may be seen; variant v of sample s has the number s·variants + v.
func (s *Samples) variants() int {
	if s.Moves == nil {
		return 1
	}
	return len(s.Moves)
}

// Take returns some of the samples, copied.
func (s *Samples) Take(chosen []int) *Samples {
	part := *s
	part.Count, part.Inputs = len(chosen), nil
	part.Goal.Labels, part.Goal.Targets, part.Goal.Teacher = nil, nil, nil
	take := func(from []float32, width, k int) []float32 {
		if from == nil {
			return nil
		}
		return from[k*width : (k+1)*width]
	}
	inputs, outputs := len(s.Inputs)/max(s.Count, 1), len(s.Goal.Spread)
	for _, k := range chosen {
		part.Inputs = append(part.Inputs, take(s.Inputs, inputs, k)...)
		part.Goal.Targets = append(part.Goal.Targets, take(s.Goal.Targets, outputs, k)...)
		part.Goal.Teacher = append(part.Goal.Teacher, take(s.Goal.Teacher, outputs*s.variants(), k)...)
		if s.Goal.Labels != nil {
			part.Goal.Labels = append(part.Goal.Labels, s.Goal.Labels[k])
		}
	}
	return &part
}

// Options says how to train.
type Options struct {
	Epochs       int
	Batch        int
	LearningRate float64 // Adam's, falling along half a cosine to 0

	// Budget is how many weights, constants included, the net has at the end; 0 removes none. It is met by
	// removals that begin with the first step and end after the part PruneUntil of all steps.
	Budget     int
	PruneUntil float64

	// Magnitude removes by |w| alone instead of |w| times the root of Adam's second moment.
	Magnitude bool

	Windows *Windows // not nil: what is left packs into few steps of a kernel

	Kappa float64 // > 0: ‖a‖₁ ≤ Kappa for the part of each state's row that reads its own loop

	Levels *Levels // not nil: the weights end on the levels of few bits

	Seed uint64

	// Progress, when not nil, is called after every epoch with the mean loss over it.
	Progress func(epoch int, loss float64)
}

// removals are how often weights are removed, about.
const removals = 120

// Result is what Run gives.
type Result struct {
	Net      *Net
	Rounding *Rounding // with Options.Levels
	Order    []int     // with Options.Windows: the states left, as a model must number them to pack as wanted
}

// Run trains a net, which it leaves as it was, and returns the trained one. The loss is averaged over
// batches of samples in an order that Seed draws. Errors: ctx's, or one that wraps ErrDiverged.
func Run(ctx context.Context, start *Net, samples *Samples, o Options) (*Result, error) {
	t := newTuner(start, samples, o)
	for epoch := range o.Epochs {
		loss, err := t.epoch(ctx)
		if err != nil {
			return nil, err
		}
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return nil, fmt.Errorf("the loss is %g after epoch %d, take a smaller learning rate than %g: %w", loss, epoch+1, o.LearningRate, ErrDiverged)
		}
		if o.Progress != nil {
			o.Progress(epoch+1, loss)
		}
	}
	if o.Epochs > 0 && o.Budget > 0 && t.step <= t.lastRemoval() { // too few steps to get there
		t.step = t.steps
		t.reduce(true)
	}
	result := &Result{Net: t.finish(), Order: t.windows.choice.Order}
	if o.Levels != nil {
		result.Rounding = &t.rounder.Rounding
	}
	return result, nil
}

// tuner is one run.
type tuner struct {
	net     *Net // supports as they are; the weights in it are stale while training
	samples *Samples
	options Options

	plan    *plan
	params  params
	rounder rounder
	shards  []*shard
	order   []int // samples
	seen    []int // the variants of them that an epoch shows, in order
	random  *rand.PCG

	step, steps int
	started     int // weights at the start
	workers     int
	windows     windowState
}

func newTuner(start *Net, samples *Samples, o Options) *tuner {
	t := &tuner{
		net: start.clone(), samples: samples, options: o,
		random: rand.NewPCG(o.Seed, 0x74756e65), workers: runtime.GOMAXPROCS(0),
	}
	t.options.Batch = min(o.Batch, samples.Count)
	t.order, t.seen = make([]int, samples.Count), make([]int, samples.Count)
	for k := range t.order {
		t.order[k] = k
	}
	for range (t.options.Batch + lanes - 1) / lanes {
		t.shards = append(t.shards, newShard(t.net))
	}
	t.steps = o.Epochs * ((samples.Count + t.options.Batch - 1) / t.options.Batch)
	entries := make([][]entry, len(t.net.Rows))
	for i, r := range t.net.Rows {
		for k, j := range r.Support {
			entries[i] = append(entries[i], entry{feature: j, weight: r.Weights[k]})
		}
	}
	t.lay(entries)
	t.started = t.net.Count()
	return t
}

// epoch passes once over the samples in a new order and returns the mean loss.
func (t *tuner) epoch(ctx context.Context) (float64, error) {
	for last := len(t.order) - 1; last > 0; last-- {
		chosen, _ := bits.Mul64(t.random.Uint64(), uint64(last+1))
		t.order[last], t.order[chosen] = t.order[chosen], t.order[last]
	}
	variants := t.samples.variants()
	for k, sample := range t.order {
		t.seen[k] = sample * variants
		if variants > 1 {
			drawn, _ := bits.Mul64(t.random.Uint64(), uint64(variants))
			t.seen[k] += int(drawn)
		}
	}
	loss, batches := 0.0, 0
	for first := 0; first < len(t.order); first += t.options.Batch {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		loss += t.learn(t.seen[first:min(first+t.options.Batch, len(t.seen))])
		batches++
	}
	return loss / float64(batches), nil
}

// learn does one step on a batch and returns its loss.
func (t *tuner) learn(batch []int) float64 {
	t.restructure()
	effective := t.effective()
	shards := (len(batch) + lanes - 1) / lanes
	t.parallel(shards, func(k int) {
		s := t.shards[k]
		chosen := batch[k*lanes : min((k+1)*lanes, len(batch))]
		s.load(t.plan, t.samples, t.net.Inputs, chosen)
		s.forward(t.net, t.plan, effective)
		s.derive(&t.samples.Goal, chosen, t.samples.variants(), 1/float64(len(batch)))
		s.backward(t.net, t.plan, effective)
	})
	loss := 0.0
	for _, s := range t.shards[:shards] {
		loss += s.loss
	}
	t.update(shards)
	return loss
}

// parallel runs do(0) … do(n−1) on the workers.
func (t *tuner) parallel(n int, do func(k int)) {
	workers := min(t.workers, n)
	if workers <= 1 {
		for k := range n {
			do(k)
		}
		return
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	work := func() {
		for k := int(next.Add(1)) - 1; k < n; k = int(next.Add(1)) - 1 {
			do(k)
		}
	}
	for range workers - 1 {
		wait.Go(work)
	}
	work()
	wait.Wait()
}

// finish returns the net as trained.
func (t *tuner) finish() *Net {
	weights := t.params.weights
	if t.options.Levels != nil {
		weights = t.rounded()
	}
	out := t.net.clone()
	for i := range out.Rows {
		r := t.plan.rows[i]
		for k := range out.Rows[i].Support {
			out.Rows[i].Weights[k] = weights[t.params.place[r.first+k]]
		}
	}
	return out
}

// Loss returns the mean loss of a net over the samples as they are.
func Loss(n *Net, samples *Samples) float64 {
	loss, _ := Score(n, samples)
	return loss
}

// Score returns the mean loss of a net over the samples as they are, and of a classification the part of
// them that it decides unlike the labels (unlike the teacher without labels), by the classes' weights.
func Score(n *Net, samples *Samples) (loss, wrong float64) {
	t := newTuner(n, samples, Options{Epochs: 1, Batch: lanes})
	s, chosen := t.shards[0], make([]int, 0, lanes)
	g, q := &samples.Goal, n.Outputs
	for first := 0; first < samples.Count; first += lanes {
		chosen = chosen[:0]
		for k := first; k < min(first+lanes, samples.Count); k++ {
			chosen = append(chosen, k*samples.variants())
		}
		s.load(t.plan, samples, n.Inputs, chosen)
		s.forward(t.net, t.plan, t.params.weights)
		for lane, variant := range chosen {
			if g.Regression {
				break
			}
			best, wanted := 0, 0
			for k := range q {
				y := s.outputs[k*lanes+lane]
				if top := s.outputs[best*lanes+lane]; g.Lowest && y < top || !g.Lowest && y > top {
					best = k
				}
				if g.Labels == nil && g.Teacher[variant*q+k] > g.Teacher[variant*q+wanted] {
					wanted = k
				}
			}
			if g.Labels != nil {
				wanted = int(g.Labels[variant/samples.variants()])
			}
			if best != wanted {
				weight := 1.0
				if g.Labels != nil && g.Weights != nil {
					weight = float64(g.Weights[wanted])
				}
				wrong += weight / float64(samples.Count)
			}
		}
		s.derive(g, chosen, samples.variants(), 1/float64(samples.Count))
		loss += s.loss
	}
	return loss, wrong
}
