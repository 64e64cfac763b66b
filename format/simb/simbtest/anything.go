package simbtest

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// Anything returns a valid model that may be of any kind there is: beside what Random makes also models
// without inputs or states, rows without weights, scales as small and large as float32 has them, boxes that
// are points, zero points and multipliers at their ends, tables that all states of a kind share, many
// sweeps, derived witnesses, an empty name. Its self-tests hold; its claims mean nothing.
func Anything(rng *rand.Rand) *simb.Model {
	m := Random(rng, Options{Derived: rng.IntN(3) == 0, NoLoops: rng.IntN(3) == 0, NoClaims: rng.IntN(4) == 0, OnePlane: rng.IntN(4) == 0, Kinds: someKinds(rng)})
	for _, change := range []func(*rand.Rand, *simb.Model){
		withoutInputs, withoutStates, constantRows, anyScales, anyInputs, sharedTables, anyMultipliers, anySweeps, anyHeader,
	} {
		if rng.IntN(4) == 0 {
			change(rng, m)
		}
	}
	for k := range m.SelfTest {
		m.SelfTest[k] = Case(m, m.SelfTest[k].Seed)
	}
	return m
}

// File returns the bytes of a model of Anything in any coding, at times with a signature of nobody's, with
// sections and features that a reader may ignore, or laid out as no writer of this project does.
func File(rng *rand.Rand) []byte {
	codec := []simb.Codec{simb.CodecRaw, simb.CodecHuff0, simb.CodecPacked, simb.CodecPrefix}[rng.IntN(4)]
	data, err := simb.Encode(Anything(rng), simb.EncodeOptions{Codec: codec})
	if err != nil {
		panic("unreachable: " + err.Error())
	}
	switch rng.IntN(4) {
	case 0:
		data = Raw(data)
	case 1:
		data = extended(rng, data)
	}
	return data
}

// someKinds returns one activation, a few, or nil for all.
func someKinds(rng *rand.Rand) []simb.Kind {
	var kinds []simb.Kind
	for range rng.IntN(4) {
		kinds = append(kinds, simb.Kind(rng.IntN(simb.KindCount)))
	}
	return kinds
}

// withoutInputs leaves no input in the plan.
func withoutInputs(_ *rand.Rand, m *simb.Model) {
	p := len(m.Inputs)
	m.Inputs = nil
	if e := m.Certificates.Relaxed; e != nil {
		e.Tree = []uint8{0} // nothing is left to cut
	}
	reduce(m, 0, func(_, j int) (int, bool) { return j - p, j >= p })
}

// withoutStates leaves the outputs alone, which read inputs.
func withoutStates(_ *rand.Rand, m *simb.Model) {
	n, p := m.States(), len(m.Inputs)
	m.Rows, m.SourceState, m.Schedule, m.Tables, m.Certificates = m.Rows[n:], nil, nil, nil, simb.Certificates{}
	reduce(m, n, func(_, j int) (int, bool) { return j, j < p })
}

// constantRows takes the weights of some rows away.
func constantRows(rng *rand.Rand, m *simb.Model) {
	empty := make([]bool, len(m.Rows))
	for i := range empty {
		empty[i] = rng.IntN(3) == 0
	}
	reduce(m, 0, func(i, j int) (int, bool) { return j, !empty[i] })
}

// reduce drops the first rows of the weights, and of the others each entry for which keep says so; it
// gives the others their new columns.
func reduce(m *simb.Model, first int, keep func(i, j int) (int, bool)) {
	old := m.Weights
	m.Weights = sparse.New[int16](len(m.Rows), len(m.Inputs)+m.States())
	for i := range m.Rows {
		cols, weights := old.Row(first + i)
		var newCols []int32
		var newWeights []int16
		for k, j := range cols {
			if column, kept := keep(i, int(j)); kept {
				newCols, newWeights = append(newCols, int32(column)), append(newWeights, weights[k])
			}
		}
		m.Weights.AppendRow(i, newCols, newWeights)
	}
}

// extremes are positive numbers at the ends of float32's range and between.
var extremes = []float32{math.SmallestNonzeroFloat32, 0x1p-126, 1e-30, 1e-6, 0x1.fffffep-1, 1, 1e6, 1e30, math.MaxFloat32}

func anyScales(rng *rand.Rand, m *simb.Model) {
	draw := func(v *float32) {
		if rng.IntN(2) == 0 {
			*v = extremes[rng.IntN(len(extremes))]
		}
	}
	draw(&m.OutputScale)
	for j := range m.Inputs {
		draw(&m.Inputs[j].Scale)
	}
	for k := range m.Tables {
		draw(&m.Tables[k].Step)
	}
	for i := range m.States() {
		draw(&m.Rows[i].Scale)
		if m.Rows[i].Kind == simb.ClippedReLU || m.Rows[i].Kind == simb.HardTanh {
			draw(&m.Rows[i].Parameter)
		}
	}
}

func anyInputs(rng *rand.Rand, m *simb.Model) {
	for j := range m.Inputs {
		in := &m.Inputs[j]
		in.Zero = []int32{math.MinInt32, -1, 0, 1, m.Width.Max(), math.MaxInt32}[rng.IntN(6)]
		switch rng.IntN(3) {
		case 0:
			in.Hi = in.Lo
		case 1:
			in.Lo, in.Hi = -math.MaxFloat32, math.MaxFloat32
		}
	}
	m.SourceInputs += rng.IntN(1000)
	m.SourceStates += rng.IntN(1000)
}

// sharedTables lets all states of a kind read the first table of it.
func sharedTables(_ *rand.Rand, m *simb.Model) {
	for i := range m.States() {
		if row := &m.Rows[i]; row.Table != simb.NoTable {
			row.Table = uint16(slices.IndexFunc(m.Tables, func(t simb.Table) bool { return t.Kind == row.Kind }))
		}
	}
}

// anyMultipliers takes multipliers and biases to their ends, as far as what a row can reach allows.
func anyMultipliers(rng *rand.Rand, m *simb.Model) {
	for i := range m.Rows {
		kept, row := m.Rows[i], &m.Rows[i]
		switch rng.IntN(4) {
		case 0:
			row.Multiplier = quant.Multiplier{M: 1, S: quant.MaxShift}
		case 1:
			row.Multiplier = quant.Multiplier{M: math.MaxInt32, S: quant.MaxShift}
		case 2:
			row.Bias = []int32{math.MaxInt32, -math.MaxInt32, 0}[rng.IntN(3)]
		case 3:
			row.Multiplier.S = quant.MinShift
		}
		if m.Validate() != nil {
			*row = kept
		}
	}
}

func anySweeps(rng *rand.Rand, m *simb.Model) {
	for k := range m.Schedule {
		if m.Schedule[k].Sweeps > 0 && rng.IntN(2) == 0 {
			m.Schedule[k].Sweeps = uint32(1 + rng.IntN(300))
		}
	}
}

func anyHeader(rng *rand.Rand, m *simb.Model) {
	m.Compiler = []string{"", "a", "é 日本"}[rng.IntN(3)]
	m.Sequence = []uint64{0, 1, math.MaxUint64}[rng.IntN(3)]
	if rng.IntN(2) == 0 {
		m.SourceHash = [32]byte{}
	}
	for len(m.SelfTest) > 0 && len(m.SelfTest) < 6 {
		m.SelfTest = append(m.SelfTest, simb.SelfTestCase{Seed: rng.Uint64()})
	}
}

// Raw returns a valid file written anew with its sections raw, laid out in another order than the writer has;
// sections that are left out because they are all zeros stay so.
func Raw(data []byte) []byte {
	data = append([]byte(nil), data...)
	l, _ := Parse(data)
	list, _ := contentsOf(l, data)
	return FixDigest(rewrite(l, data, list))
}

// extended adds what a reader may ignore: sections from 0x8000 on, optional features, a signature.
func extended(rng *rand.Rand, data []byte) []byte {
	data = append([]byte(nil), data...)
	l, _ := Parse(data)
	list, _ := contentsOf(l, data)
	if rng.IntN(3) > 0 {
		id := 0x8000 + rng.IntN(3)
		for range 1 + rng.IntN(3) {
			list = append(list, section{id: id, element: rng.IntN(9), raw: make([]byte, rng.IntN(40))})
			id += 1 + rng.IntN(1000)
		}
	}
	if at := l.Fields[3]; at[1] > at[0] {
		binary.LittleEndian.PutUint64(data[at[0]:], rng.Uint64())
	}
	if rng.IntN(2) == 0 {
		data, l = withSignature(rng, data, l)
	}
	return FixDigest(rewrite(l, data, list))
}

// withSignature lets a layout have a signature of random bytes with the right checksum, in bytes behind the
// file that the layout was made of.
func withSignature(rng *rand.Rand, data []byte, l *Layout) ([]byte, *Layout) {
	var signature [64]byte
	for k := range signature {
		signature[k] = byte(rng.Uint32())
	}
	at := len(data)
	data = append(data, signature[:]...)
	data = binary.LittleEndian.AppendUint32(data, crc32.Checksum(signature[:], crc32.MakeTable(crc32.Castagnoli)))
	changed := *l
	changed.Fields, changed.Vectors = slices.Clone(l.Fields), slices.Clone(l.Vectors)
	changed.Vectors[idSignature] = [2]int{at, at + len(signature)}
	changed.Fields[idSignature] = [2]int{at, at}
	changed.Fields[idSignatureCRC] = [2]int{at + len(signature), at + len(signature) + 4}
	return data, &changed
}
