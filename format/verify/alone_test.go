package verify

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

// alone is a file that one check refuses and no other does, with everything that the others look at right.
type alone struct {
	check string
	what  string // is wrong with it
	shape shape

	// spoil makes it wrong: the model before it is written, the source, or the bytes.
	spoil func(p *pair, o *Options)
	bytes func(data []byte) []byte

	// Where simb.Open finds the same fault: the section that its error names. Then the model in memory,
	// or the cost that it declares, is what the check itself refuses.
	open   string
	memory func(p *pair) *Report

	follow []string // checks that say they are not made, because this one failed
}

// theSource is what the sources of these files have as bytes.
var theSource = []byte("the bytes of a source")

// aloneCases has an entry for every check there is: whoever adds a check adds one here.
var aloneCases = []alone{
	{check: "digest", what: "a byte of the payload changed", shape: shapes[0], open: "digest", bytes: func(data []byte) []byte {
		data[len(data)-8] ^= 1
		return data
	}},
	{check: "signature", what: "signed by nobody, where a key says by whom", shape: shapes[1], spoil: func(_ *pair, o *Options) {
		o.PublicKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	}},
	{check: "structure", what: "a multiplier of 0", shape: shapes[0], open: "row.m",
		bytes:  func(data []byte) []byte { return setElement(data, 42, 4, 0, 0) },
		memory: inMemory(func(m *simb.Model) { m.Rows[0].Multiplier.M = 0 })},
	{check: "schedule", what: "states of one level that read each other", shape: shapes[0], open: "weights.gaps",
		bytes:  func(data []byte) []byte { return setElement(setElement(data, 60, 4, 0, 4), 60, 4, 1, 1) }, // instead of 3 and 2
		memory: inMemory(func(m *simb.Model) { m.Schedule = []simb.Segment{{States: 4}, {States: 1}} })},
	{check: "accumulators", what: "a bias at the end of int32", shape: shapes[0], open: "row.bias",
		bytes: func(data []byte) []byte { return setElement(data, 41, 4, 0, 0x7FFFFFFF) },
		memory: inMemory(func(m *simb.Model) { // with claims the bias would be wrong for them too
			m.Certificates, m.SelfTest, m.Rows[0].Bias = simb.Certificates{}, nil, 1<<31-1
		})},
	{check: "memory", what: "a byte less than it takes", shape: shapes[1], open: "ram_bytes",
		bytes: func(data []byte) []byte { return addToField(data, 20, -1) }, memory: withCost(-1, 0)},
	{check: "operations", what: "an operation less than it takes", shape: shapes[1], open: "macs",
		bytes: func(data []byte) []byte { return addToField(data, 21, -1) }, memory: withCost(0, -1)},
	{check: "input-box", what: "a box beyond what the scale holds", shape: shapes[0], spoil: func(p *pair, o *Options) {
		p.file.Inputs[1].Hi = 0.7
		o.Samples = 0 // they would saturate
	}},
	{check: "limits", what: "a clamp short of the function's own limit that is not counted", shape: shapes[1], spoil: func(p *pair, _ *Options) {
		p.file.Rows[5].Hi -= 3 // of a hard tanh
		for k := range p.file.SelfTest {
			p.file.SelfTest[k] = runPlainly(p.file, p.file.SelfTest[k].Seed)
		}
	}},
	{check: "tables", what: "a table that descends", shape: shapes[1], open: "table.entries",
		bytes: func(data []byte) []byte { return setElement(data, 52, 2, 200, 0) },
		memory: inMemory(func(m *simb.Model) { // one more, which no state reads
			extra := m.Tables[0]
			extra.Entries = slices.Clone(extra.Entries)
			extra.Entries[20] = 0
			m.Tables = append(m.Tables, extra)
		})},
	{check: "well-posed", what: "a contraction one step stronger than it is", shape: shapes[1], spoil: func(p *pair, _ *Options) {
		c := p.file.Certificates // reach and constants of loops rest on this claim: they are not made
		p.file.Certificates = simb.Certificates{Kappa: shortNext(c.Kappa, -1), V: c.V, VResidual: c.VResidual}
	}},
	{check: "reach", what: "ranges without the box claim that ties them to the source", shape: shapes[0], spoil: func(p *pair, _ *Options) { p.file.Certificates.Box = nil }},
	{check: "error-box", what: "a bound one step below what is proved", shape: shapes[1], spoil: lower(func(c *simb.Certificates) *float32 { return &c.Box.Output[0] })},
	{check: "error-calibrated", what: "a bound one step below what is proved", shape: shapes[1], spoil: lower(func(c *simb.Certificates) *float32 { return &c.Calibrated.Output[1] })},
	{check: "lipschitz", what: "a constant one step below what is proved", shape: shapes[1], spoil: lower(func(c *simb.Certificates) *float32 { return &c.Lipschitz[0] })},
	{check: "self-test", what: "an output that is one off", shape: shapes[1], spoil: func(p *pair, _ *Options) { p.file.SelfTest[1].Outputs[0]++ }},
	{check: "source-hash", what: "the hash of other bytes", shape: shapes[1], spoil: func(_ *pair, o *Options) { o.SourceBytes = []byte("others") }},
	{check: "dimensions", what: "another decision rule", shape: shapes[0], spoil: func(p *pair, _ *Options) { p.file.Decision = simb.DecideArgmin },
		follow: append(slices.Clone(againstNames), "outputs-observed")},
	{check: "activations", what: "another slope of a leaky relu", shape: shapes[1], spoil: func(p *pair, o *Options) {
		p.source.Activations[p.file.SourceState[2]].P0 = 0.11
		o.Samples = 0 // they would notice as well
	}},
	{check: "residual-box", what: "a residual one step below what is proved", shape: shapes[1], spoil: lower(func(c *simb.Certificates) *float32 { return &c.Box.Residual[0] })},
	{check: "residual-calibrated", what: "a residual one step below what is proved", shape: shapes[1], spoil: lower(func(c *simb.Certificates) *float32 { return &c.Calibrated.Residual[0] })},
	{check: "residual-wellposed", what: "a residual one step below what is proved", shape: shapes[1], spoil: lower(func(c *simb.Certificates) *float32 { return &c.VResidual[2] })},
	{check: "residual-lipschitz", what: "a residual one step below what is proved", shape: shapes[1], spoil: lower(func(c *simb.Certificates) *float32 { return &c.GainResidual[0] })},
	{check: "outputs-observed", what: "a source without an equilibrium, in a state that the plan leaves out", shape: shapes[0], spoil: func(p *pair, _ *Options) {
		setA(p.source, 0, 0, 2)
		p.source.StateBias[0] = 1
	}},
}

// inMemory returns a report on the spoilt model as it is in memory, where no reader has refused it.
func inMemory(spoil func(m *simb.Model)) func(p *pair) *Report {
	return func(p *pair) *Report {
		spoil(p.file)
		return Opened(p.file, Options{})
	}
}

// withCost returns a report on a model that declares another cost.
func withCost(ram int, macs int64) func(p *pair) *Report {
	return func(p *pair) *Report {
		return check(p.file, &declared{p.file.RAMBytes() + ram, uint64(int64(p.file.MACs()) + macs)}, Options{})
	}
}

func lower(figure func(c *simb.Certificates) *float32) func(p *pair, o *Options) {
	return func(p *pair, _ *Options) {
		v := figure(&p.file.Certificates)
		*v = shortNext(*v, -1)
	}
}

// setElement sets one element of a section of a file with raw sections and makes checksums and digest right.
func setElement(data []byte, id, size, index int, value uint64) []byte {
	l, _ := simbtest.Parse(data)
	s := l.Sections[slices.IndexFunc(l.Sections, func(s simbtest.Section) bool { return s.ID == id })]
	for k := range size {
		data[s.Payload[0]+size*index+k] = byte(value >> (8 * k))
	}
	return simbtest.FixChecksums(data)
}

// addToField adds to a u64 of the frame and makes the digest right.
func addToField(data []byte, id int, by int) []byte {
	l, _ := simbtest.Parse(data)
	at, carry := l.Fields[id], int64(by)
	for k := at[0]; k < at[1]; k++ {
		carry += int64(data[k])
		data[k] = byte(carry)
		carry >>= 8
	}
	return simbtest.FixChecksums(data)
}

// rawSections returns a file of the model with every section raw.
func rawSections(t *testing.T, m *simb.Model) []byte {
	t.Helper()
	data := must(simb.Encode(m, simb.EncodeOptions{Codec: simb.CodecPacked}))
	data = simbtest.Raw(data)
	if _, err := simb.Open(data); err != nil {
		t.Fatal(err)
	}
	return data
}

func TestForEveryCheckThereIsAFileThatItAloneRefuses(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range aloneCases {
		if seen[c.check] {
			t.Errorf("two entries for %s", c.check)
		}
		seen[c.check] = true
		t.Run(c.check, func(t *testing.T) { c.run(t) })
	}
	for _, name := range everyCheck(t) {
		if !seen[name] {
			t.Errorf("the check %s has no entry in aloneCases: add a file that it alone refuses", name)
		}
	}
}

// everyCheck returns the names of all checks that a report can have.
func everyCheck(t *testing.T) []string {
	t.Helper()
	p := build(3, shapes[1])
	p.file.SourceHash = sha256.Sum256(theSource)
	r, err := File(must(simb.Encode(p.file, simb.EncodeOptions{})), Options{Against: p.source, SourceBytes: theSource, Samples: 10})
	if err != nil || !r.OK {
		t.Fatalf("%v, %v", err, r)
	}
	var names []string
	for _, check := range r.Checks {
		names = append(names, check.Name)
	}
	return names
}

func (c *alone) run(t *testing.T) {
	p := build(3, c.shape)
	p.file.SourceHash = sha256.Sum256(theSource)
	o := Options{Against: p.source, SourceBytes: theSource, Samples: 20}
	right := rawSections(t, p.file)
	if r, err := File(bytes.Clone(right), o); err != nil || !r.OK {
		t.Fatalf("before it is spoilt: %v, %v", err, r)
	}
	if c.open != "" {
		_, err := File(c.bytes(right), o)
		var corrupt *simb.CorruptError
		if !errors.As(err, &corrupt) || corrupt.Section != c.open {
			t.Fatalf("%s: Open says %v, want an error of %s", c.what, err, c.open)
		}
		line := fmt.Sprintf("%-20s %s: Open refuses it (%s)", c.check, c.what, c.open)
		if c.memory != nil {
			if r := c.memory(&p); !slices.Equal(r.Failed(), []string{c.check}) {
				t.Errorf("in memory refused by %v, want %s alone", r.Failed(), c.check)
			}
			line += ", in memory this check alone"
		}
		t.Log(line)
		return
	}
	c.spoil(&p, &o)
	r, err := File(rawSections(t, p.file), o)
	if err != nil {
		t.Fatal(err)
	}
	if want := append([]string{c.check}, c.follow...); !slices.Equal(r.Failed(), want) {
		t.Errorf("%s: refused by %v, want %v", c.what, r.Failed(), want)
	}
	for _, check := range r.Checks {
		if check.Name == c.check {
			t.Logf("%-20s %s: %s", c.check, c.what, check.Detail)
		}
	}
}

// A source whose left-out state has no equilibrium is what "outputs-observed" alone sees; make sure of it.
func TestTheSpoiltSourceHasNoEquilibrium(t *testing.T) {
	p := build(3, shapes[0])
	setA(p.source, 0, 0, 2)
	p.source.StateBias[0] = 1
	solver := must(model.NewSolver(p.source))
	u := make([]float64, p.source.Inputs())
	if err := solver.Solve(u, make([]float64, p.source.States()), make([]float64, p.source.Outputs())); !errors.Is(err, model.ErrNoEquilibrium) {
		t.Errorf("%v", err)
	}
}
