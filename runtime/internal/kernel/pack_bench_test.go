package kernel

import (
	"math/rand/v2"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
)

// BenchmarkPack packs a program of the shape of a FashionMNIST model of 5,000 weights.
func BenchmarkPack(b *testing.B) {
	p, s := randomProgram(rand.New(rand.NewPCG(1, 1)), shape{
		width: quant.Width7, inputs: 700, unread: 84, segments: []Segment{{First: 0, End: 100}, {First: 100, End: 162}}, outputs: 10, entries: 60,
	})
	for name, pack := range map[string]func(){
		"portable": func() { packPortable(p, s) },
		"windows":  func() { packWindows(p, s, layout{rows: 16, window: 128, sourceOrder: true}, windowKernel{}) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				pack()
			}
			b.ReportMetric(float64(len(s.Values)), "nonzeros")
		})
	}
}
