package simb

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

// TestBitsComeBack codes bits of every skew, in contexts and plain, and reads them again.
func TestBitsComeBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		share := math.Pow(rng.Float64(), 4) // often near 0, or near 1
		if round%2 == 1 {
			share = 1 - share
		}
		count := rng.IntN(3000)
		list := make([]uint32, count)
		w := newBitWriter()
		contexts := [2]context{even, even}
		for k := range list {
			if rng.Float64() < share {
				list[k] = 1
			}
			if k%7 == 6 {
				w.plain(list[k], 1)
			} else {
				w.bit(&contexts[k%2], list[k], slowLimit)
			}
		}
		data := w.finish()
		r := newBitReader(data)
		contexts = [2]context{even, even}
		for k, want := range list {
			var got uint32
			if k%7 == 6 {
				got = r.plain(1)
			} else {
				got = r.bit(&contexts[k%2], slowLimit)
			}
			if got != want {
				t.Fatalf("round %d: bit %d of %d is %d", round, k, count, got)
			}
		}
		if !r.ended() {
			t.Fatalf("round %d: %d bytes taken of %d", round, r.at, len(data))
		}
		if len(data) > 0 {
			if short := newBitReader(data[:len(data)-1]); reread(short, list) {
				t.Fatalf("round %d: the string of %d bytes is not the shortest", round, len(data))
			}
		}
	}
}

// reread reports whether the bits that TestBitsComeBack coded come out of r, and end with it.
func reread(r *bitReader, list []uint32) bool {
	contexts := [2]context{even, even}
	for k, want := range list {
		got := uint32(0)
		if k%7 == 6 {
			got = r.plain(1)
		} else {
			got = r.bit(&contexts[k%2], slowLimit)
		}
		if got != want {
			return false
		}
	}
	return r.ended()
}

// TestBitsTakeWhatTheirEntropyIs holds the length of coded bits of a constant skew against Shannon's bound.
func TestBitsTakeWhatTheirEntropyIs(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, share := range []float64{0.5, 0.2, 0.05, 0.01, 0.001} {
		const count = 200_000
		w, c := newBitWriter(), even
		ones := 0.0
		for range count {
			bit := uint32(0)
			if rng.Float64() < share {
				bit = 1
				ones++
			}
			w.bit(&c, bit, slowLimit)
		}
		p := ones / count
		entropy := -count * (p*math.Log2(p) + (1-p)*math.Log2(1-p)) / 8
		if got := float64(len(w.finish())); got < entropy*0.999 || got > entropy*1.01+count/8*0.008 {
			t.Errorf("share %g: %g bytes, the entropy is %.0f", share, got, entropy)
		}
	}
}

// TestOneStringByHand checks the coder against PACKED.md by hand: with share 2048 of 4096 a one leaves the
// lower half of the interval.
func TestOneStringByHand(t *testing.T) {
	c := even
	w := newBitWriter()
	w.bit(&c, 0, slowLimit) // size 2³²−1: ones = (size >> 12)·2048 = 0x7FFFF800, so low = that
	if w.low != 0x7FFFF800 || w.size != 0xFFFFFFFF-0x7FFFF800 {
		t.Errorf("after a zero: low %#x, size %#x", w.low, w.size)
	}
	if c>>16 != 32768-21845 || c&0xFFFF != 1 { // p − p·43690 >> 16, rounded down: −21845
		t.Errorf("context %#x", uint32(c))
	}
	w.bit(&c, 1, slowLimit) // share 10923 >> 4 = 682: ones = (0x800007FF >> 12)·682 = 0x5550000 + 0x… in units
	if want := uint32(0x800007FF>>12) * 682; w.size != want {
		t.Errorf("after a one: size %#x, want %#x", w.size, want)
	}
	if got := w.finish(); !bytes.Equal(got, []byte{0x80}) { // 0x80000000 lies in [0x7FFFF800, 0x7FFFF800 + size)
		t.Errorf("the string is % x", got)
	}
	if got := newBitWriter().finish(); len(got) != 0 {
		t.Errorf("no bits are % x", got)
	}
}

// TestCarriesRunThroughBytes: a carry can turn a row of 0xFF into zeros.
func TestCarriesRunThroughBytes(t *testing.T) {
	w := newBitWriter()
	w.out = []byte{1, 0xFF, 0xFF}
	w.low = 1 << 32
	w.shift()
	if !bytes.Equal(w.out, []byte{2, 0, 0, 0}) || w.low != 0 {
		t.Errorf("% x, low %#x", w.out, w.low)
	}
}

func TestNumbersComeBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, noise := range []bool{false, true} {
		list := []uint32{0, 1, 2, 3, 6, 7, 1<<31 - 1, 1 << 31, 1<<32 - 2, 1<<32 - 1, 1<<32 - 1, 0}
		for range 2000 {
			list = append(list, rng.Uint32()>>rng.IntN(33))
		}
		w, m := newBitWriter(), newNumberModel(3, fastLimit, noise)
		for k, v := range list {
			m.write(w, k%3, v)
		}
		r, m := newBitReader(w.finish()), newNumberModel(3, fastLimit, noise)
		for k, want := range list {
			if got := m.read(r, k%3); got != want {
				t.Fatalf("noise %v: number %d is %d, want %d", noise, k, got, want)
			}
		}
		if !r.ended() {
			t.Error("bytes are left over")
		}
	}
	for v, want := range map[int32]uint32{0: 0, -1: 1, 1: 2, math.MaxInt32: 1<<32 - 2, math.MinInt32: 1<<32 - 1} {
		if zigzag(v) != want || unzigzag(want) != v {
			t.Errorf("zigzag of %d is %d, back it is %d", v, zigzag(v), unzigzag(want))
		}
	}
	for x, want := range map[uint64]int{1: 0, 2: 2, 3: 3, 4: 4, 5: 4, 6: 5, 1 << 20: 40, 1<<32 - 1: 63} {
		if halfOctaves(x) != want {
			t.Errorf("⌊2·log₂ %d⌋ is %d, want %d", x, halfOctaves(x), want)
		}
	}
}

// TestPackedColumnsComeBack packs columns of every form, alone and beside another.
func TestPackedColumnsComeBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, info := range packedSections() {
		for round := range 20 {
			count := 1 + rng.IntN(60)
			random := func() []byte {
				raw := make([]byte, count*info.element)
				for k := range raw {
					if raw[k] = byte(rng.Uint32()); round%3 == 0 && k >= info.element && rng.IntN(4) > 0 {
						raw[k] = raw[k-info.element]
					}
				}
				return raw
			}
			raw, sections := random(), map[sectionID][]byte{}
			if other, has := otherOf(info.id); has && round%2 == 0 {
				sections[other] = random()
				copy(raw[:len(raw)/2/info.element*info.element], sections[other])
			}
			w := newBitWriter()
			newColumnModel(info, sections).write(w, elements{raw, info.element}, count)
			r, back := newBitReader(w.finish()), make([]byte, len(raw))
			if reason := newColumnModel(info, sections).read(r, back, info.element); reason != "" || !bytes.Equal(back, raw) || !r.ended() {
				t.Fatalf("%s, round %d: %q", info.name, round, reason)
			}
		}
	}
}
