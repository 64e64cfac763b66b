package kernel

import "github.com/sparse-implicit/sim/format/quant"

// The portable kernel. A weight and its column share a word, so that a multiply-accumulate loads one
// word and one activation: measured faster than separate arrays, and four words a turn faster than one, two
// or eight (BenchmarkInfer; on arm64 a fifth fewer instructions than two, tools/instructions). Models of more
// than 65,536 activations keep them apart.

// extent is where a row lies: its weights from outside the row's own loop are numbered first to
// inner−1, those from inside inner to end−1. Outside of loops inner is end.
type extent struct {
	first, inner, end uint32
}

const extentBytes = 12

// narrowActivations is how many activations the columns of a word can number.
const narrowActivations = 1 << 16

// portable is a model packed for the portable kernel. Either words or columns and weights are used.
type portable[T Activation] struct {
	inputs[T]
	extents []extent
	words   []uint32 // weight·2¹⁶ + column
	columns []uint32
	weights []int16
}

// packPortable packs the weights.
func packPortable(p *Program, s *Streams) (Engine, float64) {
	if p.Width == quant.Width7 {
		return packWords[uint8](p, s), portableCost(p, s)
	}
	return packWords[uint16](p, s), portableCost(p, s)
}

// portableCost estimates the nanoseconds of an inference, from BenchmarkInfer.
func portableCost(p *Program, s *Streams) float64 {
	return 0.75*float64(len(s.Values)) + 6*float64(len(p.Rows))
}

func packWords[T Activation](p *Program, s *Streams) *portable[T] {
	e := &portable[T]{inputs: inputs[T]{p}, extents: make([]extent, len(p.Rows))}
	stored, narrow := len(s.Values), p.Activations() <= narrowActivations
	if narrow {
		e.words = make([]uint32, 0, stored)
	} else {
		e.columns, e.weights = make([]uint32, 0, stored), make([]int16, 0, stored)
	}
	loopColumn := p.loopColumns()
	var at cursor
	numbered := uint32(0)
	for i := range p.Rows {
		row := s.row(&at, &p.Rows[i])
		x := extent{first: numbered, inner: numbered, end: numbered + uint32(row.length)}
		for row.next() {
			if row.column < loopColumn[i] {
				x.inner++
			}
			if narrow {
				e.words = append(e.words, uint32(row.weight)<<16|uint32(row.column))
			} else {
				e.columns, e.weights = append(e.columns, uint32(row.column)), append(e.weights, int16(row.weight))
			}
		}
		e.extents[i], numbered = x, x.end
	}
	return e
}

// loopColumns returns for each row the first column of its own loop, or the number of columns.
func (p *Program) loopColumns() []int {
	columns := make([]int, len(p.Rows))
	for i := range columns {
		columns[i] = p.Activations()
	}
	for _, s := range p.Segments {
		for i := s.First; i < s.End && s.Sweeps > 0; i++ {
			columns[i] = len(p.Inputs) + s.First
		}
	}
	return columns
}

// Bytes returns the memory that was packed.
func (e *portable[T]) Bytes() int {
	return extentBytes*len(e.extents) + 4*len(e.words) + 4*len(e.columns) + 2*len(e.weights)
}

// States computes all states.
func (e *portable[T]) States(mem *Memory) {
	mem.Sweeps, mem.output = 0, 0
	if mem.Team != nil {
		e.statesTogether(mem)
		return
	}
	for k := range e.program.Segments {
		s := &e.program.Segments[k]
		if s.Sweeps == 0 {
			mem.Saturations += e.level(mem, s.First, s.End)
		} else {
			e.loop(mem, s)
		}
	}
}

// level computes the states first to end−1 of a segment without loops, each once.
func (e *portable[T]) level(mem *Memory, first, end int) (saturations uint64) {
	p, q := e.program, activations[T](mem)
	for i := first; i < end; i++ {
		row, x := &p.Rows[i], &e.extents[i]
		value, saturated := p.state(row, row.accumulator(e.sum(row, x.first, x.end, q)))
		q[len(p.Inputs)+i] = T(value)
		saturations += saturated
	}
	return saturations
}

// loop computes the states of a loop: what comes from outside once, then Jacobi sweeps until one
// changes nothing or all are done.
func (e *portable[T]) loop(mem *Memory, s *Segment) {
	e.begin(mem, s, s.First, s.End)
	for moved, sweep := true, uint32(0); moved && sweep < s.Sweeps; sweep++ {
		var saturations uint64
		saturations, moved = e.sweep(mem, s, s.First, s.End)
		mem.Saturations += saturations
		e.endSweep(mem, s)
	}
}

// begin accumulates what the states first to end−1 of a loop get from outside of it and sets them to
// their start.
func (e *portable[T]) begin(mem *Memory, s *Segment, first, end int) {
	p, q := e.program, activations[T](mem)
	for i := first; i < end; i++ {
		row, x := &p.Rows[i], &e.extents[i]
		mem.External[i-s.First] = e.sum(row, x.first, x.inner, q)
		q[len(p.Inputs)+i] = T(row.start())
	}
}

// sweep computes the states first to end−1 of a loop from those of the sweep before.
func (e *portable[T]) sweep(mem *Memory, s *Segment, first, end int) (saturations uint64, moved bool) {
	p, q := e.program, activations[T](mem)
	following := sweepResults[T](mem)
	for i := first; i < end; i++ {
		row, x := &p.Rows[i], &e.extents[i]
		value, saturated := p.state(row, row.accumulator(mem.External[i-s.First]+e.sum(row, x.inner, x.end, q)))
		following[i-s.First] = T(value)
		moved = moved || T(value) != q[len(p.Inputs)+i]
		saturations += saturated
	}
	return saturations, moved
}

// endSweep makes a sweep's results the states.
func (e *portable[T]) endSweep(mem *Memory, s *Segment) {
	states := activations[T](mem)[len(e.program.Inputs)+s.First : len(e.program.Inputs)+s.End]
	copy(states, sweepResults[T](mem)[:len(states)])
	mem.Sweeps++
}

// Outputs computes the next len(dst) outputs.
func (e *portable[T]) Outputs(mem *Memory, dst []int32) {
	p := e.program
	for k := range dst {
		i := p.States + mem.output + k
		row, x := &p.Rows[i], &e.extents[i]
		dst[k] = row.output(row.accumulator(e.sum(row, x.first, x.end, activations[T](mem))))
	}
	mem.output += len(dst)
}

// sum returns Σ w·q over the weights first to end−1, all of one row: for one plane modulo 2³².
func (e *portable[T]) sum(row *Row, first, end uint32, q []T) int64 {
	if e.columns != nil {
		return dotWide(e.columns[first:end], e.weights[first:end], q)
	}
	if row.Planes == 1 {
		return int64(dot32(e.words[first:end], q))
	}
	return dot64(e.words[first:end], q)
}

// dot32 returns Σ w·q modulo 2³². All activations of a turn are loaded before the first is used: processors that
// run in order wait less (tools/mca: a tenth on Cortex-A53).
func dot32[T Activation](words []uint32, q []T) int32 {
	var even, odd int32
	k := 0
	for ; k <= len(words)-4; k += 4 {
		w := words[k : k+4 : k+4]
		v0, v1, v2, v3 := w[0], w[1], w[2], w[3]
		q0, q1, q2, q3 := q[uint16(v0)], q[uint16(v1)], q[uint16(v2)], q[uint16(v3)]
		even += int32(v0) >> 16 * int32(q0)
		odd += int32(v1) >> 16 * int32(q1)
		even += int32(v2) >> 16 * int32(q2)
		odd += int32(v3) >> 16 * int32(q3)
	}
	for ; k < len(words); k++ {
		v := words[k]
		even += int32(v) >> 16 * int32(q[uint16(v)])
	}
	return even + odd
}

// dot64 returns Σ w·q exactly: a product of both planes takes 28 bits, the sum of many more than 32.
func dot64[T Activation](words []uint32, q []T) int64 {
	var sum int64
	for _, v := range words {
		sum += int64(int32(v) >> 16 * int32(q[uint16(v)]))
	}
	return sum
}

// dotWide returns Σ w·q exactly. weights is as long as columns.
func dotWide[T Activation](columns []uint32, weights []int16, q []T) int64 {
	var sum int64
	weights = weights[:len(columns)]
	for k, j := range columns {
		sum += int64(int32(weights[k]) * int32(q[j]))
	}
	return sum
}
