package teacher

import (
	"maps"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/onnx"
)

// FuzzConvert holds conversion to what it promises of files that it did not write: a valid model or an
// error.
func FuzzConvert(f *testing.F) {
	for _, name := range slices.Sorted(maps.Keys(supportedGraphs)) {
		data, err := onnx.Encode(supportedGraphs[name]())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := onnx.Decode(data)
		if err != nil {
			return
		}
		if m, _, err := Convert(g, ConvertOptions{}); err == nil {
			if err := m.Validate(); err != nil {
				t.Fatal(err)
			}
		}
		if n, _, err := ToNetwork(g); err == nil {
			if err := n.Validate(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
