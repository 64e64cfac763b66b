package trainer

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/trainer/dataset"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// taught returns a network with three classes and the labels that it gives itself, a tenth of them wrong.
func taught(t *testing.T, seed uint64, samples int) (*teacher.Network, *NetworkSource, *Supervision) {
	t.Helper()
	network, u := randomNetwork(seed, []int{12, 10, 8, 3}, samples)
	source := mustSource(t, network, u)
	y := network.Forward32(u, samples, nil)
	random := rand.New(rand.NewPCG(seed, 2))
	s := &Supervision{}
	for k := range samples {
		label := decided(y[3*k:3*k+3], model.DecideArgmax)
		if random.IntN(10) == 0 {
			label = random.IntN(3)
		}
		s.Labels = append(s.Labels, int32(label))
	}
	return network, source, s
}

// agreement is the part of the samples on which a model decides as labelled.
func agreement(t *testing.T, m *model.Model, u []float32, labels []int32) float64 {
	t.Helper()
	_, y := outputsOf(t, m, u)
	right, q := 0, m.Outputs()
	for k, label := range labels {
		if m.Decide(y[k*q:(k+1)*q]) == int(label) {
			right++
		}
	}
	return float64(right) / float64(len(labels))
}

func TestFineTuningHelpsWithinTheBudget(t *testing.T) {
	for _, structure := range []Structure{Causal, Free} {
		network, source, s := taught(t, 3, 3000)
		u := source.allInputs()
		convex, _ := mustFit(t, source, Options{NNZ: 70, Structure: structure})
		tuned, r := mustFit(t, source, Options{NNZ: 70, Structure: structure, Epochs: 40, Supervision: s})
		before, after := agreement(t, convex, u, s.Labels), agreement(t, tuned, u, s.Labels)
		t.Logf("%s: %.3f without, %.3f with fine-tuning, teacher %.3f", structure, before, after, agreement(t, mustModel(t, network), u, s.Labels))
		if after < before+0.003 || tuned.NNZ().Total() > 70 || r.Epochs != 40 {
			t.Errorf("%s: %.3f with %d nonzeros after %d epochs, %.3f before", structure, after, tuned.NNZ().Total(), r.Epochs, before)
		}
		if structure == Causal && hasLoop(tuned) || normInLoops(tuned) > DefaultKappa*(1+1e-6) {
			t.Errorf("%s: the model is not well posed: norm %g in loops", structure, normInLoops(tuned))
		}
	}
}

// normInLoops is the largest Σ|A_ij| of a row over states of its own loop.
func normInLoops(m *model.Model) (norm float64) {
	for _, component := range sparse.Components(m.A) {
		for _, i := range component {
			sum := 0.0
			cols, values := m.A.Row(i)
			for k, j := range cols {
				if slices.Contains(component, int(j)) {
					sum += math.Abs(float64(values[k]))
				}
			}
			norm = max(norm, sum)
		}
	}
	return norm
}

func mustModel(t *testing.T, n *teacher.Network) *model.Model {
	t.Helper()
	box := make([]float32, n.Inputs)
	m, err := n.Model(box, box, model.DecideArgmax)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTunedBytesDoNotDependOnTheNumberOfCores(t *testing.T) {
	_, source, s := taught(t, 4, 700)
	for _, o := range []Options{
		{NNZ: 80}, {NNZ: 80, WeightBits: 4}, {Steps: 9, Pattern: WindowPattern}, {Drop: 4}, {NNZ: 60, Baseline: Saliency},
		{NNZ: 80, Structure: Free}, {NNZ: 80, Image: &dataset.Image{Height: 3, Width: 4, Channels: 1}, Ensemble: []Source{source}},
	} {
		o.Epochs, o.Supervision, o.Seed = 3, s, 5
		cores := runtime.GOMAXPROCS(1)
		one, _ := mustFit(t, source, o)
		runtime.GOMAXPROCS(4)
		many, _ := mustFit(t, source, o)
		runtime.GOMAXPROCS(cores)
		if !bytes.Equal(encode(t, one), encode(t, many)) {
			t.Errorf("%+v: one core and four give different models", o)
		}
	}
}

func TestASizeIsMetOrRefused(t *testing.T) {
	_, source, s := taught(t, 5, 600)
	sizeOf := func(m *model.Model) (int, error) { return 300 + 2*m.NNZ().Total(), nil }
	for _, size := range []int{420, 500} {
		m, r := mustFit(t, source, Options{Size: size, SizeOf: sizeOf, Epochs: 5, Supervision: s})
		if got, _ := sizeOf(m); got > size || got < size*9/10 || r.Bytes != got || r.Fits < 1 {
			t.Errorf("%d bytes for at most %d, %+v", got, size, r)
		}
	}
	_, _, err := Fit(context.Background(), source, Options{Size: 200, SizeOf: sizeOf, Supervision: s})
	if !errors.Is(err, ErrBudget) {
		t.Errorf("200 bytes of files of at least 300: %v", err)
	}
	broken := errors.New("no compiler")
	_, _, err = Fit(context.Background(), source, Options{Size: 200, SizeOf: func(*model.Model) (int, error) { return 0, broken }, Supervision: s})
	if !errors.Is(err, broken) {
		t.Errorf("a size that cannot be told: %v", err)
	}
}

// Small files grow fast with their first nonzeros: a straight line through two that are too large misses.
func TestASizeIsUsedWhereBytesAreNoStraightLine(t *testing.T) {
	_, source, s := taught(t, 5, 600)
	sizeOf := func(m *model.Model) (int, error) {
		return 200 + int(120*math.Pow(float64(m.NNZ().Total()), 0.25)), nil
	}
	for _, size := range []int{450, 480, 500} {
		m, r := mustFit(t, source, Options{Size: size, SizeOf: sizeOf, Epochs: 1, Supervision: s})
		if got, _ := sizeOf(m); got > size || got < size*95/100 {
			t.Errorf("%d bytes for at most %d after %d fits", got, size, r.Fits)
		}
	}
	if _, r := mustFit(t, source, Options{Size: 1 << 20, SizeOf: sizeOf, Supervision: s}); r.Fits > 2 {
		t.Errorf("%d fits where the largest model is far smaller", r.Fits)
	}
}

func TestADropIsMetOnTheValidationPartOrRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("fits many models: not in short mode")
	}
	network, source, s := taught(t, 6, 1500)
	last := math.MaxInt
	for _, drop := range []float64{3, 6, 15} {
		m, r := mustFit(t, source, Options{Drop: drop, Epochs: 20, Supervision: s})
		v := r.Validation
		if v == nil || v.Samples != 250 || 100*(v.Teacher-v.Model) > drop || r.Fits < 2 {
			t.Fatalf("drop %g: %+v", drop, r)
		}
		if r.NNZ > last {
			t.Errorf("losing %g points takes %d nonzeros, more than losing fewer: %d", drop, r.NNZ, last)
		}
		last = m.NNZ().Total()
	}
	// A part of one's own: the figures are those of that part.
	_, u := randomNetwork(99, []int{12, 10, 8, 3}, 400)
	own := mustSource(t, network, u)
	y := network.Forward32(u, 400, nil)
	labels := make([]int32, 400)
	for k := range labels {
		labels[k] = int32(decided(y[3*k:3*k+3], model.DecideArgmax))
	}
	m, r := mustFit(t, source, Options{Drop: 6, Epochs: 10, Supervision: s, Validation: &Validation{own, &Supervision{Labels: labels}}})
	if got := agreement(t, m, u, labels); r.Validation.Teacher != 1 || math.Abs(got-r.Validation.Model) > 1e-9 || got < 0.94 {
		t.Errorf("the model scores %.4f there: %+v", got, r.Validation)
	}
	// Labels that the teacher knows and no fit without them can: nothing is within a hair of 1.
	_, _, err := Fit(context.Background(), source, Options{Drop: 1e-9, Epochs: 0, Validation: &Validation{own, &Supervision{Labels: labels}}})
	if err != nil && !errors.Is(err, ErrBudget) {
		t.Errorf("no drop at all: %v", err)
	}
}

// Without refinement a model has all its states, so that few nonzeros cannot be: the search ends there.
func TestGoalsEndWhereNoSmallerModelIs(t *testing.T) {
	_, source, s := taught(t, 6, 600)
	sizeOf := func(m *model.Model) (int, error) { return 100 + m.NNZ().Total(), nil }
	if _, r := mustFit(t, source, Options{Drop: 100, NoRefine: true, Supervision: s}); r.Validation == nil || r.NNZ == 0 {
		t.Errorf("%+v", r)
	}
	_, _, err := Fit(context.Background(), source, Options{Size: 101, SizeOf: sizeOf, NoRefine: true, Supervision: s})
	if !errors.Is(err, ErrBudget) {
		t.Errorf("a size below that of the states' constants: %v", err)
	}
}

func TestBaselinesPruneTheTeacherItself(t *testing.T) {
	network, source, s := taught(t, 7, 800)
	m, r := mustFit(t, source, Options{NNZ: 60, Baseline: Magnitude})
	if r.NNZ > 60 || r.NNZ < 50 || r.Baseline != Magnitude {
		t.Fatalf("%+v", r)
	}
	// What is left are weights of the teacher, unchanged, and larger ones than what is gone.
	var all []float64
	kept := map[float32]bool{}
	for _, v := range m.B.Data {
		kept[v] = true
	}
	for _, w := range network.Layers[0].W {
		all = append(all, math.Abs(float64(w)))
	}
	smallest, largest := math.Inf(1), 0.0
	for k, w := range network.Layers[0].W {
		if kept[w] {
			smallest = min(smallest, all[k])
		} else if m.States() == 18 { // no state went
			largest = max(largest, all[k])
		}
	}
	if len(kept) == 0 || smallest < largest {
		t.Errorf("a weight of size %g left, one of %g stayed", largest, smallest)
	}
	u := source.allInputs()
	trained, _ := mustFit(t, source, Options{NNZ: 60, Baseline: Saliency, Epochs: 30, Supervision: s})
	if before, after := agreement(t, m, u, s.Labels), agreement(t, trained, u, s.Labels); after <= before || trained.NNZ().Total() > 60 {
		t.Errorf("%.3f after training %d weights, %.3f before", after, trained.NNZ().Total(), before)
	}
	for _, epochs := range []int{0, 1} {
		if _, _, err := Fit(context.Background(), source, Options{NNZ: 2, Baseline: Magnitude, Epochs: epochs}); !errors.Is(err, ErrBudget) {
			t.Errorf("two nonzeros for three outputs: %v", err)
		}
	}
	states, err := (&States{Inputs: 1, Outputs: 1, Samples: 2, U: []float32{0, 1}, Z: []float32{0, 1}, X: []float32{0, 1}, Y: []float32{0, 1}, Activations: []model.Activation{{Kind: model.ReLU}}, Ranks: []int{0}}).Source()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Fit(context.Background(), states, Options{NNZ: 4, Baseline: Magnitude}); !errors.Is(err, ErrOptions) {
		t.Errorf("states have no weights to prune: %v", err)
	}
}

func TestFewBitsAreWholeLevels(t *testing.T) {
	_, source, s := taught(t, 8, 800)
	for _, bits := range []int{5, 4} {
		m, _ := mustFit(t, source, Options{NNZ: 90, WeightBits: bits, Epochs: 10, Supervision: s})
		if m.WeightBits != bits || m.ColumnBits != 7 || len(m.ColumnStep) != m.Inputs()+m.States() {
			t.Fatalf("%d bits: the model says %d and %d, %d steps", bits, m.WeightBits, m.ColumnBits, len(m.ColumnStep))
		}
		limit := float64(quant.MaxLevel(bits))
		for i := range m.States() {
			cols, values := m.B.Row(i)
			for k, j := range cols {
				level := float64(values[k]) * float64(m.ColumnStep[j]) / float64(m.WeightScale[i])
				if math.Abs(level-math.Round(level)) > 1e-3 || math.Abs(level) > limit+1e-3 || math.Round(level) == 0 {
					t.Fatalf("%d bits: B[%d, %d] is at level %g", bits, i, j, level)
				}
			}
		}
	}
}

// The softmax of one output is constant: a loss on it would teach nothing.
func TestOneOutputIsANumber(t *testing.T) {
	network, u := randomNetwork(5, []int{6, 8, 1}, 500)
	source := mustSource(t, network, u)
	m, _ := mustFit(t, source, Options{NNZ: 40, Epochs: 20})
	_, y := outputsOf(t, m, u)
	if off := relativeError(y, network.Forward32(u, 500, nil)); off > 0.3 || m.Decision != model.DecideNone {
		t.Errorf("relative error %.2f, decision %s", off, m.Decision)
	}
}

func TestFewBitsStayInTheBall(t *testing.T) {
	source := equilibriumStates(t, 3, 10, 5, 3, 500, model.Activation{Kind: model.ReLU}, 0.95)
	for _, bits := range []int{5, 4} {
		for _, epochs := range []int{0, 8} {
			m, _ := mustFit(t, source, Options{Lambda: 0.002, Structure: Free, Kappa: 0.9, WeightBits: bits, Epochs: epochs})
			if norm := normInLoops(m); norm == 0 || norm > 0.9*(1+1e-6) {
				t.Errorf("%d bits, %d epochs: norm %g in loops, at most 0.9 was wanted", bits, epochs, norm)
			}
		}
	}
}

func TestSubsetsShowTheirSamplesAlone(t *testing.T) {
	_, source, _ := taught(t, 9, 2500)
	odd := newSubset(source, func(k int) bool { return k%2 == 1 })
	if odd.Shape().Samples != 1250 {
		t.Fatalf("%d samples", odd.Shape().Samples)
	}
	whole := map[int][]float32{}
	if err := source.Batches(context.Background(), func(b *Batch) error {
		for k := range b.Samples {
			whole[b.First+k] = b.Y[3*k : 3*k+3]
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	next := 0
	err := odd.Batches(context.Background(), func(b *Batch) error {
		if b.First != next || len(b.U) != 12*b.Samples || len(b.X) != 18*b.Samples {
			t.Errorf("batch of %d from %d, expected from %d", b.Samples, b.First, next)
		}
		for k := range b.Samples {
			if want := whole[2*(b.First+k)+1]; b.Y[3*k] != want[0] {
				t.Fatalf("sample %d is another one", b.First+k)
			}
		}
		next += b.Samples
		return nil
	})
	if err != nil || next != 1250 {
		t.Errorf("%d samples: %v", next, err)
	}
}

func TestTasksThatDoNotFitAreRefused(t *testing.T) {
	_, source, s := taught(t, 10, 50)
	for name, o := range map[string]Options{
		"few labels":         {NNZ: 50, Supervision: &Supervision{Labels: s.Labels[:7]}},
		"a fourth class":     {NNZ: 50, Supervision: &Supervision{Labels: append(append([]int32(nil), s.Labels[:49]...), 3)}},
		"targets missing":    {NNZ: 50, Task: Regression, Supervision: s},
		"weights of two":     {NNZ: 50, Supervision: &Supervision{Labels: s.Labels, Weights: []float32{1, 1}}},
		"a weight of zero":   {NNZ: 50, Supervision: &Supervision{Labels: s.Labels, Weights: []float32{1, 0, 1}}},
		"an image too large": {NNZ: 50, Image: &dataset.Image{Height: 4, Width: 4, Channels: 1}},
		"two goals":          {NNZ: 50, Drop: 1},
		"steps anywhere":     {Steps: 5, Epochs: 1},
		"windows by λ":       {Lambda: 0.01, Pattern: WindowPattern},
		"three bits":         {NNZ: 50, WeightBits: 3},
		"few samples":        {Drop: 1},
		"a free baseline":    {NNZ: 50, Baseline: Magnitude, Structure: Free},
	} {
		if _, _, err := Fit(context.Background(), source, o); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
