package runtime

import (
	"fmt"
	"os"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
)

// fittedModel is the demo's model: 4,905 weights that were fitted to FashionMNIST, with all their claims.
func fittedModel(b *testing.B) *simb.Model {
	data, err := os.ReadFile("examples/edge/model.simb")
	if err != nil {
		b.Fatal(err)
	}
	file, err := simb.Open(data)
	if err != nil {
		b.Fatal(err)
	}
	return file.Model()
}

// drawnModel has 10,000 weights or so at random places, each as likely as any other: a coding gains less on it
// than on a fitted one. It claims nothing.
func drawnModel() *simb.Model {
	return randomModel(&dice{1}, shape{width: quant.Width7, inputs: 784, outputs: 10, density: 6, segments: []simb.Segment{{States: 128}, {States: 64}}})
}

// BenchmarkLoad is from bytes in memory to a model, and to its first answer, by coding of the file.
func BenchmarkLoad(b *testing.B) {
	for _, model := range []struct {
		name string
		m    *simb.Model
	}{{"fitted 5k", fittedModel(b)}, {"drawn 10k", drawnModel()}} {
		for codec, coding := range []string{"raw", "huff0", "packed", "prefix"} {
			data := encode(b, model.m, simb.Codec(codec))
			src, dst := make([]float32, model.m.SourceInputs), make([]float32, model.m.Outputs())
			run := func(step string, load func() error) {
				b.Run(fmt.Sprintf("%s/%s/%s", model.name, coding, step), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if err := load(); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(len(data)), "file-B")
				})
			}
			run("open", func() error {
				_, err := simb.Open(data)
				return err
			})
			run("load", func() error {
				_, err := Load(data)
				return err
			})
			run("answer", func() error {
				m, err := Load(data)
				if err != nil {
					return err
				}
				return m.NewSession().Infer(dst, src)
			})
		}
	}
}
