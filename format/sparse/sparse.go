// Package sparse holds matrices in compressed sparse row (CSR) form: building, transposing,
// permuting, selecting and checking them.
//
// It promises that every matrix it builds is canonical: row pointers ascend from 0 to the number of
// stored entries, and column indices strictly ascend within a row. It knows nothing of models, files
// or training.
package sparse

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// ErrMalformed is wrapped by every error of Validate.
var ErrMalformed = errors.New("malformed CSR matrix")

// Value is the set of number types that a matrix may hold.
type Value interface {
	~int8 | ~int16 | ~int32 | ~float32 | ~float64
}

// Matrix is a Rows × Cols matrix in CSR form. Entries of row i are Indices[k], Data[k] for
// Indptr[i] ≤ k < Indptr[i+1]. Stored zeros are allowed and count as entries, not as nonzeros.
type Matrix[V Value] struct {
	Rows, Cols int
	Indptr     []int32 // length Rows+1
	Indices    []int32 // strictly ascending within a row
	Data       []V     // same length as Indices
}

// Triplet is one entry of a matrix under construction.
type Triplet[V Value] struct {
	Row, Col int
	Value    V
}

// New returns a rows × cols matrix without entries.
func New[V Value](rows, cols int) *Matrix[V] {
	return &Matrix[V]{Rows: rows, Cols: cols, Indptr: make([]int32, rows+1), Indices: []int32{}, Data: []V{}}
}

// FromDense keeps the nonzero entries of a row-major rows × cols array.
func FromDense[V Value](rows, cols int, dense []V) *Matrix[V] {
	if len(dense) != rows*cols {
		panic("unreachable: a dense matrix of the wrong length")
	}
	m := New[V](rows, cols)
	for i := range rows {
		for j, v := range dense[i*cols : (i+1)*cols] {
			if v != 0 {
				m.Indices = append(m.Indices, int32(j))
				m.Data = append(m.Data, v)
			}
		}
		m.Indptr[i+1] = int32(len(m.Indices))
	}
	return m
}

// FromTriplets builds a matrix from entries in any order. An entry outside the matrix or given twice
// is an error.
func FromTriplets[V Value](rows, cols int, entries []Triplet[V]) (*Matrix[V], error) {
	sorted := slices.Clone(entries)
	slices.SortFunc(sorted, func(a, b Triplet[V]) int {
		return cmp.Or(cmp.Compare(a.Row, b.Row), cmp.Compare(a.Col, b.Col))
	})
	m := New[V](rows, cols)
	for k, e := range sorted {
		if e.Row < 0 || e.Row >= rows || e.Col < 0 || e.Col >= cols {
			return nil, fmt.Errorf("entry (%d, %d) lies outside a %d × %d matrix: %w", e.Row, e.Col, rows, cols, ErrMalformed)
		}
		if k > 0 && sorted[k-1].Row == e.Row && sorted[k-1].Col == e.Col {
			return nil, fmt.Errorf("entry (%d, %d) is given twice: %w", e.Row, e.Col, ErrMalformed)
		}
		m.Indptr[e.Row+1]++
		m.Indices = append(m.Indices, int32(e.Col))
		m.Data = append(m.Data, e.Value)
	}
	for i := range rows {
		m.Indptr[i+1] += m.Indptr[i]
	}
	return m, nil
}

// AppendRow adds the entries as row number `row`, which must be the first row not yet filled of a
// matrix under construction: rows are appended in order, and a row left out is empty. Columns must
// strictly ascend.
func (m *Matrix[V]) AppendRow(row int, cols []int32, values []V) {
	m.Indices = append(m.Indices, cols...)
	m.Data = append(m.Data, values...)
	for i := row + 1; i <= m.Rows; i++ {
		m.Indptr[i] = int32(len(m.Indices))
	}
}

// Row returns the column indices and values of row i, sharing the matrix's memory.
func (m *Matrix[V]) Row(i int) ([]int32, []V) {
	lo, hi := m.Indptr[i], m.Indptr[i+1]
	return m.Indices[lo:hi:hi], m.Data[lo:hi:hi]
}

// At returns entry (i, j), zero where nothing is stored.
func (m *Matrix[V]) At(i, j int) V {
	cols, values := m.Row(i)
	if k, found := slices.BinarySearch(cols, int32(j)); found {
		return values[k]
	}
	return 0
}

// Stored returns the number of stored entries, zeros included.
func (m *Matrix[V]) Stored() int { return len(m.Indices) }

// NNZ returns the number of stored entries that are not zero.
func (m *Matrix[V]) NNZ() int {
	n := 0
	for _, v := range m.Data {
		if v != 0 {
			n++
		}
	}
	return n
}

// Dense returns the matrix as a row-major array.
func (m *Matrix[V]) Dense() []V {
	dense := make([]V, m.Rows*m.Cols)
	for i := range m.Rows {
		cols, values := m.Row(i)
		for k, j := range cols {
			dense[i*m.Cols+int(j)] = values[k]
		}
	}
	return dense
}

// Clone returns a deep copy.
func (m *Matrix[V]) Clone() *Matrix[V] {
	return &Matrix[V]{Rows: m.Rows, Cols: m.Cols, Indptr: slices.Clone(m.Indptr), Indices: slices.Clone(m.Indices), Data: slices.Clone(m.Data)}
}

// Compact returns a copy without stored zeros.
func (m *Matrix[V]) Compact() *Matrix[V] {
	out := New[V](m.Rows, m.Cols)
	for i := range m.Rows {
		cols, values := m.Row(i)
		for k, v := range values {
			if v != 0 {
				out.Indices = append(out.Indices, cols[k])
				out.Data = append(out.Data, v)
			}
		}
		out.Indptr[i+1] = int32(len(out.Indices))
	}
	return out
}

// Transpose returns the Cols × Rows transpose.
func (m *Matrix[V]) Transpose() *Matrix[V] {
	t := New[V](m.Cols, m.Rows)
	for _, j := range m.Indices {
		t.Indptr[j+1]++
	}
	for j := range m.Cols {
		t.Indptr[j+1] += t.Indptr[j]
	}
	t.Indices = make([]int32, len(m.Indices))
	t.Data = make([]V, len(m.Data))
	next := slices.Clone(t.Indptr[:m.Cols])
	for i := range m.Rows {
		cols, values := m.Row(i)
		for k, j := range cols {
			t.Indices[next[j]] = int32(i)
			t.Data[next[j]] = values[k]
			next[j]++
		}
	}
	return t
}

// SelectRows returns the matrix whose row k is row rows[k] of m.
func (m *Matrix[V]) SelectRows(rows []int) *Matrix[V] {
	out := New[V](len(rows), m.Cols)
	for k, i := range rows {
		cols, values := m.Row(i)
		out.AppendRow(k, cols, values)
	}
	return out
}

// MapColumns returns a Rows × cols matrix in which column j of m has become column to[j]; entries of
// columns with to[j] < 0 are dropped. No two columns may go to the same place.
func (m *Matrix[V]) MapColumns(cols int, to []int) *Matrix[V] {
	out := New[V](m.Rows, cols)
	type entry struct {
		col   int32
		value V
	}
	var row []entry
	for i := range m.Rows {
		row = row[:0]
		from, values := m.Row(i)
		for k, j := range from {
			if to[j] >= 0 {
				row = append(row, entry{int32(to[j]), values[k]})
			}
		}
		slices.SortFunc(row, func(a, b entry) int { return cmp.Compare(a.col, b.col) })
		for _, e := range row {
			out.Indices = append(out.Indices, e.col)
			out.Data = append(out.Data, e.value)
		}
		out.Indptr[i+1] = int32(len(out.Indices))
	}
	return out
}

// Equal reports whether both matrices store the same entries in the same shape.
func (m *Matrix[V]) Equal(o *Matrix[V]) bool {
	return m.Rows == o.Rows && m.Cols == o.Cols && slices.Equal(m.Indptr, o.Indptr) &&
		slices.Equal(m.Indices, o.Indices) && slices.Equal(m.Data, o.Data)
}

// Validate checks that the matrix is canonical; name stands before what it finds, as in
// "A.indices[17] = 912, but the matrix has 112 columns".
func (m *Matrix[V]) Validate(name string) error {
	malformed := func(format string, args ...any) error {
		return fmt.Errorf("%s.%s: %w", name, fmt.Sprintf(format, args...), ErrMalformed)
	}
	if m.Rows < 0 || m.Cols < 0 || len(m.Indptr) != m.Rows+1 {
		return malformed("indptr has %d numbers, %d rows need %d", len(m.Indptr), m.Rows, m.Rows+1)
	}
	if len(m.Indices) != len(m.Data) {
		return malformed("indices has %d entries, data has %d", len(m.Indices), len(m.Data))
	}
	if m.Indptr[0] != 0 || int(m.Indptr[m.Rows]) != len(m.Indices) {
		return malformed("indptr runs from %d to %d, it must run from 0 to %d", m.Indptr[0], m.Indptr[m.Rows], len(m.Indices))
	}
	for i := range m.Rows {
		if m.Indptr[i+1] < m.Indptr[i] || int(m.Indptr[i+1]) > len(m.Indices) {
			return malformed("indptr[%d] = %d after %d, with %d entries", i+1, m.Indptr[i+1], m.Indptr[i], len(m.Indices))
		}
		for k := m.Indptr[i]; k < m.Indptr[i+1]; k++ {
			if j := m.Indices[k]; j < 0 || int(j) >= m.Cols {
				return malformed("indices[%d] = %d, but the matrix has %d columns", k, j, m.Cols)
			}
			if k > m.Indptr[i] && m.Indices[k] <= m.Indices[k-1] {
				return malformed("indices[%d] = %d after %d in row %d, columns must ascend", k, m.Indices[k], m.Indices[k-1], i)
			}
		}
	}
	return nil
}
