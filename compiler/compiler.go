// Package compiler turns a float model into one verified file: it schedules the equations, chooses
// integers for every number, proves what may be claimed of the result, and encodes it.
//
// It promises that the same model and options give the same bytes on every machine, that every figure
// in the file is proved in a form that format/verify re-checks without a solver, and that what cannot
// be proved is absent. It knows nothing of training or of how an inference is run.
package compiler

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sparse-implicit/sim/compiler/internal/pass"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
)

// Version is what the compiler writes into its files as their origin.
const Version = "simc 0.1"

// Errors that Compile wraps.
var (
	ErrOptions      = errors.New("unusable options")
	ErrNotWellPosed = pass.ErrNotWellPosed // a loop that is not provably a contraction
	ErrUnfit        = pass.ErrUnfit        // a number that the integer semantics cannot hold
	ErrBound        = errors.New("the proved error bound is too large")
	// ErrAgreement: fewer decisions than asked for are those of the float model.
	ErrAgreement = errors.New("the integers decide differently too often")
)

// Options says how to compile. The zero value is a sensible choice.
type Options struct {
	// Bits of inputs and states: 7 or 14; 0 takes 7 for models that decide (argmax, argmin) and 14 for
	// those whose outputs are numbers. Where a goal can be checked (MaxError, Agreement, samples of the
	// box), 0 takes 7 if that meets it with one plane of weights, else 14.
	Bits int
	// WeightBits per weight: 4, 5 or 8 (one plane) or 16 (two planes of 7 bits); 0 takes what the model
	// was trained for, else 8, and two planes for as many rows as the goals need.
	WeightBits int
	// Codec of the streams in the file.
	Codec simb.Codec
	// MaxError, when positive, refuses a model whose proved bound over the box exceeds it in any output
	// (in the outputs' own unit).
	MaxError float64
	// Samples of the inputs (sample-major), on which the integers are held against the model. Without,
	// models of at most 16 inputs and no ranges of data are measured on samples of their box; of those
	// the weights are chosen for decisions equal on 99.95 % and errors up to 1 % of each output's span.
	Samples []float32
	// CalibrateBox takes the states' ranges from samples of the box, for models of at most 16 inputs whose proved
	// ranges are far wider than anything that is reached: steps get finer, and what is beyond is clamped and
	// counted. It replaces the model's own ranges.
	CalibrateBox bool
	// Agreement, when positive, is the share of samples (up to 1) on which the decision has to be the
	// model's; a model that cannot reach it is refused.
	Agreement float64
	// Prove asks for bounds by relaxation too, and for scales that follow from ranges proved by it.
	Prove Prove
	// SourceHash is the SHA-256 of the .sim file, kept in the compiled one.
	SourceHash [32]byte
	// Sequence counts releases of a model.
	Sequence uint64
}

// Prove says how long bounds by relaxation are searched for (package relax): they are tens to millions of times
// tighter than component by component, and take time. Models with loops have none.
type Prove struct {
	On bool
	// Boxes is about how many parts of the input box are bounded; 0: the box as a whole.
	Boxes int
	// Time, when positive, is about how long the search may take, in place of Boxes. What is proved, and so the
	// bytes of the file, then depend on the machine.
	Time time.Duration
}

// PassReport says what one pass did.
type PassReport struct {
	Name   string `json:"name"`
	Detail string `json:"detail"`
}

// WellPosed says by what the equilibrium is proved unique: "causal" (no cycle; Kappa 0), "norm"
// (‖A‖∞ ≤ Kappa) or "perron" (|A|v ≤ Kappa·v with a stored v > 0).
type WellPosed struct {
	Kind  string  `json:"kind"`
	Kappa float64 `json:"kappa"`
}

// Proof says what bounds by relaxation took.
type Proof struct {
	Boxes         int     `json:"boxes"`
	SecondsRanges float64 `json:"seconds_ranges"` // of the states, for their scales
	SecondsBounds float64 `json:"seconds_bounds"`
}

// Report is what compiling found. Bounds are per output, in the outputs' unit; nil when not proved.
type Report struct {
	FileBytes            int           `json:"file_bytes"`
	RAMBytes             int           `json:"ram_bytes"`
	MACs                 uint64        `json:"macs"`
	Levels               int           `json:"levels"`
	Loops                int           `json:"loops"`
	Bits                 int           `json:"bits"`
	NNZ                  int           `json:"nnz"`
	WellPosed            WellPosed     `json:"well_posed"`
	ErrorBoundBox        []float64     `json:"error_bound_box"`
	ErrorBoundCalibrated []float64     `json:"error_bound_calibrated"`
	ErrorBoundRealised   []float64     `json:"error_bound_realised"` // over the box, from the real model that the integers stand for
	Proof                *Proof        `json:"proof"`                // nil without Prove
	Lipschitz            []float64     `json:"lipschitz"`
	Weights              WeightsReport `json:"weights"`
	Passes               []PassReport  `json:"passes"`
}

// Compile compiles a model into the bytes of a .simb file. Errors wrap model.ErrInvalid, ErrOptions,
// ErrNotWellPosed, ErrUnfit, ErrBound or ErrAgreement and come without bytes; with the last two the report
// is there, to say what was reached.
func Compile(m *model.Model, o Options) ([]byte, *Report, error) {
	report := &Report{}
	if err := m.Validate(); err != nil {
		return nil, nil, err
	}
	options, err := o.resolve(m)
	if err != nil {
		return nil, nil, err
	}
	if o.CalibrateBox {
		if m, err = onItsBox(m); err != nil {
			return nil, nil, err
		}
	}
	report.add("validate", fmt.Sprintf("%d inputs, %d states, %d outputs, %d nonzeros", m.Inputs(), m.States(), m.Outputs(), m.NNZ().Total()))
	chosen, err := newSearch(m, o, options)
	if err != nil {
		return nil, nil, err
	}
	best, err := chosen.settle(report)
	if err != nil {
		return nil, nil, err
	}
	program := best.program
	report.weigh(best)
	if err := report.run(step{"self-test", sure(program.Bundle)}); err != nil {
		return nil, nil, err
	}
	compiled := program.Model()
	compiled.Weights = compiled.Weights.Compact()
	compiled.SourceHash, compiled.Compiler, compiled.Sequence = o.SourceHash, Version, o.Sequence
	if loops, _ := compiled.LoopStates(); loops == 0 && o.Codec.Packs() {
		compiled.Certificates = compiled.Certificates.Derive()
	}
	data, err := simb.Encode(compiled, simb.EncodeOptions{Codec: o.Codec})
	if err != nil {
		return nil, nil, fmt.Errorf("encode: %w", err)
	}
	if _, err := simb.Open(data); err != nil {
		return nil, nil, fmt.Errorf("no reader would take the file: %w; --codec raw stores more bytes, which readers relate memory to: %w", err, ErrUnfit)
	}
	report.add("encode", fmt.Sprintf("%d bytes", len(data)))
	report.fill(program, compiled, data)
	if err := errors.Join(report.within(o.MaxError, program, chosen.seenOnData()), chosen.agrees(best)); err != nil {
		return nil, report, err
	}
	return data, report, nil
}

// mostRounds is how often scales are chosen: again where the integers are proved to reach beyond them.
const mostRounds = 3

// step is one pass with its name.
type step struct {
	name string
	run  func() (string, error)
}

// run runs a pass and keeps what it says.
func (r *Report) run(s step) error {
	detail, err := s.run()
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	r.add(s.name, detail)
	return nil
}

func sure(run func() string) func() (string, error) {
	return func() (string, error) { return run(), nil }
}

// resolve checks the options and chooses what was left open.
func (o Options) resolve(m *model.Model) (pass.Options, error) {
	resolved := pass.Options{Planes: 1}
	switch o.Bits {
	case 0:
		resolved.Width = quant.Width7
		if m.Decision == model.DecideNone {
			resolved.Width = quant.Width14
		}
	case 7, 14:
		resolved.Width = quant.Width(o.Bits)
	default:
		return resolved, fmt.Errorf("bits %d: inputs and states have 7 or 14: %w", o.Bits, ErrOptions)
	}
	switch o.WeightBits {
	case 0:
		resolved.Levels = quant.OnePlaneMax
		if m.WeightBits != 0 {
			resolved.Levels = quant.MaxLevel(m.WeightBits)
		}
	case 4, 5, 8:
		resolved.Levels = quant.MaxLevel(o.WeightBits)
	case 16:
		resolved.Planes, resolved.Levels = 2, quant.OnePlaneMax
	default:
		return resolved, fmt.Errorf("weights of %d bits: they have 4, 5, 8 or 16: %w", o.WeightBits, ErrOptions)
	}
	if !(o.Agreement >= 0 && o.Agreement <= 1) {
		return resolved, fmt.Errorf("an agreement of %g: it is a share of samples, up to 1: %w", o.Agreement, ErrOptions)
	}
	if o.Agreement > 0 && m.Decision == model.DecideNone {
		return resolved, fmt.Errorf("an agreement is of decisions, and this model's outputs are numbers: %w", ErrOptions)
	}
	if len(o.Samples) > 0 && (m.Inputs() == 0 || len(o.Samples)%m.Inputs() != 0) {
		return resolved, fmt.Errorf("%d numbers are no samples of %d inputs: %w", len(o.Samples), m.Inputs(), ErrOptions)
	}
	if o.Prove.Boxes < 0 || o.Prove.Time < 0 {
		return resolved, fmt.Errorf("a search of %d boxes in %v: neither can be negative: %w", o.Prove.Boxes, o.Prove.Time, ErrOptions)
	}
	if o.MaxError < 0 || math.IsNaN(o.MaxError) {
		return resolved, fmt.Errorf("a largest error of %g: it must not be negative: %w", o.MaxError, ErrOptions)
	}
	return resolved, nil
}

func (r *Report) add(name, detail string) {
	r.Passes = append(r.Passes, PassReport{name, detail})
}

func (r *Report) fill(program *pass.Program, m *simb.Model, data []byte) {
	r.FileBytes, r.RAMBytes, r.MACs = len(data), m.RAMBytes(), m.MACs()
	r.Bits, r.NNZ = int(m.Width), m.NNZ()
	for _, segment := range m.Schedule {
		if segment.Sweeps > 0 {
			r.Loops++
		} else {
			r.Levels++
		}
	}
	r.WellPosed = WellPosed{program.Wellposed.Kind, float64(m.Certificates.Kappa)}
	c := &m.Certificates
	r.ErrorBoundBox = smaller(c.Box, c.Relaxed)
	r.ErrorBoundCalibrated = smaller(c.Calibrated, c.RelaxedCalibrated, c.Relaxed) // what holds all over the box holds without saturation
	if c.Relaxed != nil {
		r.ErrorBoundRealised = widen(c.Relaxed.Realised)
	}
	if len(m.Certificates.Lipschitz) > 0 {
		r.Lipschitz = widen(m.Certificates.Lipschitz)
	}
}

// within refuses a proved bound above the user's limit, or one that could not be proved. onData: the box reaches farther
// than the states' ranges may.
func (r *Report) within(limit float64, program *pass.Program, onData bool) error {
	if limit == 0 {
		return nil
	}
	if r.ErrorBoundBox == nil {
		return fmt.Errorf("no bound over the box could be proved, so none below %g: declare a smaller box, or scale the model's weights: %w", limit, ErrBound)
	}
	var above []int
	for k, e := range r.ErrorBoundBox {
		if e > limit {
			above = append(above, k)
		}
	}
	if len(above) == 0 {
		return nil
	}
	slices.SortStableFunc(above, func(a, b int) int { return cmp.Compare(r.ErrorBoundBox[b], r.ErrorBoundBox[a]) })
	var outputs []string
	for at, k := range above {
		if at == mostNamed && len(above) > mostNamed+1 {
			outputs = append(outputs, fmt.Sprintf("and %d more outputs by no more than that", len(above)-at))
			break
		}
		text := fmt.Sprintf("output %d may be off by %.4g", k, r.ErrorBoundBox[k])
		if rows := program.Blame(k, 3); len(rows) > 0 && program.Proof.Boxes == 0 { // rows have no share of a bound by relaxation
			text += ", most of it from " + blamed(rows)
		}
		outputs = append(outputs, text)
	}
	advised := advice(program, above[0], onData)
	if program.Proof.Boxes > 0 {
		advised = "let --prove search longer, or declare a smaller box"
		if onData {
			advised = "use --calibrate box, " + advised
		}
	}
	return fmt.Errorf("%d of %d outputs are not proved to stay within %g over the box: %s: %s: %w",
		len(above), len(r.ErrorBoundBox), limit, strings.Join(outputs, "; "), advised, ErrBound)
}

// mostNamed is how many outputs an error names with the rows to blame, those with the largest bounds.
const mostNamed = 10

// blamed lists rows and their parts of a bound.
func blamed(rows []pass.Blame) string {
	var parts []string
	for _, b := range rows {
		where := "the output's own row"
		if b.State >= 0 {
			where = fmt.Sprintf("state %d", b.State)
		}
		parts = append(parts, fmt.Sprintf("%s (%.0f %%, %s)", where, 100*b.Share, b.Cause))
	}
	return strings.Join(parts, ", ")
}

// advice says what lessens the largest part of output k's bound.
func advice(program *pass.Program, k int, onData bool) string {
	largest := program.Blame(k, 1)
	switch {
	case len(largest) == 0:
	case largest[0].Cause == pass.CauseWeights && program.Options.Planes == 1:
		return "use --weights 16, or declare a smaller box"
	case largest[0].Cause == pass.CauseClamping && onData:
		return "use --calibrate box, or declare a smaller box"
	case largest[0].Cause == pass.CauseClamping:
		return "calibrate it on data that reach farther, or declare a smaller box"
	case largest[0].Cause != pass.CauseWeights && program.Options.Width == quant.Width7:
		return "use --bits 14, or declare a smaller box"
	}
	return "declare a smaller box"
}

func widen(values []float32) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}
