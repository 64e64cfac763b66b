package verify

import (
	"math/big"

	"github.com/sparse-implicit/sim/format/simb"
)

// loop is one segment of the schedule that sweeps: states first to end−1.
type loop struct {
	first, end int
	sweeps     uint32
}

// accRange is what a row's accumulator can reach for any q in range.
type accRange struct {
	lo, hi int64
	plane  int64 // the largest |Σ w_hi q| or |Σ w_lo q|; one plane: |Σ w q|
}

// span is a range of q.
type span struct{ lo, hi int64 }

// checker holds one model and what the checks derive from it once.
type checker struct {
	m       *simb.Model
	n, p    int // states and inputs of the plan
	loops   []loop
	loopOf  []int  // per state: its loop's index, or −1
	spans   []span // per column: the smallest and largest q
	ranges  []accRange
	region  []interval // 𝒰 less c, per input of the plan; c as nearest returns it
	deltaU  []float64  // per input: the largest |u − worth of its q|
	units   []interval // per row: r_i, the real worth of one unit of its accumulator
	weights []interval // W̃, in the order of the matrix's entries
	bias    []interval // b̃ + W̃c
	tables  []tableProof
	cost    declared
	wellOK  bool // loops have exactly one equilibrium

	recursion  uint64 // what is left of mostRecursion
	work       uint64 // what is left of mostWork to the self-tests
	relaxation int64  // multiplications allowed for a relaxed claim, 0 for the usual
}

func newChecker(m *simb.Model) *checker {
	c := &checker{m: m, n: m.States(), p: len(m.Inputs), recursion: mostRecursion, work: mostWork}
	c.loopOf = make([]int, c.n)
	for i := range c.loopOf {
		c.loopOf[i] = -1
	}
	first := 0
	for _, s := range m.Schedule {
		if s.Sweeps > 0 {
			for i := first; i < first+s.States; i++ {
				c.loopOf[i] = len(c.loops)
			}
			c.loops = append(c.loops, loop{first, first + s.States, s.Sweeps})
		}
		first += s.States
	}
	c.integerRanges()
	c.realWorth()
	return c
}

// start returns the q from which a loop's state sets out.
func start(row *simb.Row) int64 {
	return int64(min(max(row.Zero, row.Lo), row.Hi))
}

// integerRanges finds the range of q of every column and of every accumulator.
func (c *checker) integerRanges() {
	c.spans = make([]span, c.p+c.n)
	for j := range c.p {
		c.spans[j] = span{0, int64(c.m.Width.Max())}
	}
	c.tables = make([]tableProof, len(c.m.Tables))
	for k := range c.m.Tables {
		entries := c.m.Tables[k].Entries
		s := span{int64(entries[0]), int64(entries[0])}
		for _, v := range entries {
			s = span{min(s.lo, int64(v)), max(s.hi, int64(v))}
		}
		c.tables[k].span = s
	}
	for i := range c.n {
		row := &c.m.Rows[i]
		s := span{int64(row.Lo), int64(row.Hi)}
		if row.Table != simb.NoTable {
			s = c.tables[row.Table].span
			if c.loopOf[i] >= 0 {
				s = span{min(s.lo, start(row)), max(s.hi, start(row))}
			}
		}
		c.spans[c.p+i] = s
	}
	c.ranges = make([]accRange, len(c.m.Rows))
	for i := range c.ranges {
		c.ranges[i] = c.accumulatorRange(i)
	}
}

func (c *checker) accumulatorRange(i int) accRange {
	cols, values := c.m.Weights.Row(i)
	var total, high, low span
	for k, j := range cols {
		s, w := c.spans[j], int64(values[k])
		total.extend(w, s)
		if c.m.Rows[i].Planes == 2 {
			upper := (w + 64) >> 7 // w = 128·upper + lower, both in [−64, 63]
			high.extend(upper, s)
			low.extend(w-128*upper, s)
		}
	}
	plane := max(-total.lo, total.hi)
	if c.m.Rows[i].Planes == 2 {
		plane = max(-high.lo, high.hi, -low.lo, low.hi)
	}
	bias := int64(c.m.Rows[i].Bias)
	return accRange{bias + total.lo, bias + total.hi, plane}
}

// extend adds w·q for q in s.
func (t *span) extend(w int64, s span) {
	if w >= 0 {
		t.lo += w * s.lo
		t.hi += w * s.hi
		return
	}
	t.lo += w * s.hi
	t.hi += w * s.lo
}

// realWorth computes the region 𝒰 and what the integers stand for: r, W̃ and b̃, inputs counted from those
// nearest to zero, so that nothing large cancels where boxes are far from it.
func (c *checker) realWorth() {
	const slack = 0x1p-20 // what the floating-point division and addition of a conversion can add to ½
	c.region, c.deltaU = make([]interval, c.p), make([]float64, c.p)
	for j := range c.m.Inputs {
		input := &c.m.Inputs[j]
		s, lo := float64(input.Scale), float64(-int64(input.Zero)-c.nearestSteps(int32(j)))
		c.region[j] = interval{mulDown(s, subDown(lo, 0.5+slack)), mulUp(s, addUp(lo+float64(c.m.Width.Max()), 0.5+slack))}
		c.deltaU[j] = mulUp(s, 0.5+slack)
	}
	c.units = make([]interval, len(c.m.Rows))
	c.bias = make([]interval, len(c.m.Rows))
	c.weights = make([]interval, len(c.m.Weights.Data))
	for i := range c.m.Rows {
		unit, ratio := float64(c.m.Unit(i)), c.m.Rows[i].Multiplier.Ratio() // both exact
		c.units[i] = interval{mulDown(unit, ratio), mulUp(unit, ratio)}
		for k := c.m.Weights.Indptr[i]; k < c.m.Weights.Indptr[i+1]; k++ {
			w := point(float64(c.m.Weights.Data[k]))
			c.weights[k] = w.mul(c.units[i]).div(c.columnScale(c.m.Weights.Indices[k]))
		}
		c.bias[i] = integer(big.NewInt(c.nearestBias(i))).mul(c.units[i])
	}
}

// nearestSteps returns q − z of an input for the q that is worth least: 0 unless its box leaves zero out.
func (c *checker) nearestSteps(j int32) int64 {
	z, q := int64(c.m.Inputs[j].Zero), int64(c.m.Width.Max())
	return min(max(-z, 0), q-z)
}

// nearest returns what an input is worth there.
func (c *checker) nearest(j int32) interval {
	s, steps := float64(c.m.Inputs[j].Scale), float64(c.nearestSteps(j))
	return interval{mulDown(s, steps), mulUp(s, steps)}
}

// nearestBias returns the accumulator of row i when every column is worth least: a state zero, an input
// what is nearest to it. q ≤ 2¹⁴ and |w| < 2¹⁴: no row is long enough to overflow.
func (c *checker) nearestBias(i int) int64 {
	sum := int64(c.m.Rows[i].Bias)
	cols, values := c.m.Weights.Row(i)
	for k, j := range cols {
		q := c.columnZero(j)
		if int(j) < c.p {
			q += c.nearestSteps(j)
		}
		sum += int64(values[k]) * q
	}
	return sum
}

func (c *checker) columnScale(j int32) float64 {
	if int(j) < c.p {
		return float64(c.m.Inputs[j].Scale)
	}
	return float64(c.m.Rows[int(j)-c.p].Scale)
}

func (c *checker) columnZero(j int32) int64 {
	if int(j) < c.p {
		return int64(c.m.Inputs[j].Zero)
	}
	return int64(c.m.Rows[int(j)-c.p].Zero)
}

// within returns the range of entries of row i whose columns are states of the loop.
func (c *checker) within(i int, l loop) (from, to int32) {
	lo, hi := int32(c.p+l.first), int32(c.p+l.end)
	from, to = c.m.Weights.Indptr[i], c.m.Weights.Indptr[i+1]
	for from < to && c.m.Weights.Indices[from] < lo {
		from++
	}
	for to > from && c.m.Weights.Indices[to-1] >= hi {
		to--
	}
	return from, to
}

// limits returns the worth of a state's lowest and highest q, exactly.
func (c *checker) limits(i int) (lo, hi float64) {
	row := &c.m.Rows[i]
	return worth(row, int64(row.Lo)), worth(row, int64(row.Hi))
}

// worth returns s·(q − z), exactly: 24 bits times 15.
func worth(row *simb.Row, q int64) float64 {
	return float64(row.Scale) * float64(q-int64(row.Zero))
}

// integerReach returns the least and largest worth that state i can have after an inference.
func (c *checker) integerReach(i int) interval {
	row := &c.m.Rows[i]
	if row.Table == simb.NoTable {
		lo, hi := c.limits(i)
		return interval{lo, hi}
	}
	t := &c.tables[row.Table]
	return interval{worth(row, t.span.lo), worth(row, t.span.hi)}
}
