package runtime

import (
	"fmt"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// imageModel has the shape of a fitted FashionMNIST model of 5,000 nonzeros: 784-64-32-16-10, causal.
func imageModel(width quant.Width) *simb.Model {
	return randomModel(&dice{1}, shape{
		width: width, inputs: 784, outputs: 10, density: 6,
		segments: []simb.Segment{{States: 64}, {States: 32}, {States: 16}},
	})
}

// loopModel has one loop of 112 states over 784 inputs.
func loopModel(width quant.Width) *simb.Model {
	return randomModel(&dice{1}, shape{width: width, inputs: 784, outputs: 10, density: 6, segments: []simb.Segment{{States: 112, Sweeps: 20}}})
}

func BenchmarkInfer(b *testing.B) {
	for _, c := range []struct {
		name  string
		model func(quant.Width) *simb.Model
	}{{"image", imageModel}, {"loop", loopModel}} {
		for _, width := range []quant.Width{quant.Width7, quant.Width14} {
			m := c.model(width)
			all := variants(b, m)
			for _, name := range append(kernel.Names(), kernelInPlace) {
				for _, point := range []string{fmt.Sprintf("InferQ%d", width), "Infer"} {
					b.Run(fmt.Sprintf("%s/%d bits/%s/%s", c.name, width, name, point), func(b *testing.B) {
						benchmark(b, all[name], point, m.Weights.NNZ())
					})
				}
			}
		}
	}
}

// benchmark runs an entry point and reports nonzeros per second: of one pass over the weights.
func benchmark(b *testing.B, model *Model, point string, nonzeros int) {
	infer := entryPoints(b, model)[point]
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		infer()
	}
	b.ReportMetric(float64(nonzeros)*float64(b.N)/b.Elapsed().Seconds(), "nonzeros/s")
	b.ReportMetric(float64(nonzeros), "nonzeros")
}
