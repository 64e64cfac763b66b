//go:build !noasm && !purego

package kernel

import (
	"unsafe"

	"github.com/sparse-implicit/sim/format/quant"
	"golang.org/x/sys/cpu"
)

// The kernel for AVX2: 8 rows, windows of 16 bytes. A window of 32 would take a third fewer steps, but
// twice the permutes, for VPSHUFB permutes 16 bytes, and an exclusive-or and an or beside: on the models that
// were measured (BenchmarkWindows) its step cost more than it saved.
func init() {
	usable := func() bool {
		return cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasPOPCNT
	}
	kernels = append([]Kernel{{Name: "avx2", Usable: usable, Pack: packAVX2}}, kernels...)
}

var layoutAVX2 = layout{rows: 8, window: 16, sourceOrder: true}

func packAVX2(p *Program, s *Streams) (Engine, float64) {
	w := packWindows(p, s, layoutAVX2, windowKernel{})
	pairSteps(w)
	w.kernel.execute = executeAVX2
	if in := packInputsAVX2(p); in != nil {
		w.kernel.quantise, w.beside = in.quantise, in.bytes()
		w.kernel.gather7, w.kernel.gather14 = in.gather7, in.gather14
	}
	return w, costAVX2(w)
}

// costAVX2 estimates the nanoseconds of an inference.
func costAVX2(w *windows) float64 {
	steps := 0
	for k := range w.commands {
		steps += int(w.commands[k].steps)
	}
	step := 0.6 * float64(w.planes())
	return 40 + step*float64(steps) + 8*float64(len(w.commands)) + 0.06*float64(w.program.SourceInputs)
}

// frameAVX2 is what the assembly knows of a model and its memory.
type frameAVX2 struct {
	commands    *command
	starts      *uint32
	data        *byte
	constants   *int32
	initial     *byte
	tables      *uint16
	activations *uint8
	next        *uint8
	external    *int64
	outputs     *int32
	plane       int // bytes from a plane of activations to the next
	nextPlane   int // the same for next
	progress    *progress
	wide        int // 1: activations of 14 bits
}

// executeAVX2 is interpret.
func executeAVX2(w *windows, mem *Memory, p *progress) {
	f := frameAVX2{
		commands: unsafe.SliceData(w.commands), starts: unsafe.SliceData(w.starts), data: unsafe.SliceData(w.data),
		constants: unsafe.SliceData(w.constants), initial: unsafe.SliceData(w.initial), tables: unsafe.SliceData(w.tables),
		activations: unsafe.SliceData(mem.Activations8), next: unsafe.SliceData(mem.Next8),
		external: unsafe.SliceData(mem.External), outputs: unsafe.SliceData(mem.Outputs),
		plane: w.plane, nextPlane: w.next, progress: p,
	}
	if w.program.Width == quant.Width14 {
		f.wide = 1
	}
	runAVX2(&f)
}

// runAVX2 is interpret, for a model packed by packAVX2.
//
//go:noescape
func runAVX2(f *frameAVX2)
