package system

import (
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/trainer"
	"github.com/sparse-implicit/sim/trainer/dataset"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// frontierSizes are numbers of nonzeros, with the teacher that states are taken from.
var frontierSizes = []struct {
	nnz    int
	hidden []int
}{{2500, []int{128, 64}}, {5000, []int{128, 64}}, {10000, []int{128, 64}}}

// frontierMethods are ways to a size. The first is what `simc fit` does.
var frontierMethods = []struct {
	name    string
	options trainer.Options
	epochs  int // 0: the default
	several bool
}{
	{"fit", trainer.Options{}, 0, false},
	{"fit, several teachers, long", trainer.Options{}, frontierLong, true},
	{"fit, training-free", trainer.Options{}, -1, false},
	{"baseline magnitude", trainer.Options{Baseline: trainer.Magnitude}, 0, false},
	{"baseline saliency", trainer.Options{Baseline: trainer.Saliency}, 0, false},
	{"baseline magnitude, untrained", trainer.Options{Baseline: trainer.Magnitude}, -1, false},
	{"baseline saliency, untrained", trainer.Options{Baseline: trainer.Saliency}, -1, false},
}

// frontierLong is how many epochs of fine-tuning the long way has.
const frontierLong = 120

// TestFrontier gives accuracy against size on the whole FashionMNIST for several seeds: mean and standard
// deviation of the compiled models' accuracy on the test part. Methods, epochs and teachers were chosen on a
// split of the training part.
//
//	SIM_LONG=1 go test -v -timeout 4h -run Frontier ./tools/internal/system
//	SIM_LONG=1 SIM_SEEDS=2 SIM_METHODS=0,2 go test … # two seeds, the first and third method only
func TestFrontier(t *testing.T) {
	if !long() {
		t.Skip("trains for an hour and more: SIM_LONG=1 asks for it")
	}
	set := wholeFashion(t)
	seeds := 5
	if text := os.Getenv("SIM_SEEDS"); text != "" {
		seeds, _ = strconv.Atoi(text)
	}
	accuracies := map[[2]int][]float64{}
	for seed := range uint64(seeds) {
		teachers := map[string]*teacher.Network{}
		for _, hidden := range [][]int{{128, 64}} {
			network := taught(t, set, teacher.Config{Hidden: hidden, Epochs: 20, Seed: seed})
			teachers[widthsOf(hidden)] = network
			t.Logf("seed %d: teacher %s %.2f %%", seed, widthsOf(hidden), 100*scoreOf(network.Forward32(set.Test.X, set.Test.Samples, nil), set, set.Test).accuracy)
		}
		var further []trainer.Source
		for k, method := range frontierMethods {
			if !asked("SIM_METHODS", k) {
				continue
			}
			if method.several && further == nil {
				for member := range uint64(2) {
					network := taught(t, set, teacher.Config{Hidden: []int{256, 128}, Epochs: 20, Seed: 100*(member+1) + seed, Augment: true})
					t.Logf("seed %d: further teacher 256,128 %.2f %%", seed, 100*scoreOf(network.Forward32(set.Test.X, set.Test.Samples, nil), set, set.Test).accuracy)
					source, err := trainer.NewNetworkSource(network, set.Train.X)
					if err != nil {
						t.Fatal(err)
					}
					further = append(further, source)
				}
			}
			for at, size := range frontierSizes {
				o := method.options
				o.NNZ, o.Seed = size.nnz, seed
				if o.Epochs = method.epochs; o.Epochs == 0 {
					o.Epochs = trainer.DefaultEpochs(set.Train.Samples)
				}
				o.Epochs = max(o.Epochs, 0)
				if method.several {
					o.Ensemble = further
				}
				began := time.Now()
				m := fittedTo(t, teachers[widthsOf(size.hidden)], set, o)
				_, _, loaded := compiledFrom(t, m, compiler.Options{})
				accuracy := scoreOf(integerOutputs(t, loaded, set.Test.X), set, set.Test).accuracy
				accuracies[[2]int{k, at}] = append(accuracies[[2]int{k, at}], 100*accuracy)
				t.Logf("seed %d: %-30s %6d nonzeros %.2f %%, %.0f s", seed, method.name, m.NNZ().Total(), 100*accuracy, time.Since(began).Seconds())
			}
		}
	}
	for k, method := range frontierMethods {
		for at, size := range frontierSizes {
			if list := accuracies[[2]int{k, at}]; list != nil {
				mean, deviation := spread(list)
				t.Logf("%-30s %6d nonzeros: %.2f ± %.2f %% over %d seeds", method.name, size.nnz, mean, deviation, len(list))
			}
		}
	}
}

// wholeFashion opens the whole FashionMNIST, or skips.
func wholeFashion(t *testing.T) *dataset.Set {
	t.Helper()
	const folder = "/usr/share/datasets/fashion-mnist"
	if _, err := os.Stat(folder); err != nil {
		t.Skip("Debian's dataset-fashion-mnist is not installed")
	}
	return openSet(t, folder, dataset.Classification)
}

func widthsOf(hidden []int) string {
	var parts []string
	for _, width := range hidden {
		parts = append(parts, strconv.Itoa(width))
	}
	return strings.Join(parts, ",")
}

// asked reports whether the environment variable, a list of numbers, has k or is not set.
func asked(variable string, k int) bool {
	text := os.Getenv(variable)
	if text == "" {
		return true
	}
	for _, part := range strings.Split(text, ",") {
		if part == strconv.Itoa(k) {
			return true
		}
	}
	return false
}

// spread returns the mean and the standard deviation (divisor n − 1).
func spread(values []float64) (mean, deviation float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		deviation += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(deviation / float64(max(1, len(values)-1)))
}

// TestWindowsAgainstFree compares models trained for few steps of a SIMD kernel with free ones, at equal
// steps and at equal bytes, on the whole FashionMNIST.
//
//	SIM_LONG=1 go test -v -timeout 2h -run WindowsAgainstFree ./tools/internal/system
func TestWindowsAgainstFree(t *testing.T) {
	if !long() {
		t.Skip("trains for half an hour: SIM_LONG=1 asks for it")
	}
	set := wholeFashion(t)
	network := taught(t, set, teacher.Config{Hidden: []int{128, 64}, Epochs: 20})
	epochs := trainer.DefaultEpochs(set.Train.Samples)
	fit := func(what string, o trainer.Options) (*model.Model, int) {
		o.Epochs = epochs
		m := fittedTo(t, network, set, o)
		report, _, loaded := compiledFrom(t, m, compiler.Options{})
		t.Logf("%-28s %4d steps %6d nonzeros %6d bytes %.2f %%", what, stepsOf(t, m), m.NNZ().Total(), report.FileBytes,
			100*scoreOf(integerOutputs(t, loaded, set.Test.X), set, set.Test).accuracy)
		return m, report.FileBytes
	}
	size := func(m *model.Model) (int, error) {
		data, _, err := compiler.Compile(m, compiler.Options{Codec: simb.CodecPacked})
		return len(data), err
	}
	for _, steps := range []int{40, 80, 130} {
		window, bytes := fit("window "+strconv.Itoa(steps), trainer.Options{Steps: steps, Pattern: trainer.WindowPattern})
		most := stepsOf(t, window)
		// A free model of as many steps: fewer nonzeros until it packs.
		nnz := window.NNZ().Total() * 2 / 3
		for range 3 {
			free, _ := fit("free, looking for its steps", trainer.Options{NNZ: nnz})
			if got := stepsOf(t, free); got <= most && got >= most*95/100 {
				break
			} else {
				nnz = nnz * most / got
			}
		}
		fit("free, equal bytes", trainer.Options{Size: bytes, SizeOf: size})
	}
}

// wideLayout is that of the widest kernel.
var wideLayout = sparse.WindowLayout{Rows: 16, Lanes: 4, Window: 128}

func stepsOf(t *testing.T, m *model.Model) int {
	t.Helper()
	plan := m.Plan()
	packing, err := plan.Weights.PackWindows(plan.Groups, wideLayout)
	if err != nil {
		t.Fatal(err)
	}
	return packing.Steps()
}
