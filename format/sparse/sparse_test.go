package sparse

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
	"pgregory.net/rapid"
)

// drawDense draws the shape and entries of a small row-major matrix, about half of them zero.
func drawDense(t *rapid.T) (rows, cols int, dense []float32) {
	rows, cols = rapid.IntRange(0, 9).Draw(t, "rows"), rapid.IntRange(0, 9).Draw(t, "cols")
	dense = make([]float32, rows*cols)
	for k := range dense {
		dense[k] = float32(max(0, rapid.IntRange(-9, 9).Draw(t, "entry")))
	}
	return rows, cols, dense
}

// drawMatrix draws a canonical matrix, stored zeros among its entries.
func drawMatrix(t *rapid.T) *Matrix[float32] {
	rows, cols, dense := drawDense(t)
	m := FromDense(rows, cols, dense)
	for k := range m.Data {
		m.Data[k]--
	}
	return m
}

// holds fails unless the matrix is canonical and stands for these dense numbers.
func holds(t *rapid.T, m *Matrix[float32], rows, cols int, dense []float32) {
	t.Helper()
	if err := m.Validate("M"); err != nil {
		t.Fatal(err)
	}
	if m.Rows != rows || m.Cols != cols || !slices.Equal(m.Dense(), dense) {
		t.Fatalf("%d × %d matrix %v, want %d × %d %v", m.Rows, m.Cols, m.Dense(), rows, cols, dense)
	}
}

func TestDenseAndTripletsAreTheSameMatrix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows, cols, dense := drawDense(t)
		m := FromDense(rows, cols, dense)
		holds(t, m, rows, cols, dense)
		var entries []Triplet[float32]
		appended := New[float32](rows, cols)
		for i := range rows {
			var at []int32
			var values []float32
			for j := range cols {
				if v := dense[i*cols+j]; v != 0 {
					entries = append(entries, Triplet[float32]{i, j, v})
					at, values = append(at, int32(j)), append(values, v)
				}
			}
			if len(at) > 0 { // a row left out is empty
				appended.AppendRow(i, at, values)
			}
		}
		if len(entries) > 0 {
			entries = rapid.Permutation(entries).Draw(t, "order")
		}
		before := slices.Clone(entries)
		fromTriplets, err := FromTriplets(rows, cols, entries)
		if err != nil || !fromTriplets.Equal(m) || !appended.Equal(m) {
			t.Fatalf("triplets give %v (%v), rows %v, dense %v", fromTriplets, err, appended, m)
		}
		if !slices.Equal(before, entries) {
			t.Fatal("FromTriplets changed its argument")
		}
	})
}

func TestFromTripletsRefuses(t *testing.T) {
	for name, entries := range map[string][]Triplet[int8]{
		"a row too many":    {{2, 0, 1}},
		"a column too many": {{0, 3, 1}},
		"a negative row":    {{-1, 0, 1}},
		"a negative column": {{0, -1, 1}},
		"an entry twice":    {{1, 1, 1}, {0, 0, 1}, {1, 1, 2}},
	} {
		if _, err := FromTriplets(2, 3, entries); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEntriesRowsAndCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMatrix(t)
		dense := m.Dense()
		stored, nonzero := 0, 0
		for i := range m.Rows {
			cols, values := m.Row(i)
			stored += len(cols)
			if len(cols) != len(values) || cap(cols) != len(cols) {
				t.Fatalf("row %d: %v %v", i, cols, values)
			}
			for j := range m.Cols {
				if m.At(i, j) != dense[i*m.Cols+j] {
					t.Fatalf("entry (%d, %d) is %g", i, j, m.At(i, j))
				}
				if m.At(i, j) != 0 {
					nonzero++
				}
			}
		}
		if m.Stored() != stored || m.NNZ() != nonzero {
			t.Fatalf("%d stored, %d nonzero, want %d and %d", m.Stored(), m.NNZ(), stored, nonzero)
		}
		compact := m.Compact()
		holds(t, compact, m.Rows, m.Cols, dense)
		if compact.Stored() != nonzero {
			t.Fatalf("%d entries are left of %d nonzeros", compact.Stored(), nonzero)
		}
	})
}

func TestTransposingTwiceChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMatrix(t)
		flipped := m.Transpose()
		want := make([]float32, m.Rows*m.Cols)
		for i := range m.Rows {
			for j := range m.Cols {
				want[j*m.Rows+i] = m.At(i, j)
			}
		}
		holds(t, flipped, m.Cols, m.Rows, want)
		if !flipped.Transpose().Equal(m) {
			t.Fatalf("%v comes back as %v", m, flipped.Transpose())
		}
	})
}

func TestSelectingRowsAndMappingColumns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMatrix(t)
		var rows []int
		if m.Rows > 0 {
			rows = rapid.SliceOfN(rapid.IntRange(0, m.Rows-1), 0, 12).Draw(t, "rows")
		}
		cols := m.Cols + rapid.IntRange(0, 3).Draw(t, "more columns")
		places := make([]int, cols)
		for k := range places {
			places[k] = k
		}
		if cols > 0 {
			places = rapid.Permutation(places).Draw(t, "places")
		}
		to := slices.Clone(places[:m.Cols])
		for k := range to {
			if rapid.IntRange(0, 3).Draw(t, "drop") == 0 {
				to[k] = -1 - k
			}
		}
		want := make([]float32, len(rows)*cols)
		for k, i := range rows {
			for j := range m.Cols {
				if to[j] >= 0 {
					want[k*cols+to[j]] = m.At(i, j)
				}
			}
		}
		holds(t, m.SelectRows(rows).MapColumns(cols, to), len(rows), cols, want)
		holds(t, m.MapColumns(cols, to).SelectRows(rows), len(rows), cols, want)
	})
}

func TestClonesShareNothing(t *testing.T) {
	m := FromDense(2, 2, []float32{1, 2, 0, 3})
	c := m.Clone()
	c.Indptr[1], c.Indices[0], c.Data[0] = 9, 9, 9
	if !m.Equal(FromDense(2, 2, []float32{1, 2, 0, 3})) || m.Equal(c) {
		t.Error("changing a clone changed its original")
	}
}

func TestEqualSeesEveryDifference(t *testing.T) {
	m := FromDense(2, 3, []float32{1, 0, 2, 0, 3, 0})
	for name, other := range map[string]*Matrix[float32]{
		"a value":       FromDense(2, 3, []float32{1, 0, 2, 0, 4, 0}),
		"a place":       FromDense(2, 3, []float32{1, 2, 0, 0, 3, 0}),
		"a row":         FromDense(2, 3, []float32{1, 0, 2, 3, 0, 0}),
		"a stored zero": {Rows: 2, Cols: 3, Indptr: []int32{0, 2, 4}, Indices: []int32{0, 2, 0, 1}, Data: []float32{1, 2, 0, 3}},
		"the columns":   {Rows: 2, Cols: 4, Indptr: m.Indptr, Indices: m.Indices, Data: m.Data},
		"the rows":      FromDense(3, 3, []float32{1, 0, 2, 0, 3, 0, 0, 0, 0}),
	} {
		if m.Equal(other) {
			t.Errorf("%s differs and Equal does not see it", name)
		}
	}
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		spoil func(m *Matrix[int8])
		want  string
	}{
		{func(m *Matrix[int8]) { m.Indices[2] = 912 }, "W.indices[2] = 912, but the matrix has 4 columns"},
		{func(m *Matrix[int8]) { m.Indices[0] = -1 }, "W.indices[0] = -1"},
		{func(m *Matrix[int8]) { m.Indices[1] = 0 }, "W.indices[1] = 0 after 0 in row 0"},
		{func(m *Matrix[int8]) { m.Indptr[2] = 1 }, "W.indptr[2] = 1 after 2"},
		{func(m *Matrix[int8]) { m.Indptr[1] = math.MaxInt32 }, "W.indptr[1] = 2147483647"},
		{func(m *Matrix[int8]) { m.Indptr[1] = -1 }, "W.indptr[1] = -1"},
		{func(m *Matrix[int8]) { m.Indptr[0] = 1 }, "W.indptr runs from 1"},
		{func(m *Matrix[int8]) { m.Indptr[3] = 3 }, "W.indptr runs from 0 to 3"},
		{func(m *Matrix[int8]) { m.Indptr = m.Indptr[:3] }, "W.indptr has 3 numbers, 3 rows need 4"},
		{func(m *Matrix[int8]) { m.Indptr = nil }, "W.indptr has 0 numbers"},
		{func(m *Matrix[int8]) { m.Data = m.Data[1:] }, "W.indices has 4 entries, data has 3"},
		{func(m *Matrix[int8]) { m.Rows = -1; m.Indptr = nil }, "W.indptr"},
		{func(m *Matrix[int8]) { m.Cols = 3 }, "W.indices[1] = 3"},
	} {
		m := FromDense(3, 4, []int8{1, 0, 0, 2, 0, 3, 0, 0, 4, 0, 0, 0})
		if err := m.Validate("W"); err != nil {
			t.Fatal(err)
		}
		test.spoil(m)
		if err := m.Validate("W"); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v does not say %q", err, test.want)
		}
	}
}

// TestValidMatricesMultiplyLikeDenseOnes: whatever Validate accepts can be walked without a panic, and
// means the same as its dense form.
func TestValidMatricesMultiplyLikeDenseOnes(t *testing.T) {
	valid := 0
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.Int32Range(-1, 4)
		m := &Matrix[float64]{
			Rows: rapid.IntRange(1, 4).Draw(t, "rows"), Cols: rapid.IntRange(1, 4).Draw(t, "cols"),
			Indices: rapid.SliceOfN(small, 0, 4).Draw(t, "indices"),
		}
		m.Data = make([]float64, len(m.Indices))
		for k := range m.Data {
			m.Data[k] = float64(k + 1)
		}
		m.Indptr = rapid.SliceOfN(small, m.Rows+1, m.Rows+1).Draw(t, "indptr")
		if rapid.IntRange(0, 9).Draw(t, "orderly") > 0 {
			m.Indptr[0], m.Indptr[m.Rows] = 0, int32(len(m.Indices))
			slices.Sort(m.Indptr)
		}
		if m.Validate("M") != nil {
			return
		}
		valid++
		var product mat.VecDense
		ones := slices.Repeat([]float64{1}, m.Cols)
		product.MulVec(mat.NewDense(m.Rows, m.Cols, m.Dense()), mat.NewVecDense(m.Cols, ones))
		for i := range m.Rows {
			_, values := m.Row(i)
			sum := 0.0
			for _, v := range values {
				sum += v
			}
			if sum != product.AtVec(i) {
				t.Fatalf("row %d sums to %g, dense to %g", i, sum, product.AtVec(i))
			}
		}
	})
	if valid == 0 && !testing.Short() { // a short run draws too few to be sure of one
		t.Error("no matrix was valid")
	}
}
