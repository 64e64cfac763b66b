package trainer

import (
	"cmp"
	"context"
	"math"
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

func TestAGoalByHand(t *testing.T) {
	// States read one of four places in turn; the last, worth most, is read by nothing. In slices of eight
	// each place needs one step, the outputs' row three.
	const states = 33
	supports, saliency := make([][]int32, states+1), make([][]float64, states+1)
	supports[states], saliency[states] = []int32{}, nil
	for i := range states {
		first := int32(states + 12*(i%4))
		supports[i], saliency[i] = []int32{first, first + 3, first + 9}, []float64{3, 4, 5}
		if i < states-1 {
			supports[states], saliency[states] = append(supports[states], int32(i)), append(saliency[states], 100)
		}
	}
	saliency[states-1] = []float64{1000, 1000, 1000}
	for j := range int32(48) { // so that columns are what places are
		supports[states], saliency[states] = append(supports[states], states+j), append(saliency[states], 0.01)
	}
	supports[0], saliency[0] = append(supports[0], states+47), append(saliency[0], 0.5)
	c := windowGoal{sparse.WindowLayout{Rows: 8, Lanes: 11, Window: 12}, states, 7}.shape(supports, saliency)
	if c.steps != 7 || c.supports[states-1] != nil || len(c.order) != states-1 {
		t.Fatalf("%d steps, states %v", c.steps, c.order)
	}
	for k, i := range c.order {
		if len(c.supports[i]) < 3 || i%4 != c.order[k/8*8]%4 {
			t.Errorf("state %d reads %v, the order is %v", i, c.supports[i], c.order)
		}
	}
}

func TestStepsAreNotWastedOnStatesThatNothingReads(t *testing.T) {
	// Every entry is a step. The two worth most are state 0's, which nothing would read, and the output's of
	// state 1, which would read nothing.
	supports := [][]int32{{2}, {3}, {0, 1}}
	saliency := [][]float64{{10}, {5}, {1, 6}}
	c := windowGoal{sparse.WindowLayout{Rows: 1, Lanes: 1, Window: 1}, 2, 2}.shape(supports, saliency)
	if want := [][]int32{nil, {3}, {1}}; !reflect.DeepEqual(c.supports, want) || c.steps != 2 || !slices.Equal(c.order, []int{1}) {
		t.Errorf("%+v, want the supports %v", c, want)
	}
}

func TestOnTheWayToAGoalNothingOfItIsLost(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 1))
	const states, inputs = 40, 60
	supports, saliency := make([][]int32, states+3), make([][]float64, states+3)
	all := 0
	for i := range supports {
		supports[i] = []int32{}
		for j := range states + inputs {
			if i >= states && j < states || (j < i/10*10 || j >= states) && random.Float64() < 0.3 {
				supports[i] = append(supports[i], int32(j)) // the outputs read every state
				saliency[i] = append(saliency[i], random.Float64()*float64(1+i/states*5))
				all++
			}
		}
	}
	count := func(supports [][]int32) int { return len(slices.Concat(supports...)) }
	goal := windowGoal{sparse.WindowLayout{Rows: 8, Lanes: 4, Window: 32}, states, 20}
	shaped := goal.shape(supports, saliency)
	for _, total := range []int{all, all * 3 / 4, (all + count(shaped.supports)) / 2, count(shaped.supports), 0} {
		kept := goal.toward(supports, saliency, total)
		most, least := max(total, count(shaped.supports)), max(total, count(shaped.supports))*9/10
		if n := count(kept); n > most || n < least {
			t.Errorf("%d are kept, at most %d were asked for", n, most)
		}
		for i, want := range shaped.supports {
			if !slices.IsSorted(kept[i]) || slices.ContainsFunc(want, func(j int32) bool { return !slices.Contains(kept[i], j) }) {
				t.Fatalf("row %d keeps %v, the goal has %v", i, kept[i], want)
			}
		}
		light, heavy := 0.0, 6.0 // the heaviest that went and the lightest beside the goal's that stayed
		for i, support := range supports {
			for at, j := range support {
				if stays := slices.Contains(kept[i], j); !stays && kept[i] != nil && (int(j) >= states || kept[j] != nil) {
					light = max(light, saliency[i][at])
				} else if stays && !slices.Contains(shaped.supports[i], j) {
					heavy = min(heavy, saliency[i][at])
				}
			}
		}
		if light > heavy {
			t.Errorf("one worth %g went, one worth %g stayed", light, heavy)
		}
	}
}

// worthOf returns the supports of a draft's rows and what each weight is worth: its share of the row's
// variance times the row's weight at the output.
func (f *fitter) worthOf(d *draft) (supports [][]int32, saliency [][]float64) {
	supports, saliency = make([][]int32, len(d.rows)), make([][]float64, len(d.rows))
	alive := f.reached(d)
	for i, r := range d.rows {
		if !alive[i] {
			continue
		}
		supports[i] = append([]int32{}, r.support...)
		for k, j := range r.support {
			v := r.coef[k] * f.sigma[j] * f.omega[i]
			saliency[i] = append(saliency[i], v*v)
		}
	}
	return supports, saliency
}

// byMeanSlice returns how many steps m takes when its inputs are sorted by the mean slice of the rows
// that read them.
func byMeanSlice(t *testing.T, m *model.Model) int {
	t.Helper()
	plan := m.Plan()
	packing, err := plan.Weights.PackWindows(plan.Groups, sixteen)
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
	if packing, err = plan.Weights.MapColumns(len(to), to).PackWindows(plan.Groups, sixteen); err != nil {
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
	name, config, wide, budgets := "builtin:fashion-mini", teacher.Config{Hidden: []int{32, 16}, Epochs: 6}, 5000, []int{40}
	if folder := "/usr/share/datasets/fashion-mnist"; os.Getenv("SIM_LONG") != "" {
		if _, err := os.Stat(folder); err != nil {
			t.Skip("the full data set is not installed: ", err)
		}
		name, config, wide, budgets = folder, teacher.Config{Hidden: []int{128, 64}, Epochs: 12}, 15000, []int{200, 130, 80, 40}
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
	f := newFitter(t, mustSource(t, network, set.Train.X), Options{NNZ: wide, InputLo: set.Lo, InputHi: set.Hi})
	refit := func(supports [][]int32) *draft {
		d, err := f.refit(supports)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	judge := func(what string, supports [][]int32) float64 {
		m, err := f.assemble(refit(supports), &Report{})
		if err != nil {
			t.Fatal(err)
		}
		_, y := outputsOf(t, m, unseen)
		outputs := make([]float32, len(y))
		for k, v := range y {
			outputs[k] = float32(v)
		}
		accuracy := teacher.Accuracy(teacher.Classes(outputs, set.Outputs), labels)
		t.Logf("%-16s %4d steps (%d with inputs sorted), %5d nonzeros, accuracy %.4f", what, stepsOf(t, m, sixteen), byMeanSlice(t, m), m.NNZ().Total(), accuracy)
		return accuracy
	}
	solved, err := f.solveRows()
	if err != nil {
		t.Fatal(err)
	}
	plan, err := f.planRemovals(f.draftOf(solved.rows), wide/20)
	if err != nil {
		t.Fatal(err)
	}
	judge("start", plan.keep(f, wide))
	for _, budget := range budgets {
		goal := windowGoal{sixteen, f.states(), budget}
		free := f.mostFree(plan, goal, wide)
		judge("free", free)
		supports, saliency := f.worthOf(refit(plan.keep(f, wide)))
		judge("windows, at once", goal.shape(supports, saliency).supports)
		const stages = 6
		entries := len(slices.Concat(supports...))
		final := len(slices.Concat(goal.shape(supports, saliency).supports...))
		for stage := 1; stage < stages; stage++ {
			share := math.Pow(float64(final)/float64(entries), float64(stage)/stages)
			supports, saliency = f.worthOf(refit(goal.toward(supports, saliency, int(share*float64(entries)))))
		}
		judge("windows, stages", goal.shape(supports, saliency).supports)
	}
}

// mostFree returns the supports of the largest free model that takes no more steps than the goal.
func (f *fitter) mostFree(plan *removals, goal windowGoal, wide int) [][]int32 {
	low, high := wide/20, wide
	for high-low > wide/500 {
		middle := (low + high) / 2
		supports := plan.keep(f, middle)
		if goal.bury(supports); goal.count(supports, make([]int, len(supports))).steps <= goal.steps {
			low = middle
		} else {
			high = middle
		}
	}
	return plan.keep(f, low)
}
