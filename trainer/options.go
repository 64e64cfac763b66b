package trainer

import (
	"errors"
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/trainer/dataset"
)

// Errors that Fit wraps, beside ErrStates.
var (
	ErrOptions = errors.New("unusable options")
	ErrBudget  = errors.New("the goal cannot be met")
)

// Structure says which states a state may read.
type Structure string

// The structures. In a causal model a state reads inputs and states of smaller rank, so that A has no
// cycle; in a free one it reads any state, itself included, and Σ|a| ≤ κ over each row's entries in its cycles keeps the model well posed.
const (
	Causal Structure = "causal"
	Free   Structure = "free"
)

// Task says what the outputs are for.
type Task string

// The tasks: classification decides by the largest output, regression returns the outputs.
const (
	Classification Task = "classification"
	Regression     Task = "regression"
)

// DefaultKappa bounds the rows' entries in cycles of a model of free structure unless the options say otherwise.
const DefaultKappa = 0.99

// Pattern says where weights may lie.
type Pattern string

// The patterns: anywhere; or so that they pack into few steps of a kernel that takes 16 rows × 4 weights
// within a window of 128 columns at a time (sparse.WindowLayout), which pays below some 130 steps.
const (
	FreePattern   Pattern = "free"
	WindowPattern Pattern = "window"
)

// Options says what to fit. Exactly one of NNZ, Lambda, Size, Drop and Steps must be given (NNZ may stand
// beside Steps); everything else has a default.
type Options struct {
	NNZ    int     // the model has at most so many nonzero numbers in A, B, C, D, b and d together
	Lambda float64 // or: the penalty λ of the row problems, > 0

	// Or: SizeOf tells at most so many bytes of the model.
	Size   int
	SizeOf func(*model.Model) (int, error)

	// Or: the smallest model found that loses at most so many points, > 0, against the teacher on a
	// validation part, which nothing else is fitted to: points of accuracy (of agreement with the teacher
	// without Supervision), or of 100·R² in a regression. Validation is that part; nil splits a sixth off.
	Drop       float64
	Validation *Validation

	// Or: steps of the window pattern.
	Steps int

	Structure Structure // default Causal
	Task      Task      // default Classification, of one output Regression

	// Decision of the model: by default argmax in a classification and none in a regression. Fine-tuning
	// takes the outputs of a classification by argmin the other way round.
	Decision model.Decision

	Penalty Penalty // default PenaltyL1
	Lambda2 float64 // the penalty's second number, see the penalties; 0: its default
	Kappa   float64 // in (0, 1); default DefaultKappa. Free structure only

	GroupRows, GroupColumns int // of PenaltyGroup; default 16 rows × 128 columns (8 × 32, 4 × 64)

	// GramBytes is the size up to which the Gram of all states and inputs is made (solving and refitting take
	// some five times as much); beyond it rows are solved on candidates, and certified all the same. 0:
	// DefaultGramBytes.
	GramBytes int

	NoWeights bool // ω = σ = 1, as published
	NoBias    bool // β = 0
	NoRefine  bool // nothing after the row problems: their solutions are the model, every state is kept

	// Ridge of the least-squares refits, relative to each weight's own second moment; 0 chooses it on a
	// held-out sixth of the samples.
	Ridge float64

	// Epochs of fine-tuning by the gradient through the equilibrium after the convex fits; 0: none.
	// DefaultEpochs suggests a number.
	Epochs int
	// Supervision, when not nil, is the task that fine-tuning serves besides following the teacher.
	Supervision *Supervision

	// Image, when not nil, says that inputs are images, which fine-tuning then also shows moved by a pixel.
	Image *dataset.Image

	// Ensemble are further teachers on the same samples, whose outputs (or probabilities) fine-tuning follows
	// in the mean with the first one's.
	Ensemble []Source

	WeightBits int      // 8 (default), 5 or 4: weights are trained for integers of so many bits
	Pattern    Pattern  // default FreePattern
	Baseline   Baseline // not empty: prune the teacher itself instead, as something to compare with

	Seed uint64 // of the draws behind ω and the order of the samples in fine-tuning

	InputLo, InputHi []float32 // the box of inputs; default: the ranges over the samples

	// Provenance is kept in the model beside what Fit itself adds under "fit.".
	Provenance model.Provenance

	tuning *tuning // nil: defaultTuning

	// Progress, when not nil, is told of each stage's advance from one goroutine at a time.
	Progress func(stage string, done, total int)
}

// resolved returns the options with defaults filled in, or says what is wrong with them.
func (o Options) resolved(shape *Shape) (Options, error) {
	fail := func(format string, args ...any) (Options, error) {
		return o, fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrOptions)
	}
	setDefault(&o.Structure, Causal)
	if shape.Outputs == 1 { // nothing to decide between
		setDefault(&o.Task, Regression)
	}
	setDefault(&o.Task, Classification)
	if o.Task == Classification {
		setDefault(&o.Decision, model.DecideArgmax)
	}
	setDefault(&o.Decision, model.DecideNone)
	setDefault(&o.Kappa, DefaultKappa)
	setDefault(&o.Pattern, FreePattern)
	setDefault(&o.WeightBits, 8)
	setDefault(&o.tuning, &defaultTuning)
	o.NNZ = min(o.NNZ, maxNonzeros)
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	setDefault(&o.GramBytes, DefaultGramBytes)
	if err := o.resolvePenalty(); err != nil {
		return o, err
	}
	switch {
	case o.GramBytes < 0:
		return fail("%d bytes for the Gram: give a positive number", o.GramBytes)
	case o.NNZ < 0 || o.Size < 0 || o.Steps < 0:
		return fail("%d nonzeros, %d bytes, %d steps: give a positive number", o.NNZ, o.Size, o.Steps)
	case o.goals() > 1:
		return fail("more than one of a number of nonzeros, λ, a size, a drop and steps: give one of them")
	case o.goals() == 0 || o.Lambda != 0 && !(o.Lambda > 0 && !math.IsInf(o.Lambda, 1)) || o.Drop != 0 && !(o.Drop > 0 && o.Drop <= 100):
		return fail("neither a positive number of nonzeros, nor a positive λ (%g), size, drop (%g, in points) or number of steps: give one of them", o.Lambda, o.Drop)
	case o.Size > 0 && o.SizeOf == nil:
		return fail("a size of %d bytes, but nothing that tells a model's size", o.Size)
	case o.Steps > 0 && o.Pattern != WindowPattern:
		return fail("%d steps: they are those of the pattern window; ask for it, or for a number of nonzeros", o.Steps)
	case o.Pattern != FreePattern && o.Pattern != WindowPattern:
		return fail("pattern %q: choose free or window", o.Pattern)
	case o.Pattern == WindowPattern && (o.Lambda != 0 || o.NoRefine):
		return fail("the pattern window with λ or no refinement: it is reached by removing weights; give a number of steps or of nonzeros, and allow refinement")
	case o.Pattern == WindowPattern && o.Epochs == 0 && o.Baseline != "":
		return fail("the pattern window for a pruned teacher is trained for: give a number of epochs above 0")
	case o.WeightBits != 8 && o.WeightBits != 5 && o.WeightBits != 4:
		return fail("weights of %d bits: choose 8, 5 or 4", o.WeightBits)
	case o.Epochs < 0 || o.Epochs > maxEpochs:
		return fail("%d epochs: between 0 and %d are possible", o.Epochs, maxEpochs)
	case o.NoRefine && (o.Epochs > 0 || o.WeightBits != 8 || o.Baseline != ""):
		return fail("no refinement, but fine-tuning, weights of few bits or a baseline: leave one of them out")
	case o.Baseline != "" && o.Baseline != Magnitude && o.Baseline != Saliency:
		return fail("baseline %q: choose magnitude or saliency", o.Baseline)
	case o.Baseline != "" && (o.Structure == Free || o.Lambda != 0):
		return fail("baseline %s: it prunes a causal teacher to a size; leave structure free and λ out", o.Baseline)
	case o.Structure != Causal && o.Structure != Free:
		return fail("structure %q: choose causal or free", o.Structure)
	case o.Structure == Causal && shape.Ranks == nil:
		return fail("causal structure needs the states' ranks, which these states do not carry: add an array rank (one whole number per state: its layer), or choose --structure free")
	case o.Task != Classification && o.Task != Regression:
		return fail("task %q: choose classification or regression", o.Task)
	case o.Decision != model.DecideNone && o.Decision != model.DecideArgmax && o.Decision != model.DecideArgmin:
		return fail("decision %q: choose argmax, argmin or none", o.Decision)
	case !(o.Kappa > 0 && o.Kappa < 1):
		return fail("kappa %g: it must lie between 0 and 1, both excluded", o.Kappa)
	case !(o.Ridge >= 0 && o.Ridge <= 1):
		return fail("ridge %g: it must lie in [0, 1]", o.Ridge)
	}
	if err := o.checkBox(shape.Inputs); err != nil {
		return o, err
	}
	if err := o.checkImage(shape); err != nil {
		return o, err
	}
	return o, o.Supervision.check(shape, o.Task)
}

// maxEpochs keeps a slip of the pen from running for ever.
const maxEpochs = 1 << 20

// maxNonzeros is more than any model has, so that multiples of a number of nonzeros are numbers too.
const maxNonzeros = math.MaxInt / 16

// goals is how many of the ways to say how sparse are used.
func (o *Options) goals() int {
	goals := 0
	for _, given := range []bool{o.NNZ != 0 || o.Steps != 0, o.Lambda != 0, o.Size != 0, o.Drop != 0} {
		if given {
			goals++
		}
	}
	return goals
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
