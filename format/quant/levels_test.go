package quant

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestLevelsAreFoundAgain(t *testing.T) {
	for bits, most := range map[int]int32{4: 7, 5: 15, 8: 127} {
		if MaxLevel(bits) != most {
			t.Errorf("%d bits: levels up to %d", bits, MaxLevel(bits))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Custom(func(t *rapid.T) float32 {
			return float32(math.Ldexp(rapid.Float64Range(0.5, 1).Draw(t, "fraction"), rapid.IntRange(-30, 30).Draw(t, "exponent")))
		})
		step, scale := number.Draw(t, "step"), number.Draw(t, "scale")
		level := rapid.Int32Range(-127, 127).Draw(t, "level")
		worth := LevelWorth(level, step, scale)
		if got := Level(worth, step, scale, 127); got != level {
			t.Fatalf("level %d is worth %g, which is level %d", level, worth, got)
		}
		if got := Level(worth, step, scale, 7); got != max(-7, min(7, level)) {
			t.Fatalf("level %d within 7 is %d", level, got)
		}
		// A power of two in both changes no level: another width of activations.
		if got := Level(worth, step/128, scale/128, 127); got != level {
			t.Fatalf("level %d is %d with steps of 14 bits", level, got)
		}
	})
	for _, c := range []struct {
		w    float32
		want int32
	}{{0.25, 1}, {0.2499, 0}, {-0.25, 0}, {-0.2501, -1}, {3, 6}, {4, 7}, {-4, -7}} { // step 2, scale 1: w·2
		if got := Level(c.w, 2, 1, 7); got != c.want {
			t.Errorf("Level(%g) = %d, want %d", c.w, got, c.want)
		}
	}
}

func TestRowScalesAreMultiplesOfTheirUnit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := RoundUp(math.Ldexp(rapid.Float64Range(1, 2).Draw(t, "fraction"), rapid.IntRange(-20, 20).Draw(t, "exponent")), StepDigits)
		wanted := float64(unit) * math.Ldexp(rapid.Float64Range(0.5, 1).Draw(t, "ratio"), rapid.IntRange(-18, 3).Draw(t, "shift"))
		scale, err := RowScale(wanted, unit)
		if err != nil {
			t.Fatal(err)
		}
		if off := math.Abs(float64(scale)/wanted - 1); off > 1.0/16 {
			t.Fatalf("%g wanted, %g given", wanted, scale)
		}
		m, err := NewMultiplier(float64(scale)/float64(unit), ScaleDigits)
		exact := new(big.Rat).Mul(new(big.Rat).SetFloat64(float64(unit)), new(big.Rat).SetFloat64(m.Ratio()))
		if err != nil || exact.Cmp(new(big.Rat).SetFloat64(float64(scale))) != 0 {
			t.Fatalf("%g is not %g times %d/2^%d: %v", scale, unit, m.M, m.S, err)
		}
	})
	for _, wanted := range []float64{0, -1, math.Inf(1), math.NaN(), 1e30} {
		if scale, err := RowScale(wanted, 1); err == nil {
			t.Errorf("%g of a unit gives the scale %g", wanted, scale)
		}
	}
	if scale, err := RowScale(1.2e-38, 0x1p-126); err != nil || scale < 0x1p-126 {
		t.Errorf("near the smallest: %g, %v", scale, err)
	}
	if scale, err := RowScale(1e-40, 0x1p-126); err == nil {
		t.Errorf("below float32's normal range: %g", scale)
	}
}
