package kernel

import (
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
)

// scattered is a program of 16 states for each slice, all of whose entries need a step of their own.
func scattered(entries int) (*Program, *Streams) {
	p := &Program{Width: quant.Width7, SourceInputs: 16 * 128 * entries, States: 16, Segments: []Segment{{End: 16}}}
	for j := range p.SourceInputs {
		p.Inputs = append(p.Inputs, Input{Source: int32(j), Scale: 1})
	}
	s := &Streams{}
	for i := range 17 {
		p.Rows = append(p.Rows, Row{Planes: 1, Table: NoTable, Multiplier: still, Negative: still, Hi: 127})
		if i == 16 {
			s.Lengths = append(s.Lengths, 0)
			break
		}
		s.Lengths = appendUvarint(s.Lengths, entries)
		for k := range entries {
			gap := 16*128 - 1
			if k == 0 {
				gap = 128 * i
			}
			s.Gaps, s.Values = appendUvarint(s.Gaps, gap), append(s.Values, 1)
		}
	}
	return p, s
}

// However far apart entries lie, packing takes a bounded number of bytes for each.
func TestPackingIsBoundedByTheEntries(t *testing.T) {
	p, s := scattered(2500)
	for _, k := range kernels {
		if !k.Usable() {
			continue
		}
		e, _ := k.Pack(p, s)
		if _, packed := e.(*windows); packed {
			t.Errorf("%s packs %d entries into %d bytes", k.Name, len(s.Values), e.Bytes())
		}
	}
	if name, _, _ := Choose(p, s); name != Portable {
		t.Errorf("%s is chosen", name)
	}
}

// A loop whose slices have no entries takes no steps, but time: fewer of its sweeps make a call.
func TestSweepsWithoutStepsAreBounded(t *testing.T) {
	states := 1 << 12
	p := &Program{Width: quant.Width7, States: states, Segments: []Segment{{End: states, Sweeps: 1 << 20}}}
	for range states + 1 {
		p.Rows = append(p.Rows, Row{Planes: 1, Table: NoTable, Multiplier: still, Negative: still, Hi: 127})
	}
	s := &Streams{Lengths: make([]byte, states+1)}
	for name, e := range engines(p, s) {
		if w, ok := e.(*windows); ok && int(w.budget)*(states/w.rows) > sweepBudget {
			t.Errorf("%s: a budget of %d for sweeps of %d slices", name, w.budget, states/w.rows)
		}
	}
}
