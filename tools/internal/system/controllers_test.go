package system

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/verify"
	simrt "github.com/sparse-implicit/sim/runtime"
	"github.com/sparse-implicit/sim/tools/internal/shared"
)

// TestControllersStayWithinTheirBounds converts real networks, compiles them at 14 bits and compares
// integers and reals on random inputs of each box, corners included.
func TestControllersStayWithinTheirBounds(t *testing.T) {
	root := shared.Path(t, "onnx")
	samples := 200
	if os.Getenv("SIM_LONG") != "" {
		samples = 100000
	} else {
		t.Logf("%d samples a case; SIM_LONG=1 takes 100,000", samples)
	}
	for net := 1; net <= 9; net++ {
		path := filepath.Join(root, "acasxu", fmt.Sprintf("ACASXU_run2a_1_%d_batch_2000.onnx", net))
		for _, box := range []string{"full", "prop1", "prop3", "prop4"} {
			lo, hi := readBox(t, filepath.Join(root, "acasxu", "box_"+box+".csv"))
			withinBounds(t, path, fmt.Sprintf("1_%d %-5s", net, box), lo, hi, samples)
		}
	}
	lo, hi := make([]float32, 640), make([]float32, 640)
	for j := range lo {
		lo[j], hi[j] = -5, 5 // an autoencoder of log-mel energies, normalised
	}
	withinBounds(t, filepath.Join(root, "mlperf_tiny", "ad01_autoencoder.onnx"), "ad01", lo, hi, autoencoderSamples(samples))
}

// autoencoderSamples: a sample of the autoencoder costs as much as a hundred of a controller.
func autoencoderSamples(samples int) int {
	if os.Getenv("SIM_LONG") != "" {
		return samples
	}
	return samples / 10
}

func readBox(t *testing.T, path string) (lo, hi []float32) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records {
		a, errLo := strconv.ParseFloat(record[0], 32)
		b, errHi := strconv.ParseFloat(record[1], 32)
		if errLo == nil && errHi == nil {
			lo, hi = append(lo, float32(a)), append(hi, float32(b))
		}
	}
	return lo, hi
}

func withinBounds(t *testing.T, path, name string, lo, hi []float32, samples int) {
	t.Helper()
	m := converted(t, path, lo, hi)
	compiled, report, err := compiler.Compile(m, compiler.Options{Bits: 14})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if checks, err := verify.File(compiled, verify.Options{Against: m}); err != nil || !checks.OK {
		t.Errorf("%s: verify: %v %v", name, err, checks)
	}
	worst := largestError(t, m, compiled, samples)
	widest := 0.0
	for k, e := range worst {
		widest = max(widest, e/report.ErrorBoundBox[k])
		if e > report.ErrorBoundBox[k] {
			t.Errorf("%s: output %d is off by %g, the proved bound is %g", name, k, e, report.ErrorBoundBox[k])
		}
	}
	t.Logf("%s: largest error %.4g, proved bound %.4g over the box (%d samples)", name, largest(worst), largest(report.ErrorBoundBox), samples)
}

func largest(values []float64) float64 {
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	return most
}

// largestError returns the largest |y − ỹ| of each output over random inputs.
func largestError(t *testing.T, m *model.Model, compiled []byte, samples int) []float64 {
	t.Helper()
	worst := make([]float64, m.Outputs())
	eachSample(t, m, compiled, samples, rand.New(rand.NewPCG(1, 2)), func(y, got []float64) {
		for k := range worst {
			worst[k] = max(worst[k], math.Abs(got[k]-y[k]))
		}
	})
	return worst
}

// eachSample runs the model and what was compiled of it over random inputs, every fourth a corner of the box, and
// shows the outputs of both; the slices are visit's until it returns.
func eachSample(t *testing.T, m *model.Model, compiled []byte, samples int, rng *rand.Rand, visit func(y, got []float64)) {
	t.Helper()
	loaded, err := simrt.Load(compiled)
	if err != nil {
		t.Fatal(err)
	}
	session := loaded.NewSession()
	solver, err := model.NewSolver(m)
	if err != nil {
		t.Fatal(err)
	}
	src, dst := make([]float32, m.Inputs()), make([]float32, m.Outputs())
	u, x, y, got := make([]float64, m.Inputs()), make([]float64, m.States()), make([]float64, m.Outputs()), make([]float64, m.Outputs())
	for s := range samples {
		for j := range src {
			share := rng.Float32()
			if s%4 == 0 {
				share = float32(rng.IntN(2))
			}
			src[j] = min(max(m.InputLo[j]+(m.InputHi[j]-m.InputLo[j])*share, m.InputLo[j]), m.InputHi[j])
			u[j] = float64(src[j])
		}
		if err := session.Infer(dst, src); err != nil {
			t.Fatal(err)
		}
		if err := solver.Solve(u, x, y); err != nil {
			t.Fatal(err)
		}
		for k := range dst {
			got[k] = float64(dst[k])
		}
		visit(y, got)
	}
}
