package main

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/spf13/cobra"
)

// compileReport is what `compile --json` prints.
type compileReport struct {
	File string `json:"file"`
	*compiler.Report
}

type compileFlags struct {
	output, bits, weights, codec, calibrate, box, prove string
	maxError, agreement                                 float64
	sequence                                            uint64
}

func newCompile(e *env) *cobra.Command {
	var flags compileFlags
	command := &cobra.Command{
		Use:   "compile MODEL.sim",
		Short: "Compile a model into one verified file that carries its proofs",
		Long: `Compile turns a float model (.sim, or .npz with dense A, B, C, D) into a .simb file: integers for every
number, a schedule, the exact memory, the largest number of operations and proved error bounds. What
cannot be proved is left out. The same model and options give the same bytes on every machine.`,
		Example: `  simc compile model.sim
  simc compile controller.sim --box box.csv --prove 30s --agreement 0.999
  simc compile controller.sim --bits 14 --weights 16 --box box.csv --prove 30s --max-error 0.01`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runCompile(e, args[0], flags) },
	}
	f := command.Flags()
	f.StringVarP(&flags.output, "output", "o", "", "file to write (default: beside the source, ending in .simb)")
	f.StringVar(&flags.bits, "bits", "auto", "bits of inputs and states: 7, 14, or auto (for models that decide 7 if that costs next to no decisions, else 14)")
	f.StringVar(&flags.weights, "weights", "auto", "bits of weights: 4, 5, 8 (one plane), 16 (two planes), or auto (what the model was trained for, else 8, and 16 in as many rows as the goals need)")
	f.StringVar(&flags.codec, "codec", "packed", "how the file holds its numbers: packed (smallest), prefix (a few percent larger, loads several times as fast), huff0 (for older readers) or raw (usable in place)")
	f.StringVar(&flags.calibrate, "calibrate", "", "data whose training part sets the states' ranges and says what is lost, as --data of fit; or box: samples of the input box, for up to 16 inputs")
	f.StringVar(&flags.box, "box", "", "CSV of the input box: lines lo,hi, one per input (default: the model's own)")
	f.StringVar(&flags.prove, "prove", "", "search for tight error bounds: for a time (30s; bytes depend on the machine) or over a number of parts of the box (4000; 0: undivided)")
	f.Float64Var(&flags.maxError, "max-error", 0, "refuse a model whose proved bound over the box exceeds this")
	f.Float64Var(&flags.agreement, "agreement", 0, "refuse a model whose decisions are the float model's on less than this share, as 0.999, of samples, of --calibrate or of the box")
	f.Uint64Var(&flags.sequence, "sequence", 0, "release counter kept in the file")
	return command
}

func runCompile(e *env, path string, flags compileFlags) error {
	options, err := flags.options()
	if err != nil {
		return err
	}
	if flags.output == "" {
		flags.output = beside(path, ".simb")
	}
	if err := writable(flags.output, path); err != nil {
		return err
	}
	m, source, err := loadFloatModel(path)
	if err != nil {
		return err
	}
	options.SourceHash = sha256.Sum256(source)
	if m, options.Samples, err = flags.prepare(e, m); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	report, err := compileTo(m, options, flags.output)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if e.json {
		return e.emit(compileReport{flags.output, report})
	}
	if e.verbose {
		for _, pass := range report.Passes {
			e.say("%-11s %s", pass.Name, pass.Detail)
		}
	}
	e.say("%s: %d bytes, %d nonzeros, %d bytes of working memory, at most %d multiply-accumulates",
		flags.output, report.FileBytes, report.NNZ, report.RAMBytes, report.MACs)
	return nil
}

// compileTo compiles and writes.
func compileTo(m *model.Model, options compiler.Options, output string) (*compiler.Report, error) {
	data, report, err := compiler.Compile(m, options)
	if err != nil {
		return nil, err
	}
	return report, writeFile(output, data)
}

// options translates the flags for the compiler.
func (f *compileFlags) options() (compiler.Options, error) {
	o := compiler.Options{CalibrateBox: f.calibrate == calibrateBox, MaxError: f.maxError, Agreement: f.agreement, Sequence: f.sequence}
	var known bool
	if o.Bits, known = map[string]int{"auto": 0, "7": 7, "14": 14}[f.bits]; !known {
		return o, usagef("--bits %s: choose auto, 7 or 14", f.bits)
	}
	if o.WeightBits, known = map[string]int{"auto": 0, "4": 4, "5": 5, "8": 8, "16": 16}[f.weights]; !known {
		return o, usagef("--weights %s: choose auto, 4, 5, 8 or 16", f.weights)
	}
	if o.Codec, known = map[string]simb.Codec{"packed": simb.CodecPacked, "prefix": simb.CodecPrefix, "huff0": simb.CodecHuff0, "raw": simb.CodecRaw}[f.codec]; !known {
		return o, usagef("--codec %s: choose packed, prefix, huff0 or raw", f.codec)
	}
	if o.Prove, known = parseProve(f.prove); !known {
		return o, usagef("--prove %s: give a time, as 30s, or a number of boxes, as 4000", f.prove)
	}
	if f.maxError < 0 {
		return o, usagef("--max-error %g: it cannot be negative", f.maxError)
	}
	if !(f.agreement >= 0 && f.agreement <= 1) {
		return o, usagef("--agreement %g: it is a share of samples, up to 1", f.agreement)
	}
	return o, nil
}

// calibrateBox is what --calibrate says for samples of the box.
const calibrateBox = "box"

// parseProve reads --prove: a time or a number of boxes, nothing for no search.
func parseProve(s string) (compiler.Prove, bool) {
	if s == "" {
		return compiler.Prove{}, true
	}
	if boxes, err := strconv.Atoi(s); err == nil {
		return compiler.Prove{On: true, Boxes: boxes}, boxes >= 0
	}
	limit, err := time.ParseDuration(s)
	return compiler.Prove{On: true, Time: limit}, err == nil && limit > 0
}

// prepare applies the declared box and the calibration data to a copy of the model, and returns their samples.
func (f *compileFlags) prepare(e *env, m *model.Model) (*model.Model, []float32, error) {
	changed := *m
	if f.box != "" {
		lo, hi, err := loadBox(f.box, m.Inputs())
		if err != nil {
			return nil, nil, err
		}
		changed.InputLo, changed.InputHi = lo, hi
		changed.StateLo, changed.StateHi = nil, nil // they were seen on another box
	}
	if f.calibrate == "" || f.calibrate == calibrateBox {
		return &changed, nil, nil // the compiler samples the box itself
	}
	set, err := openData(f.calibrate)
	if err != nil {
		return nil, nil, err
	}
	if set.Features != m.Inputs() {
		return nil, nil, usagef("--calibrate %s has %d features, the model %d inputs", f.calibrate, set.Features, m.Inputs())
	}
	samples := clipped(set.Train.X, changed.InputLo, changed.InputHi)
	err = compiler.Calibrate(&changed, samples, e.progress(stage{"calibrate", "samples"}))
	return &changed, samples, err
}

// clipped returns samples as the compiled model sees them: no further out than the input box.
func clipped(samples, lo, hi []float32) []float32 {
	p := len(lo)
	inside := true
	for k, v := range samples {
		inside = inside && v >= lo[k%p] && v <= hi[k%p]
	}
	if inside {
		return samples
	}
	within := make([]float32, len(samples))
	for k, v := range samples {
		within[k] = min(max(v, lo[k%p]), hi[k%p])
	}
	return within
}
