package runtime

import (
	"math"
	"math/big"

	"github.com/sparse-implicit/sim/format/simb"
)

// answer is everything that an inference leaves behind.
type answer struct {
	Outputs     []int32
	States      []uint16
	Sweeps      uint64
	Saturations uint64
}

// oracle runs a compiled model as the integer semantics are written, in big integers, dense and without
// any thought of speed. It shares no code with the runtime. q holds the inputs of the plan.
func oracle(m *simb.Model, inputs []uint16) answer {
	x := make([]*big.Int, len(inputs)+m.States())
	for j := range x {
		x[j] = new(big.Int)
	}
	for j, q := range inputs {
		x[j].SetInt64(int64(q))
	}
	var a answer
	first := 0
	for _, segment := range m.Schedule {
		at := x[len(inputs)+first : len(inputs)+first+segment.States]
		if segment.Sweeps > 0 {
			for k := range at {
				row := &m.Rows[first+k]
				at[k].Set(clampBig(big.NewInt(int64(row.Zero)), int64(row.Lo), int64(row.Hi)))
			}
		}
		for range max(segment.Sweeps, 1) {
			next := make([]*big.Int, segment.States)
			for k := range next {
				next[k] = oracleState(m, first+k, oracleSum(m, first+k, x), &a.Saturations)
			}
			moved := false
			for k := range next {
				moved = moved || next[k].Cmp(at[k]) != 0
				at[k].Set(next[k])
			}
			if segment.Sweeps > 0 {
				a.Sweeps++
			}
			if !moved {
				break
			}
		}
		first += segment.States
	}
	for _, q := range x[len(inputs):] {
		a.States = append(a.States, uint16(q.Int64()))
	}
	for i := m.States(); i < len(m.Rows); i++ {
		y := roundShift(oracleSum(m, i, x), int64(m.Rows[i].Multiplier.M), uint(m.Rows[i].Multiplier.S))
		if !y.IsInt64() || y.Int64() != int64(int32(y.Int64())) {
			panic("unreachable: a test model whose output leaves int32")
		}
		a.Outputs = append(a.Outputs, int32(y.Int64()))
	}
	return a
}

// oracleSum returns bias + Σ w·q.
func oracleSum(m *simb.Model, i int, x []*big.Int) *big.Int {
	sum := big.NewInt(int64(m.Rows[i].Bias))
	for j := range x {
		sum.Add(sum, new(big.Int).Mul(big.NewInt(int64(m.Weights.At(i, j))), x[j]))
	}
	return sum
}

func oracleState(m *simb.Model, i int, acc *big.Int, saturations *uint64) *big.Int {
	row := &m.Rows[i]
	multiplier := row.Multiplier
	if row.Kind == simb.LeakyReLU && acc.Sign() < 0 {
		multiplier = row.Negative
	}
	t := roundShift(acc, int64(multiplier.M), uint(multiplier.S))
	if row.Kind == simb.Tanh || row.Kind == simb.Sigmoid {
		return oracleTable(m.Tables[row.Table].Entries, t)
	}
	t.Add(t, big.NewInt(int64(row.Zero)))
	if t.Cmp(big.NewInt(int64(row.Lo))) < 0 && row.Saturates&1 != 0 {
		*saturations++
	}
	if t.Cmp(big.NewInt(int64(row.Hi))) > 0 && row.Saturates&2 != 0 {
		*saturations++
	}
	return clampBig(t, int64(row.Lo), int64(row.Hi))
}

// oracleTable looks t up: 256 entries directly, 257 with linear interpolation, rounding half up.
func oracleTable(entries []uint16, t *big.Int) *big.Int {
	if len(entries) == 256 {
		return big.NewInt(int64(entries[clampBig(t, -128, 127).Int64()+128]))
	}
	u := clampBig(t, -32768, 32767).Int64() + 32768
	left, right := int64(entries[u/256]), int64(entries[u/256+1])
	rise := new(big.Rat).SetFrac64((right-left)*(u%256), 256)
	return new(big.Int).Add(big.NewInt(left), floorRat(rise.Add(rise, big.NewRat(1, 2))))
}

// roundShift returns acc·m/2^s rounded half up.
func roundShift(acc *big.Int, m int64, s uint) *big.Int {
	value := new(big.Rat).SetFrac(new(big.Int).Mul(acc, big.NewInt(m)), new(big.Int).Lsh(big.NewInt(1), s))
	return floorRat(value.Add(value, big.NewRat(1, 2)))
}

func floorRat(r *big.Rat) *big.Int {
	quotient, rest := new(big.Int).QuoRem(r.Num(), r.Denom(), new(big.Int))
	if rest.Sign() < 0 {
		quotient.Sub(quotient, big.NewInt(1))
	}
	return quotient
}

func clampBig(v *big.Int, lo, hi int64) *big.Int {
	if v.Cmp(big.NewInt(lo)) < 0 {
		return big.NewInt(lo)
	}
	if v.Cmp(big.NewInt(hi)) > 0 {
		return big.NewInt(hi)
	}
	return new(big.Int).Set(v)
}

// oracleInputs turns real inputs into those of the plan and counts the clamped ones.
func oracleInputs(m *simb.Model, src []float32) (plan []uint16, saturations uint64) {
	for _, in := range m.Inputs {
		t := math.Floor(float64(src[in.Source])/float64(in.Scale) + 0.5)
		lo, hi := -float64(in.Zero), float64(int64(1)<<m.Width-1)-float64(in.Zero)
		if t < lo || t > hi {
			saturations++
		}
		plan = append(plan, uint16(math.Min(math.Max(t, lo), hi)+float64(in.Zero)))
	}
	return plan, saturations
}
