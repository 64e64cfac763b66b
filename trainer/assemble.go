package trainer

import (
	"math"
	"slices"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
)

// assemble turns a draft into the model and completes the report.
func (f *fitter) assemble(d *draft, report *Report) (*model.Model, error) {
	n, p, q := f.states(), f.shape.Inputs, f.shape.Outputs
	alive := f.reached(d)
	number := make([]int, n) // of a state in the model; −1 when it is gone
	kept := []int{}
	for i := range n {
		number[i] = -1
	}
	add := func(i int) {
		if alive[i] && number[i] < 0 {
			number[i] = len(kept)
			kept = append(kept, i)
		}
	}
	for _, i := range d.order {
		add(i)
	}
	for i := range n {
		add(i)
	}
	m := &model.Model{
		A: sparse.New[float32](len(kept), len(kept)), B: sparse.New[float32](len(kept), p),
		C: sparse.New[float32](q, len(kept)), D: sparse.New[float32](q, p),
		StateBias: make([]float32, len(kept)), OutputBias: make([]float32, q), Activations: []model.Activation{},
		InputLo: f.survey.inputLo, InputHi: f.survey.inputHi, Decision: f.options.Decision,
	}
	if f.options.InputLo != nil {
		m.InputLo, m.InputHi = f.options.InputLo, f.options.InputHi
	}
	for k, i := range kept {
		m.Activations = append(m.Activations, f.activations[i])
		m.StateBias[k] = d.rows[i].appendTo(m.A, m.B, k, number)
	}
	for k := range q {
		m.OutputBias[k] = d.rows[n+k].appendTo(m.C, m.D, k, number)
	}
	if err := f.stateRanges(m, d, kept); err != nil {
		return nil, err
	}
	f.storeLevels(m, kept)
	f.complete(m, report)
	return m, m.Validate()
}

// appendTo appends the row's nonzeros as row k of the matrices that read states and inputs, and returns
// the constant term.
func (r *row) appendTo(states, inputs *sparse.Matrix[float32], k int, number []int) float32 {
	n := len(number)
	var left, right rowEntries
	for a, j := range r.support {
		v := float32(r.coef[a])
		switch {
		case v == 0:
		case int(j) >= n:
			right.add(j-int32(n), v)
		default:
			left.add(int32(number[j]), v)
		}
	}
	left.appendTo(states, k)
	right.appendTo(inputs, k)
	return float32(r.bias)
}

// rowEntries are a row's entries in any order of columns.
type rowEntries []rowEntry

type rowEntry struct {
	col   int32
	value float32
}

func (r *rowEntries) add(col int32, value float32) { *r = append(*r, rowEntry{col, value}) }

func (r rowEntries) appendTo(m *sparse.Matrix[float32], row int) {
	slices.SortFunc(r, func(a, b rowEntry) int { return int(a.col - b.col) })
	cols, values := make([]int32, len(r)), make([]float32, len(r))
	for k, e := range r {
		cols[k], values[k] = e.col, e.value
	}
	m.AppendRow(row, cols, values)
}

// stateRanges sets the ranges of the model's states over the samples: all of them when causal, those on
// which loops are run otherwise.
func (f *fitter) stateRanges(m *model.Model, d *draft, kept []int) error {
	n, p := f.states(), f.shape.Inputs
	use := f.shape.Samples
	if f.options.Structure == Free {
		use = min(use, freeSamples)
	}
	m.StateLo, m.StateHi = make([]float32, len(kept)), make([]float32, len(kept))
	for k := range kept {
		m.StateLo[k], m.StateHi[k] = math.MaxFloat32, -math.MaxFloat32
	}
	evaluator := f.evaluate(d, len(f.rowsFrom))
	var u, x []float32
	return f.source.Batches(f.ctx, func(b *Batch) error {
		u = u[:0]
		for k := range b.Samples {
			if s := b.First + k; (s+1)*use/f.shape.Samples > s*use/f.shape.Samples {
				u = append(u, b.U[k*p:(k+1)*p]...)
			}
		}
		samples := 0
		if p > 0 {
			samples = len(u) / p
		}
		x = resized(x, samples*n)
		evaluator.run(u, samples, x)
		for s := range samples {
			for k, i := range kept {
				v := x[s*n+i]
				m.StateLo[k], m.StateHi[k] = min(m.StateLo[k], v), max(m.StateHi[k], v)
			}
		}
		return nil
	})
}

// complete adds what is known of the finished model.
func (f *fitter) complete(m *model.Model, report *Report) {
	report.NNZBy = m.NNZ()
	report.NNZ, report.NormA = report.NNZBy.Total(), 0
	report.Epochs, report.WeightBits, report.Baseline = f.options.Epochs, f.options.WeightBits, f.options.Baseline
	report.Fits++
	for i := range m.States() {
		sum := 0.0
		_, values := m.A.Row(i)
		for _, v := range values {
			sum += math.Abs(float64(v))
		}
		report.NormA = max(report.NormA, sum)
	}
	m.Provenance = f.figures(m, report)
}
