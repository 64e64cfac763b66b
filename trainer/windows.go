package trainer

import (
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
)

// windowLayout is that of the widest kernel.
var windowLayout = sparse.WindowLayout{Rows: 16, Lanes: 4, Window: 128}

// weightsPerStep is how many weights a step of trained windows holds, of the 64 that it could.
const weightsPerStep = 46

// wantedSteps returns the number of steps asked for, or as many as the wanted number of nonzeros needs.
func (f *fitter) wantedSteps() int {
	if f.options.Steps > 0 {
		return f.options.Steps
	}
	return max(1, f.options.NNZ/weightsPerStep)
}

// stepsOf counts the steps into which a model packs.
func stepsOf(m *model.Model) (int, error) {
	plan := m.Plan()
	packing, err := plan.Weights.PackWindows(plan.Groups, windowLayout)
	if err != nil {
		return 0, err
	}
	return packing.Steps(), nil
}
