package simb

import (
	"math"

	"github.com/sparse-implicit/sim/format/quant"
)

// Validate checks the meaning of a model, as Open does after the bytes: what passes can be encoded, and
// run without a further check.
func (m *Model) Validate() error {
	if m.Weights == nil {
		return corrupt("weights", -1, "they are missing")
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
		if err := c.check(i, cols, weights); err != nil {
			return err
		}
	}
	return nil
}

// validate checks the meaning of an opened file, without keeping its weights.
func (f *File) validate(limits Limits) error {
	m := f.meta
	if len(m.SelfTest) > limits.SelfTests {
		return tooLarge("self-tests", uint64(len(m.SelfTest)), uint64(limits.SelfTests))
	}
	if len(m.Tables) > limits.TableCount {
		return tooLarge("tables", uint64(len(m.Tables)), uint64(limits.TableCount))
	}
	if err := m.validateShape(); err != nil {
		return err
	}
	c := newRowChecker(m)
	rows := newRowReader(m, f.streams)
	for i := range m.Rows {
		cols, weights, err := rows.next(i)
		if err != nil {
			return err
		}
		if err := c.check(i, cols, weights); err != nil {
			return err
		}
	}
	if err := rows.finish(); err != nil {
		return err
	}
	if c.nonzeros != uint64(f.Nonzeros()) {
		return corrupt("nonzeros", -1, "the file declares %d weights and has %d", f.Nonzeros(), c.nonzeros)
	}
	if c.macs != f.MACs() {
		return corrupt("macs", -1, "the file declares %d multiply-accumulates, its schedule takes %d", f.MACs(), c.macs)
	}
	if ram := f.frame.uint(fieldRAMBytes); ram != uint64(m.RAMBytes()) {
		return corrupt("ram_bytes", -1, "the file declares %d bytes of working memory, its plan takes %d", ram, m.RAMBytes())
	}
	return nil
}

func positive(v float32) bool { return v > 0 && !math.IsInf(float64(v), 0) }

func finite(values ...float32) bool {
	for _, v := range values {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
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
	if len(m.SourceState) > len(m.Rows) {
		return corrupt("states", -1, "%d states, but %d rows", len(m.SourceState), len(m.Rows))
	}
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
	case row.Saturates > SaturatesLow|SaturatesHigh:
		return "unknown saturation flags"
	case row.Kind.tabulated() != (row.Table != NoTable):
		return "a table belongs to tanh and sigmoid alone"
	case row.Kind.tabulated() && (int(row.Table) >= len(m.Tables) || m.Tables[row.Table].Kind != row.Kind):
		return "its table is missing or of another kind"
	case row.Kind == LeakyReLU && (!row.Negative.Valid() || row.Parameter > 1):
		return "the negative multiplier or the slope is out of range"
	case row.Kind != LeakyReLU && row.Negative != (quant.Multiplier{}):
		return "a negative multiplier belongs to leaky relu alone"
	case row.Kind.parametrised() && !positive(row.Parameter):
		return "the parameter is not a positive number"
	case !row.Kind.parametrised() && row.Parameter != 0:
		return "it has a parameter"
	case (row.Kind == ReLU || row.Kind == ClippedReLU) && (row.Zero != 0 || row.Lo != 0):
		return "zero point and lower limit of a relu must be 0"
	}
	return ""
}

// maxSweeps bounds K, so that sums over sweeps cannot overflow.
const maxSweeps = 1 << 24

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
		if len(test.Outputs) != m.Outputs() || test.Seed == 0 {
			return corrupt("test.seed", -1, "self-test %d: %d outputs, seed %d", k, len(test.Outputs), test.Seed)
		}
	}
	return nil
}

func (m *Model) validateCertificates() error {
	c, n, q := &m.Certificates, m.States(), m.Outputs()
	vector := func(name string, values []float32, length int, signed bool) error {
		if len(values) != length {
			return corrupt(name, -1, "%d numbers, the model needs %d", len(values), length)
		}
		for k, v := range values {
			if !finite(v) || v < 0 && !signed {
				return corrupt(name, -1, "number %d is %g", k, v)
			}
		}
		return nil
	}
	type part struct {
		name   string
		values []float32
		length int
		signed bool
	}
	var parts []part
	if c.V != nil || c.VResidual != nil || c.Kappa != 0 {
		parts = append(parts, part{"well_posed.kappa", []float32{c.Kappa}, 1, false}, part{"well_posed.v", c.V, n, false}, part{"well_posed.residual", c.VResidual, n, false})
	}
	if c.ReachLo != nil || c.ReachHi != nil {
		parts = append(parts, part{"reach.lo", c.ReachLo, n, true}, part{"reach.hi", c.ReachHi, n, true})
	}
	for _, claim := range []struct {
		name string
		e    *ErrorCertificate
	}{{"box", c.Box}, {"calibrated", c.Calibrated}} {
		if e := claim.e; e != nil {
			parts = append(parts, part{claim.name + ".state", e.State, n, false}, part{claim.name + ".residual", e.Residual, n + q, false},
				part{claim.name + ".start", e.Start, n, false}, part{claim.name + ".output", e.Output, q, false})
		}
	}
	if c.Lipschitz != nil || c.Gain != nil || c.GainResidual != nil {
		parts = append(parts, part{"lipschitz.output", c.Lipschitz, q, false}, part{"lipschitz.gain", c.Gain, n, false}, part{"lipschitz.residual", c.GainResidual, n + q, false})
	}
	for _, p := range parts {
		if err := vector(p.name, p.values, p.length, p.signed); err != nil {
			return err
		}
	}
	return nil
}

// rowChecker checks rows in order: what they read has been computed, and their sums stay in range.
type rowChecker struct {
	m        *Model
	segment  int // of the current row
	first    int // states of the current segment: [first, end)
	end      int
	nonzeros uint64
	macs     uint64
}

func newRowChecker(m *Model) *rowChecker {
	c := &rowChecker{m: m, segment: -1}
	c.advance()
	return c
}

// advance moves on to the next segment.
func (c *rowChecker) advance() {
	c.segment++
	c.first = c.end
	if c.segment < len(c.m.Schedule) {
		c.end += c.m.Schedule[c.segment].States
	}
}

// columnLimit returns the largest q of a column.
func (c *rowChecker) columnLimit(j int) int64 {
	if j < len(c.m.Inputs) {
		return int64(c.m.Width.Max())
	}
	row := &c.m.Rows[j-len(c.m.Inputs)]
	if row.Table != NoTable {
		entries := c.m.Tables[row.Table].Entries
		return int64(max(entries[len(entries)-1], min(row.Zero, uint16(c.m.Width.Max())), row.Hi))
	}
	return int64(row.Hi)
}

// check checks row i, whose columns ascend.
func (c *rowChecker) check(i int, cols []int32, weights []int16) error {
	m := c.m
	for i < m.States() && i >= c.end {
		c.advance()
	}
	row := &m.Rows[i]
	sweeps := uint32(0)
	if i < m.States() {
		sweeps = m.Schedule[c.segment].Sweeps
	}
	var upper, lower int64 // Σ |plane|·q
	for k, j := range cols {
		s := int(j) - len(m.Inputs)
		own := i < m.States() && s >= c.first && s < c.end
		if i < m.States() && (s >= c.end || own && sweeps == 0) {
			return corrupt("weights.gaps", -1, "state %d reads state %d before it is computed", i, s)
		}
		w := weights[k]
		if w == 0 || row.Planes == 1 && (w < -quant.OnePlaneMax || w > quant.OnePlaneMax) || w < quant.TwoPlaneMin || w > quant.TwoPlaneMax {
			return corrupt("weights.values", -1, "row %d, column %d: %d is no weight of %d planes", i, j, w, row.Planes)
		}
		high, low := int64(w), int64(0)
		if row.Planes == 2 {
			h, l := quant.SplitPlanes(w)
			high, low = int64(h), int64(l)
		}
		limit := c.columnLimit(int(j))
		upper += absolute(high) * limit
		lower += absolute(low) * limit
		if own {
			c.macs += uint64(sweeps)
		} else {
			c.macs++
		}
	}
	c.nonzeros += uint64(len(cols))
	return c.checkSums(i, upper, lower)
}

// checkSums checks what the accumulator of row i can reach. Rows of up to 2³¹ entries cannot overflow
// the int64 sums: each term is below 2²¹.
func (c *rowChecker) checkSums(i int, upper, lower int64) error {
	m, row := c.m, &c.m.Rows[i]
	size := absolute(int64(row.Bias)) + upper
	if row.Planes == 2 {
		size = absolute(int64(row.Bias)) + 128*upper + lower
	}
	if upper > math.MaxInt32 || lower > math.MaxInt32 || row.Planes == 1 && size > math.MaxInt32 {
		return corrupt("row.bias", -1, "the accumulator of row %d can reach %d, beyond its 31 bits", i, size)
	}
	if size > row.Multiplier.AccumulatorLimit() || row.Negative.Valid() && size > row.Negative.AccumulatorLimit() {
		return corrupt("row.m", -1, "requantising row %d can overflow: accumulator %d, M %d", i, size, row.Multiplier.M)
	}
	if i >= m.States() && row.Multiplier.Requantise(size) >= math.MaxInt32 {
		return corrupt("row.m", -1, "output %d can reach %d, beyond int32", i-m.States(), row.Multiplier.Requantise(size))
	}
	return nil
}

func absolute(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}
