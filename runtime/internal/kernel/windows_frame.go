//go:build (amd64 || arm64) && !noasm && !purego

package kernel

import (
	"unsafe"

	"github.com/sparse-implicit/sim/format/quant"
)

// windowFrame is what the assembly knows of a model and its memory.
type windowFrame struct {
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
	progress    *progress
	plane       int // bytes from a plane of activations to the next
	nextPlane   int // the same of next
	wide        int // 1: activations of 14 bits, 0: of 7
}

func newWindowFrame(w *windows, mem *Memory, p *progress) windowFrame {
	f := windowFrame{
		commands: unsafe.SliceData(w.commands), starts: unsafe.SliceData(w.starts), data: unsafe.SliceData(w.data),
		constants: unsafe.SliceData(w.constants), initial: unsafe.SliceData(w.initial), tables: unsafe.SliceData(w.tables),
		activations: unsafe.SliceData(mem.Activations8), next: unsafe.SliceData(mem.Next8),
		external: unsafe.SliceData(mem.External), outputs: unsafe.SliceData(mem.Outputs),
		progress: p, plane: w.plane, nextPlane: w.next,
	}
	if w.program.Width == quant.Width14 {
		f.wide = 1
	}
	return f
}
