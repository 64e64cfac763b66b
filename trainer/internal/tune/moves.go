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

// load fills a line with one input of samples that begin at `at` and are moved by `move`.
func (m Moves) load(line, inputs []float32, at, move []int, input int) {
	from := make([]int, 0, 8)
	for _, table := range m {
		from = append(from, int(table[input]))
	}
	for lane, first := range at {
		line[lane] = 0
		if j := from[move[lane]]; j >= 0 {
			line[lane] = inputs[first+j]
		}
	}
}
