package runtime

import (
	"slices"
	"strings"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// newModel prepares a verified model. m need not have Weights: they are in streams, which are kept only
// when the model runs in place.
func newModel(m *simb.Model, streams *kernel.Streams, macs uint64, c config) (*Model, error) {
	model := &Model{
		program:      newProgram(m),
		inputs:       slices.Clone(m.Inputs),
		sourceInputs: m.SourceInputs,
		outputScale:  m.OutputScale,
		decision:     m.Decision,
		memory:       m.RAMBytes(),
		macs:         macs,
		selfTest:     m.SelfTest,
	}
	model.bounds.Box = smaller(m.Certificates.Box, m.Certificates.Relaxed)
	model.bounds.Calibrated = smaller(m.Certificates.Calibrated, m.Certificates.RelaxedCalibrated)
	if err := model.pack(streams, c); err != nil {
		return nil, err
	}
	if c.batches {
		model.batch = kernel.PackBatch(&model.program, streams, model.engine, model.kernel)
	}
	if c.threads > 1 {
		kernel.Divide(model.engine)
		model.threads = c.threads
	}
	return model, nil
}

// pack chooses an engine.
func (m *Model) pack(streams *kernel.Streams, c config) error {
	if c.inPlace {
		m.kernel, m.engine = kernelInPlace, kernel.InPlace(&m.program, streams)
		m.nanoseconds = kernel.InPlaceCost(&m.program, streams)
		return nil
	}
	if c.kernel == "" {
		m.kernel, m.engine, m.nanoseconds = kernel.Choose(&m.program, streams)
		return nil
	}
	forced, found := kernel.Find(c.kernel)
	if !found {
		return &KernelError{Name: c.kernel, Available: strings.Join(kernel.Names(), ", ")}
	}
	m.kernel = forced.Name
	m.engine, m.nanoseconds = forced.Pack(&m.program, streams)
	return nil
}

// smaller returns the smaller bound of each output, of the two that there may be; nil when there is none.
func smaller(byComponents *simb.ErrorCertificate, relaxed *simb.RelaxedCertificate) []float32 {
	switch {
	case byComponents == nil && relaxed == nil:
		return nil
	case byComponents == nil:
		return slices.Clone(relaxed.Output)
	}
	bounds := slices.Clone(byComponents.Output)
	if relaxed != nil {
		for k, bound := range relaxed.Output {
			bounds[k] = min(bounds[k], bound)
		}
	}
	return bounds
}

// kernelInPlace is what Kernel returns for WithInPlace.
const kernelInPlace = "in place"

// newProgram takes from a model what the kernels need.
func newProgram(m *simb.Model) kernel.Program {
	p := kernel.Program{
		Width: m.Width, SourceInputs: m.SourceInputs, Inputs: make([]kernel.Input, len(m.Inputs)),
		States: m.States(), Rows: make([]kernel.Row, len(m.Rows)),
	}
	for k := range m.Inputs {
		in := &m.Inputs[k]
		p.Inputs[k] = kernel.Input{Source: in.Source, Scale: in.Scale, Zero: in.Zero}
	}
	for i := range m.Rows {
		p.Rows[i] = newRow(&m.Rows[i])
	}
	first := 0
	for _, s := range m.Schedule {
		p.Segments = append(p.Segments, kernel.Segment{First: first, End: first + s.States, Sweeps: s.Sweeps})
		first += s.States
	}
	for i := range m.Tables {
		p.Tables = append(p.Tables, slices.Clone(m.Tables[i].Entries))
	}
	return p
}

func newRow(row *simb.Row) kernel.Row {
	r := kernel.Row{
		Bias: row.Bias, Multiplier: row.Multiplier, Negative: row.Multiplier,
		Zero: row.Zero, Lo: row.Lo, Hi: row.Hi, Table: row.Table, Planes: row.Planes,
	}
	if row.Kind == simb.LeakyReLU {
		r.Negative = row.Negative
	}
	if row.Saturates&simb.SaturatesLow != 0 {
		r.CountLow = 1
	}
	if row.Saturates&simb.SaturatesHigh != 0 {
		r.CountHigh = 1
	}
	return r
}
