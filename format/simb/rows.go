package simb

import "github.com/sparse-implicit/sim/format/quant"

// rowReader decodes the coded weights row by row, into buffers of one row.
type rowReader struct {
	m       *Model
	streams RowStreams
	lengths int // positions in the streams
	gaps    int
	values  int
	low     int
	cols    []int32
	weights []int16
}

func newRowReader(m *Model, streams RowStreams) *rowReader {
	longest := min(len(m.Inputs)+m.States(), len(streams.Values))
	return &rowReader{m: m, streams: streams, cols: make([]int32, 0, longest), weights: make([]int16, 0, longest)}
}

// next decodes row i, the one after the last. Its slices are good until the next call.
func (r *rowReader) next(i int) ([]int32, []int16, error) {
	columns := len(r.m.Inputs) + r.m.States()
	length, at, ok := readVarint(r.streams.Lengths, r.lengths)
	if !ok || uint64(length) > uint64(columns) {
		return nil, nil, corrupt("weights.lengths", -1, "row %d: its length is cut short or beyond %d columns", i, columns)
	}
	r.lengths = at
	two := r.m.Rows[i].Planes == 2
	if int(length) > len(r.streams.Values)-r.values || two && int(length) > len(r.streams.Low)-r.low {
		return nil, nil, corrupt("weights.values", -1, "row %d has %d entries, fewer are left", i, length)
	}
	r.cols, r.weights = r.cols[:0], r.weights[:0]
	column := int64(-1)
	for k := range int(length) {
		gap, at, ok := readVarint(r.streams.Gaps, r.gaps)
		column += 1 + int64(gap)
		if !ok || column >= int64(columns) {
			return nil, nil, corrupt("weights.gaps", -1, "row %d, entry %d: cut short or beyond %d columns", i, k, columns)
		}
		r.gaps = at
		weight := int16(int8(r.streams.Values[r.values]))
		if two {
			low := int8(r.streams.Low[r.low])
			if weight < -64 || weight > 63 || low < -64 || low > 63 {
				return nil, nil, corrupt("weights.low", -1, "row %d, entry %d: planes %d and %d are not in [−64, 63]", i, k, weight, low)
			}
			weight = quant.JoinPlanes(int8(weight), low)
			r.low++
		}
		r.values++
		r.cols = append(r.cols, int32(column))
		r.weights = append(r.weights, weight)
	}
	return r.cols, r.weights, nil
}

// finish checks that nothing is left over.
func (r *rowReader) finish() error {
	if r.lengths != len(r.streams.Lengths) || r.gaps != len(r.streams.Gaps) || r.values != len(r.streams.Values) || r.low != len(r.streams.Low) {
		return corrupt("weights", -1, "bytes are left over after the last row")
	}
	return nil
}
