package simb

import (
	"math"
	"math/rand/v2"
	"testing"
)

// readerOf returns a reader of what has been written.
func readerOf(w *bitString) *stringReader { return &stringReader{data: w.bytes()} }

func TestStringsComeBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for round := range 300 {
		type piece struct {
			v     uint32
			width int
		}
		pieces := make([]piece, rng.IntN(200))
		w := &bitString{}
		for k := range pieces {
			width := rng.IntN(33)
			pieces[k] = piece{uint32(rng.Uint64() & (1<<width - 1)), width}
			w.bits(pieces[k].v|uint32(1<<width)&uint32(rng.Uint32()), width) // bits above the width do not count
		}
		joined := &bitString{}
		joined.bits(5, 3)
		joined.join(w)
		r, j := readerOf(w), readerOf(joined)
		if j.bits(3) != 5 {
			t.Fatal("what a string is joined to is lost")
		}
		for k, p := range pieces {
			if got, again := r.bits(p.width), j.bits(p.width); got != p.v || again != p.v {
				t.Fatalf("round %d: piece %d of %d bits is %#x and %#x, not %#x", round, k, p.width, got, again, p.v)
			}
		}
		if !r.ended() || !j.ended() {
			t.Fatalf("round %d: not at the end", round)
		}
		r.bits(8)
		if r.ended() {
			t.Fatalf("round %d: behind the end is taken for the end", round)
		}
	}
	r := &stringReader{data: []byte{0x0B}}
	if r.bits(3); r.ended() {
		t.Error("a bit that is left over is taken for a zero")
	}
	if r.bits(1); !r.ended() {
		t.Error("zeros that fill the last byte are taken for something")
	}
}

func TestNumbersHaveTheirSymbols(t *testing.T) {
	last := -1
	for v := uint32(0); v < 1<<16; v++ {
		s := symbolOf(v)
		if s != last && s != last+1 || v>>bitsBelow(s) != topOf(s) {
			t.Fatalf("%d has the symbol %d after %d, with %d bits below", v, s, last, bitsBelow(s))
		}
		last = s
	}
	if s := symbolOf(math.MaxUint32); s != symbols-1 || bitsBelow(s) != 30 || topOf(s) != 3 {
		t.Errorf("2³² − 1 has the symbol %d", s)
	}
	for v := uint32(1); v < 1<<20; v += 1 + v/64 {
		if int(halfOctave(v)) != symbolOf(2*v) {
			t.Fatalf("the half octave of %d is %d, its double has the symbol %d", v, halfOctave(v), symbolOf(2*v))
		}
	}
}

// randomHistogram counts few or many symbols, alike or not.
func randomHistogram(rng *rand.Rand) (h histogram) {
	steep := rng.Float64() * 2
	for range 1 + rng.IntN(symbols) {
		h[rng.IntN(symbols)] += 1 + int(math.Pow(rng.Float64()*8, 4*steep))
	}
	return h
}

// cheapest returns how many bits the symbols take in the best code of words up to longestWord, by dynamic
// programming over what is left of the space of words: an oracle for merging packages.
func cheapest(h *histogram) int {
	const whole = 1 << longestWord
	var best [whole + 1]int
	for left := range best {
		best[left] = math.MaxInt / 2
	}
	best[whole] = 0
	for _, n := range h {
		if n == 0 {
			continue
		}
		var next [whole + 1]int
		for left := range next {
			next[left] = math.MaxInt / 2
			for length := 1; length <= longestWord; length++ {
				if before := left + whole>>length; before <= whole {
					next[left] = min(next[left], best[before]+n*length)
				}
			}
		}
		best = next
	}
	cost := math.MaxInt
	for _, c := range best {
		cost = min(cost, c)
	}
	return cost
}

func TestCodesAreShortestAndComeBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	limited := 0
	for round := range 400 {
		h := randomHistogram(rng)
		c := newWordCode(&h)
		bits, longest := 0, uint8(0)
		for s, n := range h {
			bits += n * int(c.lengths[s])
			longest = max(longest, c.lengths[s])
		}
		if longest == longestWord {
			limited++
		}
		if c.end-c.first > 1 && bits != cheapest(&h) {
			t.Fatalf("round %d: %d bits, %d suffice: %v", round, bits, cheapest(&h), h)
		}
		w := &bitString{}
		c.describe(w)
		description := w.length()
		if c.size(&h) != description+bits {
			t.Fatalf("round %d: the size is %d, it takes %d and %d", round, c.size(&h), description, bits)
		}
		var numbers []uint32
		for s, n := range h {
			for range min(n, 3) {
				v := topOf(s)<<bitsBelow(s) | rng.Uint32()&(1<<bitsBelow(s)-1)
				numbers = append(numbers, v)
				c.number(w, v)
			}
		}
		r, again, table := readerOf(w), wordCode{}, lookup{}
		if !again.read(r) || again.lengths != c.lengths || again.words != c.words {
			t.Fatalf("round %d: another code is read", round)
		}
		table.fillIn(&again)
		for k, v := range numbers {
			if got := table.number(r); got != v {
				t.Fatalf("round %d: number %d is %d, not %d", round, k, got, v)
			}
		}
		if !r.ended() {
			t.Fatalf("round %d: not at the end", round)
		}
	}
	if limited < 50 {
		t.Errorf("only %d codes have words of the largest length", limited)
	}
}

func TestWhatIsNoCodeIsRefused(t *testing.T) {
	longer, shorter := [2]uint32{1, 2}, [2]uint32{3, 3}
	escape := func(e uint32) [][2]uint32 { return [][2]uint32{{7, 3}, {e, 4}} }
	one := escape(1)
	for _, c := range []struct {
		name         string
		first, count uint32
		steps        [][2]uint32
		ok           bool
	}{
		{"one symbol", 63, 1, nil, true},
		{"two words of one bit", 5, 2, append(one, [2]uint32{0, 1}), true},
		{"beyond the symbols", 63, 2, append(one, [2]uint32{0, 1}), false},
		{"three words of one bit", 5, 3, append(one, [2]uint32{0, 1}, [2]uint32{0, 1}), false},
		{"one word of one bit, one of two", 5, 2, append(one, longer), false},
		{"one word of one bit, two of two", 5, 3, append(one, longer, [2]uint32{0, 1}), true},
		{"words of no bits", 5, 2, append(one, shorter), false},
		{"a length of 0", 5, 2, append(escape(0), [2]uint32{0, 1}), false},
		{"lengths of 8 and less", 5, 2, append(escape(7), longer), false},
		{"no word at all", 5, 2, escape(9), false},
		{"more left out than there are", 5, 2, escape(15), false},
		{"a gap between words", 5, 4, append(append(escape(1), escape(9)...), [2]uint32{0, 1}), true},
	} {
		w := &bitString{}
		w.bits(c.first, 6)
		w.bits(c.count-1, 6)
		for _, step := range c.steps {
			w.bits(step[0], int(step[1]))
		}
		var code wordCode
		if ok := code.read(readerOf(w)); ok != c.ok {
			t.Errorf("%s: read %v, want %v", c.name, ok, c.ok)
		}
	}
}

// TestSetsShareCodes: as few codes as pay, and never more than can be numbered.
func TestSetsShareCodes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	alike, apart, many := make([]histogram, gapSets), make([]histogram, gapSets), make([]histogram, gapSets)
	for set := range gapSets {
		alike[set][3], alike[set][4] = 2, 1
		apart[set][10+20*(set%2)] = 5000
		for s := range 30 {
			many[set][s] = rng.IntN(5000) << (5 * rng.IntN(2))
		}
	}
	for _, c := range []struct {
		name   string
		counts []histogram
		codes  int
	}{{"none", make([]histogram, gapSets), 1}, {"alike", alike, 1}, {"apart", apart, 2}, {"many", many, mostCodes}} {
		sets := newCodeSets(c.counts)
		if len(sets.codes) != c.codes {
			t.Errorf("%s: %d codes, want %d", c.name, len(sets.codes), c.codes)
		}
		for set := range c.counts {
			for s, n := range c.counts[set] {
				if code := sets.code(set); n > 0 && (s < code.first || s >= code.end || code.end-code.first > 1 && code.lengths[s] == 0) {
					t.Errorf("%s: the code of set %d has no word for symbol %d", c.name, set, s)
				}
			}
		}
	}
}
