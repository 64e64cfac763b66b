package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/verify"
	"github.com/spf13/cobra"
)

// verifyReport is what `verify --json` prints.
type verifyReport struct {
	OK            bool           `json:"ok"`
	Checks        []verify.Check `json:"checks"`
	ErrorObserved []float64      `json:"error_observed,omitempty"`

	Inputs           []*verify.Proof `json:"inputs,omitempty"`
	ProvedEqualShare *float64        `json:"proved_equal_share,omitempty"`

	data   []byte       // that the checks were made of
	source *model.Model // that they were made against, or nil
}

// verifyFlags are the flags of verify.
type verifyFlags struct {
	against string
	key     string
	samples int
	seed    uint64
	input   string
	radius  bool
}

func newVerify(e *env) *cobra.Command {
	var o verifyFlags
	command := &cobra.Command{
		Use:   "verify MODEL.simb",
		Short: "Re-check every certificate of a compiled model",
		Long: `Verify re-checks what a compiled file claims, from the file alone, by code that shares nothing with the
compiler: structure and digest, schedule, accumulators, memory, operations, reach, well-posedness, error
bounds, Lipschitz constants, tables, self-test. With --against the float model it also re-checks that
the file's residuals bound the difference between the two, and with --samples it compares answers. With
--key the file must be signed with the private half of that key.

With --input it also proves what holds at each row of inputs (CSV or NPY, as run reads them): decision,
margin, how far inputs within the box may move before the decision can change (by the file's Lipschitz
constants; with --radius also by relaxation, which is larger and takes longer, to 1/32 of itself), and with
--against whether the float model decides the same there and how far each output can be off.

Exit code 3 when a check fails.`,
		Example: `  simc verify model.simb
  simc verify model.simb --against model.sim --samples 10000 --seed 1
  simc verify model.simb --key release.pub
  simc verify model.simb --against model.sim --input frames.csv --radius --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runVerify(cmd.Context(), e, args[0], o)
		},
	}
	f := command.Flags()
	f.StringVar(&o.against, "against", "", "the float model (.sim) that the file was compiled from")
	f.StringVar(&o.key, "key", "", "public key that the file must be signed for (NAME.pub of 'simc keygen')")
	f.IntVar(&o.samples, "samples", 0, "random inputs of the box to compare; needs --against")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the samples")
	f.StringVar(&o.input, "input", "", "rows of inputs to prove at, CSV or NPY; - is standard input")
	f.BoolVar(&o.radius, "radius", false, "prove by relaxation how far each decision holds; needs --input")
	return command
}

func runVerify(ctx context.Context, e *env, path string, o verifyFlags) error {
	if o.samples < 0 || o.samples > 0 && o.against == "" {
		return usagef("--samples %d: a number of samples needs --against and cannot be negative", o.samples)
	}
	if o.radius && o.input == "" {
		return usagef("--radius: there is nothing to prove it at; give --input")
	}
	report, err := verifyFile(path, o)
	if err != nil {
		return err
	}
	if o.input != "" && report.OK {
		if report.Inputs, err = e.proveInputs(ctx, report, o); err != nil {
			return err
		}
		report.ProvedEqualShare = equalShare(report.Inputs)
	}
	if e.json {
		if err := e.emit(report); err != nil {
			return err
		}
		return report.failure(path)
	}
	for _, check := range report.Checks {
		mark := "ok  "
		if !check.OK {
			mark = "FAIL"
		}
		e.say("%s %-22s %s", mark, check.Name, check.Detail)
	}
	if err := report.failure(path); err != nil {
		return err
	}
	e.say("%s: all %d checks hold", path, len(report.Checks))
	if o.input != "" {
		e.sayInputs(o.input, report.Inputs, report.ProvedEqualShare)
	}
	return nil
}

// verifyFile checks a compiled file, against a float model and a public key too when they are named.
func verifyFile(path string, o verifyFlags) (*verifyReport, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	options := verify.Options{Samples: o.samples, Seed: o.seed}
	if o.key != "" {
		if options.PublicKey, err = loadPublicKey(o.key); err != nil {
			return nil, err
		}
	}
	if o.against != "" {
		if options.Against, options.SourceBytes, err = loadFloatModel(o.against); err != nil {
			return nil, err
		}
	}
	report, err := verify.File(data, options)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &verifyReport{OK: report.OK, Checks: report.Checks, ErrorObserved: report.ErrorObserved, data: data, source: options.Against}, nil
}

// failure is the error of a report with checks that failed, or nil.
func (r *verifyReport) failure(path string) error {
	if r.OK {
		return nil
	}
	var failed []string
	for _, check := range r.Checks {
		if !check.OK {
			failed = append(failed, check.Name)
		}
	}
	return refusedf("%s: %d of %d checks failed: %s", path, len(failed), len(r.Checks), strings.Join(failed, ", "))
}
