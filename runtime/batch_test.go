package runtime

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// batchVariants returns a model loaded WithBatches by every kernel and in place.
func batchVariants(t testing.TB, m *simb.Model) []*Model {
	t.Helper()
	data := encode(t, m, simb.CodecRaw)
	var all []*Model
	for _, options := range [][]Option{{WithInPlace()}, {WithThreads(2)}} {
		model, err := Load(data, append(options, WithBatches())...)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, model)
	}
	for _, name := range Kernels() {
		model, err := Load(data, WithKernel(name), WithBatches())
		if err != nil {
			t.Fatal(err)
		}
		if (model.batch != nil) != (name == "avx512") {
			t.Errorf("kernel %s has a kernel for batches: %v", name, model.batch != nil)
		}
		all = append(all, model)
	}
	return all
}

// batchInputs returns real inputs for samples, some of them outside the range of the integers.
func batchInputs(d *dice, model *Model, samples int) []float32 {
	src := make([]float32, samples*model.Inputs())
	for k := range src {
		src[k] = float32(d.between(-40, 140)) / 32
	}
	return src
}

func TestBatchesGiveTheBitsOfASession(t *testing.T) {
	for seed := range uint64(40) {
		d := &dice{seed}
		m := randomModel(d, randomShape(d))
		m.Decision = []Decision{DecideArgmax, DecideArgmin}[d.below(2)]
		for _, model := range batchVariants(t, m) {
			const most = 2*kernel.GroupSamples + 9
			b, s := model.NewBatch(most), model.NewSession()
			for _, samples := range []int{1, leastInterleaved - 1, leastInterleaved, kernel.GroupSamples, kernel.GroupSamples + 1 + d.below(60), most} {
				p, q := model.Inputs(), model.Outputs()
				src, dst, want := batchInputs(d, model, samples), make([]float32, samples*q), make([]float32, q)
				classes := make([]int, samples)
				if err := b.Infer(dst, src); err != nil {
					t.Fatal(err)
				}
				for k := range samples {
					if err := s.Infer(want, src[k*p:][:p]); err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(want, dst[k*q:][:q]); diff != "" || b.Stats(k) != s.Stats() {
						t.Fatalf("seed %d, kernel %s, sample %d of %d: %+v, want %+v (-session +batch):\n%s", seed, model.Kernel(), k, samples, b.Stats(k), s.Stats(), diff)
					}
				}
				if err := b.Decide(classes, src); err != nil {
					t.Fatal(err)
				}
				for k := range samples {
					if class, err := s.Decide(src[k*p:][:p]); err != nil || class != classes[k] || b.Stats(k) != s.Stats() {
						t.Fatalf("seed %d, kernel %s, sample %d: class %d, want %d, %v", seed, model.Kernel(), k, classes[k], class, err)
					}
				}
				sameIntegers(t, d, model, b, s, samples)
			}
		}
	}
}

// sameIntegers compares the integer entry points of a batch with a session's.
func sameIntegers(t *testing.T, d *dice, model *Model, b *Batch, s *Session, samples int) {
	t.Helper()
	p, q := model.Inputs(), model.Outputs()
	narrow, wide := make([]uint8, samples*p), make([]uint16, samples*p)
	for k := range narrow {
		narrow[k], wide[k] = uint8(d.below(140)), uint16(d.below(1<<14+99))
	}
	dst, want := make([]int32, samples*q), make([]int32, q)
	for k := range samples {
		var batchErr, err error
		if model.Width() == 7 {
			if k == 0 {
				batchErr = b.InferQ7(dst, narrow)
			}
			err = s.InferQ7(want, narrow[k*p:][:p])
		} else {
			if k == 0 {
				batchErr = b.InferQ14(dst, wide)
			}
			err = s.InferQ14(want, wide[k*p:][:p])
		}
		if batchErr != nil || err != nil {
			t.Fatal(batchErr, err)
		}
		if diff := cmp.Diff(want, dst[k*q:][:q]); diff != "" || b.Stats(k) != s.Stats() {
			t.Fatalf("kernel %s, sample %d of %d, integers: %+v, want %+v\n%s", model.Kernel(), k, samples, b.Stats(k), s.Stats(), diff)
		}
	}
}

func TestBatchesAllocateNothing(t *testing.T) {
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		for _, model := range batchVariants(t, someModel(width, 7)) {
			b := model.NewBatch(100)
			src, dst := make([]float32, 100*model.Inputs()), make([]float32, 100*model.Outputs())
			if allocs := testing.AllocsPerRun(20, func() {
				if err := b.Infer(dst, src); err != nil {
					t.Fatal(err)
				}
			}); allocs != 0 {
				t.Errorf("%d bits, kernel %s: %g allocations", width, model.Kernel(), allocs)
			}
		}
	}
}

func TestBatchesRefuse(t *testing.T) {
	m := someModel(quant.Width7, 7)
	m.Decision = DecideNone
	for _, model := range batchVariants(t, m) {
		p, q := model.Inputs(), model.Outputs()
		b := model.NewBatch(70)
		for _, lengths := range [][2]int{{0, 0}, {q + 1, p}, {q, p + 1}, {q, p - 1}, {71 * q, 71 * p}, {2 * q, p}} {
			err := b.Infer(make([]float32, lengths[0]), make([]float32, lengths[1]))
			if e := (*LengthError)(nil); !errors.As(err, &e) {
				t.Errorf("%d outputs and %d inputs of %d and %d: %v", lengths[0], lengths[1], q, p, err)
			}
		}
		for _, sample := range []int{0, 66, 69} {
			src := make([]float32, 70*p)
			src[sample*p+p-1] = float32(math.Inf(1))
			err := b.Infer(make([]float32, 70*q), src)
			if e := (*NotFiniteError)(nil); !errors.As(err, &e) || e.Index != sample*p+p-1 {
				t.Errorf("kernel %s, an infinity in sample %d: %v", model.Kernel(), sample, err)
			}
		}
		if err := b.InferQ14(nil, nil); !errors.Is(err, ErrWidth) {
			t.Errorf("InferQ14 of 7 bits: %v", err)
		}
		if err := b.Decide(make([]int, 1), make([]float32, p)); !errors.Is(err, ErrNoDecision) {
			t.Errorf("no rule: %v", err)
		}
	}
}

func BenchmarkBatch(b *testing.B) {
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		m := imageModel(width)
		for _, model := range batchVariants(b, m)[1:] {
			for _, samples := range []int{1, leastInterleaved, 32, 64, 256} {
				b.Run(fmt.Sprintf("%d bits/%s/%d", width, model.Kernel(), samples), func(b *testing.B) {
					batch := model.NewBatch(samples)
					dst, narrow, wide := make([]int32, samples*model.Outputs()), make([]uint8, samples*model.Inputs()), make([]uint16, samples*model.Inputs())
					b.ReportAllocs()
					for b.Loop() {
						var err error
						if width == quant.Width7 {
							err = batch.InferQ7(dst, narrow)
						} else {
							err = batch.InferQ14(dst, wide)
						}
						if err != nil {
							b.Fatal(err)
						}
					}
					perSample := float64(b.Elapsed().Nanoseconds()) / float64(b.N*samples)
					b.ReportMetric(perSample, "ns/sample")
					b.ReportMetric(float64(m.Weights.NNZ())/perSample*1e9, "nonzeros/s")
				})
			}
		}
	}
}
