package verify

import (
	"hash/crc32"
	"math"
	"math/big"

	"github.com/sparse-implicit/sim/format/simb"
)

// runPlainly makes a self-test case by an interpreter in big integers.
func runPlainly(m *simb.Model, seed uint64) simb.SelfTestCase {
	drawn := make([]uint16, len(m.Inputs))
	simb.SelfTestInputs(seed, m.Width, drawn)
	q := make([]int64, len(m.Inputs)+m.States())
	for j, v := range drawn {
		q[j] = int64(v)
	}
	p := plainRun{m: m, q: q}
	first := 0
	for _, s := range m.Schedule {
		p.segment(first, first+s.States, s.Sweeps)
		first += s.States
	}
	out := simb.SelfTestCase{Seed: seed, Saturations: p.saturations}
	for i := first; i < len(m.Rows); i++ {
		out.Outputs = append(out.Outputs, int32(p.requantised(i).Int64()))
	}
	var bytes []byte
	for _, v := range q[len(m.Inputs):] {
		bytes = append(bytes, byte(v), byte(v>>8))
	}
	out.StateDigest = crc32.Checksum(bytes, crc32.MakeTable(crc32.Castagnoli))
	return out
}

type plainRun struct {
	m           *simb.Model
	q           []int64
	saturations uint64
}

func (p *plainRun) segment(first, end int, sweeps uint32) {
	base := len(p.m.Inputs)
	if sweeps == 0 {
		for i := first; i < end; i++ {
			p.q[base+i] = p.state(i)
		}
		return
	}
	for i := first; i < end; i++ {
		row := &p.m.Rows[i]
		p.q[base+i] = int64(min(max(row.Zero, row.Lo), row.Hi))
	}
	for range sweeps {
		var next []int64
		for i := first; i < end; i++ {
			next = append(next, p.state(i))
		}
		same := true
		for k, v := range next {
			same = same && p.q[base+first+k] == v
			p.q[base+first+k] = v
		}
		if same {
			return
		}
	}
}

// requantised returns the row's t = ⌊acc·M/2^S + ½⌋.
func (p *plainRun) requantised(i int) *big.Int {
	row := &p.m.Rows[i]
	acc := big.NewInt(int64(row.Bias))
	for j, v := range p.q {
		acc.Add(acc, big.NewInt(int64(p.m.Weights.At(i, j))*v))
	}
	mult := row.Multiplier
	if i < p.m.States() && row.Kind == simb.LeakyReLU && acc.Sign() < 0 {
		mult = row.Negative
	}
	twice := new(big.Int).Mul(acc, big.NewInt(2*int64(mult.M)))
	unit := new(big.Int).Lsh(big.NewInt(1), uint(mult.S))
	twice.Add(twice, unit)
	return twice.Div(twice, new(big.Int).Lsh(unit, 1)) // Euclidean: the floor, for a positive divisor
}

func (p *plainRun) state(i int) int64 {
	row := &p.m.Rows[i]
	t := p.requantised(i).Int64()
	if row.Table != simb.NoTable {
		e := p.m.Tables[row.Table].Entries
		if p.m.Width == 7 {
			return int64(e[min(max(t, -128), 127)+128])
		}
		u := min(max(t, -32768), 32767) + 32768
		left, right := float64(e[u/256]), float64(e[u/256+1])
		return int64(math.Floor(left + (right-left)*float64(u%256)/256 + 0.5))
	}
	v := t + int64(row.Zero)
	if v > int64(row.Hi) && row.Saturates&simb.SaturatesHigh != 0 || v < int64(row.Lo) && row.Saturates&simb.SaturatesLow != 0 {
		p.saturations++
	}
	return min(max(v, int64(row.Lo)), int64(row.Hi))
}
