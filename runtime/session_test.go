package runtime

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// someModel is a random model with levels, a loop and inputs that nobody reads.
func someModel(width quant.Width, seed uint64) *simb.Model {
	return randomModel(&dice{seed}, shape{
		width: width, inputs: 30, outputs: 20, density: 40, twoPlanes: 50, unusedInputs: 3,
		segments: []simb.Segment{{States: 12}, {States: 5, Sweeps: 9}, {States: 4}},
	})
}

// reals returns numbers in and around the boxes of a model's inputs, some of them halfway between steps.
func reals(d *dice, m *simb.Model) []float32 {
	src := make([]float32, m.SourceInputs)
	for j := range src {
		src[j] = float32(d.between(-4000, 8000)) / 512
	}
	return src
}

func TestInferFollowsTheOracleFromRealsToReals(t *testing.T) {
	for seed := range uint64(60) {
		d := &dice{seed}
		m := randomModel(d, randomShape(d))
		src := reals(d, m)
		plan, clamped := oracleInputs(m, src)
		want := oracle(m, plan)
		for name, model := range variants(t, m) {
			s, dst := model.NewSession(), make([]float32, model.Outputs())
			if err := s.Infer(dst, src); err != nil {
				t.Fatal(err)
			}
			for k, y := range want.Outputs {
				if dst[k] != float32(float64(y)*float64(m.OutputScale)) {
					t.Errorf("seed %d, %s: output %d is %g, the integer %d", seed, name, k, dst[k], y)
				}
			}
			if got := (Stats{want.Sweeps, want.Saturations + clamped}); got != s.Stats() {
				t.Errorf("seed %d, %s: stats %+v, want %+v", seed, name, s.Stats(), got)
			}
			if m.Decision == DecideNone {
				continue
			}
			class, err := s.Decide(src)
			if err != nil || class != oracleDecision(m, want.Outputs) {
				t.Errorf("seed %d, %s: class %d (%v), want %d", seed, name, class, err, oracleDecision(m, want.Outputs))
			}
		}
	}
}

func oracleDecision(m *simb.Model, outputs []int32) int {
	best := 0
	for k, y := range outputs {
		if m.Decision == DecideArgmax && y > outputs[best] || m.Decision == DecideArgmin && y < outputs[best] {
			best = k
		}
	}
	return best
}

func TestIntegerEntryPointsReadTheSourceOrderAndClamp(t *testing.T) {
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		m := someModel(width, 5)
		largest := int(width.Max())
		d := &dice{1}
		src := make([]uint16, m.SourceInputs)
		for j := range src {
			src[j] = uint16(d.between(0, largest))
		}
		over := []int{int(m.Inputs[2].Source), int(m.Inputs[29].Source)}
		plan := make([]uint16, len(m.Inputs))
		for _, j := range over {
			src[j] = uint16(largest + 1 + d.below(100))
		}
		src[m.Inputs[4].Source] = uint16(largest) // the largest q is no saturation
		src[16] = 255                             // between the two halves of the inputs: nobody reads it, so it saturates nothing
		for k, in := range m.Inputs {
			plan[k] = min(src[in.Source], uint16(largest))
		}
		want := oracle(m, plan)
		for name, model := range variants(t, m) {
			s, dst := model.NewSession(), make([]int32, model.Outputs())
			var err, other error
			if width == quant.Width7 {
				narrow := make([]uint8, len(src))
				for j, q := range src {
					narrow[j] = uint8(q)
				}
				err, other = s.InferQ7(dst, narrow), s.InferQ14(dst, src)
			} else {
				err, other = s.InferQ14(dst, src), s.InferQ7(dst, make([]uint8, len(src)))
			}
			if err != nil || !errors.Is(other, ErrWidth) {
				t.Fatalf("%s: %v; the other width: %v", name, err, other)
			}
			if diff := cmp.Diff(want.Outputs, dst); diff != "" {
				t.Errorf("%s, %d bits: %s", name, width, diff)
			}
			if got := s.Stats().Saturations; got != want.Saturations+uint64(len(over)) {
				t.Errorf("%s, %d bits: %d saturations, want %d and %d inputs", name, width, got, want.Saturations, len(over))
			}
		}
	}
}

func TestBadArgumentsAreRefusedByName(t *testing.T) {
	m := someModel(quant.Width7, 1)
	m.Decision = DecideArgmax
	model := variants(t, m)["portable"]
	s := model.NewSession()
	dst, src := make([]float32, model.Outputs()), make([]float32, model.Inputs())
	with := func(j int, v float64) []float32 {
		bad := make([]float32, len(src))
		bad[j] = float32(v)
		return bad
	}
	_, decideErr := s.Decide(src[1:])
	_, decideNaN := s.Decide(with(3, math.NaN()))
	for _, c := range []struct {
		err  error
		is   error
		says string
	}{
		{s.Infer(dst[1:], src), ErrLength, "dst has length 19, the model needs 20"},
		{s.Infer(nil, src), ErrLength, "dst has length 0, the model needs 20"},
		{s.Infer(dst, src[1:]), ErrLength, "src has length 32, the model needs 33"},
		{s.Infer(dst, append(src, 0)), ErrLength, "src has length 34, the model needs 33"},
		{s.Infer(dst, with(32, math.NaN())), ErrNotFinite, "src[32] is not a finite number; replace it before the inference"},
		{s.Infer(dst, with(16, math.Inf(1))), ErrNotFinite, "src[16] is not a finite number; replace it before the inference"},
		{s.Infer(dst, with(0, math.Inf(-1))), ErrNotFinite, "src[0] is not a finite number; replace it before the inference"},
		{s.InferQ7(make([]int32, 20), make([]uint8, 3)), ErrLength, "src has length 3, the model needs 33"},
		{s.InferQ7(make([]int32, 21), make([]uint8, 33)), ErrLength, "dst has length 21, the model needs 20"},
		{s.InferQ14(make([]int32, 20), make([]uint16, 33)), ErrWidth, "wrong activation width"},
		{s.CopyStates(make([]uint16, 3)), ErrLength, "dst has length 3, the model needs 21"},
		{decideErr, ErrLength, "src has length 32, the model needs 33"},
		{decideNaN, ErrNotFinite, "src[3] is not a finite number; replace it before the inference"},
	} {
		if !errors.Is(c.err, c.is) || c.err.Error() != c.says {
			t.Errorf("got %v, want %q", c.err, c.says)
		}
	}
	if err := s.Infer(dst, with(0, math.MaxFloat32)); err != nil || s.Stats().Saturations == 0 {
		t.Errorf("the largest number is clamped and counted; got %v, %+v", err, s.Stats())
	}
}

// constantModel gives these outputs whatever its input.
func constantModel(decision Decision, outputs ...int32) *simb.Model {
	m := &simb.Model{
		Width: quant.Width7, SourceInputs: 1, Inputs: []simb.Input{{Scale: 1}}, OutputScale: 0.5,
		Decision: decision, Weights: sparse.New[int16](len(outputs), 1),
	}
	for _, y := range outputs {
		m.Rows = append(m.Rows, simb.Row{Planes: 1, Bias: y, Multiplier: quant.Multiplier{M: 2, S: 1}, Table: simb.NoTable})
	}
	return m
}

func TestDecisionsTakeTheLowestIndexOfEquals(t *testing.T) {
	long := make([]int32, 40)
	long[17], long[33] = 5, 5
	for _, c := range []struct {
		decision Decision
		outputs  []int32
		want     int
	}{
		{DecideArgmax, []int32{1, 3, 3, 2}, 1},
		{DecideArgmin, []int32{1, 0, 3, 0}, 1},
		{DecideArgmax, []int32{-7}, 0},
		{DecideArgmax, []int32{-math.MaxInt32 + 1, -math.MaxInt32 + 1}, 0},
		{DecideArgmin, []int32{math.MaxInt32 - 1, -math.MaxInt32 + 1, -math.MaxInt32 + 1}, 1},
		{DecideArgmax, long, 17},
		{DecideArgmin, long, 0},
	} {
		for name, model := range variants(t, constantModel(c.decision, c.outputs...)) {
			class, err := model.NewSession().Decide([]float32{0})
			if err != nil || class != c.want {
				t.Errorf("%s: rule %d of %v gives %d (%v), want %d", name, c.decision, c.outputs, class, err, c.want)
			}
		}
	}
	model := variants(t, constantModel(DecideNone, 1, 2))["portable"]
	if _, err := model.NewSession().Decide([]float32{0}); !errors.Is(err, ErrNoDecision) {
		t.Errorf("without a rule: %v", err)
	}
}

// memoryIsExact reports whether MemorySize promises the sum of WorkspaceSize for the model's kernel.
func (m *Model) memoryIsExact() bool {
	return m.Kernel() == kernel.Portable || m.Kernel() == kernelInPlace
}

func TestWorkspaceOfTheCallerIsAllThatASessionWrites(t *testing.T) {
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		m := someModel(width, 9)
		for name, model := range variants(t, m) {
			size := model.WorkspaceSize()
			if model.MemorySize() != m.RAMBytes() || model.memoryIsExact() && size.Bytes() != m.RAMBytes() {
				t.Errorf("%s: the workspace has %d bytes, MemorySize is %d, ram_bytes %d", name, size.Bytes(), model.MemorySize(), m.RAMBytes())
			}
			dirty := func() *Workspace {
				w := &Workspace{
					Activations8: make([]uint8, size.Activations8), Next8: make([]uint8, size.Next8),
					Activations16: make([]uint16, size.Activations16), Next16: make([]uint16, size.Next16), External: make([]int64, size.External),
					Outputs: make([]int32, size.Outputs),
				}
				for _, b := range [][]uint8{w.Activations8, w.Next8} {
					for i := range b {
						b[i] = 0xA5
					}
				}
				for _, b := range [][]uint16{w.Activations16, w.Next16} {
					for i := range b {
						b[i] = 0xA5A5
					}
				}
				return w
			}
			s, err := model.NewSessionWith(dirty())
			if err != nil {
				t.Fatal(err)
			}
			plan := randomPlan(&dice{3}, m)
			if diff := cmp.Diff(oracle(m, plan), run(s, plan)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			for what, spoil := range map[string]func(w *Workspace){
				"Workspace.External":      func(w *Workspace) { w.External = w.External[1:] },
				"Workspace.Activations8":  func(w *Workspace) { w.Activations8 = append(w.Activations8, 0) },
				"Workspace.Activations16": func(w *Workspace) { w.Activations16 = append(w.Activations16, 0) },
				"Workspace.Next8":         func(w *Workspace) { w.Next8 = append(w.Next8, 0) },
				"Workspace.Next16":        func(w *Workspace) { w.Next16 = append(w.Next16, 0) },
				"Workspace.Outputs":       func(w *Workspace) { w.Outputs = append(w.Outputs, 0) },
			} {
				w := dirty()
				spoil(w)
				var length *LengthError
				if _, err := model.NewSessionWith(w); !errors.As(err, &length) || length.Argument != what {
					t.Errorf("%s: a spoilt %s gives %v", name, what, err)
				}
			}
		}
	}
}

func TestInputScaleIsThatOfTheSourceIndex(t *testing.T) {
	m := someModel(quant.Width7, 2)
	m.Inputs[20].Scale, m.Inputs[20].Zero, m.Inputs[20].Lo, m.Inputs[20].Hi = 0.75, -12, -1, 2
	model := variants(t, m)["portable"]
	j := int(m.Inputs[20].Source)
	if scale, zero := model.InputScale(j); scale != 0.75 || zero != -12 {
		t.Errorf("input %d: %g, %d", j, scale, zero)
	}
	if lo, hi := model.InputBox(j); lo != -1 || hi != 2 {
		t.Errorf("input %d: box %g, %g", j, lo, hi)
	}
	if scale, zero := model.InputScale(15); scale != 0 || zero != 0 { // between the halves, nobody reads it
		t.Errorf("an input that is not read has the scale %g, %d", scale, zero)
	}
}
