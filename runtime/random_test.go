package runtime

import (
	"slices"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// dice is a generator whose numbers are the same on every architecture (splitmix64).
type dice struct{ state uint64 }

func (d *dice) next() uint64 {
	d.state += 0x9E3779B97F4A7C15
	z := d.state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// below returns a number in [0, n), between one in [lo, hi].
func (d *dice) below(n int) int         { return int(d.next() % uint64(n)) }
func (d *dice) between(lo, hi int) int  { return lo + d.below(hi-lo+1) }
func (d *dice) chance(percent int) bool { return d.below(100) < percent }

// shape says what a random model looks like.
type shape struct {
	width        quant.Width
	inputs       int
	segments     []simb.Segment
	outputs      int
	density      int // percent of the entries of a row that are stored
	twoPlanes    int // percent of the rows that have two weight planes
	unusedInputs int // of the source, between those that are read
}

// randomShape returns one of many shapes: levels, loops, self-loops, either width, one plane or two.
func randomShape(d *dice) shape {
	s := shape{width: quant.Width7, inputs: d.between(0, 40), outputs: d.between(1, 40), density: d.between(1, 100), unusedInputs: d.below(5)}
	if d.chance(50) {
		s.width = quant.Width14
	}
	s.twoPlanes = []int{0, 50, 100}[d.below(3)]
	for range d.below(6) {
		segment := simb.Segment{States: d.between(1, 20)}
		if d.chance(50) {
			segment.Sweeps = uint32(d.between(1, 30))
			segment.States = d.between(1, 8)
		}
		s.segments = append(s.segments, segment)
	}
	return s
}

// randomModel returns a model of this shape whose bounds hold.
func randomModel(d *dice, s shape) *simb.Model {
	m := &simb.Model{
		Width: s.width, Schedule: s.segments, OutputScale: 0x1p-7,
		Decision: simb.Decision(d.below(3)), Tables: randomTables(d, s.width),
	}
	n := 0
	for _, segment := range s.segments {
		n += segment.States
	}
	for i := range n {
		m.SourceState = append(m.SourceState, int32(i))
	}
	m.SourceStates, m.SourceInputs = n, s.inputs+s.unusedInputs
	for j := range s.inputs {
		source := int32(j)
		if j >= s.inputs/2 {
			source += int32(s.unusedInputs)
		}
		m.Inputs = append(m.Inputs, simb.Input{Source: source, Scale: 0x1p-5, Zero: int32(d.between(-50, 100))})
	}
	m.Weights = sparse.New[int16](n+s.outputs, s.inputs+n)
	first := 0
	for _, segment := range s.segments {
		readable := s.inputs + first
		if segment.Sweeps > 0 {
			readable += segment.States
		}
		for i := first; i < first+segment.States; i++ {
			m.Rows = append(m.Rows, randomRow(d, s, true))
			fillRow(d, m, i, readable, s.density)
		}
		first += segment.States
	}
	for i := n; i < n+s.outputs; i++ {
		m.Rows = append(m.Rows, randomRow(d, s, false))
		fillRow(d, m, i, s.inputs+n, s.density)
	}
	return m
}

// randomRow returns a row with everything but bias and multipliers.
func randomRow(d *dice, s shape, state bool) simb.Row {
	row := simb.Row{Planes: 1, Table: simb.NoTable}
	if d.chance(s.twoPlanes) {
		row.Planes = 2
	}
	if !state {
		return row
	}
	largest := uint16(s.width.Max())
	row.Kind, row.Scale, row.Hi = simb.Kind(d.below(simb.KindCount)), 0x1p-5, largest
	switch row.Kind {
	case simb.Identity, simb.LeakyReLU:
		row.Zero, row.Saturates = uint16(d.between(0, int(largest))), simb.SaturatesLow|simb.SaturatesHigh
	case simb.ReLU:
		row.Saturates = simb.SaturatesHigh
	case simb.ClippedReLU:
		row.Hi = uint16(d.between(1, int(largest)))
		row.Parameter = row.Scale * float32(row.Hi)
	case simb.HardTanh:
		row.Zero, row.Lo, row.Parameter = largest/2+1, 1, 1
	case simb.Tanh:
		row.Zero, row.Table = largest/2+1, 0
	case simb.Sigmoid:
		row.Table = 1
	}
	if row.Kind == simb.LeakyReLU {
		row.Parameter = 0.25
	}
	return row
}

// fillRow gives row i weights in some of its readable columns, a bias and multipliers that bring the
// accumulator to about the size of an activation, sometimes far beyond.
func fillRow(d *dice, m *simb.Model, i, readable, density int) {
	row := &m.Rows[i]
	lo, hi := -quant.OnePlaneMax, quant.OnePlaneMax
	if row.Planes == 2 {
		lo, hi = quant.TwoPlaneMin, quant.TwoPlaneMax
	}
	var columns []int32
	var weights []int16
	bias := d.between(-1<<12, 1<<12)
	size := int64(1 << 12)
	for j := range readable {
		if d.chance(density) {
			weight := d.between(lo, hi-1)
			if weight >= 0 {
				weight++ // a stored weight is never zero
			}
			columns, weights = append(columns, int32(j)), append(weights, int16(weight))
			size += int64(max(weights[len(weights)-1], -weights[len(weights)-1])) * int64(m.Width.Max())
		}
	}
	m.Weights.AppendRow(i, columns, weights)
	row.Bias = int32(bias)
	row.Multiplier = randomMultiplier(d, m.Width, size, i >= m.States())
	if row.Kind == simb.LeakyReLU {
		row.Negative = randomMultiplier(d, m.Width, size, false)
	}
}

// randomMultiplier returns M and S that bring `size` to a few times Q, or for outputs to 24 bits.
func randomMultiplier(d *dice, width quant.Width, size int64, output bool) quant.Multiplier {
	mantissa := d.between(1, 24)
	want := int(width) + d.between(-1, 3)
	if output {
		want = 24
	}
	shift := mantissa + quant.BitLen(size) - want
	for shift < quant.MinShift {
		shift, mantissa = shift+1, mantissa+1
	}
	if output {
		mantissa = min(mantissa, 24)
	}
	return quant.Multiplier{M: int32(1<<(mantissa-1) + d.below(1<<(mantissa-1))), S: uint8(shift)}
}

// randomTables returns a tanh and a sigmoid table that rise by random steps.
func randomTables(d *dice, width quant.Width) []simb.Table {
	tables := make([]simb.Table, 2)
	for k, kind := range []simb.Kind{simb.Tanh, simb.Sigmoid} {
		entries := make([]uint16, width.TableLen())
		for e := range entries {
			entries[e] = uint16(d.between(0, int(width.Max())))
		}
		slices.Sort(entries)
		tables[k] = simb.Table{Kind: kind, Step: 0x1p-5, Entries: entries}
	}
	return tables
}

// randomPlan returns inputs of the plan, the extremes among them.
func randomPlan(d *dice, m *simb.Model) []uint16 {
	plan := make([]uint16, len(m.Inputs))
	for j := range plan {
		switch d.below(8) {
		case 0:
			plan[j] = 0
		case 1:
			plan[j] = uint16(m.Width.Max())
		default:
			plan[j] = uint16(d.between(0, int(m.Width.Max())))
		}
	}
	return plan
}
