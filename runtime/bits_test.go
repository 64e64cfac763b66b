package runtime

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// variants returns the model in every way it can be run on this machine, each loaded from a file: by
// every kernel, and in place from streams that are raw and that are coded.
func variants(t testing.TB, m *simb.Model) map[string]*Model {
	t.Helper()
	all := map[string]*Model{}
	add := func(name string, data []byte, options ...Option) {
		model, err := Load(data, options...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = model
	}
	raw, coded := encode(t, m, simb.CodecRaw), encode(t, m, simb.CodecHuff0)
	for _, name := range kernel.Names() {
		add(name, coded, WithKernel(name))
	}
	add("best, three threads", coded, WithThreads(3))
	add(kernelInPlace, raw, WithInPlace())
	add(kernelInPlace+", coded", coded, WithInPlace())
	if len(m.Inputs) < 1<<15 { // thousands of inputs that are all alike pack into fewer bytes than a reader lets expand so far
		add(kernelInPlace+", packed", encode(t, m, simb.CodecPacked), WithInPlace())
		add(kernelInPlace+", prefix", encode(t, m, simb.CodecPrefix), WithInPlace())
	}
	return all
}

func encode(t testing.TB, m *simb.Model, codec simb.Codec) []byte {
	t.Helper()
	data, err := simb.Encode(m, simb.EncodeOptions{Codec: codec})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// run makes one inference from inputs of the plan.
func run(s *Session, plan []uint16) answer {
	a := answer{Outputs: make([]int32, s.model.Outputs())}
	s.inferPlan(a.Outputs, plan)
	if n := s.model.States(); n > 0 {
		a.States = make([]uint16, n)
		_ = s.CopyStates(a.States)
	}
	a.Sweeps, a.Saturations = s.Stats().Sweeps, s.Stats().Saturations
	return a
}

func TestRandomModelsGiveTheBitsOfTheOracle(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(200) {
		d := &dice{seed}
		m := randomModel(d, randomShape(d))
		plans := [][]uint16{randomPlan(d, m), randomPlan(d, m), randomPlan(d, m)}
		var wants []answer
		for _, plan := range plans {
			wants = append(wants, oracle(m, plan))
			count(seen, m, wants[len(wants)-1])
		}
		for name, model := range variants(t, m) {
			session := model.NewSession()
			for k, plan := range plans {
				if diff := cmp.Diff(wants[k], run(session, plan)); diff != "" {
					t.Fatalf("seed %d, input %d, kernel %s (-oracle +kernel):\n%s", seed, k, name, diff)
				}
			}
		}
	}
	for _, what := range []string{"7 bits", "14 bits", "two planes", "saturated", "early end", "all sweeps", "self-loop"} {
		if seen[what] < 10 {
			t.Errorf("the random models show %q only %d times; the test has lost its force", what, seen[what])
		}
	}
}

// count notes what an inference exercised.
func count(seen map[string]int, m *simb.Model, a answer) {
	seen[map[bool]string{true: "7 bits", false: "14 bits"}[m.Width == 7]]++
	if a.Saturations > 0 {
		seen["saturated"]++
	}
	allowed := uint64(0)
	for _, s := range m.Schedule {
		allowed += uint64(s.Sweeps)
	}
	if a.Sweeps < allowed {
		seen["early end"]++
	}
	if a.Sweeps == allowed && allowed > 0 {
		seen["all sweeps"]++
	}
	for i := range m.Rows {
		if m.Rows[i].Planes == 2 {
			seen["two planes"]++
		}
		if i < m.States() && m.Weights.At(i, len(m.Inputs)+i) != 0 {
			seen["self-loop"]++
		}
	}
}
