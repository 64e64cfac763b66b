package refine

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
)

// sixteen is the layout of 512-bit registers.
var sixteen = sparse.WindowLayout{Rows: 16, Lanes: 4, Window: 128}

// numbered is the model of a choice: its states in the choice's order, all weights 1.
func numbered(c WindowChoice, states, inputs int) *model.Model {
	number := make([]int, states)
	for i := range number {
		number[i] = -1
	}
	for k, i := range c.Order {
		number[i] = k
	}
	n, q := len(c.Order), len(c.Supports)-states
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
	for k, i := range c.Order {
		fill(m.A, m.B, k, c.Supports[i])
	}
	for k := range q {
		fill(m.C, m.D, k, c.Supports[states+k])
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
		var earlier [][]int
		for _, steps := range []int{0, 1, 10, 40, 1000} {
			goal := WindowGoal{l, states, steps}
			c := goal.Shape(supports, saliency, earlier)
			earlier = c.Slices
			if !reflect.DeepEqual(supports, before) {
				t.Fatal("shape changed its argument")
			}
			if c.Steps > steps {
				t.Errorf("trial %d: %d steps of %d", trial, c.Steps, steps)
			}
			for i, kept := range c.Supports {
				if !slices.IsSorted(kept) || slices.ContainsFunc(kept, func(j int32) bool { return !slices.Contains(supports[i], j) }) {
					t.Fatalf("trial %d: row %d keeps %v of %v", trial, i, kept, supports[i])
				}
				if i < states && kept != nil != slices.Contains(c.Order, i) {
					t.Fatalf("trial %d: state %d reads %v, the order is %v", trial, i, kept, c.Order)
				}
			}
			if got := stepsOf(t, numbered(c, states, inputs), l); got != c.Steps {
				t.Errorf("trial %d, %d steps wanted: %d were counted, the model has %d", trial, steps, c.Steps, got)
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
	c := WindowGoal{sparse.WindowLayout{Rows: 8, Lanes: 11, Window: 12}, states, 7}.Shape(supports, saliency, nil)
	if c.Steps != 7 || c.Supports[states-1] != nil || len(c.Order) != states-1 {
		t.Fatalf("%d steps, states %v", c.Steps, c.Order)
	}
	for k, i := range c.Order {
		if len(c.Supports[i]) < 3 || i%4 != c.Order[k/8*8]%4 {
			t.Errorf("state %d reads %v, the order is %v", i, c.Supports[i], c.Order)
		}
	}
}

func TestStepsAreNotWastedOnStatesThatNothingReads(t *testing.T) {
	// Every entry is a step. The two worth most are state 0's, which nothing would read, and the output's of
	// state 1, which would read nothing.
	supports := [][]int32{{2}, {3}, {0, 1}}
	saliency := [][]float64{{10}, {5}, {1, 6}}
	c := WindowGoal{sparse.WindowLayout{Rows: 1, Lanes: 1, Window: 1}, 2, 2}.Shape(supports, saliency, nil)
	if want := [][]int32{nil, {3}, {1}}; !reflect.DeepEqual(c.Supports, want) || c.Steps != 2 || !slices.Equal(c.Order, []int{1}) {
		t.Errorf("%+v, want the supports %v", c, want)
	}
}

func TestOnTheWayToAGoalNothingOfItIsLost(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 1))
	const states, inputs = 40, 60
	supports, saliency := make([][]int32, states+3), make([][]float64, states+3)
	for i := range supports {
		for j := range states + inputs {
			if i >= states && j < states || (j < i/10*10 || j >= states) && random.Float64() < 0.3 {
				supports[i] = append(supports[i], int32(j)) // the outputs read every state
				saliency[i] = append(saliency[i], random.Float64()*float64(1+i/states*5))
			}
		}
	}
	count := func(supports [][]int32) int { return len(slices.Concat(supports...)) }
	goal := WindowGoal{sparse.WindowLayout{Rows: 8, Lanes: 4, Window: 32}, states, 20}
	c := goal.Shape(supports, saliency, nil)
	all, chosen := count(supports), count(c.Supports)
	for _, total := range []int{all + 1, all, all * 3 / 4, (all + chosen) / 2, chosen, chosen / 2, 0, -1} {
		kept, worth := goal.Keep(c, supports, saliency, total)
		if n := count(kept); n > max(total, 0) || n < min(total, all)*8/10 {
			t.Errorf("%d are kept of %d, %d were asked for", n, all, total)
		}
		light, heavy := 0.0, 10.0 // the heaviest that went and the lightest that stayed, of those not chosen or, with few, of those chosen
		for i, support := range supports {
			if !slices.IsSorted(kept[i]) || len(kept[i]) != len(worth[i]) {
				t.Fatalf("row %d keeps %v, worth %v", i, kept[i], worth[i])
			}
			for at, j := range support {
				k, stays := slices.BinarySearch(kept[i], j)
				if stays && worth[i][k] != saliency[i][at] {
					t.Fatalf("row %d: %d is worth %g, not %g", i, j, saliency[i][at], worth[i][k])
				}
				isChosen := slices.Contains(c.Supports[i], j)
				died := i < states && kept[i] == nil || int(j) < states && kept[j] == nil
				switch {
				case total >= chosen && isChosen && !stays, total < chosen && !isChosen && stays:
					t.Fatalf("%d wanted: row %d, feature %d, of the choice: %v, stays: %v", total, i, j, isChosen, stays)
				case isChosen != (total < chosen):
				case stays:
					heavy = min(heavy, saliency[i][at])
				case !died:
					light = max(light, saliency[i][at])
				}
			}
		}
		if light > heavy {
			t.Errorf("%d wanted: one worth %g went, one worth %g stayed", total, light, heavy)
		}
	}
}
