package system

import (
	"path/filepath"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/npz"
	"github.com/sparse-implicit/sim/tools/internal/shared"
	"github.com/sparse-implicit/sim/trainer"
	"github.com/sparse-implicit/sim/trainer/dataset"
)

// TestAnImplicitTeacherIsFitted trains equilibrium networks on real sensors, hands their states over in a
// file, and fits models of free structure: nothing on the way knows of layers, and there are none.
//
//	SIM_LONG=1 go test -v -run ImplicitTeacher ./tools/internal/system
func TestAnImplicitTeacherIsFitted(t *testing.T) {
	set := openSet(t, shared.Path(t, "edge", "wallrobot24.npz"), dataset.Classification)
	states, samples, epochs, budgets := 12, 1000, 8, []int{200, 400}
	if long() {
		states, samples, epochs, budgets = 24, set.Train.Samples, 60, []int{150, 300, 600, 900, 1200}
	} else {
		t.Log("12 states, 1,000 samples; SIM_LONG=1 takes 24 and all")
	}
	for _, kind := range []model.Kind{model.Tanh, model.ReLU} {
		t.Run(kind.String(), func(t *testing.T) {
			net := newEquilibriumNet(1, states, set.Features, set.Classes, model.Activation{Kind: kind}, 0.9)
			net.learn(set, samples, epochs)
			network := scoreOf(net.outputs(set.Test.X), set, set.Test)
			t.Logf("teacher %v, %d numbers", network, states*(states+set.Features+1+set.Classes)+set.Classes)
			source := statesOnDisk(t, net, set.Train)
			if source.Shape().Ranks != nil {
				t.Fatal("the states have ranks")
			}
			best := 0.0
			for _, budget := range budgets {
				best = max(best, fitImplicit(t, source, set, trainer.Options{NNZ: budget}))
			}
			for _, lambda := range []float64{1e-2, 1e-3} {
				best = max(best, fitImplicit(t, source, set, trainer.Options{Lambda: lambda}))
			}
			if best < network.accuracy-0.02 {
				t.Errorf("the best compiled model reaches %.3f, its teacher %.3f", best, network.accuracy)
			}
		})
	}
}

// statesOnDisk goes the way that somebody else's states go.
func statesOnDisk(t *testing.T, net *equilibriumNet, part dataset.Part) *trainer.StatesSource {
	t.Helper()
	path := filepath.Join(t.TempDir(), "states.npz")
	arrays := net.states(part)
	arrays["activation"] = array{[]int{1}, []float32{float32(net.activation.Kind)}}
	labels := array{shape: []int{part.Samples}}
	for _, label := range part.Labels {
		labels.values = append(labels.values, float32(label))
	}
	arrays["labels"] = labels
	writeNPZ(t, path, arrays)
	archive, err := npz.Open(path, npz.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	source, err := trainer.ReadStates(archive, model.Activation{})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// fitImplicit fits, compiles, checks every claim, and returns the compiled model's accuracy on the test part.
func fitImplicit(t *testing.T, source *trainer.StatesSource, set *dataset.Set, o trainer.Options) float64 {
	t.Helper()
	o.Structure, o.Kappa, o.Epochs = trainer.Free, 0.95, tuningEpochs(t, source.Shape().Samples)
	if o.Epochs > 0 {
		o.Supervision = &trainer.Supervision{Labels: source.Labels()}
	}
	m := fitted(t, source, o)
	report, file, loaded := compiledFrom(t, m, compiler.Options{})
	sweeps := uint32(0)
	for _, s := range file.Schedule {
		sweeps = max(sweeps, s.Sweeps)
	}
	float := scoreOf(floatOutputs(t, m, set.Test.X), set, set.Test)
	compiled := scoreOf(integerOutputs(t, loaded, set.Test.X), set, set.Test)
	t.Logf("%4d asked, λ %g: %4d nonzeros, %d of them in A, %d states, ‖A‖∞ %.3f: .sim %.2f %%, .simb %.2f %% (%d bytes), %d loops, at most %d sweeps, well-posed by %s, κ %.3f",
		o.NNZ, o.Lambda, m.NNZ().Total(), m.NNZ().A, m.States(), infinityNorm(m.A), 100*float.accuracy, 100*compiled.accuracy, report.FileBytes,
		report.Loops, sweeps, report.WellPosed.Kind, report.WellPosed.Kappa)
	w := watch(t, m, file, loaded)
	w.run(t, longSamples(t, 500))
	t.Logf("      |x_K − x*| at most %.3f of a state's bound, an output's error %.3f of its; %d inputs saturated", w.stateShare, w.outputShare, w.saturated)
	if o.NNZ > 0 && m.NNZ().Total() > o.NNZ {
		t.Errorf("%d nonzeros, %d were allowed", m.NNZ().Total(), o.NNZ)
	}
	if compiled.accuracy < float.accuracy-0.02 {
		t.Errorf("compiling costs %.1f points", 100*(float.accuracy-compiled.accuracy))
	}
	return compiled.accuracy
}
