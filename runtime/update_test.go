package runtime

import (
	"errors"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// stream is a session that is updated, beside all inputs as they are.
type stream struct {
	*Session
	inputs []float32 // as an Infer would take them
}

// updating returns the model loaded WithUpdates in every way, and as if each kernel took from nothing to for ever.
func updating(t testing.TB, m *simb.Model, options ...Option) map[string]*Model {
	t.Helper()
	all := map[string]*Model{}
	load := func(name string, option Option) {
		model, err := Load(encode(t, m, simb.CodecRaw), append(options, WithUpdates(), option)...)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = model
		for cost, ratio := range map[string]float64{"slow": math.Inf(1), "fast": 0.1, "instant": 0} {
			other := *model
			other.columns = columnsOf(t, m, &other, ratio*model.nanoseconds, false)
			all[name+", "+cost] = &other
		}
	}
	for _, name := range kernel.Names() {
		load(name, WithKernel(name))
	}
	load(kernelInPlace, WithInPlace())
	scribbling := *all[kernel.Portable]
	scribbling.engine = scribbler{scribbling.engine}
	all["scribbling"] = &scribbling
	return all
}

// scribbler is an engine that has written over its inputs by the time that it finds one that is not finite.
type scribbler struct{ kernel.Engine }

func (s scribbler) Quantise(mem *kernel.Memory, src []float32) int {
	for j, u := range src {
		if math.IsNaN(float64(u)) {
			_ = s.Engine.Quantise(mem, make([]float32, len(src)))
			return j
		}
	}
	return s.Engine.Quantise(mem, src)
}

// someChanges returns indices and values: none, one, a few, all, some of them twice; anywhere or near.
func someChanges(d *dice, m *simb.Model, inputs []float32) (changed []int, values []float32) {
	if len(inputs) == 0 {
		return nil, nil
	}
	count := []int{0, 1, 1 + len(inputs)/20, len(inputs), 2 * len(inputs)}[d.below(5)]
	anywhere := reals(d, m)
	for i := range count {
		j := d.below(len(inputs))
		if count == len(inputs) {
			j = i
		}
		value := anywhere[j]
		if d.chance(50) {
			value = inputs[j] + float32(d.between(-1, 1))/32
		}
		changed, values = append(changed, j), append(values, value)
	}
	return changed, values
}

// said returns everything that the last inference left behind. outputs are compared apart.
func said(t testing.TB, s *Session, outputs []float32) (a struct {
	Outputs []float32
	States  []uint16
	Stats   Stats
}) {
	t.Helper()
	a.Outputs, a.States, a.Stats = append(a.Outputs, outputs...), make([]uint16, s.model.States()), s.Stats()
	if err := s.CopyStates(a.States); err != nil {
		t.Fatal(err)
	}
	return a
}

// step makes one change, or something else that an application may do between updates, and compares with a session
// that has just been made.
func (s *stream) step(t testing.TB, d *dice, m *simb.Model, fresh *Session) {
	t.Helper()
	y, want := make([]float32, m.Outputs()), make([]float32, m.Outputs())
	switch d.below(12) {
	case 0: // inferences between updates
		copy(s.inputs, reals(d, m))
		if err := s.Infer(y, s.inputs); err != nil {
			t.Fatal(err)
		}
	case 1: // one that fails
		if len(s.inputs) > 0 {
			broken := append([]float32(nil), s.inputs...)
			for j := range broken {
				broken[j]++
			}
			broken[len(broken)-1] = float32(math.NaN())
			if err := s.Infer(y, broken); !errors.Is(err, ErrNotFinite) {
				t.Fatal(err)
			}
			if err := s.Update(y, []int{0, len(s.inputs)}, []float32{9, 9}); !errors.Is(err, ErrIndex) {
				t.Fatal(err)
			}
		}
	}
	changed, values := someChanges(d, m, s.inputs)
	for i, j := range changed {
		s.inputs[j] = values[i]
	}
	if err := s.Update(y, changed, values); err != nil {
		t.Fatal(err)
	}
	if err := fresh.Infer(want, s.inputs); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(said(t, fresh, want), said(t, s.Session, y)); diff != "" {
		t.Fatalf("%d changes (-Infer +Update):\n%s", len(changed), diff)
	}
}

// compareStreams updates sessions of all models, each with changes of its own, beside the portable kernel's Infer; in
// the end it asks the oracle.
func compareStreams(t testing.TB, seed uint64, m *simb.Model, steps int) {
	t.Helper()
	fresh := variants(t, m)[kernel.Portable].NewSession()
	for name, model := range updating(t, m) {
		d := &dice{seed}
		s := &stream{model.NewSession(), make([]float32, model.Inputs())}
		for step := range steps {
			s.step(t, d, m, fresh)
			if step+1 == steps {
				plan, clamped := oracleInputs(m, s.inputs)
				want := oracle(m, plan)
				if got := (Stats{want.Sweeps, want.Saturations + clamped}); got != s.Stats() {
					t.Fatalf("%s: stats %+v, want %+v", name, s.Stats(), got)
				}
			}
		}
	}
}

func TestUpdateSaysWhatInferWouldSay(t *testing.T) {
	models := uint64(60)
	if testing.Short() {
		models = 15
	}
	for seed := range models {
		d := &dice{seed}
		compareStreams(t, seed, randomModel(d, randomShape(d)), 40)
	}
}

// Where the kernel takes over, its goroutines take part.
func TestUpdatesWithThreadsSayWhatInferWouldSay(t *testing.T) {
	m := wideModel(quant.Width7)
	fresh := variants(t, m)[kernel.Portable].NewSession()
	teams := 0
	for _, model := range updating(t, m, WithThreads(3)) {
		d, s := &dice{3}, &stream{model.NewSession(), make([]float32, model.Inputs())}
		for range 40 {
			s.step(t, d, m, fresh)
		}
		if s.memory.Team != nil {
			teams++
		}
		s.Close()
	}
	if teams < 4 {
		t.Errorf("only %d sessions have a team", teams)
	}
}

func TestUpdatesShareAModel(t *testing.T) {
	m := someModel(quant.Width14, 11)
	fresh, inputs := variants(t, m)[kernel.Portable].NewSession(), make([]float32, m.SourceInputs)
	const steps = 50
	wants := make([][]float32, steps)
	changed, values := make([][]int, steps), make([][]float32, steps)
	for k, d := 0, (&dice{1}); k < steps; k++ {
		changed[k], values[k] = someChanges(d, m, inputs)
		for i, j := range changed[k] {
			inputs[j] = values[k][i]
		}
		wants[k] = make([]float32, m.Outputs())
		if err := fresh.Infer(wants[k], inputs); err != nil {
			t.Fatal(err)
		}
	}
	for name, model := range updating(t, m) {
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				s, y := model.NewSession(), make([]float32, model.Outputs())
				for k, want := range wants {
					if err := s.Update(y, changed[k], values[k]); err != nil || !slices.Equal(y, want) {
						t.Errorf("%s, step %d: %v %v, want %v", name, k, err, y, want)
						return
					}
				}
			})
		}
		group.Wait()
	}
}

func FuzzUpdates(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, seed+100)
	}
	f.Fuzz(func(t *testing.T, model, changes uint64) {
		d := &dice{model}
		compareStreams(t, changes, randomModel(d, randomShape(d)), 12)
	})
}

// Both integer forms, with values beyond the range, which are clamped and counted as in InferQ7 and InferQ14.
func TestUpdatesOfIntegersSayWhatInferencesWouldSay(t *testing.T) {
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		m := someModel(width, 3)
		for name, model := range updating(t, m) {
			d, s, fresh := &dice{5}, model.NewSession(), model.NewSession()
			narrow, wide := make([]uint8, model.Inputs()), make([]uint16, model.Inputs())
			got, want := make([]int32, model.Outputs()), make([]int32, model.Outputs())
			infer := func(s *Session, dst []int32) error {
				if width == quant.Width7 {
					return s.InferQ7(dst, narrow)
				}
				return s.InferQ14(dst, wide)
			}
			if err := infer(s, got); err != nil {
				t.Fatal(err)
			}
			for range 40 {
				var changed []int
				var values7 []uint8
				var values14 []uint16
				for range d.below(6) {
					j := d.below(model.Inputs())
					narrow[j], wide[j] = uint8(d.below(140)), uint16(d.below(1<<14+500))
					changed, values7, values14 = append(changed, j), append(values7, narrow[j]), append(values14, wide[j])
				}
				err := s.UpdateQ7(got, changed, values7)
				if width == quant.Width14 {
					if !errors.Is(err, ErrWidth) {
						t.Fatalf("UpdateQ7 of 14 bits: %v", err)
					}
					err = s.UpdateQ14(got, changed, values14)
				}
				if err = errors.Join(err, infer(fresh, want)); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" || s.Stats() != fresh.Stats() {
					t.Fatalf("%d bits, %s: %+v, want %+v (-Infer +Update):\n%s", width, name, s.Stats(), fresh.Stats(), diff)
				}
			}
		}
	}
}

func TestUpdateRefusesAndNames(t *testing.T) {
	m := someModel(quant.Width7, 3)
	model := updating(t, m)[kernel.Portable]
	s, y := model.NewSession(), make([]float32, model.Outputs())
	n := model.Inputs()
	for _, c := range []struct {
		name    string
		dst     []float32
		changed []int
		values  []float32
		want    error
		text    string
	}{
		{"below", y, []int{1, -1}, []float32{1, 2}, ErrIndex, "changed[1] = -1, but the model has 33 inputs"},
		{"beyond", y, []int{n}, []float32{1}, ErrIndex, "changed[0] = 33, but the model has 33 inputs"},
		{"NaN", y, []int{2, 3}, []float32{1, float32(math.NaN())}, ErrNotFinite, "values[1] is not a finite number; replace it before the inference"},
		{"infinity", y, []int{2}, []float32{float32(math.Inf(-1))}, ErrNotFinite, "values[0] is not a finite number; replace it before the inference"},
		{"outputs", y[:1], nil, nil, ErrLength, "dst has length 1, the model needs 20"},
		{"values", y, []int{1, 2}, []float32{1}, ErrLength, "values has length 1, the model needs 2"},
	} {
		if err := s.Update(c.dst, c.changed, c.values); !errors.Is(err, c.want) || err.Error() != c.text {
			t.Errorf("%s: %v, want %q", c.name, err, c.text)
		}
	}
	plain := variants(t, m)[kernel.Portable]
	if err := plain.NewSession().Update(y, nil, nil); !errors.Is(err, ErrNoUpdates) {
		t.Errorf("without WithUpdates: %v", err)
	}
	if plain.UpdateBytes() != 0 || model.UpdateBytes() == 0 || model.PackedBytes() < plain.PackedBytes()+4*m.Weights.NNZ() {
		t.Errorf("%d and %d bytes of a session, %d and %d packed", plain.UpdateBytes(), model.UpdateBytes(), plain.PackedBytes(), model.PackedBytes())
	}
}

func TestUpdatesAllocateNothing(t *testing.T) {
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		m := someModel(width, 7)
		for name, model := range updating(t, m) {
			s, y, d := model.NewSession(), make([]float32, model.Outputs()), &dice{1}
			inputs := reals(d, m)
			changed, values := make([]int, 8), make([]float32, 8)
			if allocs := testing.AllocsPerRun(200, func() {
				if d.chance(10) {
					_ = s.Infer(y, inputs)
				}
				for i := range changed {
					changed[i], values[i] = d.below(model.Inputs()), float32(d.below(8))
				}
				count := d.below(9)
				_ = s.Update(y, changed[:count], values[:count])
			}); allocs != 0 {
				t.Errorf("%d bits, %s: %g allocations", width, name, allocs)
			}
		}
	}
}

// columnsOf packs the columns of a model as if its engine took so many nanoseconds.
func columnsOf(t testing.TB, m *simb.Model, model *Model, nanoseconds float64, warm bool) *kernel.Columns {
	t.Helper()
	file, err := simb.Open(encode(t, m, simb.CodecRaw))
	if err != nil {
		t.Fatal(err)
	}
	s := file.Streams()
	streams := &kernel.Streams{Lengths: s.Lengths, Gaps: s.Gaps, Values: s.Values, Low: s.Low}
	return kernel.NewColumns(&model.program, streams, model.engine, nanoseconds, warm)
}

// layered returns a model of relu layers, inputs first and outputs last, each of which reads the one before: their
// sizes, and the percentage of the weights that are there.
func layered(d *dice, width quant.Width, density int, sizes ...int) *simb.Model {
	last := len(sizes) - 1
	s := shape{width: width, inputs: sizes[0], outputs: sizes[last]}
	for _, states := range sizes[1:last] {
		s.segments = append(s.segments, simb.Segment{States: states})
	}
	m := randomModel(d, s)
	weights := sparse.New[int16](m.Weights.Rows, m.Weights.Cols)
	first, row := 0, 0
	for k, size := range sizes[1:] {
		for range size {
			r := simb.Row{Planes: 1, Table: simb.NoTable}
			if k+1 < last {
				r.Kind, r.Scale, r.Hi, r.Saturates = simb.ReLU, 0x1p-5, uint16(width.Max()), simb.SaturatesHigh
			}
			var columns []int32
			var values []int16
			sum := int64(1 << 12)
			for j := first; j < first+sizes[k]; j++ {
				if d.chance(density) {
					w := d.between(1, 127) * (1 - 2*d.below(2))
					columns, values = append(columns, int32(j)), append(values, int16(w))
					sum += int64(max(w, -w)) * int64(width.Max())
				}
			}
			weights.AppendRow(row, columns, values)
			r.Bias, r.Multiplier = int32(d.between(-1<<12, 1<<12)), randomMultiplier(d, width, sum, k+1 == last)
			m.Rows[row] = r
			row++
		}
		first += sizes[k]
	}
	m.Weights = weights
	return m
}
