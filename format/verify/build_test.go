package verify

import (
	"math"
	"math/rand/v2"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// pair is a float model and a compiled form of it, made by the simplest means for tests: no optimisation,
// and certificates in exact rational arithmetic (certify_test.go) that are as small as the file can hold.
type pair struct {
	source *model.Model
	file   *simb.Model
}

// shape says what kind of pair to build.
type shape struct {
	name   string
	width  quant.Width
	planes uint8
	loop   bool
	kinds  []model.Kind // cycled over the states
	tight  bool         // ranges of states too small: clamps cut
	levels []int        // states of each level; nil: as loop says
}

var everyKind = []model.Kind{model.ReLU, model.Identity, model.LeakyReLU, model.Tanh, model.ClippedReLU, model.HardTanh, model.Sigmoid}

var shapes = []shape{
	{"7 bits, causal, relu", 7, 1, false, []model.Kind{model.ReLU}, false, nil},
	{"7 bits, loop, every kind", 7, 1, true, everyKind, false, nil},
	{"7 bits, loop, clipping", 7, 1, true, []model.Kind{model.LeakyReLU, model.ReLU, model.Identity}, true, nil},
	{"14 bits, loop, every kind", 14, 1, true, everyKind, true, nil},
	{"14 bits, two planes, causal", 14, 2, false, everyKind, false, nil},
}

// Places of the plan in the source: input 1 has a point for a box and folds into biases, input 4 is unused;
// state 0 of the source is dead, the plan's states stand in reverse order.
const sourceInputs = 5

var inputSource = []int32{0, 2, 3}

// builder draws a float model in plan order.
type builder struct {
	shape
	random   *rand.Rand
	segments []simb.Segment
	n, q     int
	rows     [][]float32 // plan columns: 3 inputs, n states
	folded   []float32   // weight of the point input, per row
	bias     []float32
	act      []model.Activation
	range_   []float64 // rough bound of |x|
	point    float32
	lo, hi   []float32 // boxes of the plan's inputs
}

func build(seed uint64, s shape) pair {
	b := &builder{shape: s, random: rand.New(rand.NewPCG(seed, 7)), q: 2, point: 0.375,
		lo: []float32{0, 0.6, -3}, hi: []float32{1, 0.68, 5}}
	b.segments = []simb.Segment{{States: 3}, {States: 2}}
	if s.loop {
		b.segments = []simb.Segment{{States: 2}, {States: 3, Sweeps: 9}, {States: 1}, {States: 1, Sweeps: 4}, {States: 2}}
	}
	if s.levels != nil {
		b.segments = nil
		for _, states := range s.levels {
			b.segments = append(b.segments, simb.Segment{States: states})
		}
	}
	for _, segment := range b.segments {
		b.n += segment.States
	}
	b.draw()
	p := pair{b.source(), b.compiled()}
	certify(p)
	return p
}

// draw chooses weights and activations, and a rough range of every state.
func (b *builder) draw() {
	weight := func() float32 { return float32(b.random.NormFloat64()) }
	first := 0
	for _, segment := range b.segments {
		end := first + segment.States
		rest := 0.0
		for i := first; i < end; i++ {
			row := make([]float32, 3+b.n)
			size := 0.0
			for j := range 3 {
				row[j] = weight()
				size += math.Abs(float64(row[j])) * max(math.Abs(float64(b.lo[j])), math.Abs(float64(b.hi[j])))
			}
			for j := range first {
				if b.random.IntN(3) > 0 {
					row[3+j] = weight() / 2
					size += math.Abs(float64(row[3+j])) * b.range_[j]
				}
			}
			if segment.Sweeps > 0 {
				for j := first; j < end; j++ {
					row[3+j] = float32(b.random.Float64()*2-1) * 0.6 / float32(segment.States)
				}
			}
			b.rows = append(b.rows, row)
			b.folded = append(b.folded, weight())
			b.bias = append(b.bias, weight()/2)
			rest = max(rest, size+math.Abs(float64(b.bias[i]))+math.Abs(float64(b.folded[i]*b.point))+1)
		}
		if segment.Sweeps > 0 {
			rest /= 0.4
		}
		for i := first; i < end; i++ {
			b.chooseActivation(i, rest)
		}
		first = end
	}
	for range b.q {
		row := make([]float32, 3+b.n)
		for j := range row {
			row[j] = weight()
		}
		b.rows = append(b.rows, row)
		b.folded = append(b.folded, weight())
		b.bias = append(b.bias, weight())
	}
}

func (b *builder) chooseActivation(i int, size float64) {
	a := model.Activation{Kind: b.kinds[i%len(b.kinds)]}
	switch a.Kind {
	case model.LeakyReLU:
		a.P0 = 0.1
	case model.ClippedReLU:
		a.P1 = float32(size * 0.2)
		size = float64(a.P1)
	case model.HardTanh:
		a.P1 = float32(size * 0.3)
		a.P0 = -a.P1
		size = float64(a.P1)
	case model.Tanh, model.Sigmoid:
		size = 1
	}
	b.act = append(b.act, a)
	b.range_ = append(b.range_, size)
}

// sourceState returns where state i of the plan is in the source.
func (b *builder) sourceState(i int) int { return b.n - i }

func (b *builder) source() *model.Model {
	n := b.n + 1
	var a, in, c, d []sparse.Triplet[float32]
	for i, row := range b.rows {
		target, states, inputs := i-b.n, &c, &d
		if i < b.n {
			target, states, inputs = b.sourceState(i), &a, &in
		}
		for j := range b.n {
			if row[3+j] != 0 {
				*states = append(*states, sparse.Triplet[float32]{Row: target, Col: b.sourceState(j), Value: row[3+j]})
			}
		}
		for j := range 3 {
			*inputs = append(*inputs, sparse.Triplet[float32]{Row: target, Col: int(inputSource[j]), Value: row[j]})
		}
		*inputs = append(*inputs, sparse.Triplet[float32]{Row: target, Col: 1, Value: b.folded[i]})
	}
	a = append(a, sparse.Triplet[float32]{Row: 0, Col: 1, Value: 3}) // the dead state reads one of the plan
	m := &model.Model{
		A: must(sparse.FromTriplets(n, n, a)), B: must(sparse.FromTriplets(n, sourceInputs, in)),
		C: must(sparse.FromTriplets(b.q, n, c)), D: must(sparse.FromTriplets(b.q, sourceInputs, d)),
		StateBias: make([]float32, n), OutputBias: b.bias[b.n:], Activations: make([]model.Activation, n),
		InputLo: []float32{b.lo[0], b.point, b.lo[1], b.lo[2], -1}, InputHi: []float32{b.hi[0], b.point, b.hi[1], b.hi[2], 1},
		Decision: model.DecideArgmax,
	}
	for i := range b.n {
		m.StateBias[b.sourceState(i)] = b.bias[i]
		m.Activations[b.sourceState(i)] = b.act[i]
	}
	return m
}

func must[T any](v T, err error) T {
	if err != nil {
		panic("unreachable: " + err.Error())
	}
	return v
}

// compiled rounds the model to integers, row by row, every row in its own unit.
func (b *builder) compiled() *simb.Model {
	q := b.width.Max()
	m := &simb.Model{Width: b.width, SourceInputs: sourceInputs, SourceStates: b.n + 1, Decision: simb.DecideArgmax, Schedule: b.segments, Compiler: "test"}
	for j := range 3 {
		scale := float32((float64(b.hi[j]) - float64(b.lo[j])) / float64(q-2))
		zero := int32(-math.Floor(float64(b.lo[j])/float64(scale) + 0.5))
		m.Inputs = append(m.Inputs, simb.Input{Source: inputSource[j], Scale: scale, Zero: zero, Lo: b.lo[j], Hi: b.hi[j]})
	}
	for i := range b.n {
		m.SourceState = append(m.SourceState, int32(b.sourceState(i)))
		m.Rows = append(m.Rows, b.stateRow(m, i))
	}
	finest := math.Inf(1)
	for i := b.n; i < len(b.rows); i++ {
		m.Rows = append(m.Rows, simb.Row{Planes: b.planes, Table: simb.NoTable})
		finest = min(finest, b.wanted(m, i))
	}
	m.OutputScale = float32(finest / 16 * float64(b.planes*b.planes*b.planes))
	m.Weights = sparse.New[int16](len(b.rows), 3+b.n)
	for i := range b.rows {
		b.quantise(m, i)
	}
	return m
}

func (b *builder) stateRow(m *simb.Model, i int) simb.Row {
	q := b.width.Max()
	half := q / 2
	a, size := b.act[i], b.range_[i]
	if b.tight {
		size *= 0.1
	}
	row := simb.Row{Planes: b.planes, Kind: simb.Kind(a.Kind), Table: simb.NoTable, Hi: uint16(q)}
	switch a.Kind {
	case model.ReLU:
		row.Scale, row.Saturates = float32(size/float64(q)), simb.SaturatesHigh
	case model.Identity, model.LeakyReLU:
		row.Scale, row.Zero, row.Saturates = float32(size/float64(half)), uint16(half), simb.SaturatesLow|simb.SaturatesHigh
		row.Parameter = a.P0
	case model.ClippedReLU:
		row.Scale, row.Parameter = a.P1/float32(q), a.P1
	case model.HardTanh:
		row.Scale, row.Parameter, row.Zero, row.Lo = a.P1/float32(half), a.P1, uint16(half+1), 1
	case model.Tanh:
		row.Scale, row.Zero = 1/float32(half), uint16(half+1)
		row.Table = b.table(m, &row)
	case model.Sigmoid:
		row.Scale = 1 / float32(q)
		row.Table = b.table(m, &row)
	}
	return row
}

func (b *builder) table(m *simb.Model, row *simb.Row) uint16 {
	t := simb.Table{Kind: row.Kind, Step: float32(math.Ldexp(5, 1-int(b.width))), Entries: make([]uint16, b.width.TableLen())}
	least, most := b.width.TableDomain()
	spacing := (most + 1 - least) / int64(b.width.TableLen()-int(b.width/14))
	for k := range t.Entries {
		x := float64(least+int64(k)*spacing) * float64(t.Step)
		y := math.Tanh(x)
		if row.Kind == simb.Sigmoid {
			y = 1 / (1 + math.Exp(-x))
		}
		t.Entries[k] = uint16(math.Floor(y/float64(row.Scale)+0.5) + float64(row.Zero))
	}
	m.Tables = append(m.Tables, t)
	return uint16(len(m.Tables) - 1)
}

func (b *builder) columnScale(m *simb.Model, j int) float64 {
	if j < 3 {
		return float64(m.Inputs[j].Scale)
	}
	return float64(m.Rows[j-3].Scale)
}

// wanted returns the unit in which a row's largest weight fills its planes.
func (b *builder) wanted(m *simb.Model, i int) float64 {
	most := 0.0
	for j, w := range b.rows[i] {
		most = max(most, math.Abs(float64(w))*b.columnScale(m, j))
	}
	if b.planes == 2 {
		return most / 8000
	}
	return most / 120
}

func (b *builder) quantise(m *simb.Model, i int) {
	row := &m.Rows[i]
	unit := float64(m.OutputScale)
	if i < b.n {
		unit = float64(row.Scale)
		if row.Table != simb.NoTable {
			unit = float64(m.Tables[row.Table].Step)
		}
	}
	row.Multiplier = must(quant.NewMultiplier(b.wanted(m, i)/unit, 16))
	r := unit * row.Multiplier.Ratio()
	if row.Kind == simb.LeakyReLU && i < b.n {
		row.Negative = must(quant.NewMultiplier(row.Multiplier.Ratio()*float64(row.Parameter), 12))
	}
	bias := int64(math.Floor((float64(b.bias[i])+float64(b.folded[i])*float64(b.point))/r + 0.5))
	var cols []int32
	var values []int16
	for j, w := range b.rows[i] {
		v := int64(math.Floor(float64(w)*b.columnScale(m, j)/r + 0.5))
		if v == 0 {
			continue
		}
		cols, values = append(cols, int32(j)), append(values, int16(v))
		if j < 3 {
			bias -= v * int64(m.Inputs[j].Zero)
		} else {
			bias -= v * int64(m.Rows[j-3].Zero)
		}
	}
	row.Bias = int32(bias)
	m.Weights.AppendRow(i, cols, values)
}
