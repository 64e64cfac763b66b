package trainer

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/sparse-implicit/sim/trainer/internal/tune"
)

// Way says what the weights follow in the end.
type Way string

// The ways: fine-tuned on labels (or targets) and the teacher's outputs; on the teacher's outputs alone; or
// the convex fit as it is.
const (
	WayTask    Way = "task and teacher"
	WayTeacher Way = "teacher"
	WayConvex  Way = "convex"
)

// smallSet is up to how many input values the way is chosen on a held-out part: small sets can be learnt by
// heart, and a few hundred steps of a gradient do not always reach what a convex refit gives.
const smallSet = 1 << 22

// chooseWay tries all ways on small sets: everything is fitted to five sixths of the samples, and judged on
// the others. The fewest wrong decisions there win, by the classes' weights (least squared error in a
// regression), then the least loss. samples are those of the whole fit.
func (f *fitter) chooseWay(samples *tune.Samples) (Way, error) {
	o := &f.options
	first := WayTask
	if o.Supervision == nil {
		first = WayTeacher
	}
	if o.Epochs == 0 || o.Baseline != "" || f.shape.Samples > smallSet/max(1, f.shape.Inputs) || f.shape.Samples < 10*validationPart {
		return first, nil
	}
	held := make([]bool, samples.Count)
	order := rand.New(rand.NewPCG(o.Seed, 0x776179)).Perm(samples.Count)[:samples.Count/validationPart]
	for _, k := range order {
		held[k] = true
	}
	part := f.without(held)
	wide, err := part.wideDraft()
	if errors.Is(err, ErrBudget) { // so few samples do not say
		return first, nil
	}
	if err != nil {
		return first, err
	}
	own, err := part.tuneSamples()
	if err != nil {
		return first, err
	}
	slices.Sort(order)
	judge := samples.Take(order)
	judge.Shift, judge.Gain = own.Shift, own.Gain
	if o.Supervision != nil {
		judge.Goal.Distill = 0
	}
	return part.contest(wide, own, judge, first)
}

// without is a fitter of the same kind on the samples that are not held out.
func (f *fitter) without(held []bool) *fitter {
	rest := func(k int) bool { return !held[k] }
	o := f.options
	o.Progress = func(string, int, int) {}
	o.Supervision = o.Supervision.take(held, false, f.shape.Outputs)
	o.Ensemble = nil
	for _, teacher := range f.options.Ensemble {
		o.Ensemble = append(o.Ensemble, newSubset(teacher, rest))
	}
	return fitterFor(f.ctx, newSubset(f.source, rest), o)
}

// wideDraft goes as far as where fine-tuning starts.
func (f *fitter) wideDraft() (*draft, error) {
	if err := f.gather(); err != nil {
		return nil, err
	}
	solved, err := f.startingDraft()
	if err != nil {
		return nil, err
	}
	return f.refine(solved, f.refineBudget())
}

// contest returns the way whose model is judged best; first wins ties.
func (f *fitter) contest(wide *draft, samples, judge *tune.Samples, first Way) (Way, error) {
	best, least := first, score{math.Inf(1), math.Inf(1)}
	ways := []Way{first}
	if first == WayTask {
		ways = append(ways, WayTeacher)
	}
	net, follow := f.netOf(wide, samples), samples.Goal.Distill
	for _, way := range ways {
		samples.Goal.Distill = follow
		if way == WayTeacher {
			samples.Goal.Distill = 1
		}
		tuned, err := tune.Run(f.ctx, net, samples, f.tuneOptions(samples))
		if err != nil {
			return first, fmt.Errorf("fine-tuning: %w", err)
		}
		if got := scoreOf(tuned.Net, judge); got.less(least) {
			best, least = way, got
		}
	}
	if o := &f.options; o.NNZ == 0 || o.Pattern != FreePattern || o.WeightBits != 8 {
		return best, nil
	}
	convex, err := f.refine(wide, f.options.NNZ)
	if err == nil && scoreOf(f.netOf(convex, samples), judge).less(least) {
		return WayConvex, nil
	}
	if errors.Is(err, ErrBudget) {
		err = nil
	}
	return best, err
}

// score orders nets: by wrong decisions, then by loss.
type score struct{ wrong, loss float64 }

func scoreOf(n *tune.Net, samples *tune.Samples) score {
	loss, wrong := tune.Score(n, samples)
	return score{wrong, loss}
}

func (s score) less(o score) bool { return s.wrong < o.wrong || s.wrong == o.wrong && s.loss < o.loss }
