package trainer

import (
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/npz"
)

// FuzzReadStates reads archives of states, whole and with right checksums, in which a seed has changed up to
// three things: numbers at edges, shapes, arrays that are missing, exchanged or unknown.
func FuzzReadStates(f *testing.F) {
	good, _ := everyActivation()
	for seed := range uint64(24) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 4))
		states := statesFile{map[string][]float32{}, maps.Clone(good.shapes)}
		for name, values := range good.arrays {
			states.arrays[name] = slices.Clone(values)
		}
		for range seed % 4 {
			states.change(rng)
		}
		source, err := states.read(t)
		if err != nil {
			if !errors.Is(err, ErrStates) && !errors.Is(err, npz.ErrMalformed) && !errors.Is(err, npz.ErrTooLarge) {
				t.Fatalf("untyped: %v", err)
			}
			return
		}
		s := source.Shape()
		if s.Samples < 1 || len(source.u) != s.Inputs*s.Samples || len(source.y) != s.Outputs*s.Samples {
			t.Fatalf("%d inputs, %d outputs, %d samples; %d and %d numbers", s.Inputs, s.Outputs, s.Samples, len(source.u), len(source.y))
		}
		for _, values := range [][]float32{source.u, source.y} {
			for _, v := range values {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					t.Fatalf("%g was taken", v)
				}
			}
		}
		if labels := Labelled(source).Labels(); labels != nil && (len(labels) != s.Samples || slices.Min(labels) < 0 || int(slices.Max(labels)) >= s.Outputs) {
			t.Fatalf("labels %v of %d samples and %d outputs", labels, s.Samples, s.Outputs)
		}
	})
}

// change changes one array.
func (f *statesFile) change(rng *rand.Rand) {
	names := slices.Sorted(maps.Keys(f.arrays))
	name, other := names[rng.IntN(len(names))], names[rng.IntN(len(names))]
	values, shape := f.arrays[name], slices.Clone(f.shapes[name])
	switch rng.IntN(8) {
	case 0:
		delete(f.arrays, name)
		delete(f.shapes, name)
	case 1: // transposed
		slices.Reverse(shape)
		f.shapes[name] = shape
	case 2: // the last sample, or state, is missing
		if len(shape) == 0 {
			break
		}
		last := len(shape) - 1
		size := 1
		for _, d := range shape[:last] {
			size *= d
		}
		if shape[last] > 0 {
			shape[last]--
		}
		f.arrays[name], f.shapes[name] = values[:size*shape[last]], shape
	case 3:
		f.arrays[name], f.shapes[name] = f.arrays[other], f.shapes[other]
	case 4: // a scalar
		if len(values) > 0 {
			f.arrays[name], f.shapes[name] = values[:1], []int{}
		}
	case 5: // nothing
		f.arrays[name], f.shapes[name] = nil, []int{0}
		if rng.IntN(2) == 0 {
			f.shapes[name] = []int{0, 60}
		}
	default:
		if len(values) > 0 {
			edges := []float32{0, -1, 1, 2, 0.5, 7, 1e30, math.MaxFloat32, float32(math.Inf(1)), float32(math.NaN()), math.SmallestNonzeroFloat32}
			values[rng.IntN(len(values))] = edges[rng.IntN(len(edges))]
		}
	}
}
