package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/quant"
)

// Lanes that fill up a slice must not seem to move, whatever a loop's rows are computed through.
func TestALoopAtRestTakesOneSweep(t *testing.T) {
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		for _, table := range []bool{false, true} {
			p := &Program{Width: width, States: 1, Segments: []Segment{{First: 0, End: 1, Sweeps: 9}}}
			entries := make([]uint16, width.TableLen())
			for k := range entries {
				entries[k] = uint16(width.Max()) - 1
			}
			p.Tables = [][]uint16{entries}
			rest := Row{Planes: 1, Table: NoTable, Multiplier: quant.Multiplier{M: 1, S: 1}, Negative: quant.Multiplier{M: 1, S: 1}, Zero: entries[0], Hi: uint16(width.Max())}
			if table {
				rest.Table = 0
			}
			p.Rows = []Row{rest, rest}
			s := &Streams{Lengths: []byte{1, 0}, Gaps: []byte{0}, Values: []byte{0}}
			t.Run(fmt.Sprint(width, " bits, table ", table), func(t *testing.T) {
				mem := newMemory(packWordsOf(p, s))
				if a := infer(p, packWordsOf(p, s), mem, &source{}, 2); a.Sweeps != 1 {
					t.Fatalf("%d sweeps: the test has lost its force", a.Sweeps)
				}
				compare(t, rand.New(rand.NewPCG(1, 1)), p, s, 1, map[string]int{})
			})
		}
	}
}

// still is the multiplier that changes nothing.
var still = quant.Multiplier{M: 2, S: 1}

// A state that moves by a multiple of 128 moves in the upper plane only.
func TestAMoveOfTheUpperPlaneIsAMove(t *testing.T) {
	for _, upper := range []int32{128, 127 * 128} {
		p := &Program{
			Width: quant.Width14, States: 1, Segments: []Segment{{End: 1, Sweeps: 9}},
			Rows: []Row{{Planes: 1, Table: NoTable, Multiplier: still, Negative: still, Bias: upper, Hi: uint16(quant.Width14.Max())}},
		}
		s := &Streams{Lengths: []byte{0}}
		if a := infer(p, packWordsOf(p, s), newMemory(packWordsOf(p, s)), &source{}, 2); a.Sweeps != 2 || a.States[0] != uint16(upper) {
			t.Fatalf("%+v: the test has lost its force", a)
		}
		compare(t, rand.New(rand.NewPCG(1, 1)), p, s, 1, map[string]int{})
	}
}

// Accumulators of two planes of weights may be beyond 32 bits; their sign chooses the multiplier.
func TestAccumulatorsOfTwoPlanesAreWide(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 3))
		p, s := &Program{Width: quant.Width14, SourceInputs: 40, States: 9, Segments: []Segment{{End: 9}}}, &Streams{}
		for j := range 40 {
			p.Inputs = append(p.Inputs, Input{Source: int32(j), Scale: 1})
		}
		src := source{plan: make([]uint16, 40)}
		for j := range src.plan {
			src.plan[j] = uint16(quant.Width14.Max()) - uint16(rng.IntN(9))
		}
		for i := range 12 {
			row := Row{Planes: 2, Table: NoTable, Multiplier: quant.Multiplier{M: 1, S: 19}, Negative: quant.Multiplier{M: 1, S: 19}, Bias: int32(rng.Uint32()), Hi: 16000, Zero: 9000}
			if i < p.States {
				row.Negative = quant.Multiplier{M: 1 + rng.Int32N(9), S: 22}
			}
			p.Rows = append(p.Rows, row)
			s.Lengths = append(s.Lengths, 40)
			high, low := quant.SplitPlanes(int16((1 - 2*rng.IntN(2)) * (4000 + rng.IntN(4000))))
			for range 40 {
				s.Gaps, s.Values, s.Low = append(s.Gaps, 0), append(s.Values, byte(high)), append(s.Low, byte(low))
			}
		}
		want := infer(p, packWordsOf(p, s), newMemory(packWordsOf(p, s)), &src, 2)
		for name, e := range engines(p, s) {
			if diff := cmp.Diff(want, infer(p, e, newMemory(e), &src, 2)); diff != "" {
				t.Fatalf("seed %d, kernel %s (-portable +kernel):\n%s", seed, name, diff)
			}
		}
	}
}

// A call of execute returns once its budget is spent, lest the scheduler waits for a large model.
func TestExecuteStopsWhenItsBudgetIsSpent(t *testing.T) {
	p, s := teamwork(quant.Width7)
	for name, e := range engines(p, s) {
		w, ok := e.(*windows)
		if !ok {
			continue
		}
		mem := newMemory(w)
		first := progress{end: uint32(len(w.commands))}
		w.kernel.execute(w, mem, &first)
		commands, steps := 0, uint32(0)
		for steps == 0 && commands < len(w.commands) { // commands without steps, of groups, are free
			steps += w.commands[commands].steps
			commands++
		}
		if int(first.command) != commands || first.budget != -int32(steps) {
			t.Errorf("%s: without a budget it ran %d commands, %d steps", name, first.command, -first.budget)
		}
	}
}

// A state of 14 bits may move in its high plane alone.
func TestALoopThatMovesByWholePlanesIsNotAtRest(t *testing.T) {
	for _, m := range []quant.Multiplier{{M: 1, S: 1}, {M: 1 << 20, S: 33}} {
		row := Row{Bias: int32(512 << m.S / int64(m.M)), Planes: 1, Table: NoTable, Multiplier: m, Negative: m, Hi: uint16(quant.Width14.Max())}
		for _, states := range []int{1, 70} {
			p := &Program{Width: quant.Width14, States: states, Segments: []Segment{{First: 0, End: states, Sweeps: 9}}}
			s := &Streams{Lengths: make([]byte, states+1)}
			rest := row
			rest.Bias = 0
			for range states - 1 {
				p.Rows = append(p.Rows, rest)
			}
			p.Rows = append(p.Rows, row, rest)
			if a := infer(p, packWordsOf(p, s), newMemory(packWordsOf(p, s)), &source{}, 2); a.Sweeps != 2 || a.States[states-1] != 512 {
				t.Fatalf("%+v: the test has lost its force", a)
			}
			compare(t, rand.New(rand.NewPCG(1, 1)), p, s, 1, map[string]int{})
		}
	}
}
