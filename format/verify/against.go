package verify

import (
	"crypto/sha256"
	"fmt"

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
	input  []int32      // per source input: its column, or −1
	state  []int32      // per source state: its column, or −1
	rows   []reducedRow // what row returns
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
	l := &links{source: source, input: make([]int32, source.Inputs()), state: make([]int32, source.States())}
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
	for i := range c.m.Rows {
		l.rows = append(l.rows, c.reduce(l, i))
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
