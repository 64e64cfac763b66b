package simbtest

import "math/bits"

// huffman decodes a huff0 block of n bytes as RFC 8878, section 4.2, describes it: a second reading of
// what SPEC.md refers to, beside the library that the reader uses. ok is false for a block that is not one.
func huffman(block []byte, n int) (out []byte, ok bool) {
	weights, rest, ok := huffmanWeights(block)
	if !ok || len(rest) == 0 || rest[len(rest)-1] == 0 {
		return nil, false
	}
	symbols, lengths, maxBits, ok := huffmanTable(weights)
	if !ok {
		return nil, false
	}
	b := newBackward(rest)
	state := b.read(maxBits)
	for b.at > -maxBits && len(out) <= n {
		out = append(out, symbols[state])
		used := int(lengths[state])
		state = (state<<used + b.read(used)) & (1<<maxBits - 1)
	}
	return out, b.at == -maxBits && len(out) == n
}

// huffmanWeights reads the tree description of section 4.2.1, without the last weight.
func huffmanWeights(block []byte) (weights, rest []byte, ok bool) {
	if len(block) < 2 {
		return nil, nil, false
	}
	head, body := int(block[0]), block[1:]
	if head < 128 {
		if head > len(body) {
			return nil, nil, false
		}
		weights, ok = fseWeights(body[:head])
		return weights, body[head:], ok
	}
	count := head - 127
	if (count+1)/2 > len(body) {
		return nil, nil, false
	}
	for k := range count {
		weights = append(weights, body[k/2]>>(4*(1-k%2))&15)
	}
	return weights, body[(count+1)/2:], true
}

// huffmanTable adds the last weight and returns, for each string of maxBits bits, the symbol that it
// starts with and the length of its code.
func huffmanTable(weights []byte) (symbols, lengths []byte, maxBits int, ok bool) {
	sum := 0
	for _, w := range weights {
		if w > 11 {
			return nil, nil, 0, false
		}
		if w > 0 {
			sum += 1 << (w - 1)
		}
	}
	if sum == 0 || sum >= 1<<11 || len(weights) > 255 {
		return nil, nil, 0, false
	}
	maxBits = bits.Len(uint(sum))
	left := 1<<maxBits - sum
	if left&(left-1) != 0 {
		return nil, nil, 0, false
	}
	weights = append(weights, byte(bits.Len(uint(left))))
	symbols, lengths = make([]byte, 1<<maxBits), make([]byte, 1<<maxBits)
	at := 0
	for w := byte(1); int(w) <= maxBits; w++ { // the longest codes come first
		for symbol, weight := range weights {
			if weight != w {
				continue
			}
			for range 1 << (w - 1) {
				symbols[at], lengths[at] = byte(symbol), byte(maxBits+1)-w
				at++
			}
		}
	}
	return symbols, lengths, maxBits, at == 1<<maxBits
}

// fseWeights decodes weights coded with finite state entropy: sections 4.1 and 4.2.1.2.
func fseWeights(data []byte) (weights []byte, ok bool) {
	log, counts, data, ok := fseCounts(data)
	if !ok || len(data) == 0 || data[len(data)-1] == 0 {
		return nil, false
	}
	symbols, lengths, bases, ok := fseTable(log, counts)
	if !ok {
		return nil, false
	}
	b := newBackward(data)
	states := [2]int{b.read(log), b.read(log)}
	for k := 0; len(weights) < 255; k = 1 - k {
		s := states[k]
		weights = append(weights, symbols[s])
		states[k] = bases[s] + b.read(int(lengths[s]))
		if b.at < 0 {
			return append(weights, symbols[states[1-k]]), true
		}
	}
	return nil, false
}

// fseCounts reads the table description of section 4.1.1.
func fseCounts(data []byte) (log int, counts []int, rest []byte, ok bool) {
	at := 0
	read := func(n int) int {
		v := 0
		for k := range n {
			if i := at + k; i/8 < len(data) {
				v |= int(data[i/8]) >> (i % 8) & 1 << k
			}
		}
		at += n
		return v
	}
	log = 5 + read(4)
	for remaining := 1 << log; remaining > 0; {
		if len(counts) > 255 || log > 6 {
			return 0, nil, nil, false
		}
		n := bits.Len(uint(remaining + 1))
		v := read(n)
		low, threshold := 1<<(n-1)-1, 1<<n-1-(remaining+1)
		if v&low < threshold {
			at--
			v &= low
		} else if v > low {
			v -= threshold
		}
		count := v - 1
		counts = append(counts, count)
		remaining -= max(count, -count)
		for repeat := 3; count == 0 && repeat == 3 && len(counts) < 256; {
			repeat = read(2)
			counts = append(counts, make([]int, repeat)...)
		}
		if remaining < 0 {
			return 0, nil, nil, false
		}
	}
	end := (at + 7) / 8
	if end > len(data) || len(counts) > 256 {
		return 0, nil, nil, false
	}
	return log, counts, data[end:], true
}

// fseTable spreads symbols over the states: section 4.1.1.
func fseTable(log int, counts []int) (symbols, lengths []byte, bases []int, ok bool) {
	size := 1 << log
	symbols, lengths, bases = make([]byte, size), make([]byte, size), make([]int, size)
	next := make([]int, len(counts))
	high, total := size, 0
	for s, count := range counts {
		next[s] = count
		total += max(count, -count)
		if count < 0 {
			high--
			symbols[high], next[s] = byte(s), 1
		}
	}
	if total != size {
		return nil, nil, nil, false
	}
	at := 0
	for s, count := range counts {
		for range max(count, 0) {
			symbols[at] = byte(s)
			for at = (at + size>>1 + size>>3 + 3) & (size - 1); at >= high; {
				at = (at + size>>1 + size>>3 + 3) & (size - 1)
			}
		}
	}
	for state := range size {
		n := next[symbols[state]]
		next[symbols[state]]++
		lengths[state] = byte(log + 1 - bits.Len(uint(n)))
		bases[state] = n<<lengths[state] - size
	}
	return symbols, lengths, bases, true
}

// backward reads bits from the end of a stream: below its last set bit, which ends the padding. Bits
// before the first byte are zero, and at becomes negative.
type backward struct {
	data []byte
	at   int // bits left
}

func newBackward(data []byte) *backward {
	return &backward{data, 8*len(data) - (9 - bits.Len8(data[len(data)-1]))}
}

func (b *backward) read(n int) int {
	v := 0
	for range n {
		b.at--
		v <<= 1
		if b.at >= 0 {
			v |= int(b.data[b.at/8]) >> (b.at % 8) & 1
		}
	}
	return v
}
