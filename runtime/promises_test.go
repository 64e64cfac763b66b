package runtime

import (
	goruntime "runtime"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/quant"
)

// entryPoints returns every way to run an inference on a session of the model.
func entryPoints(t testing.TB, model *Model) map[string]func() {
	t.Helper()
	s := model.NewSession()
	reals, y := make([]float32, model.Inputs()), make([]float32, model.Outputs())
	q7, q14, integers := make([]uint8, model.Inputs()), make([]uint16, model.Inputs()), make([]int32, model.Outputs())
	states := make([]uint16, model.States())
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	points := map[string]func(){
		"Infer":      func() { must(s.Infer(y, reals)) },
		"Decide":     func() { _, err := s.Decide(reals); must(err) },
		"Stats":      func() { _ = s.Stats() },
		"CopyStates": func() { must(s.CopyStates(states)) },
	}
	if model.Width() == 7 {
		points["InferQ7"] = func() { must(s.InferQ7(integers, q7)) }
	} else {
		points["InferQ14"] = func() { must(s.InferQ14(integers, q14)) }
	}
	return points
}

func TestInferencesAllocateNothing(t *testing.T) {
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		m := someModel(width, 7)
		m.Decision = DecideArgmax
		for name, model := range variants(t, m) {
			for point, call := range entryPoints(t, model) {
				if allocs := testing.AllocsPerRun(100, call); allocs != 0 {
					t.Errorf("%d bits, %s, %s: %g allocations", width, name, point, allocs)
				}
			}
		}
	}
}

// soak inferences for each of six ways to run a model: more than 100,000 together.
const soak = 17_000

func TestSoakRunsWithoutAllocationAndGarbageCollection(t *testing.T) {
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		m := someModel(width, 7)
		m.Decision = DecideArgmax
		for name, model := range variants(t, m) {
			infer := entryPoints(t, model)["Infer"]
			infer()
			goruntime.GC()
			var before, after goruntime.MemStats
			goruntime.ReadMemStats(&before)
			for range soak {
				infer()
			}
			goruntime.ReadMemStats(&after)
			// Go's own background work may allocate a little; an allocation an inference would be 17,000.
			if after.NumGC != before.NumGC || after.Mallocs-before.Mallocs > 100 {
				t.Errorf("%d bits, %s: %d allocations, %d collections", width, name, after.Mallocs-before.Mallocs, after.NumGC-before.NumGC)
			}
		}
	}
}

func TestAModelIsSharedByGoroutines(t *testing.T) {
	m := someModel(quant.Width14, 11)
	plans := make([][]uint16, 8)
	wants := make([]answer, len(plans))
	for k := range plans {
		plans[k] = randomPlan(&dice{uint64(k)}, m)
		wants[k] = oracle(m, plans[k])
	}
	for name, model := range variants(t, m) {
		var group sync.WaitGroup
		for k := range plans {
			group.Add(1)
			go func() {
				defer group.Done()
				s := model.NewSession()
				for range 50 {
					if diff := cmp.Diff(wants[k], run(s, plans[k])); diff != "" {
						t.Errorf("%s, goroutine %d: %s", name, k, diff)
						return
					}
				}
			}()
		}
		group.Wait()
	}
}
