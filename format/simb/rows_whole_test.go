package simb

import (
	"math/rand/v2"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
)

// wholeModel has what the checks of rows need: levels and loops, some states in a table, no weights.
func wholeModel(rng *rand.Rand) *Model {
	m := &Model{Width: []quant.Width{quant.Width7, quant.Width14}[rng.IntN(2)], Inputs: make([]Input, rng.IntN(200))}
	m.Tables = []Table{{Entries: []uint16{0, uint16(rng.IntN(100))}}}
	for range rng.IntN(4) {
		s := Segment{States: 1 + rng.IntN(12), Sweeps: uint32(rng.IntN(2) * rng.IntN(9))}
		m.Schedule = append(m.Schedule, s)
		m.SourceState = append(m.SourceState, make([]int32, s.States)...)
	}
	for i := range len(m.SourceState) + 1 + rng.IntN(5) {
		row := Row{Planes: uint8(1 + rng.IntN(10)/9), Hi: uint16(rng.IntN(int(m.Width.Max() + 1))), Zero: uint16(rng.IntN(100)), Table: NoTable, Multiplier: quant.Multiplier{M: 1, S: 62}}
		if i < len(m.SourceState) && rng.IntN(4) == 0 {
			row.Table = 0
		}
		m.Rows = append(m.Rows, row)
	}
	return m
}

// wholeStreams returns streams for a model in which some rows may be wrong: in what they read, in their
// weights, in the form of a gap, or by ending early.
func wholeStreams(rng *rand.Rand, m *Model) (s RowStreams) {
	columns := len(m.Inputs) + m.States()
	first, segment := 0, 0
	for i := range m.Rows {
		readable := columns
		if i < m.States() {
			for i >= first+m.Schedule[segment].States {
				first += m.Schedule[segment].States
				segment++
			}
			if readable = len(m.Inputs) + first; m.Schedule[segment].Sweeps > 0 {
				readable += m.Schedule[segment].States
			}
		}
		if rng.IntN(30) == 0 {
			readable = columns + 1
		}
		length, previous := uint32(0), -1
		share := rng.Float64()
		for j := range readable {
			if rng.Float64() > share {
				continue
			}
			s.Gaps = appendVarint(s.Gaps, uint32(j-previous-1))
			v := byte((1 + rng.IntN(127)) * (1 - 2*rng.IntN(2)))
			if rng.IntN(500) == 0 {
				v = byte(rng.IntN(2)) << 7
			}
			s.Values, previous = append(s.Values, v), j
			if m.Rows[i].Planes == 2 {
				s.Values[len(s.Values)-1], s.Low = 1, append(s.Low, 0)
			}
			length++
		}
		s.Lengths = appendVarint(s.Lengths, length)
	}
	if n := len(s.Gaps); n > 0 && rng.IntN(10) == 0 {
		s.Gaps = s.Gaps[:rng.IntN(n)]
	} else if n > 0 && rng.IntN(10) == 0 {
		s.Gaps[rng.IntN(n)] = byte(rng.IntN(256))
	}
	return s
}

// TestWholeRowsAreThoseThatEntriesPass walks rows at once and entry by entry: both must find the same rows right,
// with the same sums and counts.
func TestWholeRowsAreThoseThatEntriesPass(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	right, wrong, own := 0, 0, 0
	for round := range 2000 {
		m := wholeModel(rng)
		streams := wholeStreams(rng, m)
		atOnce, byEntry := newRowReader(m, streams), newRowReader(m, streams)
		sums, entries := newRowChecker(m), newRowChecker(m)
		whole := newWholeRows(m, sums)
		for i := range m.Rows {
			length, err := byEntry.begin(i)
			if err != nil {
				break
			}
			_, _ = atOnce.begin(i)
			sums.begin(i)
			entries.begin(i)
			before := atOnce
			passed := whole.pass(&atOnce, sums, length)
			if !passed && atOnce.gaps != before.gaps {
				t.Fatalf("round %d, row %d: not passed, but read", round, i)
			}
			for range length {
				column, weight, failed := byEntry.entry()
				if err = failed; err == nil {
					err = entries.entry(column, weight)
				}
				if err != nil {
					break
				}
			}
			if passed != (err == nil && m.Rows[i].Planes == 1) {
				t.Fatalf("round %d, row %d of %d planes: passed %v, entry by entry %v", round, i, m.Rows[i].Planes, passed, err)
			}
			if err != nil {
				wrong++
				break
			}
			if !passed {
				atOnce, *sums = byEntry, *entries
				continue
			}
			right++
			if sums.macs > sums.nonzeros {
				own++
			}
			if atOnce.gaps != byEntry.gaps || atOnce.values != byEntry.values || atOnce.lengths != byEntry.lengths || *sums != *entries {
				t.Fatalf("round %d, row %d: %+v and %+v, entry by entry %+v and %+v", round, i, atOnce, *sums, byEntry, *entries)
			}
		}
	}
	t.Logf("%d rows right, %d wrong, %d after loops", right, wrong, own)
	if right < 2000 || wrong < 300 || own < 300 {
		t.Errorf("only %d rows right, %d wrong, %d after loops", right, wrong, own)
	}
}
