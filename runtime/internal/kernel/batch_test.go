package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/quant"
)

// batches returns the program in every way that this machine can run batches.
func batches(p *Program, s *Streams) map[string]*Batch {
	all := map[string]*Batch{
		"generic, portable":    packBatch(p, s, packWordsOf(p, s), genericBatch),
		"generic, interpreted": packBatch(p, s, packWindows(p, s, layout{rows: 8, window: 32, sourceOrder: true}, windowKernel{}), genericBatch),
	}
	for _, k := range kernels {
		if !k.Usable() {
			continue
		}
		e, _ := k.Pack(p, s)
		if b := PackBatch(p, s, e, k.Name); b != nil {
			all[k.Name] = b
		}
	}
	return all
}

// compareBatches runs samples through every kernel for batches and, one by one, through the portable engine.
func compareBatches(t *testing.T, rng *rand.Rand, p *Program, s *Streams) {
	t.Helper()
	alone := packWordsOf(p, s)
	mem := newMemory(alone)
	for name, b := range batches(p, s) {
		group := b.NewMemory()
		for k := range group.activations {
			group.activations[k] = uint8(7 * k)
		}
		for range 2 {
			samples, way := 1+rng.IntN(GroupSamples), rng.IntN(2)
			wants := make([]answer, samples)
			for k := range samples {
				src := randomSource(rng, p)
				wants[k] = infer(p, alone, mem, &src, 1+way)
				wants[k].States = nil
				switch {
				case way == 1:
					b.engine.SetInputs(&group.Samples[k], src.plan)
				case p.Width == quant.Width7:
					b.engine.Gather7(&group.Samples[k], src.narrow)
				default:
					b.engine.Gather14(&group.Samples[k], src.wide)
				}
			}
			b.Run(group, samples)
			for k, want := range wants {
				got := answer{Outputs: make([]int32, p.Outputs()), Sweeps: group.Samples[k].Sweeps, Saturations: group.Samples[k].Saturations, NotFinite: -1}
				for i := range got.Outputs {
					got.Outputs[i] = b.Outputs(group)[OutputOf(k)+i*GroupSamples]
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("kernel %s, sample %d of %d (-alone +batch):\n%s", name, k, samples, diff)
				}
			}
		}
	}
}

func TestBatchesGiveTheBitsOfSingleInferences(t *testing.T) {
	programs := 150
	if testing.Short() {
		programs = 25
	}
	for seed := range uint64(programs) {
		rng := rand.New(rand.NewPCG(seed, 5))
		shape := randomShape(rng)
		p, s := randomProgram(rng, shape)
		t.Run(fmt.Sprint(seed), func(t *testing.T) { compareBatches(t, rng, p, s) })
		if t.Failed() {
			t.Fatalf("seed %d: %+v", seed, shape)
		}
	}
}
