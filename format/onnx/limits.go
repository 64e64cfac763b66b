package onnx

import "math"

// Limits of what Decode accepts where no option says otherwise; Encode keeps to MaxRank too.
const (
	// MaxBytes is the length of a file.
	MaxBytes = 256 << 20
	// MaxRank is how many dimensions a tensor has.
	MaxRank = 16
	// MaxItems is how many nodes, attributes, names, tensors and dimensions there are together.
	MaxItems = 1 << 20
)

// Limits caps what Decode accepts. Whatever a file declares, Decode takes no more than some tens of bytes for
// each byte of it; these caps are for callers who want less.
type Limits struct {
	Bytes    int // of the file; default MaxBytes
	Items    int // nodes, attributes, names, tensors and dimensions together; default MaxItems
	Rank     int // dimensions of a tensor; default and most MaxRank
	Elements int // of one tensor or list; default 2³¹ − 1
}

// DefaultLimits is what holds where no option says otherwise.
func DefaultLimits() Limits {
	return Limits{Bytes: MaxBytes, Items: MaxItems, Rank: MaxRank, Elements: math.MaxInt32}
}

// Option changes a limit.
type Option func(*Limits)

// WithMaxBytes refuses files of more than n bytes.
func WithMaxBytes(n int) Option { return func(l *Limits) { l.Bytes = n } }

// WithMaxItems refuses files of more than n nodes, attributes, names, tensors and dimensions together.
func WithMaxItems(n int) Option { return func(l *Limits) { l.Items = n } }

// WithMaxRank refuses tensors of more than n dimensions, and of more than MaxRank whatever n is.
func WithMaxRank(n int) Option { return func(l *Limits) { l.Rank = min(n, MaxRank) } }

// WithMaxElements refuses tensors and lists of more than n elements.
func WithMaxElements(n int) Option { return func(l *Limits) { l.Elements = n } }
