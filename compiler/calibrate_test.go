package compiler_test

import (
	"errors"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
)

// TestCalibrateSeesTheSweeps: x = −½x + u settles at ⅔u, but the first sweep from zero passes u.
func TestCalibrateSeesTheSweeps(t *testing.T) {
	m := net{n: 2, p: 1, q: 1, a: []float32{-0.5, 0, 1, 0}, b: []float32{1, 0}, c: []float32{0, 1}, lo: []float32{-1}, acts: repeat(2, model.Activation{Kind: model.Identity})}.model()
	steps := 0
	if err := compiler.Calibrate(m, []float32{0.3, 1, -0.6}, func(done, total int) { steps = done*10 + total }); err != nil {
		t.Fatal(err)
	}
	if m.StateHi[0] != 1 || m.StateLo[0] != -0.6 || steps != 33 {
		t.Errorf("the loop's state ranges over [%g, %g], want [-0.6, 1]", m.StateLo[0], m.StateHi[0])
	}
	if hi := m.StateHi[1]; hi < 0.666 || hi > 0.667 {
		t.Errorf("the state behind the loop reaches %g, want 2/3", hi)
	}
}

func TestCalibrateRefusesWhatAreNoSamples(t *testing.T) {
	m := net{n: 1, p: 2, q: 1, b: []float32{1, 1}, c: []float32{1}}.model()
	for _, samples := range [][]float32{nil, {1}, {1, 2, 3}} {
		if err := compiler.Calibrate(m, samples, nil); !errors.Is(err, compiler.ErrOptions) {
			t.Errorf("%d numbers: %v", len(samples), err)
		}
	}
	huge := net{n: 1, p: 1, q: 1, b: []float32{3e38}, c: []float32{1}}.model()
	if err := compiler.Calibrate(huge, []float32{100}, nil); !errors.Is(err, compiler.ErrUnfit) {
		t.Errorf("a state beyond float32: %v", err)
	}
}

// TestStateNeverSeenActiveDoesNotStarveOthers: by proof the second state may reach 10,000, in the data it stays
// at zero. Covering all of that would leave the third row's other weight with nothing.
func TestStateNeverSeenActiveDoesNotStarveOthers(t *testing.T) {
	m := net{n: 3, p: 2, q: 1, a: []float32{0, 0, 0, 0, 0, 0, 1, 1, 0}, b: []float32{1, 0, 0, 10000, 0, 0}, c: []float32{0, 0, 1}}.model()
	m.StateLo, m.StateHi = []float32{0, 0, 0}, []float32{1, 0, 1}
	compiled, report := compileAndVerify(t, m, compiler.Options{Bits: 7})
	row := 2
	cols, weights := compiled.Weights.Row(row)
	if len(cols) != 2 || weights[0] < 64 {
		t.Errorf("columns %v have weights %v: the first is coarse", cols, weights)
	}
	if report.ErrorBoundBox[0] < 9000 {
		t.Errorf("the bound over the box is %g, though clamping can cost nearly 10,000", report.ErrorBoundBox[0])
	}
}
