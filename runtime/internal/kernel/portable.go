package kernel

import "github.com/sparse-implicit/sim/format/quant"

// The portable kernel: columns and weights in contiguous arrays, one row after the other, and four
// multiply-accumulates a turn. Columns take two bytes unless the model has more than 65,536 activations.

// column is the type of a column index in memory.
type column interface{ uint16 | uint32 }

// extent is where a row lies in a portable engine: its columns outside the row's own loop are
// columns[first:inner], those inside columns[inner:end]; the weights of column k are
// high[k] and, for two planes, low[k + shift].
type extent struct {
	first, inner, end uint32
	low               uint32 // where the row's low plane begins in `low`
}

const extentBytes = 16

// portable is a model packed for the portable kernel.
type portable[T Activation, C column] struct {
	program *Program
	extents []extent
	columns []C
	values  []int8 // the weight, or its high plane
	low     []int8 // the low planes of the rows that have one
}

func packPortable[T Activation](p *Program, w *Weights) Engine[T] {
	if p.Activations() <= 1<<16 {
		return newPortable[T, uint16](p, w)
	}
	return newPortable[T, uint32](p, w)
}

// newPortable packs the weights. It keeps a reference to p, none to w.
func newPortable[T Activation, C column](p *Program, w *Weights) *portable[T, C] {
	stored := len(w.Indices)
	e := &portable[T, C]{program: p, extents: make([]extent, len(p.Rows)), columns: make([]C, stored), values: make([]int8, stored)}
	low := 0
	for i := range p.Rows {
		if p.Rows[i].Planes == 2 {
			low += int(w.Indptr[i+1] - w.Indptr[i])
		}
	}
	e.low = make([]int8, 0, low)
	for k, j := range w.Indices {
		e.columns[k] = C(j)
	}
	for i := range p.Rows {
		first, end := w.Indptr[i], w.Indptr[i+1]
		e.extents[i] = extent{first: uint32(first), inner: uint32(end), end: uint32(end), low: uint32(len(e.low))}
		for k := first; k < end; k++ {
			if p.Rows[i].Planes == 1 {
				e.values[k] = int8(w.Data[k])
				continue
			}
			hi, lo := quant.SplitPlanes(w.Data[k])
			e.values[k] = hi
			e.low = append(e.low, lo)
		}
	}
	for _, s := range p.Segments {
		if s.Sweeps == 0 {
			continue
		}
		for i := s.First; i < s.End; i++ {
			inner := w.Indptr[i]
			for inner < w.Indptr[i+1] && int(w.Indices[inner]) < p.Inputs+s.First {
				inner++
			}
			e.extents[i].inner = uint32(inner)
		}
	}
	return e
}

// Bytes returns the memory that was packed.
func (e *portable[T, C]) Bytes() int {
	wide := 2
	if e.program.Activations() > 1<<16 {
		wide = 4
	}
	return extentBytes*len(e.extents) + wide*len(e.columns) + len(e.values) + len(e.low)
}

// States computes all states.
func (e *portable[T, C]) States(mem *Memory[T]) {
	mem.Sweeps, mem.output = 0, 0
	for k := range e.program.Segments {
		s := &e.program.Segments[k]
		if s.Sweeps == 0 {
			e.level(mem, s)
		} else {
			e.loop(mem, s)
		}
	}
}

// level computes the states of a segment without loops, each once.
func (e *portable[T, C]) level(mem *Memory[T], s *Segment) {
	p, q := e.program, mem.Activations
	saturations := uint64(0)
	for i := s.First; i < s.End; i++ {
		row, x := &p.Rows[i], &e.extents[i]
		hi, lo := e.sums(row, x, x.first, x.end, q)
		value, saturated := p.state(row, row.join(hi, lo))
		q[p.Inputs+i] = T(value)
		saturations += saturated
	}
	mem.Saturations += saturations
}

// loop computes the states of a loop: what comes from outside once, then Jacobi sweeps until one
// changes nothing or all are done.
func (e *portable[T, C]) loop(mem *Memory[T], s *Segment) {
	p, q := e.program, mem.Activations
	states := q[p.Inputs+s.First : p.Inputs+s.End]
	next, external := mem.Next[:len(states)], mem.External[:len(states)]
	for k := range states {
		row, x := &p.Rows[s.First+k], &e.extents[s.First+k]
		external[k] = pack(e.sums(row, x, x.first, x.inner, q))
		states[k] = T(row.start())
	}
	saturations := uint64(0)
	for moved, sweep := true, uint32(0); moved && sweep < s.Sweeps; sweep++ {
		moved = false
		for k := range next {
			row, x := &p.Rows[s.First+k], &e.extents[s.First+k]
			hi, lo := unpack(external[k])
			innerHi, innerLo := e.sums(row, x, x.inner, x.end, q)
			value, saturated := p.state(row, row.join(hi+innerHi, lo+innerLo))
			next[k] = T(value)
			moved = moved || next[k] != states[k]
			saturations += saturated
		}
		copy(states, next)
		mem.Sweeps++
	}
	mem.Saturations += saturations
}

// Outputs computes the next len(dst) outputs.
func (e *portable[T, C]) Outputs(mem *Memory[T], dst []int32) {
	p := e.program
	for k := range dst {
		i := p.States + mem.output + k
		row, x := &p.Rows[i], &e.extents[i]
		dst[k] = row.output(row.join(e.sums(row, x, x.first, x.end, mem.Activations)))
	}
	mem.output += len(dst)
}

// sums returns Σ w·q over the columns first to end−1 of a row: the plane of a one-plane row as lo, or
// both planes.
func (e *portable[T, C]) sums(row *Row, x *extent, first, end uint32, q []T) (hi, lo int32) {
	columns, values := e.columns[first:end], e.values[first:end]
	if row.Planes == 1 {
		return 0, dot(columns, values, q)
	}
	from := x.low + first - x.first
	return dot(columns, values, q), dot(columns, e.low[from:from+uint32(len(columns))], q)
}

// dot returns Σ values[k]·q[columns[k]], modulo 2³². values is as long as columns.
func dot[T Activation, C column](columns []C, values []int8, q []T) int32 {
	var even, odd int32
	for len(columns) >= 4 && len(values) >= 4 {
		even += int32(values[0]) * int32(q[columns[0]])
		odd += int32(values[1]) * int32(q[columns[1]])
		even += int32(values[2]) * int32(q[columns[2]])
		odd += int32(values[3]) * int32(q[columns[3]])
		columns, values = columns[4:], values[4:]
	}
	values = values[:len(columns)]
	for k, j := range columns {
		even += int32(values[k]) * int32(q[j])
	}
	return even + odd
}
