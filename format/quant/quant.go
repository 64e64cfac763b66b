// Package quant holds the number rules of the integer semantics, in one place for the compiler, the
// reader, the runtime, the trainer and their tests: activation widths, weight planes, requantisation,
// inputs from reals, outputs to reals, and activation tables.
//
// It promises exact integer arithmetic with the same bits on every architecture, no allocation and no
// panic for arguments in the documented ranges. It knows nothing of models or files.
package quant

import (
	"fmt"
	"math"
	"math/bits"
)

// Width is the number of bits b of every input and state of a model: 7 or 14.
type Width uint8

// The two widths.
const (
	Width7  Width = 7
	Width14 Width = 14
)

// Valid reports whether the width is 7 or 14.
func (w Width) Valid() bool { return w == Width7 || w == Width14 }

// Max returns Q = 2^b − 1, the largest q.
func (w Width) Max() int32 { return 1<<w - 1 }

// Bytes returns how many bytes an activation takes in memory: 1 or 2.
func (w Width) Bytes() int {
	if w == Width7 {
		return 1
	}
	return 2
}

// Ranges of weights. One plane: [−127, 127]. Two planes: 128·hi + lo with both in [−64, 63].
const (
	OnePlaneMax = 127
	TwoPlaneMin = -128*64 - 64
	TwoPlaneMax = 128*63 + 63
)

// SplitPlanes returns the planes of a two-plane weight in [TwoPlaneMin, TwoPlaneMax]:
// w = 128·hi + lo, both in [−64, 63].
func SplitPlanes(w int16) (hi, lo int8) {
	h := (int32(w) + 64) >> 7
	return int8(h), int8(int32(w) - 128*h)
}

// JoinPlanes is the inverse of SplitPlanes.
func JoinPlanes(hi, lo int8) int16 { return 128*int16(hi) + int16(lo) }

// Limits of the requantisation multiplier.
const (
	MaxMultiplier = math.MaxInt32 // 1 ≤ M ≤ 2³¹ − 1
	MinShift      = 1             // 1 ≤ S ≤ 62
	MaxShift      = 62
)

// Multiplier is the pair (M, S) that stands for the ratio M/2^S between the real unit of an
// accumulator and the real unit of what it becomes.
type Multiplier struct {
	M int32 // 1 ≤ M
	S uint8 // 1 ≤ S ≤ 62
}

// Valid reports whether M and S are in their ranges.
func (m Multiplier) Valid() bool { return m.M >= 1 && m.S >= MinShift && m.S <= MaxShift }

// Requantise returns (acc·M + 2^(S−1)) >> S: acc·M/2^S rounded half up. It does not overflow for
// |acc| ≤ AccumulatorLimit(M, S).
func (m Multiplier) Requantise(acc int64) int64 {
	return (acc*int64(m.M) + 1<<(m.S-1)) >> m.S
}

// AccumulatorLimit returns the largest |acc| for which Requantise cannot overflow int64.
func (m Multiplier) AccumulatorLimit() int64 {
	return (math.MaxInt64 - int64(1)<<(m.S-1)) / int64(m.M)
}

// Ratio returns M/2^S, exactly.
func (m Multiplier) Ratio() float64 { return math.Ldexp(float64(m.M), -int(m.S)) }

// NewMultiplier returns the multiplier nearest to ratio among those whose M has at most mantissaBits
// bits (1 to 31); it is off by at most ratio/2^mantissaBits. Where the range of S gets in the way it is
// the nearest of those with S at its end: M then has fewer bits for ratios below
// 2^(mantissaBits−63), and more for ratios above 2^(mantissaBits−1) − ½, always with
// |M/2^S − ratio| ≤ 1/2^(S+1). A ratio that would need M < 1 or M > MaxMultiplier is an error: the
// caller has to choose other scales.
func NewMultiplier(ratio float64, mantissaBits int) (Multiplier, error) {
	if !(ratio > 0) || math.IsInf(ratio, 0) || mantissaBits < 1 || mantissaBits > 31 {
		return Multiplier{}, fmt.Errorf("no multiplier stands for the ratio %g", ratio)
	}
	fraction, exponent := math.Frexp(ratio) // ratio = fraction·2^exponent, ½ ≤ fraction < 1
	shift := min(max(mantissaBits-exponent, MinShift), MaxShift)
	m := math.RoundToEven(math.Ldexp(fraction, exponent+shift))
	if m >= math.Ldexp(1, mantissaBits) && shift > MinShift {
		shift--
		m = math.RoundToEven(math.Ldexp(fraction, exponent+shift))
	}
	if m < 1 || m > MaxMultiplier {
		return Multiplier{}, fmt.Errorf("the ratio %g lies outside what M/2^S can express", ratio)
	}
	return Multiplier{int32(m), uint8(shift)}, nil
}

// BitLen returns the number of bits of |v|.
func BitLen(v int64) int {
	if v < 0 {
		v = -v
	}
	return bits.Len64(uint64(v))
}

// InputFromReal returns the q of a real input, and whether it saturated:
// t = floor(u/s + 0.5), clamped as a float64 to [−z, Q − z], then made an integer, plus z.
// u must be finite (the caller refuses NaN and Inf), scale positive.
func InputFromReal(u, scale float32, zero int32, width Width) (q int32, saturated bool) {
	t := math.Floor(float64(u)/float64(scale) + 0.5)
	lo, hi := -float64(zero), float64(width.Max())-float64(zero)
	if t < lo {
		t, saturated = lo, true
	} else if t > hi {
		t, saturated = hi, true
	}
	return int32(int64(t) + int64(zero)), saturated
}

// OutputToReal returns the real worth of an integer output: float32(float64(y)·float64(s_y)).
func OutputToReal(y int32, scale float32) float32 {
	return float32(float64(y) * float64(scale))
}

// Table sizes and domains: a 7-bit table has one entry for each t in [−128, 127]; a 14-bit table has
// one for each multiple of 256 in [−2¹⁵, 2¹⁵].
const (
	Table7Len  = 256
	Table14Len = 257
	Table7Min  = -128
	Table7Max  = 127
	Table14Min = -1 << 15
	Table14Max = 1<<15 - 1
)

// TableLen returns the number of entries of a table for this width.
func (w Width) TableLen() int {
	if w == Width7 {
		return Table7Len
	}
	return Table14Len
}

// TableDomain returns the range to which t is clamped before a look-up.
func (w Width) TableDomain() (lo, hi int64) {
	if w == Width7 {
		return Table7Min, Table7Max
	}
	return Table14Min, Table14Max
}

// LookUp7 returns the entry for t clamped to [−128, 127]. The table has Table7Len entries.
func LookUp7(table []uint16, t int64) int32 {
	t = min(max(t, Table7Min), Table7Max)
	return int32(table[t-Table7Min])
}

// LookUp14 interpolates between entries: with u = clamp(t) + 2¹⁵, h = u >> 8 and l = u & 255 it is
// T[h] + (((T[h+1] − T[h])·l + 128) >> 8). The table has Table14Len entries.
func LookUp14(table []uint16, t int64) int32 {
	u := int32(min(max(t, Table14Min), Table14Max) - Table14Min)
	h, l := u>>8, u&255
	left, right := int32(table[h]), int32(table[h+1])
	return left + ((right-left)*l+128)>>8
}

// LookUp looks t up in a table of the given width.
func LookUp(width Width, table []uint16, t int64) int32 {
	if width == Width7 {
		return LookUp7(table, t)
	}
	return LookUp14(table, t)
}
