package kernel

import "math"

// Inference from what has changed. Every row's accumulator is kept; an activation that moves by δ adds w·δ to
// the accumulators of the rows that read it, so the matrix is packed once more, by columns. Rows that got
// something are requantised in the order of the schedule, and states that move go on with their own
// columns. Integer sums do not depend on their order: the bits are those of a full inference.
//
// A full inference by a fast kernel takes a tenth of the time for a nonzero, so what moves is weighed
// before it is added; see Stream.

// Columns is a program packed for updates. It is never written again: streams of any number of goroutines
// share it.
type Columns struct {
	program *Program
	engine  Engine
	warm    bool // loops start from where they are

	planned []int32  // of each number of the caller: which input it is, or −1
	first   []uint32 // activation j's entries are numbered first[j] to first[j+1]−1, rows ascending
	outer   []uint32 // state i's entries in rows outside its own loop begin with this number

	// Either words or rows and weights are used, as in the portable kernel.
	words   []uint32 // weight·2¹⁶ + row
	rows    []uint32
	weights []int16

	base []int64 // accumulators while all activations are zero; of a loop's rows, unless warm: with its start

	largest int       // number of inputs, or of states of a segment, whichever is more
	resume  []float64 // nanoseconds that the engine takes from a segment on; the last one: for outputs alone
	loops   []float64 // nanoseconds that updates take for the sweeps of a segment, if it is a loop
	rebuild float64   // nanoseconds to make all accumulators anew
}

// What an update takes, in nanoseconds; from BenchmarkUpdate, on the machine of portableCost.
const (
	moveCost  = 8.0 // to go through a column, beside its entries
	entryCost = 1.2 // to add one entry of a column
	rowCost   = 8.0 // to compute a row anew
)

// loopSweeps is how many sweeps a loop is expected to make, where times are estimated.
const loopSweeps = 4

// InPlaceCost estimates the nanoseconds of an inference in place, from BenchmarkInfer.
func InPlaceCost(p *Program, s *Streams) float64 {
	return 2.2*float64(len(s.Values)) + 8*float64(len(p.Rows))
}

// NewColumns packs a program for updates beside the engine that runs it in full, of which a whole inference takes
// about so many nanoseconds, if loops sweep once. +Inf keeps updates from ever using it. warm lets loops start from the
// states that they have, and keeps updates from the engine too, whose loops cannot.
func NewColumns(p *Program, s *Streams, e Engine, nanoseconds float64, warm bool) *Columns {
	c := &Columns{program: p, engine: e, warm: warm, largest: len(p.Inputs)}
	c.planned = make([]int32, p.SourceInputs)
	for j := range c.planned {
		c.planned[j] = -1
	}
	for k := range p.Inputs {
		c.planned[p.Inputs[k].Source] = int32(k)
	}
	for _, s := range p.Segments {
		c.largest = max(c.largest, s.End-s.First)
	}
	c.pack(s)
	c.findBase(s)
	c.estimate(s, nanoseconds)
	return c
}

// pack sorts the entries by columns.
func (c *Columns) pack(s *Streams) {
	p := c.program
	ends, inner := p.loopEnds(), make([]uint32, p.States)
	c.first = make([]uint32, p.Activations()+1)
	stored := 0
	s.Walk(p, func(i int, columns, _ []int32) {
		for _, j := range columns {
			c.first[j+1]++
			if state := int(j) - len(p.Inputs); state >= 0 && i < ends[state] {
				inner[state]++
			}
		}
		stored += len(columns)
	})
	for j := range p.Activations() {
		c.first[j+1] += c.first[j]
	}
	c.outer = inner
	for i := range c.outer {
		c.outer[i] += c.first[len(p.Inputs)+i]
	}
	if len(p.Rows) <= 1<<16 {
		c.words = make([]uint32, stored)
	} else {
		c.rows, c.weights = make([]uint32, stored), make([]int16, stored)
	}
	next := append([]uint32(nil), c.first...)
	s.Walk(p, func(i int, columns, weights []int32) {
		for k, j := range columns {
			if c.words != nil {
				c.words[next[j]] = uint32(weights[k])<<16 | uint32(i)
			} else {
				c.rows[next[j]], c.weights[next[j]] = uint32(i), int16(weights[k])
			}
			next[j]++
		}
	})
}

// loopEnds returns for each state the end of its loop, or 0 outside of loops.
func (p *Program) loopEnds() []int {
	ends := make([]int, p.States)
	for _, s := range p.Segments {
		for i := s.First; i < s.End && s.Sweeps > 0; i++ {
			ends[i] = s.End
		}
	}
	return ends
}

// findBase computes what the accumulators are without any activation.
func (c *Columns) findBase(s *Streams) {
	p := c.program
	c.base = make([]int64, len(p.Rows))
	inside := p.loopColumns()
	s.Walk(p, func(i int, columns, weights []int32) {
		c.base[i] = int64(p.Rows[i].Bias)
		for k, j := range columns {
			if int(j) >= inside[i] && !c.warm {
				c.base[i] += int64(weights[k]) * int64(p.Rows[int(j)-len(p.Inputs)].start())
			}
		}
	})
}

// estimate divides the time of a whole inference among the segments, by their nonzeros and rows, and adds what
// loops take for more than one sweep.
func (c *Columns) estimate(s *Streams, nanoseconds float64) {
	p := c.program
	c.resume, c.loops = make([]float64, len(p.Segments)+1), make([]float64, len(p.Segments)+1)
	sweep := make([]float64, len(c.loops)) // one of a loop
	inside := p.loopColumns()
	segment, pass := 0, 0.0
	s.Walk(p, func(i int, columns, _ []int32) {
		for segment < len(p.Segments) && i >= p.Segments[segment].End {
			segment++
		}
		within := 0
		for within < len(columns) && int(columns[len(columns)-1-within]) >= inside[i] {
			within++
		}
		work := rowCost + entryCost*float64(len(columns))
		c.resume[segment] += work
		pass += work
		if segment < len(p.Segments) && p.Segments[segment].Sweeps > 0 {
			sweep[segment] += rowCost + entryCost*float64(within)
		}
	})
	c.rebuild = pass + moveCost*float64(p.Activations())
	for k, once := range sweep {
		if once > 0 {
			sweeps := float64(min(p.Segments[k].Sweeps, loopSweeps))
			c.loops[k] = sweeps * once
			c.resume[k] += (sweeps - 1) * once
			c.rebuild += (sweeps - 1) * once
		}
	}
	rest := 0.0
	for k := len(c.resume) - 1; k >= 0; k-- {
		rest += c.resume[k]
		c.resume[k] = nanoseconds * rest / max(pass, 1)
		if c.warm || math.IsInf(nanoseconds, 1) {
			c.resume[k] = math.Inf(1)
		}
	}
}

// alone says that nothing but updates may compute.
func (c *Columns) alone() bool { return math.IsInf(c.resume[0], 1) }

// Bytes returns the memory that was packed.
func (c *Columns) Bytes() int {
	return 4*(len(c.planned)+len(c.first)+len(c.outer)+len(c.words)+len(c.rows)) + 2*len(c.weights) + 8*(len(c.base)+len(c.resume)+len(c.loops))
}

// Input returns which input the caller's number j is, or −1 when it is not read. j is in [0, SourceInputs).
func (c *Columns) Input(j int) int { return int(c.planned[j]) }

// add adds δ·w to the sums of the rows of a column's entries first to end−1 and marks them. sums and marks,
// of one length, begin with row `row`, which is not above the first entry's; what is behind them is left out.
func (c *Columns) add(first, end uint32, row int, sums []int64, marks []uint8, delta int32) {
	marks = marks[:len(sums)]
	begin := uint32(row)
	if c.words != nil {
		for _, v := range c.words[first:end] {
			i := v&0xFFFF - begin
			if i >= uint32(len(sums)) {
				return
			}
			sums[i] += int64(int32(v) >> 16 * delta)
			marks[i] = 1
		}
		return
	}
	weights := c.weights[first:end]
	for k, i := range c.rows[first:end] {
		i -= begin
		if i >= uint32(len(sums)) {
			return
		}
		sums[i] += int64(int32(weights[k]) * delta)
		marks[i] = 1
	}
}
