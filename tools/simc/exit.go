package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/npz"
	"github.com/sparse-implicit/sim/format/onnx"
	"github.com/sparse-implicit/sim/format/simb"
	simrt "github.com/sparse-implicit/sim/runtime"
	"github.com/sparse-implicit/sim/trainer"
	"github.com/sparse-implicit/sim/trainer/dataset"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// Exit codes.
const (
	exitDone    = 0
	exitFailed  = 1 // something outside the input: a full disk, an interrupt
	exitUsage   = 2 // wrong flags, missing files and folders
	exitRefused = 3 // an input that is malformed, unsupported, or asks for the impossible
)

// usageError is a wrong command line; refusedError an input that cannot be taken.
type (
	usageError   struct{ error }
	refusedError struct{ error }
)

func (e usageError) Unwrap() error   { return e.error }
func (e refusedError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

func refusedf(format string, args ...any) error {
	return refusedError{fmt.Errorf(format, args...)}
}

// refusals are the errors of the packages that mean that an input cannot be taken.
var refusals = []error{
	model.ErrInvalid, model.ErrMalformed, model.ErrTooLarge, model.ErrNoEquilibrium,
	npz.ErrMalformed, npz.ErrTooLarge,
	onnx.ErrMalformed, onnx.ErrUnsupported, onnx.ErrTooLarge,
	teacher.ErrUnsupported, teacher.ErrNotChain, teacher.ErrNetwork,
	simb.ErrNotSimb, simb.ErrVersion, simb.ErrFeature, simb.ErrCorrupt, simb.ErrTooLarge, simb.ErrSignature, simb.ErrKey,
	compiler.ErrNotWellPosed, compiler.ErrUnfit, compiler.ErrBound, compiler.ErrAgreement,
	simrt.ErrNotFinite, simrt.ErrNoDecision, simrt.ErrSelfTest,
	dataset.ErrMalformed, trainer.ErrStates, trainer.ErrBudget, trainer.ErrInfeasible,
}

// exitCode classifies an error of a command.
func exitCode(err error) int {
	var usage usageError
	var refused refusedError
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &refused):
		return exitRefused
	case errors.Is(err, compiler.ErrOptions), errors.Is(err, trainer.ErrOptions), errors.Is(err, teacher.ErrConfig), errors.Is(err, simrt.ErrKernel),
		errors.Is(err, dataset.ErrMissing), errors.Is(err, fs.ErrNotExist):
		return exitUsage
	}
	for _, refusal := range refusals {
		if errors.Is(err, refusal) {
			return exitRefused
		}
	}
	return exitFailed
}
