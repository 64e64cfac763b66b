package pass

import (
	"fmt"
	"hash/crc32"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
)

// selfTestSeeds are the inputs of the bundled self-test.
var selfTestSeeds = []uint64{1, 2}

// Bundle runs the program on the self-test's inputs and stores what came out.
func (p *Program) Bundle() string {
	m := p.Model()
	for _, seed := range selfTestSeeds {
		q := make([]uint16, len(m.Inputs)+m.States())
		simb.SelfTestInputs(seed, m.Width, q[:len(m.Inputs)])
		outputs, saturations := evaluate(m, q)
		digest := crc32.New(crc32.MakeTable(crc32.Castagnoli))
		for _, v := range q[len(m.Inputs):] {
			digest.Write([]byte{byte(v), byte(v >> 8)})
		}
		p.SelfTest = append(p.SelfTest, simb.SelfTestCase{Seed: seed, Outputs: outputs, Saturations: saturations, StateDigest: digest.Sum32()})
	}
	return fmt.Sprintf("%d cases", len(p.SelfTest))
}

// evaluate runs a compiled model plainly. q holds the inputs of the plan and receives the states.
func evaluate(m *simb.Model, q []uint16) (outputs []int32, saturations uint64) {
	first := 0
	for _, segment := range m.Schedule {
		end := first + segment.States
		runSegment(m, segment, first, end, q, &saturations)
		first = end
	}
	for i := first; i < len(m.Rows); i++ {
		outputs = append(outputs, int32(m.Rows[i].Multiplier.Requantise(accumulate(m, i, q))))
	}
	return outputs, saturations
}

// runSegment computes the states first to end of a segment in q.
func runSegment(m *simb.Model, segment simb.Segment, first, end int, q []uint16, saturations *uint64) {
	inputs := len(m.Inputs)
	if segment.Sweeps == 0 {
		for i := first; i < end; i++ {
			q[inputs+i] = state(m, i, accumulate(m, i, q), saturations)
		}
		return
	}
	for i := first; i < end; i++ {
		row := &m.Rows[i]
		q[inputs+i] = min(max(row.Zero, row.Lo), row.Hi)
	}
	next := make([]uint16, segment.States)
	for range segment.Sweeps {
		moved := false
		for i := first; i < end; i++ {
			next[i-first] = state(m, i, accumulate(m, i, q), saturations)
			moved = moved || next[i-first] != q[inputs+i]
		}
		copy(q[inputs+first:inputs+end], next)
		if !moved {
			break
		}
	}
}

func accumulate(m *simb.Model, i int, q []uint16) int64 {
	acc := int64(m.Rows[i].Bias)
	cols, weights := m.Weights.Row(i)
	for k, j := range cols {
		acc += int64(weights[k]) * int64(q[j])
	}
	return acc
}

func state(m *simb.Model, i int, acc int64, saturations *uint64) uint16 {
	row := &m.Rows[i]
	multiplier := row.Multiplier
	if row.Kind == simb.LeakyReLU && acc < 0 {
		multiplier = row.Negative
	}
	t := multiplier.Requantise(acc)
	if row.Table != simb.NoTable {
		return uint16(quant.LookUp(m.Width, m.Tables[row.Table].Entries, t))
	}
	t += int64(row.Zero)
	switch {
	case t < int64(row.Lo):
		if row.Saturates&simb.SaturatesLow != 0 {
			*saturations++
		}
		return row.Lo
	case t > int64(row.Hi):
		if row.Saturates&simb.SaturatesHigh != 0 {
			*saturations++
		}
		return row.Hi
	}
	return uint16(t)
}
