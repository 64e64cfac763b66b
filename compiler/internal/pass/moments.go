package pass

import (
	"math"
	"slices"
)

// mostColumns is how long a row may be whose moments are kept, and mostMomentWork how many
// multiply-accumulates all rows' moments may take together: longer rows round to nearest.
const (
	mostColumns    = 2000
	mostMomentWork = 1 << 33
)

// damping is what is added to the diagonal of the moments, as a share of its mean: it keeps weights from
// wandering off for the sake of what few samples happen to show.
const damping = 1e-3

// ownRounding is what is added besides, in square steps, over a column's variance: of what varies by few
// steps much is its own rounding, from which nothing can be learned.
const ownRounding = 1000

// moments are the second moments, over the samples, of the integers that a row reads, and their triangular
// factor in an order of elimination that begins with what varies least given the rest: H = RᵀR.
type moments struct {
	cols  []int32
	mean  []float64
	order []int     // position in cols of the k-th eliminated
	upper []float64 // R, row-major, in that order
	extra []float64 // what was added to the diagonal, by column
}

// momentsOf returns the moments of what row i reads, nil where there are none. Rows one after the other
// that read the same columns share them; entries within the row's own loop are eliminated last.
func (p *Program) momentsOf(i int, inLoop func(int32) bool) *moments {
	cols, _ := p.Weights.Row(i)
	if p.Reference == nil || len(cols) == 0 || len(cols) > p.longest {
		return nil
	}
	if p.shared != nil && slices.Equal(p.shared.cols, cols) {
		return p.shared
	}
	if m := p.ofInputs.find(cols); m != nil {
		p.shared = m
		return m
	}
	m := &moments{cols: cols, mean: make([]float64, len(cols))}
	values := make([]float64, len(cols))
	for s := range p.Reference.count {
		p.read(values, cols, s, inLoop)
		for k, v := range values {
			m.mean[k] += v
		}
	}
	for k := range m.mean {
		m.mean[k] /= float64(p.Reference.count)
	}
	h := p.covariance(m, inLoop)
	m.damp(h)
	last := make([]bool, len(cols))
	for k, j := range cols {
		last[k] = inLoop != nil && inLoop(j)
	}
	m.factor(h, last)
	p.shared = m
	if int(cols[len(cols)-1]) < len(p.InputPlan) {
		p.ofInputs.keep(m)
	}
	return m
}

// inputMoments keeps moments of columns that are all inputs: they are the same however the rows that follow are
// rounded, and in wide models cost more than all others.
type inputMoments struct{ list []*moments }

// mostKept is how many are kept; nearly always there is one.
const mostKept = 16

func (k *inputMoments) find(cols []int32) *moments {
	if k != nil {
		for _, m := range k.list {
			if slices.Equal(m.cols, cols) {
				return m
			}
		}
	}
	return nil
}

func (k *inputMoments) keep(m *moments) {
	if k != nil && len(k.list) < mostKept {
		k.list = append(k.list, m)
	}
}

// read gathers what the columns hold on sample s: the integers, and within the row's own loop, which has
// none yet, where the float model's states lie between them.
func (p *Program) read(values []float64, cols []int32, s int, inLoop func(int32) bool) {
	width := len(p.InputPlan) + p.states()
	q := p.observed[s*width : (s+1)*width]
	for k, j := range cols {
		values[k] = float64(q[j])
		if inLoop != nil && inLoop(j) {
			i := p.stateColumn(j)
			x := p.activation(i).Apply(p.sumsOf(i)[s])
			values[k] = x/float64(p.Rows[i].Scale) + float64(p.Rows[i].Zero)
		}
	}
}

// covariance returns the columns' central second moments, row-major.
func (p *Program) covariance(m *moments, inLoop func(int32) bool) []float64 {
	n := len(m.cols)
	h, values := make([]float64, n*n), make([]float64, n)
	for s := range p.Reference.count {
		p.read(values, m.cols, s, inLoop)
		for k := range values {
			values[k] -= m.mean[k]
		}
		for a, v := range values {
			if v == 0 {
				continue
			}
			row := h[a*n : (a+1)*n]
			for b := a; b < n; b++ {
				row[b] += float64(v * values[b])
			}
		}
	}
	for a := range n {
		for b := a; b < n; b++ {
			h[a*n+b] /= float64(p.Reference.count)
			h[b*n+a] = h[a*n+b]
		}
	}
	return h
}

// damp adds to the diagonal what keeps every pivot positive.
func (m *moments) damp(h []float64) {
	n, sum := len(m.cols), 0.0
	for k := range n {
		sum += h[k*n+k]
	}
	m.extra = make([]float64, n)
	for k := range n {
		m.extra[k] = float64(sum/float64(n)*damping) + ownRounding/max(h[k*n+k], 0x1p-10)
		h[k*n+k] += m.extra[k]
	}
}

// factor computes R with pivoting: next is the column that varies least given those before, those marked
// `last` after all others. It destroys h.
func (m *moments) factor(h []float64, last []bool) {
	n := len(m.cols)
	m.order, m.upper = make([]int, n), make([]float64, n*n)
	for k := range m.order {
		m.order[k] = k
	}
	for k := range n {
		best := k
		for c := k + 1; c < n; c++ {
			a, b := m.order[c], m.order[best]
			if last[a] != last[b] {
				if last[b] {
					best = c
				}
				continue
			}
			if h[a*n+a] < h[b*n+b] {
				best = c
			}
		}
		m.order[k], m.order[best] = m.order[best], m.order[k]
		for above := range k { // columns of what is already there move along
			m.upper[above*n+k], m.upper[above*n+best] = m.upper[above*n+best], m.upper[above*n+k]
		}
		m.eliminate(h, k)
	}
}

// eliminate computes row k of R and takes its part off what is left of h.
func (m *moments) eliminate(h []float64, k int) {
	n := len(m.cols)
	at := m.order[k]
	pivot := math.Sqrt(max(h[at*n+at], m.extra[at]/2)) // at least extra, but for rounding
	row := m.upper[k*n : (k+1)*n]
	row[k] = pivot
	for c := k + 1; c < n; c++ {
		row[c] = h[at*n+m.order[c]] / pivot
	}
	for a := k + 1; a < n; a++ {
		v, left := row[a], h[m.order[a]*n:(m.order[a]+1)*n]
		if v == 0 {
			continue
		}
		for b := k + 1; b < n; b++ {
			left[m.order[b]] -= float64(v * row[b])
		}
	}
}

// solve returns the x with H x = b, in the columns' own order.
func (m *moments) solve(b []float64) []float64 {
	n := len(m.cols)
	x := make([]float64, n) // in elimination order
	for k := range n {      // Rᵀ y = b
		sum := b[m.order[k]]
		for c := range k {
			sum -= float64(m.upper[c*n+k] * x[c])
		}
		x[k] = sum / m.upper[k*n+k]
	}
	for k := n - 1; k >= 0; k-- { // R x = y
		sum := x[k]
		for c := k + 1; c < n; c++ {
			sum -= float64(m.upper[k*n+c] * x[c])
		}
		x[k] = sum / m.upper[k*n+k]
	}
	out := make([]float64, n)
	for k, at := range m.order {
		out[at] = x[k]
	}
	return out
}

// longestRow returns the length up to which all rows of that length or less may have moments.
func (p *Program) longestRow() int {
	for longest := mostColumns; longest > 0; longest /= 2 {
		work := int64(0)
		var before []int32
		for i := range p.Rows {
			cols, _ := p.Weights.Row(i)
			if n := int64(len(cols)); n <= int64(longest) && !slices.Equal(cols, before) {
				work += n * n * (int64(p.Reference.count)/2 + n)
			}
			before = cols
		}
		if work <= mostMomentWork {
			return longest
		}
	}
	return 0
}
