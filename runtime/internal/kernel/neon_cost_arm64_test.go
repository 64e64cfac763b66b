//go:build !noasm && !purego

package kernel

import (
	"math/rand/v2"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
)

// A model of an image's size runs in NEON, one of a few weights in the portable kernel.
func TestTinyModelsStayPortable(t *testing.T) {
	for _, c := range []struct {
		shape    shape
		portable bool
	}{
		{shape{inputs: 784, outputs: 10, entries: 40, clustered: true, segments: []Segment{{End: 128}, {First: 128, End: 192}}}, false},
		{shape{inputs: 3, outputs: 1, entries: 3}, true},
	} {
		for _, width := range []quant.Width{quant.Width7, quant.Width14} {
			c.shape.width = width
			p, s := randomProgram(rand.New(rand.NewPCG(1, 1)), c.shape)
			if name, _, _ := Choose(p, s); (name == Portable) != c.portable {
				t.Errorf("%d inputs, %d rows, %d bits: %s is chosen", p.SourceInputs, len(p.Rows), width, name)
			}
		}
	}
}
