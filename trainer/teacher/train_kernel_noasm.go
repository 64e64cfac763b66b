//go:build !amd64 || noasm || purego

package teacher

func accumulate(dst, m, values []float32, rows []int32) { accumulateGeneric(dst, m, values, rows) }

func update(c *stepConstants, weights, first, second, gradient []float32) {
	updateGeneric(c, weights, first, second, gradient)
}
