package model

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/sparse-implicit/sim/format/sparse"
)

// Encode writes a validated model as a `.sim` file; SIM.md beside this file says what it holds. The
// same model gives the same bytes on every machine: tensors come in one fixed order, provenance keys
// sorted. Errors: what Validate finds, and provenance that is not UTF-8 or exceeds the header's cap of
// 1 MiB.
func Encode(m *Model) ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	header, err := encodeMetadata(m)
	if err != nil {
		return nil, err
	}
	tensors := tensorsOf(m)
	offset := 0
	for _, t := range tensors {
		shape, err := json.Marshal(t.shape)
		if err != nil {
			return nil, err
		}
		header = fmt.Appendf(header, `,"%s":{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, t.name, t.dtype, shape, offset, offset+len(t.raw))
		offset += len(t.raw)
	}
	header = append(header, '}')
	for len(header)%8 != 0 {
		header = append(header, ' ')
	}
	if len(header) > maxHeader {
		return nil, fmt.Errorf("the header takes %d bytes, at most %d are allowed; shorten the provenance: %w", len(header), maxHeader, ErrInvalid)
	}
	out := make([]byte, 0, 8+len(header)+offset)
	out = binary.LittleEndian.AppendUint64(out, uint64(len(header)))
	out = append(out, header...)
	for _, t := range tensors {
		out = append(out, t.raw...)
	}
	return out, nil
}

// Limits and fixed texts of the file.
const (
	maxHeader        = 1 << 20
	metadataKey      = "__metadata__"
	formatName       = "sim"
	formatVersion    = "1"
	provenancePrefix = "provenance."
	weightBitsKey    = "weight.bits"
	columnBitsKey    = "column.bits"
)

// encodeMetadata returns the header up to and including the metadata, the object still open.
func encodeMetadata(m *Model) ([]byte, error) {
	pairs := [][2]string{
		{"format", formatName}, {"version", formatVersion},
		{"n", strconv.Itoa(m.States())}, {"p", strconv.Itoa(m.Inputs())}, {"q", strconv.Itoa(m.Outputs())},
		{"decision", string(m.Decision)},
	}
	if m.ColumnStep != nil {
		pairs = append(pairs, [2]string{weightBitsKey, strconv.Itoa(m.WeightBits)}, [2]string{columnBitsKey, strconv.Itoa(m.ColumnBits)})
	}
	for _, key := range slices.Sorted(maps.Keys(m.Provenance)) {
		pairs = append(pairs, [2]string{provenancePrefix + key, m.Provenance[key]})
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	out.WriteString(`{"` + metadataKey + `":{`)
	for i, pair := range pairs {
		if i > 0 {
			out.WriteByte(',')
		}
		for k, text := range pair {
			if !utf8.ValidString(text) {
				return nil, fmt.Errorf("provenance %q is not UTF-8 text: %w", text, ErrInvalid)
			}
			if k == 1 {
				out.WriteByte(':')
			}
			if err := encoder.Encode(text); err != nil {
				return nil, err
			}
			out.Truncate(out.Len() - 1) // the encoder ends each value with a newline
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// tensor is one entry of the header with its bytes.
type tensor struct {
	name  string
	dtype string
	shape []int
	raw   []byte
}

// tensorsOf lists the model's tensors in the order of the file: everything of four bytes first, so that
// all of it is aligned, the activation kinds last.
func tensorsOf(m *Model) []tensor {
	var list []tensor
	for _, part := range []struct {
		name   string
		matrix *sparse.Matrix[float32]
	}{{"A", m.A}, {"B", m.B}, {"C", m.C}, {"D", m.D}} {
		list = append(list,
			ints(part.name+".indptr", part.matrix.Indptr),
			ints(part.name+".indices", part.matrix.Indices),
			floats(part.name+".data", part.matrix.Data))
	}
	params := make([]float32, 0, 2*len(m.Activations))
	kinds := make([]byte, 0, len(m.Activations))
	for _, a := range m.Activations {
		params = append(params, a.P0, a.P1)
		kinds = append(kinds, byte(a.Kind))
	}
	param := floats("activation.param", params)
	param.shape = []int{len(m.Activations), 2}
	list = append(list, floats("b", m.StateBias), floats("d", m.OutputBias), param,
		floats("input.lo", m.InputLo), floats("input.hi", m.InputHi))
	if m.StateLo != nil {
		list = append(list, floats("state.lo", m.StateLo), floats("state.hi", m.StateHi))
	}
	if m.WeightScale != nil {
		list = append(list, floats("weight.scale", m.WeightScale))
	}
	if m.ColumnStep != nil {
		list = append(list, floats("column.step", m.ColumnStep))
	}
	return append(list, tensor{"activation.kind", "U8", []int{len(kinds)}, kinds})
}

func ints(name string, values []int32) tensor {
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(v))
	}
	return tensor{name, "I32", []int{len(values)}, raw}
}

func floats(name string, values []float32) tensor {
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return tensor{name, "F32", []int{len(values)}, raw}
}
