package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/sparse-implicit/sim/format/onnx"
	"github.com/sparse-implicit/sim/trainer/dataset"
	"github.com/sparse-implicit/sim/trainer/teacher"
	"github.com/spf13/cobra"
)

// teachReport is what `teach --json` prints.
type teachReport struct {
	File       string  `json:"file"`
	Parameters int     `json:"parameters"`
	Epochs     int     `json:"epochs"`
	Loss       float64 `json:"loss"`
	Seconds    float64 `json:"seconds"`
}

type teachFlags struct {
	data, task, hidden, classWeights, output string

	epochs  int
	augment bool
	seed    uint64
}

func newTeach(e *env) *cobra.Command {
	var flags teachFlags
	command := &cobra.Command{
		Use:   "teach --data DATA -o teacher.onnx",
		Short: "Train a small multilayer perceptron to be fitted to",
		Long: `Teach trains a multilayer perceptron (relu, AdamW, cosine schedule) on the training part of the data and writes it as ONNX. The same data and seed give the same bytes on any number of cores.

Where some classes are rare, --class-weights balanced makes all classes weigh the same in the loss, sqrt
goes half way; eval tells what that does to the recall of each. Inputs are standardised while training
and the network takes them as they are: raw readings need no scaling of their own.`,
		Example: `  simc teach --data builtin:fashion-mini --hidden 64,32,16 -o teacher.onnx
  simc teach --data beats.npz --hidden 32 --class-weights sqrt -o teacher.onnx`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTeach(cmd.Context(), e, flags) },
	}
	f := command.Flags()
	f.StringVar(&flags.data, "data", "", dataHelp)
	f.StringVar(&flags.task, "task", "", taskHelp)
	f.StringVar(&flags.classWeights, "class-weights", "none", "weights of the classes in the loss: none, balanced or sqrt")
	f.StringVar(&flags.hidden, "hidden", "64,32,16", "widths of the hidden layers")
	f.IntVar(&flags.epochs, "epochs", 0, "passes over the training part (0: chosen by the number of samples)")
	f.BoolVar(&flags.augment, "augment", false, "show images moved by at most a pixel, drawn anew in every epoch")
	f.Uint64Var(&flags.seed, "seed", 0, "seed of initialisation and order")
	f.StringVarP(&flags.output, "output", "o", "teacher.onnx", "file to write")
	return command
}

func runTeach(ctx context.Context, e *env, flags teachFlags) error {
	if err := writable(flags.output, flags.data); err != nil {
		return err
	}
	hidden, err := parseWidths(flags.hidden)
	if err != nil {
		return err
	}
	set, err := openTask(flags.data, flags.task)
	if err != nil {
		return err
	}
	e.noteRead(set)
	report, err := e.teachTo(ctx, set, teacher.Config{
		Hidden: hidden, Epochs: flags.epochs, Seed: flags.seed, ClassWeights: dataset.ClassWeighting(flags.classWeights), Augment: flags.augment,
	}, flags.output)
	if err != nil {
		return err
	}
	if e.json {
		return e.emit(report)
	}
	e.say("%s: %d parameters, %d epochs, training loss %.4f, %.1f s", report.File, report.Parameters, report.Epochs, report.Loss, report.Seconds)
	return nil
}

// teachTo trains a network and writes it.
func (e *env) teachTo(ctx context.Context, set *dataset.Set, c teacher.Config, output string) (*teachReport, error) {
	if c.Epochs < 0 {
		return nil, usagef("--epochs %d: it cannot be negative", c.Epochs)
	}
	began, progress := time.Now(), e.progress(stage{"teach", "epochs"})
	c.Progress = func(epoch, epochs int, _ float64) { progress(epoch, epochs) }
	network, trained, err := teacher.Train(ctx, set, c)
	if err != nil {
		return nil, err
	}
	data, err := onnx.Encode(network.ONNX())
	if err != nil {
		return nil, err
	}
	report := &teachReport{
		File: output, Parameters: trained.Weights, Epochs: trained.Config.Epochs,
		Loss: trained.Loss[len(trained.Loss)-1], Seconds: time.Since(began).Seconds(),
	}
	return report, writeFile(output, data)
}

// parseWidths reads "64,32,16".
func parseWidths(text string) ([]int, error) {
	var widths []int
	for _, field := range strings.Split(text, ",") {
		width, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || width < 1 {
			return nil, usagef("--hidden %s: give positive widths separated by commas, as in 64,32,16", text)
		}
		widths = append(widths, width)
	}
	return widths, nil
}
