package runtime

import (
	"errors"
	"strconv"
)

// Errors of an inference, for errors.Is. What Load refuses is told by the errors of format/simb.
var (
	ErrLength     = errors.New("wrong length")           // a slice is shorter or longer than the model asks; see LengthError
	ErrNotFinite  = errors.New("not a finite number")    // NaN or an infinity among the inputs; see NotFiniteError
	ErrWidth      = errors.New("wrong activation width") // InferQ7 of a 14-bit model or InferQ14 of a 7-bit one
	ErrNoDecision = errors.New("the model has no decision rule")
	ErrSelfTest   = errors.New("the self-test failed") // see SelfTestError
	ErrKernel     = errors.New("no such kernel")       // see KernelError
	ErrNoUpdates  = errors.New("the model was not loaded WithUpdates")
	ErrIndex      = errors.New("no such input") // see IndexError
)

// LengthError says which slice has the wrong length. It is an ErrLength.
type LengthError struct {
	Argument  string // as the documentation of the method names it
	Got, Want int
}

// Error names the argument, its length and the length it must have.
func (e *LengthError) Error() string {
	return e.Argument + " has length " + strconv.Itoa(e.Got) + ", the model needs " + strconv.Itoa(e.Want)
}

// Unwrap returns ErrLength.
func (e *LengthError) Unwrap() error { return ErrLength }

// NotFiniteError says which input is NaN or infinite. It is an ErrNotFinite.
type NotFiniteError struct {
	Argument string // as the documentation of the method names it; empty: src
	Index    int    // into it
}

// Error names the input.
func (e *NotFiniteError) Error() string {
	argument := e.Argument
	if argument == "" {
		argument = "src"
	}
	return argument + "[" + strconv.Itoa(e.Index) + "] is not a finite number; replace it before the inference"
}

// Unwrap returns ErrNotFinite.
func (e *NotFiniteError) Unwrap() error { return ErrNotFinite }

// SelfTestError says what came out differently from what the file says. It is an ErrSelfTest.
type SelfTestError struct {
	Case int    // index of the bundled case
	What string // "output 3", "states" or "saturations"
	Got  int64
	Want int64
}

// Error names the case and the difference.
func (e *SelfTestError) Error() string {
	return "self-test case " + strconv.Itoa(e.Case) + ": " + e.What + ": " + strconv.FormatInt(e.Got, 10) +
		", the file says " + strconv.FormatInt(e.Want, 10) + "; this machine or this build computes wrongly"
}

// Unwrap returns ErrSelfTest.
func (e *SelfTestError) Unwrap() error { return ErrSelfTest }

// KernelError says which kernel was asked for and what there is. It is an ErrKernel.
type KernelError struct {
	Name      string
	Available string // names, separated by commas
}

// Error names the kernel and lists the others.
func (e *KernelError) Error() string {
	return "there is no kernel " + strconv.Quote(e.Name) + " for this processor; SIM_KERNEL may be one of " + e.Available
}

// Unwrap returns ErrKernel.
func (e *KernelError) Unwrap() error { return ErrKernel }

// IndexError says which of the changed inputs does not exist. It is an ErrIndex.
type IndexError struct {
	Position int // in changed
	Index    int // what stands there
	Inputs   int // of the model: indices are less
}

// Error names the index, its place and the range.
func (e *IndexError) Error() string {
	return "changed[" + strconv.Itoa(e.Position) + "] = " + strconv.Itoa(e.Index) + ", but the model has " +
		strconv.Itoa(e.Inputs) + " inputs"
}

// Unwrap returns ErrIndex.
func (e *IndexError) Unwrap() error { return ErrIndex }
