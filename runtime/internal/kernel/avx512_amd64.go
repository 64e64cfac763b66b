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

func packAVX512(p *Program, s *Streams) (Engine, float64) {
	k := windowKernel{execute: execute7AVX512}
	if p.Width == quant.Width14 {
		k.execute = execute14AVX512
	}
	w := packWindows(p, s, layout{rows: 16, window: 64, group: maxGroup}, k)
	in := packInputsAVX512(w)
	w.kernel.quantise, w.kernel.gather7, w.kernel.gather14, w.beside = in.quantise, in.gather7, in.gather14, in.bytes()
	return w, costAVX512(w)
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

// execute7AVX512 is interpret for 7 bits.
//
//go:noescape
func execute7AVX512(w *windows, mem *Memory, p *progress)

// execute14AVX512 is interpret for 14 bits.
//
//go:noescape
func execute14AVX512(w *windows, mem *Memory, p *progress)
