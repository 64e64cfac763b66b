package simb

import (
	"math"
	"unicode"
	"unicode/utf8"

	"github.com/sparse-implicit/sim/format/quant"
)

// Limits of the format itself.
const (
	maxTables   = NoTable // an index of two bytes has to tell them apart from NoTable
	maxSweeps   = 1 << 24 // so that sums over sweeps cannot overflow
	maxCompiler = 256     // bytes of the compiler's name
)

// Validate checks the meaning of a model, as Open does after the bytes: what passes can be encoded, and
// run without a further check. Its errors are *CorruptError without an offset.
func (m *Model) Validate() error {
	if m.Weights == nil {
		return corrupt("weights", -1, "they are missing")
	}
	if len(m.SourceState) > len(m.Rows) {
		return corrupt("states", -1, "%d states, but %d rows", len(m.SourceState), len(m.Rows))
	}
	if err := m.validateShape(); err != nil {
		return err
	}
	if err := m.Weights.Validate("weights"); err != nil {
		return corrupt("weights", -1, "%v", err)
	}
	if m.Weights.Rows != len(m.Rows) || m.Weights.Cols != len(m.Inputs)+m.States() {
		return corrupt("weights", -1, "they are %d × %d, the model needs %d × %d", m.Weights.Rows, m.Weights.Cols, len(m.Rows), len(m.Inputs)+m.States())
	}
	c := newRowChecker(m)
	for i := range m.Rows {
		cols, weights := m.Weights.Row(i)
		c.begin(i)
		for k, j := range cols {
			if err := c.entry(j, weights[k]); err != nil {
				return err
			}
		}
		if err := c.end(); err != nil {
			return err
		}
	}
	return nil
}

// validate checks the meaning of an opened file, without keeping its weights. coding holds the features
// that its sections use; operations limits the work of an inference.
func (f *File) validate(coding uint64, operations uint64) error {
	m := f.meta
	if err := m.validateShape(); err != nil {
		return err
	}
	if n := m.stateComputations(); n > operations {
		return tooLarge("computations of a state in one inference", n, operations)
	}
	c := newRowChecker(m)
	rows, whole := newRowReader(m, f.streams), newWholeRows(m, c)
	for i := range m.Rows {
		length, err := rows.begin(i)
		if err != nil {
			return err
		}
		c.begin(i)
		if whole.pass(&rows, c, length) {
			length = 0
		}
		for range length {
			column, weight, err := rows.entry()
			if err == nil {
				err = c.entry(column, weight)
			}
			if err != nil {
				return err
			}
		}
		if err := c.end(); err != nil {
			return err
		}
	}
	if err := rows.finish(); err != nil {
		return err
	}
	return f.validateDeclared(c.nonzeros, c.macs, coding)
}

// stateComputations returns how often one inference computes a state at most. A state costs time however
// few weights it has, so the multiply-accumulates alone do not bound the work of a hostile file. The
// schedule has been validated: the sum is below 2⁵⁵.
func (m *Model) stateComputations() uint64 {
	var n uint64
	for _, segment := range m.Schedule {
		n += uint64(segment.States) * uint64(max(segment.Sweeps, 1))
	}
	return n
}

// validateDeclared holds what the header declares against what the file has.
func (f *File) validateDeclared(nonzeros, macs uint64, coding uint64) error {
	if nonzeros != uint64(f.Nonzeros()) {
		return corrupt("nonzeros", -1, "the file declares %d weights and has %d", f.Nonzeros(), nonzeros)
	}
	if macs != f.MACs() {
		return corrupt("macs", -1, "the file declares %d multiply-accumulates, its schedule takes %d", f.MACs(), macs)
	}
	if ram := f.frame.uint(fieldRAMBytes); ram != uint64(f.meta.RAMBytes()) {
		return corrupt("ram_bytes", -1, "the file declares %d bytes of working memory, its plan takes %d", ram, f.meta.RAMBytes())
	}
	used := f.meta.features() | coding
	if declared := f.frame.uint(fieldFeaturesRequired); declared != used {
		return corrupt("features_required", -1, "the file declares the bits %#x and uses %#x", declared, used)
	}
	return nil
}

func positive(v float32) bool { return v > 0 && v <= math.MaxFloat32 }

func finite(values ...float32) bool {
	for _, v := range values {
		if v-v != 0 { // infinities and NaN
			return false
		}
	}
	return true
}

// validateShape checks everything but the weights.
func (m *Model) validateShape() error {
	if !m.Width.Valid() {
		return corrupt("width", -1, "%d bits, there are 7 and 14", uint8(m.Width))
	}
	if m.Decision > DecideArgmin {
		return corrupt("decision", -1, "rule %d is unknown", m.Decision)
	}
	if m.Outputs() < 1 {
		return corrupt("outputs", -1, "the model has none")
	}
	if !positive(m.OutputScale) {
		return corrupt("output_scale", -1, "%g is not a positive number", m.OutputScale)
	}
	if m.SourceInputs < 0 || m.SourceInputs > math.MaxInt32 || m.SourceStates < 0 || m.SourceStates > math.MaxInt32 || len(m.Inputs)+len(m.Rows) > math.MaxInt32 {
		return corrupt("inputs", -1, "%d and %d inputs and states of the source are more than the format can count", m.SourceInputs, m.SourceStates)
	}
	if !printable(m.Compiler) {
		return corrupt("compiler", -1, "its name has more than %d bytes or characters that cannot be printed", maxCompiler)
	}
	for _, check := range []func() error{m.validateInputs, m.validateTables, m.validateStates, m.validateSchedule, m.validateSelfTests, m.validateCertificates} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (m *Model) validateInputs() error {
	last := int32(-1)
	for k, input := range m.Inputs {
		switch {
		case input.Source <= last || int(input.Source) >= m.SourceInputs:
			return corrupt("input.gap", -1, "input %d is number %d of the source after %d, of %d", k, input.Source, last, m.SourceInputs)
		case !positive(input.Scale):
			return corrupt("input.scale", -1, "input %d: %g is not a positive number", k, input.Scale)
		case !finite(input.Lo, input.Hi) || input.Lo > input.Hi:
			return corrupt("input.lo", -1, "input %d: [%g, %g] is not a range", k, input.Lo, input.Hi)
		}
		last = input.Source
	}
	return nil
}

func (m *Model) validateTables() error {
	if len(m.Tables) > maxTables {
		return corrupt("table.kind", -1, "%d tables, at most %d can be told apart", len(m.Tables), maxTables)
	}
	for k := range m.Tables {
		table := &m.Tables[k]
		if !table.Kind.tabulated() || !positive(table.Step) || len(table.Entries) != m.Width.TableLen() {
			return corrupt("table.kind", -1, "table %d: kind %d, step %g, %d entries", k, table.Kind, table.Step, len(table.Entries))
		}
		last := uint16(0)
		for e, v := range table.Entries {
			if v < last || int32(v) > m.Width.Max() {
				return corrupt("table.entries", -1, "table %d: entry %d is %d after %d, entries must not fall and not exceed %d", k, e, v, last, m.Width.Max())
			}
			last = v
		}
	}
	return nil
}

func (m *Model) validateStates() error {
	seen := make([]bool, m.SourceStates)
	for i, s := range m.SourceState {
		if s < 0 || int(s) >= m.SourceStates || seen[s] {
			return corrupt("state.source", -1, "state %d is number %d of the source, which has %d states, each at most once", i, s, m.SourceStates)
		}
		seen[s] = true
	}
	for i := range m.Rows {
		row := &m.Rows[i]
		if row.Planes != 1 && row.Planes != 2 {
			return corrupt("row.planes", -1, "row %d has %d weight planes, there are 1 and 2", i, row.Planes)
		}
		if !row.Multiplier.Valid() {
			return corrupt("row.m", -1, "row %d: M = %d, S = %d are out of range", i, row.Multiplier.M, row.Multiplier.S)
		}
		if i >= m.States() {
			if *row != (Row{Planes: row.Planes, Bias: row.Bias, Multiplier: row.Multiplier, Table: NoTable}) {
				return corrupt("row", -1, "output %d has numbers that only states have", i-m.States())
			}
			continue
		}
		if reason := m.stateFault(row); reason != "" {
			return corrupt("state", -1, "state %d (kind %d): %s", i, row.Kind, reason)
		}
	}
	return nil
}

// stateFault says what is wrong with a state's numbers, or nothing.
func (m *Model) stateFault(row *Row) string {
	q := m.Width.Max()
	switch {
	case row.Kind >= KindCount:
		return "the kind is unknown"
	case !positive(row.Scale):
		return "the scale is not a positive number"
	case row.Lo > row.Hi || int32(row.Hi) > q || int32(row.Zero) > q:
		return "zero point and limits are not in range"
	case row.Kind.parametrised() && !positive(row.Parameter):
		return "the parameter is not a positive number"
	case !row.Kind.parametrised() && row.Parameter != 0:
		return "this kind has no parameter"
	case row.Kind == LeakyReLU && (!row.Negative.Valid() || row.Parameter > 1):
		return "the negative multiplier or the slope is out of range"
	case row.Kind != LeakyReLU && row.Negative != (quant.Multiplier{}):
		return "a negative multiplier belongs to leaky relu alone"
	case row.Kind.tabulated() != (row.Table != NoTable):
		return "a table belongs to tanh and sigmoid alone"
	case row.Kind.tabulated() && (int(row.Table) >= len(m.Tables) || m.Tables[row.Table].Kind != row.Kind):
		return "its table is missing or of another kind"
	case row.Kind.tabulated() && (row.Lo != 0 || int32(row.Hi) != q):
		return "the limits of a state with a table must be 0 and Q"
	case (row.Kind == ReLU || row.Kind == ClippedReLU) && (row.Zero != 0 || row.Lo != 0):
		return "zero point and lower limit of a relu must be 0"
	}
	return saturationFault(row.Kind, row.Saturates)
}

// saturationFault says whether the flags fit the kind: a clamp that can never be the function's own limit
// must be counted, one that always is must not.
func saturationFault(k Kind, flags uint8) string {
	const both = SaturatesLow | SaturatesHigh
	always, never := uint8(0), uint8(0)
	switch k {
	case Identity, LeakyReLU:
		always = both
	case ReLU:
		always, never = SaturatesHigh, SaturatesLow
	case ClippedReLU:
		never = SaturatesLow
	case Tanh, Sigmoid:
		never = both
	}
	if flags&^both != 0 || flags&never != 0 || flags&always != always {
		return "the saturation flags do not fit the kind"
	}
	return ""
}

func (m *Model) validateSchedule() error {
	total := 0
	for k, segment := range m.Schedule {
		if segment.States < 1 || segment.States > m.States()-total || segment.Sweeps > maxSweeps {
			return corrupt("segment.states", -1, "segment %d: %d states and %d sweeps, %d states are left", k, segment.States, segment.Sweeps, m.States()-total)
		}
		total += segment.States
	}
	if total != m.States() {
		return corrupt("segment.states", -1, "the schedule covers %d of %d states", total, m.States())
	}
	return nil
}

func (m *Model) validateSelfTests() error {
	for k, test := range m.SelfTest {
		if len(test.Outputs) != m.Outputs() {
			return corrupt("test.outputs", -1, "self-test %d has %d outputs, the model %d", k, len(test.Outputs), m.Outputs())
		}
	}
	return nil
}

// printable reports whether a name is short, valid UTF-8 and free of characters that would do something
// to a terminal.
func printable(name string) bool {
	if len(name) > maxCompiler || !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
