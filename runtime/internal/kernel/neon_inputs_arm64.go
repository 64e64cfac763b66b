//go:build !noasm && !purego

package kernel

import (
	"math"
	"unsafe"

	"github.com/sparse-implicit/sim/format/quant"
)

// neonBlock is how many inputs the assembly takes at once; what is left over at the end goes one by one.
const neonBlock = 16

// neonTurn is how many blocks a call of the assembly takes, so that the scheduler gets its turn.
const neonTurn = 1 << 10

// neonInputs is what the assembly needs of a model's inputs: of all, those that are not read included.
type neonInputs struct {
	blocks int       // whole blocks of inputs
	params []float32 // of each block three arrays of 16: 1/s, z + ½, and how far from ½ a fraction is certain

	// What is above its limit is clamped and counted. Inputs that are not read have no limit.
	limits7  []uint8
	limits14 []uint16

	first []int32 // of each block and of what is left over, the first of Program.Inputs
}

// packNEONInputs prepares inputs.
//
// The assembly computes y = u·r + (z+½) in float32, fused, r being 1/s rounded, and takes ⌊y⌋ for the exact
// ⌊Y⌋, Y = u/s + ½ + z, where the fraction y − ⌊y⌋ is farther than E from 0 and from 1. This is safe: with
// |z| < 2²² the sum z+½ is exact, and with r in the normal range r is off by 2⁻²⁴ of itself, so that
//
//	|y − Y| ≤ 2⁻²⁴|u/s| + 2⁻²⁴|Y| + 2⁻⁴⁹(|u/s| + |Y|) ≤ (|z| + 2|Y| + 1)·2⁻²⁴ (a little more for the last term)
//
// For −2 ≤ Y ≤ Q+2 this is below E = (|z| + 2Q + 8)·2⁻²⁴, with 2·2⁻²⁴ to spare for the rounding of the
// fraction, of its distance from ½ and of the exact rule's float64. Farther out the error is below ½ + 2⁻²²·|Y|:
// y is then below −1 or above Q+1 like Y, and both are clamped and counted. y of 2²³ and more, infinities and
// NaNs have no fraction between E and 1−E. An input for which this does not hold is never certain.
func packNEONInputs(w *windows) *neonInputs {
	p := w.program
	in := &neonInputs{blocks: p.SourceInputs / neonBlock}
	n := in.blocks * neonBlock
	in.params = make([]float32, 3*n)
	for j := range n {
		in.set(j, 0, 0.5, 0.5)
	}
	in.first = make([]int32, in.blocks+2)
	for k := range p.Inputs {
		j := int(p.Inputs[k].Source)
		in.first[min(j/neonBlock, in.blocks)+1]++
		if j < n {
			in.setInput(j, &p.Inputs[k], p.Width)
		}
	}
	for b := range in.blocks + 1 {
		in.first[b+1] += in.first[b]
	}
	in.limit(p, n)
	w.beside = 4*len(in.params) + 4*len(in.first) + len(in.limits7) + 2*len(in.limits14)
	return in
}

// set stores the parameters of input j.
func (in *neonInputs) set(j int, reciprocal, half, certain float32) {
	block := in.params[j/neonBlock*3*neonBlock:]
	block[j%neonBlock], block[neonBlock+j%neonBlock], block[2*neonBlock+j%neonBlock] = reciprocal, half, certain
}

func (in *neonInputs) setInput(j int, input *Input, width quant.Width) {
	reciprocal, zero := float32(1/float64(input.Scale)), math.Abs(float64(input.Zero))
	if !(reciprocal >= 0x1p-126 && reciprocal <= math.MaxFloat32) || zero >= 1<<22 {
		in.set(j, 0, 0.5, -1)
		return
	}
	e := (zero + 2*float64(width.Max()) + 8) * 0x1p-24
	in.set(j, reciprocal, float32(input.Zero)+0.5, math.Nextafter32(float32(0.5-e), -1))
}

func (in *neonInputs) limit(p *Program, n int) {
	if p.Width == quant.Width7 {
		in.limits7 = make([]uint8, n)
		for j := range in.limits7 {
			in.limits7[j] = math.MaxUint8
		}
		for k := range in.first[in.blocks] {
			in.limits7[p.Inputs[k].Source] = uint8(p.Width.Max())
		}
		return
	}
	in.limits14 = make([]uint16, n)
	for j := range in.limits14 {
		in.limits14[j] = math.MaxUint16
	}
	for k := range in.first[in.blocks] {
		in.limits14[p.Inputs[k].Source] = uint16(p.Width.Max())
	}
}

// neonQuantise is what quantiseNEON knows.
type neonQuantise struct {
	src         *float32
	params      *float32
	dst         *uint8
	plane       int // bytes to the upper plane
	largest     int // Q
	block, end  int // the next block, where to stop; when it returns, block is the one of which it is not certain, or end
	saturations uint64
}

// neonGather is what gather7NEON and gather14NEON know.
type neonGather struct {
	src, limits unsafe.Pointer
	dst         *uint8
	plane       int
	block, end  int
	saturations uint64
}

// quantise is windows.Quantise.
func (in *neonInputs) quantise(w *windows, mem *Memory, src []float32) int {
	f := neonQuantise{
		src: unsafe.SliceData(src), params: unsafe.SliceData(in.params), dst: unsafe.SliceData(mem.Activations8),
		plane: w.plane, largest: int(w.program.Width.Max()),
	}
	mem.Saturations = 0
	for f.block < in.blocks {
		f.end = min(f.block+neonTurn, in.blocks)
		quantiseNEON(&f)
		if f.block == f.end {
			continue
		}
		if j := in.exactly(w, mem, src, f.block, neonBlock*(f.block+1)); j >= 0 {
			return j
		}
		f.block++
	}
	mem.Saturations += f.saturations
	return in.exactly(w, mem, src, in.blocks, len(src))
}

// exactly quantises the inputs of a block, which ends before the input end, by the rule itself. It returns
// the index of the first that is not finite, or −1.
func (in *neonInputs) exactly(w *windows, mem *Memory, src []float32, block, end int) int {
	if j := firstNotFinite(src[neonBlock*block : end]); j >= 0 {
		return neonBlock*block + j
	}
	for k := in.first[block]; k < in.first[block+1]; k++ {
		input := &w.program.Inputs[k]
		q, saturated := quant.InputFromReal(src[input.Source], input.Scale, input.Zero, w.program.Width)
		w.set(mem, int(input.Source), uint16(q))
		if saturated {
			mem.Saturations++
		}
	}
	return -1
}

// gather7 is gatherWindows for 7 bits.
func (in *neonInputs) gather7(w *windows, mem *Memory, src []uint8) {
	f := neonGather{
		src: unsafe.Pointer(unsafe.SliceData(src)), limits: unsafe.Pointer(unsafe.SliceData(in.limits7)),
		dst: unsafe.SliceData(mem.Activations8),
	}
	for f.block < in.blocks {
		f.end = min(f.block+neonTurn, in.blocks)
		gather7NEON(&f)
	}
	mem.Saturations = f.saturations + gatherRest(w, mem, src, w.program.Inputs[in.first[in.blocks]:])
}

// gather14 is gatherWindows for 14 bits.
func (in *neonInputs) gather14(w *windows, mem *Memory, src []uint16) {
	f := neonGather{
		src: unsafe.Pointer(unsafe.SliceData(src)), limits: unsafe.Pointer(unsafe.SliceData(in.limits14)),
		dst: unsafe.SliceData(mem.Activations8), plane: w.plane,
	}
	for f.block < in.blocks {
		f.end = min(f.block+neonTurn, in.blocks)
		gather14NEON(&f)
	}
	mem.Saturations = f.saturations + gatherRest(w, mem, src, w.program.Inputs[in.first[in.blocks]:])
}

// gatherRest is gatherWindows for some of the inputs.
func gatherRest[T Activation](w *windows, mem *Memory, src []T, inputs []Input) (saturations uint64) {
	largest := uint16(w.program.Width.Max())
	for k := range inputs {
		q := uint16(src[inputs[k].Source])
		if q > largest {
			q = largest
			saturations++
		}
		w.set(mem, int(inputs[k].Source), q)
	}
	return saturations
}

// quantiseNEON is windows.Quantise for whole blocks, as far as it is certain.
//
//go:noescape
func quantiseNEON(f *neonQuantise)

// gather7NEON is gatherWindows for whole blocks of 7 bits.
//
//go:noescape
func gather7NEON(f *neonGather)

// gather14NEON is gatherWindows for whole blocks of 14 bits.
//
//go:noescape
func gather14NEON(f *neonGather)
