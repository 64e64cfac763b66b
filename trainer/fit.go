package trainer

import (
	"context"
	"fmt"
	"time"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/trainer/internal/refine"
	"github.com/sparse-implicit/sim/trainer/internal/rowsolve"
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
	SecondsRefine float64 `json:"seconds_refine"` // everything after them
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
	f := &fitter{ctx: ctx, source: source, shape: shape, options: o, rowsFrom: rowOrder(shape, o.Structure)}
	report := &Report{Structure: o.Structure}
	clock := time.Now()
	lap := func(seconds *float64) {
		*seconds = time.Since(clock).Seconds()
		clock = time.Now()
	}
	if err := f.gather(); err != nil {
		return nil, nil, err
	}
	lap(&report.SecondsGram)
	solved, err := f.solveRows()
	if err != nil {
		return nil, nil, err
	}
	f.describe(solved, report)
	lap(&report.SecondsRows)
	fitted := f.draftOf(solved.rows)
	if !o.NoRefine {
		if fitted, err = f.refine(fitted); err != nil {
			return nil, nil, err
		}
	}
	m, err := f.assemble(fitted, report)
	if err != nil {
		return nil, nil, err
	}
	lap(&report.SecondsRefine)
	return m, report, nil
}

// fitter carries what the stages share. Rows are numbered 0 … n−1 for the states and n … n+q−1 for the
// outputs; features 0 … n−1 are the states and n … n+p−1 the inputs.
type fitter struct {
	ctx     context.Context
	source  Source
	shape   *Shape
	options Options

	rowsFrom [][]int // rows in the order of computation: those of a group read states of earlier groups only (causal), outputs last

	survey      *survey
	scale       []float64 // t_i: the model's state i is the teacher's divided by it; a power of two
	activations []model.Activation
	omega       []float64 // per row
	sigma       []float64 // per feature

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
	report.Lambda = solved.lambda
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
		{"seed", fmt.Sprint(f.options.Seed)},
		{"samples", fmt.Sprint(f.shape.Samples)},
		{"objective_ab", fmt.Sprintf("%.9g", report.ObjectiveAB)},
		{"objective_cd", fmt.Sprintf("%.9g", report.ObjectiveCD)},
		{"nnz", fmt.Sprint(m.NNZ().Total())},
	} {
		figures["fit."+pair[0]] = pair[1]
	}
	if f.options.Lambda2 > 0 {
		figures["fit.lambda2"] = fmt.Sprintf("%.9g", f.options.Lambda2)
	}
	return figures
}
