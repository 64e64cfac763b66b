package model

import "math"

// Exp returns e^x in float64, with the same bits on every architecture: only additions,
// multiplications and divisions that are rounded one by one (never fused) lead to it. The relative
// error is below 2⁻⁵⁰ where the result is a normal number; overflow gives +Inf, underflow 0.
//
// Method: x = k·ln2 + r with |r| ≤ ln2/2 (ln2 in two parts), then e^r by its Taylor series to r¹⁴ in
// Horner's form.
func Exp(x float64) float64 {
	switch {
	case math.IsNaN(x):
		return x
	case x > 709.782712893384:
		return math.Inf(1)
	case x < -745.1332191019412:
		return 0
	}
	const (
		ln2Hi  = 6.93147180369123816490e-01 // the upper 33 bits, so that k·ln2Hi is exact
		ln2Lo  = 1.90821492927058770002e-10
		invLn2 = 1.44269504088896338700e+00
		degree = 14
	)
	k := math.Floor(float64(x*invLn2) + 0.5)
	r := float64(x-float64(k*ln2Hi)) - float64(k*ln2Lo)
	sum := 1.0
	for i := degree; i >= 1; i-- {
		sum = float64(float64(sum*r)/float64(i)) + 1
	}
	return math.Ldexp(sum, int(k))
}

// TanhOf returns tanh(x) with the same bits on every architecture; absolute error below 2⁻⁵⁰.
func TanhOf(x float64) float64 {
	switch {
	case math.IsNaN(x):
		return x
	case x < 0:
		return -TanhOf(-x)
	case x > 22:
		return 1
	}
	e := Exp(-2 * x)
	return float64(1-e) / float64(1+e)
}

// SigmoidOf returns 1/(1+e^−x) with the same bits on every architecture; absolute error below 2⁻⁵⁰.
func SigmoidOf(x float64) float64 {
	if x < 0 {
		e := Exp(x)
		return e / float64(1+e)
	}
	return 1 / float64(1+Exp(-x))
}
