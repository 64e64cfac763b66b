package verify

import (
	"math"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
	"github.com/sparse-implicit/sim/format/sparse"
)

// everyPoint is τ by its definition: every t of the domain in outward rounding.
func everyPoint(c *checker, i int) float64 {
	row := &c.m.Rows[i]
	table := &c.m.Tables[row.Table]
	least, most := c.m.Width.TableDomain()
	bottom := 0.0
	if table.Kind == simb.Tanh {
		bottom = -1
	}
	worst := max(point(bottom).distance(worth(row, lookUp(c.m.Width, table.Entries, least))), point(1).distance(worth(row, lookUp(c.m.Width, table.Entries, most))))
	for t := least; t <= most; t++ {
		worst = max(worst, curve(table.Kind, float64(table.Step)*float64(t)).distance(worth(row, lookUp(c.m.Width, table.Entries, t))))
	}
	return worst
}

// The hulls lose nothing: for tables of any shape, and states of any scale and zero point, what they say is
// never below the definition, and above it by no more than the grid and one rounding.
func TestTheHullsOfATableAnswerForEveryPointOfIt(t *testing.T) {
	scales := []float32{0x1p-149, 1e-30, 1e-7, 0x1p-14, 6.2e-5, 1.0 / 127, 0.013, 0.5, 1, 3e4, math.MaxFloat32}
	seeds := uint64(24)
	if testing.Short() {
		t.Log("4 models in place of 24: every point of each table is tried")
		seeds = 4
	}
	for seed := range seeds {
		rng := simbtest.NewRand(seed)
		o := simbtest.Options{Kinds: []simb.Kind{simb.Tanh, simb.Sigmoid}, States: 6, NoClaims: true}
		m := simbtest.Random(rng, o)
		for k := range m.Tables {
			table := &m.Tables[k]
			switch rng.IntN(4) {
			case 0: // constant, or of two values
				for e := range table.Entries {
					table.Entries[e] = uint16(e / 200)
				}
			case 1: // a proper one
				p := build(seed, shapes[1+2*(int(m.Width)/14)])
				for _, proper := range p.file.Tables {
					if proper.Kind == table.Kind {
						*table = proper
					}
				}
			}
			if rng.IntN(3) == 0 {
				table.Step = []float32{0x1p-149, 1e-9, 2, 1e38}[rng.IntN(4)]
			}
		}
		for i := range m.States() {
			if rng.IntN(2) == 0 {
				m.Rows[i].Scale = scales[rng.IntN(len(scales))]
			}
			if rng.IntN(4) == 0 {
				m.Rows[i].Zero = uint16(m.Width.Max()) * uint16(rng.IntN(2))
			}
		}
		c := newChecker(m)
		for i := range m.States() {
			got, want := c.tableError(i), everyPoint(c, i)
			if got < want || got > nextUp(want+0x1p-52) {
				t.Errorf("seed %d, %d bits, state %d of scale %g and zero %d: %.17g, by definition %.17g", seed, m.Width, i, m.Rows[i].Scale, m.Rows[i].Zero, got, want)
			}
		}
	}
}

func TestAHullKeepsTheCornersAlone(t *testing.T) {
	for _, c := range []struct{ points, want []corner }{
		{[]corner{{3, 9}}, []corner{{3, 9}}},
		{[]corner{{0, 0}, {1, 1}, {2, 2}}, []corner{{0, 0}, {2, 2}}},
		{[]corner{{0, 0}, {1, 3}, {2, 4}}, []corner{{0, 0}, {2, 4}}},
		{[]corner{{0, 0}, {1, 1}, {2, 4}, {4, 9}}, []corner{{0, 0}, {1, 1}, {4, 9}}},
		{[]corner{{0, 5}, {1, 4}, {2, 4}, {9, 4}}, []corner{{0, 4}, {9, 4}}}, // computed a little too high
		{[]corner{{-7, -1 << 53}, {0, -1 << 53}, {9000, 1 << 53}}, []corner{{-7, -1 << 53}, {0, -1 << 53}, {9000, 1 << 53}}},
	} {
		if got := hull(slices.Clone(c.points)); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.points, got, c.want)
		}
	}
}

// A file of 200,000 tanh states, no two of the same scale, that all read one table of 2¹⁶ points: point by
// point it would be 2³³ of them.
func TestManyStatesOfOneTableDoNotKeepTheCheckerBusy(t *testing.T) {
	const states = 200_000
	m := build(1, shapes[3]).file
	table := m.Tables[slices.IndexFunc(m.Tables, func(t simb.Table) bool { return t.Kind == simb.Tanh })]
	like := m.Rows[slices.IndexFunc(m.Rows, func(r simb.Row) bool { return r.Kind == simb.Tanh })]
	output := m.Rows[len(m.Rows)-1]
	m.Tables, m.Rows, m.SourceState, m.SourceStates = []simb.Table{table}, nil, nil, states
	m.Schedule, m.Certificates, m.SelfTest = []simb.Segment{{States: states}}, simb.Certificates{}, nil
	for i := range states {
		row := like
		row.Table, row.Bias = 0, 0
		row.Scale += row.Scale * float32(i) * 0x1p-20
		row.Zero -= uint16(i % 5)
		m.Rows, m.SourceState = append(m.Rows, row), append(m.SourceState, int32(i))
	}
	output.Bias = 0
	m.Rows = append(m.Rows, output)
	m.Weights = sparse.New[int16](states+1, len(m.Inputs)+states)
	r, err := File(must(simb.Encode(m, simb.EncodeOptions{})), Options{})
	if err != nil || !r.OK {
		t.Errorf("%v %v", err, r)
	}
	c := newChecker(m)
	for _, i := range []int{0, 1, states / 3, states - 1} {
		if got, want := c.tableError(i), everyPoint(c, i); got < want || got > want+0x1p-52 {
			t.Errorf("state %d: %.17g, by definition %.17g", i, got, want)
		}
	}
	if n := len(c.tables[0].below) + len(c.tables[0].above); n > 1<<12 {
		t.Errorf("%d corners are kept", n)
	}
}
