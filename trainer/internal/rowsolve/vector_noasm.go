//go:build !amd64 || noasm || purego

package rowsolve

func dot(x, y []float64) float64 { return dotGeneric(x, y) }

func axpy(a float64, x, y []float64) { axpyGeneric(a, x, y) }

func axpy4(a *[4]float64, x0, x1, x2, x3, y []float64) { axpy4Generic(a, x0, x1, x2, x3, y) }

func rotate(c, s float64, dst, x, v []float64) { rotateGeneric(c, s, dst, x, v) }

func tile(acc *[tileRows * tileCols]float64, a, b []float64, list []int32) {
	tileGeneric(acc, a, b, list)
}

func tile2(acc *[2][tileRows * tileCols]float64, a, b0, b1 []float64, list []int32) {
	tileGeneric(&acc[0], a, b0, list)
	tileGeneric(&acc[1], a, b1, list)
}

func addTile(dst []float64, stride int, acc *[tileRows * tileCols]float64) {
	addTileGeneric(dst, stride, acc)
}
