package kernel

// Streams is the stacked matrix [B A; D C] as the file holds it, see SPEC.md: numbers in LEB128, weights
// as bytes. Columns strictly ascend within a row. A state's row reads only inputs, states of earlier
// segments and, in a loop, states of its own loop.
type Streams struct {
	Lengths []byte // for each row the number of its columns
	Gaps    []byte // for each column of a row its distance from the one before, less one; first from −1
	Values  []byte // int8: the weight, or its high plane
	Low     []byte // int8: the low plane, for the rows with two planes only
}

// cursor is a place in the streams where a row begins.
type cursor struct {
	lengths, gaps, values, low int
}

// rowReader walks one row of the streams.
type rowReader struct {
	length int
	column int // of the entry that next has read
	weight int32

	gaps   []byte // of this row and all later ones
	values []byte // of this row
	low    []byte // of this row, or nil for one plane
	at     *cursor
	read   int
}

// row begins to read the row at the cursor and moves the cursor behind all of the row but its gaps,
// which next moves over: a row must be read to its end.
func (s *Streams) row(at *cursor, r *Row) rowReader {
	length, lengths := uvarint(s.Lengths, at.lengths)
	reader := rowReader{length: length, column: -1, gaps: s.Gaps, values: s.Values[at.values : at.values+length], at: at}
	at.lengths, at.values = lengths, at.values+length
	if r.Planes == 2 {
		reader.low = s.Low[at.low : at.low+length]
		at.low += length
	}
	return reader
}

// next reads the next entry of the row, and reports whether there was one.
func (r *rowReader) next() bool {
	if r.read == len(r.values) {
		return false
	}
	gap, gaps := uvarint(r.gaps, r.at.gaps)
	r.column += 1 + gap
	r.at.gaps = gaps
	r.weight = int32(int8(r.values[r.read]))
	if r.low != nil {
		r.weight = r.weight<<7 + int32(int8(r.low[r.read]))
	}
	r.read++
	return true
}

// uvarint reads a number in LEB128 at stream[at:] and returns it and where the next one begins. The
// stream has been checked: numbers are complete and small.
func uvarint(stream []byte, at int) (value, next int) {
	b := stream[at]
	value, next = int(b&0x7F), at+1
	for shift := 7; b >= 0x80; shift += 7 {
		b = stream[next]
		value |= int(b&0x7F) << shift
		next++
	}
	return value, next
}
