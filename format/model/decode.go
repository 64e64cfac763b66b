package model

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/sparse-implicit/sim/format/npz"
	"github.com/sparse-implicit/sim/format/sparse"
)

// ReadFile reads the model file at path, a `.sim` or a dense `.npz`. Errors name the path and wrap
// ErrMalformed, ErrInvalid, ErrTooLarge, npz.ErrMalformed or npz.ErrTooLarge, or are those of os.ReadFile.
func ReadFile(path string, options ...Option) (*Model, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := limitsOf(options).size(info.Size()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := Read(data, options...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// Read reads a model from the bytes of a `.sim` file or of an NPZ archive (see FromNPZ), told apart by
// how they begin. Errors as in ReadFile.
func Read(data []byte, options ...Option) (*Model, error) {
	if !bytes.HasPrefix(data, []byte("PK\x03\x04")) {
		return Decode(data, options...)
	}
	archive, err := npz.Read(data, limitsOf(options).archive())
	if err != nil {
		return nil, err
	}
	return FromNPZ(archive, options...)
}

// Decode reads a `.sim` file from untrusted bytes. What it returns has passed Validate and shares no
// memory with data. Tensors and metadata that it does not know are passed over; a model's own that are
// missing, of another type or of another shape are errors, which wrap ErrMalformed or ErrInvalid and
// say what and where. What a Limits refuses wraps ErrTooLarge.
func Decode(data []byte, options ...Option) (*Model, error) {
	limits := limitsOf(options)
	if err := limits.size(int64(len(data))); err != nil {
		return nil, err
	}
	h, err := parseHeader(data, limits)
	if err != nil {
		return nil, err
	}
	r := &reader{header: h, limits: limits}
	m := r.model()
	if r.err != nil {
		return nil, r.err
	}
	return m, m.Validate()
}

// reader takes tensors out of a header; after the first error it returns nothing of use.
type reader struct {
	header *fileHeader
	limits Limits
	err    error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = malformed(format, args...)
	}
}

func (r *reader) model() *Model {
	n, p, q := r.dimensions()
	m := &Model{Decision: DecideNone, Provenance: Provenance{}}
	if r.err != nil {
		return m
	}
	m.A = r.matrix("A", n, n, "states")
	m.B = r.matrix("B", n, p, "inputs")
	m.C = r.matrix("C", q, n, "states")
	m.D = r.matrix("D", q, p, "inputs")
	m.StateBias, m.OutputBias = r.floats("b", n), r.floats("d", q)
	m.InputLo, m.InputHi = r.floats("input.lo", p), r.floats("input.hi", p)
	if r.has("state.lo") || r.has("state.hi") {
		m.StateLo, m.StateHi = r.floats("state.lo", n), r.floats("state.hi", n)
	}
	if r.has("weight.scale") {
		m.WeightScale = r.floats("weight.scale", n+q)
	}
	if r.has("column.step") {
		m.ColumnStep = r.floats("column.step", p+n)
		m.WeightBits, m.ColumnBits = r.bits(weightBitsKey), r.bits(columnBitsKey)
	}
	m.Activations = r.activations(n)
	if rule, ok := r.header.metadata["decision"]; ok {
		m.Decision = Decision(rule)
	}
	for key, value := range r.header.metadata {
		if name, ok := strings.CutPrefix(key, provenancePrefix); ok {
			m.Provenance[name] = value
		}
	}
	return m
}

// dimensions returns n, p and q of the metadata once they agree with the tensors that carry them.
func (r *reader) dimensions() (n, p, q int) {
	metadata := r.header.metadata
	if got := metadata["format"]; got != formatName {
		r.fail("metadata: format is %.20q, it must be %q", got, formatName)
		return
	}
	if got := metadata["version"]; got != formatVersion {
		r.fail("metadata: version is %.20q, this reader knows %q", got, formatVersion)
		return
	}
	for _, d := range []struct {
		key, tensor string
		extra       int // how many numbers the tensor has beyond the dimension
		to          *int
	}{{"n", "A.indptr", 1, &n}, {"p", "input.lo", 0, &p}, {"q", "C.indptr", 1, &q}} {
		value, err := strconv.Atoi(metadata[d.key])
		if err != nil || value < 0 || value > math.MaxInt32-1 {
			r.fail("metadata: %s is %.20q, it must be a count", d.key, metadata[d.key])
			return
		}
		t, ok := r.header.tensors[d.tensor]
		if !ok {
			r.missing(d.tensor)
			return
		}
		if len(t.shape) != 1 || t.shape[0] != value+d.extra {
			r.fail("%s has shape %v, but the metadata say %s = %d", d.tensor, t.shape, d.key, value)
			return
		}
		*d.to = value
	}
	r.err = r.limits.dimensions(n, p, q)
	return n, p, q
}

// bits returns a count of bits of the metadata; whether it is one that models have is for Validate.
func (r *reader) bits(key string) int {
	value, err := strconv.Atoi(r.header.metadata[key])
	if err != nil {
		r.fail("metadata: %s is %.20q, a file with column.step needs a count of bits", key, r.header.metadata[key])
	}
	return value
}

func (r *reader) has(name string) bool {
	_, ok := r.header.tensors[name]
	return ok
}

func (r *reader) missing(name string) {
	r.fail("tensor %s is missing; the file has %s", name, strings.Join(r.header.tensorNames(), ", "))
}

// tensor returns the bytes of a tensor of this type and shape; a negative dimension may be any.
func (r *reader) tensor(name, dtype string, shape ...int) []byte {
	t, ok := r.header.tensors[name]
	if !ok {
		r.missing(name)
		return nil
	}
	fits := t.dtype == dtype && len(t.shape) == len(shape)
	for i := 0; fits && i < len(shape); i++ {
		fits = shape[i] < 0 || shape[i] == t.shape[i]
	}
	if !fits {
		want := strings.ReplaceAll(fmt.Sprint(shape), "-1", "any")
		r.fail("%s is %s of shape %v, the model needs %s of shape %s", name, t.dtype, t.shape, dtype, want)
		return nil
	}
	return t.raw
}

func (r *reader) ints(name string, length int) []int32 {
	raw := r.tensor(name, "I32", length)
	out := make([]int32, len(raw)/4)
	for i := range out {
		out[i] = int32(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out
}

func (r *reader) floats(name string, shape ...int) []float32 {
	raw := r.tensor(name, "F32", shape...)
	out := make([]float32, len(raw)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out
}

// matrix reads a rows × cols matrix; what the columns stand for is named in the error about an index
// out of range, the commonest mistake of a writer. Validate checks everything else about CSR.
func (r *reader) matrix(name string, rows, cols int, columns string) *sparse.Matrix[float32] {
	m := &sparse.Matrix[float32]{Rows: rows, Cols: cols}
	m.Indptr = r.ints(name+".indptr", rows+1)
	if t := r.header.tensors[name+".indices"]; r.err == nil && len(t.raw)/4 > r.limits.Nonzeros {
		r.err = fmt.Errorf("%s: %w", name, tooLarge("entries", int64(len(t.raw)/4), int64(r.limits.Nonzeros)))
	}
	if r.err != nil {
		return m
	}
	m.Indices = r.ints(name+".indices", -1)
	m.Data = r.floats(name+".data", len(m.Indices))
	for k, j := range m.Indices {
		if j < 0 || int(j) >= cols {
			r.fail("%s.indices[%d] = %d, but the model has %d %s", name, k, j, cols, columns)
			break
		}
	}
	return m
}

func (r *reader) activations(n int) []Activation {
	kinds := r.tensor("activation.kind", "U8", n)
	params := r.floats("activation.param", n, 2)
	if r.err != nil {
		return nil
	}
	out := make([]Activation, n)
	for i := range out {
		out[i] = Activation{Kind(kinds[i]), params[2*i], params[2*i+1]}
	}
	return out
}
