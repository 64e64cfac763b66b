package trainer

import (
	"context"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/trainer/dataset"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

func TestFashionMiniKeepsTheTeachersAccuracy(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a network: not in short mode")
	}
	set, err := dataset.Open("builtin:fashion-mini", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	network, _, err := teacher.Train(context.Background(), set, teacher.Config{Hidden: []int{32, 16}, Epochs: 6})
	if err != nil {
		t.Fatal(err)
	}
	judge := func(outputs []float32) float64 {
		return teacher.Accuracy(teacher.Classes(outputs, set.Outputs), set.Test.Labels)
	}
	dense := judge(network.Forward32(set.Test.X, set.Test.Samples, nil))
	source := mustSource(t, network, set.Train.X)
	for _, c := range []struct {
		nnz       int
		mayLose   float64
		structure Structure
	}{{5000, 0.015, Causal}, {1500, 0.04, Causal}} {
		m, r := mustFit(t, source, Options{NNZ: c.nnz, Structure: c.structure, InputLo: set.Lo, InputHi: set.Hi})
		_, y := outputsOf(t, m, set.Test.X)
		outputs := make([]float32, len(y))
		for k, v := range y {
			outputs[k] = float32(v)
		}
		accuracy := judge(outputs)
		t.Logf("teacher %.3f, %d nonzeros %.3f", dense, r.NNZ, accuracy)
		if accuracy < dense-c.mayLose {
			t.Errorf("%d nonzeros: accuracy %.3f, the teacher has %.3f", r.NNZ, accuracy, dense)
		}
		if m.Decision != model.DecideArgmax || m.InputHi[0] != 1 {
			t.Errorf("decision %s, box up to %g", m.Decision, m.InputHi[0])
		}
	}
}
