package model

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"testing"
)

const oraclePrecision = 300 // bits

// bigExp returns e^x to at least 250 bits: x is halved until it is small, then the series, then squared.
func bigExp(x float64) *big.Float {
	const halvings = 20
	r := new(big.Float).SetPrec(oraclePrecision).SetFloat64(x)
	r.SetMantExp(r, -halvings)
	sum, term := bigFloat(1), bigFloat(1)
	for i := int64(1); i < 40; i++ {
		term.Mul(term, r)
		term.Quo(term, new(big.Float).SetPrec(oraclePrecision).SetInt64(i))
		sum.Add(sum, term)
	}
	for range halvings {
		sum.Mul(sum, sum)
	}
	return sum
}

func bigFloat(v float64) *big.Float { return new(big.Float).SetPrec(oraclePrecision).SetFloat64(v) }

func bigTanh(x float64) *big.Float {
	e := bigExp(-2 * math.Abs(x))
	t := new(big.Float).Quo(new(big.Float).Sub(bigFloat(1), e), new(big.Float).Add(bigFloat(1), e))
	if x < 0 {
		t.Neg(t)
	}
	return t
}

func bigSigmoid(x float64) *big.Float {
	return new(big.Float).Quo(bigFloat(1), new(big.Float).Add(bigFloat(1), bigExp(-x)))
}

// errorOf returns |got − want|.
func errorOf(got float64, want *big.Float) float64 {
	e, _ := new(big.Float).Abs(new(big.Float).Sub(bigFloat(got), want)).Float64()
	return e
}

// points are arguments at every scale: tiny to large, the seams of the range reduction at odd multiples
// of ln2/2, and the ends of the range.
func points() []float64 {
	g := generator(11)
	list := []float64{0, math.Copysign(0, -1), 5e-324, 1, -1, 22, math.Nextafter(22, 23), 709.782712893384, -708.39, -745.1332191019412}
	for range 1500 {
		v := math.Ldexp(float64(g.unit()), g.below(60)-50) // up to 2⁹
		list = append(list, v, -v)
	}
	for k := -1022; k < 1023; k += 7 {
		seam := (float64(k) + 0.5) * math.Ln2
		list = append(list, seam, math.Nextafter(seam, 1e9), math.Nextafter(seam, -1e9))
	}
	return list
}

func TestExpKeepsItsBound(t *testing.T) {
	worst := 0.0
	for _, x := range points() {
		got, want := Exp(x), bigExp(x)
		size, _ := want.Float64()
		e := errorOf(got, want)
		if size < 0x1p-1022 {
			if e > 0x1p-1074 {
				t.Errorf("Exp(%v) = %v, off by %g in the subnormal range", x, got, e)
			}
			continue
		}
		if math.IsInf(size, 0) {
			if !math.IsInf(got, 1) {
				t.Errorf("Exp(%v) = %v where e^x overflows", x, got)
			}
			continue
		}
		worst = max(worst, e/size)
		if !(e/size < 0x1p-50) {
			t.Errorf("Exp(%v) = %v, relative error %g", x, got, e/size)
		}
	}
	t.Logf("largest relative error 2^%.2f", math.Log2(worst))
}

func TestTanhAndSigmoidKeepTheirBounds(t *testing.T) {
	for name, f := range map[string]struct {
		ours   func(float64) float64
		oracle func(float64) *big.Float
	}{"TanhOf": {TanhOf, bigTanh}, "SigmoidOf": {SigmoidOf, bigSigmoid}} {
		worst := 0.0
		for _, x := range points() {
			e := errorOf(f.ours(x), f.oracle(x))
			worst = max(worst, e)
			if !(e < 0x1p-50) {
				t.Errorf("%s(%v) = %v, error %g", name, x, f.ours(x), e)
			}
		}
		t.Logf("%s: largest error 2^%.2f", name, math.Log2(worst))
	}
}

func TestElementaryFunctionsAtTheirEnds(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, test := range []struct {
		name      string
		got, want float64
	}{
		{"Exp(0)", Exp(0), 1}, {"Exp(Inf)", Exp(inf), inf}, {"Exp(-Inf)", Exp(-inf), 0}, {"Exp(NaN)", Exp(nan), nan},
		{"Exp(710)", Exp(710), inf}, {"Exp(-746)", Exp(-746), 0}, {"Exp(-745.1)", Exp(-745.1), 5e-324},
		{"TanhOf(0)", TanhOf(0), 0}, {"TanhOf(Inf)", TanhOf(inf), 1}, {"TanhOf(-Inf)", TanhOf(-inf), -1}, {"TanhOf(NaN)", TanhOf(nan), nan},
		{"SigmoidOf(0)", SigmoidOf(0), 0.5}, {"SigmoidOf(Inf)", SigmoidOf(inf), 1}, {"SigmoidOf(-Inf)", SigmoidOf(-inf), 0},
		{"SigmoidOf(-1000)", SigmoidOf(-1000), 0}, {"SigmoidOf(NaN)", SigmoidOf(nan), nan},
	} {
		if test.got != test.want && !(math.IsNaN(test.got) && math.IsNaN(test.want)) {
			t.Errorf("%s = %v, want %v", test.name, test.got, test.want)
		}
	}
}

func TestElementaryFunctionsDoNotFall(t *testing.T) {
	before := [2]float64{-1, 0}
	for k := -40000; k <= 40000; k++ {
		x := float64(k) / 1000
		now := [2]float64{TanhOf(x), SigmoidOf(x)}
		for f := range now {
			if now[f] < before[f]-0x1p-50 || now[f] > 1 || now[f] < -1 {
				t.Fatalf("function %d at %g: %v after %v", f, x, now[f], before[f])
			}
		}
		if TanhOf(-x) != -TanhOf(x) {
			t.Fatalf("tanh is not odd at %g", x)
		}
		before = now
	}
}

// TestElementaryBitsAreTheSameOnEveryMachine is run on every architecture of CI.
func TestElementaryBitsAreTheSameOnEveryMachine(t *testing.T) {
	hash := sha256.New()
	var b [8]byte
	for _, x := range points() {
		for _, v := range []float64{Exp(x), TanhOf(x), SigmoidOf(x)} {
			binary.LittleEndian.PutUint64(b[:], math.Float64bits(v))
			hash.Write(b[:])
		}
	}
	const want = "991d1efe20a10d533368dce61e0e486e541c837ac28a2e11f96e6d31ea61c5d4"
	if got := fmt.Sprintf("%x", hash.Sum(nil)); got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
}
