package simb

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/sparse"
)

// looped returns a model with an input, a loop of two states, one of them with a table, a state of two
// planes behind it, and two outputs.
func looped() *Model {
	weights := sparse.New[int16](5, 4)
	weights.AppendRow(0, []int32{0, 1, 2}, []int16{3, -2, 1})
	weights.AppendRow(1, []int32{1}, []int16{5})
	weights.AppendRow(2, []int32{0, 1}, []int16{-700, 300})
	weights.AppendRow(3, []int32{3}, []int16{1})
	weights.AppendRow(4, []int32{0, 3}, []int16{1, 1})
	scale := quant.Multiplier{M: 1, S: 4}
	entries := make([]uint16, quant.Table7Len)
	for k := range entries {
		entries[k] = uint16(k / 2)
	}
	return &Model{
		Width: quant.Width7, SourceInputs: 4, Inputs: []Input{{Source: 2, Scale: 0.5, Lo: -1, Hi: 1}},
		SourceStates: 3, SourceState: []int32{2, 0, 1}, OutputScale: 1, Decision: DecideArgmax, Compiler: "test",
		Rows: []Row{
			{Planes: 1, Multiplier: scale, Kind: LeakyReLU, Parameter: 0.5, Negative: scale, Scale: 1, Zero: 9, Hi: 127, Saturates: 3, Table: NoTable},
			{Planes: 1, Multiplier: scale, Kind: Tanh, Scale: 1, Zero: 64, Hi: 127, Table: 0},
			{Planes: 2, Multiplier: scale, Kind: ClippedReLU, Parameter: 6, Scale: 1, Hi: 127, Table: NoTable},
			{Planes: 1, Multiplier: scale, Table: NoTable},
			{Planes: 1, Multiplier: scale, Table: NoTable},
		},
		Weights: weights, Tables: []Table{{Kind: Tanh, Step: 0.125, Entries: entries}},
		Schedule: []Segment{{States: 2, Sweeps: 3}, {States: 1}},
		SelfTest: []SelfTestCase{{Seed: 1, Outputs: []int32{1, 2}}},
	}
}

// TestMeaningIsRefused holds every rule of meaning, for the writer and, where a file can say it at all,
// for the reader.
func TestMeaningIsRefused(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	if err := looped().Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		change  func(m *Model)
		section string
	}{
		{"no weights", func(m *Model) { m.Weights = nil }, "weights"},
		{"weights of another shape", func(m *Model) { m.Weights = sparse.New[int16](5, 3) }, "weights"},
		{"indices that descend", func(m *Model) { m.Weights.Indices[0] = 2 }, "weights"},
		{"an index out of range", func(m *Model) { m.Weights.Indices[2] = 4 }, "weights"},
		{"more states than rows", func(m *Model) { m.SourceState = make([]int32, 6) }, "states"},
		{"no outputs", func(m *Model) { m.Rows = m.Rows[:3] }, "outputs"},
		{"width", func(m *Model) { m.Width = 8 }, "width"},
		{"decision", func(m *Model) { m.Decision = 3 }, "decision"},
		{"output scale", func(m *Model) { m.OutputScale = inf }, "output_scale"},
		{"a negative size", func(m *Model) { m.SourceInputs = -1 }, "inputs"},
		{"a long compiler", func(m *Model) { m.Compiler = strings.Repeat("x", 257) }, "compiler"},
		{"a compiler that rings the bell", func(m *Model) { m.Compiler = "sim\a" }, "compiler"},
		{"a compiler that is not UTF-8", func(m *Model) { m.Compiler = "sim\xff" }, "compiler"},
		{"an input beyond the source", func(m *Model) { m.Inputs[0].Source = 4 }, "input.gap"},
		{"an input scale of zero", func(m *Model) { m.Inputs[0].Scale = 0 }, "input.scale"},
		{"an input scale that is not a number", func(m *Model) { m.Inputs[0].Scale = nan }, "input.scale"},
		{"an empty box", func(m *Model) { m.Inputs[0].Lo = 2 }, "input.lo"},
		{"an unbounded box", func(m *Model) { m.Inputs[0].Hi = inf }, "input.lo"},
		{"a box that is not a number", func(m *Model) { m.Inputs[0].Lo = nan }, "input.lo"},
		{"a source state twice", func(m *Model) { m.SourceState[1] = 2 }, "state.source"},
		{"a source state beyond the source", func(m *Model) { m.SourceState[1] = 3 }, "state.source"},
		{"no plane", func(m *Model) { m.Rows[3].Planes = 0 }, "row.planes"},
		{"three planes", func(m *Model) { m.Rows[3].Planes = 3 }, "row.planes"},
		{"M of zero", func(m *Model) { m.Rows[3].Multiplier.M = 0 }, "row.m"},
		{"M below zero", func(m *Model) { m.Rows[3].Multiplier.M = -1 }, "row.m"},
		{"S of zero", func(m *Model) { m.Rows[3].Multiplier.S = 0 }, "row.m"},
		{"S of 63", func(m *Model) { m.Rows[3].Multiplier.S = 63 }, "row.m"},
		{"an output with a scale", func(m *Model) { m.Rows[3].Scale = 1 }, "row"},
		{"an unknown kind", func(m *Model) { m.Rows[0].Kind = 7 }, "state"},
		{"a state's scale", func(m *Model) { m.Rows[0].Scale = -1 }, "state"},
		{"limits that cross", func(m *Model) { m.Rows[0].Lo, m.Rows[0].Hi = 5, 4 }, "state"},
		{"a limit beyond Q", func(m *Model) { m.Rows[0].Hi = 128 }, "state"},
		{"a zero point beyond Q", func(m *Model) { m.Rows[0].Zero = 128 }, "state"},
		{"unknown flags", func(m *Model) { m.Rows[0].Saturates = 7 }, "state"},
		{"a clamp that is not counted", func(m *Model) { m.Rows[0].Saturates = 2 }, "state"},
		{"a limit that is counted", func(m *Model) { m.Rows[2].Saturates = 1 }, "state"},
		{"a table that saturates", func(m *Model) { m.Rows[1].Saturates = 1 }, "state"},
		{"a table with limits", func(m *Model) { m.Rows[1].Hi = 126 }, "state"},
		{"no slope", func(m *Model) { m.Rows[0].Parameter = 0 }, "state"},
		{"a slope above 1", func(m *Model) { m.Rows[0].Parameter = 1.5 }, "state"},
		{"a slope that is not a number", func(m *Model) { m.Rows[0].Parameter = nan }, "state"},
		{"a parameter too many", func(m *Model) { m.Rows[1].Parameter = 1 }, "state"},
		{"no negative multiplier", func(m *Model) { m.Rows[0].Negative.M = 0 }, "state"},
		{"a negative multiplier too many", func(m *Model) { m.Rows[2].Negative = quant.Multiplier{M: 1, S: 1} }, "state"},
		{"a relu with a zero point", func(m *Model) { m.Rows[2].Zero = 1 }, "state"},
		{"a relu with a lower limit", func(m *Model) { m.Rows[2].Lo = 1 }, "state"},
		{"no table", func(m *Model) { m.Rows[1].Table = NoTable }, "state"},
		{"a table that is missing", func(m *Model) { m.Rows[1].Table = 1 }, "state"},
		{"a table too many", func(m *Model) { m.Rows[0].Table = 0 }, "state"},
		{"a table of another kind", func(m *Model) { m.Tables[0].Kind = Sigmoid }, "state"},
		{"a table of no such kind", func(m *Model) { m.Tables[0].Kind = ReLU }, "table.kind"},
		{"a table's step", func(m *Model) { m.Tables[0].Step = 0 }, "table.kind"},
		{"a short table", func(m *Model) { m.Tables[0].Entries = m.Tables[0].Entries[1:] }, "table.kind"},
		{"a table that falls", func(m *Model) { m.Tables[0].Entries[9] = 0 }, "table.entries"},
		{"a table beyond Q", func(m *Model) { m.Tables[0].Entries[255] = 128 }, "table.entries"},
		{"a segment of no states", func(m *Model) { m.Schedule = append(m.Schedule, Segment{}) }, "segment.states"},
		{"a segment of too many states", func(m *Model) { m.Schedule[1].States = 2 }, "segment.states"},
		{"states in no segment", func(m *Model) { m.Schedule = m.Schedule[:1] }, "segment.states"},
		{"too many sweeps", func(m *Model) { m.Schedule[0].Sweeps = 1<<24 + 1 }, "segment.states"},
		{"a loop without sweeps", func(m *Model) { m.Schedule[0].Sweeps = 0 }, "weights.gaps"},
		{"a state read before it is computed", func(m *Model) { m.Weights.Indices[2] = 3 }, "weights.gaps"},
		{"a weight of zero", func(m *Model) { m.Weights.Data[0] = 0 }, "weights.values"},
		{"a weight of −128 in one plane", func(m *Model) { m.Weights.Data[0] = -128 }, "weights.values"},
		{"a weight beyond one plane", func(m *Model) { m.Weights.Data[0] = 128 }, "weights.values"},
		{"a weight beyond two planes", func(m *Model) { m.Weights.Data[4] = -8257 }, "weights.values"},
		{"a bias beyond the accumulator", func(m *Model) { m.Rows[3].Bias = math.MaxInt32 }, "row.bias"},
		{"a bias beyond it below", func(m *Model) { m.Rows[3].Bias = math.MinInt32 }, "row.bias"},
		{"an output beyond int32", func(m *Model) { m.Rows[3].Multiplier = quant.Multiplier{M: math.MaxInt32, S: 1} }, "row.m"},
		{"self-tests of other outputs", func(m *Model) { m.SelfTest[0].Outputs = []int32{1} }, "test.outputs"},
		{"κ without its vector", func(m *Model) { m.Certificates.Kappa = 0.5 }, "well_posed.v"},
		{"a vector of another length", func(m *Model) { m.Certificates.V, m.Certificates.VResidual = make([]float32, 2), make([]float32, 3) }, "well_posed.v"},
		{"a negative κ", func(m *Model) {
			m.Certificates = Certificates{Kappa: -1, V: make([]float32, 3), VResidual: make([]float32, 3)}
		}, "well_posed.kappa"},
		{"a negative bound", func(m *Model) {
			m.Certificates.Box = &ErrorCertificate{State: []float32{0, -1, 0}, Residual: make([]float32, 5), Start: make([]float32, 3), Output: make([]float32, 2)}
		}, "box.state"},
		{"an infinite bound", func(m *Model) {
			m.Certificates.Calibrated = &ErrorCertificate{State: make([]float32, 3), Residual: make([]float32, 5), Start: make([]float32, 3), Output: []float32{0, inf}}
		}, "calibrated.output"},
		{"half a range", func(m *Model) { m.Certificates.ReachLo = make([]float32, 3) }, "reach.hi"},
		{"a range that is empty", func(m *Model) {
			m.Certificates.ReachLo, m.Certificates.ReachHi = []float32{0, 1, 0}, make([]float32, 3)
		}, "reach.hi"},
		{"a gain without its constants", func(m *Model) { m.Certificates.Gain = make([]float32, 3) }, "lipschitz.output"},
	} {
		m := looped()
		c.change(m)
		var corrupt *CorruptError
		if _, err := Encode(m, EncodeOptions{}); !errors.As(err, &corrupt) || corrupt.Section != c.section {
			t.Errorf("%s: Encode says %v, not %s", c.name, err, c.section)
		}
		if m.Weights == nil || m.Weights.Rows != len(m.Rows) || m.Weights.Validate("weights") != nil || len(m.SourceState) > len(m.Rows) {
			continue // the sections could not even be written
		}
		// What Open accepts must be another model: one that a file cannot say.
		file, err := Open(build(m, nil, nil))
		if err == nil && reflect.DeepEqual(file.Model(), m) || err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: Open says %v", c.name, err)
		}
	}
}

func TestBoundsAreExact(t *testing.T) {
	// One input of weight 1 reaches 127: a bias of 2³¹−1−127 just fits, one more does not.
	m := tiny()
	m.Weights.Data[0] = 1
	m.Rows[0].Bias = math.MaxInt32 - 127
	if err := m.Validate(); err != nil {
		t.Errorf("an accumulator of 2³¹−1: %v", err)
	}
	m.Rows[0].Bias = -(math.MaxInt32 - 127)
	if err := m.Validate(); err != nil {
		t.Errorf("an accumulator of −(2³¹−1): %v", err)
	}
	m.Rows[0].Bias--
	if err := m.Validate(); err == nil {
		t.Error("an accumulator of −2³¹ passes")
	}
	// A state reaches its own limit, not Q.
	m = tiny()
	m.Rows[0].Hi = 10
	m.Rows[1].Bias = math.MaxInt32 - 127 - 2*10
	m.Rows[1].Multiplier = quant.Multiplier{M: 1, S: 1}
	if err := m.Validate(); err != nil {
		t.Errorf("a state of at most 10: %v", err)
	}
	m.Rows[0].Hi = 11
	if err := m.Validate(); err == nil {
		t.Error("a state of at most 11 passes")
	}
	// An output of exactly 2³¹−1.
	m = tiny()
	m.Weights = sparse.New[int16](2, 2)
	m.Rows[1].Bias, m.Rows[1].Multiplier = math.MaxInt32, quant.Multiplier{M: 2, S: 1}
	if err := m.Validate(); err != nil {
		t.Errorf("an output of 2³¹−1: %v", err)
	}
	m.Rows[1].Multiplier = quant.Multiplier{M: 3, S: 1}
	if err := m.Validate(); err == nil {
		t.Error("an output beyond 2³¹−1 passes")
	}
	// Two planes can overflow int64: 40 inputs of the largest weights and M.
	m = tiny()
	m.Width, m.SourceInputs, m.Inputs = quant.Width14, 40, nil
	m.Weights = sparse.New[int16](2, 41)
	var cols []int32
	var values []int16
	for j := range int32(40) {
		m.Inputs = append(m.Inputs, Input{Source: j, Scale: 1})
		cols, values = append(cols, j), append(values, quant.TwoPlaneMin)
	}
	m.Weights.AppendRow(0, cols, values)
	m.Rows[0].Planes = 2
	size := int64(40 * -quant.TwoPlaneMin * (1<<14 - 1))
	m.Rows[0].Multiplier = quant.Multiplier{M: int32((math.MaxInt64 - 1<<61) / size), S: 62}
	if err := m.Validate(); err != nil {
		t.Errorf("a product just below 2⁶³: %v", err)
	}
	m.Rows[0].Multiplier.M++
	if err := m.Validate(); err == nil {
		t.Error("a product beyond 2⁶³ passes")
	}
	m.Rows[0].Multiplier.M = 1
	m.Rows[0].Kind, m.Rows[0].Parameter, m.Rows[0].Saturates = LeakyReLU, 0.5, 3
	m.Rows[0].Negative = quant.Multiplier{M: math.MaxInt32, S: 62}
	if err := m.Validate(); err == nil {
		t.Error("a product beyond 2⁶³ for negative accumulators passes")
	}
	// A loop's state with a table starts at its zero point, which may lie above the table's last entry.
	m = looped()
	for k := range m.Tables[0].Entries {
		m.Tables[0].Entries[k] = 0
	}
	m.Weights.Data[2] = 1 // state 0 reads state 1
	m.Rows[0].Bias = math.MaxInt32 - 3*127 - 2*127 - 64
	if err := m.Validate(); err != nil {
		t.Errorf("a start of 64: %v", err)
	}
	m.Rows[1].Zero = 65
	if err := m.Validate(); err == nil {
		t.Error("a start of 65 passes")
	}
}

// TestPlanesAreBoundedOneByOne: kernels sum the planes of a row in 32 bits each.
func TestPlanesAreBoundedOneByOne(t *testing.T) {
	for _, weight := range []int16{-64 * 128, -64} { // the upper plane alone, the lower one alone
		for count, fits := range map[int]bool{2048: true, 2049: false} { // 64·16383·2048 < 2³¹ < 64·16383·2049
			m := tiny()
			m.Width, m.SourceInputs, m.Inputs = quant.Width14, count, nil
			m.Weights = sparse.New[int16](2, count+1)
			var cols []int32
			var values []int16
			for j := range int32(count) {
				m.Inputs = append(m.Inputs, Input{Source: j, Scale: 1})
				cols, values = append(cols, j), append(values, weight)
			}
			m.Weights.AppendRow(0, cols, values)
			m.Rows[0].Planes = 2
			if err := m.Validate(); (err == nil) != fits {
				t.Errorf("%d weights of %d: %v", count, weight, err)
			}
		}
	}
}

func TestPlanesBeyondTheirRangeAreRefused(t *testing.T) {
	for _, planes := range [][2]byte{{64, 0}, {0xBF, 0}, {0, 64}, {0, 0xBF}} {
		m := tiny()
		m.Rows[0].Planes = 2
		good := build(m, nil, nil)
		if _, err := Open(good); err != nil {
			t.Fatal(err)
		}
		bad := build(m, func(w *sectionWriter) {
			w.replace(sectionValues, []byte{planes[0], 0xFF, 2})
			w.replace(sectionLow, []byte{planes[1]})
		}, nil)
		var corrupt *CorruptError
		if _, err := Open(bad); !errors.As(err, &corrupt) || corrupt.Section != "weights.low" {
			t.Errorf("planes %d: %v", planes, err)
		}
	}
}
