package trainer

import (
	"context"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/trainer/dataset"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// sixteen is the layout of 512-bit registers.
var sixteen = sparse.WindowLayout{Rows: 16, Lanes: 4, Window: 128}

// numbered is the model of a choice: its states in the choice's order, all weights 1.
func numbered(c windowChoice, states, inputs int) *model.Model {
	number := make([]int, states)
	for i := range number {
		number[i] = -1
	}
	for k, i := range c.order {
		number[i] = k
	}
	n, q := len(c.order), len(c.supports)-states
	m := &model.Model{A: sparse.New[float32](n, n), B: sparse.New[float32](n, inputs), C: sparse.New[float32](q, n), D: sparse.New[float32](q, inputs)}
	fill := func(a, b *sparse.Matrix[float32], row int, support []int32) {
		var left, right []int32
		for _, j := range support {
			if int(j) < states {
				left = append(left, int32(number[j]))
			} else {
				right = append(right, j-int32(states))
			}
		}
		slices.Sort(left)
		a.AppendRow(row, left, slices.Repeat([]float32{1}, len(left)))
		b.AppendRow(row, right, slices.Repeat([]float32{1}, len(right)))
	}
	for k, i := range c.order {
		fill(m.A, m.B, k, c.supports[i])
	}
	for k := range q {
		fill(m.C, m.D, k, c.supports[states+k])
	}
	return m
}

// stepsOf is what a device's packer finds for a model.
func stepsOf(t testing.TB, m *model.Model, l sparse.WindowLayout) int {
	t.Helper()
	for _, a := range []*sparse.Matrix[float32]{m.A, m.B, m.C, m.D} {
		if err := a.Validate("matrix"); err != nil {
			t.Fatal(err)
		}
	}
	plan := m.Plan()
	packing, err := plan.Weights.PackWindows(plan.Groups, l)
	if err != nil {
		t.Fatal(err)
	}
	return packing.Steps()
}

func TestWindowGoalsAreMetByTheModelAsItIsNumbered(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for trial := range 40 {
		states, inputs, outputs := 20+random.IntN(60), 10+random.IntN(200), 1+random.IntN(12)
		loops := trial%4 == 3
		supports, saliency := make([][]int32, states+outputs), make([][]float64, states+outputs)
		for i := range supports {
			reads := i / 20 * 20 // states of earlier layers
			if i >= states || loops {
				reads = states
			}
			supports[i] = []int32{}
			density := 0.3 * random.Float64()
			for j := range states + inputs {
				if (j < reads || j >= states) && random.Float64() < density {
					supports[i] = append(supports[i], int32(j))
					saliency[i] = append(saliency[i], float64(random.IntN(100)))
				}
			}
		}
		l := []sparse.WindowLayout{sixteen, {Rows: 8, Lanes: 4, Window: 32}, {Rows: 4, Lanes: 4, Window: 64}}[trial%3]
		before := slices.Clone(supports)
		for _, steps := range []int{0, 1, 10, 40, 1000} {
			goal := windowGoal{l, states, steps}
			c := goal.shape(supports, saliency)
			if !reflect.DeepEqual(supports, before) {
				t.Fatal("shape changed its argument")
			}
			if c.steps > steps {
				t.Errorf("trial %d: %d steps of %d", trial, c.steps, steps)
			}
			for i, kept := range c.supports {
				if !slices.IsSorted(kept) || slices.ContainsFunc(kept, func(j int32) bool { return !slices.Contains(supports[i], j) }) {
					t.Fatalf("trial %d: row %d keeps %v of %v", trial, i, kept, supports[i])
				}
				if i < states && kept != nil != slices.Contains(c.order, i) {
					t.Fatalf("trial %d: state %d reads %v, the order is %v", trial, i, kept, c.order)
				}
			}
			// The packer may find fewer steps, as levels' states are numbered as the packer wants them.
			if got := stepsOf(t, numbered(c, states, inputs), l); got != c.steps {
				t.Errorf("trial %d, %d steps wanted: %d were counted, the model has %d", trial, steps, c.steps, got)
			}
		}
	}
}

// TestWindowModelsWithoutTraining compares models shaped for windows with free ones of as many steps,
// both fitted without gradients, on a validation part of the training samples.
func TestWindowModelsWithoutTraining(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a network: not in short mode")
	}
	name, hidden, epochs, wide := "builtin:fashion-mini", []int{32, 16}, 6, 5000
	budgets := []int{60, 30}
	if folder := "/usr/share/datasets/fashion-mnist"; os.Getenv("SIM_LONG") != "" {
		if _, err := os.Stat(folder); err != nil {
			t.Skip("the full data set is not installed: ", err)
		}
		name, hidden, epochs, wide, budgets = folder, []int{128, 64}, 20, 15000, []int{200, 130, 80, 40}
	}
	set, err := dataset.Open(name, dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	samples := set.Train.Samples * 5 / 6
	p := len(set.Train.X) / set.Train.Samples
	network, _, err := teacher.Train(context.Background(), set, teacher.Config{Hidden: hidden, Epochs: epochs})
	if err != nil {
		t.Fatal(err)
	}
	f := newFitter(t, mustSource(t, network, set.Train.X[:samples*p]), Options{NNZ: wide, InputLo: set.Lo, InputHi: set.Hi})
	judge := func(d *draft) (accuracy float64, nonzeros, steps int) {
		m, err := f.assemble(d, &Report{})
		if err != nil {
			t.Fatal(err)
		}
		_, y := outputsOf(t, m, set.Train.X[samples*p:])
		outputs := make([]float32, len(y))
		for k, v := range y {
			outputs[k] = float32(v)
		}
		return teacher.Accuracy(teacher.Classes(outputs, set.Outputs), set.Train.Labels[samples:]), m.NNZ().Total(), stepsOf(t, m, sixteen)
	}
	solved, err := f.solveRows()
	if err != nil {
		t.Fatal(err)
	}
	plan, err := f.planRemovals(f.draftOf(solved.rows), wide/10)
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
	accuracy, nonzeros, steps := judge(start)
	t.Logf("start: %d steps, %d nonzeros, %.4f", steps, nonzeros, accuracy)
	for _, budget := range budgets {
		accuracy, nonzeros, steps := judge(f.shapedBy(start, windowGoal{sixteen, f.states(), budget}, refit))
		t.Logf("windows, %d: %d steps, %d nonzeros, %.4f", budget, steps, nonzeros, accuracy)
		low, high := wide/10, wide // the free model with the most nonzeros that has no more steps
		for high-low > wide/200 {
			middle := (low + high) / 2
			if _, _, steps := judge(refit(plan.keep(f, middle))); steps <= budget {
				low = middle
			} else {
				high = middle
			}
		}
		freeAccuracy, nonzeros, steps := judge(refit(plan.keep(f, low)))
		t.Logf("free: %d steps, %d nonzeros, %.4f", steps, nonzeros, freeAccuracy)
	}
}

func (f *fitter) shapedBy(d *draft, goal windowGoal, refit func([][]int32) *draft) *draft {
	supports, saliency := make([][]int32, len(d.rows)), make([][]float64, len(d.rows))
	alive := f.reached(d)
	for i, r := range d.rows {
		if !alive[i] {
			continue
		}
		supports[i] = []int32{}
		for k, j := range r.support {
			v := r.coef[k] * f.sigma[j] * f.omega[i]
			supports[i], saliency[i] = append(supports[i], j), append(saliency[i], v*v)
		}
	}
	return refit(goal.shape(supports, saliency).supports)
}
