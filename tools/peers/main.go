// Command peers times compiled models beside what a user would pick instead: ONNX Runtime and XNNPACK, on the
// same machine, the same teacher and the same inputs, interleaved in one run, one thread, one sample at a time:
//
//	cd tools/peers && go run . --install
//
// It takes about a minute. Without flags it teaches a network on FashionMNIST (the built-in part where Debian's
// dataset-fashion-mnist is missing), fits and compiles a sparse model of it, quantises the network for the peers
// and times everything, then a large network beside sparse models of its kind. Peers that are not installed are left
// out, with a line that says how to get them: both libraries are opened at run time. --install lets npm fetch ONNX
// Runtime into --dir. XNNPACK is Debian 12's of 2022-02, which does not use VNNI.
//
// Engines that take floats are compared with Infer, those that take integers with InferQ7 or InferQ14. Every
// engine runs in its best way: graphs optimised, buffers allocated before, no thread but the calling one. Machines
// are shared, so a ratio is the median of the ratios of single rounds, in which the engines take turns.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
)

// flags is what the command line says.
type flags struct {
	teacher     string
	models      list
	data        string
	dir         string
	onnxruntime string
	xnnpack     string
	install     bool
	large       bool
	json        bool
	nnz         int
	batch       int
	seconds     float64
	seed        uint64
}

// list is a flag that may be given more than once.
type list []string

// String joins what was given with spaces.
func (l *list) String() string { return strings.Join(*l, " ") }

// Set adds a value.
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

func main() {
	if len(os.Args) == 3 && os.Args[1] == processArgument {
		exit(measureProcess(os.Args[2], os.Stdout))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func parse(arguments []string, stderr io.Writer) (flags, error) {
	var f flags
	set := flag.NewFlagSet("peers", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.StringVar(&f.teacher, "teacher", "", "network that the peers run, .onnx (default: one that is taught first)")
	set.Var(&f.models, "model", "compiled model of it, .simb; may be repeated (default: one that is fitted first)")
	set.StringVar(&f.data, "data", "", "data, as of simc (default: FashionMNIST)")
	set.StringVar(&f.dir, "dir", "", "folder for what is made; what is there is used again (default: a temporary one)")
	set.StringVar(&f.onnxruntime, "onnxruntime", "", "libonnxruntime.so (default: in --dir, else the system's)")
	set.StringVar(&f.xnnpack, "xnnpack", "", "libXNNPACK.so (default: the system's)")
	set.BoolVar(&f.install, "install", false, "let npm fetch ONNX Runtime (the package onnxruntime-node) into --dir")
	set.BoolVar(&f.large, "large", true, "also a large network, 3072-1024-1024-100, against sparse models of its kind")
	set.BoolVar(&f.json, "json", false, "print one JSON object")
	set.IntVar(&f.nnz, "nnz", 5000, "nonzeros of the model that is fitted")
	set.IntVar(&f.batch, "batch", 64, "also batches of so many samples; 0: none")
	set.Float64Var(&f.seconds, "seconds", 5, "time for each table, about")
	set.Uint64Var(&f.seed, "seed", 0, "seed of what is taught, fitted and drawn")
	err := set.Parse(arguments)
	switch {
	case err != nil:
		return f, err
	case set.NArg() > 0:
		return f, fmt.Errorf("%q is no flag", set.Arg(0))
	case len(f.models) > 0 && f.teacher == "":
		return f, errors.New("--model needs the --teacher that the peers run")
	case f.nnz < 1 || f.batch < 0 || f.seconds <= 0:
		return f, errors.New("--nnz and --seconds are positive, --batch is not negative")
	}
	return f, nil
}

func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) error {
	f, err := parse(arguments, stderr)
	if err != nil {
		return err
	}
	began := time.Now()
	if f.dir == "" {
		if f.dir, err = os.MkdirTemp("", "peers"); err != nil {
			return err
		}
		defer os.RemoveAll(f.dir)
	} else if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return err
	}
	say := func(format string, arguments ...any) { fmt.Fprintf(stderr, format+"\n", arguments...) }
	job, err := prepare(ctx, f, say)
	if err != nil {
		return err
	}
	if f.install {
		if err := install(ctx, f.dir, say); err != nil {
			return err
		}
	}
	job.libraries = findLibraries(f)
	report := report{Machine: machine(), Peers: job.libraries.found, Skipped: job.libraries.skipped}
	for _, compare := range []func(context.Context) (*table, error){job.single, job.batched, job.large} {
		table, err := compare(ctx)
		if err != nil {
			return err
		}
		if table != nil {
			report.Tables = append(report.Tables, table)
		}
	}
	report.Seconds = time.Since(began).Seconds()
	if f.json {
		return json.NewEncoder(stdout).Encode(report)
	}
	return report.print(stdout)
}
