package simb

import (
	"errors"
	"fmt"
	"strings"
)

// The reasons for which Open and OpenSigned refuse a file, for errors.Is.
var (
	ErrNotSimb   = errors.New("not a compiled model")
	ErrVersion   = errors.New("compiled model of an unsupported version")
	ErrFeature   = errors.New("compiled model needs an unknown feature")
	ErrCorrupt   = errors.New("compiled model is corrupt")
	ErrTooLarge  = errors.New("compiled model is larger than the limit")
	ErrSignature = errors.New("signature of the compiled model does not hold")
)

// CorruptError says where a file is wrong, or what in a Model does not hold together. It is an ErrCorrupt.
type CorruptError struct {
	Section string // the part of the file: "frame", "digest", a field, or the name of a section
	Offset  int64  // bytes from the start of the file; −1 when the fault is in the meaning, not at a place
	Reason  string
}

// Error tells section, offset and reason.
func (e *CorruptError) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("%s: %s: %s", ErrCorrupt, e.Section, e.Reason)
	}
	return fmt.Sprintf("%s: %s at byte %d: %s", ErrCorrupt, e.Section, e.Offset, e.Reason)
}

// Unwrap returns ErrCorrupt.
func (e *CorruptError) Unwrap() error { return ErrCorrupt }

func corrupt(section string, offset int64, format string, args ...any) error {
	return &CorruptError{section, offset, fmt.Sprintf(format, args...)}
}

func tooLarge(what string, have, limit uint64) error {
	return fmt.Errorf("%d %s, the limit is %d: %w", have, what, limit, ErrTooLarge)
}

func signatureError(reason string) error { return fmt.Errorf("%s: %w", reason, ErrSignature) }

func versionError(reader uint64) error {
	return fmt.Errorf("it needs a reader of version %d, this one is %d; use a newer release: %w", reader, FormatVersion, ErrVersion)
}

// featureError names the unknown features by bit, so that a later specification tells what they are.
func featureError(unknown uint64) error {
	return fmt.Errorf("required features that this reader does not know: %s; use a newer release: %w", strings.Join(namesOfBits(unknown, featureNames...), ", "), ErrFeature)
}
