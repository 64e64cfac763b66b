package trainer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
)

// layered returns the states of a random network of relu layers, their ranks included.
func layered(widths []int, samples int) (u, z, x, y []float32, ranks []int) {
	network, inputs := randomNetwork(21, widths, samples)
	for layer, width := range widths[1 : len(widths)-1] {
		for range width {
			ranks = append(ranks, layer)
		}
	}
	_, _, _, _, u, z, x, y = statesOf(network, inputs)
	return u, z, x, y, ranks
}

// dense returns the rows of (A B) followed by those of (C D).
func dense(m *model.Model) [][]float64 {
	n, p := m.States(), m.Inputs()
	rows := make([][]float64, n+m.Outputs())
	fill := func(matrix *sparse.Matrix[float32], row, column int) {
		for i := range matrix.Rows {
			indices, values := matrix.Row(i)
			for a, j := range indices {
				rows[row+i][column+int(j)] = float64(values[a])
			}
		}
	}
	for i := range rows {
		rows[i] = make([]float64, n+p)
	}
	fill(m.A, 0, 0)
	fill(m.B, 0, n)
	fill(m.C, n, 0)
	fill(m.D, n, n)
	return rows
}

// The oracle evaluates the penalties' definitions on the model that was written, and the loss on the
// samples.
func TestReportedObjectiveIsThatOfThePenalty(t *testing.T) {
	widths := []int{15, 20, 9, 3}
	const samples, lambda = 300, 0.02
	u, z, x, y, ranks := layered(widths, samples)
	source, err := NewStatesSource(15, 29, 3, samples, u, z, x, y, relu, ranks)
	if err != nil {
		t.Fatal(err)
	}
	features, targets := append(append([]float32{}, x...), u...), append(append([]float32{}, z...), y...)
	perspective := func(v, lambda0 float64) float64 { // the least v²/t + λ₀t over 0 < t ≤ 1, by search
		least := math.Inf(1)
		for t := 1e-4; t <= 1; t += 1e-4 {
			least = min(least, v*v/t+lambda0*t)
		}
		if v == 0 {
			return 0
		}
		return least
	}
	for _, structure := range []Structure{Causal, Free} {
		for _, o := range []Options{
			{Penalty: PenaltyL1}, {Penalty: PenaltyElastic, Lambda2: 0.3}, {Penalty: PenaltyPerspective, Lambda2: 0.05},
			{Penalty: PenaltyExact}, {Penalty: PenaltyGroup, Lambda2: 0.4, GroupRows: 4, GroupColumns: 6}, {Penalty: PenaltyGroup, Lambda2: 1},
		} {
			o.Lambda, o.Structure, o.NoWeights, o.NoRefine, o.Kappa = lambda, structure, true, true, 0.9
			if structure == Free && o.Penalty == PenaltyExact {
				// The teacher's second layer has rows far outside the ball.
				if _, _, err := Fit(context.Background(), source, o); !errors.Is(err, ErrInfeasible) {
					t.Errorf("exact matching within the ball gave %v", err)
				}
				continue
			}
			m, r := mustFit(t, source, o)
			rows := dense(m)
			sum := [2]float64{}
			biases := append(append([]float32{}, m.StateBias...), m.OutputBias...)
			for i, w := range rows {
				part := 0
				if i >= 29 {
					part = 1
				}
				loss := 0.0
				for s := range samples {
					off := float64(targets[i*samples+s]) - float64(biases[i])
					for j, v := range w {
						off -= v * float64(features[j*samples+s])
					}
					loss += off * off / (2 * samples)
				}
				if o.Penalty != PenaltyExact {
					sum[part] += loss
				}
				for _, v := range w {
					switch o.Penalty {
					case PenaltyElastic:
						sum[part] += lambda*math.Abs(v) + 0.15*v*v
					case PenaltyPerspective:
						sum[part] += lambda * perspective(v, 0.05)
					case PenaltyGroup:
						sum[part] += lambda * (1 - o.Lambda2) * math.Abs(v)
					default:
						sum[part] += lambda * math.Abs(v)
					}
				}
			}
			if o.Penalty == PenaltyGroup {
				ab, cd := groupNorms(rows, structure, o)
				sum[0] += lambda * o.Lambda2 * ab
				sum[1] += lambda * o.Lambda2 * cd
			}
			if math.Abs(sum[0]-r.ObjectiveAB) > 2e-5*sum[0] || math.Abs(sum[1]-r.ObjectiveCD) > 2e-5*sum[1] {
				t.Errorf("%s %s: objectives %v and %v by definition, %v and %v reported", structure, o.Penalty, sum[0], sum[1], r.ObjectiveAB, r.ObjectiveCD)
			}
			if r.GapMax > 1e-6 || r.NNZ == 0 {
				t.Errorf("%s %s: gap %v, %d nonzeros", structure, o.Penalty, r.GapMax, r.NNZ)
			}
			if structure == Free && r.NormA > 0.9*(1+1e-6) {
				t.Errorf("%s %s: ‖A‖∞ = %v", structure, o.Penalty, r.NormA)
			}
		}
	}
}

// groupNorms returns Σ √(4R)‖v‖₂ over the groups of (A B), 29 states and 15 inputs in layers of 20 and 9,
// and of (C D).
func groupNorms(rows [][]float64, structure Structure, o Options) (ab, cd float64) {
	height, width := o.GroupRows, o.GroupColumns
	if height == 0 {
		height, width = 16, 128
	}
	layers := [][2]int{{0, 20}, {20, 29}, {29, 32}}
	if structure == Free {
		layers = [][2]int{{0, 29}, {29, 32}}
	}
	for _, layer := range layers {
		for first := layer[0]; first < layer[1]; first += height {
			last := min(first+height, layer[1])
			for _, block := range [][2]int{{0, 29}, {29, 44}} {
				for left := block[0]; left < block[1]; left += width {
					square := 0.0
					for i := first; i < last; i++ {
						for j := left; j < min(left+width, block[1]); j++ {
							square += rows[i][j] * rows[i][j]
						}
					}
					norm := math.Sqrt(4*float64(last-first)) * math.Sqrt(square)
					if first >= 29 {
						cd += norm
					} else {
						ab += norm
					}
				}
			}
		}
	}
	return ab, cd
}

func TestEveryPenaltyMeetsABudget(t *testing.T) {
	network, u := randomNetwork(3, []int{20, 16, 10, 4}, 800)
	source := mustSource(t, network, u)
	want := network.Forward32(u, 800, nil)
	for _, structure := range []Structure{Causal, Free} {
		for _, penalty := range []Penalty{PenaltyL1, PenaltyElastic, PenaltyPerspective, PenaltyExact, PenaltyGroup} {
			m, r := mustFit(t, source, Options{NNZ: 300, Penalty: penalty, Structure: structure, Task: Regression})
			if r.NNZ > 300 || structure == Causal && r.NNZ < 280 || r.GapMax > 1e-6 {
				t.Errorf("%s %s: %d nonzeros, gap %g", structure, penalty, r.NNZ, r.GapMax)
			}
			_, y := outputsOf(t, m, u)
			if off := relativeError(y, want); structure == Causal && off > 0.4 {
				t.Errorf("%s %s: off by %.3f", structure, penalty, off)
			}
		}
	}
}

func TestExactMatchingReproducesTheTeacher(t *testing.T) {
	network, u := randomNetwork(3, []int{20, 16, 10, 4}, 800)
	m, _ := mustFit(t, mustSource(t, network, u), Options{Penalty: PenaltyExact, NoRefine: true, Task: Regression})
	_, y := outputsOf(t, m, u)
	if off := relativeError(y, network.Forward32(u, 800, nil)); off > 1e-3 {
		t.Errorf("off by %g", off)
	}
}

func TestWhatCannotBeMatchedIsNamed(t *testing.T) {
	const samples = 60
	u, z, x, y, ranks := layered([]int{8, 6, 3}, samples)
	for s := range samples { // the third output is no linear function of states and inputs
		y[2*samples+s] = float32(math.Sin(float64(7 * s)))
	}
	source, err := NewStatesSource(8, 6, 3, samples, u, z, x, y, relu, ranks)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = Fit(context.Background(), source, Options{Penalty: PenaltyExact, Task: Regression})
	if !errors.Is(err, ErrInfeasible) || !strings.Contains(err.Error(), "row 8") {
		t.Errorf("the third output is row 8 of 6 states and 3 outputs; the error is %v", err)
	}
}

func TestPenaltiesGiveTheSameBytesOnAnyNumberOfCores(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, penalty := range []Penalty{PenaltyElastic, PenaltyPerspective, PenaltyExact, PenaltyGroup} {
		var first []byte
		for _, cores := range []int{1, 3} {
			runtime.GOMAXPROCS(cores)
			network, u := randomNetwork(4, []int{30, 20, 12, 5}, 1000)
			m, _ := mustFit(t, mustSource(t, network, u), Options{NNZ: 300, Penalty: penalty, Seed: 3})
			data := encode(t, m)
			if first == nil {
				first = data
			}
			if !bytes.Equal(first, data) {
				t.Errorf("%s: %d cores give other bytes than 1", penalty, cores)
			}
		}
	}
}

func TestPenaltiesRefuseNumbersThatAreNotTheirs(t *testing.T) {
	network, u := randomNetwork(2, []int{10, 8, 3}, 300)
	source := mustSource(t, network, u)
	for _, o := range []Options{
		{Penalty: "l0"}, {Penalty: PenaltyL1, Lambda2: 1}, {Penalty: PenaltyExact, Lambda2: 1}, {Penalty: PenaltyElastic, Lambda2: -1},
		{Penalty: PenaltyPerspective, Lambda2: math.NaN()}, {Penalty: PenaltyGroup, Lambda2: 1.5}, {Penalty: PenaltyElastic, GroupRows: 16},
		{Penalty: PenaltyGroup, GroupRows: 5}, {Penalty: PenaltyGroup, GroupRows: -1, GroupColumns: 3},
	} {
		t.Run(fmt.Sprintf("%s %g %d", o.Penalty, o.Lambda2, o.GroupRows), func(t *testing.T) {
			o.Lambda = 0.01
			if _, _, err := Fit(context.Background(), source, o); !errors.Is(err, ErrOptions) {
				t.Errorf("it gave %v", err)
			}
		})
	}
}

// A constant input, a dead state, no biases and no weights: none of them may upset a penalty.
func TestPenaltiesStandDegenerateStates(t *testing.T) {
	network, u := randomNetwork(2, []int{10, 8, 5, 3}, 300)
	for s := range 300 {
		u[s*10+4] = 0.5
	}
	network.Layers[0].B[3] = -1000
	source := mustSource(t, network, u)
	for _, penalty := range []Penalty{PenaltyL1, PenaltyElastic, PenaltyPerspective, PenaltyExact, PenaltyGroup} {
		for _, o := range []Options{{Lambda: 0.01}, {Lambda: 0.01, NoBias: true}, {Lambda: 0.01, NoWeights: true}, {Lambda: 0.01, NoBias: true, NoWeights: true}, {NNZ: 40, NoBias: true}} {
			o.Penalty, o.Task = penalty, Regression
			m, r, err := Fit(context.Background(), source, o)
			if penalty == PenaltyExact && o.NoBias && !o.NoWeights { // without weights the constant input serves as a bias
				if !errors.Is(err, ErrInfeasible) {
					t.Errorf("exact without the biases that the teacher has: %v", err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s %+v: %v", penalty, o, err)
				continue
			}
			if r.GapMax > 1e-6 || r.NNZ == 0 {
				t.Errorf("%s %+v: gap %g, %d nonzeros", penalty, o, r.GapMax, r.NNZ)
			}
			if by := m.NNZ(); o.NoBias && by.StateBias+by.OutputBias > 0 {
				t.Errorf("%s %+v: %d biases", penalty, o, by.StateBias+by.OutputBias)
			}
		}
	}
}
