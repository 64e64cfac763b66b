package compiler_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/format/verify"
)

// garden is a model in dense rows in which states are planted that fold away.
type garden struct {
	from *model.Model
	rng  *rand.Rand
	n, p int
	a    [][]float32
	b    [][]float32
	c    [][]float32
	bias []float32
	act  []model.Activation

	constants, copies, originals, identities []int
}

func newGarden(m *model.Model, seed uint64) *garden {
	return &garden{from: m, rng: rand.New(rand.NewPCG(seed, 5)), n: m.States(), p: m.Inputs(),
		a: rowsOf(m.A), b: rowsOf(m.B), c: rowsOf(m.C), bias: slices.Clone(m.StateBias), act: slices.Clone(m.Activations)}
}

func rowsOf(m *sparse.Matrix[float32]) [][]float32 {
	out, dense := make([][]float32, m.Rows), m.Dense()
	for i := range out {
		out[i] = slices.Clone(dense[i*m.Cols : (i+1)*m.Cols])
	}
	return out
}

func (g *garden) number() float32 { return float32(g.rng.IntN(2001)-1000) / 1000 }

func (g *garden) add(a model.Activation, bias float32) int {
	for i := range g.a {
		g.a[i] = append(g.a[i], 0)
	}
	for i := range g.c {
		g.c[i] = append(g.c[i], 0)
	}
	g.n++
	g.a, g.b = append(g.a, make([]float32, g.n)), append(g.b, make([]float32, g.p))
	g.act, g.bias = append(g.act, a), append(g.bias, bias)
	return g.n - 1
}

// constant plants a state that is one value, by what it reads or for want of anything to read.
func (g *garden) constant() {
	kinds := []model.Activation{
		{Kind: model.ReLU}, {Kind: model.ClippedReLU, P1: 0.75}, {Kind: model.HardTanh, P0: -0.5, P1: 0.5},
		{Kind: model.Tanh}, {Kind: model.Sigmoid}, {Kind: model.Identity}, {Kind: model.LeakyReLU, P0: 0.25},
	}
	kind := g.rng.IntN(len(kinds))
	k := g.add(kinds[kind], g.number())
	if kind < 3 { // beyond a limit, whatever the inputs and bounded states are
		g.bias[k] = []float32{-100, 100}[g.rng.IntN(2)]
		if kind == 0 {
			g.bias[k] = -100
		}
		for j := range g.p {
			g.b[k][j] = g.number()
		}
	}
	for _, other := range g.constants {
		g.a[k][other] = g.number()
	}
	g.constants = append(g.constants, k)
	g.readBySome(k, 0)
}

// readBySome has outputs and some states from the given one on read state k.
func (g *garden) readBySome(k, from int) {
	for i := range g.c {
		g.c[i][k] = g.number()
	}
	for i := from; i < g.n; i++ {
		if i != k && g.rng.IntN(4) == 0 && !slices.Contains(g.constants, i) {
			g.a[i][k] = g.number() / 4
		}
	}
}

// copyOf plants a copy of a state, read in places of its own.
func (g *garden) copyOf(s int) {
	k := g.add(g.act[s], g.bias[s])
	copy(g.a[k], g.a[s])
	copy(g.b[k], g.b[s])
	g.copies, g.originals = append(g.copies, k), append(g.originals, s)
	for i := range g.c {
		g.c[i][k] = g.number()
	}
	for i := range g.n { // what reads the original may read the copy
		if g.a[i][s] != 0 && i != k && i != s && g.rng.IntN(2) == 0 {
			g.a[i][k] = g.a[i][s] / 2
			g.a[i][s] /= 2
		}
	}
}

// identity plants an identity between an output and what it reads.
func (g *garden) identity() {
	k := g.add(model.Activation{Kind: model.Identity}, g.number())
	g.b[k][g.rng.IntN(g.p)] = 0.5 + g.rng.Float32()
	g.a[k][0] = 0.5 + g.rng.Float32()
	if len(g.identities) > 0 {
		g.a[k][g.identities[len(g.identities)-1]] = 0.5 // a chain of them
	} else {
		g.c[0][k] = 1 + g.rng.Float32()
	}
	if len(g.identities) > 0 {
		last := g.identities[len(g.identities)-1]
		g.c[0][k], g.c[0][last] = 1, 0
	}
	g.identities = append(g.identities, k)
}

func (g *garden) model() *model.Model {
	m := *g.from
	flat := func(rows [][]float32, cols int) *sparse.Matrix[float32] {
		return sparse.FromDense(len(rows), cols, slices.Concat(rows...))
	}
	m.A, m.B, m.C = flat(g.a, g.n), flat(g.b, g.p), flat(g.c, g.n)
	m.StateBias, m.Activations = g.bias, g.act
	return &m
}

// planted is a model with a loop and every activation in which all kinds of folding states are planted.
func planted(seed uint64) (*model.Model, *garden) {
	g := newGarden(mixed(seed), seed)
	for range 4 {
		g.constant()
	}
	for range 3 {
		g.copyOf(g.rng.IntN(3)) // before the loop
	}
	g.copyOf(7 + g.rng.IntN(7)) // behind it
	g.copyOf(g.copies[0])
	for range 2 {
		g.identity()
	}
	return g.model(), g
}

var simplifyOptions = []compiler.Options{
	{Bits: 7}, {Bits: 14}, {Bits: 14, WeightBits: 16, Codec: simb.CodecHuff0}, {Bits: 7, WeightBits: 4, Codec: simb.CodecPacked},
}

// TestWhatIsPlantedFoldsAndIsProved: the checker proves from the source what the file leaves out, and the float
// model's outputs stay within the bounds.
func TestWhatIsPlantedFoldsAndIsProved(t *testing.T) {
	seeds := []uint64{1372, 2391} // states that only rounding kept from being exactly zero, read by copies
	for seed := range uint64(fewer(30)) {
		seeds = append(seeds, seed)
	}
	for _, seed := range seeds {
		m, g := planted(seed)
		if seed%3 == 1 {
			if err := compiler.Calibrate(m, samplesOf(m, rand.New(rand.NewPCG(seed, 1)), 50), nil); err != nil {
				t.Fatal(err)
			}
		}
		for _, o := range simplifyOptions {
			compiled, report := compileAndVerify(t, m, o)
			for _, s := range slices.Concat(g.constants, g.copies, g.identities) {
				if slices.Contains(compiled.SourceState, int32(s)) {
					t.Errorf("seed %d, %+v: planted state %d is in the file: %s", seed, o, s, passDetail(report, "simplify"))
				}
			}
			if t.Failed() {
				t.Fatalf("seed %d: %s", seed, passDetail(report, "simplify"))
			}
		}
	}
}

// TestBrokenFoldsAreRefused: what the compiler folds out of one source is not what another one means.
func TestBrokenFoldsAreRefused(t *testing.T) {
	refused := map[string]int{}
	for seed := range uint64(10) {
		m, g := planted(seed)
		compiled, _ := compileAndVerify(t, m, compiler.Options{Bits: 7})
		data, err := simb.Encode(compiled, simb.EncodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(g.originals, func(s int) bool { return slices.Contains(compiled.SourceState, int32(s)) })
		if at < 0 {
			continue // all of them are copies of constants
		}
		for name, spoil := range map[string]func(g *garden){
			"a copy by one place": func(g *garden) { k := g.copies[at]; g.bias[k] = math.Nextafter32(g.bias[k], 9) },
			"a constant that is none": func(g *garden) {
				k := g.constants[0]
				g.act[k].Kind, g.act[k].P0, g.act[k].P1 = model.Identity, 0, 0
				g.b[k][0] = 1
			},
			"an identity that is none":  func(g *garden) { g.act[g.identities[1]] = model.Activation{Kind: model.ReLU} },
			"a copy of other readers":   func(g *garden) { g.c[0][g.copies[at]] += 3 },
			"an identity of other bias": func(g *garden) { g.bias[g.identities[0]] += 30 },
		} {
			other := newGarden(m, 0)
			other.constants, other.copies, other.identities = g.constants, g.copies, g.identities
			spoil(other)
			r, err := verify.File(data, verify.Options{Against: other.model()})
			if err != nil {
				t.Fatal(err)
			}
			if r.OK {
				t.Errorf("seed %d: %s is accepted", seed, name)
			}
			refused[name]++
		}
	}
	if refused["a copy by one place"] < 5 {
		t.Errorf("tried: %v", refused)
	}
}

// TestNothingIsFoldedThatIsNotProved: a state that no sample sees above zero, and that a corner of the box takes
// there, stays.
func TestNothingIsFoldedThatIsNotProved(t *testing.T) {
	m := net{n: 3, p: 2, q: 1, a: []float32{0, 0, 0, 0, 0, 0, 1, -1, 0}, b: []float32{1, 1, 1, 1.0001, 0, 0}, bias: []float32{-1.9999, -1.9999, 0}, c: []float32{1, 2, 3}}.model()
	if err := compiler.Calibrate(m, []float32{0, 0, 1, 0, 0, 1, 0.5, 0.5}, nil); err != nil {
		t.Fatal(err)
	}
	for _, o := range simplifyOptions {
		if compiled, report := compileAndVerify(t, m, o); compiled.States() != 3 {
			t.Errorf("%+v: %d of 3 states are left: %s", o, compiled.States(), passDetail(report, "simplify"))
		}
	}
}

// TestRegionNotBoxDecides: a state that is zero over the box may be above it at an input that does not saturate.
func TestRegionNotBoxDecides(t *testing.T) {
	for _, c := range []struct {
		bits  int
		bias  float32
		folds bool
	}{{7, -1.001, false}, {14, -1.001, true}, {7, -1.05, true}, {14, -1, false}} {
		m := net{n: 2, p: 1, q: 1, b: []float32{1, 1}, bias: []float32{0, c.bias}, c: []float32{1, 1}}.model()
		compiled, _ := compileAndVerify(t, m, compiler.Options{Bits: c.bits})
		if got := compiled.States() == 1; got != c.folds {
			t.Errorf("%d bits, bias %g: folded is %v", c.bits, c.bias, got)
		}
	}
}

// TestChainsFoldWhole gives plans by hand.
func TestChainsFoldWhole(t *testing.T) {
	identity, relu := model.Activation{Kind: model.Identity}, model.Activation{Kind: model.ReLU}
	for _, c := range []struct {
		name   string
		model  net
		states []int32
		says   string
	}{
		{"readers of copies are copies", net{n: 4, p: 1, q: 1, b: []float32{1, 1, 0, 0}, a: []float32{0, 0, 0, 0, 0, 0, 0, 0, 0.5, 0, 0, 0, 0, 0.5, 0, 0}, c: []float32{0, 0, 1, 1}}, []int32{0, 2}, "0 constant states, 2 that repeat another"},
		{"copies that cancel are constant", net{n: 4, p: 1, q: 1, b: []float32{1, 1, 0, 1}, a: []float32{0, 0, 0, 0, 0, 0, 0, 0, 2, -2, 0, 0, 0, 0, 0, 0}, bias: []float32{0, 0, 0.5, 0.25}, c: []float32{0, 0, 1, 1}}, []int32{3}, "1 constant states, 1 that repeat another"},
		{"identities in a row", net{n: 3, p: 2, q: 1, b: []float32{1, 2, 0, 0, 0, 0}, a: []float32{0, 0, 0, 3, 0, 0, 0, 1, 0}, c: []float32{0, 0, 1}, acts: []model.Activation{identity, identity, relu}}, []int32{2}, "2 identities"},
		{"an identity of many readers stays", net{n: 4, p: 3, q: 3, b: []float32{1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0}, a: []float32{0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0}, c: []float32{0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}, bias: []float32{0, 1, 2, 3}, acts: []model.Activation{identity, relu, relu, relu}}, []int32{0, 1, 2, 3}, "0 identities"},
		{"an identity that would all but cancel stays", net{n: 1, p: 1, q: 1, b: []float32{1}, c: []float32{1}, d: []float32{-0.9999}, lo: []float32{-1}, acts: []model.Activation{identity}}, []int32{0}, "0 identities"},
		{"an identity in a loop stays", net{n: 2, p: 1, q: 1, a: []float32{0, 0.5, 0.5, 0}, b: []float32{1, 0}, c: []float32{1, 0}, acts: []model.Activation{identity, relu}}, []int32{0, 1}, "0 identities"},
		{"copies in a loop", net{n: 3, p: 1, q: 1, a: []float32{0, 0.25, 0.25, 0.5, 0, 0, 0.5, 0, 0}, b: []float32{1, 0, 0}, c: []float32{1, 1, 2}}, []int32{0, 1}, "1 that repeat another"},
		{"copies in a loop that contracts unevenly", net{n: 3, p: 1, q: 1, a: []float32{0, 1e3, 1e3, 1e-4, 0, 0, 1e-4, 0, 0}, b: []float32{1, 0, 0}, c: []float32{1, 1, 2}}, []int32{0, 1}, "1 that repeat another"},
		{"an identity that a loop reads", net{n: 2, p: 1, q: 1, a: []float32{0, 0, -2, 0.5}, b: []float32{1, 1}, bias: []float32{3, 0}, c: []float32{0, 1}, acts: []model.Activation{identity, relu}}, []int32{1}, "1 identities"},
		{"a loop that comes apart", net{n: 2, p: 1, q: 1, a: []float32{0, 0.5, -0.5, 0}, b: []float32{1, 0}, bias: []float32{0, -1}, c: []float32{1, 1}}, []int32{0}, "1 constant states"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, o := range simplifyOptions {
				compiled, report := compileAndVerify(t, c.model.model(), o)
				slices.Sort(compiled.SourceState)
				if !slices.Equal(compiled.SourceState, c.states) || !strings.Contains(passDetail(report, "simplify"), c.says) {
					t.Errorf("%+v: states %v, want %v: %s", o, compiled.SourceState, c.states, passDetail(report, "simplify"))
				}
			}
		})
	}
}

// TestTrainedLevelsSurviveFolding: rows that lose a constant keep their levels, and so do those that read a copy
// at a level of its own, as long as both levels add up to one.
func TestTrainedLevelsSurviveFolding(t *testing.T) {
	m := mixed(2)
	levels := trainedFor(t, m, 5, 7, samplesOf(m, rand.New(rand.NewPCG(2, 1)), 200))
	n, p := m.States(), m.Inputs()
	for _, c := range []struct {
		says  string
		row   []int32
		plant func(g *garden) (like int)
	}{
		{"1 constant states, 0 that", nil, func(g *garden) int {
			k := g.add(model.Activation{Kind: model.ReLU}, -100)
			g.b[k][1] = 1
			for i := range n {
				g.a[i][k] = 0.01
			}
			return 0
		}},
		{"0 constant states, 1 that", levels[1], func(g *garden) int {
			k := g.add(g.act[1], g.bias[1])
			copy(g.a[k], g.a[1])
			copy(g.b[k], g.b[1])
			for i, row := range slices.Concat(g.a[:n], g.c) {
				if level := levels[i][p+1]; level > 1 {
					step, scale := m.ColumnStep[p+1], m.WeightScale[i]
					row[1], row[k] = quant.LevelWorth(level-1, step, scale), quant.LevelWorth(1, step, scale)
				}
			}
			return 1
		}},
	} {
		g := newGarden(m, 2)
		like := c.plant(g)
		wide := g.model()
		wide.StateLo, wide.StateHi = append(slices.Clone(m.StateLo), m.StateLo[like]), append(slices.Clone(m.StateHi), m.StateHi[like])
		wide.ColumnStep = append(slices.Clone(m.ColumnStep), m.ColumnStep[p+like])
		wide.WeightScale = slices.Insert(slices.Clone(m.WeightScale), n, m.WeightScale[like])
		data, report, err := compiler.Compile(wide, compiler.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if detail := passDetail(report, "simplify"); !strings.Contains(detail, c.says) {
			t.Errorf("%q does not say %q", detail, c.says)
		}
		compareLevels(t, c.says, data, slices.Insert(slices.Clone(levels), n, c.row))
		if detail := passDetail(report, "quantise"); !strings.Contains(detail, fmt.Sprintf("%d of %d rows at their trained", len(levels), len(levels))) {
			t.Error(detail)
		}
	}
}
