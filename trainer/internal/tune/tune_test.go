package tune

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
)

// learnable returns a causal relu net and samples whose labels another, sparse net of the same shape gives.
func learnable(seed uint64, count int) (*Net, *Samples) {
	random := rand.New(rand.NewPCG(seed, 1))
	n := &Net{Inputs: 20, Outputs: 3, Rows: make([]Row, 12+3)}
	for i := range 12 {
		n.Activations = append(n.Activations, model.Activation{Kind: model.ReLU})
		n.Ranks = append(n.Ranks, i/6)
	}
	for i := range n.Rows {
		for j := range n.features() {
			if i < 12 && j < 12 && n.Ranks[j] >= n.Ranks[i] {
				continue
			}
			n.Rows[i].Support = append(n.Rows[i].Support, int32(j))
			n.Rows[i].Weights = append(n.Rows[i].Weights, float32(random.NormFloat64()/4))
		}
	}
	s := randomSamples(random, n, count, false)
	truth := newNaive(Prune(randomNet(random, 6, 20, 3, true, 0), 40, func(int, int32, float32) float64 { return random.Float64() }))
	for k := range count {
		_, y := truth.run(s.Inputs[k*20 : (k+1)*20])
		best := 0
		for c, v := range y {
			if v > y[best] {
				best = c
			}
		}
		s.Goal.Labels[k] = int32(best)
	}
	s.Goal.Weights, s.Goal.Distill = nil, 0
	return n, s
}

func mustRun(t *testing.T, n *Net, s *Samples, o Options) *Net {
	t.Helper()
	result, err := Run(context.Background(), n, s, o)
	if err != nil {
		t.Fatal(err)
	}
	return result.Net
}

func TestTrainingLowersTheLossWithinTheBudget(t *testing.T) {
	n, s := learnable(1, 600)
	before := Loss(n, s)
	for _, budget := range []int{0, 200, 80, 40} {
		got := mustRun(t, n, s, Options{Epochs: 30, Batch: 50, LearningRate: 1e-2, Budget: budget, PruneUntil: 0.5})
		if budget == 0 {
			budget = n.Count()
		}
		if loss := Loss(got, s); got.Count() > budget || got.Count() < budget*9/10 || loss > 0.7*before {
			t.Errorf("budget %d: %d weights, loss %.3f after %.3f", budget, got.Count(), loss, before)
		}
	}
	for _, o := range []Options{{Epochs: 1, Batch: 600}, {Epochs: 1, Batch: 300}, {Epochs: 2, Batch: 600}, {Epochs: 3, Batch: 600}} { // one to three steps
		o.LearningRate, o.Budget, o.PruneUntil = 1e-2, 50, 1
		if got := mustRun(t, n, s, o); got.Count() > 50 {
			t.Errorf("%d epochs in batches of %d leave %d weights of at most 50", o.Epochs, o.Batch, got.Count())
		}
	}
	if Loss(n, s) != before {
		t.Error("the net that was given has changed")
	}
}

func TestLossIsThatOfTheNaiveEvaluator(t *testing.T) {
	n, s := learnable(2, 130)
	s.Goal.Distill = 0.4
	oracle, want := newNaive(n), 0.0
	for k := range s.Count {
		want += oracle.loss(s, k) / float64(s.Count)
	}
	if got := Loss(n, s); math.Abs(got-want) > 1e-5*want {
		t.Errorf("loss %g, want %g", got, want)
	}
	// The lowest output as the likeliest is the same as all outputs negated.
	negated := n.clone()
	for i := n.States(); i < len(n.Rows); i++ {
		for k := range negated.Rows[i].Weights {
			negated.Rows[i].Weights[k] *= -1
		}
	}
	s.Goal.Lowest = true
	if got := Loss(negated, s); math.Abs(got-want) > 1e-5*want {
		t.Errorf("negated: loss %g, want %g", got, want)
	}
}

func TestAnyNumberOfCoresGivesTheSameBits(t *testing.T) {
	for name, causal := range map[string]bool{"causal": true, "loops": false} {
		random := rand.New(rand.NewPCG(7, 7))
		n := randomNet(random, 14, 10, 4, causal, 0.8)
		s := randomSamples(random, n, 500, false)
		o := Options{Epochs: 4, Batch: 200, LearningRate: 1e-3, Budget: 150, PruneUntil: 0.6, Seed: 3}
		if !causal {
			o.Kappa = 0.8
		}
		before := runtime.GOMAXPROCS(1)
		one := mustRun(t, n, s, o)
		runtime.GOMAXPROCS(5)
		many := mustRun(t, n, s, o)
		runtime.GOMAXPROCS(before)
		if !reflect.DeepEqual(one, many) {
			t.Errorf("%s: one core and five give different weights", name)
		}
		o.Seed++
		if reflect.DeepEqual(one, mustRun(t, n, s, o)) {
			t.Errorf("%s: another seed gives the same weights", name)
		}
	}
}

func TestRowsInLoopsStayInTheirBall(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 9))
	n := randomNet(random, 12, 6, 3, false, 0.7)
	s := randomSamples(random, n, 300, false)
	got := mustRun(t, n, s, Options{Epochs: 20, Batch: 60, LearningRate: 3e-2, Kappa: 0.7})
	touched := false
	for i, r := range got.Rows[:n.States()] {
		sum := 0.0
		for k, j := range r.Support {
			if int(j) < n.States() {
				sum += math.Abs(float64(r.Weights[k]))
			}
		}
		if sum > 0.7 {
			t.Errorf("row %d has norm %.9g", i, sum)
		}
		touched = touched || sum > 0.69
	}
	if !touched {
		t.Error("no row came near its ball: the test tests nothing")
	}
}

// TestProjectionIsTheNearestPoint compares with the minimiser found by bisection on the shrinkage.
func TestProjectionIsTheNearestPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := rapid.SliceOfN(rapid.Float32Range(-2, 2), 1, 12).Draw(t, "w")
		radius := rapid.Float64Range(0.05, 3).Draw(t, "radius")
		got := slices.Clone(w)
		projectL1(got, radius)
		norm := func(shrink float64) (sum float64) {
			for _, v := range w {
				sum += max(math.Abs(float64(v))-shrink, 0)
			}
			return sum
		}
		low, high := 0.0, 2.0
		for range 100 {
			if middle := (low + high) / 2; norm(middle) > radius {
				low = middle
			} else {
				high = middle
			}
		}
		if norm(0) <= radius {
			high = 0
		}
		sum := 0.0
		for k, v := range w {
			want := math.Copysign(max(math.Abs(float64(v))-high, 0), float64(v))
			if math.Abs(float64(got[k])-want) > 1e-5 {
				t.Fatalf("weight %d of %v within %g is %g, want %g", k, w, radius, got[k], want)
			}
			sum += math.Abs(float64(got[k]))
		}
		if sum > radius {
			t.Fatalf("norm %.9g above %.9g", sum, radius)
		}
	})
}

func TestStatesThatNothingReadsGoWithTheirRows(t *testing.T) {
	// State 0 feeds 1, which feeds the output; state 2 reads an input and is not read.
	n := &Net{Inputs: 1, Outputs: 1, Activations: make([]model.Activation, 3), Ranks: []int{0, 1, 1}, Rows: []Row{
		{[]int32{3, 4}, []float32{1, 1}}, {[]int32{0, 4}, []float32{1, 1}}, {[]int32{3, 4}, []float32{1, 1}}, {[]int32{1, 4}, []float32{1, 1}},
	}}
	score := func(row int, _ int32, _ float32) float64 { return float64(row) }
	whole := Prune(n, 8, score)
	if len(whole.Rows[2].Support) != 0 || whole.Count() != 6 {
		t.Errorf("an unread state stays: %+v", whole.Rows)
	}
	// Without state 0's input state 0 is constant, so is state 1, and the output keeps its constant.
	if rest := Prune(n, 5, score); rest.Count() != 1 || !slices.Equal(rest.Rows[3].Support, []int32{4}) {
		t.Errorf("what is left of a broken chain: %+v", rest.Rows)
	} else if got := rest.Rows[3].Weights[0]; got != 1+1+1 { // x0 = φ(1) = 1, x1 = x0 + 1 = 2, y = x1 + 1
		t.Errorf("the output's constant is %g, the chain was worth 3", got)
	}
}

func TestWeightsEndOnTheirLevels(t *testing.T) {
	n, s := learnable(4, 400)
	column := make([]float32, n.features())
	for j := range column {
		column[j] = 1 / float32(100+j)
	}
	var lo, hi []float32
	o := Options{Epochs: 20, Batch: 50, LearningRate: 1e-2, Budget: 120, PruneUntil: 0.5, Levels: &Levels{
		Most: 7, From: 0.6, Fixed: 0.8,
		Column: func(l, h []float32) []float32 { lo, hi = l, h; return column },
		Scale:  func(_ int, _ []float32, wanted float64) float32 { return float32(wanted) },
	}}
	result, err := Run(context.Background(), n, s, o)
	if err != nil {
		t.Fatal(err)
	}
	used := map[float64]bool{}
	for i, r := range result.Net.Rows {
		for k, j := range r.Support {
			if j == n.constant() {
				continue
			}
			level := float64(r.Weights[k]) * float64(column[j]) / float64(result.Rounding.Scale[i])
			used[math.Round(level)] = true
			if math.Abs(level-math.Round(level)) > 1e-4 || math.Abs(level) > 7.001 {
				t.Fatalf("row %d, feature %d: level %g", i, j, level)
			}
		}
	}
	if len(used) < 10 {
		t.Errorf("only %d of 15 levels are used", len(used))
	}
	if len(lo) != n.States() || slices.Max(hi) <= 0 || slices.Min(lo) != 0 {
		t.Errorf("ranges %v to %v", lo, hi)
	}
	o.Levels = nil
	exact := Loss(mustRun(t, n, s, o), s)
	if loss := Loss(result.Net, s); loss > 1.5*exact+0.05 {
		t.Errorf("loss %.4f on levels, %.4f without", loss, exact)
	}
}

func TestWindowsPackIntoTheirSteps(t *testing.T) {
	n, s := learnable(5, 400)
	layout := sparse.WindowLayout{Rows: 4, Lanes: 2, Window: 6}
	for _, c := range []struct{ steps, budget int }{{3, n.Count()}, {8, n.Count()}, {20, n.Count()}, {20, 60}} {
		steps := c.steps
		result, err := Run(context.Background(), n, s, Options{
			Epochs: 20, Batch: 50, LearningRate: 1e-2, Budget: c.budget, PruneUntil: 0.5,
			Windows: &Windows{Layout: layout, Steps: steps},
		})
		if err != nil {
			t.Fatal(err)
		}
		got := modelOf(result.Net, result.Order).Plan()
		packing, err := got.Weights.PackWindows(got.Groups, layout)
		if err != nil {
			t.Fatal(err)
		}
		if packing.Steps() > steps || packing.Steps() < steps/2 || result.Net.Count() > c.budget {
			t.Errorf("%d steps, %d numbers, wanted at most %d and %d", packing.Steps(), result.Net.Count(), steps, c.budget)
		}
	}
}

// modelOf is the model of a net's weights, states numbered in this order.
func modelOf(n *Net, order []int) *model.Model {
	number := map[int32]int32{}
	for k, i := range order {
		number[int32(i)] = int32(k)
	}
	m := &model.Model{
		A: sparse.New[float32](len(order), len(order)), B: sparse.New[float32](len(order), n.Inputs),
		C: sparse.New[float32](n.Outputs, len(order)), D: sparse.New[float32](n.Outputs, n.Inputs),
	}
	fill := func(states, inputs *sparse.Matrix[float32], row int, support []int32) {
		var left, right []int32
		for _, j := range support {
			switch {
			case int(j) < n.States():
				left = append(left, number[j])
			case j != n.constant():
				right = append(right, j-int32(n.States()))
			}
		}
		slices.Sort(left)
		states.AppendRow(row, left, slices.Repeat([]float32{1}, len(left)))
		inputs.AppendRow(row, right, slices.Repeat([]float32{1}, len(right)))
	}
	for k, i := range order {
		fill(m.A, m.B, k, n.Rows[i].Support)
	}
	for k := range n.Outputs {
		fill(m.C, m.D, k, n.Rows[n.States()+k].Support)
	}
	return m
}

func TestMovedSamplesAreSeenInEveryVariant(t *testing.T) {
	s := &Samples{Count: 3, Inputs: []float32{1, 2, 3, 4, 5, 6}, Moves: Moves{{0, 1}, {-1, 0}}}
	n := &Net{Inputs: 2, Outputs: 1, Rows: []Row{{[]int32{0, 1}, []float32{1, 1}}}}
	plan, _ := newPlan(n)
	shard := newShard(n)
	shard.load(plan, s, 2, []int{4, 5, 1})
	for lane, want := range [][2]float32{{5, 6}, {0, 5}, {0, 1}, {0, 0}} {
		if got := [2]float32{shard.values[lane], shard.values[lanes+lane]}; got != want {
			t.Errorf("lane %d holds %v, want %v", lane, got, want)
		}
	}
	moved := make([]float32, 2)
	if s.Moves.Apply(moved, s.Inputs[2:4], 1); !slices.Equal(moved, []float32{0, 3}) {
		t.Errorf("moved to %v", moved)
	}
}

func TestDivergenceAndInterruptsAreErrors(t *testing.T) {
	n, s := learnable(6, 100)
	s.Goal.Regression, s.Goal.Distill = true, 1
	for k := range s.Goal.Teacher {
		s.Goal.Teacher[k] = 1e30
	}
	if _, err := Run(context.Background(), n, s, Options{Epochs: 3, Batch: 10, LearningRate: 3e38}); !errors.Is(err, ErrDiverged) {
		t.Errorf("a learning rate of 3e38: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, n, s, Options{Epochs: 3, Batch: 10, LearningRate: 1e-3}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
