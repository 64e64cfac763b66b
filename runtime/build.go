package runtime

import (
	"slices"
	"strings"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// newModel prepares a verified model for one kernel, or for running in place when streams are given. It
// keeps nothing of m's weights.
func newModel(m *simb.Model, streams *kernel.Streams, kernelName string) (*Model, error) {
	model := &Model{
		program:      newProgram(m),
		inputs:       slices.Clone(m.Inputs),
		sourceInputs: m.SourceInputs,
		outputScale:  m.OutputScale,
		decision:     m.Decision,
		memory:       m.RAMBytes(),
		macs:         m.MACs(),
		selfTest:     m.SelfTest,
	}
	if c := m.Certificates.Box; c != nil {
		model.bounds.Box = slices.Clone(c.Output)
	}
	if c := m.Certificates.Calibrated; c != nil {
		model.bounds.Calibrated = slices.Clone(c.Output)
	}
	if streams != nil {
		model.kernel = kernelInPlace
		model.engine7, model.engine14 = kernel.InPlace7(&model.program, streams), kernel.InPlace14(&model.program, streams)
		return model, nil
	}
	chosen, found := kernel.Choose(kernelName)
	if !found {
		return nil, &KernelError{Name: kernelName, Available: strings.Join(kernel.Names(), ", ")}
	}
	model.kernel = chosen.Name
	weights := kernel.Weights{Indptr: m.Weights.Indptr, Indices: m.Weights.Indices, Data: m.Weights.Data}
	if m.Width.Bytes() == 1 {
		model.engine7 = chosen.Pack7(&model.program, &weights)
	} else {
		model.engine14 = chosen.Pack14(&model.program, &weights)
	}
	return model, nil
}

// kernelInPlace is what Kernel returns for WithInPlace.
const kernelInPlace = "in place"

// newProgram takes from a model what the kernels need.
func newProgram(m *simb.Model) kernel.Program {
	p := kernel.Program{Width: m.Width, Inputs: len(m.Inputs), States: m.States(), Rows: make([]kernel.Row, len(m.Rows))}
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
