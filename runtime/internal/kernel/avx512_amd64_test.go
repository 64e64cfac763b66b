//go:build !noasm && !purego

package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
)

func init() {
	if usableAVX512() {
		for name, window := range map[string]int{"avx512, near": 64, "avx512, far": 128} {
			moreEngines[name] = func(p *Program, s *Streams) Engine { return packWindowsAVX512(p, s, window) }
		}
	}
}

// BenchmarkNearAndFar compares windows of 64 and of 128 bytes on random programs of more and more entries.
func BenchmarkNearAndFar(b *testing.B) {
	if !usableAVX512() {
		b.Skip("this processor lacks AVX-512")
	}
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		for _, entries := range []int{30, 80, 150, 300, 3000} {
			p, s := randomProgram(rand.New(rand.NewPCG(1, 1)), shape{
				width: width, inputs: 784 * (1 + entries/300), outputs: 10, entries: entries, segments: []Segment{{End: 100}, {First: 100, End: 160}},
			})
			for _, window := range []int{64, 128} {
				w := packWindowsAVX512(p, s, window)
				mem := newMemory(w)
				b.Run(fmt.Sprintf("%d bits/%d entries/%d", width, len(s.Values), window), func(b *testing.B) {
					for range b.N {
						w.States(mem)
					}
				})
			}
		}
	}
}
