package kernel

import "github.com/sparse-implicit/sim/format/quant"

// genericBatch is the specification of the kernels for batches.
var genericBatch = batchKernel{run: runBatch, sums: sumBatch, transpose: transposeBatch}

// runBatch computes rows whose results are clamped, or outputs.
func runBatch(b *Batch, mem *BatchMemory, first, end int) {
	for i := first; i < end; i++ {
		r, row := &b.rows[i], &b.program.Rows[i]
		sumBatch(b, mem, r.first, r.outer, row.Planes == 2)
		for s := range GroupSamples {
			acc := b.accumulator(row, mem, s, nil)
			if r.flags&batchOutput != 0 {
				mem.outputs[int(r.dest)/4+sumOf(s)] = row.output(acc)
				continue
			}
			q, saturated := b.program.state(row, acc)
			mem.counts[countOf(s)] += saturated
			b.store(mem.activations, b.plane, int(r.dest)+s, q)
		}
	}
}

// sumBatch adds up the quads of a row.
func sumBatch(b *Batch, mem *BatchMemory, first, count uint32, twoPlanes bool) {
	mem.sums = sampleSums{}
	for _, q := range b.quads[first:][:count] {
		for lane, at := range q.at {
			for s := range GroupSamples {
				value := int32(mem.activations[int(at)+s])
				if b.program.Width == quant.Width14 {
					value |= int32(mem.activations[int(at)+b.plane+s]) << 7
				}
				mem.sums.high[sumOf(s)] += int32(q.weight[lane]) * value
				if twoPlanes {
					mem.sums.low[sumOf(s)] += int32(q.low[lane]) * value
				}
			}
		}
	}
}

// transposeBatch interleaves the inputs of the samples.
func transposeBatch(b *Batch, mem *BatchMemory) {
	w, _ := b.engine.(*windows)
	for s := range mem.samples {
		from := &mem.Samples[s]
		for k := range b.inputs {
			at := k*GroupSamples + s
			switch {
			case b.program.Width == quant.Width7:
				mem.activations[at] = from.Activations8[k]
			case w != nil:
				mem.activations[at], mem.activations[at+b.plane] = from.Activations8[k], from.Activations8[k+w.plane]
			default:
				b.store(mem.activations, b.plane, at, from.Activations16[k])
			}
		}
	}
}
