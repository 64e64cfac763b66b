package trainer

import (
	"context"
	"fmt"
	"time"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/trainer/internal/refine"
	"github.com/sparse-implicit/sim/trainer/internal/rowsolve"
	"github.com/sparse-implicit/sim/trainer/internal/tune"
)

// Report says what Fit found. Objectives are sums over rows of the row problems as solved, before any
// refinement.
type Report struct {
	NNZ         int         `json:"nnz"`
	NNZBy       model.NNZBy `json:"nnz_by"`
	Lambda      float64     `json:"lambda"` // the penalty the row problems were solved at
	Structure   Structure   `json:"structure"`
	ObjectiveAB float64     `json:"objective_ab"`
	ObjectiveCD float64     `json:"objective_cd"`
	GapMax      float64     `json:"gap_max"` // the largest certified relative duality gap of a row
	NormA       float64     `json:"norm_a"`  // ‖A‖∞ of the model

	SecondsGram   float64 `json:"seconds_gram"`   // teacher, scales, ω and second moments
	SecondsRows   float64 `json:"seconds_rows"`   // row problems
	SecondsRefine float64 `json:"seconds_refine"` // removals and refits after them
	SecondsTune   float64 `json:"seconds_tune"`   // fine-tuning and what is left

	Epochs     int              `json:"epochs"`               // of fine-tuning
	Way        Way              `json:"way"`                  // what the weights follow
	WeightBits int              `json:"weight_bits"`          // that weights were trained for
	Steps      int              `json:"steps,omitempty"`      // of the window pattern
	Baseline   Baseline         `json:"baseline,omitempty"`   // the teacher was pruned instead
	Bytes      int              `json:"bytes,omitempty"`      // of the compiled file, with a size as the goal
	Validation *ValidationScore `json:"validation,omitempty"` // with a drop as the goal
	Fits       int              `json:"fits"`                 // how many models were fitted to meet the goal
}

// Fit fits a sparse implicit model to the teacher behind source. The model passes Validate; its states
// are the teacher's that still reach an output (all of them with NoRefine), rescaled.
//
// Errors wrap ErrOptions (options that contradict each other or the source), ErrStates (numbers that
// cannot be fitted), ErrBudget (a number of nonzeros that cannot be met) or are ctx's.
func Fit(ctx context.Context, source Source, o Options) (*model.Model, *Report, error) {
	shape := source.Shape()
	if err := shape.validate(); err != nil {
		return nil, nil, err
	}
	o, err := o.resolved(shape)
	if err != nil {
		return nil, nil, err
	}
	f := fitterFor(ctx, source, o)
	m, err := f.toGoal()
	if err != nil {
		return nil, nil, err
	}
	return m, f.report, nil
}

func fitterFor(ctx context.Context, source Source, o Options) *fitter {
	shape := source.Shape()
	return &fitter{
		ctx: ctx, source: source, shape: shape, options: o, rowsFrom: rowOrder(shape, o.Structure),
		report: &Report{Structure: o.Structure}, clock: time.Now(),
	}
}

// toGoal fits by whatever says how sparse.
func (f *fitter) toGoal() (*model.Model, error) {
	switch {
	case f.options.Size > 0:
		return f.toSize()
	case f.options.Drop > 0:
		return f.toDrop()
	case f.options.Steps > 0 && f.options.NNZ == 0:
		f.options.NNZ = f.options.Steps * windowLayout.Rows * windowLayout.Lanes // as many as fit
	}
	return f.fitOnce()
}

// fitOnce solves the rows, refines and assembles for the present number of nonzeros or λ.
func (f *fitter) fitOnce() (*model.Model, error) {
	if f.stats == nil {
		if err := f.gather(); err != nil {
			return nil, err
		}
		f.lap(&f.report.SecondsGram)
	}
	f.rounding, f.report.Way = nil, WayConvex
	fitted, err := f.startingDraft()
	if err != nil {
		return nil, err
	}
	if f.screened != nil && !f.options.NoRefine {
		return f.finishNarrow(fitted)
	}
	return f.finish(fitted)
}

// finish refines, fine-tunes and assembles what the rows gave.
func (f *fitter) finish(fitted *draft) (m *model.Model, err error) {
	tunes := f.options.Epochs > 0 || f.options.Baseline != "" || f.options.WeightBits != 8
	if !f.options.NoRefine && f.options.Baseline == "" {
		if fitted, err = f.refine(fitted, f.refineBudget()); err != nil {
			return nil, err
		}
	}
	if f.options.Pattern == WindowPattern && f.options.Epochs == 0 {
		if fitted, err = f.shapeWindows(fitted); err != nil {
			return nil, err
		}
	}
	f.lap(&f.report.SecondsRefine)
	if tunes {
		if fitted, err = f.fineTune(fitted); err != nil {
			return nil, err
		}
	}
	m, err = f.assemble(fitted, f.report)
	if err == nil && f.options.Pattern == WindowPattern {
		if f.report.Steps, err = stepsOf(m); err == nil && f.options.Steps > 0 && f.report.Steps > f.options.Steps {
			err = fmt.Errorf("%d steps: the model fitted takes %d; allow more: %w", f.options.Steps, f.report.Steps, ErrBudget)
		} else if err == nil && f.report.Steps == 0 && 0 < f.options.Steps && f.options.Steps < len(f.rowsFrom) {
			err = fmt.Errorf("%d steps: no path from an input to an output is left; allow %d, one a layer: %w", f.options.Steps, len(f.rowsFrom), ErrBudget)
		}
	}
	f.lap(&f.report.SecondsTune)
	return m, err
}

// startingDraft is what refinement starts from: the rows as solved, or the teacher itself.
func (f *fitter) startingDraft() (*draft, error) {
	if f.options.Baseline != "" {
		if err := f.enoughForOutputs(); err != nil {
			return nil, err
		}
		return f.teacherDraft()
	}
	solved, err := f.solveRows()
	if err != nil {
		return nil, err
	}
	f.describe(solved, f.report)
	f.lap(&f.report.SecondsRows)
	return f.draftOf(solved.rows), nil
}

// refineBudget is how many numbers the convex refits leave: the wanted ones, or as many as fine-tuning
// starts from.
func (f *fitter) refineBudget() int {
	if f.options.Epochs == 0 && f.options.Pattern == FreePattern || f.options.NNZ == 0 {
		return f.options.NNZ
	}
	wanted := f.options.NNZ
	if f.options.Pattern == WindowPattern {
		wanted = min(wanted, weightsPerStep*f.wantedSteps())
	}
	return f.options.tuning.start(wanted)
}

// lap adds the seconds since the last lap.
func (f *fitter) lap(seconds *float64) {
	*seconds += time.Since(f.clock).Seconds()
	f.clock = time.Now()
}

// fitter carries what the stages share. Rows are numbered 0 … n−1 for the states and n … n+q−1 for the
// outputs; features 0 … n−1 are the states and n … n+p−1 the inputs.
type fitter struct {
	ctx     context.Context
	source  Source
	shape   *Shape
	options Options

	rowsFrom [][]int // rows in the order of computation: those of a group read states of earlier groups only (causal), outputs last

	report *Report
	clock  time.Time

	rounding *tune.Rounding // of weights of few bits

	survey      *survey
	scale       []float64 // t_i: the model's state i is the teacher's divided by it; a power of two
	activations []model.Activation
	omega       []float64 // per row
	sigma       []float64 // per feature

	stats     moments            // of all samples: gram, unless that would be too large; then
	screened  *rowsolve.Screened // solves the rows, and
	rough     bool               // says not to certify them at every λ;
	certified int                // the largest number of weights at which they were

	gram        *rowsolve.Gram  // all samples
	moments     *refine.Moments // of gram
	fitPart     *refine.Moments // of five sixths of the samples, and
	heldOutPart *refine.Moments // of the rest; nil where no ridge is to be chosen
}

func (f *fitter) states() int   { return f.shape.States() }
func (f *fitter) rows() int     { return f.shape.States() + f.shape.Outputs }
func (f *fitter) features() int { return f.shape.States() + f.shape.Inputs }

// describe fills in what the row problems gave.
func (f *fitter) describe(solved *solvedRows, report *Report) {
	report.Lambda, report.ObjectiveAB, report.ObjectiveCD, report.GapMax = solved.lambda, 0, 0, 0
	for i, s := range solved.rows {
		if i < f.states() {
			report.ObjectiveAB += s.Objective
		} else {
			report.ObjectiveCD += s.Objective
		}
		report.GapMax = max(report.GapMax, s.Gap)
	}
}

// figures are the provenance strings that Fit adds: nothing that differs from run to run.
func (f *fitter) figures(m *model.Model, report *Report) model.Provenance {
	figures := model.Provenance{}
	for key, text := range f.options.Provenance {
		figures[key] = text
	}
	for _, pair := range [][2]string{
		{"method", "state-driven implicit modelling"},
		{"structure", string(f.options.Structure)},
		{"task", string(f.options.Task)},
		{"penalty", string(f.options.Penalty)},
		{"kappa", fmt.Sprintf("%g", f.options.Kappa)},
		{"lambda", fmt.Sprintf("%.9g", report.Lambda)},
		{"wanted_nnz", fmt.Sprint(f.options.NNZ)},
		{"weights", fmt.Sprint(!f.options.NoWeights)},
		{"bias", fmt.Sprint(!f.options.NoBias)},
		{"refined", fmt.Sprint(!f.options.NoRefine)},
		{"epochs", fmt.Sprint(f.options.Epochs)},
		{"way", string(report.Way)},
		{"weight_bits", fmt.Sprint(f.options.WeightBits)},
		{"pattern", string(f.options.Pattern)},
		{"seed", fmt.Sprint(f.options.Seed)},
		{"samples", fmt.Sprint(f.shape.Samples)},
		{"objective_ab", fmt.Sprintf("%.9g", report.ObjectiveAB)},
		{"objective_cd", fmt.Sprintf("%.9g", report.ObjectiveCD)},
		{"nnz", fmt.Sprint(m.NNZ().Total())},
	} {
		figures["fit."+pair[0]] = pair[1]
	}
	if f.options.Baseline != "" {
		figures["fit.method"] = "the teacher pruned by " + string(f.options.Baseline)
	}
	if f.options.Lambda2 > 0 {
		figures["fit.lambda2"] = fmt.Sprintf("%.9g", f.options.Lambda2)
	}
	return figures
}
