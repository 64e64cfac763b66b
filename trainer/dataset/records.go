package dataset

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
)

// Bytes that a line of a CSV file may take: package csv holds one in memory, and some 24 bytes beside it for
// each of its fields.
const (
	maxFieldBytes = 64 // on the average of a line
	maxLineBytes  = 8 << 20
)

// records reads the lines of a CSV file, each of no more than so many bytes: a few packed kilobytes can unpack
// to one line of gigabytes. A byte order mark at the start is passed over.
type records struct {
	*csv.Reader
	source *io.LimitedReader
	line   int64 // bytes that a line may take, and those that were read ahead
	left   int64 // bytes of the file
	most   int64
	last   int // where the last record began, counted from 1
}

// newRecords reads lines of up to so many fields, and of the file no more than so many bytes.
func newRecords(r io.Reader, fields int, bytes int64) *records {
	const ahead = 1 << 16
	source := &io.LimitedReader{R: r, N: 3}
	buffered := bufio.NewReaderSize(source, ahead)
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = buffered.Discard(3)
	}
	in := &records{Reader: csv.NewReader(buffered), source: source, left: bytes, most: bytes}
	in.line = min(maxLineBytes, maxFieldBytes*int64(fields)) + ahead
	in.ReuseRecord, in.TrimLeadingSpace = true, true
	return in
}

// next returns the next line; it is good until the one after it.
func (in *records) next() ([]string, error) {
	allowed := min(in.line, in.left)
	in.source.N = allowed + 1 // one that must not come
	record, err := in.Read()
	if in.source.N == 0 {
		if allowed == in.left {
			return nil, fmt.Errorf("more than %d bytes, the most that is read: %w", in.most, ErrMalformed)
		}
		return nil, fmt.Errorf("the line after line %d has more than %d bytes: %w", in.last, allowed, ErrMalformed)
	}
	in.left -= allowed + 1 - in.source.N
	if err == nil {
		in.last, _ = in.FieldPos(0)
	}
	return record, err
}
