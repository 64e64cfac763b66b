//go:build amd64 && !noasm && !purego

package teacher

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// haveAVX2 chooses between the assembly and the generic kernels. Tests switch it.
var haveAVX2 = cpu.X86.HasAVX2

//go:noescape
func accumulateAVX2(dst, m, values *float32, rows *int32, n, width int)

//go:noescape
func updateAVX2(c *stepConstants, weights, first, second, gradient *float32, n int)

func accumulate(dst, m, values []float32, rows []int32) {
	if !haveAVX2 || len(values) == 0 {
		accumulateGeneric(dst, m, values, rows)
		return
	}
	accumulateAVX2(unsafe.SliceData(dst), unsafe.SliceData(m), unsafe.SliceData(values), unsafe.SliceData(rows), len(values), len(dst))
}

func update(c *stepConstants, weights, first, second, gradient []float32) {
	if !haveAVX2 || len(gradient) == 0 {
		updateGeneric(c, weights, first, second, gradient)
		return
	}
	updateAVX2(c, unsafe.SliceData(weights), unsafe.SliceData(first), unsafe.SliceData(second), unsafe.SliceData(gradient), len(gradient))
}
