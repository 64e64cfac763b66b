package refine

import (
	"math"
	"slices"

	"github.com/sparse-implicit/sim/format/sparse"
)

// Figures of the search, chosen by what BenchmarkPlanWindows takes and plans for fits of FashionMNIST keep:
// finer grids and more relocations keep at most 0.1 % more.
const (
	startsPerWindow = 8   // places per window at which a step's start is tried before it is adjusted
	backwardShare   = 0.7 // of the steps that cover everything: a budget above it is reached by removing
	relocations     = 32  // steps, those missed least first, that are tried elsewhere
	improvement     = 1e-9
)

// windowPlanner is the state of PlanWindows.
type windowPlanner struct {
	layout sparse.WindowLayout
	budget int
	slices []*plannedSlice
}

// plannedSlice is a slice and what the search knows about it.
type plannedSlice struct {
	*windowCover
	level   int
	members []int // rows of the level
	content []WindowRow

	candidates []candidate // starts on a grid
	best       candidate   // the best start for a further step, if it is known
	known      bool
	losses     []float64 // per step, or nil when they are not known
}

// candidate is a start and what a step there would gain, at most.
type candidate struct {
	start int32
	gain  float64
}

// added tells that a step was added. Gains only shrink with more steps: bounds from above remain.
func (s *plannedSlice) added() { s.known, s.losses = false, nil }

// removed tells that a step was removed that was missed by loss. What a further step gains can have risen
// by no more than that: with it and the removed one, at most as much would be kept as before and its
// gain then.
func (s *plannedSlice) removed(loss float64) {
	s.known, s.losses = false, nil
	for k := range s.candidates {
		s.candidates[k].gain += loss
	}
}

// open starts the slice anew with steps at starts.
func (p *windowPlanner) open(s *plannedSlice, starts []int32) {
	s.windowCover = newWindowCover(s.content, p.layout.Lanes, p.layout.Window)
	lo, hi := int32(math.MaxInt32), int32(0)
	for _, row := range s.content {
		lo, hi = min(lo, row.Columns[0]), max(hi, row.Columns[len(row.Columns)-1])
	}
	s.candidates = s.candidates[:0]
	for start := lo; start == lo || start+s.width <= hi+s.grid(); start += s.grid() {
		s.candidates = append(s.candidates, candidate{start, math.Inf(1)})
	}
	for _, start := range starts {
		s.add(start)
	}
	s.added()
}

func (s *plannedSlice) grid() int32 { return max(1, s.width/startsPerWindow) }

// further returns the best start found for a further step.
func (s *plannedSlice) further() candidate {
	if s.known {
		return s.best
	}
	s.known, s.best = true, candidate{}
	if len(s.candidates) == 0 {
		return s.best
	}
	// Lazily: bounds are sharpened from the largest down until a sharp one is the largest.
	for fresh := make([]bool, len(s.candidates)); ; {
		top := 0
		for k := range s.candidates {
			if s.candidates[k].gain > s.candidates[top].gain {
				top = k
			}
		}
		if fresh[top] {
			s.best = s.candidates[top]
			break
		}
		s.candidates[top].gain, fresh[top] = s.gain(s.candidates[top].start), true
	}
	for reach := s.grid() / 2; reach >= 1; reach /= 2 {
		middle := s.best.start
		for _, start := range [2]int32{middle - reach, middle + reach} {
			if gain := s.gain(start); gain > s.best.gain {
				s.best = candidate{start, gain}
			}
		}
	}
	return s.best
}

// cover gives every slice steps, together at most the budget.
func (p *windowPlanner) cover() {
	total := 0
	packed := make([][]int32, len(p.slices))
	for k, s := range p.slices {
		rows := make([][]int32, len(s.content))
		for r := range rows {
			rows[r] = s.content[r].Columns
		}
		packed[k] = sparse.WindowStarts(rows, p.layout)
		total += len(packed[k])
	}
	if float64(p.budget) < backwardShare*float64(total) {
		clear(packed)
	}
	for k, s := range p.slices {
		p.open(s, packed[k])
	}
	p.shrink()
	p.grow()
}

func (p *windowPlanner) steps() int {
	steps := 0
	for _, s := range p.slices {
		steps += len(s.steps)
	}
	return steps
}

// saliency is what all slices keep.
func (p *windowPlanner) saliency() float64 {
	sum := 0.0
	for _, s := range p.slices {
		sum += s.saliency
	}
	return sum
}

// shrink removes the steps that are missed least until the budget is met.
func (p *windowPlanner) shrink() {
	for n := p.steps(); n > max(0, p.budget); n-- {
		var from *plannedSlice
		at, least := 0, 0.0
		for _, s := range p.slices {
			for k, loss := range s.stepLosses() {
				if from == nil || loss < least {
					from, at, least = s, k, loss
				}
			}
		}
		from.discard(from.steps[at])
	}
}

// discard removes a step and returns by how much the kept saliency fell.
func (s *plannedSlice) discard(step *windowStep) float64 {
	before := s.saliency
	s.remove(step)
	loss := before - s.saliency
	s.removed(loss)
	return loss
}

// stepLosses returns what each step would be missed by.
func (s *plannedSlice) stepLosses() []float64 {
	if s.losses == nil {
		s.losses = make([]float64, len(s.steps))
		for k, step := range s.steps {
			s.losses[k] = s.loss(step)
		}
	}
	return s.losses
}

// grow adds steps where they gain most until the budget is used or nothing is left.
func (p *windowPlanner) grow() {
	for n := p.steps(); n < p.budget; n++ {
		s := p.mostGained()
		if s == nil {
			return
		}
		s.add(s.best.start)
		s.added()
	}
}

// mostGained returns the slice in which a further step gains most, nil when none gains anything.
func (p *windowPlanner) mostGained() *plannedSlice {
	var best *plannedSlice
	for _, s := range p.slices {
		if gain := s.further().gain; gain > 0 && (best == nil || gain > best.best.gain) {
			best = s
		}
	}
	return best
}

// relocate tries the steps that are missed least elsewhere, in their own slice or another.
func (p *windowPlanner) relocate() {
	type tried struct {
		slice *plannedSlice
		step  *windowStep
		loss  float64
	}
	var order []tried
	for _, s := range p.slices {
		for k, loss := range s.stepLosses() {
			order = append(order, tried{s, s.steps[k], loss})
		}
	}
	slices.SortStableFunc(order, func(a, b tried) int { return descending(b.loss, a.loss) })
	for _, t := range order[:min(len(order), relocations)] {
		bounds := append([]candidate(nil), t.slice.candidates...)
		loss := t.slice.discard(t.step)
		if !p.gainMore(loss * (1 + improvement)) {
			t.slice.add(t.step.start)
			t.slice.added()
			copy(t.slice.candidates, bounds)
		}
	}
}

// gainMore adds the best step if it gains more than that.
func (p *windowPlanner) gainMore(than float64) bool {
	s := p.mostGained()
	if s == nil || s.best.gain <= than {
		return false
	}
	before := s.saliency
	step := s.add(s.best.start)
	if s.saliency-before > than {
		s.added()
		return true
	}
	s.remove(step) // the gain had been overestimated
	s.best.gain = than
	return false
}
