package trainer

import (
	"bytes"
	"context"
	"errors"
	"math"
	"runtime"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/trainer/dataset"
)

// wideNetwork reads only some of its many inputs.
func wideNetwork(samples int) (*NetworkSource, []float32, []float32, error) {
	network, u := randomNetwork(12, []int{150, 12, 8, 3}, samples)
	for k := range network.Layers[0].W {
		if j := k % 150; j%6 != 0 {
			network.Layers[0].W[k] = 0
		}
	}
	source, err := NewNetworkSource(network, u)
	return source, u, network.Forward32(u, samples, nil), err
}

// The oracle is the fit on the whole Gram.
func TestFitWithoutTheWholeGramSolvesTheSameRows(t *testing.T) {
	source, _, _, err := wideNetwork(700)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{
		{Lambda: 0.02}, {Lambda: 0.002, Structure: Free}, {Lambda: 0.005, Penalty: PenaltyElastic}, {Lambda: 0.02, Penalty: PenaltyPerspective},
		{Lambda: 0.02, NoBias: true, NoWeights: true},
	} {
		o.NoRefine = true
		_, want := mustFit(t, source, o)
		o.GramBytes = 8 * 60 * 60
		m, got := mustFit(t, source, o)
		if math.Abs(got.ObjectiveAB-want.ObjectiveAB) > 1e-6*want.ObjectiveAB || math.Abs(got.ObjectiveCD-want.ObjectiveCD) > 1e-6*want.ObjectiveCD || got.GapMax > 1e-6 {
			t.Errorf("%+v: objectives %v and %v (gap %v), on the whole Gram %v and %v", o, got.ObjectiveAB, got.ObjectiveCD, got.GapMax, want.ObjectiveAB, want.ObjectiveCD)
		}
		if m.Inputs() != 150 {
			t.Errorf("the model has %d inputs", m.Inputs())
		}
	}
}

func TestFitWithoutTheWholeGramMeetsABudget(t *testing.T) {
	if testing.Short() {
		t.Skip("fits many models: not in short mode")
	}
	source, u, want, err := wideNetwork(700)
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, o := range []Options{{NNZ: 150}, {NNZ: 120, Structure: Free}, {NNZ: 200, NoRefine: true}, {Lambda: 0.01}} {
		o.Task = Regression
		whole, _ := mustFit(t, source, o)
		o.GramBytes = 8 * 140 * 140
		var first []byte
		for _, cores := range []int{1, 3} {
			runtime.GOMAXPROCS(cores)
			m, r := mustFit(t, source, o)
			if o.NNZ > 0 && (r.NNZ > o.NNZ || float64(r.NNZ) < 0.85*float64(o.NNZ) && o.Structure != Free) {
				t.Errorf("%+v: %d nonzeros", o, r.NNZ)
			}
			if r.GapMax > 1e-6 {
				t.Errorf("%+v: gap %g", o, r.GapMax)
			}
			data := encode(t, m)
			if first == nil {
				first = data
			}
			if !bytes.Equal(first, data) {
				t.Errorf("%+v: %d cores give other bytes than 1", o, cores)
			}
			_, y := outputsOf(t, m, u)
			_, y2 := outputsOf(t, whole, u)
			if off, than := relativeError(y, want), relativeError(y2, want); off > 1.2*than+0.01 {
				t.Errorf("%+v: off by %.3f, on the whole Gram by %.3f", o, off, than)
			}
		}
	}
}

func TestWhatNeedsTheWholeGramIsRefusedWithoutIt(t *testing.T) {
	source, _, _, err := wideNetwork(300)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{
		{Lambda: 0.01, Penalty: PenaltyGroup}, {Penalty: PenaltyExact}, {Lambda: 1e-6}, // so many inputs in use that they are too many to refit
	} {
		o.GramBytes = 8 * 50 * 50
		if _, _, err := Fit(context.Background(), source, o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestFineTuningWithoutTheWholeGram(t *testing.T) {
	if testing.Short() {
		t.Skip("fits many models: not in short mode")
	}
	source, u, y, err := wideNetwork(900)
	if err != nil {
		t.Fatal(err)
	}
	s := &Supervision{}
	for k := range 900 {
		s.Labels = append(s.Labels, int32(decided(y[3*k:3*k+3], model.DecideArgmax)))
	}
	for _, o := range []Options{
		{NNZ: 150}, {NNZ: 150, WeightBits: 4}, {NNZ: 150, Baseline: Saliency}, {Drop: 20}, {Steps: 12, Pattern: WindowPattern},
		{NNZ: 150, Image: &dataset.Image{Height: 10, Width: 15, Channels: 1}},
	} {
		o.Epochs, o.Supervision, o.GramBytes = 5, s, 8*170*170
		m, r := mustFit(t, source, o)
		if m.Inputs() != 150 || o.NNZ > 0 && r.NNZ > o.NNZ {
			t.Errorf("%+v: %d inputs, %d nonzeros", o, m.Inputs(), r.NNZ)
		}
		if got := agreement(t, m, u, s.Labels); got < 0.6 {
			t.Errorf("%+v: agrees with its labels by %.3f", o, got)
		}
	}
}

func TestFitWithoutTheWholeGramTakesFewBits(t *testing.T) {
	source, _, _, err := wideNetwork(300)
	if err != nil {
		t.Fatal(err)
	}
	m, r := mustFit(t, source, Options{NNZ: 100, WeightBits: 4, Epochs: 2, GramBytes: 8 * 140 * 140})
	if m.WeightBits != 4 || len(m.ColumnStep) != 150+m.States() || r.NNZ > 100 {
		t.Fatalf("%d bits, %d steps of columns, %+v", m.WeightBits, len(m.ColumnStep), r)
	}
	n := 0
	for k := range m.States() { // weights are whole levels of the steps of the inputs that they read
		cols, values := m.B.Row(k)
		for a, j := range cols {
			level := float64(values[a]) * float64(m.ColumnStep[j]) / float64(m.WeightScale[k])
			if n++; math.Abs(level-math.Round(level)) > 1e-4 || math.Abs(level) > 7.001 {
				t.Errorf("state %d, input %d: level %g", k, j, level)
			}
		}
	}
	if n == 0 {
		t.Error("no weights")
	}
}
