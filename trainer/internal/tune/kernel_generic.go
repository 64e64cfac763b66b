package tune

// lanes is how many samples are computed together. A line holds one number of each: column j of an array
// of lines is lines[j·lanes : (j+1)·lanes].
const lanes = 64

// gatherGeneric is the specification of gather: dst += Σ weights[k] · column cols[k] of lines, in the
// order of k.
func gatherGeneric(dst, lines []float32, cols []int32, weights []float32) {
	dst = dst[:lanes]
	for k, w := range weights[:len(cols)] {
		line := lines[int(cols[k])*lanes:][:lanes]
		for s, v := range line {
			dst[s] += float32(w * v)
		}
	}
}

// dotsGeneric is the specification of dots: dst[k] = line · column cols[k] of lines. Samples 8v+l, v = 0 … 7,
// are summed pairwise for every l, then the eight sums pairwise.
func dotsGeneric(dst, line, lines []float32, cols []int32) {
	line = line[:lanes]
	for k, j := range cols {
		column := lines[int(j)*lanes:][:lanes]
		var part [8]float32
		for l := range part {
			var p [8]float32
			for v := range p {
				p[v] = float32(line[8*v+l] * column[8*v+l])
			}
			part[l] = ((p[0] + p[1]) + (p[2] + p[3])) + ((p[4] + p[5]) + (p[6] + p[7]))
		}
		dst[k] = ((part[0] + part[4]) + (part[1] + part[5])) + ((part[2] + part[6]) + (part[3] + part[7]))
	}
}

// scatterGeneric is the specification of scatter: column cols[k] of lines += weights[k] · line. No column
// occurs twice.
func scatterGeneric(lines, line []float32, cols []int32, weights []float32) {
	line = line[:lanes]
	for k, w := range weights[:len(cols)] {
		column := lines[int(cols[k])*lanes:][:lanes]
		for s, v := range line {
			column[s] += float32(w * v)
		}
	}
}
