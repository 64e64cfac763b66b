// Package simbtest helps to test what reads and runs compiled models: a generator of random valid models,
// an interpreter that is an independent oracle, and mutated files whose checksums and digest are right.
//
// It promises that everything follows from the generator that it is given, with the same result on every
// machine. It is for tests alone and knows nothing of how a model is compiled or run in earnest.
package simbtest

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// Options narrows what Random makes. Zero values leave the choice to chance.
type Options struct {
	Width     quant.Width
	Inputs    int // of the plan, at least 1
	States    int
	Outputs   int
	Density   float64     // share of the columns that a row reads, in (0, 1]
	Kinds     []simb.Kind // activations to choose from
	NoLoops   bool
	OnePlane  bool
	NoClaims  bool // no certificates
	Relaxed   bool // both claims of relaxed bounds; else chance makes them where there are no loops
	Derived   bool // witnesses left out, where there are no loops and a claim is made
	SelfTests int  // cases; chance takes 0 to 2
}

// NewRand returns the generator for a seed.
func NewRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x5EED)) }

// Random returns a model that Validate accepts: levels and loops, every activation, one plane of weights
// or two, limits that saturate, certificates (of no truth) or none, and self-test cases that hold.
func Random(rng *rand.Rand, o Options) *simb.Model {
	g := &generator{Rand: rng, Options: o, m: &simb.Model{}}
	g.header()
	g.inputs()
	g.tables()
	g.schedule()
	g.rows()
	if !o.NoClaims {
		g.certificates()
	}
	if loops, _ := g.m.LoopStates(); o.Derived && loops == 0 {
		g.m.Certificates = g.m.Certificates.Derive()
	}
	g.selfTests()
	if loops, _ := g.m.LoopStates(); !o.NoClaims && loops == 0 {
		g.relaxed()
	}
	return g.m
}

type generator struct {
	*rand.Rand
	Options
	m *simb.Model
}

func (g *generator) between(lo, hi int) int { return lo + g.IntN(hi-lo+1) }

func (g *generator) header() {
	m := g.m
	if m.Width = g.Width; m.Width == 0 {
		m.Width = []quant.Width{quant.Width7, quant.Width14}[g.IntN(2)]
	}
	if g.Inputs == 0 {
		g.Inputs = g.between(1, 12)
	}
	if g.States == 0 {
		g.States = g.between(1, 24)
	}
	if g.Outputs == 0 {
		g.Outputs = g.between(1, 5)
	}
	if g.Density == 0 {
		g.Density = 0.1 + 0.8*g.Float64()
	}
	if g.Kinds == nil {
		g.Kinds = []simb.Kind{simb.Identity, simb.ReLU, simb.ClippedReLU, simb.LeakyReLU, simb.HardTanh, simb.Tanh, simb.Sigmoid}
	}
	m.OutputScale = float32(math.Ldexp(1+g.Float64(), -12))
	m.Decision = simb.Decision(g.IntN(3))
	m.Sequence = g.Uint64N(100)
	m.Compiler = "simbtest 1"
	for k := range m.SourceHash {
		m.SourceHash[k] = byte(g.Uint32())
	}
}

func (g *generator) inputs() {
	m, source := g.m, int32(-1)
	for range g.Inputs {
		source += 1 + int32(g.IntN(3)/2)
		lo := float32(g.NormFloat64())
		m.Inputs = append(m.Inputs, simb.Input{
			Source: source, Scale: float32(math.Ldexp(1+g.Float64(), -int(m.Width))), Zero: int32(g.IntN(1<<12) - 1<<11),
			Lo: lo, Hi: lo + float32(g.Float64()),
		})
	}
	m.SourceInputs = int(source) + 1 + g.IntN(3)
	for _, s := range g.Perm(g.States + g.IntN(4)) {
		if len(m.SourceState) < g.States {
			m.SourceState = append(m.SourceState, int32(s))
		}
		m.SourceStates++
	}
}

// tables adds one or two rising tables for each kind that needs one.
func (g *generator) tables() {
	for _, kind := range []simb.Kind{simb.Tanh, simb.Sigmoid} {
		if !slices.Contains(g.Kinds, kind) {
			continue
		}
		for range g.between(1, 2) {
			entries := make([]uint16, g.m.Width.TableLen())
			for e := range entries {
				entries[e] = uint16(g.IntN(int(g.m.Width.Max()) + 1))
			}
			slices.Sort(entries)
			g.m.Tables = append(g.m.Tables, simb.Table{Kind: kind, Step: float32(math.Ldexp(1, -g.between(3, 12))), Entries: entries})
		}
	}
}

func (g *generator) schedule() {
	for left := g.States; left > 0; {
		segment := simb.Segment{States: g.between(1, min(left, 8))}
		if !g.NoLoops && g.IntN(3) == 0 {
			segment.Sweeps = uint32(g.between(1, 9))
		}
		g.m.Schedule = append(g.m.Schedule, segment)
		left -= segment.States
	}
}

// rows draws kinds and limits first: what a row may reach depends on those of all the states it reads.
func (g *generator) rows() {
	m := g.m
	for range g.States {
		m.Rows = append(m.Rows, g.state())
	}
	for range g.Outputs {
		m.Rows = append(m.Rows, simb.Row{Planes: 1, Table: simb.NoTable})
	}
	var entries []sparse.Triplet[int16]
	first, segment := 0, 0
	for i := range m.Rows {
		readable := len(m.Inputs) + g.States
		if i < g.States {
			if i == first+m.Schedule[segment].States {
				first += m.Schedule[segment].States
				segment++
			}
			readable = len(m.Inputs) + first
			if m.Schedule[segment].Sweeps > 0 {
				readable += m.Schedule[segment].States
			}
		}
		entries = append(entries, g.row(i, readable)...)
	}
	weights, err := sparse.FromTriplets(len(m.Rows), len(m.Inputs)+g.States, entries)
	if err != nil {
		panic("unreachable: " + err.Error())
	}
	m.Weights = weights
}

// state draws everything of a state but weights, bias and multipliers.
func (g *generator) state() simb.Row {
	q := int(g.m.Width.Max())
	row := simb.Row{Planes: 1, Kind: g.Kinds[g.IntN(len(g.Kinds))], Scale: float32(math.Ldexp(1+g.Float64(), -g.between(0, 10))), Table: simb.NoTable}
	row.Lo = uint16(g.IntN(q / 4))
	row.Hi = uint16(g.between(3*q/4, q))
	row.Zero = uint16(g.IntN(q + 1))
	row.Saturates = simb.SaturatesLow | simb.SaturatesHigh
	switch row.Kind {
	case simb.ReLU:
		row.Zero, row.Lo, row.Saturates = 0, 0, simb.SaturatesHigh
	case simb.ClippedReLU:
		row.Zero, row.Lo, row.Saturates = 0, 0, simb.SaturatesHigh*uint8(g.IntN(2))
		row.Parameter = float32(1 + g.Float64())
	case simb.LeakyReLU:
		row.Parameter = float32(0.01 + 0.5*g.Float64())
	case simb.HardTanh:
		row.Saturates = uint8(g.IntN(4))
		row.Parameter = float32(1 + g.Float64())
	case simb.Tanh, simb.Sigmoid:
		row.Lo, row.Hi, row.Saturates = 0, uint16(q), 0
		for row.Table == simb.NoTable || g.m.Tables[row.Table].Kind != row.Kind {
			row.Table = uint16(g.IntN(len(g.m.Tables)))
		}
	}
	return row
}

// row draws weights among the first `readable` columns, a bias, and multipliers that bring the result to
// about the range of an activation, or of 24 bits for outputs.
func (g *generator) row(i, readable int) []sparse.Triplet[int16] {
	m := g.m
	row := &m.Rows[i]
	lo, hi := -quant.OnePlaneMax, quant.OnePlaneMax
	if !g.OnePlane && g.IntN(3) == 0 {
		row.Planes, lo, hi = 2, quant.TwoPlaneMin, quant.TwoPlaneMax
	}
	var entries []sparse.Triplet[int16]
	size := int64(1)
	for j := range readable {
		if g.Float64() >= g.Density {
			continue
		}
		w := g.between(lo, hi)
		if w == 0 {
			w = 1
		}
		entries = append(entries, sparse.Triplet[int16]{Row: i, Col: j, Value: int16(w)})
		size += int64(max(w, -w)) * int64(m.Width.Max())
	}
	bias := min(size/2+1, math.MaxInt32/4)
	row.Bias = int32(g.Int64N(2*bias+1) - bias)
	size += bias
	aim := int(m.Width) + g.between(-2, 3)
	if i >= g.States {
		aim = 24
	}
	row.Multiplier = g.multiplier(size, aim)
	if row.Kind == simb.LeakyReLU {
		row.Negative = g.multiplier(size, aim-g.IntN(4))
	}
	return entries
}

// multiplier returns M and S with size·M/2^S about 2^aim.
func (g *generator) multiplier(size int64, aim int) quant.Multiplier {
	bits := g.between(4, 62-quant.BitLen(size)-1)
	bits = min(bits, 31)
	shift := quant.BitLen(size) + bits - aim
	for shift < quant.MinShift {
		shift, bits = shift+1, min(bits+1, 31)
	}
	return quant.Multiplier{M: int32(1<<(bits-1) + g.Int64N(1<<(bits-1))), S: uint8(shift)}
}

// certificates makes some of the claims, with numbers that mean nothing.
func (g *generator) certificates() {
	c, n, q := &g.m.Certificates, g.States, g.Outputs
	vector := func(length int, signed bool) []float32 {
		short := g.IntN(2) == 0
		v := make([]float32, length)
		for k := range v {
			bits := math.Float32bits(float32(g.Float64()))
			if short {
				bits &^= 0xFFFF
			}
			v[k] = math.Float32frombits(bits)
			if signed && g.IntN(2) == 0 {
				v[k] = -v[k]
			}
		}
		return v
	}
	certificate := func() *simb.ErrorCertificate {
		return &simb.ErrorCertificate{State: vector(n, false), Residual: vector(n+q, false), Start: vector(n, false), Output: vector(q, false)}
	}
	if g.IntN(2) == 0 {
		c.Kappa, c.V, c.VResidual = 0.875, vector(n, false), vector(n, false)
	}
	if g.IntN(2) == 0 {
		c.ReachLo, c.ReachHi = vector(n, true), vector(n, true)
		for i := range n {
			c.ReachLo[i], c.ReachHi[i] = min(c.ReachLo[i], c.ReachHi[i]), max(c.ReachLo[i], c.ReachHi[i])
		}
	}
	if g.IntN(2) == 0 {
		c.Box = certificate()
	}
	if g.IntN(2) == 0 {
		c.Calibrated = certificate()
	}
	if g.IntN(2) == 0 {
		c.Lipschitz, c.Gain, c.GainResidual = vector(q, false), vector(n, false), vector(n+q, false)
	}
}

// relaxed claims bounds by relaxation, of no truth and with a tree of chance, in one model of three or when
// told to.
func (g *generator) relaxed() {
	certificate := func() *simb.RelaxedCertificate {
		e := &simb.RelaxedCertificate{Output: make([]float32, g.Outputs), Realised: make([]float32, g.Outputs)}
		for k := range g.Outputs {
			e.Output[k], e.Realised[k] = float32(g.Float64()), float32(g.Float64())
		}
		return e
	}
	if g.Relaxed || g.IntN(3) == 0 {
		e := certificate()
		g.m.Certificates.Relaxed = e
		for open := 1; open > 0; open-- {
			cut := 0
			if len(e.Tree) < 40 && g.IntN(2) == 0 {
				cut = 1 + g.IntN(min(g.Inputs, 254))
				open += 2
			}
			e.Tree = append(e.Tree, uint8(cut))
		}
	}
	if g.Relaxed || g.IntN(3) == 0 {
		g.m.Certificates.RelaxedCalibrated = certificate()
	}
}

func (g *generator) selfTests() {
	cases := g.SelfTests
	if cases == 0 {
		cases = g.IntN(3)
	}
	for range cases {
		g.m.SelfTest = append(g.m.SelfTest, Case(g.m, g.Uint64()))
	}
}
