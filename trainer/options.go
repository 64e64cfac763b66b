package trainer

import (
	"errors"
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
)

// Errors that Fit wraps, beside ErrStates.
var (
	ErrOptions = errors.New("unusable options")
	ErrBudget  = errors.New("the number of nonzeros cannot be met")
)

// Structure says which states a state may read.
type Structure string

// The structures. In a causal model a state reads inputs and states of smaller rank, so that A has no
// cycle; in a free one it reads any state, itself included, and ‖A‖∞ ≤ κ keeps the model well posed.
const (
	Causal Structure = "causal"
	Free   Structure = "free"
)

// Penalty is the function ρ of the row problems.
type Penalty string

// PenaltyL1 is Σ|w|.
const PenaltyL1 Penalty = "l1"

// Task says what the outputs are for.
type Task string

// The tasks: classification decides by the largest output, regression returns the outputs.
const (
	Classification Task = "classification"
	Regression     Task = "regression"
)

// DefaultKappa bounds ‖A‖∞ of a model of free structure unless the options say otherwise.
const DefaultKappa = 0.99

// Options says what to fit. Exactly one of NNZ and Lambda must be given; everything else has a default.
type Options struct {
	NNZ    int     // the model has at most so many nonzero numbers in A, B, C, D, b and d together
	Lambda float64 // or: the penalty λ of the row problems, > 0

	Structure Structure // default Causal
	Task      Task      // default Classification
	Penalty   Penalty   // default PenaltyL1
	Kappa     float64   // in (0, 1); default DefaultKappa. Free structure only

	NoWeights bool // ω = σ = 1, as published
	NoBias    bool // β = 0
	NoRefine  bool // nothing after the row problems: their solutions are the model, every state is kept

	// Ridge of the least-squares refits, relative to each weight's own second moment; 0 chooses it on a
	// held-out sixth of the samples.
	Ridge float64

	// Epochs of fine-tuning by the gradient through the equilibrium after the convex fits; 0: none.
	Epochs int
	// Supervision, when not nil, is the task that fine-tuning serves besides following the teacher.
	Supervision *Supervision

	Seed uint64 // of the draws behind ω and the order of the samples in fine-tuning

	InputLo, InputHi []float32 // the box of inputs; default: the ranges over the samples

	// Provenance is kept in the model beside what Fit itself adds under "fit.".
	Provenance model.Provenance

	// Progress, when not nil, is told of each stage's advance from one goroutine at a time.
	Progress func(stage string, done, total int)
}

// resolved returns the options with defaults filled in, or says what is wrong with them.
func (o Options) resolved(shape *Shape) (Options, error) {
	fail := func(format string, args ...any) (Options, error) {
		return o, fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrOptions)
	}
	setDefault(&o.Structure, Causal)
	setDefault(&o.Task, Classification)
	setDefault(&o.Penalty, PenaltyL1)
	setDefault(&o.Kappa, DefaultKappa)
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	switch {
	case o.NNZ < 0:
		return fail("%d nonzeros: give a positive number", o.NNZ)
	case o.NNZ > 0 && o.Lambda != 0:
		return fail("both a number of nonzeros and λ: give one of them")
	case o.NNZ == 0 && !(o.Lambda > 0 && !math.IsInf(o.Lambda, 1)):
		return fail("neither a positive number of nonzeros nor a positive λ (%g): give one of them", o.Lambda)
	case o.Structure != Causal && o.Structure != Free:
		return fail("structure %q: choose causal or free", o.Structure)
	case o.Structure == Causal && shape.Ranks == nil:
		return fail("causal structure needs the states' ranks, which these states do not carry: add an array rank (one whole number per state: its layer), or choose --structure free")
	case o.Task != Classification && o.Task != Regression:
		return fail("task %q: choose classification or regression", o.Task)
	case o.Penalty != PenaltyL1:
		return fail("penalty %q is not available: choose l1", o.Penalty)
	case !(o.Kappa > 0 && o.Kappa < 1):
		return fail("kappa %g: it must lie between 0 and 1, both excluded", o.Kappa)
	case !(o.Ridge >= 0 && o.Ridge <= 1):
		return fail("ridge %g: it must lie in [0, 1]", o.Ridge)
	}
	return o, o.checkBox(shape.Inputs)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (o *Options) checkBox(inputs int) error {
	if o.InputLo == nil && o.InputHi == nil {
		return nil
	}
	if len(o.InputLo) != inputs || len(o.InputHi) != inputs {
		return fmt.Errorf("the box has %d and %d limits for %d inputs: %w", len(o.InputLo), len(o.InputHi), inputs, ErrOptions)
	}
	for j, lo := range o.InputLo {
		if hi := o.InputHi[j]; !isFinite(lo) || !isFinite(hi) || lo > hi {
			return fmt.Errorf("the box of input %d is [%g, %g]: %w", j, lo, hi, ErrOptions)
		}
	}
	return nil
}
