package quant

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestRoundUpIsTheSmallestAbove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := math.Ldexp(rapid.Float64Range(1, 2).Draw(t, "fraction"), rapid.IntRange(-126, 126).Draw(t, "exponent"))
		digits := rapid.IntRange(1, 24).Draw(t, "digits")
		up := float64(RoundUp(x, digits))
		_, exponent := math.Frexp(up)
		unit := math.Ldexp(1, exponent-digits) // of the last digit
		if up < x || math.Mod(up, unit) != 0 || up-unit >= x && math.Mod(math.Ldexp(up, digits-exponent), 2) != 0 {
			t.Fatalf("%g in %d digits is %g", x, digits, up)
		}
		if below := math.Nextafter(up, 0); below >= x && float64(RoundUp(below, digits)) != up {
			t.Fatalf("%g and %g in %d digits differ", x, below, digits)
		}
	})
	for _, c := range []struct {
		x      float64
		digits int
		want   float32
	}{{1, 4, 1}, {1.01, 4, 1.125}, {1.99, 4, 2}, {0.3, 1, 0.5}, {5, 2, 6}, {3e38, 1, float32(math.Inf(1))}, {math.NaN(), 4, float32(math.Inf(1))}} {
		if got := RoundUp(c.x, c.digits); got != c.want {
			t.Errorf("RoundUp(%g, %d) = %g, want %g", c.x, c.digits, got, c.want)
		}
	}
}

func TestInputStepsSaturateNothingOfTheBox(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lo := float32(rapid.Float64Range(-1000, 1000).Draw(t, "lo"))
		hi := lo + float32(math.Ldexp(1, rapid.IntRange(-8, 10).Draw(t, "size")))
		width := rapid.SampledFrom([]Width{Width7, Width14}).Draw(t, "width")
		if lo == hi {
			t.Skip()
		}
		step, zero, err := InputStep(lo, hi, width, uint8(rapid.IntRange(1, 2).Draw(t, "planes")))
		if err != nil {
			t.Fatal(err)
		}
		for share := 0.0; share <= 1; share += 0.125 {
			u := float32(float64(lo) + share*(float64(hi)-float64(lo)))
			if q, cut := InputFromReal(u, step, zero, width); cut || q < 0 || q > width.Max() {
				t.Fatalf("[%g, %g] in steps of %g from %d: %g becomes %d, cut %v", lo, hi, step, zero, u, q, cut)
			}
		}
	})
	if step, zero, err := InputStep(0, 1, Width7, 1); err != nil || zero != 0 || math.Abs(float64(step)*127-1) > 1e-6 {
		t.Errorf("[0, 1] in steps of %g from %d, %v", step, zero, err)
	}
	if _, fits := InputZero(0, 1, 1.0/128, Width7); fits {
		t.Error("128 steps fit in 7 bits")
	}
	if _, fits := InputZero(1e9, 2e9, 1e-3, Width7); fits {
		t.Error("a zero point beyond 32 bits fits")
	}
	if _, _, err := InputStep(-math.MaxFloat32, math.MaxFloat32, Width7, 1); err == nil {
		t.Log("the whole of float32 has a step")
	}
}

// TestStateStepsCoverWhatWasSeen holds each kind's steps against the number of them that it has.
func TestStateStepsCoverWhatWasSeen(t *testing.T) {
	const identity, relu, clipped, hard, tanh, sigmoid = 0, 1, 2, 4, 5, 6
	for _, c := range []struct {
		name  string
		r     StateRange
		width Width
		want  float64 // the step with infinitely many digits, of the range without headroom
	}{
		{"relu", StateRange{Kind: relu, Lo: 0, Hi: 12.7}, Width7, 0.1},
		{"relu, 14 bits", StateRange{Kind: relu, Lo: 0, Hi: 163.83}, Width14, 0.01},
		{"clipped below its limit", StateRange{Kind: clipped, Limit: 100, Lo: 0, Hi: 12.7}, Width7, 0.1},
		{"identity", StateRange{Kind: identity, Lo: -6.3, Hi: 6.3}, Width7, 0.1},
	} {
		want := c.want * CalibrationHeadroom
		if got := float64(StateSteps([]StateRange{c.r}, c.width)[0]); got < want-1e-9 || got > want*1.125 {
			t.Errorf("%s: a step of %g, %g with all digits", c.name, got, want)
		}
		if got := float64(c.r.Step(c.width, leastStep, StepDigits)); got < c.want-1e-9 || got > c.want*1.008 {
			t.Errorf("%s: a step of %g, %g with all digits", c.name, got, c.want)
		}
	}
	for _, c := range []struct {
		name string
		r    StateRange
		want float32
	}{
		{"clipped at its limit", StateRange{Kind: clipped, Limit: 127, Lo: 0, Hi: 1000}, 1},
		{"hard tanh at its limits", StateRange{Kind: hard, Limit: 63, Lo: -1000, Hi: 1000}, 1},
		{"tanh", StateRange{Kind: tanh, Lo: -1, Hi: 1}, 1.0 / 63},
		{"sigmoid", StateRange{Kind: sigmoid, Lo: 0, Hi: 1}, 1.0 / 127},
	} {
		if got := c.r.Step(Width7, leastStep, StepDigits); got != c.want {
			t.Errorf("%s: a step of %g, want %g", c.name, got, c.want)
		}
	}
	ranges := []StateRange{{Kind: relu, Hi: 1}, {Kind: relu}, {Kind: relu, Hi: 4}, {Kind: relu, Hi: 2}}
	if steps := StateSteps(ranges, Width7); steps[1] != steps[3] || MedianMagnitude(ranges) != 2 {
		t.Errorf("a state that never left zero has the step %g, the median one %g", steps[1], steps[3])
	}
	if MedianMagnitude(nil) != 0 || MedianMagnitude([]StateRange{{}}) != 0 {
		t.Error("a median of nothing")
	}
}
