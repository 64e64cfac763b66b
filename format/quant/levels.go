package quant

import (
	"fmt"
	"math"
)

// Weights may be trained for the integers that will stand for them. With s_j the worth of one step of
// column j and r_i that of one unit of row i's sum, weight W_ij is the integer level k = W_ij·s_j/r_i, and
// trained weights are those with |k| ≤ MaxLevel(bits), k whole. StateSteps and InputStep give s_j,
// RowScale r_i; a compiler that is told both finds every k again.

// ScaleDigits is how many bits a multiplier has between the unit of a trained row's sum and that of its
// value.
const ScaleDigits = 4

// MaxLevel returns the largest magnitude of a weight of one plane in the given number of bits, 2 to 8:
// 127 for 8, 15 for 5, 7 for 4.
func MaxLevel(bits int) int32 { return 1<<(bits-1) - 1 }

// Level returns the integer nearest to w·step/scale, halves upward, within ±limit.
func Level(w, step, scale float32, limit int32) int32 {
	exact := float64(float64(w)*float64(step)) / float64(scale)
	return int32(min(max(math.Floor(exact+0.5), -float64(limit)), float64(limit)))
}

// LevelWorth returns the weight that a level stands for: level·scale/step, rounded to float32. Level
// finds the level again, up to ±2²².
func LevelWorth(level int32, step, scale float32) float32 {
	return float32(float64(float64(level)*float64(scale)) / float64(step))
}

// RowUnit returns the real worth of one unit of a row's requantised value, from the kind and the step of
// its state: the step, or that of the table of tanh and sigmoid. The outputs of a model have a common
// unit that is a power of two: 1 serves.
func RowUnit(kind uint8, step float32, width Width) float32 {
	if kind == kindTanh || kind == kindSigmoid {
		return TableStep(kind, width)
	}
	return step
}

// RowScale returns the worth of one unit of a row's sum nearest to the wanted one among those that a
// multiplier of ScaleDigits bits gives: unit·M/2^S, exactly. An error says that none does.
func RowScale(wanted float64, unit float32) (float32, error) {
	m, err := NewMultiplier(wanted/float64(unit), ScaleDigits)
	if err != nil {
		return 0, err
	}
	scale := float32(float64(unit) * m.Ratio())
	if !(scale >= leastStep) || math.IsInf(float64(scale), 0) {
		return 0, fmt.Errorf("a row scale of %g is beyond float32: scale the model's weights", wanted)
	}
	return scale, nil
}
