package pass

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/sparse-implicit/sim/compiler/internal/relax"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/onnx"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

func TestProto(t *testing.T) {
	root := "/work/shared/data/onnx/acasxu/"
	seconds, _ := strconv.ParseFloat(os.Getenv("SEC"), 64)
	for _, net := range []int{1, 5, 9} {
		for _, boxName := range []string{"full", "prop1", "prop3", "prop4"} {
			if only := os.Getenv("ONLY"); only != "" && only != fmt.Sprintf("%d%s", net, boxName) {
				continue
			}
			lo, hi := protoBox(t, root+"box_"+boxName+".csv")
			m := protoModel(t, fmt.Sprintf("%sACASXU_run2a_1_%d_batch_2000.onnx", root, net), lo, hi)
			p := &Program{Source: m, Options: Options{Width: 14, Planes: 2, Levels: 127}}
			p.Prune()
			p.Schedule()
			nb, _ := strconv.Atoi(os.Getenv("NARROW"))
			narrow := func() (string, error) {
				if nb == 0 { return "", nil }
				t0 := time.Now()
				d, err := p.NarrowRanges(Budget{Ranges: func(b int) bool { return b < nb }})
				fmt.Println("   ", d, time.Since(t0))
				return d, err
			}
			for _, f := range []func() (string, error){p.ProveWellPosed, p.Ranges, narrow, p.Scales, p.Quantise, p.Certify} {
				if _, err := f(); err != nil {
					t.Fatal(err)
				}
			}
			c := p.certified
			seen := p.seenErrors()
			n := c.networks(false)
			box, from := p.declared()
			t0 := time.Now()
			first := n.Bound(box, from, false)
			one := time.Since(t0)
			t0 = time.Now()
			tree := n.Split(relax.Search{Box: box, From: from, Scale: seen, Split: seconds > 0, More: func(boxes int) bool { return time.Since(t0).Seconds() < seconds }})
			el := time.Since(t0)
			if os.Getenv("DEBUG") != "" {
				leaf := n.WorstLeaf(tree.Cuts, box, from, seen)
				for j := range leaf.Lo {
					fmt.Printf("  leaf %d: %.6g + %.3g of %.3g\n", j, leaf.Lo[j], leaf.Hi[j]-leaf.Lo[j], box.Hi[j]-box.Lo[j])
				}
				n.Debug(leaf, from, seen)
			}
			ratio := func(b []float64) float64 {
				worst := 0.0
				for k := range b {
					worst = max(worst, b[k]/seen[k])
				}
				return worst
			}
			box0 := float32(0)
			if p.Certificates.Box != nil {
				for _, v := range p.Certificates.Box.Output {
					box0 = max(box0, v)
				}
			}
			fmt.Printf("1_%d %-6s interval %.3g  root %.4g ratio %.1f (%v)  tree %d boxes %.3g ms/box ratio %.2f  seen %.3g bound %.3g\n", net, boxName, box0, first[0], ratio(first), one, tree.Boxes, el.Seconds()*1e3/float64(tree.Boxes), ratio(tree.Bound), seen, tree.Bound)
		}
	}
}

func protoBox(t *testing.T, path string) (lo, hi []float32) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	records, _ := csv.NewReader(bytes.NewReader(data)).ReadAll()
	for _, record := range records {
		a, errLo := strconv.ParseFloat(record[0], 32)
		b, errHi := strconv.ParseFloat(record[1], 32)
		if errLo == nil && errHi == nil {
			lo, hi = append(lo, float32(a)), append(hi, float32(b))
		}
	}
	return lo, hi
}

var _ = model.ReLU
var _ = onnx.Decode

func protoModel(t *testing.T, path string, lo, hi []float32) *model.Model {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	graph, err := onnx.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := teacher.Convert(graph, teacher.ConvertOptions{Lo: lo, Hi: hi})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
