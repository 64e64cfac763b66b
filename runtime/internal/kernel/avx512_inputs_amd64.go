//go:build !noasm && !purego

package kernel

import (
	"math"

	"github.com/sparse-implicit/sim/format/quant"
)

// inputsAVX512 takes inputs for the kernel of AVX-512: those of a block of 64 sources at a time become bytes,
// and one permutation puts the bytes of those that are read side by side.
type inputsAVX512 struct {
	blocks    []inputBlock
	gathers   []byte    // of each block 64: at k the byte of the k-th input that is read, in the order that gather leaves
	quantises []byte    // the same for quantise
	constants []float32 // of each block inputConstants arrays of 64
	last      uint64    // which sources of the last block there are
	plane     int       // bytes from a plane of activations to the next
}

// inputBlock is 64 sources.
type inputBlock struct {
	read uint64 // which of them are read
	at   uint32 // the position of the first
	how  uint32 // the least of the ways below that an input needs
}

// The ways in which a block is quantised.
const (
	quantiseFast  = iota // by a multiplication whose result is certain but for a few
	quantiseExact        // by a multiplication and a remainder
	quantiseSlow         // in Go
)

// The constants of a block. With r = 1/s rounded to float32, MAGIC = 1.5·2²³ and e = quantiseGuard:
const (
	inputReciprocal = iota // 7 bits: r·2²⁴; 14 bits: r
	inputOffset            // 7 bits: (z + 0.5)·2²⁴ − e; 14 bits: the integer z − bits(MAGIC)
	inputScale             // s
	inputHalf              // s/2
	inputZero              // z
	inputConstants         // how many arrays there are
)

// sourceBlock is how many sources a block has.
const sourceBlock = 64

// quantiseGuard is e of the fast way to 7 bits. It computes v = floor(fma(u, r·2²⁴, (z+0.5)·2²⁴ − e)) and
// trusts its high byte where v + 2e has the same one and it lies in [0, 127]. Then |u/s| < |z| + 128 and:
//
//   - r is off by at most 2⁻²⁴·|1/s|, and a little for being rounded twice: |u/s|·1.01 units of 2⁻²⁴;
//   - the sum is below 2³¹ and rounded to 24 bits: 2⁶ units, rounding to a lower binade included;
//   - the constant is exact for |z| ≤ 64, since 2³¹ > |(z+0.5)·2²⁴ − 2⁹| is a multiple of 2⁹; floor takes at most 1.
//
// Together |error| < 192·1.01 + 64 + 1 < e: the exact u/s + 0.5 lies between v/2²⁴ and (v+2e)/2²⁴, at least
// 2⁻¹⁸ away from where floor turns, and so does what InputFromReal computes in float64.
const (
	quantiseGuard    = 1 << 9
	quantiseFastZero = 64
)

// quantiseExactZero bounds |z| for the exact way. There k = floor(u·r) in float32 is off from floor(u/s) by
// one at most, where u/s is within 2⁻⁶ of an integer, for |u/s| < 2¹⁷; what is beyond saturates either way.
// The remainder u − k·s is computed by one fused operation, and t = k + [remainder ≥ s/2]. To see that the
// comparison is exact let ulp(x) be the unit in the last place of x. The remainder is a multiple of the lesser
// of ulp(u) and ulp(s), or it is u itself where k = 0. What is at least s/2 cannot be rounded to below it, for s/2 is a
// float32. What is below s/2 could be rounded up to it only from close by, where u is close to (k + ½)·s; then
// |u| > s/2 unless k = 0 or u > −s/2, in which case k = −1 and the remainder is above s/2. So ulp(u) ≥ ulp(s)/2, and a multiple of ulp(s)/2 below s/2 is a float32.
// InputFromReal rounds u/s to 53 bits, which moves it across no half: a quotient of two float32 that is not a
// half is at least 2⁻²⁶ away from one.
const quantiseExactZero = 1 << 16

// packInputsAVX512 packs what inputs need.
func packInputsAVX512(w *windows) *inputsAVX512 {
	p := w.program
	count := (p.SourceInputs + sourceBlock - 1) / sourceBlock
	in := &inputsAVX512{
		blocks: make([]inputBlock, count), gathers: make([]byte, count*sourceBlock), quantises: make([]byte, count*sourceBlock),
		constants: make([]float32, count*inputConstants*sourceBlock), plane: w.plane,
		last: math.MaxUint64 >> uint(-p.SourceInputs&(sourceBlock-1)),
	}
	for array := range count * inputConstants {
		value := in.unread(p.Width, array%inputConstants)
		for j := range in.constants[array*sourceBlock:][:sourceBlock] {
			in.constants[array*sourceBlock+j] = value
		}
	}
	k := 0
	var constants [inputConstants]float32 // of the input before: most models have one scale for all
	var like *Input
	how := uint32(0)
	for i := range in.blocks {
		b := &in.blocks[i]
		b.at = uint32(k)
		for ; k < len(p.Inputs) && int(p.Inputs[k].Source)/sourceBlock == i; k++ {
			lane, to := int(p.Inputs[k].Source)%sourceBlock, i*sourceBlock+k-int(b.at)
			b.read |= 1 << lane
			in.gathers[to], in.quantises[to] = gatherOrder(p.Width, lane), quantiseOrder(p.Width, lane)
			if input := &p.Inputs[k]; like == nil || input.Scale != like.Scale || input.Zero != like.Zero {
				constants, how = in.quantised(p.Width, input)
				like = input
			}
			b.how = max(b.how, how)
			if how != quantiseSlow {
				for constant, value := range &constants {
					in.constants[(i*inputConstants+constant)*sourceBlock+lane] = value
				}
			}
		}
	}
	return in
}

// bytes returns the memory that was packed.
func (in *inputsAVX512) bytes() int {
	return 16*len(in.blocks) + len(in.gathers) + len(in.quantises) + 4*len(in.constants)
}

// gatherOrder returns where gather leaves the byte of a source: for 14 bits as VPACKUSWB does.
func gatherOrder(width quant.Width, lane int) byte {
	if width == quant.Width7 {
		return byte(lane)
	}
	return byte(lane%32/8*16 + lane/32*8 + lane%8)
}

// quantiseOrder returns where quantise leaves the byte of a source.
func quantiseOrder(width quant.Width, lane int) byte {
	if width == quant.Width7 {
		return byte(lane%16*4 + lane/16)
	}
	return byte(lane%16/4*16 + lane/16*4 + lane%4)
}

// magicBits is bits(MAGIC): adding MAGIC to a small number leaves its floor in the low bits.
const magicBits = 0x4B400000

// unread returns what a constant is for a source that is not read: one that gives 0, or 1, and never
// saturates; but NaN and infinities stay what they are.
func (in *inputsAVX512) unread(width quant.Width, constant int) float32 {
	switch {
	case constant == inputOffset:
		return offset(width, 0)
	case constant == inputScale:
		return math.MaxFloat32
	case constant == inputHalf:
		return math.MaxFloat32 / 2
	}
	return 0
}

func offset(width quant.Width, zero int32) float32 {
	if width == quant.Width7 {
		return float32((float64(zero)+0.5)*(1<<24) - quantiseGuard)
	}
	return math.Float32frombits(uint32(zero - magicBits))
}

// quantised returns the constants of an input and the way that it needs; of the slow one none.
func (in *inputsAVX512) quantised(width quant.Width, input *Input) (constants [inputConstants]float32, how uint32) {
	// Reciprocals, those times 2²⁴ and halves must be normal float32.
	if !(input.Scale >= 0x1p-100 && input.Scale <= 0x1p100) || max(input.Zero, -input.Zero) > quantiseExactZero || input.Zero == math.MinInt32 {
		return constants, quantiseSlow
	}
	reciprocal := 1 / float64(input.Scale)
	if width == quant.Width7 {
		reciprocal *= 1 << 24
	}
	constants = [inputConstants]float32{
		inputReciprocal: float32(reciprocal), inputOffset: offset(width, input.Zero),
		inputScale: input.Scale, inputHalf: input.Scale / 2, inputZero: float32(input.Zero),
	}
	if width == quant.Width7 && max(input.Zero, -input.Zero) > quantiseFastZero {
		return constants, quantiseExact
	}
	return constants, quantiseFast
}

// quantise is windows.Quantise.
func (in *inputsAVX512) quantise(w *windows, mem *Memory, src []float32) int {
	mem.Saturations = 0
	for block := 0; ; block++ {
		if w.program.Width == quant.Width7 {
			block = quantise7AVX512(in, mem, src, block)
		} else {
			block = quantise14AVX512(in, mem, src, block)
		}
		if block >= len(in.blocks) {
			return -1
		}
		first := block * sourceBlock
		if j := firstNotFinite(src[first:min(first+sourceBlock, len(src))]); j >= 0 {
			return first + j
		}
		end := len(w.program.Inputs)
		if block+1 < len(in.blocks) {
			end = int(in.blocks[block+1].at)
		}
		w.quantiseInputs(mem, src, int(in.blocks[block].at), end)
	}
}

// gather7 is windows.Gather7.
func (in *inputsAVX512) gather7(_ *windows, mem *Memory, src []uint8) { gather7AVX512(in, mem, src) }

// gather14 is windows.Gather14.
func (in *inputsAVX512) gather14(_ *windows, mem *Memory, src []uint16) { gather14AVX512(in, mem, src) }

// quantise7AVX512 quantises the blocks from the given one on, adds to mem.Saturations and returns the first
// that it leaves to Go, which may have a number that is not finite, or else len(in.blocks).
//
//go:noescape
func quantise7AVX512(in *inputsAVX512, mem *Memory, src []float32, block int) int

// quantise14AVX512 is the same for 14 bits.
//
//go:noescape
func quantise14AVX512(in *inputsAVX512, mem *Memory, src []float32, block int) int

// gather7AVX512 is gatherWindows for 7 bits.
//
//go:noescape
func gather7AVX512(in *inputsAVX512, mem *Memory, src []uint8)

// gather14AVX512 is gatherWindows for 14 bits.
//
//go:noescape
func gather14AVX512(in *inputsAVX512, mem *Memory, src []uint16)
