package trainer

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/trainer/dataset"
	"github.com/sparse-implicit/sim/trainer/internal/refine"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

func TestWindowModelsTakeNoMoreStepsThanWanted(t *testing.T) {
	if testing.Short() {
		t.Skip("fits many models: not in short mode")
	}
	network, u := randomNetwork(5, []int{200, 60, 40, 5}, 1500)
	source := mustSource(t, network, u)
	for _, o := range []Options{
		{Steps: 12},
		{Steps: 12, NNZ: 300},
		{NNZ: 460},
		{Steps: 12, Epochs: 4},
		{Steps: 30, Epochs: 4, WeightBits: 5},
		{Steps: 30, NNZ: 700, Epochs: 4},
		{Steps: 12, Structure: Free, Epochs: 2},
		{Steps: 12, Structure: Free},
	} {
		o.Pattern, o.Task = WindowPattern, Regression
		m, r := mustFit(t, source, o)
		wanted := o.Steps
		if wanted == 0 {
			wanted = o.NNZ / weightsPerStep
		}
		plan := m.Plan()
		packing, err := plan.Weights.PackWindows(plan.Groups, windowLayout)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d steps wanted: %d with %d nonzeros of %d", wanted, packing.Steps(), r.NNZ, o.NNZ)
		if packing.Steps() > wanted || packing.Steps() < wanted/2 || r.Steps != packing.Steps() || o.NNZ > 0 && r.NNZ > o.NNZ {
			t.Errorf("%d steps, %d nonzeros wanted: %d (%d reported), %d", wanted, o.NNZ, packing.Steps(), r.Steps, r.NNZ)
		}
	}
	for name, o := range map[string]Options{
		"no refinement": {Steps: 12, NoRefine: true}, "λ": {Lambda: 0.01}, "a baseline without training": {Steps: 12, Baseline: Magnitude},
	} {
		o.Pattern, o.Task = WindowPattern, Regression
		if _, _, err := Fit(context.Background(), source, o); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Rows of different layers share no step: few nonzeros take one for each, fewer steps leave a constant.
func TestWindowModelsKeepAPathThroughTheLayers(t *testing.T) {
	_, source, s := taught(t, 5, 600)
	for _, epochs := range []int{0, 3} {
		o := Options{NNZ: 40, Pattern: WindowPattern, Epochs: epochs, Supervision: s}
		if m, r := mustFit(t, source, o); r.NNZ < 30 || r.NNZ > 40 || m.States() == 0 {
			t.Errorf("%d epochs: %d nonzeros of 40, %d states, %d steps", epochs, r.NNZ, m.States(), r.Steps)
		}
		o.NNZ, o.Steps = 0, 1
		m, _, err := Fit(context.Background(), source, o)
		if !errors.Is(err, ErrBudget) && (err != nil || m.NNZ().B+m.NNZ().D == 0) {
			t.Errorf("%d epochs: one step for three layers: %v", epochs, err)
		}
	}
}

// byMeanSlice returns how many steps m takes when its inputs are sorted by the mean slice of the rows
// that read them.
func byMeanSlice(t *testing.T, m *model.Model) int {
	t.Helper()
	plan := m.Plan()
	packing, err := plan.Weights.PackWindows(plan.Groups, windowLayout)
	if err != nil {
		t.Fatal(err)
	}
	sum, readers := make([]float64, len(plan.Inputs)), make([]float64, len(plan.Inputs))
	for k, s := range packing.Slices {
		for _, i := range s.Rows {
			cols, _ := plan.Weights.Row(i)
			for _, j := range cols {
				if int(j) < len(sum) {
					sum[j], readers[j] = sum[j]+float64(k), readers[j]+1
				}
			}
		}
	}
	order, to := make([]int, len(sum)), make([]int, plan.Weights.Cols)
	for j := range order {
		order[j] = j
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sum[a]/readers[a], sum[b]/readers[b]) })
	for j := range to {
		to[j] = j
	}
	for k, j := range order {
		to[j] = k
	}
	if packing, err = plan.Weights.MapColumns(len(to), to).PackWindows(plan.Groups, windowLayout); err != nil {
		t.Fatal(err)
	}
	return packing.Steps()
}

// TestWindowModelsWithoutTraining compares models shaped for windows, at once and in stages, with free
// ones of as many steps. All are fitted without gradients and judged on a part of the training samples
// that neither they nor their teacher saw.
func TestWindowModelsWithoutTraining(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a network: not in short mode")
	}
	name, config, budgets := "builtin:fashion-mini", teacher.Config{Hidden: []int{32, 16}, Epochs: 6}, []int{25}
	if folder := "/usr/share/datasets/fashion-mnist"; os.Getenv("SIM_LONG") != "" {
		if _, err := os.Stat(folder); err != nil {
			t.Skip("the full data set is not installed: ", err)
		}
		name, config, budgets = folder, teacher.Config{Hidden: []int{128, 64}, Epochs: 12}, []int{200, 130, 80, 40}
	}
	set, err := dataset.Open(name, dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	samples := set.Train.Samples * 5 / 6
	p := len(set.Train.X) / set.Train.Samples
	unseen, labels := set.Train.X[samples*p:], set.Train.Labels[samples:]
	set.Train.X, set.Train.Labels, set.Train.Samples = set.Train.X[:samples*p], set.Train.Labels[:samples], samples
	network, _, err := teacher.Train(context.Background(), set, config)
	if err != nil {
		t.Fatal(err)
	}
	source := mustSource(t, network, set.Train.X)
	for _, budget := range budgets {
		f := newFitter(t, source, Options{Steps: budget, Pattern: WindowPattern, InputLo: set.Lo, InputHi: set.Hi})
		f.options.NNZ = budget * windowLayout.Rows * windowLayout.Lanes
		judge := func(what string, d *draft) float64 {
			m, err := f.assemble(d, &Report{})
			if err != nil {
				t.Fatal(err)
			}
			_, y := outputsOf(t, m, unseen)
			outputs := make([]float32, len(y))
			for k, v := range y {
				outputs[k] = float32(v)
			}
			steps, err := stepsOf(m)
			if err != nil {
				t.Fatal(err)
			}
			accuracy := teacher.Accuracy(teacher.Classes(outputs, set.Outputs), labels)
			t.Logf("%-16s %4d steps (%d with inputs sorted), %5d nonzeros, accuracy %.4f", what, steps, byMeanSlice(t, m), m.NNZ().Total(), accuracy)
			return accuracy
		}
		solved, err := f.solveRows()
		if err != nil {
			t.Fatal(err)
		}
		wide := f.refineBudget()
		plan, err := f.planRemovals(f.draftOf(solved.rows), wide/8)
		if err != nil {
			t.Fatal(err)
		}
		refit := func(supports [][]int32) *draft {
			d, err := f.refit(supports)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		start := refit(plan.keep(f, wide))
		judge("start", start)
		free := judge("free", refit(f.mostFree(plan, budget, wide)))
		supports, saliency := f.worthOf(start)
		choice := refine.WindowGoal{Layout: windowLayout, States: f.states(), Steps: budget}.Shape(supports, saliency, nil)
		once := refit(choice.Supports)
		once.order = choice.Order
		judge("windows, at once", once)
		staged, err := f.shapeWindows(start)
		if err != nil {
			t.Fatal(err)
		}
		if accuracy := judge("windows, stages", staged); accuracy < free-0.01 {
			t.Errorf("%d steps of windows: accuracy %.4f, a free model of as many has %.4f", budget, accuracy, free)
		}
	}
}

// mostFree returns the supports of the largest free model that takes no more steps than budget.
func (f *fitter) mostFree(plan *removals, budget, wide int) [][]int32 {
	low, high := wide/8, wide
	for high-low > wide/200 {
		middle := (low + high) / 2
		supports := plan.keep(f, middle)
		d := &draft{rows: make([]row, len(supports))}
		for i, support := range supports {
			d.rows[i] = row{support, slices.Repeat([]float64{1}, len(support)), 0}
		}
		if steps, err := stepsOf(f.bareModel(d)); err == nil && steps <= budget {
			low = middle
		} else {
			high = middle
		}
	}
	return plan.keep(f, low)
}

// bareModel is a draft's weights as a model, without what only running it tells.
func (f *fitter) bareModel(d *draft) *model.Model {
	n, p, q := f.states(), f.shape.Inputs, f.shape.Outputs
	number := make([]int, n)
	for i := range number {
		number[i] = i
	}
	m := &model.Model{A: sparse.New[float32](n, n), B: sparse.New[float32](n, p), C: sparse.New[float32](q, n), D: sparse.New[float32](q, p)}
	for i := range n {
		d.rows[i].appendTo(m.A, m.B, i, number)
	}
	for k := range q {
		d.rows[n+k].appendTo(m.C, m.D, k, number)
	}
	return m
}
