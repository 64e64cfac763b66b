package main

import (
	"fmt"
	"strings"

	"github.com/sparse-implicit/sim/format/verify"
	"github.com/spf13/cobra"
)

// verifyReport is what `verify --json` prints.
type verifyReport struct {
	OK            bool           `json:"ok"`
	Checks        []verify.Check `json:"checks"`
	ErrorObserved []float64      `json:"error_observed,omitempty"`
}

func newVerify(e *env) *cobra.Command {
	var against, key string
	var samples int
	var seed uint64
	command := &cobra.Command{
		Use:   "verify MODEL.simb",
		Short: "Re-check every certificate of a compiled model",
		Long: `Verify re-checks what a compiled file claims, from the file alone, by code that shares nothing with the
compiler: structure and digest, schedule, accumulators, memory, operations, reach, well-posedness, error
bounds, Lipschitz constants, tables, self-test. With --against the float model it also re-checks that
the file's residuals bound the difference between the two, and with --samples it compares answers. With
--key the file must be signed with the private half of that key.

Exit code 3 when a check fails.`,
		Example: `  simc verify model.simb
  simc verify model.simb --against model.sim --samples 10000 --seed 1
  simc verify model.simb --key release.pub`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return runVerify(e, args[0], against, key, samples, seed)
		},
	}
	f := command.Flags()
	f.StringVar(&against, "against", "", "the float model (.sim) that the file was compiled from")
	f.StringVar(&key, "key", "", "public key that the file must be signed for (NAME.pub of 'simc keygen')")
	f.IntVar(&samples, "samples", 0, "random inputs of the box to compare; needs --against")
	f.Uint64Var(&seed, "seed", 1, "seed of the samples")
	return command
}

func runVerify(e *env, path, against, key string, samples int, seed uint64) error {
	if samples < 0 || samples > 0 && against == "" {
		return usagef("--samples %d: a number of samples needs --against and cannot be negative", samples)
	}
	report, err := verifyFile(path, against, key, samples, seed)
	if err != nil {
		return err
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
	return nil
}

// verifyFile checks a compiled file, against a float model and a public key too when they are named.
func verifyFile(path, against, key string, samples int, seed uint64) (*verifyReport, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	options := verify.Options{Samples: samples, Seed: seed}
	if key != "" {
		if options.PublicKey, err = loadPublicKey(key); err != nil {
			return nil, err
		}
	}
	if against != "" {
		if options.Against, options.SourceBytes, err = loadFloatModel(against); err != nil {
			return nil, err
		}
	}
	report, err := verify.File(data, options)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &verifyReport{report.OK, report.Checks, report.ErrorObserved}, nil
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
