//go:build !amd64 || noasm || purego

package tune

func gather(dst, lines []float32, cols []int32, weights []float32) {
	gatherGeneric(dst, lines, cols, weights)
}

func dots(dst, line, lines []float32, cols []int32) { dotsGeneric(dst, line, lines, cols) }

func scatter(lines, line []float32, cols []int32, weights []float32) {
	scatterGeneric(lines, line, cols, weights)
}
