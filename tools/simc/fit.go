package main

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/npz"
	"github.com/sparse-implicit/sim/trainer"
	"github.com/sparse-implicit/sim/trainer/dataset"
	"github.com/spf13/cobra"
)

// fitReport is what `fit --json` prints.
type fitReport struct {
	File string `json:"file"`
	*trainer.Report
}

type fitFlags struct {
	teacher, states, data, box, output string
	structure, penalty, task           string
	nnz, epochs                        int
	lambda, kappa                      float64
	noBias, noWeights, noRefine        bool
	seed                               uint64
}

func newFit(e *env) *cobra.Command {
	var flags fitFlags
	command := &cobra.Command{
		Use:   "fit (--teacher T --data D | --states S) (--nnz N | --lambda L) -o model.sim",
		Short: "Fit a sparse implicit model to a network's states",
		Long: `Fit runs the teacher on the training part of the data and solves one convex problem per row so that a
sparse implicit model matches its states (state-driven implicit modeling, arXiv 2209.09389); then it
refits the weights that were kept, on the states that the sparse model itself reaches.

--states takes U (p×m), Z and X (n×m) and Y (q×m) from an .npz instead of a teacher.`,
		Example: `  simc fit --teacher teacher.onnx --data builtin:fashion-mini --nnz 5000 -o model.sim
  simc fit --states states.npz --structure free --lambda 0.005 --kappa 0.9 -o model.sim`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runFit(cmd, e, flags) },
	}
	f := command.Flags()
	f.StringVar(&flags.teacher, "teacher", "", "network to fit to (.onnx)")
	f.StringVar(&flags.data, "data", "", dataHelp)
	f.StringVar(&flags.states, "states", "", ".npz of states, instead of a teacher and data")
	f.IntVar(&flags.nnz, "nnz", 0, "most nonzero numbers of A, B, C, D, b and d together")
	f.Float64Var(&flags.lambda, "lambda", 0, "penalty of the row problems, instead of --nnz")
	f.StringVar(&flags.structure, "structure", "causal", "causal (no cycles) or free (‖A‖∞ ≤ κ)")
	f.StringVar(&flags.penalty, "penalty", "l1", "penalty of the row problems: l1")
	f.Float64Var(&flags.kappa, "kappa", 0, "bound of ‖A‖∞ for a free structure (default 0.99)")
	f.StringVar(&flags.task, "task", "", "classification or regression (default: what the data is)")
	f.StringVar(&flags.box, "box", "", "CSV of the input box: lines lo,hi, one per input")
	f.IntVar(&flags.epochs, "epochs", 0, "epochs of fine-tuning; this release has none, only 0 is taken")
	f.BoolVar(&flags.noBias, "no-bias", false, "no biases, as in the published problem")
	f.BoolVar(&flags.noWeights, "no-weights", false, "ω = σ = 1, as in the published problem")
	f.BoolVar(&flags.noRefine, "no-refine", false, "nothing after the row problems")
	f.Uint64Var(&flags.seed, "seed", 0, "seed of the draws behind ω")
	f.StringVarP(&flags.output, "output", "o", "model.sim", "file to write")
	return command
}

func runFit(cmd *cobra.Command, e *env, flags fitFlags) error {
	switch {
	case (flags.teacher == "") == (flags.states == ""):
		return usagef("give either --teacher with --data, or --states")
	case cmd.Flags().Changed("nnz") && flags.nnz < 1:
		return refusedf("--nnz %d: a model needs at least one nonzero number; give a positive count", flags.nnz)
	case flags.nnz == 0 && flags.lambda == 0:
		return usagef("say how sparse: --nnz N or --lambda L")
	case flags.epochs != 0:
		return usagef("--epochs %d: this release fits without fine-tuning; leave it at 0", flags.epochs)
	}
	if err := writable(flags.output); err != nil {
		return err
	}
	source, options, err := flags.open()
	if err != nil {
		return err
	}
	report, err := e.fitTo(cmd.Context(), source, options, flags.output)
	if err != nil {
		return err
	}
	if e.json {
		return e.emit(fitReport{flags.output, report})
	}
	e.say("%s: %d nonzeros, λ = %.4g, largest duality gap %.2g; %.1f s moments, %.1f s rows, %.1f s refits",
		flags.output, report.NNZ, report.Lambda, report.GapMax, report.SecondsGram, report.SecondsRows, report.SecondsRefine)
	return nil
}

// open opens what is to be fitted and translates the flags.
func (f *fitFlags) open() (trainer.Source, trainer.Options, error) {
	o := trainerOptions(f)
	if f.states != "" {
		source, err := openStates(f.states, &o)
		if err == nil && f.box != "" {
			o.InputLo, o.InputHi, err = loadBox(f.box, source.Shape().Inputs)
		}
		return source, o, err
	}
	set, err := openData(f.data)
	if err != nil {
		return nil, o, err
	}
	return f.openTeacher(set, o)
}

// trainerOptions translates the flags that need no file.
func trainerOptions(f *fitFlags) trainer.Options {
	return trainer.Options{
		NNZ: f.nnz, Lambda: f.lambda, Structure: trainer.Structure(f.structure), Penalty: trainer.Penalty(f.penalty),
		Kappa: f.kappa, NoBias: f.noBias, NoWeights: f.noWeights, NoRefine: f.noRefine, Seed: f.seed, Task: trainer.Task(f.task),
	}
}

// openTeacher opens the teacher for a set of data.
func (f *fitFlags) openTeacher(set *dataset.Set, o trainer.Options) (trainer.Source, trainer.Options, error) {
	network, bytes, err := loadNetwork(f.teacher)
	if err != nil {
		return nil, o, err
	}
	if network.Inputs != set.Features {
		return nil, o, refusedf("%s has %d inputs, %s %d features", f.teacher, network.Inputs, set.Name, set.Features)
	}
	source, err := trainer.NewNetworkSource(network, set.Train.X)
	if err != nil {
		return nil, o, fmt.Errorf("%s: %w", f.teacher, err)
	}
	if o.Task == "" && set.Regression() {
		o.Task = trainer.Regression
	}
	o.InputLo, o.InputHi = set.Lo, set.Hi
	if f.box != "" {
		if o.InputLo, o.InputHi, err = loadBox(f.box, set.Features); err != nil {
			return nil, o, err
		}
	}
	o.Provenance = model.Provenance{
		"teacher.sha256": fmt.Sprintf("%x", sha256.Sum256(bytes)),
		"data.sha256":    fmt.Sprintf("%x", set.Hash), "data.name": set.Name,
	}
	return source, o, nil
}

// openStates reads the states of somebody else's network.
func openStates(path string, o *trainer.Options) (trainer.Source, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	archive, err := npz.Read(data, npz.Limits{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	source, err := trainer.ReadStates(archive, model.Activation{Kind: model.ReLU})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	o.Provenance = model.Provenance{"states.sha256": fmt.Sprintf("%x", sha256.Sum256(data))}
	return source, nil
}

// fitTo fits a model and writes it.
func (e *env) fitTo(ctx context.Context, source trainer.Source, o trainer.Options, output string) (*trainer.Report, error) {
	stages := map[string]func(done, total int){}
	o.Progress = func(stage string, done, total int) {
		if stages[stage] == nil {
			stages[stage] = e.progress("fit: " + stage)
		}
		stages[stage](done, total)
	}
	m, report, err := trainer.Fit(ctx, source, o)
	if err != nil {
		return nil, err
	}
	data, err := model.Encode(m)
	if err != nil {
		return nil, err
	}
	return report, writeFile(output, data)
}
