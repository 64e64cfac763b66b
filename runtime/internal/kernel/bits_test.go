package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/quant"
)

// answer is everything that an inference says.
type answer struct {
	States      []uint16
	Outputs     []int32
	Sweeps      uint64
	Saturations uint64
	NotFinite   int
}

// newMemory returns memory whose content is arbitrary, as Workspace allows.
func newMemory(e Engine) *Memory {
	size := e.Sizes()
	mem := &Memory{Buffers: Buffers{
		Activations8: make([]uint8, size.Activations8), Next8: make([]uint8, size.Next8),
		Activations16: make([]uint16, size.Activations16), Next16: make([]uint16, size.Next16),
		External: make([]int64, size.External), Outputs: make([]int32, size.Outputs),
	}}
	for k := range mem.Activations8 {
		mem.Activations8[k] = uint8(3 * k)
	}
	for k := range mem.Next8 {
		mem.Next8[k] = uint8(5 * k)
	}
	for k := range mem.External {
		mem.External[k] = int64(k) * 0x1234567
	}
	return mem
}

// source is one set of inputs in the three forms.
type source struct {
	real   []float32
	narrow []uint8
	wide   []uint16
	plan   []uint16
}

func randomSource(rng *rand.Rand, p *Program) source {
	s := source{make([]float32, p.SourceInputs), make([]uint8, p.SourceInputs), make([]uint16, p.SourceInputs), make([]uint16, len(p.Inputs))}
	extreme := rng.IntN(2) == 0
	for j := range s.real {
		s.narrow[j], s.wide[j] = uint8(rng.IntN(140)), uint16(rng.IntN(1<<14+200))
		s.real[j] = rng.Float32()*4 - 1
	}
	for k := range p.Inputs {
		in := &p.Inputs[k]
		s.plan[k] = uint16(rng.IntN(int(p.Width.Max()) + 1))
		if extreme {
			s.plan[k] = uint16(rng.IntN(2)) * uint16(p.Width.Max())
			s.narrow[in.Source], s.wide[in.Source] = uint8(rng.IntN(2)*255), uint16(rng.IntN(2)*0xFFFF)
		}
		// Halves, where rounding turns, and their neighbours.
		u := (float32(rng.IntN(200)-70) + 0.5) * in.Scale
		switch rng.IntN(6) {
		case 0:
			s.real[in.Source] = u
		case 1:
			s.real[in.Source] = math.Nextafter32(u, float32(math.Inf(1)))
		case 2:
			s.real[in.Source] = math.Nextafter32(u, float32(math.Inf(-1)))
		case 3:
			s.real[in.Source] = math.Float32frombits(rng.Uint32() &^ 0x4000_0000)
		case 4:
			s.real[in.Source] = []float32{math.MaxFloat32, -math.MaxFloat32, 0, float32(math.Copysign(0, -1)), 0x1p-149}[rng.IntN(5)]
		}
	}
	return s
}

// infer runs an inference that begins one of the four ways.
func infer(p *Program, e Engine, mem *Memory, s *source, way int) answer {
	a := answer{States: make([]uint16, p.States), Outputs: make([]int32, p.Outputs()), NotFinite: -1}
	switch {
	case way == 0:
		a.NotFinite = e.Quantise(mem, s.real)
		if a.NotFinite >= 0 {
			return a
		}
	case way == 1 && p.Width == quant.Width7:
		e.Gather7(mem, s.narrow)
	case way == 1:
		e.Gather14(mem, s.wide)
	default:
		e.SetInputs(mem, s.plan)
	}
	e.States(mem)
	half := len(a.Outputs) / 2
	e.Outputs(mem, a.Outputs[:half])
	e.Outputs(mem, a.Outputs[half:])
	e.CopyStates(mem, a.States)
	a.Sweeps, a.Saturations = mem.Sweeps, mem.Saturations
	return a
}

// engines returns the program in every way that this machine can run it, the portable one apart.
func engines(p *Program, s *Streams) map[string]Engine {
	all := map[string]Engine{"in place": InPlace(p, s)}
	for _, k := range kernels {
		if k.Usable() && k.Name != Portable {
			all[k.Name], _ = k.Pack(p, s)
		}
	}
	for _, l := range []layout{{rows: 16, window: 128}, {rows: 16, window: 64, group: 8}, {rows: 16, window: 128, group: 4}, {rows: 8, window: 32, sourceOrder: true}, {rows: 4, window: 64}, {rows: 2, window: 1}} {
		all[fmt.Sprintf("interpreted %d×%d, groups of %d", l.rows, l.window, l.group)] = packWindows(p, s, l, windowKernel{})
	}
	for name, pack := range moreEngines {
		all[name] = pack(p, s)
	}
	return all
}

// moreEngines are what a kernel would choose for other programs only; the tests of an instruction set add them.
var moreEngines = map[string]func(*Program, *Streams) Engine{}

// compare runs a few inputs through every engine and the portable one and counts the engines in compared.
func compare(t *testing.T, rng *rand.Rand, p *Program, s *Streams, inputs int, compared map[string]int) {
	t.Helper()
	want := packWordsOf(p, s)
	all := engines(p, s)
	memories := map[string]*Memory{}
	for name, e := range all {
		memories[name] = newMemory(e)
		if w, ok := e.(*windows); ok && rng.IntN(3) == 0 {
			w.budget = int32(rng.IntN(3))
		}
		if rng.IntN(3) == 0 {
			Divide(e)
			if team := NewTeam(e, 1+rng.IntN(3)); team != nil {
				memories[name].Team = team
				defer team.Close()
			}
		}
	}
	mem := newMemory(want)
	for range inputs {
		src := randomSource(rng, p)
		for way := range 3 {
			expected := infer(p, want, mem, &src, way)
			for name, e := range all {
				if diff := cmp.Diff(expected, infer(p, e, memories[name], &src, way)); diff != "" {
					t.Fatalf("kernel %s, inputs of way %d (-portable +kernel):\n%s", name, way, diff)
				}
			}
		}
	}
	for name := range all {
		compared[name]++
	}
}

func packWordsOf(p *Program, s *Streams) Engine {
	e, _ := packPortable(p, s)
	return e
}

func TestEveryKernelGivesTheBitsOfThePortableOne(t *testing.T) {
	seen, compared := map[string]int{}, map[string]int{}
	programs := 400
	if testing.Short() {
		programs = 60
	}
	for seed := range uint64(programs) {
		rng := rand.New(rand.NewPCG(seed, 1))
		shape := randomShape(rng)
		p, s := randomProgram(rng, shape)
		seen[fmt.Sprint(shape.width, " bits")]++
		t.Run(fmt.Sprint(seed), func(t *testing.T) { compare(t, rng, p, s, 3, compared) })
		if t.Failed() {
			t.Fatalf("seed %d: %+v", seed, shape)
		}
	}
	t.Logf("%v", seen)
	requireCompared(t, compared)
}
