package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/onnx"
	"github.com/sparse-implicit/sim/trainer"
	"github.com/sparse-implicit/sim/trainer/dataset"
	"github.com/sparse-implicit/sim/trainer/teacher"
	"github.com/spf13/cobra"
)

// fitReport is what `fit --json` prints.
type fitReport struct {
	File string `json:"file"`
	*trainer.Report
}

type fitFlags struct {
	teacher, states, data, box, output                       string
	structure, task                                          string
	size, shape, baseline, classWeights, augment, validation string
	rows                                                     rowFlags
	teachers                                                 []string
	nnz, epochs, steps, weightBits                           int
	lambda, kappa, drop, boxPercent                          float64
	noBias, noWeights, noRefine                              bool
	seed                                                     uint64
}

func newFit(e *env) *cobra.Command {
	var flags fitFlags
	command := &cobra.Command{
		Use:   "fit (--teacher T --data D | --states S) (--nnz N | --size 8KiB | --drop 0.5 | --lambda L) -o model.sim",
		Short: "Fit a sparse implicit model to a network's states",
		Long: `Fit runs the teacher on the training part of the data and solves one convex problem per row so that a
sparse implicit model matches its states (state-driven implicit modeling, arXiv 2209.09389), about three
times as large as wanted; it refits the weights that were kept, on the states that the sparse model itself
reaches; then it trains them through the equilibrium, on the labels and the outputs of the teacher (and of
further ones, each a --teacher of its own), while the least useful ones leave. Images are also shown moved
by a pixel. --epochs 0 stops before that: no gradient, no labels.

How sparse: --nnz numbers; or --size of the compiled file; or --drop, the points that the model may lose
against its teacher on a validation part (the training part of --validation, which should be data that the
teacher has not seen either; else a sixth of --data's, which is not fitted to but the teacher knows by heart). A goal that is not met is refused with what was reached. The test part of
the data is never looked at.

--weight-bits 5 or 4 trains for fewer bits a weight, which the compiled file saves. --shape window has the
weights lie so that a SIMD kernel takes them in --steps steps. --baseline prunes the teacher itself, with
the same epochs, to compare with.

--states takes U (p×m), Z and X (n×m) and Y (q×m) from an .npz instead of a teacher; with an array rank
(n whole numbers: the layer of each state) also for a causal structure. States are relu's unless an array
activation (n of: 0 identity, 1 relu, 2 clipped relu, 3 leaky relu, 4 hard tanh, 5 tanh, 6 sigmoid) says
otherwise, with activation_param (n×2: limits, or slope) where these need it. Optional: labels (m classes)
or targets (q×m), what the outputs ought to be.`,
		Example: `  simc fit --teacher teacher.onnx --data builtin:fashion-mini --nnz 5000 -o model.sim
  simc fit --states states.npz --structure free --lambda 0.005 --kappa 0.9 -o model.sim`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runFit(cmd, e, flags) },
	}
	f := command.Flags()
	f.StringArrayVar(&flags.teachers, "teacher", nil, "network to fit to (.onnx), or a causal model that shall become sparser (.sim); further ones are followed in fine-tuning")
	f.StringVar(&flags.data, "data", "", dataHelp)
	f.StringVar(&flags.states, "states", "", ".npz of states, instead of a teacher and data")
	f.IntVar(&flags.nnz, "nnz", 0, "most nonzero numbers of A, B, C, D, b and d together")
	f.StringVar(&flags.size, "size", "", "most bytes of the compiled file, as in 8KiB, 8kB or 8192; instead of --nnz")
	f.Float64Var(&flags.drop, "drop", 0, "most points lost against the teacher on the validation part; instead of --nnz")
	f.StringVar(&flags.validation, "validation", "", "data whose training part is the validation part of --drop (default: a sixth of --data's)")
	f.Float64Var(&flags.lambda, "lambda", 0, "penalty of the row problems, instead of --nnz")
	f.StringVar(&flags.structure, "structure", "causal", "causal (no cycles) or free (‖A‖∞ ≤ κ within cycles)")
	flags.rows.add(command)
	f.Float64Var(&flags.kappa, "kappa", 0, "bound of ‖A‖∞ within cycles, for a free structure (default 0.99)")
	f.StringVar(&flags.task, "task", "", "classification or regression (default: what the data is)")
	f.StringVar(&flags.box, "box", "", "CSV of the input box: lines lo,hi, one per input")
	f.Float64Var(&flags.boxPercent, "box-percentile", 0, "or: leave out so many percent of the samples at either end of each input, and clip them")
	f.IntVar(&flags.epochs, "epochs", autoEpochs, "epochs of fine-tuning; 0: none, -1: by the number of samples")
	f.IntVar(&flags.weightBits, "weight-bits", 8, "bits of a weight to train for: 8, 5 or 4")
	f.StringVar(&flags.shape, "shape", "free", "where weights may lie: free, or window (few steps of a SIMD kernel)")
	f.IntVar(&flags.steps, "steps", 0, "most steps of the shape window, instead of --nnz or beside it")
	f.StringVar(&flags.baseline, "baseline", "", "prune the teacher instead, by magnitude or saliency")
	f.StringVar(&flags.classWeights, "class-weights", "none", "weights of the classes in fine-tuning's loss: none, balanced or sqrt")
	f.StringVar(&flags.augment, "augment", "auto", "show images moved by a pixel while fine-tuning: auto (where the data has images), none")
	f.BoolVar(&flags.noBias, "no-bias", false, "no biases, as in the published problem")
	f.BoolVar(&flags.noWeights, "no-weights", false, "ω = σ = 1, as in the published problem")
	f.BoolVar(&flags.noRefine, "no-refine", false, "nothing after the row problems")
	f.Uint64Var(&flags.seed, "seed", 0, "seed of the draws behind ω, of the order of the samples and of the parts held out")
	f.StringVarP(&flags.output, "output", "o", "model.sim", "file to write")
	return command
}

func runFit(cmd *cobra.Command, e *env, flags fitFlags) error {
	if len(flags.teachers) > 0 {
		flags.teacher = flags.teachers[0]
	}
	if err := flags.check(cmd); err != nil {
		return err
	}
	if err := writable(flags.output, append(flags.teachers, flags.states, flags.data)...); err != nil {
		return err
	}
	job, err := flags.open(e)
	if err != nil {
		return err
	}
	report, err := e.fitTo(cmd.Context(), job, flags.output)
	if err != nil {
		return err
	}
	if job.nonzeros > 0 && report.NNZ >= job.nonzeros {
		e.note("note: the model has %d nonzeros, its teacher %d: ask for fewer, or convert the teacher as it is", report.NNZ, job.nonzeros)
	}
	if e.json {
		return e.emit(fitReport{flags.output, report})
	}
	e.sayFit(flags.output, report, flags.drop)
	return nil
}

// sayFit tells people what was fitted.
func (e *env) sayFit(output string, r *trainer.Report, drop float64) {
	if v := r.Validation; v != nil && 100/float64(v.Samples) > drop {
		e.note("note: one of the %d validation samples is worth %.2g points, more than the drop of %g: give more with --validation", v.Samples, 100/float64(v.Samples), drop)
	}
	if r.NNZBy.A+r.NNZBy.B+r.NNZBy.D == 0 {
		e.note("note: the model does not depend on its inputs: allow more")
	}
	if r.Epochs > 0 && r.Way == trainer.WayConvex {
		e.note("note: the convex fit is left as it is: on a held-out part it decides better than what fine-tuning makes of it")
	}
	switch {
	case r.Bytes > 0:
		e.say("%s: compiles to %d bytes", output, r.Bytes)
	case r.Validation != nil:
		e.say("%s: %.2f %% on %d validation samples, the teacher %.2f %%", output, 100*r.Validation.Model, r.Validation.Samples, 100*r.Validation.Teacher)
	case r.Steps > 0:
		e.say("%s: %d steps", output, r.Steps)
	}
	if r.Baseline != "" {
		e.say("%s: %d nonzeros, the teacher pruned by %s; %.1f s", output, r.NNZ, r.Baseline, r.SecondsTune)
		return
	}
	e.say("%s: %d nonzeros, λ = %.4g, largest duality gap %.2g; %.1f s states, %.1f s rows, %.1f s refits, %.1f s fine-tuning",
		output, r.NNZ, r.Lambda, r.GapMax, r.SecondsGram, r.SecondsRows, r.SecondsRefine, r.SecondsTune)
}

// fitJob is what is to be fitted, and how.
type fitJob struct {
	source   trainer.Source
	options  trainer.Options
	decision model.Decision // of a teacher that declares one; empty: the task's
	nonzeros int            // of the teacher; 0: unknown
}

// openTeacher opens the teacher for a set of data.
func (f *fitFlags) openTeacher(set *dataset.Set) (*fitJob, error) {
	data, err := readFile(f.teacher)
	if err != nil {
		return nil, err
	}
	job, err := teacherJob(f.teacher, data, set)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.teacher, err)
	}
	job.options = trainerOptions(f)
	o := &job.options
	o.Decision = job.decision
	if o.Task == "" && set.Regression() {
		o.Task = trainer.Regression
	}
	o.InputLo, o.InputHi = set.Lo, set.Hi
	if err := f.supervise(job, set); err != nil {
		return nil, err
	}
	o.Provenance = model.Provenance{
		"teacher.sha256": fmt.Sprintf("%x", sha256.Sum256(data)),
		"data.sha256":    fmt.Sprintf("%x", set.Hash), "data.name": filepath.Base(set.Name), // its folder tells of a machine, not of the data
	}
	return job, nil
}

// teacherJob runs a teacher on the training part: a chain of dense layers as it is; a network with skip
// connections, and a causal float model that shall become sparser, as an implicit model.
func teacherJob(path string, data []byte, set *dataset.Set) (*fitJob, error) {
	if strings.EqualFold(filepath.Ext(path), ".sim") {
		m, err := model.Read(data)
		if err != nil {
			return nil, err
		}
		return modelJob(m, m.Decision, set)
	}
	graph, err := onnx.Decode(data)
	if err != nil {
		return nil, err
	}
	network, _, err := teacher.ToNetwork(graph)
	if errors.Is(err, teacher.ErrNotChain) {
		m, _, err := teacher.Convert(graph, teacher.ConvertOptions{})
		if err != nil {
			return nil, err
		}
		return modelJob(m, "", set)
	}
	if err != nil {
		return nil, err
	}
	if err := teaches(network.Inputs, set); err != nil {
		return nil, err
	}
	source, err := trainer.NewNetworkSource(network, set.Train.X)
	return &fitJob{source: source, nonzeros: networkNonzeros(network)}, err
}

func modelJob(m *model.Model, decision model.Decision, set *dataset.Set) (*fitJob, error) {
	if err := teaches(m.Inputs(), set); err != nil {
		return nil, err
	}
	source, err := trainer.NewModelSource(m, set.Train.X)
	return &fitJob{source: source, decision: decision, nonzeros: m.NNZ().Total()}, err
}

// teaches tells why a teacher of so many inputs does not go with a set.
func teaches(inputs int, set *dataset.Set) error {
	if inputs != set.Features {
		return refusedf("it has %d inputs, %s %d features", inputs, set.Name, set.Features)
	}
	return nil
}

// fitTo fits a model and writes it.
func (e *env) fitTo(ctx context.Context, job *fitJob, output string) (*trainer.Report, error) {
	stages := map[string]func(done, total int){}
	job.options.Progress = func(name string, done, total int) {
		if stages[name] == nil {
			stages[name] = e.progress(fitStage(name))
		}
		stages[name](done, total)
	}
	m, report, err := trainer.Fit(ctx, job.source, job.options)
	if err != nil {
		return nil, err
	}
	if job.decision != "" {
		m.Decision = job.decision
	}
	data, err := model.Encode(m)
	if err != nil {
		return nil, err
	}
	return report, writeFile(output, data)
}
