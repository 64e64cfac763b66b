package teacher

import "math"

// stepConstants are the numbers of one AdamW step. The assembly knows the order.
type stepConstants struct {
	keep1, take1 float32 // first moment ← keep1·moment + take1·gradient
	keep2, take2 float32 // second moment ← keep2·moment + take2·gradient²
	unbias2      float32 // 1/√(1 − β₂ᵗ)
	epsilon      float32
	rate         float32 // learning rate / (1 − β₁ᵗ)
	keep         float32 // 1 − learning rate · weight decay
	tiny         float32 // moments below become 0; they would decay into subnormal numbers, which are slow
}

// accumulateGeneric is the specification of accumulate: dst += Σ values[k] · row rows[k] of m, in the
// order of k. Rows are as long as dst, a multiple of lanes.
func accumulateGeneric(dst, m, values []float32, rows []int32) {
	for k, v := range values {
		row := m[int(rows[k])*len(dst):][:len(dst)]
		for c, w := range row {
			dst[c] += float32(v * w)
		}
	}
}

// updateGeneric is the specification of update: one AdamW step on weights with moments first and second.
// All have the same length, a multiple of lanes.
func updateGeneric(c *stepConstants, weights, first, second, gradient []float32) {
	for k, g := range gradient {
		m := float32(c.keep1*first[k]) + float32(c.take1*g)
		if m < c.tiny && m > -c.tiny {
			m = 0
		}
		v := float32(c.keep2*second[k]) + float32(c.take2*float32(g*g))
		if v < c.tiny {
			v = 0
		}
		first[k], second[k] = m, v
		root := float32(math.Sqrt(float64(v)))
		step := m / (float32(c.unbias2*root) + c.epsilon)
		weights[k] = float32(c.keep*weights[k]) - float32(c.rate*step)
	}
}
