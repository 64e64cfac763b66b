// Command soak runs inferences for a long time in one process and looks for what only time brings to light:
// memory that grows, work for the garbage collector, an answer that changes.
//
//	go run ./tools/soak -n 100000000                 the model of simbtest.Image, 7 bits
//	go run ./tools/soak -bits 14 -kernel portable    a kernel by name, or "in place"
//	go run ./tools/soak -model model.simb            a compiled model
//
// Inferences go in turn through Infer, Decide and InferQ7 or InferQ14, over the same inputs pass after pass,
// some of them outside of their box. It exits with 1 unless, between the first pass and the last,
//
//   - nothing was allocated (MemStats.Mallocs), but at most once by each collection,
//   - the garbage collector ran no more often than Go's clock lets it run anyway, every two minutes,
//   - the largest resident memory (VmRSS, Linux) was within 1 MiB of what it was at the beginning,
//   - every pass had the outputs, classes, sweeps and saturations of the first.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
	simrt "github.com/sparse-implicit/sim/runtime"
)

func main() {
	n := flag.Int("n", 1_000_000, "inferences")
	bits := flag.Int("bits", 7, "width of the model, 7 or 14; not with -model")
	name := flag.String("model", "", "compiled model")
	kernel := flag.String("kernel", "", `kernel, or "in place"; without it the one that Load takes`)
	flag.Parse()
	if err := run(*n, *bits, *name, *kernel); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(n, bits int, name, kernel string) error {
	data, err := compiled(name, bits)
	if err != nil {
		return err
	}
	model, err := load(data, kernel)
	if err != nil {
		return err
	}
	w := newWork(model)
	if n < 2*w.pass() {
		return fmt.Errorf("-n %d: give at least %d, two passes", n, 2*w.pass())
	}
	fmt.Printf("%d inferences of %d bits, %s, %d weights at most: passes of %d\n", n, model.Width(), model.Kernel(), model.MACs(), w.pass())
	r, err := w.soak(n, os.Stderr)
	if err != nil {
		return err
	}
	fmt.Print(r)
	return r.judge()
}

// compiled returns the bytes of a file, or of the image model.
func compiled(name string, bits int) ([]byte, error) {
	if name != "" {
		return os.ReadFile(name)
	}
	if width := quant.Width(bits); width == quant.Width7 || width == quant.Width14 {
		return simb.Encode(simbtest.Image(width), simb.EncodeOptions{Codec: simb.CodecRaw})
	}
	return nil, fmt.Errorf("-bits %d: there are 7 and 14", bits)
}

func load(data []byte, kernel string) (*simrt.Model, error) {
	var options []simrt.Option
	switch kernel {
	case "":
	case "in place":
		options = append(options, simrt.WithInPlace())
	default:
		options = append(options, simrt.WithKernel(kernel))
	}
	model, err := simrt.Load(data, options...)
	if errors.Is(err, simrt.ErrKernel) {
		return nil, fmt.Errorf("%w; there are %q and \"in place\"", err, simrt.Kernels())
	}
	if err != nil {
		return nil, err
	}
	return model, model.SelfTest()
}
