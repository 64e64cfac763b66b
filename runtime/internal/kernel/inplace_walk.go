package kernel

// The loops of models in place. Gaps below 128 take one byte, and most are: four of them at a time are
// looked at together (BenchmarkInfer; tools/instructions counts). A column outside of q is left out, which
// is the check of q's bounds as well.

// walk32 returns Σ w·q modulo 2³² over the columns of a row of one plane that lie within q, and how many
// bytes of gaps, which begin with the row's, it has read. next is where in q column 0 lies.
func walk32[T Activation](gaps, values []byte, q []T, next int) (sum int32, read int) {
	var even, odd int32
	for {
		short := gaps[read : read+len(values) : read+len(values)] // as long as all gaps take one byte
		k := 0
		for ; k <= len(values)-4; k += 4 {
			g, w := short[k:k+4:k+4], values[k:k+4:k+4]
			d0, d1, d2, d3 := int(g[0]), int(g[1]), int(g[2]), int(g[3])
			if d0|d1|d2|d3 >= 0x80 {
				break
			}
			j0 := next + d0
			if uint(j0) < uint(len(q)) {
				even += int32(int8(w[0])) * int32(q[j0])
			}
			j1 := j0 + d1 + 1
			if uint(j1) < uint(len(q)) {
				odd += int32(int8(w[1])) * int32(q[j1])
			}
			j2 := j1 + d2 + 1
			if uint(j2) < uint(len(q)) {
				even += int32(int8(w[2])) * int32(q[j2])
			}
			j3 := j2 + d3 + 1
			if uint(j3) < uint(len(q)) {
				odd += int32(int8(w[3])) * int32(q[j3])
			}
			next = j3 + 1
		}
		for ; k < len(values) && short[k] < 0x80; k++ {
			j := next + int(short[k])
			if uint(j) < uint(len(q)) {
				even += int32(int8(values[k])) * int32(q[j])
			}
			next = j + 1
		}
		read += k
		if k == len(values) {
			return even + odd, read
		}
		gap, following := uvarint(gaps, read)
		if j := next + gap; uint(j) < uint(len(q)) {
			odd += int32(int8(values[k])) * int32(q[j])
		}
		read, next, values = following, next+gap+1, values[k+1:]
	}
}

// walk64 returns Σ w·q exactly for a row of two planes, whose high one is values. low is as long as values.
func walk64[T Activation](gaps, values, low []byte, q []T, next int) (sum int64, read int) {
	low = low[:len(values)]
	for k, v := range values {
		gap := int(gaps[read])
		read++
		if gap >= 0x80 {
			gap, read = uvarint(gaps, read-1)
		}
		j := next + gap
		next = j + 1
		if uint(j) < uint(len(q)) {
			weight := int32(int8(v))<<7 + int32(int8(low[k]))
			sum += int64(weight * int32(q[j]))
		}
	}
	return sum, read
}
