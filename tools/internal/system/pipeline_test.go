package system

import (
	"archive/zip"
	"context"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/npz"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/verify"
	simrt "github.com/sparse-implicit/sim/runtime"
	"github.com/sparse-implicit/sim/trainer"
	"github.com/sparse-implicit/sim/trainer/dataset"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// long reports whether the long form of a test is asked for.
func long() bool { return os.Getenv("SIM_LONG") != "" }

// tuningEpochs is how many epochs of fine-tuning the tests of real data give their models: SIM_EPOCHS, where
// auto is what simc fit chooses for so many samples, or none.
func tuningEpochs(t *testing.T, samples int) int {
	t.Helper()
	text := os.Getenv("SIM_EPOCHS")
	if text == "" {
		return 0
	}
	if text == "auto" {
		return trainer.DefaultEpochs(samples)
	}
	epochs, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("SIM_EPOCHS=%s: a number of epochs, or auto, is needed", text)
	}
	return epochs
}

func openSet(t *testing.T, path string, task dataset.Task) *dataset.Set {
	t.Helper()
	set, err := dataset.Open(path, dataset.Options{Task: task})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func taught(t *testing.T, set *dataset.Set, c teacher.Config) *teacher.Network {
	t.Helper()
	network, _, err := teacher.Train(context.Background(), set, c)
	if err != nil {
		t.Fatal(err)
	}
	return network
}

// fittedTo fits a model to a network on a set's training part, within its box.
func fittedTo(t *testing.T, network *teacher.Network, set *dataset.Set, o trainer.Options) *model.Model {
	t.Helper()
	source, err := trainer.NewNetworkSource(network, set.Train.X)
	if err != nil {
		t.Fatal(err)
	}
	o.InputLo, o.InputHi = set.Lo, set.Hi
	if set.Regression() {
		o.Task = trainer.Regression
	}
	if o.Epochs > 0 {
		if o.Supervision == nil {
			o.Supervision = &trainer.Supervision{Labels: set.Train.Labels, Targets: set.Train.Targets}
		}
		o.Image = set.Image
	}
	return fitted(t, source, o)
}

func fitted(t *testing.T, source trainer.Source, o trainer.Options) *model.Model {
	t.Helper()
	m, _, err := trainer.Fit(context.Background(), source, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// compiledFrom compiles a model, has every claim of the file checked, and loads it.
func compiledFrom(t *testing.T, m *model.Model, o compiler.Options) (*compiler.Report, *simb.Model, *simrt.Model) {
	t.Helper()
	o.Codec = simb.CodecPacked // as simc compile has it
	data, report, err := compiler.Compile(m, o)
	if err != nil {
		t.Fatal(err)
	}
	if checks, err := verify.File(data, verify.Options{Against: m, Samples: 100, Seed: 1}); err != nil || !checks.OK {
		t.Fatalf("verify: %v %v", err, checks.Failed())
	}
	file, err := simb.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := simrt.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	return report, file.Model(), loaded
}

// floatOutputs are the float model's, by the reference solver; sample-major.
func floatOutputs(t *testing.T, m *model.Model, inputs []float32) []float32 {
	t.Helper()
	solver, err := model.NewSolver(m)
	if err != nil {
		t.Fatal(err)
	}
	var outputs []float32
	u, x, y := make([]float64, m.Inputs()), make([]float64, m.States()), make([]float64, m.Outputs())
	for first := 0; first < len(inputs); first += len(u) {
		for j := range u {
			u[j] = float64(inputs[first+j])
		}
		if err := solver.Solve(u, x, y); err != nil {
			t.Fatal(err)
		}
		for _, v := range y {
			outputs = append(outputs, float32(v))
		}
	}
	return outputs
}

// integerOutputs are the compiled model's, as a device has them; sample-major.
func integerOutputs(t *testing.T, loaded *simrt.Model, inputs []float32) []float32 {
	t.Helper()
	session, p, q := loaded.NewSession(), loaded.Inputs(), loaded.Outputs()
	outputs := make([]float32, len(inputs)/p*q)
	for s := range len(inputs) / p {
		if err := session.Infer(outputs[s*q:(s+1)*q], inputs[s*p:(s+1)*p]); err != nil {
			t.Fatal(err)
		}
	}
	return outputs
}

// score is what a model's outputs are worth on a part: accuracy and recalls, or R².
type score struct {
	accuracy float64
	recalls  []float64
	balanced float64 // mean recall
	r2       float64
}

func scoreOf(outputs []float32, set *dataset.Set, part dataset.Part) score {
	if set.Regression() {
		return score{r2: teacher.R2(outputs, part.Targets, set.Outputs)}
	}
	classes := teacher.Classes(outputs, set.Outputs)
	s := score{accuracy: teacher.Accuracy(classes, part.Labels), recalls: teacher.Recalls(classes, part.Labels, set.Classes)}
	for _, v := range s.recalls {
		s.balanced += v / float64(set.Classes)
	}
	return s
}

// array is one of an NPZ file.
type array struct {
	shape  []int
	values []float32
}

func writeNPZ(t *testing.T, path string, arrays map[string]array) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	archive := zip.NewWriter(file)
	for _, name := range slices.Sorted(maps.Keys(arrays)) {
		member, err := archive.Create(name + ".npy")
		if err != nil {
			t.Fatal(err)
		}
		if err := npz.WriteNPY(member, arrays[name].shape, arrays[name].values); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
}
