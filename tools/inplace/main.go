// Command inplace measures what a compiled model in place costs a process, for models that differ in nothing
// but the number of their weights:
//
//	go run ./tools/inplace [NONZEROS…]
//
// Each model is written as a file with raw streams and loaded by a process of its own, which maps the file
// read-only (Linux). The columns of the table:
//
//	heap_load   bytes that Load and NewSession take from the heap, nothing collected: no peak is higher
//	heap_kept   bytes of it that are still there after a collection and one inference
//	anonymous   resident memory of the process that is in no file: heap, stacks and what Go's runtime needs
//	resident    its largest resident memory, with the pages of the program and of the model that it read: they
//	            belong to their files, and the system takes them back when it needs them
//
// It exits with 1 when heap_load or heap_kept grows with the number of weights.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

// The models: inputs, states and outputs stay the same.
const (
	inputs, states, outputs = 1000, 600, 10

	slack = 1024 // bytes by which measurements of the heap may differ
)

var sizes = []int{5_000, 50_000, 500_000}

// cost is what one process measures of itself, in bytes.
type cost struct {
	HeapLoad, HeapKept, Anonymous, Resident int64
}

func main() {
	err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "inplace:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 2 && arguments[0] == "load" { // the process that measures itself
		c, err := measure(arguments[1])
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(c)
	}
	wanted := sizes
	if len(arguments) > 0 {
		wanted = nil
	}
	for _, a := range arguments {
		n, err := strconv.Atoi(a)
		if err != nil {
			return fmt.Errorf("%q is no number of weights: %w", a, err)
		}
		wanted = append(wanted, n)
	}
	return table(wanted)
}

// table prints a line for each number of weights.
func table(sizes []int) error {
	folder, err := os.MkdirTemp("", "inplace")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	fmt.Printf("%10s %12s %12s %12s %12s %12s\n", "nonzeros", "file", "heap_load", "heap_kept", "anonymous", "resident")
	var least, most cost
	for k, nonzeros := range sizes {
		name := filepath.Join(folder, strconv.Itoa(nonzeros)+".simb")
		bytes, err := write(name, nonzeros)
		if err != nil {
			return err
		}
		c, err := process(name)
		if err != nil {
			return err
		}
		fmt.Printf("%10d %12d %12d %12d %12d %12d\n", nonzeros, bytes, c.HeapLoad, c.HeapKept, c.Anonymous, c.Resident)
		if k == 0 {
			least, most = c, c
		}
		least.HeapLoad, least.HeapKept = min(least.HeapLoad, c.HeapLoad), min(least.HeapKept, c.HeapKept)
		most.HeapLoad, most.HeapKept = max(most.HeapLoad, c.HeapLoad), max(most.HeapKept, c.HeapKept)
	}
	if most.HeapLoad-least.HeapLoad > slack || most.HeapKept-least.HeapKept > slack {
		return errors.New("the heap depends on the number of weights")
	}
	return nil
}

// write makes a file with raw streams and returns its size.
func write(name string, nonzeros int) (bytes int, err error) {
	m, err := simbtest.Sized(inputs, states, outputs, nonzeros)
	if err != nil {
		return 0, err
	}
	data, err := simb.Encode(m, simb.EncodeOptions{Codec: simb.CodecRaw})
	if err != nil {
		return 0, err
	}
	return len(data), os.WriteFile(name, data, 0o600)
}

// process lets another process load a file.
func process(name string) (cost, error) {
	program, err := os.Executable()
	if err != nil {
		return cost{}, err
	}
	command := exec.Command(program, "load", name)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return cost{}, fmt.Errorf("the process that loads %s: %w", name, err)
	}
	var c cost
	return c, json.Unmarshal(output, &c)
}
