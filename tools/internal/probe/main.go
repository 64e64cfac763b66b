// Command probe loads a compiled model, runs it and exits: it is the program that other tools count, time
// and disassemble on machines of every kind.
//
//	probe MODEL.simb                          prints the kernels of this processor, one a line
//	probe MODEL.simb KERNEL ENTRY COUNT [ROUNDS]
//	                                          runs rounds of COUNT inferences and prints a line:
//	                                          nanoseconds of an inference in the fastest round, checksum
//
// KERNEL is one of them or "in place"; ENTRY is "integers" for InferQ7 or InferQ14, "reals" for Infer, always
// of the same inputs. The checksum covers the outputs, so that kernels can be compared.
package main

import (
	"errors"
	"math"
	"os"
	"runtime"
	"strconv"
	"time"

	simrt "github.com/sparse-implicit/sim/runtime"
)

const (
	inPlace  = "in place"
	integers = "integers"
	reals    = "reals"
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
	case 4:
		arguments = append(arguments, "1")
	case 5:
	default:
		return errors.New("give MODEL.simb KERNEL ENTRY COUNT [ROUNDS]")
	}
	model, err := load(arguments[0], arguments[1])
	if err != nil {
		return err
	}
	infer, sum, err := prepare(model, arguments[2])
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(arguments[3])
	if err != nil {
		return err
	}
	rounds, err := strconv.Atoi(arguments[4])
	if err != nil {
		return err
	}
	if err := infer(); err != nil { // the stack grows now
		return err
	}
	ns, err := fastest(infer, count, rounds)
	if err != nil {
		return err
	}
	os.Stdout.WriteString(strconv.FormatInt(ns, 10) + " " + sum() + "\n")
	return nil
}

func load(name, kernel string) (*simrt.Model, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if kernel == inPlace {
		return simrt.Load(data, simrt.WithInPlace())
	}
	return simrt.Load(data, simrt.WithKernel(kernel))
}

// fastest returns the nanoseconds of an inference in the fastest of some rounds.
func fastest(infer func() error, count, rounds int) (ns int64, err error) {
	least := time.Duration(1<<63 - 1)
	for range rounds {
		began := time.Now()
		begin()
		for range count {
			if err := infer(); err != nil {
				return 0, err
			}
		}
		end()
		least = min(least, time.Since(began))
	}
	return int64(least) / int64(max(count, 1)), nil
}

// begin and end mark what lies between them for whoever watches the program from outside.
//
//go:noinline
func begin() {}

//go:noinline
func end() {}

// prepare returns an inference and the checksum of its outputs. Of its inputs every value comes about as often.
func prepare(model *simrt.Model, entry string) (infer func() error, sum func() string, err error) {
	session := model.NewSession()
	y, u := make([]float32, model.Outputs()), make([]float32, model.Inputs())
	yq, q7, q14 := make([]int32, len(y)), make([]uint8, len(u)), make([]uint16, len(u))
	state := uint32(1)
	for j := range q7 {
		state = state*1664525 + 1013904223
		q7[j], q14[j] = uint8(state>>25), uint16(state>>18)
		lo, hi := model.InputBox(j)
		u[j] = lo + float32((hi-lo)*float32(float32(state>>8)*0x1p-24)) // rounded everywhere: never fused
	}
	switch {
	case entry == reals:
		infer = func() error { return session.Infer(y, u) }
	case entry != integers:
		return nil, nil, errors.New(entry + ": an entry is integers or reals")
	case model.Width() == 7:
		infer = func() error { return session.InferQ7(yq, q7) }
	default:
		infer = func() error { return session.InferQ14(yq, q14) }
	}
	return infer, func() string { return checksum(y, yq) }, nil
}

// checksum returns FNV-1a of the outputs in hexadecimal digits.
func checksum(y []float32, yq []int32) string {
	sum := uint32(2166136261)
	mix := func(word uint32) {
		for shift := 0; shift < 32; shift += 8 {
			sum = (sum ^ word>>shift&0xFF) * 16777619
		}
	}
	for k := range y {
		mix(math.Float32bits(y[k]))
		mix(uint32(yq[k]))
	}
	return strconv.FormatUint(uint64(sum), 16)
}
