package verify

import (
	"crypto/sha256"
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// againstNames are the checks that need the float model, in the order in which they are reported.
var againstNames = []string{"activations", "residual-box", "residual-calibrated", "residual-wellposed", "residual-lipschitz", "error-relaxed", "error-relaxed-calibrated"}

// sourceHash compares the hash in the file with that of the .sim's bytes.
func (c *checker) sourceHash(source []byte) Check {
	const name = "source-hash"
	switch {
	case c.m.SourceHash == [32]byte{}:
		return passed(name, "not claimed: compiled from memory")
	case source == nil:
		return passed(name, "not compared: no source file was given")
	case sha256.Sum256(source) != c.m.SourceHash:
		return failed(name, "the file was compiled from another source: %x…, the one given has %x…", c.m.SourceHash[:6], firstBytes(sha256.Sum256(source)))
	}
	return passed(name, "%x…", c.m.SourceHash[:6])
}

func firstBytes(hash [32]byte) []byte { return hash[:6] }

// against runs the checks that need the float model.
func (c *checker) against(source *model.Model) []Check {
	links, err := c.link(source)
	if err != nil {
		checks := []Check{failed("dimensions", "%s", err.Error())}
		for _, name := range againstNames {
			checks = append(checks, failed(name, "not checked: the file is not of this model"))
		}
		return checks
	}
	checks := []Check{passed("dimensions", "%d of %d states, %d of %d inputs, %d outputs%s", c.n, source.States(), c.p, source.Inputs(), source.Outputs(), c.boxNote(source))}
	checks = append(checks, c.activations(source))
	checks = append(checks, c.residuals(links)...)
	return append(checks, c.relaxed("error-relaxed", links, c.m.Certificates.Relaxed, false),
		c.relaxed("error-relaxed-calibrated", links, c.m.Certificates.RelaxedCalibrated, true))
}

// boxNote says so when the file was compiled for another box than the source declares.
func (c *checker) boxNote(source *model.Model) string {
	for _, input := range c.m.Inputs {
		if lo, hi := source.InputLo[input.Source], source.InputHi[input.Source]; lo != input.Lo || hi != input.Hi {
			return fmt.Sprintf("; the box is the file's own: input %d in [%g, %g], in the source [%g, %g]", input.Source, input.Lo, input.Hi, lo, hi)
		}
	}
	return ""
}

// links says where the source's numbers are in the plan.
type links struct {
	source *model.Model
	input  []int32 // per source input: its column, or −1
	state  []int32 // per source state: its column, or −1
}

// link checks that file and source agree in size and decision, and that what the plan leaves out cannot
// matter: a state that no row of the plan reads, an input that none reads or whose box is a point. Nor may
// the source have a weight that the schedule has no place for: the proofs go along the schedule.
func (c *checker) link(source *model.Model) (*links, error) {
	if err := source.Validate(); err != nil {
		return nil, err
	}
	if source.Inputs() != c.m.SourceInputs || source.States() != c.m.SourceStates || source.Outputs() != c.m.Outputs() {
		return nil, fmt.Errorf("the file is of a model with %d inputs, %d states and %d outputs, this one has %d, %d and %d",
			c.m.SourceInputs, c.m.SourceStates, c.m.Outputs(), source.Inputs(), source.States(), source.Outputs())
	}
	rules := map[simb.Decision]model.Decision{simb.DecideNone: model.DecideNone, simb.DecideArgmax: model.DecideArgmax, simb.DecideArgmin: model.DecideArgmin}
	if rule := rules[c.m.Decision]; rule != source.Decision {
		return nil, fmt.Errorf("the file decides by %q, the model by %q", rule, source.Decision)
	}
	l := &links{source, make([]int32, source.Inputs()), make([]int32, source.States())}
	for j := range l.input {
		l.input[j] = -1
	}
	for j, input := range c.m.Inputs {
		l.input[input.Source] = int32(j)
	}
	for i := range l.state {
		l.state[i] = -1
	}
	for i, s := range c.m.SourceState {
		l.state[s] = int32(c.p + i)
	}
	readable := c.readable()
	for i := range c.m.Rows {
		inputs, states, row, _ := c.sourceRow(l, i)
		cols, values := states.Row(row)
		for k, j := range cols {
			if values[k] == 0 {
				continue
			}
			if l.state[j] < 0 {
				return nil, fmt.Errorf("row %d of the plan depends on source state %d, which the plan leaves out", i, j)
			}
			if int(l.state[j])-c.p >= readable[i] {
				return nil, fmt.Errorf("state %d of the plan depends on source state %d, which the schedule computes only later", i, j)
			}
		}
		cols, values = inputs.Row(row)
		for k, j := range cols {
			if values[k] != 0 && l.input[j] < 0 && source.InputLo[j] != source.InputHi[j] {
				return nil, fmt.Errorf("row %d of the plan depends on source input %d, which the plan leaves out though its box is not a point", i, j)
			}
		}
	}
	return l, nil
}

// readable returns for each row how many of the first states it may read by the schedule.
func (c *checker) readable() []int {
	out := make([]int, len(c.m.Rows))
	first := 0
	for _, s := range c.m.Schedule {
		end := first + s.States
		for i := first; i < end; i++ {
			out[i] = first
			if s.Sweeps > 0 {
				out[i] = end
			}
		}
		first = end
	}
	for i := c.n; i < len(out); i++ {
		out[i] = c.n
	}
	return out
}

// sourceRow returns where the source keeps row i of the plan: the matrices that multiply inputs and
// states, the row's index in both, and its bias.
func (c *checker) sourceRow(l *links, i int) (inputs, states *sparse.Matrix[float32], row int, bias float32) {
	if i < c.n {
		s := int(c.m.SourceState[i])
		return l.source.B, l.source.A, s, l.source.StateBias[s]
	}
	k := i - c.n
	return l.source.D, l.source.C, k, l.source.OutputBias[k]
}

// activations checks that every state of the plan computes its source's function: the same kind, slope
// and limits.
func (c *checker) activations(source *model.Model) Check {
	const name = "activations"
	for i := range c.n {
		row, own := &c.m.Rows[i], source.Activations[c.m.SourceState[i]]
		if model.Kind(row.Kind) != own.Kind {
			return failed(name, "state %d is %v, in the source %v", i, model.Kind(row.Kind), own.Kind)
		}
		wanted := float32(0)
		switch own.Kind {
		case model.LeakyReLU:
			wanted = own.P0
		case model.ClippedReLU, model.HardTanh:
			wanted = own.P1
		default:
			continue
		}
		if got := parameter(row); got != float64(wanted) {
			return failed(name, "state %d: %v of %g, in the source of %g", i, own.Kind, got, wanted)
		}
	}
	return passed(name, "kinds, slopes and limits of %d states", c.n)
}

// differences is what separates one row's integers from the float model.
type differences struct {
	columns []int32
	sizes   []float64 // ≥ |W − W̃|, per column
	bias    float64   // ≥ |b + Σ over inputs left out − b̃ + Σ (W − W̃) c|, c the inputs of 𝒰 nearest to zero
}

// difference computes row i's differences into d, using scratch with one zero per column, which it leaves zero.
func (c *checker) difference(l *links, i int, d *differences, scratch []float64) {
	d.columns, d.sizes = d.columns[:0], d.sizes[:0]
	inputs, states, row, bias := c.sourceRow(l, i)
	folded := point(float64(bias))
	cols, values := inputs.Row(row)
	for k, j := range cols {
		if column := l.input[j]; column >= 0 {
			scratch[column] = float64(values[k])
			if c.nearestSteps(column) != 0 {
				folded = folded.add(point(float64(values[k])).mul(c.nearest(column)))
			}
		} else {
			folded = folded.add(point(float64(values[k])).mul(point(float64(l.source.InputLo[j]))))
		}
	}
	stateCols, stateValues := states.Row(row)
	for k, j := range stateCols {
		if column := l.state[j]; column >= 0 {
			scratch[column] = float64(stateValues[k])
		}
	}
	for k := c.m.Weights.Indptr[i]; k < c.m.Weights.Indptr[i+1]; k++ {
		column := c.m.Weights.Indices[k]
		d.columns = append(d.columns, column)
		d.sizes = append(d.sizes, c.weights[k].distance(scratch[column]))
		scratch[column] = 0
	}
	rest := func(column int32) { // a weight of the source that the integers do not have
		if column >= 0 && scratch[column] != 0 {
			d.columns = append(d.columns, column)
			d.sizes = append(d.sizes, math.Abs(scratch[column]))
			scratch[column] = 0
		}
	}
	for _, j := range cols {
		rest(l.input[j])
	}
	for _, j := range stateCols {
		rest(l.state[j])
	}
	d.bias = max(subUp(folded.hi, c.bias[i].lo), subUp(c.bias[i].hi, folded.lo))
}

// residual is one family of stored residuals, with what they must at least be.
type residual struct {
	name   string
	absent bool
	reason string // why it cannot be checked, or ""
	stored []float32
	rows   int // how many rows it covers
	bias   bool
	input  func(j int) float64    // the weight of |ΔW| at an input's column
	state  func(i, j int) float64 // the same at the column of state j, for row i
	wrong  string
}

// residuals checks, row by row, |ΔA| X̄ + |ΔB| (the largest |u − c|) + |Δb + ΔB c| ≤ ρ for both error claims,
// |ΔA| v ≤ the residual of the witness, and |ΔA| g + |ΔB| 1 ≤ the residual of the gains.
func (c *checker) residuals(l *links) []Check {
	families := []*residual{
		c.errorResidual("residual-box", c.m.Certificates.Box, true),
		c.errorResidual("residual-calibrated", c.m.Certificates.Calibrated, false),
		c.wellPosedResidual(), c.lipschitzResidual(),
	}
	var d differences
	scratch := make([]float64, c.p+c.n)
	for i := range c.m.Rows {
		c.difference(l, i, &d, scratch)
		for _, f := range families {
			if f.absent || f.reason != "" || f.wrong != "" || i >= f.rows {
				continue
			}
			if least := f.least(c, i, &d); least > float64(f.stored[i]) {
				f.wrong = fmt.Sprintf("row %d: a residual of %g is claimed, proved is %g", i, f.stored[i], least)
			}
		}
	}
	var checks []Check
	for _, f := range families {
		switch {
		case f.absent:
			checks = append(checks, notClaimed(f.name))
		case f.reason != "":
			checks = append(checks, failed(f.name, "%s", f.reason))
		case f.wrong != "":
			checks = append(checks, failed(f.name, "%s", f.wrong))
		default:
			checks = append(checks, passed(f.name, "largest of %d rows %.4g", f.rows, largest(f.stored)))
		}
	}
	return checks
}

// least returns what the residual of row i must at least be.
func (f *residual) least(c *checker, i int, d *differences) float64 {
	sum := 0.0
	if f.bias {
		sum = d.bias
	}
	for k, column := range d.columns {
		j := int(column)
		if j < c.p {
			sum = addUp(sum, mulUp(d.sizes[k], f.input(j)))
		} else {
			sum = addUp(sum, mulUp(d.sizes[k], f.state(i, j-c.p)))
		}
	}
	return sum
}

// errorResidual describes ρ of one error claim, with its own X̄: the proved reach, and for the claim
// without clipping what the integers can reach plus the error where that is less.
func (c *checker) errorResidual(name string, claim *simb.ErrorCertificate, clipping bool) *residual {
	f := &residual{name: name, absent: claim == nil, rows: len(c.m.Rows), bias: true}
	if claim == nil {
		return f
	}
	if !c.hasReach() && (clipping || len(c.loops) > 0) {
		f.reason = "the claim needs proved ranges of the states, the file has none"
		return f
	}
	sizes := make([]float64, c.n)
	for j := range sizes {
		size := math.Inf(1)
		if c.hasReach() {
			size = c.reach(j).magnitude()
		}
		if !clipping && c.loopOf[j] < 0 {
			size = min(size, addUp(c.integerMagnitude(j), float64(claim.State[j])))
		}
		sizes[j] = size
	}
	f.stored = claim.Residual
	f.input = func(j int) float64 { return c.region[j].magnitude() }
	f.state = func(_, j int) float64 { return sizes[j] }
	return f
}

func (c *checker) wellPosedResidual() *residual {
	claim := &c.m.Certificates
	f := &residual{name: "residual-wellposed", absent: len(claim.V) == 0 || len(c.loops) == 0, rows: c.n, stored: claim.VResidual}
	f.input = func(int) float64 { return 0 }
	f.state = func(i, j int) float64 {
		if c.loopOf[i] < 0 || c.loopOf[i] != c.loopOf[j] {
			return 0
		}
		return float64(claim.V[j])
	}
	return f
}

func (c *checker) lipschitzResidual() *residual {
	claim := &c.m.Certificates
	f := &residual{name: "residual-lipschitz", absent: len(claim.Lipschitz) == 0, rows: len(c.m.Rows), stored: claim.GainResidual}
	f.input = func(int) float64 { return 1 }
	f.state = func(_, j int) float64 { return float64(claim.Gain[j]) }
	return f
}
