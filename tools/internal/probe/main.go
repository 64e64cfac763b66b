// Command probe loads a compiled model, runs it and exits: it is the program that other tools count, time
// and disassemble on machines of every kind.
//
//	probe MODEL.simb                          prints the kernels of this processor, one a line
//	probe MODEL.simb KERNEL COUNT [ROUNDS]    runs rounds of COUNT inferences and prints a line:
//	                                          nanoseconds of an inference in the fastest round, checksum
//
// KERNEL is one of them, "in place", or "none": everything but the inferences. An inference is InferQ7 or
// InferQ14 of the same inputs; the checksum covers the outputs, so that kernels can be compared. The program
// imports as little as it can: what it does beside inferences is the same for any COUNT.
package main

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"time"

	simrt "github.com/sparse-implicit/sim/runtime"
)

const (
	inPlace = "in place"
	none    = "none"
)

// The thread that counts is the first one, whatever Go's runtime does beside it.
func init() { runtime.LockOSThread() }

func main() {
	if err := run(os.Args[1:]); err != nil {
		os.Stderr.WriteString("probe: " + err.Error() + "\n")
		os.Exit(1)
	}
}

func run(arguments []string) error {
	switch len(arguments) {
	case 1:
		for _, name := range append(simrt.Kernels(), inPlace) {
			os.Stdout.WriteString(name + "\n")
		}
		return nil
	case 3, 4:
	default:
		return errors.New("give MODEL.simb KERNEL COUNT [ROUNDS]")
	}
	count, err := strconv.Atoi(arguments[2])
	if err != nil {
		return err
	}
	rounds := 1
	if len(arguments) == 4 {
		if rounds, err = strconv.Atoi(arguments[3]); err != nil {
			return err
		}
	}
	data, err := os.ReadFile(arguments[0])
	if err != nil {
		return err
	}
	option := simrt.WithKernel(arguments[1])
	switch arguments[1] {
	case inPlace:
		option = simrt.WithInPlace()
	case none:
		option, count = simrt.WithInPlace(), 0
	}
	model, err := simrt.Load(data, option)
	if err != nil {
		return err
	}
	infer, outputs := prepare(model)
	if count > 0 { // the stack grows now
		if err := infer(); err != nil {
			return err
		}
	}
	least := time.Duration(1<<63 - 1)
	for range rounds {
		began := time.Now()
		begin()
		for range count {
			if err := infer(); err != nil {
				return err
			}
		}
		end()
		least = min(least, time.Since(began))
	}
	os.Stdout.WriteString(strconv.FormatInt(int64(least)/int64(max(count, 1)), 10) + " " + checksum(outputs) + "\n")
	return nil
}

// begin and end mark what lies between them for whoever watches the program from outside.
//
//go:noinline
func begin() {}

//go:noinline
func end() {}

// prepare returns an inference and where its outputs will be. The inputs are those of the bundled
// self-tests' kind: every value about as often.
func prepare(model *simrt.Model) (infer func() error, outputs []int32) {
	session := model.NewSession()
	outputs = make([]int32, model.Outputs())
	q7, q14 := make([]uint8, model.Inputs()), make([]uint16, model.Inputs())
	state := uint32(1)
	for j := range q7 {
		state = state*1664525 + 1013904223
		q7[j], q14[j] = uint8(state>>25), uint16(state>>18)
	}
	if model.Width() == 7 {
		return func() error { return session.InferQ7(outputs, q7) }, outputs
	}
	return func() error { return session.InferQ14(outputs, q14) }, outputs
}

// checksum returns FNV-1a of the outputs in hexadecimal digits.
func checksum(outputs []int32) string {
	sum := uint32(2166136261)
	for _, y := range outputs {
		for shift := 0; shift < 32; shift += 8 {
			sum = (sum ^ uint32(y)>>shift&0xFF) * 16777619
		}
	}
	return strconv.FormatUint(uint64(sum), 16)
}
