//go:build !noasm && !purego

package kernel

import (
	"golang.org/x/sys/cpu"
)

// The kernel for AVX2: 8 rows, windows of 32 bytes. VPSHUFB permutes 16 bytes, so that a step of 32 takes one
// and a half times one of 16; but then there are two thirds of the steps, and their memory: with 5,000
// nonzeros the weights fit into the first cache.
func init() {
	usable := func() bool {
		return cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasPOPCNT
	}
	kernels = append([]Kernel{{Name: "avx2", Usable: usable, Pack: packAVX2}}, kernels...)
}

var layoutAVX2 = layout{rows: 8, window: 32, sourceOrder: true}

func packAVX2(p *Program, s *Streams) (Engine, float64) {
	w := packWindows(p, s, layoutAVX2, windowKernel{})
	if w.oversized {
		return packPortable(p, s)
	}
	pairSteps(w)
	setPlain(w)
	w.kernel.execute = executeAVX2
	if in := packInputsAVX2(p); in != nil {
		w.kernel.quantise, w.beside = in.quantise, in.bytes()
		w.kernel.gather7, w.kernel.gather14 = in.gather7, in.gather14
	}
	return w, costAVX2(w)
}

// costAVX2 estimates the nanoseconds of an inference, less what it has in common with one of portableCost.
func costAVX2(w *windows) float64 {
	planes := float64(w.planes())
	cost := 15 + 20*float64(len(w.program.Segments)+1) + 0.06*planes*float64(w.program.SourceInputs)
	for k := range w.commands {
		c := &w.commands[k]
		step := 0.4 + 0.6*planes
		if c.flags&flagTwoPlanes != 0 {
			step *= 1.5
		}
		cost += 6 + step*float64(c.steps)
		if c.flags&flagHighHalf == 0 {
			cost += 12
		}
		if c.flags&flagTable != 0 {
			cost += 12
		}
	}
	return cost
}

// executeAVX2 is interpret.
func executeAVX2(w *windows, mem *Memory, p *progress) {
	f := newWindowFrame(w, mem, p)
	runAVX2(&f)
}

// runAVX2 is interpret, for a model packed by packAVX2.
//
//go:noescape
func runAVX2(f *windowFrame)
