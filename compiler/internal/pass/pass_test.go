package pass

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/sparse"
)

// randomModel makes a model with every activation mixed; with loops its A is scaled so that
// λ(|A|) < 1 although ‖A‖∞ ≥ 1 may hold.
func randomModel(rng *rand.Rand, loops, calibrated bool) *model.Model {
	n, p, q := 2+rng.IntN(12), 1+rng.IntN(6), 1+rng.IntN(3)
	entries := func(rows, cols int, keep func(i, j int) bool) *sparse.Matrix[float32] {
		dense := make([]float32, rows*cols)
		for i := range rows {
			for j := range cols {
				if rng.Float64() < 0.5 && keep(i, j) {
					dense[i*cols+j] = float32(rng.NormFloat64())
				}
			}
		}
		return sparse.FromDense(rows, cols, dense)
	}
	all := func(int, int) bool { return true }
	m := &model.Model{
		A: entries(n, n, func(i, j int) bool { return loops || j < i }),
		B: entries(n, p, all), C: entries(q, n, all), D: entries(q, p, all),
		StateBias: normals(rng, n), OutputBias: normals(rng, q), Decision: model.DecideNone,
	}
	if loops {
		contract(rng, m.A)
	}
	for range n {
		m.Activations = append(m.Activations, randomActivation(rng))
	}
	for range p {
		lo := float32(rng.NormFloat64())
		m.InputLo = append(m.InputLo, lo)
		m.InputHi = append(m.InputHi, lo+float32(rng.IntN(4))*rng.Float32()) // sometimes a point
	}
	if calibrated {
		for range n {
			m.StateLo = append(m.StateLo, -rng.Float32()*2)
			m.StateHi = append(m.StateHi, rng.Float32()*2)
		}
	}
	return m
}

func normals(rng *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v
}

// contract scales A by a diagonal similarity of a matrix of row sums below 0.9: rows of large norm
// remain, the eigenvalue stays below 0.9.
func contract(rng *rand.Rand, a *sparse.Matrix[float32]) {
	scale := make([]float64, a.Rows)
	for i := range scale {
		scale[i] = math.Exp2(float64(rng.IntN(5)))
	}
	for i := range a.Rows {
		cols, values := a.Row(i)
		sum := 1e-9
		for _, v := range values {
			sum += math.Abs(float64(v))
		}
		for k, j := range cols {
			values[k] = float32(float64(values[k]) / sum * 0.9 * rng.Float64() * scale[i] / scale[j])
		}
	}
}

func randomActivation(rng *rand.Rand) model.Activation {
	c := float32(0.2 + rng.Float64()*3)
	return []model.Activation{
		{Kind: model.Identity}, {Kind: model.ReLU}, {Kind: model.ClippedReLU, P1: c},
		{Kind: model.LeakyReLU, P0: min(1, c/4)}, {Kind: model.HardTanh, P0: -c, P1: c}, {Kind: model.Tanh}, {Kind: model.Sigmoid},
	}[rng.IntN(7)]
}

// compiled runs all passes.
func compiled(t *testing.T, m *model.Model, o Options) *Program {
	t.Helper()
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	p := &Program{Source: m, Options: o}
	p.Simplify()
	p.Prune()
	p.Schedule()
	for _, step := range []func() (string, error){p.ProveWellPosed, p.Ranges, p.Scales, p.Quantise, p.Certify} {
		if _, err := step(); err != nil {
			t.Fatal(err)
		}
	}
	p.Bundle()
	return p
}

// equilibrium is the naive oracle: plain iteration on dense matrices until nothing moves.
func equilibrium(m *model.Model, u []float64) (x, y []float64) {
	n := m.States()
	a, b, c, d := m.A.Dense(), m.B.Dense(), m.C.Dense(), m.D.Dense()
	product := func(w []float32, v []float64, i int) float64 {
		sum := 0.0
		for j, value := range v {
			sum += float64(w[i*len(v)+j]) * value
		}
		return sum
	}
	x = make([]float64, n)
	for range 3000 {
		next := make([]float64, n)
		moved := 0.0
		for i := range next {
			next[i] = m.Activations[i].Apply(product(a, x, i) + product(b, u, i) + float64(m.StateBias[i]))
			moved = max(moved, math.Abs(next[i]-x[i]))
		}
		x = next
		if moved < 1e-13 {
			break
		}
	}
	for k := range m.Outputs() {
		y = append(y, product(c, x, k)+product(d, u, k)+float64(m.OutputBias[k]))
	}
	return x, y
}

// TestBoundsHold compares integers and reals at random and extreme inputs against both claims.
func TestBoundsHold(t *testing.T) {
	const models, samples = 60, 30
	tightest := 0.0
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		for _, planes := range []uint8{1, 2} {
			for _, loops := range []bool{false, true} {
				for seed := range uint64(models) {
					rng := rand.New(rand.NewPCG(seed, uint64(planes)))
					m := randomModel(rng, loops, seed%2 == 0)
					p := compiled(t, m, Options{Width: width, Planes: planes, Levels: 127})
					for s := range samples {
						u := sampleInput(rng, m, s)
						if ratio, err := p.compare(u); err != nil {
							t.Fatalf("%d bits, %d planes, loops %v, seed %d, sample %d: %v", width, planes, loops, seed, s, err)
						} else {
							tightest = max(tightest, ratio)
						}
					}
				}
			}
		}
	}
	t.Logf("largest observed error: %.3f of its bound", tightest)
	if tightest < 0.9 {
		t.Errorf("no error came near its bound: the test sees nothing")
	}
}

func sampleInput(rng *rand.Rand, m *model.Model, s int) []float64 {
	u := make([]float64, m.Inputs())
	for j := range u {
		lo, hi := m.InputLo[j], m.InputHi[j]
		switch {
		case s%3 == 0 && rng.IntN(2) == 0:
			u[j] = float64(lo)
		case s%3 == 0:
			u[j] = float64(hi)
		default:
			u[j] = float64(min(max(lo+(hi-lo)*rng.Float32(), lo), hi))
		}
	}
	return u
}

// compare returns the largest share of a bound that the error at u takes, or an error when it takes
// more than all of it.
func (p *Program) compare(u []float64) (float64, error) {
	m := p.Model()
	q := make([]uint16, len(m.Inputs)+m.States())
	for k, input := range m.Inputs {
		v, saturated := quant.InputFromReal(float32(u[input.Source]), input.Scale, input.Zero, m.Width)
		if saturated {
			return 0, fmt.Errorf("input %d of the box saturates", input.Source)
		}
		q[k] = uint16(v)
	}
	outputs, saturations := evaluate(m, q)
	x, y := equilibrium(p.Source, u)
	worst := 0.0
	for _, claim := range []struct {
		name          string
		state, output []float32
		holds         bool
	}{
		{"box", p.Certificates.Box.State, p.Certificates.Box.Output, true},
		{"calibrated", p.Certificates.Calibrated.State, p.Certificates.Calibrated.Output, saturations == 0},
	} {
		if !claim.holds {
			continue
		}
		for i, row := range m.Rows[:m.States()] {
			worth := float64(row.Scale) * float64(int(q[len(m.Inputs)+i])-int(row.Zero))
			share := math.Abs(worth-x[p.States[i]]) / float64(claim.state[i])
			if share > 1 {
				return 0, fmt.Errorf("%s: state %d (%s) is off by %g, bound %g", claim.name, p.States[i], p.activation(i).Kind, math.Abs(worth-x[p.States[i]]), claim.state[i])
			}
			worst = max(worst, share)
			if v := x[p.States[i]]; v < float64(p.Certificates.ReachLo[i])-1e-9 || v > float64(p.Certificates.ReachHi[i])+1e-9 {
				return 0, fmt.Errorf("state %d = %g outside its reach [%g, %g]", p.States[i], v, p.Certificates.ReachLo[i], p.Certificates.ReachHi[i])
			}
		}
		for k, v := range outputs {
			share := math.Abs(float64(quant.OutputToReal(v, m.OutputScale))-y[k]) / float64(claim.output[k])
			if share > 1 {
				return 0, fmt.Errorf("%s: output %d is off by %g, bound %g", claim.name, k, math.Abs(float64(quant.OutputToReal(v, m.OutputScale))-y[k]), claim.output[k])
			}
		}
	}
	return worst, nil
}

// TestBlameAddsUp: the parts of all rows make up an output's bound, apart from the rounding of what is
// stored on the way.
func TestBlameAddsUp(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 4))
		m := randomModel(rng, seed%2 == 0, seed%3 == 0)
		p := compiled(t, m, Options{Width: quant.Width7, Planes: 1, Levels: 127})
		for k := range m.Outputs() {
			sum, last := 0.0, math.Inf(1)
			for _, b := range p.Blame(k, 1000) {
				if b.Share > last {
					t.Errorf("seed %d: shares ascend", seed)
				}
				sum, last = sum+b.Share, b.Share
			}
			least, most := 0.9, 1.001
			if seed%2 == 0 {
				least, most = 0.8, 1.3 // few sweeps from a start that is near leave less than infinitely many
			}
			if p.Certificates.Box.Output[k] > 1e-30 && (sum < least || sum > most) {
				t.Errorf("seed %d, output %d: the parts make up %.3f of the bound", seed, k, sum)
			}
		}
	}
}
