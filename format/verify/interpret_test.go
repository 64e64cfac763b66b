package verify

import (
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
)

// TestInterpreterAgreesWithBigIntegers runs models with loops whose number of sweeps covers everything from
// one to far beyond where the integers settle or start to cycle; the other interpreter (plain_test.go)
// uses big integers and no short cut.
func TestInterpreterAgreesWithBigIntegers(t *testing.T) {
	for seed := range uint64(6) {
		for _, s := range shapes[1:4] {
			p := build(seed, s)
			for _, sweeps := range []uint32{1, 2, 3, 5, 8, 13, 27, 40, 61} {
				p.file.Schedule[1].Sweeps, p.file.Schedule[3].Sweeps = sweeps, sweeps+1
				bundled := runPlainly(p.file, seed)
				drawn, inputs := make([]uint16, 3), make([]int64, 3)
				simb.SelfTestInputs(seed, p.file.Width, drawn)
				for j, v := range drawn {
					inputs[j] = int64(v)
				}
				got := interpret(p.file, inputs)
				if err := sameResult(&bundled, got); err != nil {
					t.Errorf("%s, seed %d, %d sweeps: %v", s.name, seed, sweeps, err)
				}
			}
		}
	}
}

// TestASkippedCycleCountsEverySaturation drives a loop of one state that flips between its two clamps.
func TestASkippedCycleCountsEverySaturation(t *testing.T) {
	p := build(0, shapes[2])
	m := p.file
	for i := 2; i < 5; i++ { // each state of the loop: far below zero when itself is high, and the reverse
		row := &m.Rows[i]
		row.Multiplier, row.Negative = quant.Multiplier{M: 1000, S: 1}, quant.Multiplier{M: 1000, S: 1}
		row.Lo, row.Hi, row.Zero, row.Saturates = 0, 127, 60, simb.SaturatesLow|simb.SaturatesHigh
		row.Bias = 127 * 50
	}
	for k := m.Weights.Indptr[2]; k < m.Weights.Indptr[5]; k++ {
		m.Weights.Data[k] = 0
	}
	for i := 2; i < 5; i++ {
		for k := m.Weights.Indptr[i]; k < m.Weights.Indptr[i+1]; k++ {
			if int(m.Weights.Indices[k]) == 3+i {
				m.Weights.Data[k] = -100
			}
		}
	}
	for _, sweeps := range []uint32{1, 2, 3, 4, 10, 11, 1000, 1001} {
		m.Schedule[1].Sweeps = sweeps
		bundled := runPlainly(m, 1)
		drawn := make([]uint16, 3)
		simb.SelfTestInputs(1, m.Width, drawn)
		got := interpret(m, []int64{int64(drawn[0]), int64(drawn[1]), int64(drawn[2])})
		if err := sameResult(&bundled, got); err != nil {
			t.Errorf("%d sweeps: %v", sweeps, err)
		}
		if got.work > 40*uint64(len(m.Weights.Indices)) {
			t.Errorf("%d sweeps: %d multiply-accumulates, a cycle of two should be skipped", sweeps, got.work)
		}
		if sweeps > 10 && got.saturations < 3*uint64(sweeps) {
			t.Errorf("%d sweeps: %d saturations, every sweep has three", sweeps, got.saturations)
		}
	}
}

func TestInputsAreQuantisedAsTheNumberRulesSay(t *testing.T) {
	for _, in := range []simb.Input{{Scale: 0.25, Zero: -3}, {Scale: 0x1p-30, Zero: 1 << 30}, {Scale: 3, Zero: -2147483648}} {
		for _, u := range []float32{0, 1, -1, 0.625, 0.375, 1e9, -1e9, 6.5e9, 3.4e38, -3.4e38, 1e-40} {
			want, wantCut := quant.InputFromReal(u, in.Scale, in.Zero, quant.Width14)
			got, cut := quantise(&in, quant.Width14, u)
			if got != int64(want) || cut != wantCut {
				t.Errorf("u = %g, scale %g, zero %d: %d %v, want %d %v", u, in.Scale, in.Zero, got, cut, want, wantCut)
			}
		}
	}
}

func TestTablesAreReadAsTheNumberRulesSay(t *testing.T) {
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		entries := make([]uint16, width.TableLen())
		for k := range entries {
			entries[k] = uint16(k * k % 127)
		}
		for x := int64(-70000); x < 70000; x += 7 {
			if got, want := lookUp(width, entries, x), int64(quant.LookUp(width, entries, x)); got != want {
				t.Fatalf("%d bits: entry for %d is %d, want %d", width, x, got, want)
			}
		}
	}
}
