package system

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/verify"
	"github.com/sparse-implicit/sim/tools/internal/shared"
)

// TestWeightsOfControllersLoseLittle compiles ACAS Xu networks at 14 bits, planes of weights left to the compiler, and
// compares outputs and decisions with the float model's on samples that the compiler has not seen. On narrow
// boxes at most 5 % of an output's span may be lost and one decision in a thousand. SIM_LONG=1 takes networks
// 1_1, 1_5 and 1_9 on four boxes.
func TestWeightsOfControllersLoseLittle(t *testing.T) {
	root := filepath.Join(shared.Path(t, "onnx"), "acasxu")
	nets, boxes, prove, samples := "1", "prop4", 60, 20000
	if os.Getenv("SIM_LONG") != "" {
		nets, boxes, prove, samples = "1,5,9", "prop1,prop3,prop4,full", 800, 100000
	} else {
		t.Logf("network 1_%s on %s, %d samples; SIM_LONG=1 takes all", nets, boxes, samples)
	}
	for _, box := range strings.Split(boxes, ",") {
		lo, hi := readBox(t, filepath.Join(root, "box_"+box+".csv"))
		for _, net := range strings.Split(nets, ",") {
			m := converted(t, filepath.Join(root, "ACASXU_run2a_1_"+net+"_batch_2000.onnx"), lo, hi)
			m.Decision = model.DecideArgmin
			start := time.Now()
			data, report, err := compiler.Compile(m, compiler.Options{Bits: 14, Prove: compiler.Prove{On: true, Boxes: prove}})
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(start)
			if checks, err := verify.File(data, verify.Options{Against: m}); err != nil || !checks.OK {
				t.Errorf("1_%s %s: verify: %v %v", net, box, err, checks.Failed())
			}
			share, equal := lost(t, m, data, samples)
			w := report.Weights
			t.Logf("1_%s %-5s largest error %.2f %% of an output's span, %.3f %% of decisions equal, %d of %d rows of two planes, %d bytes, %.0f s",
				net, box, 100*share, 100*equal, w.TwoPlaneRows, w.TwoPlaneRows+w.OnePlaneRows, len(data), took.Seconds())
			if box != "full" && (share > 0.05 || equal < 0.999) {
				t.Errorf("1_%s %s: %.2f %% of an output's span lost, %.3f %% of decisions equal", net, box, 100*share, 100*equal)
			}
		}
	}
}

// lost returns the largest error of an output as a share of its span, and the share of equal decisions; every
// fourth sample is a corner.
func lost(t *testing.T, m *model.Model, compiled []byte, samples int) (share, equal float64) {
	t.Helper()
	q, same := m.Outputs(), 0
	worst, least, most := make([]float64, q), make([]float64, q), make([]float64, q)
	for k := range q {
		least[k], most[k] = math.Inf(1), math.Inf(-1)
	}
	eachSample(t, m, compiled, samples, rand.New(rand.NewPCG(5, 6)), func(y, got []float64) {
		for k := range q {
			worst[k] = max(worst[k], math.Abs(got[k]-y[k]))
			least[k], most[k] = min(least[k], y[k]), max(most[k], y[k])
		}
		if m.Decide(y) == m.Decide(got) {
			same++
		}
	})
	for k := range q {
		share = max(share, worst[k]/(most[k]-least[k]))
	}
	return share, float64(same) / float64(samples)
}
