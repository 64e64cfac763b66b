package simb

import (
	"encoding/binary"
	"math/bits"
)

// Columns of a prefix-coded file: PREFIX.md, section 4. An element repeats the one before it, or with another
// section beside its own the one in the same place there; or it is a literal.

// How a column is laid out; numbers of the file.
const (
	columnConstant = 0 // a literal and repeats; with a section beside it repeats alone
	columnRuns     = 1 // how many repeats, a literal, how many repeats, and so on
	columnLiterals = 2 // literals alone
)

// literals says how the literals of a column are coded.
type literals struct {
	form  form
	wide  bool // of u64: in two halves
	base  int  // f32: the least distance of sign and exponent
	zeros int  // f32: zeros that all mantissas end in
}

func newLiterals(info sectionInfo) literals {
	return literals{form: formOf(info.id), wide: info.element == 8}
}

// numbers returns what is coded of an element, beside another one, and the bits that follow it.
func (l *literals) numbers(v, other uint64) (numbers [2]uint32, count int, below uint32, width int) {
	switch l.form {
	case signed:
		return [2]uint32{zigzag(int32(uint32(v)))}, 1, 0, 0
	case real:
		distance := int(v>>mantissaBits) - int(other>>mantissaBits) - l.base
		return [2]uint32{uint32(distance)}, 1, uint32(v) & (1<<mantissaBits - 1) >> l.zeros, mantissaBits - l.zeros
	case arbitrary:
		return numbers, 0, uint32(v), 32
	}
	if l.wide {
		return [2]uint32{uint32(v), uint32(v >> 32)}, 2, 0, 0
	}
	return [2]uint32{uint32(v)}, 1, 0, 0
}

// columnWriter writes one column.
type columnWriter struct {
	literals
	column, other elements
	aside         bool
	count         int
}

// before returns what element k repeats.
func (c *columnWriter) before(k int) uint64 {
	switch {
	case c.aside:
		return c.other.uint(k)
	case k > 0:
		return c.column.uint(k - 1)
	}
	return 0
}

// walk visits a layout's literals, and before each and at the end how many repeats there were.
func (c *columnWriter) walk(layout int, literal func(v, other uint64), repeats func(n uint32)) {
	run := uint32(0)
	for k := range c.count {
		v := c.column.uint(k)
		if layout != columnLiterals && v == c.before(k) && (layout == columnRuns || c.aside || k > 0) {
			run++
			continue
		}
		if layout == columnRuns {
			repeats(run)
		}
		run = 0
		literal(v, c.other.uint(k))
	}
	if layout == columnRuns && run > 0 {
		repeats(run)
	}
}

// constant reports whether the layout of that name serves.
func (c *columnWriter) constant() bool {
	for k := range c.count {
		if (c.aside || k > 0) && c.column.uint(k) != c.before(k) {
			return false
		}
	}
	return true
}

// write appends the column to w in the shortest layout.
func (c *columnWriter) write(w *bitString) {
	c.lookAtMantissas()
	var best *bitString
	for layout := columnConstant; layout <= columnLiterals; layout++ {
		if layout == columnConstant && !c.constant() {
			continue
		}
		if s := c.inLayout(layout); best == nil || s.length() < best.length() {
			best = s
		}
	}
	w.join(best)
}

// lookAtMantissas finds what the numbers of a column have in common.
func (c *columnWriter) lookAtMantissas() {
	if c.form != real {
		return
	}
	c.base, c.zeros = exponents, mantissaBits
	for k := range c.count {
		v := uint32(c.column.uint(k))
		c.base = min(c.base, int(v>>mantissaBits)-int(uint32(c.other.uint(k))>>mantissaBits))
		c.zeros = min(c.zeros, bits.TrailingZeros32(v|1<<mantissaBits))
	}
}

func (c *columnWriter) inLayout(layout int) *bitString {
	var values, runs histogram
	c.walk(layout, func(v, other uint64) {
		numbers, count, _, _ := c.numbers(v, other)
		for _, n := range numbers[:count] {
			values.add(n)
		}
	}, runs.add)
	w := &bitString{}
	w.bits(uint32(layout), 2)
	runCode, valueCode := newWordCode(&runs), newWordCode(&values)
	if layout == columnRuns {
		runCode.describe(w)
	}
	if layout == columnConstant && c.aside {
		return w
	}
	if c.form == real {
		w.bits(uint32(c.base+exponents), 10)
		w.bits(uint32(c.zeros), 5)
	}
	if c.form != arbitrary {
		valueCode.describe(w)
	}
	c.walk(layout, func(v, other uint64) {
		numbers, count, below, width := c.numbers(v, other)
		for _, n := range numbers[:count] {
			valueCode.number(w, n)
		}
		w.bits(below, width)
	}, func(n uint32) { runCode.number(w, n) })
	return w
}

// columnReader reads columns; its tables serve one after the other.
type columnReader struct {
	literals
	r            *stringReader
	code         wordCode
	runs, values lookup
}

// read fills a column of elements of a size; aside holds the section beside it, or is nil. It gives a reason
// when the column is none.
func (c *columnReader) read(column, aside []byte, info sectionInfo) (reason string) {
	c.literals = newLiterals(info)
	layout := c.r.bits(2)
	if layout > columnLiterals {
		return "a column in an unknown layout"
	}
	if layout == columnRuns {
		if !c.code.read(c.r) {
			return noCode
		}
		c.runs.fillIn(&c.code)
	}
	if layout == columnConstant && aside != nil {
		copy(column, aside)
		return ""
	}
	if reason := c.readHead(); reason != "" {
		return reason
	}
	return c.elements(column, aside, info.element, layout)
}

const noCode = "a description of no prefix code"

// readHead reads what the literals have in common.
func (c *columnReader) readHead() (reason string) {
	if c.form == real {
		c.base, c.zeros = int(c.r.bits(10))-exponents, int(c.r.bits(5))
		if c.zeros > mantissaBits {
			return "a column of numbers with impossible mantissas"
		}
	}
	if c.form == arbitrary {
		return ""
	}
	if !c.code.read(c.r) {
		return noCode
	}
	c.values.fillIn(&c.code)
	return ""
}

// elements reads the elements in a layout.
func (c *columnReader) elements(column, aside []byte, size int, layout uint32) (reason string) {
	for at, last := 0, uint64(0); at < len(column); {
		run := 0
		switch layout {
		case columnRuns:
			n := c.runs.number(c.r)
			if uint64(n)*uint64(size) > uint64(len(column)-at) {
				return "a column with more elements than there are"
			}
			run = int(n) * size
		case columnConstant:
			if at > 0 {
				run = len(column) - at
			}
		}
		if aside != nil {
			copy(column[at:at+run], aside[at:])
		} else if last != 0 { // the column is all zeros
			repeat(column[at:at+run], last, size)
		}
		if at += run; at == len(column) {
			break
		}
		other := uint64(0)
		if aside != nil {
			other = uint64(binary.LittleEndian.Uint32(aside[at:]))
		}
		v, ok := c.literal(other)
		if !ok || bits.Len64(v) > 8*size {
			return "a number that its element cannot hold"
		}
		put(column[at:], v, size)
		at, last = at+size, v
	}
	return ""
}

// literal reads one element, beside another one.
func (c *columnReader) literal(other uint64) (v uint64, ok bool) {
	switch c.form {
	case signed:
		return uint64(uint32(unzigzag(c.values.number(c.r)))), true
	case real:
		ahead := c.r.ahead()
		e := c.values[ahead&(1<<longestWord-1)]
		exponent := int64(e.number(ahead)) + int64(c.base) + int64(other>>mantissaBits)
		mantissa := uint32(ahead>>e.length()&(1<<(mantissaBits-c.zeros)-1)) << c.zeros
		c.r.at += e.length() + uint64(mantissaBits-c.zeros)
		return uint64(uint32(exponent)<<mantissaBits | mantissa), exponent >= 0 && exponent < exponents
	case arbitrary:
		return uint64(c.r.bits(32)), true
	}
	v = uint64(c.values.number(c.r))
	if c.wide {
		v |= uint64(c.values.number(c.r)) << 32
	}
	return v, true
}

// put stores an element.
func put(to []byte, v uint64, size int) {
	switch size {
	case 1:
		to[0] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(to, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(to, uint32(v))
	default:
		binary.LittleEndian.PutUint64(to, v)
	}
}

// repeat fills room with copies of an element.
func repeat(room []byte, v uint64, size int) {
	if len(room) == 0 {
		return
	}
	put(room, v, size)
	for n := size; n < len(room); n *= 2 {
		copy(room[n:], room[:n])
	}
}
