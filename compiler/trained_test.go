package compiler_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/format/verify"
)

// samplesOf draws inputs from the model's box.
func samplesOf(m *model.Model, rng *rand.Rand, count int) []float32 {
	var samples []float32
	for range count {
		for j := range m.InputLo {
			samples = append(samples, m.InputLo[j]+float32(rng.Float64())*(m.InputHi[j]-m.InputLo[j]))
		}
	}
	return samples
}

// trainedFor puts a model on the grid of weights of the given bits, as a trainer does at its end: steps
// from the ranges that data show, a scale for each row, every weight at a level. It returns the levels by
// source row and source column, inputs first.
func trainedFor(t *testing.T, m *model.Model, bits, columnBits int, samples []float32) [][]int32 {
	t.Helper()
	if err := compiler.Calibrate(m, samples, nil); err != nil {
		t.Fatal(err)
	}
	width, limit := quant.Width(columnBits), math.Exp2(float64(bits-1))-1
	n, p, q := m.States(), m.Inputs(), m.Outputs()
	m.WeightBits, m.ColumnBits, m.ColumnStep, m.WeightScale = bits, columnBits, nil, nil
	for j := range p {
		step := float32(1)
		if m.InputLo[j] < m.InputHi[j] {
			var err error
			if step, _, err = quant.InputStep(m.InputLo[j], m.InputHi[j], width, 1); err != nil {
				t.Fatal(err)
			}
		}
		m.ColumnStep = append(m.ColumnStep, step)
	}
	var ranges []quant.StateRange
	for i, a := range m.Activations { // twice as wide: what few levels change moves the ranges
		ranges = append(ranges, quant.StateRange{Kind: uint8(a.Kind), Limit: float64(a.P1), Lo: 2 * float64(m.StateLo[i]), Hi: 2 * float64(m.StateHi[i])})
	}
	m.ColumnStep = append(m.ColumnStep, quant.StateSteps(ranges, width)...)
	levels := make([][]int32, n+q)
	for i := range levels {
		inputs, states, row, unit := m.B, m.A, i, float32(1)
		if i < n {
			unit = quant.RowUnit(uint8(m.Activations[i].Kind), m.ColumnStep[p+i], width)
		} else {
			inputs, states, row = m.D, m.C, i-n
		}
		levels[i] = make([]int32, p+n)
		largest := 1e-6
		each := func(w *sparse.Matrix[float32], first int, visit func(j int, v *float32)) {
			for k := w.Indptr[row]; k < w.Indptr[row+1]; k++ {
				if j := first + int(w.Indices[k]); j >= p || m.InputLo[j] < m.InputHi[j] { // others fold into the bias
					visit(j, &w.Data[k])
				}
			}
		}
		find := func(j int, v *float32) { largest = max(largest, math.Abs(float64(*v)*float64(m.ColumnStep[j]))) }
		each(inputs, 0, find)
		each(states, p, find)
		scale, err := quant.RowScale(largest/limit, unit)
		if err != nil {
			t.Fatal(err)
		}
		m.WeightScale = append(m.WeightScale, scale)
		snap := func(j int, v *float32) {
			level := math.Round(float64(*v) * float64(m.ColumnStep[j]) / float64(scale))
			levels[i][j] = int32(max(-limit, min(limit, level)))
			*v = quant.LevelWorth(levels[i][j], m.ColumnStep[j], scale)
		}
		each(inputs, 0, snap)
		each(states, p, snap)
	}
	return levels
}

// passDetail returns what one pass said.
func passDetail(r *compiler.Report, name string) string {
	for _, p := range r.Passes {
		if p.Name == name {
			return p.Detail
		}
	}
	return ""
}

// TestTrainedLevelsAreTheIntegersOfTheFile trains for 8, 5 and 4 bits and compares every weight of the
// compiled file with the level that training gave it.
func TestTrainedLevelsAreTheIntegersOfTheFile(t *testing.T) {
	for seed := range uint64(5) {
		for _, bits := range []int{8, 5, 4} {
			for _, compiled := range []int{7, 14} {
				m := mixed(seed)
				if compiled == 14 {
					for i := range m.Activations { // whose tables have another step with 14 bits
						if k := m.Activations[i].Kind; k == model.Tanh || k == model.Sigmoid {
							m.Activations[i] = model.Activation{Kind: model.ReLU}
						}
					}
				}
				levels := trainedFor(t, m, bits, 7, samplesOf(m, rand.New(rand.NewPCG(seed, 1)), 200))
				data, report, err := compiler.Compile(m, compiler.Options{Bits: compiled})
				if err != nil {
					t.Fatalf("seed %d, %d bits: %v", seed, bits, err)
				}
				name := fmt.Sprintf("seed %d, weights of %d bits, columns of %d", seed, bits, compiled)
				rows := compareLevels(t, name, data, levels)
				if detail := passDetail(report, "quantise"); !strings.Contains(detail, fmt.Sprintf("%d of %d rows at their trained levels", rows, rows)) {
					t.Errorf("%s: %s; %s", name, passDetail(report, "scales"), detail)
				}
				if result, err := verify.File(data, verify.Options{Against: m, Samples: 200}); err != nil || !result.OK {
					t.Errorf("%s: %v %+v", name, err, result)
				}
			}
		}
	}
}

// compareLevels holds a file's weights against levels by source row and column. It returns the rows compared.
func compareLevels(t *testing.T, name string, data []byte, levels [][]int32) int {
	t.Helper()
	file, err := simb.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	c := file.Model()
	for i := range c.Rows {
		source := c.SourceStates + i - c.States()
		if i < c.States() {
			source = int(c.SourceState[i])
		}
		found := map[int]int32{}
		cols, values := c.Weights.Row(i)
		for k, j := range cols {
			column := int(j) - len(c.Inputs)
			if column < 0 {
				column = int(c.Inputs[j].Source)
			} else {
				column = c.SourceInputs + int(c.SourceState[column])
			}
			found[column] = int32(values[k])
		}
		for _, input := range c.Inputs {
			compareLevel(t, name, source, int(input.Source), found, levels)
		}
		for _, state := range c.SourceState {
			compareLevel(t, name, source, c.SourceInputs+int(state), found, levels)
		}
	}
	return len(c.Rows)
}

func compareLevel(t *testing.T, name string, row, column int, found map[int]int32, levels [][]int32) {
	t.Helper()
	if found[column] != levels[row][column] {
		t.Errorf("%s: row %d, column %d is %d in the file, %d was trained", name, row, column, found[column], levels[row][column])
	}
}

// TestOtherRangesRoundAnew: rows that read a column whose step cannot stay are rounded as others are,
// within the levels asked for, and the passes say so.
func TestOtherRangesRoundAnew(t *testing.T) {
	m := mixed(2)
	trainedFor(t, m, 4, 7, samplesOf(m, rand.New(rand.NewPCG(2, 1)), 200))
	m.InputHi[0] *= 3
	data, report, err := compiler.Compile(m, compiler.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if detail := passDetail(report, "scales"); !strings.Contains(detail, "16 of 17 columns keep their trained steps") {
		t.Errorf("scales: %s", detail)
	}
	reading := m.B.Compact().Transpose().Indptr[1] + m.D.Compact().Transpose().Indptr[1] // rows that read input 0
	if detail := passDetail(report, "quantise"); !strings.Contains(detail, fmt.Sprintf("%d of 17 rows at their trained levels", 17-reading)) {
		t.Errorf("quantise: %s; %d rows read the input", detail, reading)
	}
	file, err := simb.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range file.Model().Weights.Data {
		if w < -7 || w > 7 {
			t.Errorf("a weight of %d in 4 bits", w)
		}
	}
	if result, err := verify.File(data, verify.Options{Against: m, Samples: 200}); err != nil || !result.OK {
		t.Errorf("%v %+v", err, result)
	}
	m.StateHi[2], m.StateHi[0] = 1e3, 0.01 // a clipped relu and a relu: the first ends at its own limit
	if _, report, err = compiler.Compile(m, compiler.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Log(passDetail(report, "scales"))
	if _, report, err = compiler.Compile(m, compiler.Options{WeightBits: 16}); err != nil || !strings.Contains(passDetail(report, "scales"), "not the 4-bit weights") {
		t.Errorf("16-bit weights: %v, %s", err, passDetail(report, "scales"))
	}
}

// TestFewLevelsStayWithinThem compiles models that were not trained for few bits.
func TestFewLevelsStayWithinThem(t *testing.T) {
	for bits, limit := range map[int]int16{4: 7, 5: 15, 8: 127} {
		m := mixed(5)
		data, _, err := compiler.Compile(m, compiler.Options{WeightBits: bits})
		if err != nil {
			t.Fatal(err)
		}
		file, err := simb.Open(data)
		if err != nil {
			t.Fatal(err)
		}
		largest := int16(0)
		for _, w := range file.Model().Weights.Data {
			largest = max(largest, w, -w)
		}
		if largest > limit || largest < limit-1 {
			t.Errorf("%d bits: the largest weight is %d", bits, largest)
		}
		if result, err := verify.File(data, verify.Options{Against: m, Samples: 200}); err != nil || !result.OK {
			t.Errorf("%d bits: %v %+v", bits, err, result)
		}
	}
}

// TestTrainedStepsBeyondFloat32AreNotKept: a step that the plan's width takes beyond float32 gives way to another
// one, of an input and of a state.
func TestTrainedStepsBeyondFloat32AreNotKept(t *testing.T) {
	for column := range 2 {
		m := net{n: 1, p: 1, q: 1, b: []float32{1}, c: []float32{1}}.model()
		m.WeightBits, m.ColumnBits, m.ColumnStep, m.WeightScale = 4, 14, []float32{0x1p-14, 0x1p-14}, []float32{0x1p-16, 0x1p-16}
		m.ColumnStep[column] = 1e38
		compiled, report := compileAndVerify(t, m, compiler.Options{Bits: 7})
		for i, scale := range []float32{compiled.Inputs[0].Scale, compiled.Rows[0].Scale} {
			if scale > 1.0/64 {
				t.Errorf("column %d is beyond float32: column %d has a step of %g", column, i, scale)
			}
		}
		if report.ErrorBoundBox == nil || report.ErrorBoundBox[0] > 0.2 {
			t.Errorf("column %d is beyond float32: bounds %v", column, report.ErrorBoundBox)
		}
	}
}
