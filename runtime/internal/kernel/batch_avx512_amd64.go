//go:build !noasm && !purego

package kernel

import "unsafe"

func init() {
	if usableAVX512() {
		batchKernels["avx512"] = batchKernel{run: runBatchAVX512, sums: sumBatchAVX512, transpose: transposeBatchAVX512}
	}
}

// batchFrame is what the assembly for batches works with.
type batchFrame struct {
	rows        *batchRow
	count       uintptr
	quads       *quad
	activations *uint8
	plane       uintptr // 0 for 7 bits
	outputs     *int32
	counts      *uint64
}

func newBatchFrame(b *Batch, mem *BatchMemory, first, end int) batchFrame {
	f := batchFrame{
		rows: unsafe.SliceData(b.rows[first:end]), count: uintptr(end - first), quads: unsafe.SliceData(b.quads),
		activations: unsafe.SliceData(mem.activations), outputs: unsafe.SliceData(mem.outputs), counts: &mem.counts[0],
	}
	if b.program.Width.Bytes() == 2 {
		f.plane = uintptr(b.plane)
	}
	return f
}

// rowsPerCall bounds the work of a call, as stepBudget does.
const rowsPerCall = 128

func runBatchAVX512(b *Batch, mem *BatchMemory, first, end int) {
	for ; first < end; first += rowsPerCall {
		f := newBatchFrame(b, mem, first, min(first+rowsPerCall, end))
		batchRowsAVX512(&f)
	}
}

func sumBatchAVX512(b *Batch, mem *BatchMemory, first, count uint32, twoPlanes bool) {
	f := newBatchFrame(b, mem, 0, 1)
	row := batchRow{first: first, outer: count}
	if twoPlanes {
		row.flags = batchTwoPlanes
	}
	f.rows = &row
	batchSumsAVX512(&f, &mem.sums)
}

func transposeBatchAVX512(b *Batch, mem *BatchMemory) {
	w, ok := b.engine.(*windows)
	if !ok || b.inputs == 0 {
		transposeBatch(b, mem)
		return
	}
	// The samples' activations are one array, a window longer than the inputs.
	stride := uintptr(w.sizes.Activations8)
	for plane := range b.program.Width.Bytes() {
		from := &mem.Samples[0].Activations8[plane*w.plane]
		transposeAVX512(&mem.activations[plane*b.plane], from, stride, uintptr(b.inputs))
	}
}

// batchRowsAVX512 is runBatch.
//
//go:noescape
func batchRowsAVX512(f *batchFrame)

// batchSumsAVX512 is sumBatch, for the quads of f's first row.
//
//go:noescape
func batchSumsAVX512(f *batchFrame, sums *sampleSums)

// transposeAVX512 is transposeBatch for one plane: of the samples, stride bytes apart, columns 0 to count−1,
// rounded up to a multiple of 16. It reads as many bytes of each.
//
//go:noescape
func transposeAVX512(to, from *uint8, stride, count uintptr)
