package system

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/tools/internal/shared"
	"github.com/sparse-implicit/sim/trainer"
	"github.com/sparse-implicit/sim/trainer/dataset"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// TestRegressionReachesTheKnownDetermination makes two targets of which noise is a known part, in units far
// from 1: the best R² that any model can have is known, and the compiled model is held to it.
func TestRegressionReachesTheKnownDetermination(t *testing.T) {
	const features, best = 6, 0.9
	random := rand.New(rand.NewPCG(21, 22))
	part := func(samples int) (x, y array) {
		x, y = array{shape: []int{samples, features}}, array{shape: []int{samples, 2}}
		for range samples {
			v := make([]float64, features)
			for j := range v {
				v[j] = 2*random.Float64() - 1 // of variance ⅓
				x.values = append(x.values, float32(1e3*float64(j)+v[j]*math.Pow(10, float64(j-3))))
			}
			// |v| has variance 1/12; both signals then have variance 5/12, and noise is a ninth of that.
			noise := func() float64 { return math.Sqrt(5./12/9) * random.NormFloat64() }
			y.values = append(y.values, float32(1e3+100*(v[0]-math.Abs(v[1])+noise())), float32(0.01*(v[2]+math.Abs(v[0])+noise())))
		}
		return x, y
	}
	path := filepath.Join(t.TempDir(), "targets.npz")
	arrays := map[string]array{}
	arrays["X_train"], arrays["y_train"] = part(3000)
	arrays["X_test"], arrays["y_test"] = part(3000)
	writeNPZ(t, path, arrays)
	set := openSet(t, path, dataset.Auto) // reals are targets
	if !set.Regression() || set.Outputs != 2 {
		t.Fatalf("%d classes, %d outputs", set.Classes, set.Outputs)
	}
	for _, v := range regressed(t, set, teacher.Config{Hidden: []int{24}, Epochs: 60, Seed: 1}, 70) {
		if v.r2 > best+0.02 || v.r2 < best-0.03 {
			t.Errorf("%v, but noise allows %g", v, best)
		}
	}
}

// TestRegressionOfRealReadings predicts one reading from the others: the humidity ratio of air, which
// physics tells from temperature and relative humidity, and a range finder between its neighbours.
func TestRegressionOfRealReadings(t *testing.T) {
	for _, c := range []struct {
		name, file    string
		target, size  int
		teacher, most float64 // least R² of the teacher, most that is lost from there to the compiled model
	}{
		{"humidity ratio", "occupancy5.npz", 4, 60, 0.98, 0.03},
		{"range finder", "wallrobot24.npz", 12, 300, 0.5, 0.06},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole := openSet(t, shared.Path(t, "edge", c.file), dataset.Classification)
			path := filepath.Join(t.TempDir(), "column.npz")
			arrays := map[string]array{}
			arrays["X_train"], arrays["y_train"] = columnApart(whole.Train, whole.Features, c.target)
			arrays["X_test"], arrays["y_test"] = columnApart(whole.Test, whole.Features, c.target)
			writeNPZ(t, path, arrays)
			got := regressed(t, openSet(t, path, dataset.Auto), teacher.Config{Hidden: []int{32}, Seed: 1}, c.size)
			if network, compiled := got[0].r2, got[2].r2; network < c.teacher || compiled < network-c.most {
				t.Errorf("R² %.4f of the teacher, %.4f of the compiled model", network, compiled)
			}
		})
	}
}

// columnApart takes one feature out of a part's inputs.
func columnApart(part dataset.Part, features, column int) (x, y array) {
	x, y = array{shape: []int{part.Samples, features - 1}}, array{shape: []int{part.Samples}}
	for k, v := range part.X {
		if k%features == column {
			y.values = append(y.values, v)
		} else {
			x.values = append(x.values, v)
		}
	}
	return x, y
}

// regressed runs the whole line and scores teacher, float model and compiled model on the test part.
func regressed(t *testing.T, set *dataset.Set, c teacher.Config, size int) [3]score {
	t.Helper()
	network := taught(t, set, c)
	m := fittedTo(t, network, set, trainer.Options{NNZ: size, Epochs: tuningEpochs(t, set.Train.Samples), Seed: 1})
	report, _, loaded := compiledFrom(t, m, compiler.Options{})
	scores := [3]score{
		scoreOf(network.Forward32(set.Test.X, set.Test.Samples, nil), set, set.Test),
		scoreOf(floatOutputs(t, m, set.Test.X), set, set.Test),
		scoreOf(integerOutputs(t, loaded, set.Test.X), set, set.Test),
	}
	t.Logf("teacher %v; .sim %v, %d nonzeros; .simb %v, %d bytes, %d bits", scores[0], scores[1], m.NNZ().Total(), scores[2], report.FileBytes, report.Bits)
	return scores
}
