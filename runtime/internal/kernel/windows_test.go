package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"

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
