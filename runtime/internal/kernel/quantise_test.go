package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
)

// inputProgram reads some of the numbers that it is given and does nothing else.
func inputProgram(width quant.Width, rng *rand.Rand, numbers int, input func() (scale float32, zero int32)) (*Program, *Streams) {
	p := &Program{Width: width, SourceInputs: numbers, Rows: []Row{{Planes: 1, Table: NoTable, Multiplier: quant.Multiplier{M: 1, S: 1}, Negative: quant.Multiplier{M: 1, S: 1}}}}
	for j := range numbers {
		if rng.IntN(8) != 0 {
			scale, zero := input()
			p.Inputs = append(p.Inputs, Input{Source: int32(j), Scale: scale, Zero: zero})
		}
	}
	return p, &Streams{Lengths: []byte{0}}
}

// inputEngines returns everything that takes inputs in a way of its own.
func inputEngines(p *Program, s *Streams) map[string]Engine {
	all := engines(p, s)
	all[Portable] = packWordsOf(p, s)
	return all
}

// activation returns input k as an engine holds it.
func activation(p *Program, e Engine, mem *Memory, k int) int32 {
	if w, ok := e.(*windows); ok {
		q := int32(mem.Activations8[w.inputAt[k]])
		if p.Width == quant.Width14 {
			q |= int32(mem.Activations8[int(w.inputAt[k])+w.plane]) << 7
		}
		return q
	}
	if p.Width == quant.Width7 {
		return int32(mem.Activations8[k])
	}
	return int32(mem.Activations16[k])
}

// quantiseOnce holds what every engine makes of the numbers against quant.InputFromReal.
func quantiseOnce(t *testing.T, p *Program, all map[string]Engine, memories map[string]*Memory, src []float32) {
	t.Helper()
	want, saturations := make([]int32, len(p.Inputs)), uint64(0)
	for k, in := range p.Inputs {
		q, saturated := quant.InputFromReal(src[in.Source], in.Scale, in.Zero, p.Width)
		if want[k] = q; saturated {
			saturations++
		}
	}
	for name, e := range all {
		mem := memories[name]
		if j := e.Quantise(mem, src); j != -1 || mem.Saturations != saturations {
			t.Fatalf("%s: %d is not finite, %d saturations, want −1, %d", name, j, mem.Saturations, saturations)
		}
		for k, in := range p.Inputs {
			if got := activation(p, e, mem, k); got != want[k] {
				t.Fatalf("%s: input %d: %g with scale %g and zero %d gives %d, want %d", name, k, src[in.Source], in.Scale, in.Zero, got, want[k])
			}
		}
	}
}

// inputKinds are the scales and zeros that inputs have, or may have in a file that nobody's compiler wrote.
var inputKinds = map[string]func(rng *rand.Rand) (float32, int32){
	"images":      func(*rand.Rand) (float32, int32) { return 1.0 / 127, 0 },
	"wide images": func(*rand.Rand) (float32, int32) { return 1.0 / 16383, 0 },
	"signed":      func(rng *rand.Rand) (float32, int32) { return float32(math.Exp(rng.NormFloat64())), rng.Int32N(128) },
	"powers":      func(rng *rand.Rand) (float32, int32) { return float32(math.Ldexp(1, rng.IntN(40)-20)), rng.Int32N(65) },
	"boundaries": func(rng *rand.Rand) (float32, int32) {
		zeros := []int32{0, 63, 64, 65, -63, -64, -65, 1 << 16, 1<<16 + 1, -1 << 16, -1<<16 - 1}
		return float32(math.Exp(rng.NormFloat64())), zeros[rng.IntN(len(zeros))]
	},
	"narrow boxes": func(rng *rand.Rand) (float32, int32) {
		return float32(math.Exp(rng.NormFloat64())), rng.Int32N(1<<18) - 1<<17
	},
	"narrower boxes": func(rng *rand.Rand) (float32, int32) {
		return float32(math.Exp(rng.NormFloat64())), 1<<rng.Int32N(31) - rng.Int32N(100)
	},
	"far boxes": func(rng *rand.Rand) (float32, int32) {
		return float32(math.Exp(rng.NormFloat64())), []int32{math.MinInt32, math.MaxInt32, int32(rng.Uint32())}[rng.IntN(3)]
	},
	"any scale": func(rng *rand.Rand) (float32, int32) {
		return math.Float32frombits(1 + rng.Uint32N(0x7F7FFFFF)), rng.Int32N(100) - 50
	},
	"ends of the exact way": func(rng *rand.Rand) (float32, int32) {
		scales := []float32{0x1p-100, 0x1p100, 0x1p-101, 0x1p-126, 0x1p-149, 0x1p101, math.MaxFloat32}
		return scales[rng.IntN(len(scales))], rng.Int32N(100) - 50
	},
}

// awkward returns a number near where the rounding of an input turns, or anything at all.
func awkward(rng *rand.Rand, in *Input, width quant.Width) float32 {
	turn := float64(rng.Int32N(width.Max()+20)-10) - float64(in.Zero) + 0.5
	u := float32(turn * float64(in.Scale))
	switch rng.IntN(8) {
	case 0:
		return float32((turn + rng.Float64()) * float64(in.Scale))
	case 1:
		return math.Float32frombits(rng.Uint32() &^ 0x4000_0000)
	case 2:
		return []float32{math.MaxFloat32, -math.MaxFloat32, 0, float32(math.Copysign(0, -1)), 0x1p-149, -0x1p-149, 0x1p-126}[rng.IntN(7)]
	case 3:
		u = in.Scale * []float32{0.5, -0.5, 1, -1}[rng.IntN(4)]
	}
	towards := float32(math.Inf(rng.IntN(2)*2 - 1))
	for range rng.IntN(3) {
		u = math.Nextafter32(u, towards)
	}
	return u
}

func finite(u float32) float32 {
	if math.IsInf(float64(u), 0) {
		return 0
	}
	return u
}

func TestInputsAreQuantisedAsInputFromRealDoes(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	for kind, input := range inputKinds {
		t.Run(kind, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			for round := range rounds {
				width := []quant.Width{quant.Width7, quant.Width14}[round%2]
				p, s := inputProgram(width, rng, []int{1, 15, 64, 65, 128, 200}[rng.IntN(6)], func() (float32, int32) { return input(rng) })
				all, memories := inputEngines(p, s), map[string]*Memory{}
				for name, e := range all {
					memories[name] = newMemory(e)
				}
				for range 10 {
					src := make([]float32, p.SourceInputs)
					for j := range src {
						src[j] = math.Float32frombits(rng.Uint32() &^ 0x4000_0000) // of those that are not read
					}
					for k := range p.Inputs {
						in := &p.Inputs[k]
						src[in.Source] = finite(awkward(rng, in, width))
					}
					quantiseOnce(t, p, all, memories, src)
					for k := range p.Inputs { // all within their range, none near where rounding turns
						in := &p.Inputs[k]
						turns := float64(rng.Int32N(width.Max()+1)) - float64(in.Zero) + 0.4*rng.Float64()
						src[in.Source] = finite(float32(turns * float64(in.Scale)))
					}
					quantiseOnce(t, p, all, memories, src)
				}
			}
		})
	}
}

// The first number that is not finite is found, whether it is read or not.
func TestTheFirstInputThatIsNotFiniteIsFound(t *testing.T) {
	bad := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), math.Float32frombits(0x7F800001), math.Float32frombits(0xFFC00000)}
	for kind, input := range inputKinds {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, width := range []quant.Width{quant.Width7, quant.Width14} {
			p, s := inputProgram(width, rng, 150, func() (float32, int32) { return input(rng) })
			for name, e := range inputEngines(p, s) {
				mem := newMemory(e)
				for j := range p.SourceInputs {
					src := make([]float32, p.SourceInputs)
					src[j] = bad[j%len(bad)]
					if later := j + 1 + rng.IntN(100); later < len(src) {
						src[later] = bad[rng.IntN(len(bad))]
					}
					if got := e.Quantise(mem, src); got != j {
						t.Fatalf("%s, %s: %g at %d, and %d is returned", kind, name, src[j], j, got)
					}
				}
			}
		}
	}
}
