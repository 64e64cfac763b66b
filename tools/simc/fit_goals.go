package main

import (
	"crypto/sha256"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/trainer"
	"github.com/sparse-implicit/sim/trainer/dataset"
	"github.com/spf13/cobra"
)

// autoEpochs has the number of samples decide.
const autoEpochs = -1

// check refuses flags that contradict each other or say nothing.
func (f *fitFlags) check(cmd *cobra.Command) error {
	changed := cmd.Flags().Changed
	var goals []string
	for _, name := range []string{"nnz", "size", "drop", "lambda", "steps"} {
		if changed(name) && !(name == "steps" && changed("nnz")) {
			goals = append(goals, "--"+name)
		}
	}
	switch {
	case (f.teacher == "") == (f.states == ""):
		return usagef("give either --teacher with --data, or --states")
	case changed("nnz") && f.nnz < 1:
		return refusedf("--nnz %d: a model needs at least one nonzero number; give a positive count", f.nnz)
	case changed("steps") && f.steps < 1:
		return refusedf("--steps %d: a model needs at least one step; give a positive number", f.steps)
	case changed("drop") && !(f.drop > 0 && f.drop <= 100):
		return refusedf("--drop %g: give the points that may be lost, more than 0 and at most 100", f.drop)
	case len(goals) == 0 && !f.rows.exact():
		return usagef("say how sparse: --nnz N, --size 8KiB, --drop 0.5, --lambda L, or --steps N of --shape window")
	case len(goals) > 1:
		return usagef("%s: give one of them", strings.Join(goals, " and "))
	case f.teacher != "" && f.data == "":
		return usagef("--data is missing: the teacher is run on its training part")
	case f.states != "" && f.data != "":
		return usagef("--states brings its own samples: leave --data out")
	case len(f.teachers) > 1 && f.epochs == 0:
		return usagef("--teacher %s: further teachers are followed in fine-tuning; leave them out with --epochs 0", f.teachers[1])
	case f.validation != "" && f.drop == 0:
		return usagef("--validation is for --drop; give that, or leave it out")
	case f.validation != "" && f.states != "":
		return usagef("--validation needs a teacher that can be run on it; states bring no such: leave it out, a sixth of them is taken")
	case f.epochs < autoEpochs:
		return usagef("--epochs %d: it cannot be negative", f.epochs)
	case f.noRefine && f.epochs > 0:
		return usagef("--no-refine --epochs %d: nothing after the rows, or fine-tuning; leave one out", f.epochs)
	case f.box != "" && f.boxPercent != 0:
		return usagef("both --box and --box-percentile: give one of them")
	case f.augment != "auto" && f.augment != "none":
		return usagef("--augment %s: choose auto or none", f.augment)
	}
	if f.size == "" {
		return nil
	}
	_, err := parseSize(f.size)
	return err
}

// parseSize reads a number of bytes: 8192, 8KiB, 8kB, 1.5MiB.
func parseSize(text string) (int, error) {
	number, unit := strings.TrimSpace(text), 1.0
	for _, u := range []struct {
		suffix string
		bytes  float64
	}{{"kib", 1 << 10}, {"mib", 1 << 20}, {"kb", 1e3}, {"mb", 1e6}, {"k", 1 << 10}, {"m", 1 << 20}, {"b", 1}} {
		if strings.HasSuffix(strings.ToLower(number), u.suffix) {
			number, unit = strings.TrimSpace(number[:len(number)-len(u.suffix)]), u.bytes
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if size := v * unit; err == nil && size >= 1 && size < 1<<31 {
		return int(math.Floor(size)), nil
	}
	return 0, usagef("--size %s: give bytes, as in 8192, 8KiB or 8kB", text)
}

// open opens what is to be fitted and translates the flags.
func (f *fitFlags) open(e *env) (*fitJob, error) {
	if f.states != "" {
		return openStates(f)
	}
	set, err := openTask(f.data, f.task)
	if err != nil {
		return nil, err
	}
	e.noteRead(set)
	if set, err = f.boxed(e, set); err != nil {
		return nil, err
	}
	return f.openTeacher(set)
}

// superviseStates gives fine-tuning the task that states may bring.
func (f *fitFlags) superviseStates(source *trainer.StatesSource, o *trainer.Options) (err error) {
	if source.Labels() == nil && source.Targets() == nil {
		if f.classWeights != "none" {
			return usagef("--class-weights %s: the states bring no labels: add an array labels, or leave it out", f.classWeights)
		}
		return nil
	}
	o.Supervision = &trainer.Supervision{Labels: source.Labels(), Targets: source.Targets()}
	o.Supervision.Weights, err = f.weights(source.Labels(), source.Shape().Outputs)
	return err
}

// trainerOptions translates the flags that need no file.
func trainerOptions(f *fitFlags) trainer.Options {
	o := trainer.Options{
		NNZ: f.nnz, Lambda: f.lambda, Drop: f.drop, Steps: f.steps,
		Structure: trainer.Structure(f.structure), Pattern: trainer.Pattern(f.shape),
		Baseline: trainer.Baseline(f.baseline), WeightBits: f.weightBits,
		Kappa: f.kappa, NoBias: f.noBias, NoWeights: f.noWeights, NoRefine: f.noRefine, Seed: f.seed, Task: trainer.Task(f.task),
	}
	f.rows.set(&o)
	if f.size != "" {
		o.Size, _ = parseSize(f.size) // checked with the flags
		o.SizeOf = compiledSize
	}
	return o
}

// compiledSize is how many bytes compile writes for a model with its default options: the hash of the model's
// own file is among them.
func compiledSize(m *model.Model) (int, error) {
	source, err := model.Encode(m)
	if err != nil {
		return 0, err
	}
	data, _, err := compiler.Compile(m, compiler.Options{Codec: simb.CodecPacked, SourceHash: sha256.Sum256(source)})
	return len(data), err
}

// chooseEpochs fills in the epochs of fine-tuning.
func (f *fitFlags) chooseEpochs(o *trainer.Options, samples int) {
	o.Epochs = max(f.epochs, 0)
	if f.epochs == autoEpochs && !f.noRefine && !f.rows.exact() { // what matches exactly is to stay so
		o.Epochs = trainer.DefaultEpochs(samples)
	}
}

// supervise gives fine-tuning and validation the task of a set.
func (f *fitFlags) supervise(job *fitJob, set *dataset.Set) (err error) {
	o := &job.options
	f.chooseEpochs(o, job.source.Shape().Samples)
	if o.Supervision, err = f.supervision(set, job.source.Shape().Outputs); err != nil {
		return err
	}
	if f.augment == "auto" {
		o.Image = set.Image
	}
	for _, path := range f.teachers[min(1, len(f.teachers)):] {
		further, err := openTeacherJob(path, set)
		if err != nil {
			return err
		}
		if (further.decision == model.DecideArgmin) != (job.decision == model.DecideArgmin) {
			return refusedf("%s decides by %s, %s does not: teachers that are followed together must decide alike", path, further.decision, f.teacher)
		}
		o.Ensemble = append(o.Ensemble, further.source)
	}
	if f.validation == "" {
		return nil
	}
	validation, err := openTask(f.validation, f.task)
	if err != nil {
		return err
	}
	if o.InputLo != nil && len(o.InputLo) == validation.Features {
		validation = validation.Within(o.InputLo, o.InputHi)
	}
	on, err := openTeacherJob(f.teacher, validation)
	if err != nil {
		return err
	}
	supervision, err := f.supervision(validation, on.source.Shape().Outputs)
	if err == nil && (supervision == nil) != (o.Supervision == nil) {
		return refusedf("%s is not for the task of %s: its labels are of %d classes or targets, the teacher has %d outputs", f.validation, f.data, validation.Outputs, on.source.Shape().Outputs)
	}
	o.Validation = &trainer.Validation{Source: on.source, Supervision: supervision}
	return err
}

// openTeacherJob opens a teacher on the training part of a set.
func openTeacherJob(path string, set *dataset.Set) (*fitJob, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	job, err := teacherJob(path, data, set)
	if err != nil {
		return nil, fmt.Errorf("%s on %s: %w", path, set.Name, err)
	}
	return job, nil
}

// supervision is the task of a set, nil where it is not that of a teacher with so many outputs.
func (f *fitFlags) supervision(set *dataset.Set, outputs int) (*trainer.Supervision, error) {
	if outputs != set.Outputs {
		if f.classWeights != "none" {
			return nil, usagef("--class-weights %s: the teacher has %d outputs, %s %d classes: leave it out", f.classWeights, outputs, set.Name, set.Classes)
		}
		return nil, nil
	}
	s := &trainer.Supervision{Labels: set.Train.Labels, Targets: set.Train.Targets}
	var err error
	s.Weights, err = f.weights(set.Train.Labels, outputs)
	return s, err
}

// weights are those of the classes in the loss, nil when all are 1.
func (f *fitFlags) weights(labels []int32, classes int) ([]float32, error) {
	if f.classWeights == "none" || f.classWeights == "" {
		return nil, nil
	}
	if labels == nil {
		return nil, usagef("--class-weights %s: a regression has no classes; leave it out", f.classWeights)
	}
	weights, err := dataset.ClassWeights(labels, classes, dataset.ClassWeighting(f.classWeights))
	if err != nil {
		return nil, usageError{fmt.Errorf("--class-weights %s: %w", f.classWeights, err)}
	}
	out := make([]float32, classes)
	for c, w := range weights {
		out[c] = float32(w)
	}
	return out, nil
}
