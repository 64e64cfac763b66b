package simb

import "github.com/sparse-implicit/sim/format/sparse"

// RowStreams are the weights as the file codes them, row after row: see SPEC.md. Raw sections alias the
// file; coded ones were decoded at Open.
type RowStreams struct {
	Lengths []byte // varint: entries of the row
	Gaps    []byte // varints: first column, then column − previous − 1
	Values  []byte // int8: the weight, or its upper plane
	Low     []byte // int8: the lower plane, rows of two planes only
}

// File is a compiled model whose every byte has been verified. It is safe for concurrent use.
type File struct {
	frame   *frame
	meta    *Model // without Weights
	streams RowStreams
	sizes   []SectionInfo
}

// Open verifies a file and returns it. Nothing is trusted: structure, versions, digest, lengths against
// the limits, checksums, and that the meaning can be run: indices in range, bounds of accumulators,
// memory and operations as declared. After Open nothing can fail but an argument of the wrong length.
//
// The weights are checked in passing and not expanded: the heap that Open takes and a File keeps grows with
// inputs, states and outputs, and with the number of weights only where their sections are compressed. The
// file's bytes are kept, never written, and must not change.
//
// Errors: ErrNotSimb, ErrVersion, ErrFeature, ErrCorrupt (as *CorruptError), ErrTooLarge, ErrSignature.
func Open(data []byte, options ...Option) (*File, error) {
	return open(data, func(*frame) error { return nil }, options)
}

// open is Open with one more demand on a frame whose digest is right, before anything else is read of it.
func open(data []byte, demand func(*frame) error, options []Option) (*File, error) {
	limits := DefaultLimits()
	for _, set := range options {
		set(&limits)
	}
	if len(data) > limits.Bytes {
		return nil, tooLarge("bytes", uint64(len(data)), uint64(max(limits.Bytes, 0)))
	}
	fr, err := parseFrame(data)
	if err != nil {
		return nil, err
	}
	for _, check := range []func() error{fr.checkVersions, fr.checkSignature, fr.checkDigest, func() error { return demand(fr) }} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	f := &File{frame: fr}
	if err := f.decode(limits); err != nil {
		return nil, err
	}
	return f, nil
}

// decode reads everything behind the frame.
func (f *File) decode(limits Limits) error {
	heap := newBudget(len(f.frame.data), limits)
	h, err := f.frame.readHeader(limits, heap)
	if err != nil {
		return err
	}
	entries, err := f.frame.readDirectory(h)
	if err != nil {
		return err
	}
	s, err := f.frame.decodeSections(h, entries, heap)
	if err != nil {
		return err
	}
	f.sizes = s.sizes
	if f.meta, err = h.newModel(f.frame); err != nil {
		return err
	}
	r := &sectionReader{sections: s.decoded, header: h, heap: heap}
	for _, read := range []func(*Model){r.inputs, r.states, r.rows, r.tables, r.schedule, r.selfTests, r.certificates} {
		read(f.meta)
	}
	if r.err != nil {
		return r.err
	}
	f.streams = RowStreams{s.decoded[sectionLengths], s.decoded[sectionGaps], s.decoded[sectionValues], s.decoded[sectionLow]}
	return f.validate(s.features, limits.Operations)
}

// Model returns a copy of the whole meaning of the file, weights included, on the heap.
func (f *File) Model() *Model {
	m := *f.meta
	nonzeros := f.Nonzeros()
	weights := &sparse.Matrix[int16]{
		Rows: len(m.Rows), Cols: len(m.Inputs) + m.States(),
		Indptr: make([]int32, 1, len(m.Rows)+1), Indices: make([]int32, 0, nonzeros), Data: make([]int16, 0, nonzeros),
	}
	rows := newRowReader(f.meta, f.streams)
	for i := range m.Rows {
		length, _ := rows.begin(i) // no errors: Open has read them all
		for range length {
			column, weight, _ := rows.entry()
			weights.Indices, weights.Data = append(weights.Indices, column), append(weights.Data, weight)
		}
		weights.Indptr = append(weights.Indptr, int32(len(weights.Indices)))
	}
	m.Weights = weights
	return &m
}

// Meta returns everything but the weights: Weights is nil. It must not be changed.
func (f *File) Meta() *Model { return f.meta }

// Streams returns the coded weights, for walking them in place. They must not be changed.
func (f *File) Streams() RowStreams { return f.streams }

// Digest returns the SHA-256 that the file states and has.
func (f *File) Digest() (sum [32]byte) {
	copy(sum[:], f.frame.bytes(fieldDigest))
	return sum
}

// Signed reports whether the file carries a signature; it says nothing of whose, nor that it is valid.
func (f *File) Signed() bool { return f.frame.contents[fieldSignature].len() > 0 }

// MACs returns the largest number of multiply-accumulates of one inference, as stored and re-counted.
func (f *File) MACs() uint64 { return f.frame.uint(fieldMACs) }

// RAMBytes returns the working memory of a portable in-place session, as stored and re-computed.
func (f *File) RAMBytes() int { return int(f.frame.uint(fieldRAMBytes)) }

// Nonzeros returns the number of stored weights.
func (f *File) Nonzeros() int { return int(f.frame.uint(fieldNonzeros)) }
