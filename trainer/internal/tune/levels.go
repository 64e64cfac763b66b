package tune

import "math"

// Levels has weights end on few values: weight j of row i is a whole number k of steps Scale_i/Column_j,
// |k| ≤ Most, Scale a positive number of its own for every row. Constants are free. While training, the
// rounded weights are what is computed with and the gradient passes to the exact ones (straight-through,
// Bengio, Léonard, Courville, arXiv 1308.3432).
type Levels struct {
	Most int // 2^(bits−1) − 1

	// Column returns the worth of one step of each feature's activation, given the states' ranges over the
	// samples when rounding begins. Entries for features that carry nothing are positive too.
	Column func(lo, hi []float32) []float32

	// Scale returns the scale nearest to the wanted one that row i may have.
	Scale func(i int, column []float32, wanted float64) float32

	From  float64 // the part of all steps after which weights are rounded
	Fixed float64 // the part after which the rows' scales stay as they are
}

// Rounding is what weights were rounded with.
type Rounding struct {
	Column []float32 // per feature
	Scale  []float32 // per row; 1 for one without weights
}

// rounder keeps the rounded weights.
type rounder struct {
	Rounding
	weights []float32
	since   int // steps since the scales were chosen
}

// scaleEvery is after how many steps the rows' scales are chosen again, until they stay.
const scaleEvery = 50

// effective returns the weights to compute with at this step.
func (t *tuner) effective() []float32 {
	l := t.options.Levels
	if l == nil || float64(t.step) < l.From*float64(t.steps) {
		return t.params.weights
	}
	return t.rounded()
}

// rounded returns the weights on their levels.
func (t *tuner) rounded() []float32 {
	r, l := &t.rounder, t.options.Levels
	if r.Column == nil {
		r.Column = l.Column(t.ranges())
		r.Scale = make([]float32, len(t.net.Rows))
		r.since = scaleEvery
	}
	if r.since++; r.since > scaleEvery && float64(t.step) <= max(l.Fixed, l.From)*float64(t.steps) || len(r.weights) != len(t.params.weights) {
		r.since = 0
		r.weights = make([]float32, len(t.params.weights))
		for i := range r.Scale {
			r.Scale[i] = t.scaleOf(i)
		}
	}
	for i, s := range t.plan.rows {
		t.roundRow(s, r.Scale[i], r.weights)
	}
	return r.weights
}

// roundRow writes a row on levels of a scale and returns the squared distance in steps of the columns. Where
// rounding to nearest would leave the ball, weights that read the row's own loop are rounded toward zero.
func (t *tuner) roundRow(s stretch, scale float32, out []float32) float64 {
	distance, norm := t.roundTo(s, scale, 0.5, out)
	if t.options.Kappa > 0 && norm > t.options.Kappa {
		distance, _ = t.roundTo(s, scale, 0, out)
	}
	return distance
}

// roundTo rounds sizes of weights down after adding so much to those that read the row's own loop, ½ to the
// others, and returns the squared distance and the sum of the sizes in the loop.
func (t *tuner) roundTo(s stretch, scale float32, up float64, out []float32) (distance, norm float64) {
	most := float64(t.options.Levels.Most)
	for k := s.first; k < s.end; k++ {
		j, w := t.plan.cols[k], t.params.weights[k]
		if j == t.net.constant() {
			if out != nil {
				out[k] = w
			}
			continue
		}
		column, add := float64(t.rounder.Column[j]), 0.5
		if k < s.inner {
			add = up
		}
		exact := float64(w) * column
		level := math.Copysign(min(math.Floor(math.Abs(exact)/float64(scale)+add), most), exact)
		off := exact - float64(level*float64(scale))
		distance += float64(off * off)
		rounded := float32(level * float64(scale) / column)
		if k < s.inner {
			norm += math.Abs(float64(rounded))
		}
		if out != nil {
			out[k] = rounded
		}
	}
	return distance, norm
}

// scaleOf returns the scale whose levels are nearest to row i's weights.
func (t *tuner) scaleOf(i int) float32 {
	largest := 0.0
	s := t.plan.rows[i]
	for k := s.first; k < s.end; k++ {
		if j := t.plan.cols[k]; j != t.net.constant() {
			largest = max(largest, math.Abs(float64(t.params.weights[k])*float64(t.rounder.Column[j])))
		}
	}
	if largest == 0 {
		return 1
	}
	best, least := float32(0), math.Inf(1)
	for part := 1.0; part >= 0.4; part *= 0.97 {
		scale := t.options.Levels.Scale(i, t.rounder.Column, part*largest/float64(t.options.Levels.Most))
		if scale == best {
			continue
		}
		if off := t.roundRow(s, scale, nil); off < least {
			best, least = scale, off
		}
	}
	return best
}

// ranges returns the smallest and largest value of each state over the samples.
func (t *tuner) ranges() (lo, hi []float32) {
	n := t.net.States()
	lo, hi = make([]float32, n), make([]float32, n)
	for i := range n {
		lo[i], hi[i] = math.MaxFloat32, -math.MaxFloat32
	}
	s := t.shards[0]
	chosen := make([]int, 0, lanes)
	for first := 0; first < t.samples.Count; first += lanes {
		chosen = chosen[:0]
		for k := first; k < min(first+lanes, t.samples.Count); k++ {
			chosen = append(chosen, k*t.samples.variants())
		}
		s.load(t.plan, t.samples, t.net.Inputs, chosen)
		s.forward(t.net, t.plan, t.params.weights)
		for _, g := range t.plan.groups {
			for _, i := range g.states {
				for _, v := range lineOf(s.values, i)[:len(chosen)] {
					lo[i], hi[i] = min(lo[i], v), max(hi[i], v)
				}
			}
		}
	}
	for i := range n {
		if lo[i] > hi[i] {
			lo[i], hi[i] = 0, 0
		}
	}
	return lo, hi
}
