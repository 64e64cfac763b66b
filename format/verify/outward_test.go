package verify

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
)

// numbers draws floats of every size and sign, with exact cases, neighbours and subnormal numbers among them.
func numbers(r *rand.Rand) float64 {
	switch r.IntN(8) {
	case 0:
		return float64(r.IntN(9) - 4)
	case 1:
		return math.Ldexp(1, r.IntN(40)-20)
	case 2:
		return math.Float64frombits(r.Uint64N(1 << 40)) // subnormal
	case 3:
		return nextUp(float64(r.IntN(3)))
	case 4:
		return math.Ldexp(r.NormFloat64(), r.IntN(2000)-1000)
	}
	return r.NormFloat64()
}

func TestEveryOperationIsRoundedToTheNamedSideAndNoFurther(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 60000 {
		a, b := numbers(r), numbers(r)
		x, y := rat(a), rat(b)
		holds(t, "sum", a, b, add(x, y), addDown(a, b), addUp(a, b))
		holds(t, "difference", a, b, sub(x, y), subDown(a, b), subUp(a, b))
		holds(t, "product", a, b, mul(x, y), mulDown(a, b), mulUp(a, b))
		if b > 0 {
			holds(t, "quotient", a, b, mul(x, new(big.Rat).Inv(y)), divDown(a, b), divUp(a, b))
		}
	}
}

// holds checks lo ≤ exact ≤ hi, and that both are the exact result or, above underflow, its neighbours.
func holds(t *testing.T, name string, a, b float64, exact *big.Rat, lo, hi float64) {
	t.Helper()
	if !math.IsInf(lo, -1) && !math.IsInf(lo, 1) && rat(lo).Cmp(exact) > 0 {
		t.Fatalf("%s of %g and %g: the lower bound %g lies above it", name, a, b, lo)
	}
	if !math.IsInf(hi, 1) && !math.IsInf(hi, -1) && rat(hi).Cmp(exact) < 0 {
		t.Fatalf("%s of %g and %g: the upper bound %g lies below it", name, a, b, hi)
	}
	if math.IsNaN(lo) || math.IsNaN(hi) || math.IsInf(lo, 1) || math.IsInf(hi, -1) {
		t.Fatalf("%s of %g and %g: bounds %g, %g", name, a, b, lo, hi)
	}
	if size := math.Abs(hi); size < 0x1p-900 || math.IsInf(hi, 0) || math.IsInf(lo, 0) {
		return
	}
	if math.Abs(a) < underflow || math.Abs(b) < underflow {
		return
	}
	if lo != hi && nextUp(lo) != hi {
		t.Fatalf("%s of %g and %g: bounds %g and %g are not neighbours", name, a, b, lo, hi)
	}
	if lo != hi && (rat(lo).Cmp(exact) == 0 || rat(hi).Cmp(exact) == 0) {
		t.Fatalf("%s of %g and %g is exact, the bounds are %g and %g", name, a, b, lo, hi)
	}
}

func TestIntervalsEncloseEveryProductOfTheirMembers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	draw := func() interval {
		a, b := r.NormFloat64(), r.NormFloat64()
		if r.IntN(4) == 0 {
			a = 0
		}
		return interval{min(a, b), max(a, b)}
	}
	for range 5000 {
		v, w := draw(), draw()
		product, sum := v.mul(w), v.add(w)
		for _, a := range []float64{v.lo, v.hi, (v.lo + v.hi) / 2} {
			for _, b := range []float64{w.lo, w.hi, (w.lo + w.hi) / 2} {
				exact := mul(rat(a), rat(b))
				if rat(product.lo).Cmp(exact) > 0 || rat(product.hi).Cmp(exact) < 0 {
					t.Fatalf("%v · %v = %v does not hold %g · %g", v, w, product, a, b)
				}
				exact = add(rat(a), rat(b))
				if rat(sum.lo).Cmp(exact) > 0 || rat(sum.hi).Cmp(exact) < 0 {
					t.Fatalf("%v + %v = %v does not hold %g + %g", v, w, sum, a, b)
				}
			}
		}
	}
}

func TestIntegersOfAnySizeAreEnclosed(t *testing.T) {
	for _, text := range []string{"0", "-7", "9007199254740993", "-9007199254740993", "123456789012345678901234567890", "9223372036854775807"} {
		v, _ := new(big.Int).SetString(text, 10)
		got, exact := integer(v), new(big.Rat).SetInt(v)
		if rat(got.lo).Cmp(exact) > 0 || rat(got.hi).Cmp(exact) < 0 || got.lo != got.hi && nextUp(got.lo) != got.hi {
			t.Errorf("%s is enclosed by %v", text, got)
		}
		if v.IsInt64() {
			if small := fromInt(v.Int64()); rat(small.lo).Cmp(exact) > 0 || rat(small.hi).Cmp(exact) < 0 {
				t.Errorf("%s is enclosed by %v", text, small)
			}
		}
	}
}

// TestCurvesAreEnclosed holds the enclosures against e^x by its series in 200-bit arithmetic.
func TestCurvesAreEnclosed(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for k := range 3000 {
		x := r.NormFloat64() * 6
		switch k % 10 {
		case 0:
			x /= 1e9
		case 1:
			x = float64(k%60 - 30)
		}
		e := preciseExp(-x)
		one := big.NewFloat(1).SetPrec(200)
		sigmoid := new(big.Float).Quo(one, new(big.Float).Add(one, e))
		e2 := new(big.Float).Mul(e, e)
		tanh := new(big.Float).Quo(new(big.Float).Sub(one, e2), new(big.Float).Add(one, e2))
		for kind, exact := range map[simb.Kind]*big.Float{simb.Sigmoid: sigmoid, simb.Tanh: tanh} {
			got := curve(kind, x)
			if big.NewFloat(got.lo).Cmp(exact) > 0 || big.NewFloat(got.hi).Cmp(exact) < 0 {
				t.Fatalf("%v(%g) = %v is not in [%g, %g]", model.Kind(kind), x, exact, got.lo, got.hi)
			}
			if got.hi-got.lo > 4*curveError {
				t.Fatalf("%v(%g) is only known within %g", model.Kind(kind), x, got.hi-got.lo)
			}
		}
	}
}

// preciseExp returns e^x to about 60 digits: its series at x/2¹⁰, squared ten times.
func preciseExp(x float64) *big.Float {
	small := new(big.Float).SetPrec(260).SetMantExp(big.NewFloat(x).SetPrec(260), -10)
	sum, term := big.NewFloat(1).SetPrec(260), big.NewFloat(1).SetPrec(260)
	for k := 1; k < 50; k++ {
		term.Mul(term, small)
		term.Quo(term, big.NewFloat(float64(k)).SetPrec(260))
		sum.Add(sum, term)
	}
	for range 10 {
		sum.Mul(sum, sum)
	}
	return sum
}
