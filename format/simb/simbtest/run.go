package simbtest

import (
	"hash/crc32"
	"math/big"

	"github.com/sparse-implicit/sim/format/simb"
)

// Run computes an inference by the letter of the semantics, in integers of any size: an oracle that
// shares no arithmetic with the runtime. q holds one number for each input of the plan; one above Q is
// clamped and counted. Returned are the outputs, the q of every state, and the number of saturations.
func Run(m *simb.Model, q []uint16) (outputs []int32, states []uint16, saturations uint64) {
	r := &run{m: m, at: make([]uint16, len(m.Inputs)+m.States())}
	for j := range m.Inputs {
		r.at[j] = q[j]
		if int32(q[j]) > m.Width.Max() {
			r.at[j] = uint16(m.Width.Max())
			r.saturations++
		}
	}
	states = r.at[len(m.Inputs):]
	first := 0
	for _, segment := range m.Schedule {
		end := first + segment.States
		if segment.Sweeps == 0 {
			for i := first; i < end; i++ {
				states[i] = r.state(i)
			}
		} else {
			r.loop(first, end, segment.Sweeps)
		}
		first = end
	}
	for i := m.States(); i < len(m.Rows); i++ {
		row := &m.Rows[i]
		outputs = append(outputs, int32(requantise(r.accumulate(i), row.Multiplier.M, row.Multiplier.S).Int64()))
	}
	return outputs, states, r.saturations
}

// Case returns a self-test case that holds.
func Case(m *simb.Model, seed uint64) simb.SelfTestCase {
	q := make([]uint16, len(m.Inputs))
	simb.SelfTestInputs(seed, m.Width, q)
	outputs, states, saturations := Run(m, q)
	return simb.SelfTestCase{Seed: seed, Outputs: outputs, Saturations: saturations, StateDigest: StateDigest(states)}
}

// StateDigest returns the crc32c of the states' q, two bytes each, low byte first.
func StateDigest(states []uint16) uint32 {
	var bytes []byte
	for _, q := range states {
		bytes = append(bytes, byte(q), byte(q>>8))
	}
	return crc32.Checksum(bytes, crc32.MakeTable(crc32.Castagnoli))
}

type run struct {
	m           *simb.Model
	at          []uint16 // q of every column
	saturations uint64
}

// loop runs sweeps over the states from first to end until none changes.
func (r *run) loop(first, end int, sweeps uint32) {
	states := r.at[len(r.m.Inputs):]
	for i := first; i < end; i++ {
		row := &r.m.Rows[i]
		states[i] = min(max(row.Zero, row.Lo), row.Hi)
	}
	for range sweeps {
		next := make([]uint16, end-first)
		changed := false
		for i := first; i < end; i++ {
			next[i-first] = r.state(i)
			changed = changed || next[i-first] != states[i]
		}
		copy(states[first:end], next)
		if !changed {
			return
		}
	}
}

// accumulate returns bias + Σ w·q.
func (r *run) accumulate(i int) *big.Int {
	acc := big.NewInt(int64(r.m.Rows[i].Bias))
	cols, weights := r.m.Weights.Row(i)
	for k, j := range cols {
		acc.Add(acc, new(big.Int).Mul(big.NewInt(int64(weights[k])), big.NewInt(int64(r.at[j]))))
	}
	return acc
}

// requantise returns the floor of (acc·M + 2^(S−1)) / 2^S.
func requantise(acc *big.Int, m int32, s uint8) *big.Int {
	t := new(big.Int).Mul(acc, big.NewInt(int64(m)))
	t.Add(t, new(big.Int).Lsh(big.NewInt(1), uint(s)-1))
	return t.Div(t, new(big.Int).Lsh(big.NewInt(1), uint(s))) // Euclidean: the floor for a positive divisor
}

// state computes one state from the current values and counts its saturation.
func (r *run) state(i int) uint16 {
	row := &r.m.Rows[i]
	acc, multiplier := r.accumulate(i), row.Multiplier
	if row.Kind == simb.LeakyReLU && acc.Sign() < 0 {
		multiplier = row.Negative
	}
	t := requantise(acc, multiplier.M, multiplier.S)
	if row.Table != simb.NoTable {
		return r.lookUp(r.m.Tables[row.Table].Entries, t)
	}
	t.Add(t, big.NewInt(int64(row.Zero)))
	if t.Cmp(big.NewInt(int64(row.Lo))) < 0 {
		if row.Saturates&1 != 0 {
			r.saturations++
		}
		return row.Lo
	}
	if t.Cmp(big.NewInt(int64(row.Hi))) > 0 {
		if row.Saturates&2 != 0 {
			r.saturations++
		}
		return row.Hi
	}
	return uint16(t.Int64())
}

// lookUp reads a table at t: 256 entries from t = −128 on, or 257 at multiples of 256 from −32768 on with
// linear interpolation between them, rounded half up.
func (r *run) lookUp(entries []uint16, t *big.Int) uint16 {
	half := int64(128)
	if len(entries) == 257 {
		half = 32768
	}
	if t.Cmp(big.NewInt(-half)) < 0 {
		t = big.NewInt(-half)
	}
	if t.Cmp(big.NewInt(half-1)) > 0 {
		t = big.NewInt(half - 1)
	}
	u := t.Int64() + half
	if len(entries) == 256 {
		return entries[u]
	}
	left, right := int64(entries[u/256]), int64(entries[u/256+1])
	// Entries do not fall, so what is divided is not negative.
	return uint16(left + ((right-left)*(u%256)+128)/256)
}
