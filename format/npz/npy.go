package npz

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Array is one array of numbers as its file stores it; Float32 and Int64 convert.
type Array struct {
	Shape []int // empty for a scalar
	Kind  byte  // 'f' float, 'i' signed, 'u' unsigned, 'b' boolean
	Size  int   // bytes of one element: 1, 2, 4 or 8

	bigEndian bool
	fortran   bool
	raw       []byte
}

// Len returns the number of elements.
func (a *Array) Len() int { return len(a.raw) / a.Size }

const (
	magic        = "\x93NUMPY"
	maxHeaderLen = 1 << 16
	maxPrefixLen = len(magic) + 6 + maxHeaderLen
	maxDims      = 64 // NumPy 2's own limit
)

// ReadNPY reads one NPY file (format versions 1 to 3) held in memory. The array keeps data; the caller
// must not change it. Errors wrap ErrMalformed or ErrTooLarge.
func ReadNPY(data []byte, limits Limits) (*Array, error) {
	if err := limits.size(int64(len(data))); err != nil {
		return nil, err
	}
	a, headerLen, err := parseHeader(data, len(data), limits.orDefault())
	if err != nil {
		return nil, err
	}
	a.raw = data[headerLen:]
	return a, nil
}

// parseHeader reads the header at the start of prefix and holds it against the length of the whole
// file, header included. It returns the array without its numbers, and where they begin.
func parseHeader(prefix []byte, total int, limits Limits) (*Array, int, error) {
	text, headerLen, err := headerText(prefix)
	if err != nil {
		return nil, 0, err
	}
	a, err := parseDict(text)
	if err != nil {
		return nil, 0, err
	}
	if len(a.Shape) > limits.MaxDims {
		return nil, 0, fmt.Errorf("%d dimensions, at most %d are read: %w", len(a.Shape), limits.MaxDims, ErrTooLarge)
	}
	elements := int64(1)
	empty := slices.Contains(a.Shape, 0)
	for _, d := range a.Shape {
		if int64(d) > limits.MaxElements || int64(max(d, 1)) > limits.MaxElements/elements {
			return nil, 0, fmt.Errorf("shape %v has more than %d elements: %w", a.Shape, limits.MaxElements, ErrTooLarge)
		}
		elements *= int64(max(d, 1))
	}
	if empty {
		elements = 0
	}
	body := int64(total - headerLen)
	if elements > math.MaxInt64/8 || elements*int64(a.Size) != body {
		return nil, 0, fmt.Errorf("shape %v of %d-byte elements does not fit the %d bytes that follow: %w", a.Shape, a.Size, body, ErrMalformed)
	}
	return a, headerLen, nil
}

// headerText returns the header's dictionary and the offset of the first number.
func headerText(data []byte) (string, int, error) {
	if len(data) < len(magic)+4 || string(data[:len(magic)]) != magic {
		return "", 0, fmt.Errorf("no NPY magic at the start: %w", ErrMalformed)
	}
	var start, length int
	switch major := data[len(magic)]; major {
	case 1:
		start, length = 10, int(binary.LittleEndian.Uint16(data[8:]))
	case 2, 3:
		if len(data) < 12 {
			return "", 0, fmt.Errorf("the header ends early: %w", ErrMalformed)
		}
		start, length = 12, int(min(binary.LittleEndian.Uint32(data[8:]), maxHeaderLen+1))
	default:
		return "", 0, fmt.Errorf("NPY format version %d is unknown: %w", major, ErrMalformed)
	}
	if length > maxHeaderLen {
		return "", 0, fmt.Errorf("the header is longer than %d bytes: %w", maxHeaderLen, ErrTooLarge)
	}
	if length > len(data)-start {
		return "", 0, fmt.Errorf("the header ends early: %w", ErrMalformed)
	}
	return string(data[start : start+length]), start + length, nil
}

// parseDict reads the header's Python dictionary: 'descr', 'fortran_order' and 'shape', each once.
func parseDict(text string) (*Array, error) {
	p := &literal{text: text}
	a := &Array{}
	seen := map[string]bool{}
	if !p.take('{') {
		return nil, p.malformed("a dictionary")
	}
	for !p.take('}') {
		key, ok := p.quoted()
		if !ok || seen[key] || !p.take(':') {
			return nil, p.malformed("a key that was not given before")
		}
		seen[key] = true
		var err error
		switch key {
		case "descr":
			err = p.descr(a)
		case "fortran_order":
			err = p.order(a)
		case "shape":
			err = p.shape(a)
		default:
			err = fmt.Errorf("unknown key %q in the header: %w", key, ErrMalformed)
		}
		if err != nil {
			return nil, err
		}
		if !p.take(',') && p.peek() != '}' {
			return nil, p.malformed("a comma")
		}
	}
	if p.peek() != 0 {
		return nil, p.malformed("nothing")
	}
	if len(seen) != 3 {
		return nil, fmt.Errorf("the header lacks one of descr, fortran_order, shape: %w", ErrMalformed)
	}
	return a, nil
}

// literal walks over a Python literal.
type literal struct {
	text string
	at   int
}

func (p *literal) malformed(want string) error {
	return fmt.Errorf("byte %d of the header's dictionary: expected %s: %w", p.at, want, ErrMalformed)
}

// peek skips blanks and returns the next byte, 0 at the end.
func (p *literal) peek() byte {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
	if p.at == len(p.text) {
		return 0
	}
	return p.text[p.at]
}

func (p *literal) take(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.at++
	return true
}

func (p *literal) word(w string) bool {
	p.peek()
	if !strings.HasPrefix(p.text[p.at:], w) {
		return false
	}
	p.at += len(w)
	return true
}

// quoted reads a string without escapes, which is all that NumPy writes for numbers.
func (p *literal) quoted() (string, bool) {
	quote := p.peek()
	if quote != '\'' && quote != '"' {
		return "", false
	}
	rest := p.text[p.at+1:]
	end := strings.IndexByte(rest, quote)
	if end < 0 || strings.IndexByte(rest[:end], '\\') >= 0 {
		return "", false
	}
	p.at += end + 2
	return rest[:end], true
}

func (p *literal) descr(a *Array) error {
	if p.peek() == '[' {
		return fmt.Errorf("structured arrays are not read, only plain numbers: %w", ErrMalformed)
	}
	s, ok := p.quoted()
	if !ok {
		return p.malformed("an element type")
	}
	if strings.Contains(s, "O") {
		return fmt.Errorf("an object array (%q) is refused: it holds pickled Python objects; save it as numbers: %w", s, ErrMalformed)
	}
	if len(s) != 3 {
		return fmt.Errorf("element type %q is not read; use f2 f4 f8, i1 to i8, u1 to u8 or b1: %w", s, ErrMalformed)
	}
	a.Kind, a.Size, a.bigEndian = s[1], int(s[2]-'0'), s[0] == '>'
	var sizes []int
	switch a.Kind {
	case 'f':
		sizes = []int{2, 4, 8}
	case 'i', 'u':
		sizes = []int{1, 2, 4, 8}
	case 'b':
		sizes = []int{1}
	}
	orderKnown := s[0] == '<' || s[0] == '>' || (s[0] == '|' && a.Size == 1)
	if !slices.Contains(sizes, a.Size) || !orderKnown {
		return fmt.Errorf("element type %q is not read; use f2 f4 f8, i1 to i8, u1 to u8 or b1: %w", s, ErrMalformed)
	}
	return nil
}

func (p *literal) order(a *Array) error {
	switch {
	case p.word("True"):
		a.fortran = true
	case !p.word("False"):
		return p.malformed("True or False")
	}
	return nil
}

func (p *literal) shape(a *Array) error {
	if !p.take('(') {
		return p.malformed("a tuple")
	}
	a.Shape = []int{}
	for !p.take(')') {
		p.peek()
		end := p.at
		for end < len(p.text) && p.text[end] >= '0' && p.text[end] <= '9' {
			end++
		}
		// A dimension too long for an int is larger than any limit.
		d, err := strconv.ParseInt(p.text[p.at:end], 10, 0)
		if end == p.at {
			return p.malformed("a dimension")
		}
		if err != nil {
			return fmt.Errorf("dimension %s: %w", p.text[p.at:min(end, p.at+24)], ErrTooLarge)
		}
		if len(a.Shape) == maxDims {
			return fmt.Errorf("more than %d dimensions: %w", maxDims, ErrTooLarge)
		}
		p.at = end
		p.word("L") // Python 2 wrote long dimensions so
		a.Shape = append(a.Shape, int(d))
		if !p.take(',') && p.peek() != ')' {
			return p.malformed("a comma")
		}
	}
	return nil
}
