package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/trainer/dataset"
	"github.com/sparse-implicit/sim/trainer/teacher"
	"github.com/spf13/cobra"
)

// What the demo runs on.
const (
	demoData = "builtin:fashion-mini"
	fullData = "/usr/share/datasets/fashion-mnist" // where Debian's dataset-fashion-mnist installs it
)

// demoHidden and demoNNZ are the teacher and the size of its sparse model: a tenth of the weights.
var demoHidden = []int{64, 32, 16}

const demoNNZ = 5000

type demoFlags struct {
	full        bool
	data, out   string
	nnz, epochs int // epochs of the teacher
	tuning      int // epochs of fine-tuning
	seed        uint64
}

// demoReport is what `demo --json` prints: that of eval, and the seconds of each stage.
type demoReport struct {
	evalReport
	Stages map[string]float64 `json:"stages"`
}

func newDemo(e *env) *cobra.Command {
	var flags demoFlags
	command := &cobra.Command{
		Use:   "demo",
		Short: "The whole job on FashionMNIST: teach, fit, compile, verify, evaluate",
		Long: `Demo trains a small network on the built-in mini FashionMNIST (6,000 + 1,000 images), fits a sparse
implicit model to it, compiles it into one verified file and evaluates all three on the test part. It
leaves teacher.onnx, model.sim and model.simb in the output folder. --full does the same on the whole
FashionMNIST (60,000 + 10,000), from --data or Debian's package dataset-fashion-mnist.`,
		Example: `  simc demo
  simc demo --full --nnz 5000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), e, flags) },
	}
	f := command.Flags()
	f.BoolVar(&flags.full, "full", false, "the whole FashionMNIST instead of the built-in part")
	f.StringVar(&flags.data, "data", "", "data to use instead: "+dataHelp)
	f.StringVar(&flags.out, "out", "simc-demo", "folder for teacher.onnx, model.sim and model.simb; made when missing")
	f.IntVar(&flags.nnz, "nnz", demoNNZ, "nonzero numbers of the sparse model")
	f.IntVar(&flags.epochs, "teach-epochs", 0, "epochs of the teacher (0: chosen by the number of samples)")
	f.IntVar(&flags.tuning, "epochs", autoEpochs, "epochs of fine-tuning, as of fit; 0: none (default: by the number of samples)")
	f.Uint64Var(&flags.seed, "seed", 0, "seed")
	return command
}

func runDemo(ctx context.Context, e *env, flags demoFlags) error {
	if flags.data == "" {
		flags.data = demoData
		if flags.full {
			flags.data = fullData
		}
	}
	if flags.nnz < 1 {
		return refusedf("--nnz %d: a model needs at least one nonzero number", flags.nnz)
	}
	if flags.tuning < autoEpochs {
		return usagef("--epochs %d: it cannot be negative", flags.tuning)
	}
	began := time.Now()
	set, err := openData(flags.data)
	if err != nil {
		if flags.full {
			return fmt.Errorf("%w; install Debian's dataset-fashion-mnist or name the IDX files with --data", err)
		}
		return err
	}
	if err := os.MkdirAll(flags.out, 0o755); err != nil {
		return usagef("the folder %s cannot be made: %w", flags.out, err)
	}
	files := []string{filepath.Join(flags.out, "teacher.onnx"), filepath.Join(flags.out, "model.sim"), filepath.Join(flags.out, "model.simb")}
	for _, file := range files {
		if err := writable(file, flags.data); err != nil {
			return err
		}
	}
	stages, err := e.demoStages(ctx, set, flags, files)
	if err != nil {
		return err
	}
	results, err := e.evaluateAll(ctx, files, set)
	if err != nil {
		return err
	}
	if e.json {
		return e.emit(demoReport{evalReport{results, time.Since(began).Seconds()}, stages})
	}
	if err := e.printResults(results, set, time.Since(began)); err != nil {
		return err
	}
	e.say("teach %.1f s, fit %.1f s, compile %.1f s, verify %.1f s, all %.1f s; the files are in %s", stages["teach"], stages["fit"], stages["compile"], stages["verify"], time.Since(began).Seconds(), flags.out)
	e.say("next: simc inspect %s; simc verify %s --against %s --samples 1000", files[2], files[2], files[1])
	return nil
}

// demoStages makes the three files and tells the seconds of each stage.
func (e *env) demoStages(ctx context.Context, set *dataset.Set, flags demoFlags, files []string) (map[string]float64, error) {
	stages := map[string]float64{}
	clock := time.Now()
	lap := func(stage string) {
		stages[stage] = time.Since(clock).Seconds()
		clock = time.Now()
	}
	if _, err := e.teachTo(ctx, set, teacher.Config{Hidden: demoHidden, Epochs: flags.epochs, Seed: flags.seed}, files[0]); err != nil {
		return nil, err
	}
	lap("teach")
	fit := fitFlags{teacher: files[0], nnz: flags.nnz, seed: flags.seed, epochs: flags.tuning, augment: "auto", classWeights: "none"}
	job, err := fit.openTeacher(set)
	if err != nil {
		return nil, err
	}
	if _, err := e.fitTo(ctx, job, files[1]); err != nil {
		return nil, err
	}
	lap("fit")
	m, written, err := loadFloatModel(files[1])
	if err != nil {
		return nil, err
	}
	report, err := compileTo(m, compiler.Options{Codec: simb.CodecPacked, SourceHash: sha256.Sum256(written)}, files[2])
	if err != nil {
		return nil, err
	}
	lap("compile")
	if e.verbose {
		for _, pass := range report.Passes {
			e.say("%-11s %s", pass.Name, pass.Detail)
		}
	}
	checked, err := verifyFile(files[2], files[1], "", 0, 0)
	if err != nil {
		return nil, err
	}
	if err := checked.failure(files[2]); err != nil {
		return nil, err
	}
	lap("verify")
	return stages, nil
}
