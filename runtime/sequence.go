package runtime

import (
	"errors"
	"strconv"

	"github.com/sparse-implicit/sim/format/simb"
)

// ErrStale is a signed file that is older than the caller takes; see StaleError.
var ErrStale = errors.New("the model is older than the oldest that is taken")

// StaleError says how old a file is. It is an ErrStale.
type StaleError struct {
	Sequence, Least uint64 // of the file; of WithMinSequence
}

// Error names both counters.
func (e *StaleError) Error() string {
	return "the model has the sequence " + strconv.FormatUint(e.Sequence, 10) + ", " + strconv.FormatUint(e.Least, 10) +
		" is the oldest that is taken; a newer release is needed"
}

// Unwrap returns ErrStale.
func (e *StaleError) Unwrap() error { return ErrStale }

// unsignedError is what Load says to WithMinSequence. It is an ErrSignature.
type unsignedError struct{}

var errUnsigned error = unsignedError{}

// Error says what is missing.
func (unsignedError) Error() string {
	return "WithMinSequence is for LoadSigned: without a signature anybody can write the counter"
}

// Unwrap returns ErrSignature.
func (unsignedError) Unwrap() error { return simb.ErrSignature }

// WithMinSequence makes LoadSigned refuse a file whose sequence is below n, as a *StaleError: an old release,
// however well signed, cannot take the place of a newer one. Whoever replaces models in the field keeps the
// Sequence of the last one that was taken. Load refuses every file with this option, unless n is 0: a
// counter that nobody signed proves nothing.
func WithMinSequence(n uint64) Option { return func(c *config) { c.least = n } }

// Sequence returns the counter of releases in the file. Only LoadSigned proves who wrote it.
func (m *Model) Sequence() uint64 { return m.sequence }
