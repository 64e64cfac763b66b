package simbtest

import "encoding/binary"

// prefixed decodes section 5 as PREFIX.md describes it: a second reading beside the one that the reader uses,
// slow and plain. What it has decoded is kept as that of a packed section is.
type prefixed struct {
	*unpacked
	strings [2]bitsOf // all but values, and values
}

// bitsOf is a string of bits.
type bitsOf struct {
	bytes []byte
	at    int
}

func (b *bitsOf) bits(k int) (v uint64) {
	for i := range k {
		if b.at/8 < len(b.bytes) {
			v |= uint64(b.bytes[b.at/8]>>(b.at%8)&1) << i
		}
		b.at++
	}
	return v
}

// used reports whether all bytes have been used, none beyond, and zeros are left.
func (b *bitsOf) used() bool {
	for b.at%8 != 0 {
		if b.bits(1) != 0 {
			return false
		}
	}
	return b.at == 8*len(b.bytes)
}

// word is a word of a code: its bits, the first read first.
type word string

// code is a code: symbols by word.
type code map[word]int

// unpackPrefix decodes a prefix-coded section of a file. ok is false when it is none.
func unpackPrefix(l *Layout, data []byte, s Section) (u *unpacked, ok bool) {
	u, ok = newUnpacked(l, data, s)
	if !ok {
		return nil, false
	}
	first, size := binary.Uvarint(u.stored)
	if size <= 0 || first > uint64(len(u.stored)-size) {
		return nil, false
	}
	p := &prefixed{unpacked: u}
	p.strings[0].bytes, p.strings[1].bytes = u.stored[size:][:first], u.stored[size:][first:]
	for _, e := range packedElements {
		if n := e.count(u); n > 0 && p.strings[0].bits(1) == 1 {
			if e.id == 96 {
				n = 1 + int(p.strings[0].bits(20))
			}
			p.column(e.id, e.bytes, e.form, n)
		}
		if u.broken {
			return nil, false
		}
	}
	p.weights()
	return u, !u.broken && len(u.all) == s.Length && p.strings[0].used() && p.strings[1].used()
}

// code reads a description.
func (p *prefixed) code(below int) code {
	b := &p.strings[0]
	first := int(b.bits(6))
	count := int(b.bits(6)) + 1
	if p.broken = p.broken || first+count > below; p.broken {
		return code{"": 0}
	}
	if count == 1 {
		return code{"": first}
	}
	lengths, l := map[int][]int{}, 4
	for s := first; s < first+count; s++ {
		if b.bits(1) == 1 {
			switch {
			case b.bits(1) == 0:
				l++
			case b.bits(1) == 0:
				l--
			default:
				e := int(b.bits(4))
				if e > 7 {
					s += e - 8
					continue
				}
				l = e
			}
		}
		lengths[l] = append(lengths[l], s)
		p.broken = p.broken || l < 1 || l > 7
	}
	return p.assign(lengths)
}

// assign gives words to symbols by the lengths of their words.
func (p *prefixed) assign(lengths map[int][]int) code {
	c, next, sum := code{}, 0, 0
	for l := 1; l <= 7; l++ {
		next <<= 1
		for _, s := range lengths[l] {
			w := make([]byte, l)
			for k := range w {
				w[k] = '0' + byte(next>>(l-1-k)&1)
			}
			c[word(w)] = s
			next++
			sum += 128 >> l
		}
	}
	p.broken = p.broken || sum != 128
	return c
}

// symbol reads one.
func (p *prefixed) symbol(b *bitsOf, c code) int {
	w := word("")
	for {
		if s, found := c[w]; found {
			return s
		}
		if len(w) == 7 {
			p.broken = true
			return 0
		}
		w += word('0' + rune(b.bits(1)))
	}
}

// above returns the number that a symbol and the bits below it make.
func above(b *bitsOf, symbol int) uint64 {
	if symbol < 2 {
		return uint64(symbol)
	}
	below := symbol/2 - 1
	return uint64(2+symbol%2)<<below + b.bits(below)
}

// number reads a number below 2³².
func (p *prefixed) number(c code) uint64 { return above(&p.strings[0], p.symbol(&p.strings[0], c)) }

// count reads a number that a reasonable file has less than 2³⁰ of.
func (p *prefixed) count(c code) int { return int(min(p.number(c), 1<<30)) }

// symbolOf returns the symbol of a number.
func symbolOf(v int) int {
	for s := 0; ; s++ {
		if least := above(&bitsOf{}, s+1); uint64(v) < least {
			return s
		}
	}
}

func (p *prefixed) column(id, size int, form byte, count int) {
	b, beside := &p.strings[0], []byte(nil)
	if id == 90 || id == 95 {
		beside = p.sections[86]
	}
	layout := b.bits(2)
	p.broken = p.broken || layout > 2
	var runs, values code
	if layout == 1 {
		runs = p.code(64)
	}
	base, zeros := 0, 0
	if layout != 0 || beside == nil {
		if form == 'f' {
			base, zeros = int(b.bits(10))-512, int(b.bits(5))
			p.broken = p.broken || zeros > 23
		}
		if form != 'p' {
			values = p.code(64)
		}
	}
	var raw []byte
	for run, k := -1, 0; k < count && !p.broken; k++ {
		before, other := make([]byte, size), uint32(0)
		switch {
		case beside != nil:
			before = beside[4*k : 4*k+4]
			other = binary.LittleEndian.Uint32(before)
		case k > 0:
			before = raw[len(raw)-size:]
		}
		switch {
		case layout == 1 && run < 0:
			run = p.count(runs)
			p.broken = p.broken || run > count-k
		case layout == 0 && (k > 0 || beside != nil):
			run = 1
		}
		if run--; run >= 0 {
			raw = append(raw, before...)
			continue
		}
		v := p.literal(form, values, other, base, zeros)
		p.broken = p.broken || size < 8 && v>>(8*size) != 0
		raw = append(raw, binary.LittleEndian.AppendUint64(nil, v)[:size]...)
	}
	p.sections[id] = raw
	p.all = append(p.all, raw...)
}

func (p *prefixed) literal(form byte, values code, other uint32, base, zeros int) uint64 {
	switch form {
	case 's':
		return uint64(uint32(int32(zigzag(uint32(p.number(values))))))
	case 'p':
		return p.strings[0].bits(32)
	case 'q':
		low := p.number(values)
		return low | p.number(values)<<32
	case 'f':
		upper := int(other>>23) + base + p.count(values)
		p.broken = p.broken || upper < 0 || upper > 511
		return uint64(upper)<<23&0xFFFFFFFF | p.strings[0].bits(max(23-zeros, 0))<<zeros
	}
	return p.number(values)
}

// codes reads codes and which set uses which.
func (p *prefixed) codes(below int) []code {
	count, width := int(p.strings[0].bits(3))+1, 0
	for count-1 >= 1<<width {
		width++
	}
	sets, codes := make([]int, 24), make([]code, count)
	for k := range sets {
		sets[k] = int(p.strings[0].bits(width))
		p.broken = p.broken || sets[k] >= count
	}
	for k := range codes {
		codes[k] = p.code(below)
	}
	var each []code
	for _, k := range sets {
		each = append(each, codes[min(k, count-1)])
	}
	return each
}

func (p *prefixed) weights() {
	readable := p.firstUnreadable()
	lengths, total, pairs := make([]int, len(readable)), 0, 0
	var raw [5][]byte
	c := p.code(64)
	for i, limit := range readable {
		lengths[i] = p.count(c)
		if total += lengths[i]; lengths[i] > limit || total > p.field(15) {
			p.broken = true
			return
		}
		if p.planes(i) == 2 {
			pairs += lengths[i]
		}
		raw[1] = binary.AppendUvarint(raw[1], uint64(lengths[i]))
	}
	p.broken = p.broken || total != p.field(15)
	if total > 0 && !p.broken {
		gapCodes := p.codes(64)
		var valueCodes []code
		var upper code
		if pairs < total {
			valueCodes = p.codes(28)
		}
		if pairs > 0 {
			upper = p.code(16)
		}
		for i, limit := range readable {
			columns := p.columns(gapCodes, limit, lengths[i])
			if p.broken {
				return
			}
			previous := -1
			for _, column := range columns {
				raw[2] = binary.AppendUvarint(raw[2], uint64(column-previous-1))
				previous = column
			}
			p.values(&raw, i, columns, valueCodes, upper)
		}
	}
	for id := 1; id <= 4; id++ {
		if len(raw[id]) > 0 {
			p.sections[id] = raw[id]
			p.all = append(p.all, raw[id]...)
		}
	}
}

func (p *prefixed) planes(i int) int {
	if p.sections[40] == nil || p.sections[40][i] != 2 {
		return 1
	}
	return 2
}

// columns reads the columns of a row of some length that can read those below a limit.
func (p *prefixed) columns(codes []code, limit, length int) (columns []int) {
	places := min(length, limit-length)
	left, free, column := places, limit, 0
	var told []int
	set := -1
	for range places {
		now := min(symbolOf(2*free)-symbolOf(2*left), 23)
		if set < 0 {
			set = now
		}
		gap := p.count(codes[set])
		if gap > free-left {
			p.broken = true
			return nil
		}
		set = now
		told = append(told, column+gap)
		column, free, left = column+gap+1, free-gap-1, left-1
	}
	if length == places {
		return told
	}
	for column := range limit {
		if len(told) > 0 && told[0] == column {
			told = told[1:]
			continue
		}
		columns = append(columns, column)
	}
	return columns
}

// values reads the weights of a row.
func (p *prefixed) values(raw *[5][]byte, i int, columns []int, codes []code, upper code) {
	b, rank, negative := &p.strings[1], 0, false
	for k, column := range columns {
		if p.planes(i) == 2 {
			raw[3] = append(raw[3], byte(zigzag(uint32(above(b, p.symbol(b, upper))))))
			raw[4] = append(raw[4], byte(b.bits(7))-64)
			continue
		}
		set := rank
		if column >= inputs(p.unpacked) {
			set += 4
		}
		switch {
		case k == 0:
			set += 16
		case column > columns[k-1]+1:
			set += 8
		}
		t := p.symbol(b, codes[set])
		w := int(above(b, t/2)) + 1
		if negative = negative != (t%2 == 1); negative {
			w = -w
		}
		raw[3] = append(raw[3], byte(w))
		rank = 0
		for _, bound := range []int{6, 9, 11} {
			if t/2 >= bound {
				rank++
			}
		}
	}
}
