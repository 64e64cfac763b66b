//go:build !noasm && !purego

package kernel

import (
	"golang.org/x/sys/cpu"

	"github.com/sparse-implicit/sim/format/quant"
)

func init() {
	kernels = append([]Kernel{{Name: "avx512", Usable: usableAVX512, Pack: packAVX512}}, kernels...)
}

// usableAVX512 reports whether the processor has what the kernel needs: Ice Lake, Zen 4 and later.
func usableAVX512() bool {
	x := &cpu.X86
	return x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512VBMI && x.HasAVX512VNNI && x.HasPOPCNT
}

// Up to how many entries windows have 64 bytes. Intel's processors permute 64 bytes in one cycle and 128 in two; but
// with 128 steps are fewer, which counts as soon as they come from the second cache (BenchmarkNearAndFar). 14 bits permute twice.
const (
	nearEntries7  = 6000
	nearEntries14 = 150_000
)

func packAVX512(p *Program, s *Streams) (Engine, float64) {
	window, near := 64, nearEntries7
	if p.Width == quant.Width14 {
		near = nearEntries14
	}
	if len(s.Values) > near {
		window = 128
	}
	w := packWindowsAVX512(p, s, window)
	if w.oversized {
		return packPortable(p, s)
	}
	return w, costAVX512(w)
}

// packWindowsAVX512 packs for windows of 64 or 128 bytes.
func packWindowsAVX512(p *Program, s *Streams, window int) *windows {
	k := windowKernel{execute: execute7AVX512}
	switch {
	case p.Width == quant.Width7 && window == 128:
		k.execute = execute7AVX512Far
	case p.Width == quant.Width14 && window == 128:
		k.execute = execute14AVX512Far
	case p.Width == quant.Width14:
		k.execute = execute14AVX512
	}
	w := packWindows(p, s, layout{rows: 16, window: window, group: maxGroup}, k)
	in := packInputsAVX512(w)
	w.kernel.quantise, w.kernel.gather7, w.kernel.gather14, w.beside = in.quantise, in.gather7, in.gather14, in.bytes()
	return w
}

// costAVX512 estimates the nanoseconds of an inference, from BenchmarkInfer, for one sweep of each loop as
// portableCost does: of a call, of steps by their bytes, of a slice at a window, of a slice's results.
func costAVX512(w *windows) float64 {
	slices, visits := 0, 0
	for k := range w.commands {
		if c := &w.commands[k]; c.slices > 0 {
			slices += int(c.slices)
			visits += int(c.slices * c.count)
		}
	}
	return 30 + 0.007*float64(len(w.data)) + 0.6*float64(visits) + 4*float64(slices)
}

// execute7AVX512 is interpret for 7 bits and windows of 64 bytes.
//
//go:noescape
func execute7AVX512(w *windows, mem *Memory, p *progress)

// execute14AVX512 is interpret for 14 bits and windows of 64 bytes.
//
//go:noescape
func execute14AVX512(w *windows, mem *Memory, p *progress)

// execute7AVX512Far is interpret for 7 bits and windows of 128 bytes.
//
//go:noescape
func execute7AVX512Far(w *windows, mem *Memory, p *progress)

// execute14AVX512Far is interpret for 14 bits and windows of 128 bytes.
//
//go:noescape
func execute14AVX512Far(w *windows, mem *Memory, p *progress)
