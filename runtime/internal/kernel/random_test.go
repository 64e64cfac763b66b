package kernel

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/sparse-implicit/sim/format/quant"
)

// shape says what a random program looks like.
type shape struct {
	width      quant.Width
	inputs     int
	unread     int // inputs of the source that are not read
	segments   []Segment
	outputs    int
	entries    int // largest number of entries of a row
	clustered  bool
	twoPlanes  int // percent of the rows
	tables     int // percent of the states
	leaky      int // percent of the rows: accumulators below zero have a multiplier of their own
	extreme    bool
	nothingCut bool // no state counts saturations
}

// randomShape returns one of many shapes: no inputs, no states, single rows, many levels, loops.
func randomShape(rng *rand.Rand) shape {
	s := shape{
		width: []quant.Width{quant.Width7, quant.Width14}[rng.IntN(2)], inputs: rng.IntN(300), unread: rng.IntN(2) * rng.IntN(40), outputs: 1 + rng.IntN([]int{40, 40, 200}[rng.IntN(3)]),
		entries: 1 + rng.IntN(60), clustered: rng.IntN(2) == 0, twoPlanes: []int{0, 0, 50, 100}[rng.IntN(4)], tables: []int{0, 0, 30, 100}[rng.IntN(4)],
		leaky: []int{0, 0, 30}[rng.IntN(3)], extreme: rng.IntN(3) == 0, nothingCut: rng.IntN(3) == 0,
	}
	n := 0
	for range rng.IntN(5) {
		states := 1 + rng.IntN([]int{50, 50, 50, 300}[rng.IntN(4)])
		segment := Segment{First: n, End: n + states}
		if rng.IntN(2) == 0 {
			segment.Sweeps = 1 + uint32(rng.IntN(20))
		}
		s.segments = append(s.segments, segment)
		n += states
	}
	return s
}

// randomProgram returns a program of the shape whose accumulators are in their ranges, with its streams.
func randomProgram(rng *rand.Rand, s shape) (*Program, *Streams) {
	p := &Program{Width: s.width, SourceInputs: s.inputs + s.unread, Segments: s.segments}
	for _, source := range rng.Perm(p.SourceInputs)[:s.inputs] {
		p.Inputs = append(p.Inputs, Input{Source: int32(source), Scale: float32(math.Exp(rng.Float64()*4 - 6)), Zero: int32(rng.IntN(200) - 50)})
	}
	slices.SortFunc(p.Inputs, func(a, b Input) int { return int(a.Source - b.Source) })
	if len(s.segments) > 0 {
		p.States = s.segments[len(s.segments)-1].End
	}
	for range 3 {
		table := make([]uint16, s.width.TableLen())
		for k := range table {
			table[k] = uint16(rng.IntN(int(s.width.Max()) + 1))
		}
		slices.Sort(table)
		p.Tables = append(p.Tables, table)
	}
	streams := &Streams{}
	segment := 0
	for i := range p.States + s.outputs {
		readable := s.inputs + p.States
		if i < p.States {
			for i >= s.segments[segment].End {
				segment++
			}
			readable = s.inputs + s.segments[segment].First
			if s.segments[segment].Sweeps > 0 {
				readable = s.inputs + s.segments[segment].End
			}
		}
		p.Rows = append(p.Rows, randomRow(rng, s, streams, readable, i < p.States))
	}
	return p, streams
}

// randomRow appends a row to the streams and returns it.
func randomRow(rng *rand.Rand, s shape, streams *Streams, readable int, state bool) Row {
	row := Row{Planes: 1, Table: NoTable}
	limit := 127
	if rng.IntN(100) < s.twoPlanes {
		row.Planes, limit = 2, 8000
	}
	columns := rng.Perm(readable)[:min(readable, rng.IntN(s.entries+1))]
	if s.clustered && readable > 0 {
		first := rng.IntN(readable)
		for k := range columns {
			columns[k] = min(first+k, readable-1)
		}
	}
	slices.Sort(columns)
	columns = slices.Compact(columns)
	streams.Lengths = appendUvarint(streams.Lengths, len(columns))
	previous, largest := -1, int64(0)
	for _, column := range columns {
		streams.Gaps = appendUvarint(streams.Gaps, column-previous-1)
		previous = column
		weight := rng.IntN(2*limit+1) - limit
		if s.extreme {
			weight = limit * (2*rng.IntN(2) - 1)
		}
		largest += int64(max(weight, -weight)) * int64(s.width.Max())
		if row.Planes == 1 {
			streams.Values = append(streams.Values, byte(weight))
			continue
		}
		high, low := quant.SplitPlanes(int16(weight))
		streams.Values, streams.Low = append(streams.Values, byte(high)), append(streams.Low, byte(low))
	}
	finishRow(rng, s, &row, largest, state)
	return row
}

// finishRow chooses everything but the weights of a row, whose sum is at most largest in magnitude.
func finishRow(rng *rand.Rand, s shape, row *Row, largest int64, state bool) {
	row.Bias = int32(rng.Int64N(2*largest/3+200) - largest/3 - 100)
	if s.extreme {
		row.Bias = int32((math.MaxInt32 - min(largest, math.MaxInt32)) * int64(1-2*rng.IntN(2)))
	}
	largest += int64(max(row.Bias, -row.Bias))
	q := int64(s.width.Max())
	row.Multiplier = randomMultiplier(rng, largest, q, s.extreme)
	row.Negative = row.Multiplier
	if !state {
		return
	}
	if rng.IntN(100) < s.leaky {
		row.Negative = randomMultiplier(rng, largest, q, s.extreme)
	}
	if rng.IntN(100) < s.tables {
		row.Table = uint16(rng.IntN(3))
		row.Zero, row.Hi = uint16(rng.Int64N(q+1)), uint16(q)
		return
	}
	lo, hi := rng.Int64N(q+1), rng.Int64N(q+1)
	row.Lo, row.Hi, row.Zero = uint16(min(lo, hi)), uint16(max(lo, hi)), uint16(rng.Int64N(q+1))
	if rng.IntN(2) == 0 {
		row.Lo, row.Zero = 0, 0
	}
	if !s.nothingCut {
		row.CountLow, row.CountHigh = uint8(rng.IntN(2)), uint8(rng.IntN(2))
	}
}

// randomMultiplier returns one that takes sums of the given size to about twice the range of activations,
// or any that cannot overflow.
func randomMultiplier(rng *rand.Rand, largest, q int64, extreme bool) quant.Multiplier {
	for {
		m := quant.Multiplier{M: 1 + rng.Int32N(math.MaxInt32), S: uint8(1 + rng.IntN(62))}
		wanted := 2 * float64(q) / float64(largest+1)
		if !extreme && (m.Ratio() > 2*wanted || m.Ratio() < wanted/2) {
			continue
		}
		if m.Valid() && m.AccumulatorLimit() >= largest {
			return m
		}
	}
}

func appendUvarint(stream []byte, value int) []byte {
	for ; value >= 0x80; value >>= 7 {
		stream = append(stream, byte(value)|0x80)
	}
	return append(stream, byte(value))
}
