package system

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/tools/internal/shared"
	"github.com/sparse-implicit/sim/trainer"
	"github.com/sparse-implicit/sim/trainer/dataset"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// sensorSet is a real set in raw units, and what is tried on it.
type sensorSet struct {
	name, file string
	hidden     []int
	unbalanced bool                     // judged by the mean of the recalls
	weights    []dataset.ClassWeighting // of the teacher's loss, to choose from
	percents   []float64                // of the input box, to choose from
	sizes      []int
	least      float64 // what the test part must reach in the quick form
}

var alike = []dataset.ClassWeighting{dataset.Unweighted}

var sensorSets = []sensorSet{
	{"ECG beats", "mitbih_ds1.npz", []int{64}, true,
		[]dataset.ClassWeighting{dataset.Unweighted, dataset.SquareRoot, dataset.Balanced}, []float64{0, 0.01, 0.1, 0.5},
		[]int{100, 200, 300, 400, 600, 800, 1200, 1600, 2400}, 0.55},
	{"room occupancy", "occupancy5.npz", []int{64}, false, alike, []float64{0, 0.1, 1}, []int{10, 20, 30, 40, 60, 80, 120, 160, 240}, 0.95},
	{"wall following", "wallrobot24.npz", []int{64}, false, alike, []float64{0, 0.1, 1}, []int{50, 100, 150, 200, 300, 400, 600, 800, 1200}, 0.80},
	{"WiFi rooms", "wifi_room4.npz", []int{64}, false, alike, []float64{0, 0.1, 1}, []int{20, 30, 40, 60, 80, 120, 160, 240}, 0.95},
}

// TestSensorsFromRawReadings fits models to networks on real sensor data, in the units that the sensors
// have. Everything is chosen on a fifth of the training part: class weights of the teacher, box of the
// inputs, and the smallest size whose compiled model is within a point of the teacher. Teacher and model are
// then made anew on the whole training part and judged once on the test part.
//
//	SIM_LONG=1 go test -v -run Sensors ./tools/internal/system
//	SIM_LONG=1 SIM_EPOCHS=auto go test -v -run Sensors ./tools/internal/system   # with fine-tuning
func TestSensorsFromRawReadings(t *testing.T) {
	for _, s := range sensorSets {
		t.Run(s.name, func(t *testing.T) {
			set := openSet(t, shared.Path(t, "edge", s.file), dataset.Classification)
			if !long() {
				s.quick(t, set)
				return
			}
			if s.unbalanced {
				t.Log("patients of training and test part are disjoint, those of the validation split are not: what is chosen on it looks better there than it is")
			}
			inner, err := set.Split(0.2, 1)
			if err != nil {
				t.Fatal(err)
			}
			s.choose(t, inner).report(t, set)
		})
	}
}

// quick fits one size of a few samples and judges it.
func (s sensorSet) quick(t *testing.T, set *dataset.Set) {
	t.Log("one size, few samples; SIM_LONG=1 chooses on a validation split")
	few := *set
	if fraction := 1500 / float64(set.Train.Samples); fraction < 1 {
		split, err := set.Split(fraction, 1)
		if err != nil {
			t.Fatal(err)
		}
		few.Train = split.Test
	}
	c := choice{sensorSet: s, weights: dataset.SquareRoot, percent: 0.1, size: s.sizes[len(s.sizes)-2]}
	if got := s.judged(c.report(t, &few)); got < s.least {
		t.Errorf("the compiled model reaches %.3f on the test part, %.2f at least are expected", got, s.least)
	}
}

// choice is what a validation split decided.
type choice struct {
	sensorSet
	weights dataset.ClassWeighting
	percent float64
	size    int
}

// judged returns the figure that decides.
func (s sensorSet) judged(v score) float64 {
	if s.unbalanced {
		return v.balanced
	}
	return v.accuracy
}

func (s sensorSet) config(weights dataset.ClassWeighting) teacher.Config {
	return teacher.Config{Hidden: s.hidden, ClassWeights: weights, Seed: 1}
}

// choose takes the best class weights, then the best box for a large model, then the smallest size.
func (s sensorSet) choose(t *testing.T, inner *dataset.Set) choice {
	c := choice{sensorSet: s, weights: dataset.Unweighted}
	best, network := -1.0, (*teacher.Network)(nil)
	for _, weights := range s.weights {
		candidate := taught(t, inner, s.config(weights))
		v := scoreOf(candidate.Forward32(inner.Test.X, inner.Test.Samples, nil), inner, inner.Test)
		t.Logf("validation: teacher %v, class weights %-8s  %v", s.hidden, weights, v)
		if s.judged(v) > best {
			best, network, c.weights = s.judged(v), candidate, weights
		}
	}
	large, most := s.sizes[len(s.sizes)-1], -1.0
	for _, percent := range s.percents {
		_, compiled, bytes := s.fit(t, network, inner, choice{s, c.weights, percent, large})
		v := s.judged(compiled)
		t.Logf("validation: box without %4g %%  %5d nonzeros  .simb %v  %d bytes", percent, large, compiled, bytes)
		if v > most {
			most, c.percent = v, percent
		}
	}
	c.size = large
	for _, size := range s.sizes {
		float, compiled, bytes := s.fit(t, network, inner, choice{s, c.weights, c.percent, size})
		near := s.judged(compiled) >= best-0.01
		t.Logf("validation: %5d nonzeros  .sim %v  .simb %v  %5d bytes, within a point: %v", size, float, compiled, bytes, near)
		if near && size < c.size {
			c.size = size
		}
	}
	return c
}

// fit fits and compiles one model and judges it on the set's test part.
func (s sensorSet) fit(t *testing.T, network *teacher.Network, set *dataset.Set, c choice) (float, compiled score, bytes int) {
	m, report, outputs := c.models(t, network, set)
	return scoreOf(floatOutputs(t, m, set.Test.X), set, set.Test), scoreOf(outputs, set, set.Test), report.FileBytes
}

func (c choice) models(t *testing.T, network *teacher.Network, set *dataset.Set) (*model.Model, *compiler.Report, []float32) {
	lo, hi, err := dataset.PercentileBox(set.Train.X, set.Features, c.percent)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := dataset.ClassWeights(set.Train.Labels, set.Classes, c.weights)
	if err != nil {
		t.Fatal(err)
	}
	task := &trainer.Supervision{Labels: set.Train.Labels}
	for _, w := range weights {
		task.Weights = append(task.Weights, float32(w))
	}
	m := fittedTo(t, network, set.Within(lo, hi), trainer.Options{NNZ: c.size, Seed: 1, Epochs: tuningEpochs(t, set.Train.Samples), Supervision: task})
	report, _, loaded := compiledFrom(t, m, compiler.Options{})
	return m, report, integerOutputs(t, loaded, set.Test.X)
}

// report makes what was chosen from the whole training part and judges it on the test part.
func (c choice) report(t *testing.T, set *dataset.Set) score {
	network := taught(t, set, c.config(c.weights))
	m, report, outputs := c.models(t, network, set)
	weights := 0
	for _, l := range network.Layers {
		weights += len(l.W) + len(l.B)
	}
	compiled := scoreOf(outputs, set, set.Test)
	t.Logf("test: class weights %s, box without %g %% of the readings", c.weights, c.percent)
	t.Logf("test: teacher  %v  %d numbers", scoreOf(network.Forward32(set.Test.X, set.Test.Samples, nil), set, set.Test), weights)
	t.Logf("test: .sim     %v  %d nonzeros", scoreOf(floatOutputs(t, m, set.Test.X), set, set.Test), m.NNZ().Total())
	t.Logf("test: .simb    %v  %d bytes, %d bytes of memory, %d multiply-accumulates", compiled, report.FileBytes, report.RAMBytes, report.MACs)
	return compiled
}

func (s score) String() string {
	if s.recalls == nil {
		return fmt.Sprintf("R² %.4f", s.r2)
	}
	var recalls []string
	for _, v := range s.recalls {
		recalls = append(recalls, fmt.Sprintf("%.1f", 100*v))
	}
	return fmt.Sprintf("%.2f %% (recalls %s, mean %.2f)", 100*s.accuracy, strings.Join(recalls, " "), 100*s.balanced)
}
