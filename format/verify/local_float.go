package verify

import (
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// floatNetwork evaluates a float model without loops, every operation rounded outward.
type floatNetwork struct {
	m     *model.Model
	order []int      // of the states
	rows  []simb.Row // kind and parameter of each
}

// newFloatNetwork returns nil for a model with loops.
func newFloatNetwork(m *model.Model) *floatNetwork {
	f := &floatNetwork{m: m}
	for _, component := range sparse.Components(m.A) {
		if sparse.IsLoop(m.A, component) {
			return nil
		}
		f.order = append(f.order, component...)
	}
	for _, a := range m.Activations {
		row := simb.Row{Kind: simb.Kind(a.Kind)}
		switch a.Kind {
		case model.LeakyReLU:
			row.Parameter = a.P0
		case model.ClippedReLU, model.HardTanh:
			row.Parameter = a.P1
		}
		f.rows = append(f.rows, row)
	}
	return f
}

// outputs encloses y* at u. It uses states as scratch, and returns it.
func (f *floatNetwork) outputs(u []float32, states []interval) (y, scratch []interval) {
	if states == nil {
		states = make([]interval, f.m.States())
	}
	for _, i := range f.order {
		z := sumOf(f.m.StateBias[i], f.m.B, f.m.A, i, u, states)
		states[i] = activate(&f.rows[i], z)
	}
	for k := range f.m.Outputs() {
		y = append(y, sumOf(f.m.OutputBias[k], f.m.D, f.m.C, k, u, states))
	}
	return y, states
}

// sumOf encloses one row. The product of two float32 numbers is a float64.
func sumOf(bias float32, onInputs, onStates *sparse.Matrix[float32], i int, u []float32, states []interval) interval {
	sum := point(float64(bias))
	cols, values := onInputs.Row(i)
	for k, j := range cols {
		if v := u[j]; v != 0 {
			sum = sum.add(point(float64(values[k]) * float64(v)))
		}
	}
	cols, values = onStates.Row(i)
	for k, j := range cols {
		if x := states[j]; x != (interval{}) {
			sum = sum.add(point(float64(values[k])).mul(x))
		}
	}
	return sum
}
