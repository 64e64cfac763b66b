package compiler_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/format/verify"
)

// controller is a dense network of four inputs, two layers of relus and five outputs that decide by the least.
func controller(seed uint64, width int) *model.Model {
	rng := rand.New(rand.NewPCG(seed, 11))
	n, p, q := 2*width, 4, 5
	dense := func(rows, cols int, keep func(i, j int) bool, size float64) *sparse.Matrix[float32] {
		values := make([]float32, rows*cols)
		for i := range rows {
			for j := range cols {
				if keep(i, j) {
					values[i*cols+j] = float32(rng.NormFloat64() * size)
				}
			}
		}
		return sparse.FromDense(rows, cols, values)
	}
	m := &model.Model{
		A:          dense(n, n, func(i, j int) bool { return i >= width && j < width }, 0.35),
		B:          dense(n, p, func(i, _ int) bool { return i < width }, 1),
		C:          dense(q, n, func(_, j int) bool { return j >= width }, 0.35),
		D:          sparse.New[float32](q, p),
		StateBias:  make([]float32, n),
		OutputBias: make([]float32, q),
		InputLo:    []float32{-1, 0.4, -0.5, 0}, InputHi: []float32{1, 0.6, 0.5, 0.1},
		Activations: repeat(n, model.Activation{Kind: model.ReLU}),
		Decision:    model.DecideArgmin,
	}
	for i := range n {
		m.StateBias[i] = float32(rng.NormFloat64() * 0.3)
	}
	return m
}

// accepted has every claim of a compiled file proved anew.
func accepted(t *testing.T, m *model.Model, data []byte) {
	t.Helper()
	checks, err := verify.File(data, verify.Options{Against: m, Samples: 200})
	if err != nil || !checks.OK {
		t.Errorf("verify: %v %v", err, checks.Failed())
	}
}

// TestSecondPlanesMeetTheGoalOfTheBox: without being asked, weights lose at most 1 % of each output's span, with
// fewer than all rows in two planes and less lost than with all in one.
func TestSecondPlanesMeetTheGoalOfTheBox(t *testing.T) {
	promoted := 0
	for seed := range uint64(6) {
		m := controller(seed, 12)
		m.Decision = model.DecideNone
		data, report, err := compiler.Compile(m, compiler.Options{Bits: 14})
		if err != nil {
			t.Fatal(err)
		}
		accepted(t, m, data)
		one, oneReport, err := compiler.Compile(m, compiler.Options{Bits: 14, WeightBits: 8})
		if err != nil {
			t.Fatal(err)
		}
		accepted(t, m, one)
		w := report.Weights
		promoted += w.TwoPlaneRows
		if w.OnePlaneRows == 0 || w.Samples == 0 || w.Agreement != nil {
			t.Errorf("seed %d: %+v", seed, w)
		}
		if w.TwoPlaneRows > 0 && slices.Max(w.LargestError) >= slices.Max(oneReport.Weights.LargestError) {
			t.Errorf("seed %d: %d rows of two planes, an error of %g, without any of %g", seed, w.TwoPlaneRows, slices.Max(w.LargestError), slices.Max(oneReport.Weights.LargestError))
		}
		said := strings.Contains(passDetail(report, "quantise"), fmt.Sprintf("%d of %d rows promoted", w.TwoPlaneRows, w.TwoPlaneRows+w.OnePlaneRows))
		if said != (w.TwoPlaneRows > 0) {
			t.Errorf("seed %d: %d rows of two planes, but %q", seed, w.TwoPlaneRows, passDetail(report, "quantise"))
		}
		t.Logf("seed %d: %d rows of two planes, largest error %.3g, without %.3g", seed, w.TwoPlaneRows, slices.Max(w.LargestError), slices.Max(oneReport.Weights.LargestError))
	}
	if promoted == 0 {
		t.Error("no row was promoted: the test sees nothing")
	}
}

// TestAgreementIsReachedOrRefused asks for ever more; what comes back has it, and what cannot be had is refused
// with what was reached and where it is lost.
func TestAgreementIsReachedOrRefused(t *testing.T) {
	m := controller(3, 12)
	for _, share := range []float64{0.5, 0.99, 0.999} {
		data, report, err := compiler.Compile(m, compiler.Options{Bits: 14, Agreement: share})
		if err != nil {
			t.Fatalf("%g: %v", share, err)
		}
		accepted(t, m, data)
		if report.Weights.Agreement == nil || *report.Weights.Agreement < share {
			t.Errorf("%g was asked for: %+v", share, report.Weights)
		}
	}
	data, report, err := compiler.Compile(m, compiler.Options{Bits: 7, WeightBits: 4, Agreement: 1})
	if data != nil || report == nil || !errors.Is(err, compiler.ErrAgreement) {
		t.Fatalf("%d bytes, report %v, error %v", len(data), report, err)
	}
	for _, part := range []string{"less than 100 %", "state ", "output ", "--weights auto"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	_, _, err = compiler.Compile(m, compiler.Options{Bits: 7, Agreement: 1})
	if !errors.Is(err, compiler.ErrAgreement) || !strings.Contains(err.Error(), "--bits 14") {
		t.Errorf("with 7 bits: %v", err)
	}
	m.Decision = model.DecideNone
	if _, _, err := compiler.Compile(m, compiler.Options{Agreement: 0.9}); !errors.Is(err, compiler.ErrOptions) {
		t.Errorf("an agreement of numbers: %v", err)
	}
}

// TestRowsArePromotedUntilTheBoundIsProved: a limit between the bounds of one and of two planes is met with
// some rows of each.
func TestRowsArePromotedUntilTheBoundIsProved(t *testing.T) {
	m := controller(1, 12)
	bound := func(weights int) float64 {
		_, report, err := compiler.Compile(m, compiler.Options{Bits: 14, WeightBits: weights})
		if err != nil {
			t.Fatal(err)
		}
		return slices.Max(report.ErrorBoundBox)
	}
	one, two := bound(8), bound(16)
	limit := 0.2*one + 0.8*two
	data, report, err := compiler.Compile(m, compiler.Options{Bits: 14, MaxError: limit})
	if err != nil {
		t.Fatalf("one plane proves %g, two %g, asked for %g: %v", one, two, limit, err)
	}
	accepted(t, m, data)
	if w := report.Weights; w.OnePlaneRows == 0 || w.TwoPlaneRows == 0 || slices.Max(report.ErrorBoundBox) > limit {
		t.Errorf("%+v, bounds %v, limit %g", w, report.ErrorBoundBox, limit)
	}
	if _, _, err := compiler.Compile(m, compiler.Options{Bits: 14, MaxError: two / 10}); !errors.Is(err, compiler.ErrBound) {
		t.Errorf("a limit out of reach: %v", err)
	}
	if _, report, err = compiler.Compile(m, compiler.Options{MaxError: 100 * one}); err != nil || report.Bits != 7 {
		t.Errorf("a limit that 7 bits meet: %v, %+v", err, report)
	}
}

// TestDataWithoutGoalsChangesNoByte: samples that come with calibrated ranges are measured on, no more.
func TestDataWithoutGoalsChangesNoByte(t *testing.T) {
	m := controller(2, 10)
	samples := samplesOf(m, rand.New(rand.NewPCG(1, 1)), 500)
	if err := compiler.Calibrate(m, samples, nil); err != nil {
		t.Fatal(err)
	}
	without, report, err := compiler.Compile(m, compiler.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Weights.Samples != 0 || report.Weights.LargestError != nil || report.Bits != 7 {
		t.Errorf("without samples: %+v", report.Weights)
	}
	with, report, err := compiler.Compile(m, compiler.Options{Samples: samples})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(with, without) {
		t.Error("samples changed the file")
	}
	if report.Weights.Samples != 500 || report.Weights.Agreement == nil || len(report.Weights.LargestError) != 5 {
		t.Errorf("with samples: %+v", report.Weights)
	}
	asked, report, err := compiler.Compile(m, compiler.Options{Samples: samples, Agreement: 0.999})
	if err != nil {
		t.Fatal(err)
	}
	accepted(t, m, asked)
	if *report.Weights.Agreement < 0.999 {
		t.Errorf("asked for 0.999: %+v", report.Weights)
	}
}

// TestSearchIsTheSameOnAnyNumberOfCores compiles twice, on one core and on four.
func TestSearchIsTheSameOnAnyNumberOfCores(t *testing.T) {
	m := controller(4, 12)
	var first []byte
	for _, cores := range []int{1, 4, 4} {
		before := runtime.GOMAXPROCS(cores)
		data, _, err := compiler.Compile(m, compiler.Options{Prove: compiler.Prove{On: true, Boxes: 40}})
		runtime.GOMAXPROCS(before)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = data
		}
		if !bytes.Equal(first, data) {
			t.Errorf("on %d cores other bytes come out", cores)
		}
	}
	accepted(t, m, first)
}

// TestWidthFollowsFromWhatIsLost: a decision that 7 bits keep is taken at 7 bits, one between outputs that are
// nearly equal at 14.
func TestWidthFollowsFromWhatIsLost(t *testing.T) {
	easy := net{p: 1, q: 2, d: []float32{1, -1}, out: []float32{3, 0}, lo: []float32{-1}, decideByArgmax: true}.model()
	if _, report, err := compiler.Compile(easy, compiler.Options{}); err != nil || report.Bits != 7 {
		t.Errorf("an easy decision: %v, %+v", err, report)
	}
	hard := net{p: 1, q: 2, d: []float32{1, 1.002}, lo: []float32{-1}, decideByArgmax: true}.model()
	if _, report, err := compiler.Compile(hard, compiler.Options{}); err != nil || report.Bits != 14 {
		t.Errorf("a close decision: %v, %+v", err, report)
	}
}

// TestProofByRelaxationMayTakeEveryPlane: a limit that only two planes everywhere are proved to keep.
func TestProofByRelaxationMayTakeEveryPlane(t *testing.T) {
	m := controller(5, 8)
	prove := compiler.Prove{On: true, Boxes: 400} // of fewer, some clamp inside what they leave possible
	bound := func(weights int) float64 {
		_, report, err := compiler.Compile(m, compiler.Options{Bits: 14, WeightBits: weights, Prove: prove})
		if err != nil {
			t.Fatal(err)
		}
		return slices.Max(report.ErrorBoundBox)
	}
	limit := bound(16) * 1.001
	data, report, err := compiler.Compile(m, compiler.Options{Bits: 14, Prove: prove, MaxError: limit})
	if err != nil {
		t.Fatal(err)
	}
	accepted(t, m, data)
	if report.Weights.OnePlaneRows != 0 || slices.Max(report.ErrorBoundBox) > limit {
		t.Errorf("%+v, bounds %v, limit %g", report.Weights, report.ErrorBoundBox, limit)
	}
}
