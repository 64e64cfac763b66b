package dataset

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"path/filepath"
	"strings"
)

// folder is a place to read files from, and the name that errors give it.
type folder struct {
	fs   fs.FS
	name string
}

// path returns a file's name for errors.
func (f folder) path(name string) string {
	if strings.HasPrefix(f.name, builtinPrefix) {
		return f.name + "/" + name
	}
	return filepath.Join(f.name, name)
}

// find returns the first of the names that is there, plain before .gz.
func (f folder) find(names ...string) (string, bool) {
	for _, name := range names {
		for _, candidate := range []string{name, name + ".gz"} {
			if info, err := fs.Stat(f.fs, candidate); err == nil && !info.IsDir() {
				return candidate, true
			}
		}
	}
	return "", false
}

func (f folder) has(names ...string) bool {
	_, ok := f.find(names...)
	return ok
}

// stream is an opened file, unpacked if its name ends in .gz.
type stream struct {
	io.Reader
	path string
	most int64 // no more bytes than this can come
	file fs.File
}

func (s *stream) close() { _ = s.file.Close() }

// maxDeflateRatio is the largest factor by which deflate can expand: 258 bytes for two bits.
const maxDeflateRatio = 1032

// open opens one of the names (variants of the same file), plain or .gz. Of a plain one that is larger than
// `most` nothing is read; reading on behind so many unpacked bytes is an error.
func (f folder) open(most int64, names ...string) (*stream, error) {
	name, ok := f.find(names...)
	if !ok {
		return nil, fmt.Errorf("%s: no such file, nor with .gz at the end: %w", f.path(names[0]), ErrMissing)
	}
	file, err := f.fs.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", f.path(name), err, ErrMissing)
	}
	s := &stream{Reader: file, path: f.path(name), file: file}
	info, err := file.Stat()
	if err != nil {
		s.close()
		return nil, fmt.Errorf("%s: %w: %w", s.path, err, ErrMissing)
	}
	s.most = info.Size()
	if path.Ext(name) != ".gz" {
		if s.most > most {
			s.close()
			return nil, fmt.Errorf("%s: %d bytes, at most %d are read: %w", s.path, s.most, most, ErrMalformed)
		}
		return s, nil
	}
	s.most = min(s.most, math.MaxInt64/maxDeflateRatio) * maxDeflateRatio
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		s.close()
		return nil, fmt.Errorf("%s: not a gzip file: %w", s.path, broken(err))
	}
	s.Reader = &capped{unpacked, most, most}
	return s, nil
}

// capped reads no more than so many bytes; one more is an error.
type capped struct {
	r          io.Reader
	left, most int64
}

// Read counts what is read and stops at the cap.
func (c *capped) Read(b []byte) (int, error) {
	if c.left == 0 {
		if n, err := c.r.Read(b[:min(len(b), 1)]); n == 0 {
			return 0, err
		}
		return 0, fmt.Errorf("it unpacks to more than %d bytes, the most that is read: %w", c.most, ErrMalformed)
	}
	n, err := c.r.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	return n, err
}

// broken turns an error of a reader into one that wraps ErrMalformed and says what to do.
func broken(err error) error {
	if errors.Is(err, ErrMalformed) { // it says so itself
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the file ends early; fetch it again: %w", ErrMalformed)
	}
	return fmt.Errorf("%w; the file is damaged, fetch it again: %w", err, ErrMalformed)
}

// finish reads to the end, which makes gzip compare its checksum, and refuses anything that follows.
func finish(r io.Reader) error {
	n, err := io.ReadFull(r, make([]byte, 1))
	switch {
	case n > 0:
		return fmt.Errorf("more bytes follow than the header declares: %w", ErrMalformed)
	case !errors.Is(err, io.EOF):
		return broken(err)
	}
	return nil
}

// unitInterval holds the 256 values of bytes scaled to [0, 1].
var unitInterval = func() (table [256]float32) {
	for b := range table {
		table[b] = float32(float64(b) / 255)
	}
	return table
}()

// scaleBytes appends bytes scaled to [0, 1].
func scaleBytes(dst []float32, src []byte) []float32 {
	for _, b := range src {
		dst = append(dst, unitInterval[b])
	}
	return dst
}
