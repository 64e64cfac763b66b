package rowsolve

// The generic kernels below are the specification of the assembly: the same bits, because every
// product is rounded before it is added and sums are kept in a fixed number of lanes.

// dotLanes is the number of partial sums of a dot product.
const dotLanes = 16

// dotGeneric returns Σ x_i y_i: lane l sums the i ≡ l (mod 16) below the largest multiple of 16, the
// lanes are added in the order 0+4+8+12 (and so on), then (0+2)+(1+3), and the rest is added one by one.
func dotGeneric(x, y []float64) float64 {
	var lane [dotLanes]float64
	y = y[:len(x)]
	n := len(x) &^ (dotLanes - 1)
	for i := 0; i < n; i += dotLanes {
		a, b := x[i:i+dotLanes], y[i:i+dotLanes]
		for l := range lane {
			lane[l] += float64(a[l] * b[l])
		}
	}
	var four [4]float64
	for l := range four {
		four[l] = (lane[l] + lane[l+4]) + (lane[l+8] + lane[l+12])
	}
	sum := (four[0] + four[2]) + (four[1] + four[3])
	for i := n; i < len(x); i++ {
		sum += float64(x[i] * y[i])
	}
	return sum
}

// axpyGeneric adds a·x to y.
func axpyGeneric(a float64, x, y []float64) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += float64(a * v)
	}
}

// axpy4Generic adds a0·x0, a1·x1, a2·x2, a3·x3 to y, in this order. All are as long as y.
func axpy4Generic(a *[4]float64, x0, x1, x2, x3, y []float64) {
	x0, x1, x2, x3 = x0[:len(y)], x1[:len(y)], x2[:len(y)], x3[:len(y)]
	for i := range y {
		v := y[i] + float64(a[0]*x0[i])
		v += float64(a[1] * x1[i])
		v += float64(a[2] * x2[i])
		y[i] = v + float64(a[3]*x3[i])
	}
}

// rotateGeneric applies a plane rotation: dst_i = c·x_i + s·v_i and v_i = c·v_i − s·x_i. dst and x do
// not overlap.
func rotateGeneric(c, s float64, dst, x, v []float64) {
	dst, v = dst[:len(x)], v[:len(x)]
	for i, a := range x {
		b := v[i]
		dst[i] = float64(c*a) + float64(s*b)
		v[i] = float64(c*b) - float64(s*a)
	}
}
