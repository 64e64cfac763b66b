package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
)

// inputsOnly is a program whose outputs are its inputs, each as it was quantised. Some sources are not read.
// Half of the programs have usual scales and zeros only: kernels may take several inputs together, and treat
// them differently when one of them is unusual.
func inputsOnly(rng *rand.Rand, width quant.Width) (*Program, *Streams) {
	p, s := &Program{Width: width}, &Streams{}
	kinds := []int{1, 8}[rng.IntN(2)]
	for range 1 + rng.IntN(100) {
		if rng.IntN(5) > 0 {
			p.Inputs = append(p.Inputs, Input{Source: int32(p.SourceInputs), Scale: someScale(rng, kinds), Zero: someZero(rng, kinds)})
		}
		p.SourceInputs++
	}
	for k := range p.Inputs {
		p.Rows = append(p.Rows, Row{Planes: 1, Table: NoTable, Multiplier: quant.Multiplier{M: 2, S: 1}, Negative: quant.Multiplier{M: 2, S: 1}})
		s.Lengths, s.Gaps, s.Values = append(s.Lengths, 1), appendUvarint(s.Gaps, k), append(s.Values, 1)
	}
	return p, s
}

// someScale returns a usual one, of kinds > 1 sometimes one of any magnitude or a power of two.
func someScale(rng *rand.Rand, kinds int) float32 {
	switch rng.IntN(kinds) {
	case 1:
		return math.Float32frombits(1 + rng.Uint32N(0x7F7FFFFF))
	case 2:
		return float32(math.Ldexp(1, rng.IntN(20)-10))
	}
	return float32(math.Exp(rng.Float64()*8 - 6))
}

// someZero returns a usual one, of kinds > 1 sometimes one of any magnitude.
func someZero(rng *rand.Rand, kinds int) int32 {
	switch rng.IntN(kinds) {
	case 1:
		return int32(rng.Uint32())
	case 2:
		return int32(1-2*rng.IntN(2)) * (1<<22 + int32(rng.IntN(5)) - 2)
	}
	return int32(rng.IntN(1<<rng.IntN(16)+1)) - 40
}

// someReal returns a number that is quantised to about [0, Q] or beyond; with turns, one at a turn of the
// rounding or near it.
func someReal(rng *rand.Rand, in *Input, q int32, turns bool) float32 {
	t := float64(rng.IntN(int(q)+9)) - 4 - float64(in.Zero)
	if !turns {
		return float32((t + rng.Float64()) * float64(in.Scale))
	}
	if rng.IntN(20) == 0 {
		t *= math.Exp(rng.Float64() * 60)
	}
	u := float32((t + 0.5*float64(rng.IntN(2))) * float64(in.Scale))
	for range rng.IntN(4) {
		u = math.Nextafter32(u, float32(math.Inf(1-2*rng.IntN(2))))
	}
	if math.IsInf(float64(u), 0) {
		return math.MaxFloat32
	}
	return u
}

func TestRealInputsAreRoundedExactly(t *testing.T) {
	notFinite := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}
	programs := 300
	if testing.Short() {
		programs = 60
	}
	found := 0
	for seed := range uint64(programs) {
		rng := rand.New(rand.NewPCG(seed, 2))
		width := []quant.Width{quant.Width7, quant.Width14}[rng.IntN(2)]
		p, s := inputsOnly(rng, width)
		want, all := packWordsOf(p, s), engines(p, s)
		src := source{real: make([]float32, p.SourceInputs)}
		for round := range 20 {
			for j := range src.real {
				src.real[j] = math.Float32frombits(rng.Uint32() &^ 0x0080_0000)
			}
			for k := range p.Inputs {
				src.real[p.Inputs[k].Source] = someReal(rng, &p.Inputs[k], width.Max(), round%4 < 2)
			}
			if round%4 == 0 {
				src.real[rng.IntN(len(src.real))] = notFinite[rng.IntN(3)]
			}
			a := infer(p, want, newMemory(want), &src, 0)
			if a.NotFinite >= 0 {
				found++
			}
			for name, e := range all {
				b := infer(p, e, newMemory(e), &src, 0)
				if a.NotFinite != b.NotFinite || a.NotFinite < 0 && a.Saturations != b.Saturations {
					t.Fatalf("seed %d, kernel %s: saturations %d, not finite %d; the portable one says %d, %d", seed, name, b.Saturations, b.NotFinite, a.Saturations, a.NotFinite)
				}
				for k := range p.Inputs {
					if u := src.real[p.Inputs[k].Source]; a.NotFinite < 0 && a.Outputs[k] != b.Outputs[k] {
						t.Fatalf("seed %d, kernel %s: %g of %+v is %d, not %d", seed, name, u, p.Inputs[k], a.Outputs[k], b.Outputs[k])
					}
				}
			}
		}
	}
	if found < programs {
		t.Errorf("only %d inputs were not finite; the test has lost its force", found)
	}
}

// Kernels take many inputs in several calls.
func TestManyInputsAreTakenInTurns(t *testing.T) {
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		rng := rand.New(rand.NewPCG(uint64(width), 4))
		p, s := randomProgram(rng, shape{width: width, inputs: 40_000, unread: 99, outputs: 9, entries: 3000})
		compare(t, rng, p, s, 1, map[string]int{})
	}
}
