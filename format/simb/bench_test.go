package simb_test

import (
	"runtime"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

// TestHeapOfARawFileIsIndependentOfItsWeights is what an inference in place needs.
func TestHeapOfARawFileIsIndependentOfItsWeights(t *testing.T) {
	var heap [2]uint64
	for k, density := range []float64{0.01, 0.9} {
		data := encode(t, simbtest.Random(simbtest.NewRand(1), simbtest.Options{Width: quant.Width7, Inputs: 500, States: 200, Outputs: 10, Density: density, NoLoops: true, NoClaims: true}), simb.CodecRaw)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		file := open(t, data)
		runtime.ReadMemStats(&after)
		heap[k] = after.TotalAlloc - before.TotalAlloc
		t.Logf("%d weights: %d bytes of file, %d of heap", file.Nonzeros(), len(data), heap[k])
	}
	if heap[1] > heap[0]+16<<10 {
		t.Errorf("%d bytes of heap with few weights, %d with many", heap[0], heap[1])
	}
}

// BenchmarkOpen opens a file of 100,000 weights.
func BenchmarkOpen(b *testing.B) {
	m := simbtest.Random(simbtest.NewRand(1), simbtest.Options{Width: quant.Width7, Inputs: 784, States: 400, Outputs: 10, Density: 0.25, NoLoops: true})
	for codec, name := range []string{"raw", "huff0", "packed"} {
		data := encode(b, m, simb.Codec(codec))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				open(b, data)
			}
			b.ReportMetric(float64(m.Weights.Stored())*float64(b.N)/b.Elapsed().Seconds(), "weights/s")
		})
	}
}
