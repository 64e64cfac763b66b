package simb

import (
	"cmp"
	"math/bits"
	"slices"
)

// Numbers of a prefix-coded file are symbols of half an octave with the bits below: PREFIX.md, sections 2
// and 3. A code is described by the lengths of its words.
const (
	symbols     = 64 // of numbers below 2³²
	longestWord = 7  // bits: one look into a table of 1 KB decodes a symbol
	firstLength = 4  // what the lengths of a description start from
)

// symbolOf returns the symbol of a number: itself below 2, else two for each octave.
func symbolOf(v uint32) int {
	if v < 2 {
		return int(v)
	}
	k := bits.Len32(v) - 1
	return 2*k + int(v>>(k-1)&1)
}

// bitsBelow returns how many bits follow a symbol.
func bitsBelow(symbol int) int { return max(symbol>>1, 1) - 1 }

// topOf returns the leading bits of the numbers of a symbol.
func topOf(symbol int) uint32 {
	if symbol < 2 {
		return uint32(symbol)
	}
	return uint32(2 | symbol&1)
}

// histogram counts symbols.
type histogram [symbols]int

// add counts a number.
func (h *histogram) add(v uint32) { h[symbolOf(v)]++ }

// span returns the first symbol and the one behind the last; 0 and 1 of none.
func (h *histogram) span() (first, end int) {
	for end = symbols; end > 1 && h[end-1] == 0; end-- {
	}
	for first < end-1 && h[first] == 0 {
		first++
	}
	return first, end
}

// wordCode is a prefix code: of each symbol, how long its word is, and the word with its first bit lowest.
type wordCode struct {
	first, end int // symbols
	longest    int // word
	lengths    [symbols]uint8
	words      [symbols]uint16
}

// newWordCode returns a shortest code.
func newWordCode(h *histogram) *wordCode {
	c := &wordCode{}
	c.first, c.end = h.span()
	if c.end-c.first > 1 {
		c.lengths = wordLengths(h)
		c.assign()
	}
	return c
}

// wordLengths returns the lengths of a shortest code without words longer than longestWord, by merging
// packages: at each length, from the longest, pairs of what the length below kept join the symbols.
func wordLengths(h *histogram) (lengths [symbols]uint8) {
	var order []int
	for s, n := range h {
		if n > 0 {
			order = append(order, s)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(h[a], h[b]), cmp.Compare(a, b)) })
	var isSymbol [longestWord][]bool
	var weights []int
	for level := range isSymbol {
		packages := weights
		weights = nil
		next := 0
		for p := 0; next < len(order) || p+1 < len(packages); {
			symbol := p+1 >= len(packages) || next < len(order) && h[order[next]] <= packages[p]+packages[p+1]
			if symbol {
				weights = append(weights, h[order[next]])
				next++
			} else {
				weights = append(weights, packages[p]+packages[p+1])
				p += 2
			}
			isSymbol[level] = append(isSymbol[level], symbol)
		}
	}
	take := 2 * (len(order) - 1)
	for level := longestWord - 1; level >= 0; level-- {
		taken := 0
		for _, symbol := range isSymbol[level][:take] {
			if symbol {
				lengths[order[taken]]++
				taken++
			}
		}
		take = 2 * (take - taken)
	}
	return lengths
}

// assign gives out words: shorter ones first, then by symbol. It reports whether they use up all that there
// are, no more.
func (c *wordCode) assign() bool {
	var next [longestWord + 2]uint32 // the next word of each length; first, how many there are of the length below
	for _, length := range c.lengths[c.first:c.end] {
		next[length+1]++
	}
	next[1] = 0 // symbols without a word
	c.longest = 0
	for length := 1; length <= longestWord; length++ {
		count := next[length+1]
		next[length+1] = (next[length] + count) << 1
		if count > 0 {
			c.longest = length
		}
		if next[length]+count > 1<<length {
			return false
		}
	}
	if next[c.longest+1] != 2<<c.longest {
		return false
	}
	for s := c.first; s < c.end; s++ {
		if length := c.lengths[s]; length > 0 {
			c.words[s] = bits.Reverse16(uint16(next[length])) >> (16 - length)
			next[length]++
		}
	}
	return true
}

// describe writes the code.
func (c *wordCode) describe(w *bitString) {
	w.bits(uint32(c.first), 6)
	w.bits(uint32(c.end-c.first-1), 6)
	if c.end-c.first == 1 {
		return
	}
	last := uint8(firstLength)
	for s := c.first; s < c.end; s++ {
		switch length := c.lengths[s]; {
		case length == 0:
			missing := 1
			for missing < mostMissing && c.lengths[s+1] == 0 { // the last one has a length
				missing++
				s++
			}
			w.bits(7, 3)
			w.bits(uint32(longestWord+missing), 4)
			continue
		case length == last:
			w.bits(0, 1)
		case length == last+1:
			w.bits(1, 2)
		case length == last-1:
			w.bits(3, 3)
		default:
			w.bits(7, 3)
			w.bits(uint32(length), 4)
		}
		last = c.lengths[s]
	}
}

// mostMissing is how many symbols without a word one step of a description passes over at most.
const mostMissing = 15 - longestWord

// read reads a description. It reports whether there is such a code.
func (c *wordCode) read(r *stringReader) bool {
	*c = wordCode{first: int(r.bits(6))}
	c.end = c.first + int(r.bits(6)) + 1
	if c.end > symbols {
		return false
	}
	if c.end-c.first == 1 {
		return true
	}
	last := uint32(firstLength)
	for s := c.first; s < c.end; s++ {
		switch {
		case r.bits(1) == 0:
		case r.bits(1) == 0:
			last++
		case r.bits(1) == 0:
			last--
		default:
			escaped := r.bits(4)
			if escaped > longestWord {
				s += int(escaped) - longestWord - 1
				continue
			}
			last = escaped
		}
		if last-1 >= longestWord {
			return false
		}
		c.lengths[s] = uint8(last)
	}
	return c.assign()
}

// size returns how many bits the numbers of a histogram take without the bits below their symbols, and the
// description.
func (c *wordCode) size(h *histogram) int {
	var w bitString
	c.describe(&w)
	total := w.length()
	for s, n := range h {
		total += n * int(c.lengths[s])
	}
	return total
}

// symbol writes a symbol.
func (c *wordCode) symbol(w *bitString, s int) { w.bits(uint32(c.words[s]), int(c.lengths[s])) }

// number writes a number.
func (c *wordCode) number(w *bitString, v uint32) {
	s := symbolOf(v)
	c.symbol(w, s)
	w.bits(v, bitsBelow(s))
}

// An entry says what the symbol is whose word comes next: in bits 0 to 7 the length of the word with the bits
// below the symbol, in bits 8 to 15 of the word alone, in bits 16 to 23 how many bits are below it, in bits 24 to
// 31 what else there is to know of a value, and from bit 32 on the least number of the symbol.
type entry uint64

func (e entry) length() uint64 { return uint64(e & 63) }
func (e entry) word() uint     { return uint(e >> 8 & 63) }
func (e entry) below() uint    { return uint(e >> 16 & 63) }
func (e entry) least() uint32  { return uint32(e >> 32) }

// number returns the number that the bits ahead, of which there are enough, begin with.
func (e entry) number(ahead uint64) uint32 {
	return e.least() + uint32(ahead>>e.word()&(1<<e.below()-1))
}

// numberEntry is an entry of a table of numbers, without the length of its word.
func numberEntry(symbol int) entry {
	below := bitsBelow(symbol)
	return entry(below) | entry(below)<<16 | entry(topOf(symbol))<<below<<32
}

// A lookup has the entries for all that the next longestWord bits can be.
type lookup [1 << longestWord]entry

// fillIn makes the table of a code of numbers.
func (t *lookup) fillIn(c *wordCode) {
	c.fill(t, numberEntry)
}

// fill makes a table with what an entry says of each symbol apart from its word.
func (c *wordCode) fill(t *lookup, of func(symbol int) entry) {
	size := 1 << c.longest
	if c.end-c.first == 1 {
		t[0] = of(c.first)
	}
	for s := c.first; s < c.end; s++ {
		if length := c.lengths[s]; length > 0 {
			e := of(s) + entry(length)<<8 + entry(length)
			for k := int(c.words[s]); k < size; k += 1 << length {
				t[k] = e
			}
		}
	}
	for ; size < len(t); size *= 2 {
		copy(t[size:], t[:size])
	}
}

// number reads a number.
func (t *lookup) number(r *stringReader) uint32 {
	ahead := r.ahead()
	e := t[ahead&(1<<longestWord-1)]
	r.at += e.length()
	return e.number(ahead)
}
