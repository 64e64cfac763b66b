package simb

import (
	"math"
	"math/bits"
)

// Gaps and values have one code for each set of places that are alike, or for several: a code is worth its
// description only where it saves more. PREFIX.md, section 5.

// Sets of places of gaps and of values, and how many codes they can have.
const (
	gapSets   = 24 // how many columns there are for each place that is left of a row, in half octaves
	valueSets = 24 // the gap before, inputs or states, the size of the weight before
	mostCodes = 8
)

// gapSet returns the set of a place when `left` places are to come in so many columns, 1 ≤ left ≤ columns < 2³¹.
func gapSet(columns, left uint32) uint32 { return min(wideSet(columns, left), gapSets-1) }

// halves holds the half octaves of small numbers.
var halves = func() (table [mostHalves]uint8) {
	for v := range table[1:] {
		table[v+1] = uint8(halfOctave(uint32(v + 1)))
	}
	return table
}()

const mostHalves = 1 << 12

// wideSet is gapSet without a largest one.
func wideSet(columns, left uint32) uint32 { return halfOctave(columns) - halfOctave(left) }

// halfOctave returns how many half octaves, each a bit and the bit below it, 1 ≤ v < 2³¹ is above 0.
func halfOctave(v uint32) uint32 {
	below := uint32(bits.Len32(v)) - 1
	return 2*below + 2*v>>(below&31)
}

// codeSets is a choice of codes: for each set which one.
type codeSets struct {
	of    []int
	codes []*wordCode
}

// pool is a code and what it is for.
type pool struct {
	counts histogram
	code   *wordCode
	size   int // of all numbers and the description
}

func newPool(counts histogram) pool {
	code := newWordCode(&counts)
	return pool{counts, code, code.size(&counts)}
}

// joined returns the pool of both.
func (p *pool) joined(other *pool) pool {
	counts := p.counts
	for s, n := range other.counts {
		counts[s] += n
	}
	return newPool(counts)
}

// newCodeSets gives every set a code of its own and joins two as long as that saves bits, and as there are
// too many: the pair that saves most.
func newCodeSets(counts []histogram) *codeSets {
	c := &codeSets{of: make([]int, len(counts))}
	var pools []pool
	for set := range counts {
		if counts[set] != (histogram{}) || set == len(counts)-1 && len(pools) == 0 {
			c.of[set] = len(pools)
			pools = append(pools, newPool(counts[set]))
		}
	}
	var savings [gapSets][gapSets]int // of joining two
	weigh := func(i, j int) {
		both := pools[i].joined(&pools[j])
		savings[i][j] = pools[i].size + pools[j].size - both.size
	}
	gone := make([]bool, len(pools))
	for j := range pools {
		for i := range j {
			weigh(i, j)
		}
	}
	for left := len(pools); ; left-- {
		a, b, most := 0, 0, 0
		if left > mostCodes {
			most = math.MinInt
		}
		for j := range pools {
			for i := range j {
				if !gone[i] && !gone[j] && savings[i][j] > most {
					a, b, most = i, j, savings[i][j]
				}
			}
		}
		if b == 0 {
			break
		}
		pools[a], gone[b] = pools[a].joined(&pools[b]), true
		for set := range c.of {
			if c.of[set] == b {
				c.of[set] = a
			}
		}
		for k := range pools {
			if k != a && !gone[k] {
				weigh(min(a, k), max(a, k))
			}
		}
	}
	return c.number(pools, gone)
}

// number gives the pools that are left their final numbers.
func (c *codeSets) number(pools []pool, gone []bool) *codeSets {
	numbers := make([]int, len(pools))
	for k := range pools {
		if !gone[k] {
			numbers[k] = len(c.codes)
			c.codes = append(c.codes, pools[k].code)
		}
	}
	for set, of := range c.of {
		c.of[set] = numbers[of]
	}
	return c
}

// describe writes which set has which code, and the codes.
func (c *codeSets) describe(w *bitString) {
	w.bits(uint32(len(c.codes)-1), 3)
	for _, of := range c.of {
		w.bits(uint32(of), bits.Len(uint(len(c.codes)-1)))
	}
	for _, code := range c.codes {
		code.describe(w)
	}
}

// code returns the code of a set.
func (c *codeSets) code(set int) *wordCode { return c.codes[c.of[set]] }

// setLookup decodes symbols of sets: the table of set k begins at at[k].
type setLookup struct {
	at     [64]uint32 // as many as six bits number: no index needs a check
	tables [mostCodes << longestWord]entry
}

// entry looks the next bits up in the table of a set.
func (t *setLookup) entry(set uint32, ahead uint64) entry {
	return t.tables[(t.at[set&63]|uint32(ahead)&(1<<longestWord-1))&(mostCodes<<longestWord-1)]
}

// table returns the table of a set.
func (t *setLookup) table(set uint32) *lookup {
	return (*lookup)(t.tables[t.at[set]:][:1<<longestWord])
}

// read reads what describe has written, for symbols below `end`, with an entry for each of them apart from its word.
func (t *setLookup) read(r *stringReader, sets, end int, of func(symbol int) entry) (reason string) {
	count := int(r.bits(3)) + 1
	for set := range sets {
		k := r.bits(bits.Len(uint(count - 1)))
		if int(k) >= count {
			return "a set without a code"
		}
		t.at[set] = k << longestWord
	}
	var code wordCode
	for k := range count {
		if !code.read(r) || code.end > end {
			return noCode
		}
		code.fill((*lookup)(t.tables[k<<longestWord:][:1<<longestWord]), of)
	}
	return ""
}
