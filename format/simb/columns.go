package simb

import (
	"encoding/binary"
	"math"

	"github.com/sparse-implicit/sim/format/quant"
)

// sectionReader turns decoded sections into columns of the model. The first fault is kept in err; a
// column of the wrong length reads as zeros after it.
type sectionReader struct {
	sections map[sectionID][]byte
	header   *header
	heap     *budget
	err      error
}

func (r *sectionReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// column returns the elements of a section, which must be `count` of them; an absent one is all zeros.
func (r *sectionReader) column(id sectionID, count int) elements {
	info, _ := describe(id)
	raw, present := r.sections[id]
	if present && len(raw) != count*info.element {
		r.fail(corrupt(info.name, -1, "%d elements, the model needs %d", len(raw)/info.element, count))
	}
	if r.err != nil || !present {
		raw = nil
	}
	return elements{raw, info.element}
}

// elements reads little-endian numbers; nil stands for zeros.
type elements struct {
	raw  []byte
	size int
}

func (e elements) uint(k int) uint64 {
	if e.raw == nil {
		return 0
	}
	at := e.raw[k*e.size:]
	switch e.size {
	case 1:
		return uint64(at[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(at))
	case 4:
		return uint64(binary.LittleEndian.Uint32(at))
	}
	return binary.LittleEndian.Uint64(at)
}

// word is uint for elements of four bytes.
func (e elements) word(k int) uint32 {
	if e.raw == nil {
		return 0
	}
	return binary.LittleEndian.Uint32(e.raw[4*k:])
}

func (e elements) float(k int) float32 { return math.Float32frombits(e.word(k)) }

func (e elements) floats(count int) []float32 {
	values := make([]float32, count)
	for k := range values {
		values[k] = e.float(k)
	}
	return values
}

func (r *sectionReader) inputs(m *Model) {
	count := len(m.Inputs)
	gap, scale, zero := r.column(sectionInputGap, count), r.column(sectionInputScale, count), r.column(sectionInputZero, count)
	lo, hi := r.column(sectionInputLo, count), r.column(sectionInputHi, count)
	inputs, source := m.Inputs, int64(-1)
	for k := range inputs {
		source += 1 + int64(gap.word(k))
		if source >= int64(m.SourceInputs) {
			r.fail(corrupt("input.gap", -1, "input %d is number %d of the source, which has %d", k, source, m.SourceInputs))
			return
		}
		inputs[k].Source = int32(source)
	}
	each(inputs, scale, func(in *Input, v uint32) { in.Scale = math.Float32frombits(v) })
	each(inputs, zero, func(in *Input, v uint32) { in.Zero = int32(v) })
	each(inputs, lo, func(in *Input, v uint32) { in.Lo = math.Float32frombits(v) })
	each(inputs, hi, func(in *Input, v uint32) { in.Hi = math.Float32frombits(v) })
}

// each sets the inputs' numbers to those of a column that are not zero.
func each(inputs []Input, column elements, set func(*Input, uint32)) {
	if raw := column.raw; len(raw) >= 4*len(inputs) {
		for k := range inputs {
			set(&inputs[k], binary.LittleEndian.Uint32(raw[4*k:]))
		}
	}
}

func (r *sectionReader) states(m *Model) {
	n := m.States()
	source, scale, zero := r.column(sectionStateSource, n), r.column(sectionStateScale, n), r.column(sectionStateZero, n)
	lo, hi, saturates, kind := r.column(sectionStateLo, n), r.column(sectionStateHi, n), r.column(sectionStateSaturates, n), r.column(sectionStateKind, n)
	previous := uint32(math.MaxUint32)
	for i := range n {
		previous += 1 + source.word(i) // modulo 2³²: states may come in any order
		if uint64(previous) >= uint64(m.SourceStates) {
			r.fail(corrupt("state.source", -1, "state %d is number %d of the source, which has %d", i, previous, m.SourceStates))
			return
		}
		m.SourceState[i] = int32(previous)
		m.Rows[i] = Row{
			Kind: Kind(kind.uint(i)), Scale: scale.float(i), Zero: uint16(zero.uint(i)),
			Lo: uint16(lo.uint(i)), Hi: uint16(hi.uint(i)), Saturates: uint8(saturates.uint(i)), Table: NoTable,
		}
	}
	r.kinds(m.Rows[:n])
}

// kinds reads the columns that only states of some kinds have.
func (r *sectionReader) kinds(states []Row) {
	count := func(has func(Kind) bool) int {
		total := 0
		for i := range states {
			if has(states[i].Kind) {
				total++
			}
		}
		return total
	}
	leaky := func(k Kind) bool { return k == LeakyReLU }
	table, parameter := r.column(sectionStateTable, count(Kind.tabulated)), r.column(sectionStateParameter, count(Kind.parametrised))
	negativeM, negativeS := r.column(sectionNegativeM, count(leaky)), r.column(sectionNegativeS, count(leaky))
	tables, parameters, negatives := 0, 0, 0
	for i := range states {
		row := &states[i]
		if row.Kind.tabulated() {
			row.Table = uint16(table.uint(tables))
			tables++
		}
		if row.Kind.parametrised() {
			row.Parameter = parameter.float(parameters)
			parameters++
		}
		if row.Kind == LeakyReLU {
			row.Negative = quant.Multiplier{M: int32(negativeM.uint(negatives)), S: uint8(negativeS.uint(negatives))}
			negatives++
		}
	}
}

func (r *sectionReader) rows(m *Model) {
	count := len(m.Rows)
	planes, bias, multiplier, shift := r.column(sectionRowPlanes, count), r.column(sectionRowBias, count), r.column(sectionRowM, count), r.column(sectionRowS, count)
	for i := range m.Rows {
		row := &m.Rows[i]
		if i >= m.States() {
			row.Table = NoTable
		}
		row.Planes, row.Bias = uint8(planes.uint(i)), int32(bias.word(i))
		row.Multiplier = quant.Multiplier{M: int32(multiplier.word(i)), S: uint8(shift.uint(i))}
	}
}

func (r *sectionReader) tables(m *Model) {
	count := int(r.header.tables)
	kind, step := r.column(sectionTableKind, count), r.column(sectionTableStep, count)
	length := m.Width.TableLen()
	entries := r.column(sectionTableEntries, count*length)
	for k := range count {
		table := Table{Kind: Kind(kind.uint(k)), Step: step.float(k), Entries: make([]uint16, length)}
		for e := range table.Entries {
			table.Entries[e] = uint16(entries.uint(k*length + e))
		}
		m.Tables = append(m.Tables, table)
	}
}

func (r *sectionReader) schedule(m *Model) {
	count := int(r.header.segments)
	states, sweeps := r.column(sectionSegmentStates, count), r.column(sectionSegmentSweeps, count)
	for k := range count {
		size := states.uint(k)
		if size > uint64(m.States()) {
			r.fail(corrupt("segment.states", -1, "segment %d has %d states, the model has %d", k, size, m.States()))
			return
		}
		m.Schedule = append(m.Schedule, Segment{int(size), uint32(sweeps.uint(k))})
	}
}

func (r *sectionReader) selfTests(m *Model) {
	count := int(r.header.tests)
	seed, outputs := r.column(sectionTestSeed, count), r.column(sectionTestOutputs, count*m.Outputs())
	saturations, digest := r.column(sectionTestSaturations, count), r.column(sectionTestDigest, count)
	for k := range count {
		test := SelfTestCase{Seed: seed.uint(k), Saturations: saturations.uint(k), StateDigest: uint32(digest.uint(k)), Outputs: make([]int32, m.Outputs())}
		for y := range test.Outputs {
			test.Outputs[y] = int32(outputs.uint(k*m.Outputs() + y))
		}
		m.SelfTest = append(m.SelfTest, test)
	}
}

func (r *sectionReader) certificates(m *Model) {
	c, n, q := &m.Certificates, m.States(), m.Outputs()
	c.Derived = r.header.derived
	vector := func(id sectionID, length int) []float32 {
		if c.Derived && derivable(id) {
			return nil
		}
		return r.column(id, length).floats(length)
	}
	if r.header.claims&claimWellPosed != 0 {
		c.Kappa = r.column(sectionKappa, 1).float(0)
		c.V, c.VResidual = r.column(sectionPerron, n).floats(n), r.column(sectionPerronResidual, n).floats(n)
	}
	if r.header.claims&claimReach != 0 {
		c.ReachLo, c.ReachHi = vector(sectionReachLo, n), vector(sectionReachHi, n)
	}
	lengths := [4]int{n, n + q, n, q}
	errors := func(first sectionID) *ErrorCertificate {
		e := &ErrorCertificate{}
		for k, values := range e.columns() {
			*values = vector(first+sectionID(k), lengths[k])
		}
		return e
	}
	if r.header.claims&claimBox != 0 {
		c.Box = errors(sectionBoxState)
	}
	if r.header.claims&claimCalibrated != 0 {
		c.Calibrated = errors(sectionCalibratedState)
	}
	if r.header.claims&claimLipschitz != 0 {
		c.Lipschitz = r.column(sectionLipschitz, q).floats(q)
		c.Gain, c.GainResidual = vector(sectionGain, n), vector(sectionGainResidual, n+q)
	}
	if r.header.claims&claimRelaxed != 0 {
		c.Relaxed = &RelaxedCertificate{r.tree(), vector(sectionRelaxedOutput, q), vector(sectionRelaxedRealised, q)}
	}
	if r.header.claims&claimRelaxedCalibrated != 0 {
		c.RelaxedCalibrated = &RelaxedCertificate{nil, vector(sectionRelaxedCalibrated, q), vector(sectionRelaxedCalibratedRealised, q)}
	}
}

// tree returns a copy of the tree of boxes; an absent one is one leaf.
func (r *sectionReader) tree() []uint8 {
	raw := r.sections[sectionRelaxedTree]
	if err := r.heap.take(uint64(len(raw))); err != nil {
		r.fail(err)
	}
	if raw == nil || r.err != nil {
		return make([]uint8, 1)
	}
	return append([]uint8(nil), raw...)
}
