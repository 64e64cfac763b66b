// Package npz reads NumPy's array files, NPY and NPZ, from untrusted bytes, and writes plain NPY.
//
// It promises never to panic, and never to allocate more than the caller's limits allow and the bytes
// at hand justify, whatever the bytes say about themselves. It reads numbers only: arrays of Python
// objects, which can run code when unpickled, are refused. It knows nothing of models or data sets.
package npz

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
)

// ErrMalformed is wrapped by every error about bytes that are no NPY or NPZ file, or one that this
// package does not read (objects, structures, text, complex numbers).
var ErrMalformed = errors.New("not a readable NumPy file")

// ErrTooLarge is wrapped by errors about files that exceed the caller's Limits.
var ErrTooLarge = errors.New("larger than the limit")

// Limits caps what is read. A zero field means its default.
type Limits struct {
	MaxBytes    int64 // of a file, as it lies on disk; default 4 GiB
	MaxElements int64 // of one array; default 2²⁸. An array never takes more than 8 bytes for each, unpacked
	MaxArrays   int   // of one archive; default 4096
	MaxDims     int   // of one array; default and most 64
}

func (l Limits) orDefault() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = 4 << 30
	}
	if l.MaxDims <= 0 || l.MaxDims > maxDims {
		l.MaxDims = maxDims
	}
	if l.MaxElements <= 0 {
		l.MaxElements = 1 << 28
	}
	if l.MaxArrays <= 0 {
		l.MaxArrays = 4096
	}
	return l
}

// Archive is an NPZ file: arrays by name, parsed when they are asked for.
type Archive struct {
	limits  Limits
	size    int64
	members map[string]*zip.File
	names   []string
}

// Read opens an NPZ file held in memory. The archive keeps data; the caller must not change it.
// Members whose names do not end in ".npy" are passed over. Errors wrap ErrMalformed or ErrTooLarge.
func Read(data []byte, limits Limits) (*Archive, error) {
	if err := limits.size(int64(len(data))); err != nil {
		return nil, err
	}
	reader, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("no zip archive (%w): %w", err, ErrMalformed)
	}
	a := &Archive{limits: limits.orDefault(), size: int64(len(data)), members: map[string]*zip.File{}}
	for _, f := range reader.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			continue
		}
		if a.members[name] != nil {
			return nil, fmt.Errorf("the archive holds %q twice: %w", name, ErrMalformed)
		}
		if len(a.names) == a.limits.MaxArrays {
			return nil, fmt.Errorf("the archive holds more than %d arrays: %w", a.limits.MaxArrays, ErrTooLarge)
		}
		a.members[name] = f
		a.names = append(a.names, name)
	}
	slices.Sort(a.names)
	return a, nil
}

// size checks the bytes of a file.
func (l Limits) size(bytes int64) error {
	if most := l.orDefault().MaxBytes; bytes > most || bytes > math.MaxInt {
		return fmt.Errorf("%d bytes, at most %d are read: %w", bytes, most, ErrTooLarge)
	}
	return nil
}

// Open reads the NPZ file at path. Errors name the path; a file that is too large is refused before it is
// read.
func Open(path string, limits Limits) (*Archive, error) {
	if info, err := os.Stat(path); err == nil {
		if err := limits.size(info.Size()); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	a, err := Read(data, limits)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return a, nil
}

// Names returns the names of the arrays, sorted, without ".npy".
func (a *Archive) Names() []string { return slices.Clone(a.names) }

// Has reports whether the archive holds an array of this name.
func (a *Archive) Has(name string) bool { return a.members[name] != nil }

// Array reads one array. Errors name it, and wrap ErrMalformed or ErrTooLarge.
func (a *Archive) Array(name string) (*Array, error) {
	f := a.members[name]
	if f == nil {
		return nil, fmt.Errorf("no array %q; the archive holds %s: %w", name, strings.Join(a.names, ", "), ErrMalformed)
	}
	array, err := a.read(f)
	if err != nil {
		return nil, fmt.Errorf("array %q: %w", name, err)
	}
	return array, nil
}

// maxDeflateRatio is the largest factor by which deflate can expand: 258 bytes for two bits.
const maxDeflateRatio = 1032

func (a *Archive) read(f *zip.File) (*Array, error) {
	offset, err := f.DataOffset()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrMalformed)
	}
	stored, declared := f.CompressedSize64, f.UncompressedSize64
	if offset < 0 || offset > a.size || stored > uint64(a.size-offset) {
		return nil, fmt.Errorf("declares %d bytes at %d of a file of %d: %w", stored, offset, a.size, ErrMalformed)
	}
	if (f.Method == zip.Store && declared != stored) || declared/maxDeflateRatio > stored {
		return nil, fmt.Errorf("declares %d bytes, which %d stored ones cannot hold: %w", declared, stored, ErrMalformed)
	}
	if declared > math.MaxInt || declared/8 > uint64(a.limits.MaxElements)+maxHeaderLen {
		return nil, fmt.Errorf("declares %d bytes, more than %d elements take: %w", declared, a.limits.MaxElements, ErrTooLarge)
	}
	body, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrMalformed)
	}
	defer body.Close()
	return readMember(body, int(declared), a.limits)
}

// readMember reads the header first, so that a large body is fetched only for an array that is wanted.
func readMember(body io.Reader, declared int, limits Limits) (*Array, error) {
	prefix := make([]byte, min(declared, maxPrefixLen))
	if _, err := io.ReadFull(body, prefix); err != nil {
		return nil, fmt.Errorf("the stored bytes end early or are damaged (%w): %w", err, ErrMalformed)
	}
	array, headerLen, err := parseHeader(prefix, declared, limits)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, declared-headerLen)
	have := copy(raw, prefix[headerLen:])
	if _, err := io.ReadFull(body, raw[have:]); err != nil {
		return nil, fmt.Errorf("the stored bytes end early or are damaged (%w): %w", err, ErrMalformed)
	}
	// Reading on to the end makes package zip compare the checksum, and finds bytes beyond the
	// declared length.
	if k, err := io.ReadFull(body, make([]byte, 1)); k != 0 || err != io.EOF {
		return nil, fmt.Errorf("the stored bytes run past their declared length or are damaged (%v): %w", err, ErrMalformed)
	}
	array.raw = raw
	return array, nil
}
