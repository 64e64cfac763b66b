package runtime

import (
	"fmt"
	"math"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// largeModel has the shape 3072-1024-1024-100, a layer reading the one before, at 4 % of its weights: 172,000
// nonzeros.
func largeModel(width quant.Width) *simb.Model {
	return layered(&dice{1}, width, 4, 3072, 1024, 1024, 100)
}

// BenchmarkUpdate compares an update of some inputs with a full inference, on every kernel. Inputs change far, to any
// value, or near, by a step up or down, as those of slow sensors do. "alone" never leaves anything to the
// kernel: it shows what the comparison of both is worth.
func BenchmarkUpdate(b *testing.B) {
	for _, c := range []struct {
		name    string
		model   func(quant.Width) *simb.Model
		percent int
	}{{"image", imageModel, 5}, {"layers", layersModel, 5}, {"loop", loopModel, 5}, {"large", largeModel, 2}} {
		m := c.model(quant.Width7)
		for _, name := range kernel.Names() {
			model, err := Load(encode(b, m, simb.CodecRaw), WithKernel(name), WithUpdates())
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("%s/%s/full", c.name, name), func(b *testing.B) { benchmark(b, model, "InferQ7", m.Weights.NNZ()) })
			for _, move := range []string{"far", "near"} {
				b.Run(fmt.Sprintf("%s/%s/%s", c.name, name, move), func(b *testing.B) { benchmarkUpdates(b, model, c.percent, move == "far") })
			}
			alone := *model
			alone.columns = columnsOf(b, m, &alone, math.Inf(1), false)
			for _, move := range []string{"far", "near"} {
				b.Run(fmt.Sprintf("%s/%s/%s alone", c.name, name, move), func(b *testing.B) { benchmarkUpdates(b, &alone, c.percent, move == "far") })
			}
		}
	}
}

// layersModel is imageModel without connections that skip a layer.
func layersModel(width quant.Width) *simb.Model {
	return layered(&dice{1}, width, 8, 784, 64, 32, 16, 10)
}

// benchmarkUpdates reports the time of an update, and how many nonzeros it adds by columns.
func benchmarkUpdates(b *testing.B, model *Model, percent int, far bool) {
	d, s := &dice{1}, model.NewSession()
	count := max(1, model.Inputs()*percent/100)
	const rounds = 64
	indices, values, dst := make([][]int, rounds), make([][]uint8, rounds), make([]int32, model.Outputs())
	current := make([]uint8, model.Inputs())
	for j := range current {
		current[j] = uint8(d.below(128))
	}
	if err := s.InferQ7(dst, current); err != nil {
		b.Fatal(err)
	}
	for r := range rounds {
		for range count {
			j := d.below(model.Inputs())
			if far {
				current[j] = uint8(d.below(128))
			} else {
				current[j] = uint8(min(max(int(current[j])+2*d.below(2)-1, 0), 127))
			}
			indices[r], values[r] = append(indices[r], j), append(values[r], current[j])
		}
	}
	update := func(r int) {
		if err := s.UpdateQ7(dst, indices[r%rounds], values[r%rounds]); err != nil {
			b.Fatal(err)
		}
	}
	for r := range 4 * rounds {
		update(r)
	}
	before := s.updates.stream.Touched
	b.ReportAllocs()
	b.ResetTimer()
	for r := range b.N {
		update(r)
	}
	b.ReportMetric(float64(s.updates.stream.Touched-before)/float64(b.N), "nonzeros")
}
