//go:build !noasm && !purego

package kernel

import (
	"slices"
	"unsafe"

	"github.com/sparse-implicit/sim/format/quant"
)

// groupAVX2 is how many sources the kernel takes at a time.
const groupAVX2 = 32

// inputsAVX2 takes inputs for the kernel of AVX2: they lie where the caller has them, so that 32 sources
// become 32 bytes of each plane.
type inputsAVX2 struct {
	groups    []inputGroup
	constants []float32 // see the constants of a group
}

// inputGroup is 32 sources.
type inputGroup struct {
	read      uint32 // which of them are read: others are not counted
	constants uint32 // bytes from the beginning of inputsAVX2.constants
}

// The constants of a group: arrays of 32, one after the other. Groups that are alike share them.
const (
	groupReciprocal = iota // 1/s
	groupScale             // s
	groupHalf              // s/2
	groupZero              // z, as int32
	groupConstants         // how many arrays there are
)

// Bounds of the way in which quantise7AVX2 and quantise14AVX2 divide. With r = 1/s rounded to float32 they
// compute k = u·r − ½, rounded by one fused operation and then to an integer; the remainder ρ = u − k·s by
// another one; and t = k + [ρ ≥ s/2]. This is ⌊u/s + ½⌋ where |u/s| < 2¹⁷:
//
//   - u·r − ½ is off from u/s − ½ by less than 2⁻²³·2¹⁷ = 2⁻⁶. So k = ⌊u/s⌋, unless u/s is that close to an
//     integer. If k is one less, then ρ ≥ s and t = k+1; if one more, then ρ < 0 and t = k: right both times.
//   - ρ is rounded once. s/2 is a float32, so what is not below it is not rounded to below it. Let ulp(x) be the
//     unit in the last place of x. ρ is a multiple of ulp(u) or of ulp(s), whichever is smaller. If ulp(u) ≥
//     ulp(s)/2, then a ρ below s/2 is below it by ulp(s)/2 at least, and not rounded to s/2. Else |u| < s/2, and
//     k is 0, where ρ = u exactly, or −1, where ρ > s/2.
//
// InputFromReal rounds u/s and its sum with ½ to 53 bits: at 2¹⁷ an error below 2⁻³⁵, while a u/s that is not
// half-way between integers is at least 2⁻²⁷ away from there.
//
// What is not finite or too large for int32 becomes k = −2³¹. With |z| ≤ farZero all that is beyond 2¹⁷, and
// that, is beyond ±2¹⁵ as t + z: there a group is left to Go.
const (
	farZero    = 1 << 16  // |z| at most
	leastScale = 0x1p-100 // so that 1/s and s/2 are normal float32
	mostScale  = 1 / 0x1p-100
)

// packInputsAVX2 packs what inputs need; for scales and zeros that are out of bounds it returns nil.
func packInputsAVX2(p *Program) *inputsAVX2 {
	in := &inputsAVX2{groups: make([]inputGroup, (p.SourceInputs+groupAVX2-1)/groupAVX2)}
	block := make([]float32, groupConstants*groupAVX2)
	k := 0
	for g := range in.groups {
		first := k
		for ; k < len(p.Inputs) && int(p.Inputs[k].Source)/groupAVX2 == g; k++ {
			input := &p.Inputs[k]
			if !(input.Scale >= leastScale && input.Scale <= mostScale) || input.Zero > farZero || input.Zero < -farZero {
				return nil
			}
			in.groups[g].read |= 1 << (input.Source % groupAVX2)
			if k == first { // sources that are not read are taken like one that is, lest groups differ
				for lane := range groupAVX2 {
					setInput(block, lane, input)
				}
			}
			setInput(block, int(input.Source)%groupAVX2, input)
		}
		if last := len(in.constants) - len(block); last < 0 || !slices.Equal(block, in.constants[last:]) {
			in.constants = append(in.constants, block...)
		}
		in.groups[g].constants = uint32(4 * (len(in.constants) - len(block)))
	}
	return in
}

func setInput(block []float32, lane int, input *Input) {
	block[groupReciprocal*groupAVX2+lane] = float32(1 / float64(input.Scale))
	block[groupScale*groupAVX2+lane] = input.Scale
	block[groupHalf*groupAVX2+lane] = input.Scale / 2
	*(*int32)(unsafe.Pointer(&block[groupZero*groupAVX2+lane])) = input.Zero
}

// bytes returns the memory that was packed.
func (in *inputsAVX2) bytes() int { return 8*len(in.groups) + 4*len(in.constants) }

// inputFrameAVX2 is what the assembly knows of inputs. It takes the groups from group to end−1.
type inputFrameAVX2 struct {
	groups      *inputGroup
	constants   *float32
	source      unsafe.Pointer // the numbers of the group
	low, high   *uint8         // planes of activations
	group, end  int
	saturations uint64 // added to
}

// frame returns a frame that begins at the first group.
func (in *inputsAVX2) frame(w *windows, mem *Memory) inputFrameAVX2 {
	f := inputFrameAVX2{groups: unsafe.SliceData(in.groups), constants: unsafe.SliceData(in.constants), low: &mem.Activations8[0]}
	if w.program.Width == quant.Width14 {
		f.high = &mem.Activations8[w.plane]
	}
	return f
}

// quantise is windows.Quantise.
func (in *inputsAVX2) quantise(w *windows, mem *Memory, src []float32) int {
	mem.Saturations = 0
	f := in.frame(w, mem)
	var last [groupAVX2]float32 // the sources that are no whole group
	for f.group < len(in.groups) {
		numbers := src[groupAVX2*f.group:]
		f.source, f.end = unsafe.Pointer(&numbers[0]), f.group+len(numbers)/groupAVX2
		if f.end == f.group {
			copy(last[:], numbers)
			f.source, f.end = unsafe.Pointer(&last), f.group+1
		}
		if w.program.Width == quant.Width7 {
			quantise7AVX2(&f)
		} else {
			quantise14AVX2(&f)
		}
		if f.group < f.end {
			if j := w.quantiseFar(mem, src, groupAVX2*f.group); j >= 0 {
				return j
			}
			f.group++
		}
	}
	mem.Saturations += f.saturations
	return -1
}

// quantiseFar quantises a group, the first source of which is given, one number at a time, and returns the
// index of the first that is not finite, or −1.
func (w *windows) quantiseFar(mem *Memory, src []float32, first int) int {
	end := min(first+groupAVX2, len(src))
	if j := firstNotFinite(src[first:end]); j >= 0 {
		return first + j
	}
	inputs := w.program.Inputs
	from, _ := slices.BinarySearchFunc(inputs, first, func(in Input, source int) int { return int(in.Source) - source })
	to := from
	for to < len(inputs) && int(inputs[to].Source) < end {
		to++
	}
	w.quantiseInputs(mem, src, from, to)
	return -1
}

// gather7 is windows.Gather7.
func (in *inputsAVX2) gather7(w *windows, mem *Memory, src []uint8) {
	f := in.frame(w, mem)
	whole := len(src) / groupAVX2
	if f.end = whole; whole > 0 {
		f.source = unsafe.Pointer(&src[0])
		gather7AVX2(&f)
	}
	if whole < len(in.groups) {
		var last [groupAVX2]uint8
		copy(last[:], src[groupAVX2*whole:])
		f.source, f.end = unsafe.Pointer(&last), whole+1
		gather7AVX2(&f)
	}
	mem.Saturations = f.saturations
}

// gather14 is windows.Gather14.
func (in *inputsAVX2) gather14(w *windows, mem *Memory, src []uint16) {
	f := in.frame(w, mem)
	whole := len(src) / groupAVX2
	if f.end = whole; whole > 0 {
		f.source = unsafe.Pointer(&src[0])
		gather14AVX2(&f)
	}
	if whole < len(in.groups) {
		var last [groupAVX2]uint16
		copy(last[:], src[groupAVX2*whole:])
		f.source, f.end = unsafe.Pointer(&last), whole+1
		gather14AVX2(&f)
	}
	mem.Saturations = f.saturations
}

// quantise7AVX2 is windows.quantiseInputs for groups of 7 bits. It stops at a group of which a number is far
// off or not finite.
//
//go:noescape
func quantise7AVX2(f *inputFrameAVX2)

// quantise14AVX2 is the same for 14 bits.
//
//go:noescape
func quantise14AVX2(f *inputFrameAVX2)

// gather7AVX2 is gatherWindows for groups of 7 bits.
//
//go:noescape
func gather7AVX2(f *inputFrameAVX2)

// gather14AVX2 is the same for 14 bits.
//
//go:noescape
func gather14AVX2(f *inputFrameAVX2)
