package tune

import "slices"

// confine projects the part of every row that reads its own loop onto ‖a‖₁ ≤ κ.
func (t *tuner) confine() {
	for _, g := range t.plan.groups {
		if !g.loop {
			continue
		}
		for _, i := range g.states {
			r := t.plan.rows[i]
			projectL1(t.params.weights[r.first:r.inner], t.options.Kappa)
		}
	}
}

// projectL1 moves w to the nearest point with Σ|w| ≤ radius: each |w_j| shrinks by the same amount, down to
// 0 at most (Duchi, Shalev-Shwartz, Singer, Chandra, ICML 2008). Exact by sorting.
func projectL1(w []float32, radius float64) {
	sum := 0.0
	for _, v := range w {
		sum += float64(max(v, -v))
	}
	if sum <= radius {
		return
	}
	sizes := make([]float64, len(w))
	for k, v := range w {
		sizes[k] = float64(max(v, -v))
	}
	slices.Sort(sizes)
	slices.Reverse(sizes)
	shrink, total := 0.0, 0.0
	for k, v := range sizes {
		total += v
		if by := (total - radius) / float64(k+1); v > by {
			shrink = by
		}
	}
	for k, v := range w {
		size := max(float64(max(v, -v))-shrink, 0)
		// Rounding to float32 must not leave the ball: toward zero by one part in 2²³.
		size *= 1 - 0x1p-22
		if v < 0 {
			size = -size
		}
		w[k] = float32(size)
	}
}
