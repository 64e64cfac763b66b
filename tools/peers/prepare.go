package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sparse-implicit/sim/format/onnx"
	"github.com/sparse-implicit/sim/trainer/dataset"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// What is compared where flags do not say: Debian's dataset-fashion-mnist and a network of a size between those of
// FINDINGS, taught and fitted for a few epochs: times depend on sizes, and accuracies are shown.
const (
	fashionMNIST = "/usr/share/datasets/fashion-mnist"
	fashionMini  = "builtin:fashion-mini"
	hidden       = "128,64"
	teachEpochs  = "5"
	fitEpochs    = "5"
)

// job is a comparison: networks, samples and the peers that are here.
type job struct {
	flags     flags
	say       func(format string, arguments ...any)
	set       *dataset.Set
	network   *teacher.Network
	teacher   string   // its file
	models    []string // .simb
	libraries libraries
}

// prepare makes what is missing and reads it.
func prepare(ctx context.Context, f flags, say func(string, ...any)) (*job, error) {
	j := &job{flags: f, say: say, teacher: f.teacher, models: f.models}
	data := f.data
	if data == "" {
		data = fashionMNIST
		if _, err := os.Stat(data); err != nil {
			data = fashionMini
			say("%s is not here, %s is taken instead; Debian's package dataset-fashion-mnist has it", fashionMNIST, fashionMini)
		}
	}
	if err := j.make(ctx, data); err != nil {
		return nil, err
	}
	var err error
	if j.set, err = dataset.Open(data, dataset.Options{}); err != nil {
		return nil, err
	}
	if j.set.Regression() {
		return nil, errors.New("the peers are compared on classifications alone")
	}
	content, err := os.ReadFile(j.teacher)
	if err != nil {
		return nil, err
	}
	graph, err := onnx.Decode(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.teacher, err)
	}
	if j.network, _, err = teacher.ToNetwork(graph); err != nil {
		return nil, fmt.Errorf("%s: %w", j.teacher, err)
	}
	if j.network.Inputs != j.set.Features {
		return nil, fmt.Errorf("%s takes %d inputs, %s has %d", j.teacher, j.network.Inputs, data, j.set.Features)
	}
	return j, nil
}

// make teaches, fits and compiles what flags do not name and --dir does not have.
func (j *job) make(ctx context.Context, data string) error {
	if j.teacher != "" && len(j.models) > 0 {
		return nil
	}
	seed := strconv.FormatUint(j.flags.seed, 10)
	if j.teacher == "" {
		j.teacher = filepath.Join(j.flags.dir, "teacher.onnx")
		if err := j.simc(ctx, j.teacher, "teach", "--data", data, "--hidden", hidden, "--epochs", teachEpochs, "--seed", seed); err != nil {
			return err
		}
	}
	name := filepath.Join(j.flags.dir, "model"+strconv.Itoa(j.flags.nnz))
	if err := j.simc(ctx, name+".sim", "fit", "--teacher", j.teacher, "--data", data, "--nnz", strconv.Itoa(j.flags.nnz), "--epochs", fitEpochs, "--seed", seed); err != nil {
		return err
	}
	j.models = []string{name + ".simb"}
	return j.simc(ctx, name+".simb", "compile", "--bits", "7", name+".sim")
}

// simc runs the command of the module that this one replaces, unless its output is there.
func (j *job) simc(ctx context.Context, output string, arguments ...string) error {
	if _, err := os.Stat(output); err == nil {
		return nil
	}
	root, err := goCommand(ctx, "list", "-m", "-f", "{{.Dir}}", "github.com/sparse-implicit/sim")
	if err != nil {
		return err
	}
	if output, err = filepath.Abs(output); err != nil {
		return err
	}
	j.say("simc %s", strings.Join(arguments, " "))
	_, err = goCommand(ctx, append(append([]string{"run", "-C", root, "./tools/simc", "-q"}, absolute(arguments)...), "-o", output)...)
	return err
}

// absolute makes the names of files in arguments hold in another folder.
func absolute(arguments []string) []string {
	var changed []string
	for _, a := range arguments {
		if _, err := os.Stat(a); err == nil {
			if full, err := filepath.Abs(a); err == nil {
				a = full
			}
		}
		changed = append(changed, a)
	}
	return changed
}

// goCommand runs the go command and returns what it prints.
func goCommand(ctx context.Context, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", strings.Join(arguments, " "), err)
	}
	return strings.TrimSpace(string(output)), nil
}
