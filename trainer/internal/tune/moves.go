package tune

// Moves are ways to see a sample: value j of a sample moved by move v is its value Moves[v][j], or 0 where
// that is −1. The first leaves it as it is.
type Moves [][]int32

// Apply writes a sample moved by move v.
func (m Moves) Apply(dst, sample []float32, v int) {
	for at, from := range m[v] {
		dst[at] = 0
		if from >= 0 {
			dst[at] = sample[from]
		}
	}
}

// load fills a line with value `at` of the chosen variants.
func (m Moves) load(line, inputs []float32, width, at int, chosen []int) {
	for k, variant := range chosen {
		line[k] = 0
		if from := m[variant%len(m)][at]; from >= 0 {
			line[k] = inputs[variant/len(m)*width+int(from)]
		}
	}
}
