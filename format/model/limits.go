package model

import (
	"errors"
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/npz"
)

// ErrTooLarge is wrapped by errors about `.sim` files that exceed the caller's Limits; those about NPZ archives
// wrap it and npz.ErrTooLarge.
var ErrTooLarge = errors.New("model larger than the limit")

// Limits caps what Decode, Read, ReadFile and FromNPZ accept. What is read takes memory in proportion to the
// file's bytes and no more, whatever it declares; these caps are for callers who want less.
type Limits struct {
	Bytes    int64 // of the file; default 2 GiB
	Header   int   // bytes of the JSON header of a `.sim`; default and most 1 MiB
	Inputs   int   // default 2²⁴; of an NPZ archive no more than 2²⁰, for an empty array takes no bytes
	States   int   // the same
	Outputs  int   // the same
	Nonzeros int   // entries of A, B, C and D each; of an NPZ archive zeros count too; default 2²⁸
}

// DefaultLimits is what holds where no option says otherwise.
func DefaultLimits() Limits {
	return Limits{Bytes: 2 << 30, Header: maxHeader, Inputs: 1 << 24, States: 1 << 24, Outputs: 1 << 24, Nonzeros: 1 << 28}
}

// Option changes a limit.
type Option func(*Limits)

// WithMaxBytes refuses files of more than n bytes; ReadFile refuses them before it reads.
func WithMaxBytes(n int64) Option { return func(l *Limits) { l.Bytes = n } }

// WithMaxHeader refuses `.sim` files whose header has more than n bytes.
func WithMaxHeader(n int) Option { return func(l *Limits) { l.Header = n } }

// WithMaxInputs refuses models of more than n inputs.
func WithMaxInputs(n int) Option { return func(l *Limits) { l.Inputs = n } }

// WithMaxStates refuses models of more than n states.
func WithMaxStates(n int) Option { return func(l *Limits) { l.States = n } }

// WithMaxOutputs refuses models of more than n outputs.
func WithMaxOutputs(n int) Option { return func(l *Limits) { l.Outputs = n } }

// WithMaxNonzeros refuses models one of whose matrices has more than n entries.
func WithMaxNonzeros(n int) Option { return func(l *Limits) { l.Nonzeros = n } }

func limitsOf(options []Option) Limits {
	l := DefaultLimits()
	for _, set := range options {
		set(&l)
	}
	return l
}

// archive returns the limits of the NPZ archive that a model may come in.
func (l Limits) archive() npz.Limits {
	return npz.Limits{MaxBytes: max(l.Bytes, 1), MaxElements: int64(max(l.Nonzeros, 1)), MaxArrays: 4096}
}

// dimensions checks n, p and q.
func (l Limits) dimensions(n, p, q int) error {
	for _, c := range []struct {
		what        string
		have, limit int
	}{{"states", n, l.States}, {"inputs", p, l.Inputs}, {"outputs", q, l.Outputs}} {
		if c.have > c.limit {
			return tooLarge(c.what, int64(c.have), int64(c.limit))
		}
	}
	return nil
}

func tooLarge(what string, have, limit int64) error {
	return fmt.Errorf("%d %s, at most %d are read: %w", have, what, max(limit, 0), ErrTooLarge)
}

// size checks the bytes of a file.
func (l Limits) size(bytes int64) error {
	if bytes > l.Bytes || bytes > math.MaxInt {
		return tooLarge("bytes", bytes, l.Bytes)
	}
	return nil
}
