package runtime

import (
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// warmModels returns the model loaded WithWarmStart for every kernel, and in place.
func warmModels(t *testing.T, m *simb.Model) map[string]*Model {
	t.Helper()
	all := map[string]*Model{}
	options := map[string]Option{kernelInPlace: WithInPlace()}
	for _, name := range kernel.Names() {
		options[name] = WithKernel(name)
	}
	for name, option := range options {
		model, err := Load(encode(t, m, simb.CodecRaw), WithWarmStart(), option)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = model
	}
	return all
}

// loopyModel is a random model whose weights within loops are small enough that most loops come to rest.
func loopyModel(d *dice) *simb.Model {
	s := randomShape(d)
	s.segments = append(s.segments, simb.Segment{States: d.between(2, 8), Sweeps: uint32(d.between(1, 40))}, simb.Segment{States: d.between(1, 4)})
	m := randomModel(d, s)
	if d.chance(50) {
		first := 0
		for _, segment := range m.Schedule {
			for i := first; i < first+segment.States && segment.Sweeps > 0; i++ {
				columns, weights := m.Weights.Row(i)
				for k, j := range columns {
					if int(j) >= len(m.Inputs)+first {
						weights[k] = weights[k]/16 | 1
					}
				}
			}
			first += segment.States
		}
	}
	return m
}

// fromRest says how the states of a loop came about, by the oracle: a sweep changes none, or they are those of all
// sweeps from the start.
func fromRest(m *simb.Model, first int, segment simb.Segment, x []*big.Int) (rests, cold bool) {
	at := x[len(m.Inputs)+first:][:segment.States]
	sweep := func() (moved bool) {
		next, ignored := make([]*big.Int, len(at)), uint64(0)
		for k := range at {
			next[k] = oracleState(m, first+k, oracleSum(m, first+k, x), &ignored)
		}
		for k := range at {
			moved = moved || next[k].Cmp(at[k]) != 0
			at[k] = next[k]
		}
		return moved
	}
	found := append([]*big.Int(nil), at...)
	rests = !sweep()
	for k := range at {
		row := &m.Rows[first+k]
		at[k] = clampBig(big.NewInt(int64(row.Zero)), int64(row.Lo), int64(row.Hi))
	}
	for range segment.Sweeps {
		sweep()
	}
	cold = true
	for k := range at {
		cold = cold && at[k].Cmp(found[k]) == 0
	}
	copy(at, found)
	return rests, cold
}

// checkWarm holds states and outputs against the oracle: those outside loops follow from what they read, loops are at
// rest or cold.
func checkWarm(t *testing.T, m *simb.Model, plan []uint16, states []uint16, outputs []float32, seen map[string]int) {
	t.Helper()
	var x []*big.Int
	for _, q := range append(append([]uint16(nil), plan...), states...) {
		x = append(x, big.NewInt(int64(q)))
	}
	first, ignored := 0, uint64(0)
	for _, segment := range m.Schedule {
		if segment.Sweeps > 0 {
			rests, cold := fromRest(m, first, segment, x)
			switch {
			case !rests && !cold:
				t.Fatalf("the loop of states %d to %d is neither at rest nor cold", first, first+segment.States-1)
			case !cold:
				seen["at rest elsewhere"]++
			case !rests:
				seen["cold, not at rest"]++
			default:
				seen["at rest"]++
			}
		}
		for i := first; i < first+segment.States && segment.Sweeps == 0; i++ {
			if q := oracleState(m, i, oracleSum(m, i, x), &ignored); q.Int64() != int64(states[i]) {
				t.Fatalf("state %d is %d, want %s", i, states[i], q)
			}
		}
		first += segment.States
	}
	for k, y := range outputs {
		row := &m.Rows[first+k]
		want := roundShift(oracleSum(m, first+k, x), int64(row.Multiplier.M), uint(row.Multiplier.S)).Int64()
		if y != float32(float64(want)*float64(m.OutputScale)) {
			t.Fatalf("output %d is %g, the integer %d", k, y, want)
		}
	}
}

func TestWarmLoopsAreAtRestOrCold(t *testing.T) {
	models := uint64(60)
	if testing.Short() {
		models = 20
	}
	seen := map[string]int{}
	for seed := range models {
		d := &dice{seed}
		m := loopyModel(d)
		sessions := map[string]*Session{}
		for name, model := range warmModels(t, m) {
			sessions[name] = model.NewSession()
		}
		cold := variants(t, m)[kernel.Portable].NewSession()
		inputs, y := make([]float32, m.SourceInputs), make([]float32, m.Outputs())
		var before any
		saved := 0
		for step := range 25 {
			var changed []int
			var values []float32
			var want any
			if step%5 == 4 { // an update of nothing leaves everything as it is
				want = before
			} else {
				changed, values = someChanges(d, m, inputs)
			}
			for i, j := range changed {
				inputs[j] = values[i]
			}
			for _, name := range append(kernel.Names(), kernelInPlace) {
				s := sessions[name]
				if step == 13 {
					if err := s.Infer(y, inputs); err != nil {
						t.Fatal(err)
					}
				}
				if err := s.Update(y, changed, values); err != nil {
					t.Fatal(err)
				}
				got := said(t, s, y)
				if want == nil {
					want = got
				}
				if diff := cmp.Diff(want, any(got)); diff != "" {
					t.Fatalf("seed %d, step %d: kernels differ, %s (-first +this):\n%s", seed, step, name, diff)
				}
			}
			before = want
			s := sessions[kernel.Portable]
			plan, _ := oracleInputs(m, inputs)
			checkWarm(t, m, plan, said(t, s, y).States, y, seen)
			if err := cold.Infer(y, inputs); err != nil {
				t.Fatal(err)
			}
			if allowed := 2 * allSweeps(m); s.Stats().Sweeps > allowed {
				t.Fatalf("seed %d: %d sweeps, at most %d are allowed", seed, s.Stats().Sweeps, allowed)
			}
			saved += int(cold.Stats().Sweeps) - int(s.Stats().Sweeps)
			if step == 0 || step == 13 {
				if diff := cmp.Diff(said(t, cold, y).States, said(t, s, y).States); diff != "" {
					t.Fatalf("seed %d, step %d: what follows an Infer is not cold (-Infer +Update):\n%s", seed, step, diff)
				}
			}
		}
		if saved > 0 {
			seen["sweeps saved"]++
		}
	}
	t.Logf("%v", seen)
	for _, what := range []string{"at rest", "at rest elsewhere", "cold, not at rest", "sweeps saved"} {
		if seen[what] < 5 {
			t.Errorf("%q only %d times; the test has lost its force", what, seen[what])
		}
	}
}

func allSweeps(m *simb.Model) (sweeps uint64) {
	for _, segment := range m.Schedule {
		sweeps += uint64(segment.Sweeps)
	}
	return sweeps
}
