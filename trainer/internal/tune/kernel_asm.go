//go:build amd64 && !noasm && !purego

package tune

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// haveAVX2 chooses between the assembly and the generic kernels. Tests switch it.
var haveAVX2 = cpu.X86.HasAVX2

//go:noescape
func gatherAVX2(dst, lines *float32, cols *int32, weights *float32, n int)

//go:noescape
func dotsAVX2(dst, line, lines *float32, cols *int32, n int)

//go:noescape
func scatterAVX2(lines, line *float32, cols *int32, weights *float32, n int)

func gather(dst, lines []float32, cols []int32, weights []float32) {
	if !haveAVX2 || len(cols) == 0 {
		gatherGeneric(dst, lines, cols, weights)
		return
	}
	gatherAVX2(unsafe.SliceData(dst), unsafe.SliceData(lines), unsafe.SliceData(cols), unsafe.SliceData(weights), len(cols))
}

func dots(dst, line, lines []float32, cols []int32) {
	if !haveAVX2 || len(cols) == 0 {
		dotsGeneric(dst, line, lines, cols)
		return
	}
	dotsAVX2(unsafe.SliceData(dst), unsafe.SliceData(line), unsafe.SliceData(lines), unsafe.SliceData(cols), len(cols))
}

func scatter(lines, line []float32, cols []int32, weights []float32) {
	if !haveAVX2 || len(cols) == 0 {
		scatterGeneric(lines, line, cols, weights)
		return
	}
	scatterAVX2(unsafe.SliceData(lines), unsafe.SliceData(line), unsafe.SliceData(cols), unsafe.SliceData(weights), len(cols))
}
