package trainer

import (
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/sparse-implicit/sim/trainer/internal/refine"
)

// windowLayout is that of the widest kernel.
var windowLayout = sparse.WindowLayout{Rows: 16, Lanes: 4, Window: 128}

// weightsPerStep is how many weights a step of trained windows holds, of the 64 that it could.
const weightsPerStep = 46

// wantedSteps returns the number of steps asked for, or as many as the wanted number of nonzeros needs: one at
// least for every group of rows, which share none.
func (f *fitter) wantedSteps() int {
	if f.options.Steps > 0 {
		return f.options.Steps
	}
	return max(len(f.rowsFrom), f.options.NNZ/weightsPerStep)
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

// windowStages is in how many refits weights are removed until windows hold what is left: six keep more
// accuracy than one (TestWindowModelsWithoutTraining).
const windowStages = 6

// shapeWindows removes weights of a wide draft, refitting the others in between, until they pack into the
// wanted steps and are no more than wanted.
func (f *fitter) shapeWindows(wide *draft) (*draft, error) {
	goal := refine.WindowGoal{Layout: windowLayout, States: f.states(), Steps: f.wantedSteps()}
	d, slices := wide, [][]int(nil)
	for stage := 1; ; stage++ {
		supports, saliency := f.worthOf(d)
		choice := goal.Shape(supports, saliency, slices)
		slices = choice.Slices
		budget := f.options.NNZ - f.constants()*(len(choice.Order)+f.shape.Outputs)
		final := min(features(choice.Supports), budget)
		if stage == windowStages {
			kept, worth := goal.Keep(choice, supports, saliency, final)
			choice = goal.Shape(kept, worth, slices)
			fitted, err := f.refit(choice.Supports)
			if err == nil {
				fitted.order = choice.Order
			}
			return fitted, err
		}
		all := features(supports)
		share := math.Pow(float64(max(final, 1))/float64(max(all, 1)), 1/float64(windowStages-stage+1))
		kept, _ := goal.Keep(choice, supports, saliency, int(share*float64(all)))
		var err error
		if d, err = f.refit(kept); err != nil {
			return nil, err
		}
		f.options.Progress("windows", stage, windowStages)
	}
}

// worthOf returns what the rows of a draft read, nil where a state reaches no output, and what each weight
// is worth: what it adds to the row's variance, as far as the outputs feel it.
func (f *fitter) worthOf(d *draft) (supports [][]int32, saliency [][]float64) {
	supports, saliency = make([][]int32, len(d.rows)), make([][]float64, len(d.rows))
	alive := f.reached(d)
	for i, r := range d.rows {
		if !alive[i] {
			continue
		}
		supports[i] = append([]int32{}, r.support...)
		for k, j := range r.support {
			v := r.coef[k] * f.sigma[j] * f.omega[i]
			saliency[i] = append(saliency[i], v*v)
		}
	}
	return supports, saliency
}

// features counts what rows read.
func features(supports [][]int32) int {
	n := 0
	for _, support := range supports {
		n += len(support)
	}
	return n
}
