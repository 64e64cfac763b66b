package rowsolve

import "math"

// factor is the Cholesky factor L of a symmetric positive definite matrix that grows and shrinks by
// rows and columns. L is kept by columns: entry (r, c), r ≥ c, is data[c·stride + r], so that solves
// and down-dates run along memory.
type factor struct {
	n, stride int
	data      []float64
	column    []float64 // scratch
}

func (f *factor) reset() { f.n = 0 }

// reserve makes room for n rows, keeping the factor.
func (f *factor) reserve(n int) {
	if n <= f.stride {
		return
	}
	stride := max(64, n+n/2)
	data := make([]float64, stride*stride)
	for c := range f.n {
		copy(data[c*stride+c:c*stride+f.n], f.data[c*f.stride+c:c*f.stride+f.n])
	}
	f.stride, f.data, f.column = stride, data, make([]float64, stride)
}

// pivotFloor is the part of a diagonal entry that its pivot may not fall below. A column whose pivot
// is smaller depends on the columns before it.
const pivotFloor = 1e-11

// push appends a row: cross holds its products with the rows before (length n, overwritten), diagonal
// the product with itself. It returns whether the row is independent of the others; if not, the pivot
// is set to the floor, as if the diagonal were larger, and the factor is that of a matrix with a tiny
// ridge on this row.
func (f *factor) push(cross []float64, diagonal float64) bool {
	f.reserve(f.n + 1)
	pivot := f.schur(cross, diagonal)
	independent := pivot > pivotFloor*diagonal
	if !independent {
		pivot = pivotFloor * diagonal
	}
	for c, v := range cross[:f.n] {
		f.data[c*f.stride+f.n] = v
	}
	f.data[f.n*f.stride+f.n] = math.Sqrt(pivot)
	f.n++
	return independent
}

// schur turns cross into L⁻¹·cross and returns diagonal − ‖L⁻¹·cross‖².
func (f *factor) schur(cross []float64, diagonal float64) float64 {
	f.forward(cross)
	return diagonal - dot(cross[:f.n], cross[:f.n])
}

// remove deletes row and column i.
func (f *factor) remove(i int) {
	n := f.n
	for c := range i {
		col := f.data[c*f.stride:]
		copy(col[i:n-1], col[i+1:n])
	}
	v := f.column[:n]
	copy(v[i+1:], f.data[i*f.stride+i+1:i*f.stride+n])
	for c := i + 1; c < n; c++ {
		old := f.data[c*f.stride:]
		to := f.data[(c-1)*f.stride:]
		r := math.Sqrt(float64(old[c]*old[c]) + float64(v[c]*v[c]))
		cos, sin := old[c]/r, v[c]/r
		to[c-1] = r
		rotate(cos, sin, to[c:n-1], old[c+1:n], v[c+1:n])
	}
	f.n--
}

// forward overwrites x with L⁻¹x.
func (f *factor) forward(x []float64) {
	x = x[:f.n]
	c := 0
	for ; c+4 <= f.n; c += 4 {
		col0, col1, col2, col3 := f.col(c), f.col(c+1), f.col(c+2), f.col(c+3)
		a := x[c] / col0[0]
		b := (x[c+1] - float64(a*col0[1])) / col1[0]
		d := (x[c+2] - float64(a*col0[2]) - float64(b*col1[1])) / col2[0]
		e := (x[c+3] - float64(a*col0[3]) - float64(b*col1[2]) - float64(d*col2[1])) / col3[0]
		x[c], x[c+1], x[c+2], x[c+3] = a, b, d, e
		axpy4(&[4]float64{-a, -b, -d, -e}, col0[4:], col1[3:], col2[2:], col3[1:], x[c+4:])
	}
	for ; c < f.n; c++ {
		col := f.col(c)
		x[c] /= col[0]
		axpy(-x[c], col[1:], x[c+1:])
	}
}

// col returns column c from the diagonal down.
func (f *factor) col(c int) []float64 { return f.data[c*f.stride+c : c*f.stride+f.n] }

// backward overwrites x with L⁻ᵀx.
func (f *factor) backward(x []float64) {
	x = x[:f.n]
	for c := f.n - 1; c >= 0; c-- {
		col := f.data[c*f.stride : c*f.stride+f.n]
		x[c] = (x[c] - dot(col[c+1:], x[c+1:])) / col[c]
	}
}

// solve overwrites x with (LLᵀ)⁻¹x.
func (f *factor) solve(x []float64) {
	f.forward(x)
	f.backward(x)
}
