package simb

import "github.com/sparse-implicit/sim/format/quant"

// rowReader walks the coded weights entry by entry and keeps none: a file of any number of weights takes
// the same memory.
type rowReader struct {
	m       *Model
	columns int64 // of the matrix
	streams RowStreams
	lengths int // positions in the streams
	gaps    int
	values  int
	low     int

	row    int // that begin was called for
	two    bool
	length int // of its entries, of which read have been read
	read   int
	column int64 // of the last one
}

func newRowReader(m *Model, streams RowStreams) rowReader {
	return rowReader{m: m, columns: int64(len(m.Inputs) + m.States()), streams: streams}
}

// begin goes to row i, the one after the last, and returns the number of its entries, each of which must be
// read before the next row begins.
func (r *rowReader) begin(i int) (length int, err error) {
	stored, at, ok := readVarint(r.streams.Lengths, r.lengths)
	if !ok || int64(stored) > r.columns {
		return 0, corrupt("weights.lengths", -1, "row %d: its length is cut short or beyond %d columns", i, r.columns)
	}
	r.lengths = at
	r.row, r.two, r.length, r.read, r.column = i, r.m.Rows[i].Planes == 2, int(stored), 0, -1
	if r.length > len(r.streams.Values)-r.values || r.two && r.length > len(r.streams.Low)-r.low {
		return 0, corrupt("weights.values", -1, "row %d has %d entries, fewer are left", i, r.length)
	}
	return r.length, nil
}

// entry reads the next of the row's entries.
func (r *rowReader) entry() (column int32, weight int16, err error) {
	gap, at, ok := uint32(0), r.gaps+1, true
	if r.gaps < len(r.streams.Gaps) && r.streams.Gaps[r.gaps] < 0x80 { // nearly all are
		gap = uint32(r.streams.Gaps[r.gaps])
	} else {
		gap, at, ok = readVarint(r.streams.Gaps, r.gaps)
	}
	r.column += 1 + int64(gap)
	if !ok || r.column >= r.columns {
		return 0, 0, corrupt("weights.gaps", -1, "row %d, entry %d: cut short or beyond %d columns", r.row, r.read, r.columns)
	}
	r.gaps = at
	weight = int16(int8(r.streams.Values[r.values]))
	r.values++
	if r.two {
		low := int8(r.streams.Low[r.low])
		if weight < -64 || weight > 63 || low < -64 || low > 63 {
			return 0, 0, corrupt("weights.low", -1, "row %d, entry %d: planes %d and %d are not in [−64, 63]", r.row, r.read, weight, low)
		}
		weight = quant.JoinPlanes(int8(weight), low)
		r.low++
	}
	r.read++
	return int32(r.column), weight, nil
}

// finish checks that nothing is left over.
func (r *rowReader) finish() error {
	if r.lengths != len(r.streams.Lengths) || r.gaps != len(r.streams.Gaps) || r.values != len(r.streams.Values) || r.low != len(r.streams.Low) {
		return corrupt("weights", -1, "bytes are left over after the last row")
	}
	return nil
}
