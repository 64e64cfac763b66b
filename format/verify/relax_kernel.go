package verify

// entries is where the entries of a row lie: in consecutive columns from first on, or in those listed.
type entries struct {
	first   int32
	columns []int32 // nil: consecutive
}

func (r *relaxation) columnsOf(i int) entries {
	columns := r.columns[r.start[i]:r.start[i+1]]
	if last := columns[len(columns)-1]; int(last-columns[0]) == len(columns)-1 {
		return entries{first: columns[0]}
	}
	return entries{columns: columns}
}

// add adds row·up to one vector and row·low to another. Products are rounded before they are added, as
// everywhere: the same bits on every machine.
func (e entries) add(up, low, row []float64, onUp, onLow float64) {
	if e.columns != nil {
		for k, j := range e.columns {
			x := row[k]
			up[j] += float64(onUp * x)
			low[j] += float64(onLow * x)
		}
		return
	}
	up, low = up[e.first:][:len(row)], low[e.first:][:len(row)]
	for k, x := range row {
		up[k] += float64(onUp * x)
		low[k] += float64(onLow * x)
	}
}

// addAll adds the integers' row to a and both rows to g of two forms.
func (e entries) addAll(up, low *form, t, gap, w []float64, dUp, dLow, zUp, zLow float64) {
	if e.columns != nil {
		for k, j := range e.columns {
			x, y, z := t[k], gap[k], w[k]
			up.a[j] += float64(dUp * x)
			low.a[j] += float64(dLow * x)
			up.g[j] += float64(dUp*y) + float64(zUp*z)
			low.g[j] += float64(dLow*y) + float64(zLow*z)
		}
		return
	}
	n := len(t)
	gap, w = gap[:n], w[:n]
	upA, lowA, upG, lowG := up.a[e.first:][:n], low.a[e.first:][:n], up.g[e.first:][:n], low.g[e.first:][:n]
	for k, x := range t {
		y, z := gap[k], w[k]
		upA[k] += float64(dUp * x)
		lowA[k] += float64(dLow * x)
		upG[k] += float64(dUp*y) + float64(zUp*z)
		lowG[k] += float64(dLow*y) + float64(zLow*z)
	}
}
