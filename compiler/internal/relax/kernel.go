package relax

// Sums over rows with contiguous columns. Rows are taken several at a time, so that the sums are read and
// written less often.

// addRow is y += c·x.
func addRow(y, x []float64, c float64) {
	x = x[:len(y)]
	for k, v := range x {
		y[k] += float64(c * v)
	}
}

// addRows is y += Σ c_r·x_r over the rows at the given offsets of values.
func addRows(y, values []float64, offsets []int, c []float64) {
	n, r := len(y), 0
	for ; r+4 <= len(offsets); r += 4 {
		x0, x1 := values[offsets[r]:][:n], values[offsets[r+1]:][:n]
		x2, x3 := values[offsets[r+2]:][:n], values[offsets[r+3]:][:n]
		c0, c1, c2, c3 := c[r], c[r+1], c[r+2], c[r+3]
		for k := range y {
			y[k] += float64(c0*x0[k]) + float64(c1*x1[k]) + (float64(c2*x2[k]) + float64(c3*x3[k]))
		}
	}
	for ; r < len(offsets); r++ {
		addRow(y, values[offsets[r]:], c[r])
	}
}

// scatterRow is y[columns] += c·x.
func scatterRow(y []float64, columns []int32, x []float64, c float64) {
	x = x[:len(columns)]
	for k, j := range columns {
		y[j] += float64(c * x[k])
	}
}
