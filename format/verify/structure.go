package verify

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
)

// structure checks what every other check takes for granted, so that none of them can panic: counts that
// agree, canonical weights, numbers in their ranges. A file that simb.Open accepted passes; this is for
// models that come from memory.
func structure(m *simb.Model) error {
	if m == nil || m.Weights == nil {
		return fmt.Errorf("the model has no weights")
	}
	n, p, rows := len(m.SourceState), len(m.Inputs), len(m.Rows)
	if !m.Width.Valid() {
		return fmt.Errorf("activations of %d bits, it must be 7 or 14", m.Width)
	}
	if rows <= n || m.Weights.Rows != rows || m.Weights.Cols != p+n {
		return fmt.Errorf("weights are %d × %d, with %d rows for %d states and %d inputs", m.Weights.Rows, m.Weights.Cols, rows, n, p)
	}
	if err := m.Weights.Validate("weights"); err != nil {
		return err
	}
	if !positive(m.OutputScale) {
		return fmt.Errorf("output scale %g is not positive and finite", m.OutputScale)
	}
	if m.Decision > simb.DecideArgmin {
		return fmt.Errorf("decision rule %d is unknown", m.Decision)
	}
	if err := structurePlan(m); err != nil {
		return err
	}
	for k := range m.Tables {
		t := &m.Tables[k]
		if len(t.Entries) != m.Width.TableLen() || !positive(t.Step) {
			return fmt.Errorf("table %d has %d entries and a step of %g, it needs %d and a positive step", k, len(t.Entries), t.Step, m.Width.TableLen())
		}
	}
	for i := range m.Rows {
		if err := structureRow(m, i); err != nil {
			return err
		}
	}
	return structureCertificates(m)
}

func positive(x float32) bool { return x > 0 && x <= math.MaxFloat32 }

// structurePlan checks inputs, the states' places in the source and the sizes of the segments.
func structurePlan(m *simb.Model) error {
	last := int32(-1)
	for j, input := range m.Inputs {
		if input.Source <= last || int(input.Source) >= m.SourceInputs {
			return fmt.Errorf("input %d reads source input %d after %d, of %d", j, input.Source, last, m.SourceInputs)
		}
		last = input.Source
		if !positive(input.Scale) || !finite32(input.Lo) || !finite32(input.Hi) || input.Lo > input.Hi {
			return fmt.Errorf("input %d: scale %g, box [%g, %g]", j, input.Scale, input.Lo, input.Hi)
		}
	}
	if m.SourceStates < len(m.SourceState) {
		return fmt.Errorf("the plan has %d states, the source only %d", len(m.SourceState), m.SourceStates)
	}
	left := len(m.SourceState)
	for k, s := range m.Schedule {
		if s.States < 1 || s.States > left {
			return fmt.Errorf("segment %d has %d states, %d are left", k, s.States, left)
		}
		left -= s.States
	}
	if left != 0 {
		return fmt.Errorf("the schedule leaves out %d states", left)
	}
	seen := make(map[int32]bool, len(m.SourceState))
	for i, s := range m.SourceState {
		if s < 0 || int(s) >= m.SourceStates || seen[s] {
			return fmt.Errorf("state %d stands for source state %d, which is out of range or taken", i, s)
		}
		seen[s] = true
	}
	return nil
}

func finite32(x float32) bool { return x-x == 0 }

func structureRow(m *simb.Model, i int) error {
	row := &m.Rows[i]
	least, most := int16(-quant.OnePlaneMax), int16(quant.OnePlaneMax)
	if row.Planes == 2 {
		least, most = quant.TwoPlaneMin, quant.TwoPlaneMax
	} else if row.Planes != 1 {
		return fmt.Errorf("row %d has %d weight planes", i, row.Planes)
	}
	_, values := m.Weights.Row(i)
	for _, w := range values {
		if w < least || w > most {
			return fmt.Errorf("row %d has a weight %d outside [%d, %d]", i, w, least, most)
		}
	}
	if !row.Multiplier.Valid() {
		return fmt.Errorf("row %d: multiplier %d/2^%d is out of range", i, row.Multiplier.M, row.Multiplier.S)
	}
	if i >= m.States() {
		if row.Table != simb.NoTable && row.Table != 0 {
			return fmt.Errorf("output row %d names table %d", i, row.Table)
		}
		return nil
	}
	q := uint16(m.Width.Max())
	if !positive(row.Scale) || row.Zero > q || row.Lo > row.Hi || row.Hi > q {
		return fmt.Errorf("state %d: scale %g, zero %d, limits [%d, %d] with Q = %d", i, row.Scale, row.Zero, row.Lo, row.Hi, q)
	}
	if row.Kind >= simb.KindCount || row.Saturates&^(simb.SaturatesLow|simb.SaturatesHigh) != 0 {
		return fmt.Errorf("state %d: activation %d with saturation flags %d", i, row.Kind, row.Saturates)
	}
	if row.Kind == simb.LeakyReLU && !row.Negative.Valid() {
		return fmt.Errorf("state %d: second multiplier %d/2^%d is out of range", i, row.Negative.M, row.Negative.S)
	}
	curved := row.Kind == simb.Tanh || row.Kind == simb.Sigmoid
	if curved != (row.Table != simb.NoTable) || curved && int(row.Table) >= len(m.Tables) {
		return fmt.Errorf("state %d: activation %d with table %d of %d", i, row.Kind, row.Table, len(m.Tables))
	}
	return nil
}

// structureCertificates checks that every certificate has its full length or is absent, and that all its
// numbers are finite and, apart from reach, not negative.
func structureCertificates(m *simb.Model) error {
	c := &m.Certificates
	n, rows := m.States(), len(m.Rows)
	q := rows - n
	if !(c.Kappa >= 0) || !finite32(c.Kappa) {
		return fmt.Errorf("kappa is %g", c.Kappa)
	}
	witness := n // length of what may be derived
	if c.Derived {
		witness = 0
		if loops, _ := m.LoopStates(); loops > 0 || len(c.V)+len(c.ReachLo) > 0 {
			return fmt.Errorf("witnesses are derived, which needs a model without loops that stores none")
		}
	}
	fields := []certificateField{
		{"v", c.V, n, true, false}, {"v residual", c.VResidual, len(c.V), false, false},
		{"reach lo", c.ReachLo, n, true, true}, {"reach hi", c.ReachHi, len(c.ReachLo), false, true},
		{"lipschitz", c.Lipschitz, q, true, false},
	}
	if len(c.Lipschitz) > 0 {
		fields = append(fields, certificateField{"gain", c.Gain, witness, false, false}, certificateField{"gain residual", c.GainResidual, rows, false, false})
	}
	for _, claim := range []struct {
		name string
		e    *simb.ErrorCertificate
	}{{"box", c.Box}, {"calibrated", c.Calibrated}} {
		if claim.e == nil {
			continue
		}
		fields = append(fields,
			certificateField{claim.name + " state", claim.e.State, witness, false, false},
			certificateField{claim.name + " residual", claim.e.Residual, rows, false, false},
			certificateField{claim.name + " start", claim.e.Start, witness, false, false},
			certificateField{claim.name + " output", claim.e.Output, q, false, false})
	}
	for _, claim := range []struct {
		name string
		e    *simb.RelaxedCertificate
	}{{"relaxed", c.Relaxed}, {"relaxed calibrated", c.RelaxedCalibrated}} {
		if claim.e != nil {
			fields = append(fields, certificateField{claim.name + " output", claim.e.Output, q, false, false},
				certificateField{claim.name + " realised", claim.e.Realised, q, false, false})
		}
	}
	for _, f := range fields {
		if err := f.check(); err != nil {
			return err
		}
	}
	return structureTrees(m)
}

type certificateField struct {
	name     string
	values   []float32
	length   int
	optional bool
	signed   bool
}

func (f certificateField) check() error {
	if len(f.values) != f.length && !(f.optional && len(f.values) == 0) {
		return fmt.Errorf("certificate %s has %d numbers, the model needs %d", f.name, len(f.values), f.length)
	}
	for i, v := range f.values {
		if !finite32(v) || v < 0 && !f.signed {
			return fmt.Errorf("certificate %s[%d] is %g", f.name, i, v)
		}
	}
	return nil
}

// schedule checks that no state is computed before what it reads: in a level no state reads another one
// of it, in a loop states read their own loop and what came before.
func (c *checker) schedule() Check {
	const name = "schedule"
	first, p := 0, int32(c.p)
	for _, s := range c.m.Schedule {
		end := first + s.States
		readable := end
		if s.Sweeps == 0 {
			readable = first
		}
		for i := first; i < end; i++ {
			cols, _ := c.m.Weights.Row(i)
			if len(cols) > 0 && cols[len(cols)-1] >= p+int32(readable) {
				return failed(name, "state %d reads state %d, which is not computed by then", i, cols[len(cols)-1]-p)
			}
		}
		first = end
	}
	return passed(name, "%d levels, %d loops: every state comes after what it reads", len(c.m.Schedule)-len(c.loops), len(c.loops))
}

// accumulators checks that no accumulator, plane sum, requantisation or output can overflow, for any
// q in range.
func (c *checker) accumulators() Check {
	const name = "accumulators"
	largest := int64(0)
	for i := range c.m.Rows {
		row, r := &c.m.Rows[i], &c.ranges[i]
		size := max(-r.lo, r.hi)
		largest = max(largest, size)
		if row.Planes == 1 && size > math.MaxInt32 {
			return failed(name, "row %d: |acc| reaches %d, it must stay below 2^31", i, size)
		}
		if r.plane > math.MaxInt32 {
			return failed(name, "row %d: a weight plane's sum reaches %d, it must stay below 2^31", i, r.plane)
		}
		if size > row.Multiplier.AccumulatorLimit() {
			return failed(name, "row %d: |acc| reaches %d, requantisation overflows above %d", i, size, row.Multiplier.AccumulatorLimit())
		}
		if i < c.n {
			if row.Kind == simb.LeakyReLU && size > row.Negative.AccumulatorLimit() {
				return failed(name, "state %d: |acc| reaches %d, requantisation below zero overflows above %d", i, size, row.Negative.AccumulatorLimit())
			}
			continue
		}
		if lo, hi := requantise(row.Multiplier, r.lo), requantise(row.Multiplier, r.hi); lo < math.MinInt32 || hi > math.MaxInt32 {
			return failed(name, "output %d reaches from %d to %d, it must fit 32 bits", i-c.n, lo, hi)
		}
	}
	return passed(name, "at most %d bits in %d rows", quant.BitLen(largest)+1, len(c.m.Rows))
}

// memory recomputes the working memory of a portable session.
func (c *checker) memory() Check {
	width := 1
	if c.m.Width > 8 {
		width = 2
	}
	largest := 0
	for _, l := range c.loops {
		largest = max(largest, l.end-l.first)
	}
	own := width*(c.p+c.n) + (8+width)*largest
	if claimed := c.cost.ramBytes; claimed != own {
		return failed("memory", "the file says %d bytes, counted: %d", claimed, own)
	}
	return passed("memory", "%d bytes", own)
}

// operations recounts the multiply-accumulates of one inference.
func (c *checker) operations() Check {
	own := uint64(len(c.m.Weights.Indices))
	for _, l := range c.loops {
		inside := uint64(0)
		for i := l.first; i < l.end; i++ {
			from, to := c.within(i, l)
			inside += uint64(to - from)
		}
		own += inside * (uint64(l.sweeps) - 1)
	}
	if claimed := c.cost.macs; claimed != own {
		return failed("operations", "the file says %d multiply-accumulates, counted: %d", claimed, own)
	}
	return passed("operations", "at most %d multiply-accumulates", own)
}

// inputBox checks that no input of the declared box saturates, so that the box lies within 𝒰.
func (c *checker) inputBox() Check {
	for j := range c.m.Inputs {
		input := &c.m.Inputs[j]
		for _, u := range []float32{input.Lo, input.Hi} {
			if _, saturated := quantise(input, c.m.Width, u); saturated {
				return failed("input-box", "input %d saturates at %g, an end of its box [%g, %g]", input.Source, u, input.Lo, input.Hi)
			}
		}
	}
	return passed("input-box", "%d inputs of the plan", c.p)
}
