// Command wasm measures inferences in WebAssembly: for the browser and node (GOOS=js) and for WASI (GOOS=wasip1).
//
//	go run ./tools/wasm                      the model of simbtest.Image, 7 and 14 bits
//	go run ./tools/wasm -model model.simb    a compiled model
//
// It builds the probe (tools/internal/probe) and runs it in every engine that it finds: node, wasmtime, wazero.
// The figure is the fastest of many short rounds, in nanoseconds of an inference in integers; the first line of
// each model is the same program as native code, with the kernel that Load takes. Engines need not be there;
// without any the command exits with 1, and so it does when a program gives other outputs than the native one.
//
// The tests of the module run in node, with a small environment since node passes its own on:
//
//	GOOS=js GOARCH=wasm go test -exec "env -i PATH=$PATH HOME=$HOME $(go env GOROOT)/lib/wasm/go_js_wasm_exec" ./runtime/...
//
// and in an engine for WASI:
//
//	GOOS=wasip1 GOARCH=wasm GOWASIRUNTIME=wazero go test -exec "$(go env GOROOT)/lib/wasm/go_wasip1_wasm_exec" ./runtime/...
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	simrt "github.com/sparse-implicit/sim/runtime"
	"github.com/sparse-implicit/sim/tools/internal/image"
)

func main() {
	model := flag.String("model", "", "compiled model; without it one of the shape of an image classifier")
	count := flag.Int("n", 200, "inferences of a round")
	rounds := flag.Int("rounds", 100, "rounds")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *model, *count, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "wasm:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, output io.Writer, model string, count, rounds int) error {
	if count < 1 || rounds < 1 {
		return fmt.Errorf("-n %d, -rounds %d: give at least 1", count, rounds)
	}
	folder, err := os.MkdirTemp("", "wasm")
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
	programs, err := build(ctx, folder)
	if err != nil {
		return err
	}
	fmt.Fprintf(output, "%-8s %-10s %-14s %5s %9s %10s %12s\n", "system", "engine", "kernel", "bits", "nonzeros", "ns", "per nonzero")
	for _, file := range files {
		if err := table(ctx, output, programs, file, count, rounds); err != nil {
			return err
		}
	}
	return nil
}

// table prints the lines of one model.
func table(ctx context.Context, output io.Writer, programs []program, file string, count, rounds int) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	model, err := simrt.Load(data)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	checksum := ""
	for _, p := range programs {
		kernels := []string{"portable", "in place"}
		if p.system == native {
			kernels = []string{model.Kernel()}
		}
		for _, kernel := range kernels {
			ns, sum, err := p.measure(ctx, file, kernel, count, rounds)
			if err != nil {
				return err
			}
			if checksum == "" {
				checksum = sum
			}
			if sum != checksum {
				return fmt.Errorf("%s, %s, %s: the checksum of the outputs is %s, of the native program %s", p.system, p.engine, kernel, sum, checksum)
			}
			fmt.Fprintf(output, "%-8s %-10s %-14s %5d %9d %10d %12.2f\n", p.system, p.engine, kernel, model.Width(), model.MACs(), ns, float64(ns)/float64(model.MACs()))
		}
	}
	return nil
}
