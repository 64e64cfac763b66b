package model

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"unicode/utf8"
)

// ErrMalformed is wrapped by errors about bytes that are no `.sim` file, or a damaged one.
var ErrMalformed = errors.New("malformed .sim file")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrMalformed)
}

// fileHeader is what the JSON header says, offsets resolved to bytes.
type fileHeader struct {
	metadata map[string]string
	tensors  map[string]tensor
}

// parseHeader splits a file into metadata and tensors. Every tensor lies inside the file, is as long as
// its type and shape say, and together they fill the data without gap or overlap.
func parseHeader(data []byte, limits Limits) (*fileHeader, error) {
	if len(data) < 8 {
		return nil, malformed("%d bytes are too short for a header", len(data))
	}
	length := binary.LittleEndian.Uint64(data)
	if length > maxHeader {
		return nil, malformed("the header claims %d bytes, at most %d are allowed", length, maxHeader)
	}
	if length > uint64(max(limits.Header, 0)) {
		return nil, tooLarge("bytes of header", int64(length), int64(limits.Header))
	}
	if length > uint64(len(data)-8) {
		return nil, malformed("the header claims %d bytes, the file has %d", length, len(data)-8)
	}
	text, body := data[8:8+length], data[8+length:]
	if !utf8.Valid(text) {
		return nil, malformed("the header is not UTF-8 text")
	}
	members, err := objectMembers(text)
	if err != nil {
		return nil, malformed("header: %v", err)
	}
	h := &fileHeader{tensors: map[string]tensor{}}
	var spans []span
	for _, m := range members {
		if m.name == metadataKey {
			if h.metadata, err = parseMetadata(m.value); err != nil {
				return nil, malformed("header: %s: %v", metadataKey, err)
			}
			continue
		}
		t, at, err := parseTensor(m, body)
		if err != nil {
			return nil, malformed("%s: %v", m.name, err)
		}
		h.tensors[m.name] = t
		spans = append(spans, at)
	}
	return h, filled(spans, len(body))
}

// member is one key of a JSON object with its value's text.
type member struct {
	name  string
	value json.RawMessage
}

// objectMembers returns the members of a JSON object in order. A key given twice is refused: readers
// differ in which of the two they would believe.
func objectMembers(text []byte) ([]member, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("no JSON object")
	}
	var members []member
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: token.(string)} // a key is always a string
		if seen[m.name] {
			return nil, fmt.Errorf("key %.40q is given twice", m.name)
		}
		seen[m.name] = true
		if err := decoder.Decode(&m.value); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("text follows the JSON object")
	}
	return members, nil
}

func parseMetadata(text []byte) (map[string]string, error) {
	members, err := objectMembers(text)
	if err != nil {
		return nil, err
	}
	metadata := make(map[string]string, len(members))
	for _, m := range members {
		var value *string
		if err := json.Unmarshal(m.value, &value); err != nil || value == nil {
			return nil, fmt.Errorf("the value of %.40q is not a string", m.name)
		}
		metadata[m.name] = *value
	}
	return metadata, nil
}

// dtypeSizes are the element sizes of the safetensors types; a tensor of another type is refused.
var dtypeSizes = map[string]int64{
	"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
	"U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}

// span is the part of the data that a tensor takes.
type span struct {
	name       string
	start, end int64
}

func parseTensor(m member, body []byte) (tensor, span, error) {
	fail := func(format string, args ...any) (tensor, span, error) {
		return tensor{}, span{}, fmt.Errorf(format, args...)
	}
	fields, err := objectMembers(m.value)
	if err != nil {
		return fail("%v", err)
	}
	var dtype string
	var shape, offsets []int64
	for _, f := range fields {
		switch f.name {
		case "dtype":
			err = json.Unmarshal(f.value, &dtype)
		case "shape":
			err = json.Unmarshal(f.value, &shape)
		case "data_offsets":
			err = json.Unmarshal(f.value, &offsets)
		}
		if err != nil {
			return fail("%s: %v", f.name, err)
		}
	}
	size, known := dtypeSizes[dtype]
	if !known {
		return fail("dtype %.20q is unknown", dtype)
	}
	if shape == nil || len(offsets) != 2 {
		return fail("shape, or the two data_offsets, are missing")
	}
	start, end := offsets[0], offsets[1]
	if start < 0 || end < start || end > int64(len(body)) {
		return fail("data_offsets [%d, %d] do not lie in the %d bytes of data", start, end, len(body))
	}
	t := tensor{name: m.name, dtype: dtype, raw: body[start:end:end]}
	room := end - start
	need, empty := size, slices.Contains(shape, 0)
	for _, d := range shape {
		if d < 0 || (!empty && d > room/need) || d > math.MaxInt32 {
			return fail("shape %v of %s does not fit the %d bytes that data_offsets give", shape, dtype, room)
		}
		need *= max(d, 1)
		t.shape = append(t.shape, int(d))
	}
	if empty {
		need = 0
	}
	if need != room {
		return fail("shape %v of %s takes %d bytes, data_offsets give %d", shape, dtype, need, room)
	}
	return t, span{m.name, start, end}, nil
}

// filled checks that the spans follow one another from the first byte of the data to the last.
func filled(spans []span, length int) error {
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end), cmp.Compare(a.name, b.name))
	})
	at, before := int64(0), "the start of the data"
	for _, s := range spans {
		if s.start < at {
			return malformed("%s begins at byte %d, inside %s, which ends at %d", s.name, s.start, before, at)
		}
		if s.start > at {
			return malformed("bytes %d to %d of the data, between %s and %s, belong to no tensor", at, s.start, before, s.name)
		}
		at, before = s.end, s.name
	}
	if at != int64(length) {
		return malformed("%d bytes follow the last tensor", int64(length)-at)
	}
	return nil
}

// tensorNames returns the names in the header, sorted, for error messages.
func (h *fileHeader) tensorNames() []string { return slices.Sorted(maps.Keys(h.tensors)) }
