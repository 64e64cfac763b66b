package kernel

import (
	"math"

	"github.com/sparse-implicit/sim/format/quant"
)

// Activation is the type of an activation in memory: uint8 for 7 bits, uint16 for 14 bits.
type Activation interface{ uint8 | uint16 }

// inputs is the part of an engine that portable and in-place models share: activations lie one after the
// other, first the inputs that are read, then the states.
type inputs[T Activation] struct{ program *Program }

// activations returns the buffer of the type's activations, of inputs and states.
func activations[T Activation](mem *Memory) []T {
	if q, ok := any(&mem.Activations8).(*[]T); ok {
		return *q
	}
	q, _ := any(&mem.Activations16).(*[]T)
	return *q
}

// sweepResults returns the buffer for what a sweep gives.
func sweepResults[T Activation](mem *Memory) []T {
	if q, ok := any(&mem.Next8).(*[]T); ok {
		return *q
	}
	q, _ := any(&mem.Next16).(*[]T)
	return *q
}

// Sizes returns the lengths that buffers must have.
func (in inputs[T]) Sizes() Sizes {
	activations, loop := in.program.Activations(), in.program.LargestLoop()
	if in.program.Width == quant.Width7 {
		return Sizes{Activations8: activations, Next8: loop, External: loop}
	}
	return Sizes{Activations16: activations, Next16: loop, External: loop}
}

// Quantise turns real inputs into activations.
func (in inputs[T]) Quantise(mem *Memory, src []float32) int {
	if j := firstNotFinite(src); j >= 0 {
		return j
	}
	mem.Saturations = quantise(in.program, activations[T](mem), src)
	return -1
}

// quantise gives what quant.InputFromReal gives, in most cases without its division and its floor, which
// small processors have not got or wait for (tools/instructions -reals).
//
// With r = 1/s rounded, u·r rounded differs from u/s rounded by at most 3·2⁻⁵³·|u/s|, and ½ is added to either
// with an error of at most 2⁻⁵³·(|u/s|+½): below quickRange by less than 2⁻²⁰ together. So if x = u·r + ½ is
// farther than quickGuard from every integer, then floor(x) = floor(u/s + ½).
func quantise[T Activation](p *Program, activations []T, src []float32) (saturations uint64) {
	const quickRange, quickGuard = 1 << 30, 0x1p-20
	inputs, largest := p.Inputs, p.Width.Max()
	activations = activations[:len(inputs)]
	scale, inverse := float32(0), 0.0 // most models have one scale for many inputs
	for k := range inputs {
		in := &inputs[k]
		if in.Scale != scale {
			scale, inverse = in.Scale, 1/float64(in.Scale)
		}
		u := src[in.Source]
		x := float64(float64(u)*inverse) + 0.5
		if math.Abs(x) < quickRange && in.Zero > -quickRange && in.Zero < quickRange {
			t := int32(x) // toward zero
			above := x - float64(t)
			if above < 0 {
				above++
				t--
			}
			if above > quickGuard && above < 1-quickGuard {
				q := t + in.Zero
				if clamped := min(max(q, 0), largest); clamped != q {
					q = clamped
					saturations++
				}
				activations[k] = T(q)
				continue
			}
		}
		q, saturated := quant.InputFromReal(u, in.Scale, in.Zero, p.Width)
		if saturated {
			saturations++
		}
		activations[k] = T(q)
	}
	return saturations
}

// firstNotFinite returns the index of the first NaN or infinity, or −1.
func firstNotFinite(src []float32) int {
	const exponent = 0x7F800000 // all ones in what is not finite
	for j, u := range src {
		if math.Float32bits(u)&exponent == exponent {
			return j
		}
	}
	return -1
}

// Gather7 takes integer inputs of a 7-bit model.
func (in inputs[T]) Gather7(mem *Memory, src []uint8) {
	gather(in.program, mem, mem.Activations8, src, uint8(quant.Width7.Max()))
}

// Gather14 takes integer inputs of a 14-bit model.
func (in inputs[T]) Gather14(mem *Memory, src []uint16) {
	gather(in.program, mem, mem.Activations16, src, uint16(quant.Width14.Max()))
}

// gather copies the integers of the inputs that are read: eight at a time where they follow each other in
// src, as their sources ascend when the last is seven after the first, and none has to be clamped. largest is
// 2^b − 1.
func gather[T Activation](p *Program, mem *Memory, activations, src []T, largest T) {
	inputs := p.Inputs
	activations = activations[:len(inputs)]
	mem.Saturations = 0
	k := 0
	for ; k <= len(inputs)-8; k += 8 {
		next, to := inputs[k:k+8:k+8], activations[k:k+8:k+8]
		first := int(next[0].Source)
		if int(next[7].Source) == first+7 {
			q := src[first : first+8 : first+8]
			if q[0]|q[1]|q[2]|q[3]|q[4]|q[5]|q[6]|q[7] <= largest {
				*(*[8]T)(to) = [8]T(q)
				continue
			}
		}
		mem.Saturations += gatherEach(next, to, src, largest)
	}
	mem.Saturations += gatherEach(inputs[k:], activations[k:], src, largest)
}

// gatherEach copies the integers of some inputs one by one and returns how many were clamped.
func gatherEach[T Activation](inputs []Input, activations, src []T, largest T) (saturations uint64) {
	activations = activations[:len(inputs)]
	for k := range inputs {
		q := src[inputs[k].Source]
		if q > largest {
			q = largest
			saturations++
		}
		activations[k] = q
	}
	return saturations
}

// SetInputs takes the inputs that are read.
func (in inputs[T]) SetInputs(mem *Memory, q []uint16) {
	mem.Saturations = 0
	to := activations[T](mem)
	for k, value := range q {
		to[k] = T(value)
	}
}

// CopyStates stores the states in dst.
func (in inputs[T]) CopyStates(mem *Memory, dst []uint16) {
	for i, q := range activations[T](mem)[len(in.program.Inputs):] {
		dst[i] = uint16(q)
	}
}
