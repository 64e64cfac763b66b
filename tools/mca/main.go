// Command mca estimates what the inner loops of the kernels take on processors that are not there: it takes
// each loop out of a built program and lets LLVM's model of the processor run it.
//
//	go run ./tools/mca                          the loops of the table in loops.go, for arm64 and amd64
//	go run ./tools/mca -arch arm64 -binary app  a program built already, with its symbols
//	go run ./tools/mca -v                       with the instructions of each loop
//
// It needs Debian's package llvm (llvm-objdump, llvm-mca; 14 is what it was written with). The columns:
// instructions of a turn of the loop, products that a turn adds up (of a 7-bit activation and a weight; one of 14
// bits takes two in kernels of bytes), and for each processor cycles of a turn and cycles per product. The model
// assumes that every load hits the first cache and every branch is foreseen; of a branch within the loop it takes
// the way straight on. Cortex-A72 and Neoverse N1 share a model in LLVM 14. A kernel of windows adds up as
// many products as fit a window; how many of them are real is a matter of the model that it runs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
)

const probePackage = "github.com/sparse-implicit/sim/tools/internal/probe"

// errNoLLVM says that a program of LLVM is not installed.
var errNoLLVM = errors.New("is not installed (Debian: llvm)")

func main() {
	arch := flag.String("arch", "", "GOARCH, one of arm64 and amd64; without it both")
	binary := flag.String("binary", "", "program to take the loops from, for -arch; without it the probe is built")
	verbose := flag.Bool("v", false, "print the instructions")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *arch, *binary, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "mca:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, output io.Writer, arch, binary string, verbose bool) error {
	if binary != "" && arch == "" {
		return errors.New("-binary: give its -arch")
	}
	folder, err := os.MkdirTemp("", "mca")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	known := false
	for _, t := range targets {
		if arch != "" && arch != t.arch {
			continue
		}
		known = true
		program := binary
		if program == "" {
			if program, err = build(ctx, folder, t.arch); err != nil {
				return err
			}
		}
		if err := t.table(ctx, output, program, verbose); err != nil {
			return fmt.Errorf("%s: %w", t.arch, err)
		}
	}
	if !known {
		return fmt.Errorf("-arch %s: there are arm64 and amd64", arch)
	}
	return nil
}

// build builds the probe.
func build(ctx context.Context, folder, arch string) (string, error) {
	program := filepath.Join(folder, "probe-"+arch)
	command := exec.CommandContext(ctx, "go", "build", "-o", program, probePackage)
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build for %s: %w\n%s", arch, err, output)
	}
	return program, nil
}

// table prints a line for each loop.
func (t target) table(ctx context.Context, output io.Writer, program string, verbose bool) error {
	fmt.Fprintf(output, "%-7s %-34s %12s %9s", t.arch, "loop", "instructions", "products")
	for _, cpu := range t.cpus {
		fmt.Fprintf(output, " %18s", cpu)
	}
	fmt.Fprintln(output)
	functions, err := kernelFunctions(program)
	if err != nil {
		return err
	}
	for _, f := range functions {
		l := t.look(f.short())
		if l == nil {
			continue
		}
		code, err := t.disassemble(ctx, program, f)
		if err != nil {
			return err
		}
		for _, body := range innermost(code) {
			products := l.products(body)
			if products == 0 {
				continue
			}
			fmt.Fprintf(output, "%-7s %-34s %12d %9d", "", fmt.Sprintf("%s+%#x", f.short(), body[0].address-f.address), len(body), products)
			for _, cpu := range t.cpus {
				if !l.runsOn(cpu) {
					fmt.Fprintf(output, " %18s", "-")
					continue
				}
				cycles, err := t.cycles(ctx, cpu, body)
				if err != nil {
					return err
				}
				fmt.Fprintf(output, " %9.2f %8.3f", cycles, cycles/float64(products))
			}
			fmt.Fprintln(output)
			for _, i := range body {
				if verbose {
					fmt.Fprintf(output, "        %s\n", i.text)
				}
			}
		}
	}
	return nil
}
