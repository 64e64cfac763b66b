package pass

import (
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
)

// TestPlanMeansWhatItsSourceMeans: at the source's equilibrium every row of the plan has the source's argument,
// within what it says that it may be off by, and a folded state is within what it is said to be.
func TestPlanMeansWhatItsSourceMeans(t *testing.T) {
	folded := 0
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 8))
		m := randomModel(rng, seed%3 == 0, false)
		if seed%3 != 0 { // a copied row may undo a loop's contraction
			repeatStates(rng, m)
		}
		p := &Program{Source: m, Options: Options{Width: 7, Planes: 1, Levels: 127}}
		detail := p.Simplify()
		p.Prune()
		p.Schedule()
		if !strings.HasPrefix(detail, "0 constant states, 0 that repeat another and 0 ") {
			folded++
		}
		for range 5 {
			u := make([]float64, m.Inputs())
			for j := range u {
				u[j] = float64(m.InputLo[j]) + rng.Float64()*float64(m.InputHi[j]-m.InputLo[j])
			}
			x, y := equilibrium(m, u)
			for s, value := range p.constant {
				if value != nil && math.Abs(x[s]-value.Value) > value.Error+1e-9 {
					t.Fatalf("seed %d: state %d is %g, said to be %v", seed, s, x[s], *value)
				}
			}
			for i := range p.Bias {
				z := p.Bias[i].Value
				cols, values := p.Weights.Row(i)
				for k, j := range cols {
					if s := p.stateColumn(j); s >= 0 {
						z += values[k] * x[p.States[s]]
					} else {
						z += values[k] * u[p.Inputs[j]]
					}
				}
				got, want := z, 0.0
				if i < p.states() {
					got, want = p.activation(i).Apply(z), x[p.States[i]]
				} else {
					want = y[i-p.states()]
				}
				if math.Abs(got-want) > 1e-9*(1+math.Abs(want)) {
					t.Fatalf("seed %d: row %d gives %g, in the source %g: %s", seed, i, got, want, detail)
				}
			}
		}
	}
	if folded < 100 {
		t.Errorf("only %d models had something to fold", folded)
	}
}

// repeatStates makes some states copies of others, and some nearly: by one place of the bias or of a weight.
func repeatStates(rng *rand.Rand, m *model.Model) {
	a, b, n, p := m.A.Dense(), m.B.Dense(), m.States(), m.Inputs()
	for range 2 {
		i := rng.IntN(n)
		if i+1 == n {
			continue
		}
		copy(a[(i+1)*n:(i+2)*n], a[i*n:(i+1)*n])
		copy(b[(i+1)*p:(i+2)*p], b[i*p:(i+1)*p])
		m.StateBias[i+1], m.Activations[i+1] = m.StateBias[i], m.Activations[i]
		switch rng.IntN(4) {
		case 0:
			m.StateBias[i+1] = math.Nextafter32(m.StateBias[i], 9)
		case 1:
			b[(i+1)*p] = math.Nextafter32(b[i*p], 9)
		}
	}
	m.A, m.B = sparse.FromDense(n, n, a), sparse.FromDense(n, p, b)
}

// TestWhatHasNothingToFoldIsLaidOutAsItIs: Simplify then leaves no trace.
func TestWhatHasNothingToFoldIsLaidOutAsItIs(t *testing.T) {
	same := 0
	for seed := range uint64(200) {
		m := randomModel(rand.New(rand.NewPCG(seed, 9)), seed%2 == 0, false)
		simplified, plain := &Program{Source: m, Options: Options{Width: 14, Planes: 1, Levels: 127}}, &Program{Source: m}
		detail := simplified.Simplify()
		for _, p := range []*Program{simplified, plain} {
			p.Prune()
			p.Schedule()
		}
		if !strings.HasPrefix(detail, "0 constant states, 0 that repeat another and 0 ") {
			continue
		}
		same++
		if !reflect.DeepEqual(simplified.Weights, plain.Weights) || !reflect.DeepEqual(simplified.Bias, plain.Bias) ||
			!reflect.DeepEqual(simplified.States, plain.States) || !reflect.DeepEqual(simplified.Inputs, plain.Inputs) || simplified.weightError != nil {
			t.Errorf("seed %d: %s, yet the plan differs", seed, detail)
		}
	}
	if same < 20 {
		t.Errorf("only %d models had nothing to fold", same)
	}
}

// TestBoundedArithmeticEncloses compares with exact rationals.
func TestBoundedArithmeticEncloses(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	number := func() Bounded {
		v := Bounded{Value: math.Ldexp(rng.NormFloat64(), rng.IntN(200)-100)}
		if rng.IntN(2) == 0 {
			v.Error = math.Abs(v.Value) * math.Ldexp(rng.Float64(), -rng.IntN(60))
		}
		return v
	}
	rat := func(v float64) *big.Rat { return new(big.Rat).SetFloat64(v) }
	holds := func(name string, got Bounded, exact *big.Rat) {
		off := new(big.Rat).Sub(rat(got.Value), exact)
		if off.Abs(off).Cmp(rat(got.Error)) > 0 {
			t.Errorf("%s: %v does not hold %v", name, got, exact)
		}
	}
	for range 20000 {
		v, w := number(), number()
		for _, sv := range []float64{-1, 1} {
			for _, sw := range []float64{-1, 1} {
				a, b := new(big.Rat).Add(rat(v.Value), rat(sv*v.Error)), new(big.Rat).Add(rat(w.Value), rat(sw*w.Error))
				holds("sum", v.plus(w), new(big.Rat).Add(a, b))
				holds("product", v.times(w), new(big.Rat).Mul(a, b))
			}
		}
		if exact := (Bounded{Value: 3}).plus(Bounded{Value: float64(float32(v.Value))}.times(Bounded{Value: 0.5})); v.Value > 0x1p-20 && v.Value < 0x1p20 && !exact.exactly() {
			t.Errorf("%v has an error though float64 holds it", exact)
		}
	}
}
