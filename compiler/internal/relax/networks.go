// Package relax bounds what separates two causal networks of the same shape, a reference in the reals and the
// integers that stand for it, over boxes of inputs.
//
// Method: backward linear relaxation (Zhang et al., CROWN, arXiv 1811.00866) of the reference and of the
// difference of the two together (ReluDiff, NeuroDiff: arXiv 2009.09943). A linear form of differences f and
// values v is bounded by taking the states from the last to the first: each f and each v is replaced by a
// line above or below it, as the sign of its coefficient demands, and the line's argument by its row, until
// only inputs are left. Ranges of arguments, from which the lines follow, are bounded in the same way. Boxes
// are split, the worst first, and a half keeps what its parent's ranges proved.
//
// It promises that bounds hold as real numbers, that they are the same on every machine and for any number
// of cores, and that a box's bound is never above its parent's. Nothing in it is fused. It must never know
// files, schedules or how integers were chosen: it is given numbers.
package relax

import (
	"math"

	"github.com/sparse-implicit/sim/format/model"
)

// Row is one row of both networks: a state's or an output's. In a reference v and in integers v + f the
// arguments are
//
//	z = Σ Reference_j v_j + Bias          z + d = Σ Integers_j (v_j + f_j) + Bias + Offset
type Row struct {
	Columns   []int32   // ascending; inputs first, then states that come before
	Integers  []float64 // W̃, each known to 2⁻⁵⁰ of itself
	Reference []float64 // W
	Unsure    []float64 // what each W may be off by; nil: nothing
	Delta     []float64 // W̃ − W as computed; nil in all rows where the networks are the same
	Bias      float64   // b
	BiasError float64   // ≥ what b and Offset may be off by
	Offset    float64   // b̃ − b

	Activation model.Activation // of a state
	Rounding   float64          // ≥ what rounding adds to φ(z + d), or to an output
	ZeroBelow  bool             // where z + d ≤ 0, the integers are exactly φ(z + d)
	Low, High  Clamp            // of a state
}

// Clamp is a limit of a state's integers.
type Clamp struct {
	Worth   float64 // what the limit is worth
	Flagged bool    // it counts as a saturation, and is not the function's own limit
	// Bounds is set where an inference without saturation has z + d within half a step of the limit:
	// everywhere but below on a second slope and in tables.
	Bounds bool
	Half   float64 // half a step
}

// Networks is both networks.
type Networks struct {
	Inputs int
	States int
	Rows   []Row     // states in an order of computation, then outputs
	Steps  []float64 // per input: the largest |f|

	blocks []block
	rows   []layout
	pieces []pieces // of the states
	same   bool     // both networks have the same rows
}

// layout is a row with its columns as the loops want them.
type layout struct {
	first   int  // contiguous columns from here on,
	dense   bool // if so
	columns []int32
}

// block is a run of states that read the same contiguous columns and not one another.
type block struct{ first, end int }

// New lays the networks out. Rows must not change afterwards.
func New(inputs, states int, rows []Row, steps []float64) *Networks {
	n := &Networks{Inputs: inputs, States: states, Rows: rows, Steps: steps}
	n.rows, n.same = make([]layout, len(rows)), true
	for i := range rows {
		columns := rows[i].Columns
		l := layout{columns: columns}
		n.same = n.same && rows[i].Delta == nil
		if k := len(columns); k > 0 && int(columns[k-1])-int(columns[0]) == k-1 {
			l.first, l.dense = int(columns[0]), true
		}
		n.rows[i] = l
	}
	for i := range states {
		n.pieces = append(n.pieces, piecesOf(rows[i].Activation))
		if k := len(n.blocks); k > 0 && n.joins(n.blocks[k-1], i) {
			n.blocks[k-1].end = i + 1
			continue
		}
		n.blocks = append(n.blocks, block{i, i + 1})
	}
	return n
}

// joins reports whether state i belongs to a block: all of it reads the same contiguous columns.
func (n *Networks) joins(b block, i int) bool {
	first, row := &n.rows[b.first], &n.rows[i]
	return first.dense && row.dense && first.first == row.first && len(first.columns) == len(row.columns) &&
		row.first+len(row.columns) <= n.Inputs+b.first
}

// Outputs returns the number of outputs.
func (n *Networks) Outputs() int { return len(n.Rows) - n.States }

// Work returns about how many products the bound of one box takes at most.
func (n *Networks) Work() int64 {
	total, before := int64(0), int64(0)
	for i := range n.Rows {
		if i < n.States {
			total += before
			before += int64(len(n.Rows[i].Columns))
			continue
		}
		total += before
	}
	return 8 * total
}

// Box is a box of inputs, counted from where the biases count them.
type Box struct{ Lo, Hi []float64 }

// up and down move x outward by the rounding of a few operations on numbers of that size.
func up(x, size float64) float64   { return x + float64(size*0x1p-50) }
func down(x, size float64) float64 { return x - float64(size*0x1p-50) }

// largest returns the largest magnitude of [lo, hi].
func largest(lo, hi float64) float64 { return max(math.Abs(lo), math.Abs(hi)) }
