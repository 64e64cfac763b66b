//go:build amd64 && !noasm && !purego

package rowsolve

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// haveAVX2 and haveAVX512 choose between the assembly and the generic kernels. Tests switch them.
var (
	haveAVX2   = cpu.X86.HasAVX2 && cpu.X86.HasFMA
	haveAVX512 = haveAVX2 && cpu.X86.HasAVX512F
)

//go:noescape
func dotAVX2(x, y *float64, n int) float64

//go:noescape
func axpyAVX2(a float64, x, y *float64, n int)

//go:noescape
func axpy4AVX2(a *[4]float64, x0, x1, x2, x3, y *float64, n int)

//go:noescape
func rotateAVX2(c, s float64, dst, x, v *float64, n int)

//go:noescape
func tileAVX2(acc *[tileRows * tileCols]float64, a, b *float64, list *int32, n int)

//go:noescape
func tile2AVX512(acc *[2][tileRows * tileCols]float64, a, b0, b1 *float64, list *int32, n int)

//go:noescape
func addTileAVX2(dst *float64, stride int, acc *[tileRows * tileCols]float64)

func dot(x, y []float64) float64 {
	if !haveAVX2 {
		return dotGeneric(x, y)
	}
	y = y[:len(x)]
	return dotAVX2(unsafe.SliceData(x), unsafe.SliceData(y), len(x))
}

func axpy(a float64, x, y []float64) {
	if !haveAVX2 {
		axpyGeneric(a, x, y)
		return
	}
	y = y[:len(x)]
	axpyAVX2(a, unsafe.SliceData(x), unsafe.SliceData(y), len(x))
}

func axpy4(a *[4]float64, x0, x1, x2, x3, y []float64) {
	if !haveAVX2 {
		axpy4Generic(a, x0, x1, x2, x3, y)
		return
	}
	n := len(y)
	x0, x1, x2, x3 = x0[:n], x1[:n], x2[:n], x3[:n]
	axpy4AVX2(a, unsafe.SliceData(x0), unsafe.SliceData(x1), unsafe.SliceData(x2), unsafe.SliceData(x3), unsafe.SliceData(y), n)
}

func rotate(c, s float64, dst, x, v []float64) {
	if !haveAVX2 {
		rotateGeneric(c, s, dst, x, v)
		return
	}
	dst, v = dst[:len(x)], v[:len(x)]
	rotateAVX2(c, s, unsafe.SliceData(dst), unsafe.SliceData(x), unsafe.SliceData(v), len(x))
}

// tile needs len(a) and len(b) to reach the last sample in list, as a packing's panels do.
func tile(acc *[tileRows * tileCols]float64, a, b []float64, list []int32) {
	if !haveAVX2 || len(list) == 0 {
		tileGeneric(acc, a, b, list)
		return
	}
	tileAVX2(acc, unsafe.SliceData(a), unsafe.SliceData(b), unsafe.SliceData(list), len(list))
}

// tile2 is tile for two panels.
func tile2(acc *[2][tileRows * tileCols]float64, a, b0, b1 []float64, list []int32) {
	if !haveAVX512 || len(list) == 0 {
		tile(&acc[0], a, b0, list)
		tile(&acc[1], a, b1, list)
		return
	}
	tile2AVX512(acc, unsafe.SliceData(a), unsafe.SliceData(b0), unsafe.SliceData(b1), unsafe.SliceData(list), len(list))
}

func addTile(dst []float64, stride int, acc *[tileRows * tileCols]float64) {
	if !haveAVX2 {
		addTileGeneric(dst, stride, acc)
		return
	}
	dst = dst[:(tileRows-1)*stride+tileCols]
	addTileAVX2(unsafe.SliceData(dst), stride, acc)
}
