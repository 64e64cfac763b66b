// Command instructions counts the instructions that an inference takes on processors that are not there, by
// emulating them: a figure of speed that is the same on every host and in every run.
//
//	go run ./tools/instructions                          the model of simbtest.Image, 7 and 14 bits
//	go run ./tools/instructions -model model.simb        a compiled model
//	go run ./tools/instructions -arch arm64 -functions   one architecture, with what each function takes
//	go run ./tools/instructions -reals                   inputs and outputs as float32: Infer
//
// It needs Debian's qemu-user-static; architectures without an emulator are left out, saying so. The probe
// (tools/internal/probe) runs under qemu, which logs the blocks that it executes; what its first thread does
// between the first and the last inference is counted. Kernels of an instruction
// set run on every processor that has it; the portable kernel and models in place run on the first of each
// architecture. A processor without an instruction set shows the kernel that it falls back to.
//
// It exits with 1 when something cannot be run, or when two kernels give different outputs.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/tools/internal/image"
)

func main() {
	model := flag.String("model", "", "compiled model; without it one of the shape of an image classifier")
	arch := flag.String("arch", "", "GOARCH; without it all")
	n := flag.Int("n", 20, "inferences to count")
	asReals := flag.Bool("reals", false, "count Infer, with its conversions, in place of InferQ7 and InferQ14")
	functions := flag.Bool("functions", false, "print what each function takes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c := counting{arch: *arch, entry: integers, n: *n, functions: *functions}
	if *asReals {
		c.entry = reals
	}
	if err := c.run(ctx, os.Stdout, *model); err != nil {
		fmt.Fprintln(os.Stderr, "instructions:", err)
		stop()
		os.Exit(1)
	}
}

// counting is what the flags say.
type counting struct {
	arch      string // empty: all
	entry     string // of the probe
	n         int    // inferences
	functions bool
}

func (c counting) run(ctx context.Context, output io.Writer, model string) error {
	if c.n < 1 {
		return fmt.Errorf("-n %d: give at least 1", c.n)
	}
	folder, err := os.MkdirTemp("", "instructions")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	files := []string{model}
	if model == "" {
		if files, err = image.Files(folder); err != nil {
			return err
		}
	}
	fmt.Fprintf(output, "%-8s %-12s %-14s %5s %9s %13s %12s\n", "arch", "cpu", "kernel", "bits", "nonzeros", "instructions", "per nonzero")
	for _, file := range files {
		if err := c.table(ctx, output, folder, file); err != nil {
			return err
		}
	}
	return nil
}

// table prints the lines of one model.
func (c counting) table(ctx context.Context, output io.Writer, folder, file string) error {
	bits, nonzeros, err := describe(file)
	if err != nil {
		return err
	}
	checksum, before := "", ""
	for _, m := range machines {
		first := m.arch != before
		before = m.arch
		if c.arch != "" && c.arch != m.arch {
			continue
		}
		g, err := m.build(ctx, folder)
		if errors.Is(err, errNoEmulator) {
			fmt.Fprintf(output, "%-8s %-12s left out: %v\n", m.arch, m.cpu, err)
			continue
		}
		if err != nil {
			return err
		}
		kernels, err := g.kernels(ctx, file)
		if err != nil {
			return err
		}
		for _, kernel := range kernels {
			if !first && (kernel == portable || kernel == inPlace) {
				continue
			}
			r, err := g.measure(ctx, file, kernel, c.entry, c.n)
			if err != nil {
				return err
			}
			if checksum == "" {
				checksum = r.checksum
			}
			if r.checksum != checksum {
				return fmt.Errorf("%s on %s %s gives other outputs than the kernels before it: checksum %s, %s", kernel, m.arch, m.cpu, r.checksum, checksum)
			}
			fmt.Fprintf(output, "%-8s %-12s %-14s %5d %9d %13.0f %12.2f\n", m.arch, m.cpu, kernel, bits, nonzeros, r.perInference(), r.perInference()/float64(nonzeros))
			if c.functions {
				printFunctions(output, r)
			}
		}
	}
	return nil
}

// printFunctions prints the functions of an inference, the largest first.
func printFunctions(output io.Writer, r measured) {
	names := slices.SortedFunc(maps.Keys(r.functions), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.functions[b], r.functions[a]), cmp.Compare(a, b))
	})
	for _, name := range names {
		fmt.Fprintf(output, "%66.0f %s\n", float64(r.functions[name])/float64(r.count), name)
	}
}

// describe returns a model's width and the number of its weights.
func describe(file string) (bits, nonzeros int, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, err
	}
	f, err := simb.Open(data)
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", file, err)
	}
	return int(f.Meta().Width), len(f.Streams().Values), nil
}
