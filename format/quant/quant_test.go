package quant

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestWidths(t *testing.T) {
	for _, test := range []struct {
		width        Width
		max          int32
		bytes, table int
		lo, hi       int64
	}{{Width7, 127, 1, 256, -128, 127}, {Width14, 16383, 2, 257, -32768, 32767}} {
		lo, hi := test.width.TableDomain()
		if w := test.width; !w.Valid() || w.Max() != test.max || w.Bytes() != test.bytes || w.TableLen() != test.table || lo != test.lo || hi != test.hi {
			t.Errorf("width %d: %d %d %d %d %d", w, w.Max(), w.Bytes(), w.TableLen(), lo, hi)
		}
	}
	for _, w := range []Width{0, 1, 6, 8, 13, 15, 255} {
		if w.Valid() {
			t.Errorf("%d is a valid width", w)
		}
	}
}

func TestEveryTwoPlaneWeightIsSplitAndJoined(t *testing.T) {
	if TwoPlaneMin != -8256 || TwoPlaneMax != 8127 {
		t.Fatalf("weights from %d to %d", TwoPlaneMin, TwoPlaneMax)
	}
	for w := TwoPlaneMin; w <= TwoPlaneMax; w++ {
		hi, lo := SplitPlanes(int16(w))
		if hi < -64 || hi > 63 || lo < -64 || lo > 63 || 128*int(hi)+int(lo) != w || JoinPlanes(hi, lo) != int16(w) {
			t.Errorf("%d is split into %d and %d", w, hi, lo)
		}
	}
}

// roundHalfUp returns ⌊num/2^shift + 1/2⌋ in integers of any size.
func roundHalfUp(num *big.Int, shift uint) *big.Int {
	half := new(big.Int).Lsh(big.NewInt(1), shift-1)
	return half.Rsh(half.Add(half, num), shift) // Rsh rounds toward −∞
}

func drawMultiplier(t *rapid.T) Multiplier {
	bits := rapid.IntRange(1, 31).Draw(t, "bits of M")
	m := rapid.Int64Range(1, 1<<bits-1).Draw(t, "M")
	return Multiplier{int32(m), uint8(rapid.IntRange(MinShift, MaxShift).Draw(t, "S"))}
}

func TestRequantiseRoundsHalfUpWithoutOverflow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMultiplier(t)
		limit := m.AccumulatorLimit()
		acc := rapid.OneOf(
			rapid.Int64Range(-limit, limit),
			rapid.Int64Range(-min(limit, 1000), min(limit, 1000)),
			rapid.SampledFrom([]int64{-limit, limit, 1 - limit, limit - 1, 0}),
		).Draw(t, "acc")
		product := new(big.Int).Mul(big.NewInt(acc), big.NewInt(int64(m.M)))
		if want := roundHalfUp(product, uint(m.S)); !want.IsInt64() || want.Int64() != m.Requantise(acc) {
			t.Fatalf("%d·%d/2^%d is %d, want %s", acc, m.M, m.S, m.Requantise(acc), want)
		}
	})
}

func TestRequantiseTies(t *testing.T) {
	for _, test := range []struct {
		m         Multiplier
		acc, want int64
	}{
		{Multiplier{1, 1}, 1, 1}, {Multiplier{1, 1}, -1, 0}, {Multiplier{1, 1}, 3, 2}, {Multiplier{1, 1}, -3, -1},
		{Multiplier{3, 2}, 2, 2}, {Multiplier{3, 2}, -2, -1}, {Multiplier{1, 2}, 1, 0}, {Multiplier{1, 2}, -1, 0}, {Multiplier{1, 2}, -3, -1},
	} {
		if got := test.m.Requantise(test.acc); got != test.want {
			t.Errorf("%d·%d/2^%d = %d, want %d", test.acc, test.m.M, test.m.S, got, test.want)
		}
	}
}

// TestAccumulatorLimitIsTheLargest: at the limit acc·M + 2^(S−1) fits int64, one above it does not.
func TestAccumulatorLimitIsTheLargest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMultiplier(t)
		fits := func(acc *big.Int) bool {
			sum := new(big.Int).Mul(acc, big.NewInt(int64(m.M)))
			return sum.Add(sum, new(big.Int).Lsh(big.NewInt(1), uint(m.S-1))).IsInt64()
		}
		limit := big.NewInt(m.AccumulatorLimit())
		if !fits(limit) || !fits(new(big.Int).Neg(limit)) {
			t.Fatalf("M = %d, S = %d: overflow at the limit %s", m.M, m.S, limit)
		}
		if fits(limit.Add(limit, big.NewInt(1))) {
			t.Fatalf("M = %d, S = %d: %s still fits", m.M, m.S, limit)
		}
	})
}

// distance returns |m/2^s − ratio|, exactly.
func distance(m int64, s int, ratio float64) *big.Rat {
	d := new(big.Rat).SetFrac(big.NewInt(m), new(big.Int).Lsh(big.NewInt(1), uint(s)))
	return d.Abs(d.Sub(d, new(big.Rat).SetFloat64(ratio)))
}

// TestNewMultiplierIsTheNearest tries every multiplier of few bits.
func TestNewMultiplierIsTheNearest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mantissa := rapid.IntRange(1, 6).Draw(t, "bits")
		ratio := math.Ldexp(rapid.Float64Range(0.5, 1).Draw(t, "fraction"), rapid.IntRange(mantissa-61, mantissa-2).Draw(t, "exponent"))
		got, err := NewMultiplier(ratio, mantissa)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Valid() || got.M >= 1<<mantissa {
			t.Fatalf("%g with %d bits: %+v", ratio, mantissa, got)
		}
		best := distance(int64(got.M), int(got.S), ratio)
		for s := MinShift; s <= MaxShift; s++ {
			for m := range int64(1)<<mantissa - 1 {
				if distance(m+1, s, ratio).Cmp(best) < 0 {
					t.Fatalf("%g with %d bits: %+v, but %d/2^%d is nearer", ratio, mantissa, got, m+1, s)
				}
			}
		}
	})
}

func TestNewMultiplierKeepsItsBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mantissa := rapid.IntRange(1, 31).Draw(t, "bits")
		ratio := math.Ldexp(rapid.Float64Range(0.5, 1).Draw(t, "fraction"), rapid.IntRange(-70, 40).Draw(t, "exponent"))
		got, err := NewMultiplier(ratio, mantissa)
		switch scaled := math.Ldexp(ratio, MaxShift); {
		case scaled <= 0.5 || ratio >= MaxMultiplier/2+1:
			if err == nil {
				t.Fatalf("%g is expressed as %+v", ratio, got)
			}
			return
		case err != nil && ratio < MaxMultiplier/2:
			t.Fatalf("%g: %v", ratio, err)
		case err != nil:
			return // between the largest M/2 and its rounding
		}
		off := distance(int64(got.M), int(got.S), ratio)
		half := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), uint(got.S)+1))
		if !got.Valid() || off.Cmp(half) > 0 {
			t.Fatalf("%g with %d bits: %+v is further off than half a step", ratio, mantissa, got)
		}
		if ratio >= math.Ldexp(1, mantissa-63) && ratio <= math.Ldexp(1, mantissa-1)-0.5 {
			bound := new(big.Rat).SetFloat64(math.Ldexp(ratio, -mantissa))
			if off.Cmp(bound) > 0 || BitLen(int64(got.M)) > mantissa {
				t.Fatalf("%g with %d bits: %+v", ratio, mantissa, got)
			}
		}
		if r := new(big.Rat).SetFloat64(got.Ratio()); r.Cmp(new(big.Rat).SetFrac(big.NewInt(int64(got.M)), new(big.Int).Lsh(big.NewInt(1), uint(got.S)))) != 0 {
			t.Fatalf("%+v has the ratio %s", got, r)
		}
	})
}

func TestNewMultiplierRefuses(t *testing.T) {
	for _, test := range []struct {
		ratio    float64
		mantissa int
	}{
		{0, 16}, {-1, 16}, {math.NaN(), 16}, {math.Inf(1), 16}, {1, 0}, {1, 32}, {1, -1},
		{math.Ldexp(1, 30), 31}, {math.Ldexp(1, -64), 16}, {math.MaxFloat64, 16}, {5e-324, 31},
	} {
		if m, err := NewMultiplier(test.ratio, test.mantissa); err == nil {
			t.Errorf("%g with %d bits is %+v", test.ratio, test.mantissa, m)
		}
	}
	for _, m := range []Multiplier{{0, 1}, {-1, 1}, {1, 0}, {1, 63}, {math.MinInt32, 5}} {
		if m.Valid() {
			t.Errorf("%+v is valid", m)
		}
	}
}

func TestBitLen(t *testing.T) {
	for _, v := range []int64{0, 1, -1, 2, 127, -128, 1 << 40, math.MaxInt64, math.MinInt64, -math.MaxInt64} {
		if want := new(big.Int).Abs(big.NewInt(v)).BitLen(); BitLen(v) != want {
			t.Errorf("BitLen(%d) = %d, want %d", v, BitLen(v), want)
		}
	}
}

func TestInputFromReal(t *testing.T) {
	huge, tiny := float32(math.MaxFloat32), float32(math.SmallestNonzeroFloat32)
	for _, test := range []struct {
		u, scale  float32
		zero      int32
		width     Width
		q         int32
		saturated bool
	}{
		{0, 1, 0, Width7, 0, false}, {0.5, 1, 0, Width7, 1, false}, {0.49, 1, 0, Width7, 0, false},
		{-0.5, 1, 0, Width7, 0, false}, {-0.51, 1, 0, Width7, 0, true}, {127.49, 1, 0, Width7, 127, false},
		{127.5, 1, 0, Width7, 127, true}, {1.5, 1, 0, Width7, 2, false}, {2.5, 1, 0, Width7, 3, false}, // ties upward
		{-1.5, 1, 64, Width7, 63, false}, {-64.5, 1, 64, Width7, 0, false}, {-64.6, 1, 64, Width7, 0, true},
		{-2.5, 1, 64, Width7, 62, false}, {16383.5, 1, 0, Width14, 16383, true}, {16383, 1, 0, Width14, 16383, false},
		{huge, tiny, 0, Width14, 16383, true}, {-huge, tiny, 0, Width14, 0, true}, {tiny, huge, 5, Width7, 5, false},
		{huge, tiny, math.MaxInt32, Width14, 16383, true}, {-huge, tiny, math.MinInt32, Width7, 0, true},
		{0, 1, math.MaxInt32, Width7, 127, true}, {0, 1, math.MinInt32, Width7, 0, true}, // a box far from zero
		{0.64, 0.001, -600, Width7, 40, false}, {0.6, 0.001, -600, Width7, 0, false}, {0.5, 0.001, -600, Width7, 0, true},
	} {
		q, saturated := InputFromReal(test.u, test.scale, test.zero, test.width)
		if q != test.q || saturated != test.saturated {
			t.Errorf("%g / %g with zero %d and %d bits is %d (saturated %v), want %d (%v)", test.u, test.scale, test.zero, test.width, q, saturated, test.q, test.saturated)
		}
	}
}

// TestInputFromRealAgainstRationals: away from the last place of the quotient the formula is exact.
func TestInputFromRealAgainstRationals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scale := math.Float32frombits(rapid.Uint32Range(1, 0x7F7FFFFF).Draw(t, "scale"))
		u := rapid.Float32().Draw(t, "u")
		if rapid.Bool().Draw(t, "near") { // a value that falls into the range of q
			u = float32(float64(rapid.IntRange(-200, 17000).Draw(t, "steps")) * float64(scale))
		}
		zero := rapid.OneOf(rapid.Int32(), rapid.Int32Range(-300, 17000)).Draw(t, "zero")
		width := rapid.SampledFrom([]Width{Width7, Width14}).Draw(t, "width")
		if f := float64(u); math.IsNaN(f) || math.IsInf(f, 0) {
			t.Skip("inputs are finite")
		}
		exact := new(big.Rat).Quo(new(big.Rat).SetFloat64(float64(u)), new(big.Rat).SetFloat64(float64(scale)))
		exact.Add(exact, big.NewRat(1, 2))
		floor := new(big.Int).Div(exact.Num(), exact.Denom()) // Euclid's, the floor for a positive divisor
		nearest := new(big.Rat).Sub(exact, new(big.Rat).SetInt(floor))
		if f, _ := nearest.Float64(); f < 1e-9 || f > 1-1e-9 {
			t.Skip("too near to a tie for a quotient rounded to float64")
		}
		want := floor.Add(floor, big.NewInt(int64(zero)))
		lo, hi := big.NewInt(0), big.NewInt(int64(width.Max()))
		outside := want.Cmp(lo) < 0 || want.Cmp(hi) > 0
		if want.Cmp(lo) < 0 {
			want = lo
		} else if want.Cmp(hi) > 0 {
			want = hi
		}
		q, saturated := InputFromReal(u, scale, zero, width)
		if int64(q) != want.Int64() || saturated != outside {
			t.Fatalf("%g / %g with zero %d is %d (saturated %v), want %s (%v)", u, scale, zero, q, saturated, want, outside)
		}
	})
}

func TestOutputToReal(t *testing.T) {
	for _, test := range []struct {
		y     int32
		scale float32
		want  float32
	}{
		{0, 3, 0}, {-7, 0.5, -3.5}, {math.MaxInt32, 1, 2147483648}, {math.MinInt32, 0x1p-31, -1},
		{3, math.SmallestNonzeroFloat32, 3 * math.SmallestNonzeroFloat32}, {math.MaxInt32, math.MaxFloat32, float32(math.Inf(1))},
	} {
		if got := OutputToReal(test.y, test.scale); got != test.want {
			t.Errorf("%d·%g = %g, want %g", test.y, test.scale, got, test.want)
		}
	}
}

func TestLookUp7ReadsTheEntryOfEachValue(t *testing.T) {
	table := make([]uint16, Table7Len)
	for i := range table {
		table[i] = uint16(i)
	}
	for v := int64(-128); v <= 127; v++ {
		if got := LookUp(Width7, table, v); got != int32(v+128) {
			t.Errorf("entry of %d is %d", v, got)
		}
	}
	for _, v := range []int64{-129, math.MinInt64, -1 << 32} {
		if LookUp7(table, v) != 0 {
			t.Errorf("%d is not clamped", v)
		}
	}
	for _, v := range []int64{128, math.MaxInt64, 1 << 32} {
		if LookUp7(table, v) != 255 {
			t.Errorf("%d is not clamped", v)
		}
	}
}

// TestLookUp14InterpolatesExactly compares every value with ⌊T[h] + (T[h+1]−T[h])·l/256 + 1/2⌋.
func TestLookUp14InterpolatesExactly(t *testing.T) {
	table := make([]uint16, Table14Len)
	seed := uint32(1)
	for i := range table {
		seed = seed*1664525 + 1013904223
		table[i] = uint16(seed >> 18) // 14 bits, rising and falling
	}
	table[0], table[1], table[256] = 0, 16383, 16383
	for v := int64(Table14Min); v <= Table14Max; v++ {
		h, l := (v+1<<15)/256, (v+1<<15)%256
		numerator := big.NewInt(256*int64(table[h]) + (int64(table[h+1])-int64(table[h]))*l)
		if want := roundHalfUp(numerator, 8).Int64(); int64(LookUp(Width14, table, v)) != want {
			t.Fatalf("value of %d is %d, want %d", v, LookUp14(table, v), want)
		}
	}
	if LookUp14(table, math.MinInt64) != 0 || LookUp14(table, math.MaxInt64) != LookUp14(table, Table14Max) {
		t.Error("values beyond the domain are not clamped")
	}
}

func FuzzInputFromReal(f *testing.F) {
	f.Add(uint32(0), uint32(1), int32(0), true)
	f.Add(math.Float32bits(0.5), math.Float32bits(1), int32(-1), false)
	f.Add(uint32(0xFF7FFFFF), uint32(1), int32(math.MinInt32), true)
	f.Fuzz(func(t *testing.T, uBits, scaleBits uint32, zero int32, wide bool) {
		u, scale := math.Float32frombits(uBits), math.Float32frombits(scaleBits)
		if v := float64(u); math.IsNaN(v) || math.IsInf(v, 0) || !(scale > 0) || math.IsInf(float64(scale), 0) {
			return
		}
		width := Width7
		if wide {
			width = Width14
		}
		q, _ := InputFromReal(u, scale, zero, width)
		if q < 0 || q > width.Max() {
			t.Fatalf("q = %d of %d bits", q, width)
		}
		// A larger input never has a smaller q.
		if next := math.Nextafter32(u, math.MaxFloat32); !math.IsInf(float64(next), 0) {
			if after, _ := InputFromReal(next, scale, zero, width); after < q {
				t.Fatalf("q falls from %d to %d", q, after)
			}
		}
	})
}
