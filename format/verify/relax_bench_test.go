package verify

import (
	"math/rand/v2"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
)

// controller has the shape of a collision avoidance network, apart from its 3 inputs: six levels of 50 states.
var controller = shape{"controller", 14, 2, false, []model.Kind{model.ReLU}, false, []int{50, 50, 50, 50, 50, 50}}

// BenchmarkRelaxedBoxes bounds boxes of a tree over a small part of the box, as the checker does.
func BenchmarkRelaxedBoxes(b *testing.B) {
	p := build(1, controller)
	random := rand.New(rand.NewPCG(1, 2))
	for j := range p.file.Inputs {
		input := &p.file.Inputs[j]
		at := float32(random.Float64())
		input.Lo += at * (input.Hi - input.Lo) * 0.9
		input.Hi = input.Lo + (input.Hi-input.Lo)*0.05
	}
	c := newChecker(p.file)
	l := must(c.link(p.source))
	for name, links := range map[string]*links{"source": l, "realised": nil} {
		b.Run(name, func(b *testing.B) {
			r := c.newRelaxation(links, false)
			tree := cutEvenly(3, 6)
			for b.Loop() {
				must(r.bounds(tree, 1<<50))
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(tree)), "µs/box")
		})
	}
}
