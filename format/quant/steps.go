package quant

import (
	"fmt"
	"math"
	"slices"
)

// CalibrationHeadroom is how much wider a range is made that data showed, before steps cover it.
const CalibrationHeadroom = 1.1

// Significant bits of a step: bfloat16's where a range alone decides, fewer where weights are trained for
// the steps, which then cost less in a file.
const (
	StepDigits        = 8
	TrainedStepDigits = 4
)

// leastStep is the smallest step, a normal float32.
const leastStep = 0x1p-126

// Kinds of activations that steps depend on, numbered as in the files; all others have values on both
// sides of zero.
const (
	kindReLU        = 1
	kindClippedReLU = 2
	kindHardTanh    = 4
	kindTanh        = 5
	kindSigmoid     = 6
)

// RoundUp returns the smallest float32 of at most the given number of significant bits that is ≥ x, for
// x ≥ 2⁻¹²⁶; +Inf beyond float32.
func RoundUp(x float64, digits int) float32 {
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return float32(math.Inf(1))
	}
	fraction, exponent := math.Frexp(x)
	return float32(math.Ldexp(math.Ceil(math.Ldexp(fraction, digits)), exponent-digits))
}

// InputStep returns the real worth of one step of an input with the box [lo, hi], lo < hi, and its zero
// point: the finest step with which no input of the box saturates and the zero point stays within 32
// bits, however far from zero the box is and however many planes the weights have. An error says that no
// float32 resolves the box.
func InputStep(lo, hi float32, width Width, _ uint8) (step float32, zero int32, err error) {
	const finest = 0x1p-30
	span, size := float64(hi)-float64(lo), max(math.Abs(float64(lo)), math.Abs(float64(hi)))
	least := max(span/float64(width.Max()), size*finest)
	step = float32(least)
	if float64(step) < least {
		step = math.Nextafter32(step, float32(math.Inf(1)))
	}
	for range 64 {
		if math.IsInf(float64(step), 0) {
			break
		}
		if zero, fits := InputZero(lo, hi, step, width); fits {
			return step, zero, nil
		}
		step = math.Nextafter32(step, float32(math.Inf(1)))
	}
	return 0, 0, fmt.Errorf("no float32 scale resolves its box [%g, %g]", lo, hi)
}

// InputZero returns the zero point of an input with the box [lo, hi] for a step, and whether with it no
// input of the box saturates.
func InputZero(lo, hi, step float32, width Width) (zero int32, fits bool) {
	z := -math.Floor(float64(lo)/float64(step) + 0.5)
	if !(math.Abs(z) <= math.MaxInt32) {
		return 0, false
	}
	zero = int32(int64(z))
	_, cutLo := InputFromReal(lo, step, zero, width)
	_, cutHi := InputFromReal(hi, step, zero, width)
	return zero, !cutLo && !cutHi
}

// StateRange is what steps of a state have to cover: Lo ≤ 0 ≤ Hi, the values that it takes, and its
// activation by the number that it has in the files. Limit is the c of clipped relu and hard tanh.
type StateRange struct {
	Kind   uint8
	Limit  float64
	Lo, Hi float64
}

// Span returns the length that is to be covered and the number of steps that cover it. On both sides of
// zero one step is to spare for the rounding of the zero point; tanh and sigmoid are covered whatever
// the range.
func (r StateRange) Span(width Width) (length float64, steps int32) {
	q := width.Max()
	switch r.Kind {
	case kindReLU:
		return r.Hi, q
	case kindClippedReLU:
		return min(r.Hi, r.Limit), q
	case kindHardTanh:
		return min(r.Hi, r.Limit) - max(r.Lo, -r.Limit), q - 1
	case kindTanh:
		return 1, q / 2
	case kindSigmoid:
		return 1, q
	}
	return r.Hi - r.Lo, q - 1
}

// Step returns the smallest step of at most the given number of significant bits, at least `least`, that
// covers the range; of tanh and sigmoid the one float32 that their tables are made for.
func (r StateRange) Step(width Width, least float64, digits int) float32 {
	length, steps := r.Span(width)
	if r.Kind == kindTanh || r.Kind == kindSigmoid {
		return float32(length / float64(steps))
	}
	return RoundUp(max(length/float64(steps), least), digits)
}

// Magnitude returns the largest |x| of the range.
func (r StateRange) Magnitude() float64 { return max(math.Abs(r.Lo), math.Abs(r.Hi)) }

// MedianMagnitude returns the median magnitude of the states that left zero, 0 when none did: what a
// state that never did is taken to reach.
func MedianMagnitude(ranges []StateRange) float64 {
	var seen []float64
	for _, r := range ranges {
		if v := r.Magnitude(); v > 0 {
			seen = append(seen, v)
		}
	}
	if len(seen) == 0 {
		return 0
	}
	slices.Sort(seen)
	return seen[len(seen)/2]
}

// Seen returns the range that steps should cover when data showed r: zero is in it, it is widened by
// CalibrationHeadroom, and a state that never left zero is taken to reach the median. As wide a range as
// can be proved would make its step so coarse that the weights beside it in a row round to zero.
func (r StateRange) Seen(median float64) StateRange {
	r.Lo, r.Hi = min(0, r.Lo), max(0, r.Hi)
	if r.Lo == r.Hi {
		r.Lo, r.Hi = -median, median
	}
	r.Lo, r.Hi = float64(r.Lo*CalibrationHeadroom), float64(r.Hi*CalibrationHeadroom)
	return r
}

// StateSteps returns steps to train weights for: for each state the smallest of TrainedStepDigits bits
// that covers what data showed of it, with Seen's allowances. Ranges move in training; whoever expects
// them to grow widens them first.
func StateSteps(ranges []StateRange, width Width) []float32 {
	median := MedianMagnitude(ranges)
	steps := make([]float32, len(ranges))
	for i, r := range ranges {
		steps[i] = r.Seen(median).Step(width, leastStep, TrainedStepDigits)
	}
	return steps
}

// TableStep returns the real worth of one unit of the argument of a table, for tanh and sigmoid. It
// balances half a step of it against the distance of the table's ends from the function's limits and,
// with 14 bits, the error of interpolation: the sum of all is smallest here (TestTablesAreNearTheirBest
// of the compiler).
func TableStep(kind uint8, width Width) float32 {
	switch {
	case width == Width7 && kind == kindTanh:
		return 45 * 0x1p-11
	case width == Width7:
		return 45 * 0x1p-10
	case kind == kindTanh:
		return 75 * 0x1p-19
	}
	return 75 * 0x1p-18
}
