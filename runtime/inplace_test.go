package runtime

import (
	goruntime "runtime"
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

// sized returns a raw file of a model of 1,000 inputs, 600 states and 10 outputs with so many weights.
func sized(t testing.TB, nonzeros int) []byte {
	t.Helper()
	m, err := simbtest.Sized(1000, 600, 10, nonzeros)
	if err != nil {
		t.Fatal(err)
	}
	m.SelfTest = []simb.SelfTestCase{simbtest.Case(m, 5)}
	return encode(t, m, simb.CodecRaw)
}

// allocated returns the bytes that a function takes from the heap, whether it gives them back or not: no
// collection can hide a peak. Of several runs the least, for what else runs may allocate too.
func allocated(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	least := ^uint64(0)
	for range 5 {
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		f()
		goruntime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// load returns what Load, NewSession and one inference take from the heap, and the model.
func load(t testing.TB, data []byte, options ...Option) (bytes uint64, model *Model) {
	t.Helper()
	bytes = allocated(func() {
		var err error
		if model, err = Load(data, options...); err != nil {
			t.Fatal(err)
		}
		if err = model.NewSession().Infer(make([]float32, model.Outputs()), make([]float32, model.Inputs())); err != nil {
			t.Fatal(err)
		}
	})
	return bytes, model
}

// The whole of what a load takes, not only what it keeps, is the same for a hundred times the weights.
func TestLoadingInPlaceTakesTheSameMemoryForAnyNumberOfWeights(t *testing.T) {
	const slack = 256 // bytes
	var first, firstPacked uint64
	for k, nonzeros := range []int{5_000, 50_000, 500_000} {
		data := sized(t, nonzeros)
		inPlace, model := load(t, data, WithInPlace())
		if err := model.SelfTest(); err != nil || model.PackedBytes() != 0 {
			t.Fatalf("%v, %d bytes packed", err, model.PackedBytes())
		}
		packed, _ := load(t, data)
		t.Logf("%d weights: file %d bytes, in place %d, packed %d", nonzeros, len(data), inPlace, packed)
		if k == 0 {
			first, firstPacked = inPlace, packed
			continue
		}
		if inPlace > first+slack || inPlace+slack < first {
			t.Errorf("%d weights in place take %d bytes, 5,000 take %d", nonzeros, inPlace, first)
		}
		if packed < firstPacked+uint64(4*(nonzeros-5_000)) {
			t.Errorf("%d packed weights take %d bytes: the measurement sees nothing", nonzeros, packed)
		}
	}
}

// A column far out must not cost memory either, and two planes and loops are read in place as well.
func TestWideAndLoopedModelsLoadInPlaceInTheSameMemory(t *testing.T) {
	for _, o := range []simbtest.Options{
		{Width: 7, Inputs: 3000, States: 40, Outputs: 4, NoClaims: true, SelfTests: 1},
		{Width: 14, Inputs: 300, States: 300, Outputs: 4, SelfTests: 2},
	} {
		var took [2]uint64
		for k, density := range []float64{0.01, 0.9} {
			o.Density = density
			m := simbtest.Random(simbtest.NewRand(2), o)
			m.Schedule = []simb.Segment{{States: 1}, {States: o.States - 1, Sweeps: 3}}
			// The draws differ with the density: make equal what may take memory.
			m = alike(m)
			data := encode(t, m, simb.CodecRaw)
			took[k], _ = load(t, data, WithInPlace())
			t.Logf("%d weights: file %d bytes, heap %d", m.Weights.Stored(), len(data), took[k])
		}
		if took[1] > took[0]+256 || took[0] > took[1]+256 {
			t.Errorf("%d bits: %d bytes with few weights, %d with many", o.Width, took[0], took[1])
		}
	}
}

// BenchmarkLoadInPlace reports what a load takes from the heap; tools/inplace measures whole processes.
func BenchmarkLoadInPlace(b *testing.B) {
	for name, nonzeros := range map[string]int{"5k": 5_000, "50k": 50_000, "500k": 500_000} {
		data := sized(b, nonzeros)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Load(data, WithInPlace()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(nonzeros)*float64(b.N)/b.Elapsed().Seconds(), "weights/s")
		})
	}
}

// alike gives every row of a random model the same numbers but for weights and planes.
func alike(m *simb.Model) *simb.Model {
	m.Certificates, m.SelfTest, m.Tables = simb.Certificates{}, nil, nil
	for i := range m.Rows {
		row := simb.Row{Planes: m.Rows[i].Planes, Multiplier: m.Rows[i].Multiplier, Table: simb.NoTable}
		if i < m.States() {
			row.Kind, row.Scale, row.Hi, row.Saturates = simb.ReLU, 1, uint16(m.Width.Max()), simb.SaturatesHigh
		}
		m.Rows[i] = row
	}
	return m
}

// What a session of a model in place says does not depend on where its bytes lie, and is what the oracle says.
func TestRandomModelsOfEveryKindRunInPlaceAtOddAddresses(t *testing.T) {
	rng := simbtest.NewRand(17)
	for k := range 60 {
		m := simbtest.Random(rng, simbtest.Options{SelfTests: 2})
		data := encode(t, m, simb.CodecRaw)
		room := make([]byte, len(data)+8)
		at := room[k%8 : k%8+len(data)]
		copy(at, data)
		model, err := Load(at, WithInPlace())
		if err != nil {
			t.Fatal(err)
		}
		if err := model.SelfTest(); err != nil {
			t.Errorf("model %d: %v", k, err)
		}
		if diff := cmp.Diff(data, at); diff != "" {
			t.Fatalf("model %d: its bytes were changed", k)
		}
	}
}
