package simb

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestPrefixCodedSectionsAreRefused(t *testing.T) {
	if _, err := Open(packedBy(CodecPrefix, looped(), nil, nil)); err != nil {
		t.Fatal(err)
	}
	refusesDamages(t, CodecPrefix, []damage{
		{"a byte left over", nil, stored(func(b []byte) []byte { return append(b, 0) }), "left over"},
		{"a bit left over", nil, stored(func(b []byte) []byte { b[len(b)-1] |= 0x80; return b }), "left over"},
		{"a byte missing", nil, stored(func(b []byte) []byte { return b[:len(b)-1] }), "packed"},
		{"no bytes", nil, stored(func([]byte) []byte { return nil }), "first string is cut short"},
		{"a first string beyond the end", nil, stored(func(b []byte) []byte { b[0] = 0x7F; return b[:9] }), "first string is cut short"},
		{"a longer first string", nil, stored(func(b []byte) []byte { b[0]++; return b }), "left over"},
		{"other bytes", nil, stored(func(b []byte) []byte { return append(b[:1], bytes.Repeat([]byte{0xFF}, len(b)-1)...) }), "packed"},
		{"a length too small", nil, lengthened(-1), "longer than declared"},
		{"the other packed coding", nil, func(w *sectionWriter) { w.sections[0].codec = storedBits }, "packed"},
		{"a coding that there is not", nil, func(w *sectionWriter) { w.sections[0].codec = storedPrefix + 1 }, "coding 4"},
		{"a gap beyond the columns", func(s map[sectionID][]byte) { s[sectionGaps][3] = 3 }, nil, noColumn},
	})
	full := withAllFields(t, packedBy(CodecPrefix, looped(), nil, nil))
	for count, says := range map[uint64]string{8: "more weights", 10: "fewer weights"} {
		if _, err := Open(set(t, full, fieldNonzeros, count)); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), says) {
			t.Errorf("%d weights declared: %v, want %q", count, err, says)
		}
	}
}

// TestColumnsInPrefixCodesAreRefused writes columns by hand that no writer writes.
func TestColumnsInPrefixCodesAreRefused(t *testing.T) {
	single := func(w *bitString, symbol uint32) {
		w.bits(symbol, 6)
		w.bits(0, 6)
	}
	for _, c := range []struct {
		name, says string
		id         sectionID
		write      func(w *bitString)
	}{
		{"layout 3", "unknown layout", sectionStateKind, func(w *bitString) { w.bits(3, 2) }},
		{"a code beyond the symbols", noCode, sectionStateKind, func(w *bitString) { w.bits(2, 2); w.bits(1<<12-1, 12) }},
		{"no code of runs", noCode, sectionStateKind, func(w *bitString) { w.bits(1, 2); w.bits(1<<12-1, 12) }},
		{"256 in a byte", "cannot hold", sectionStateKind, func(w *bitString) { w.bits(2, 2); single(w, 16); w.bits(0, 7) }},
		{"255 in a byte", "", sectionStateKind, func(w *bitString) { w.bits(2, 2); single(w, 15); w.bits(1<<6-1, 6) }},
		{"two repeats in one element", "more elements", sectionStateKind, func(w *bitString) { w.bits(1, 2); single(w, 2); single(w, 0) }},
		{"one repeat in one element", "", sectionStateKind, func(w *bitString) { w.bits(1, 2); single(w, 1); single(w, 0) }},
		{"mantissas that end in 24 zeros", "impossible mantissas", sectionKappa, func(w *bitString) { w.bits(2, 2); w.bits(exponents, 10); w.bits(24, 5) }},
		{"an exponent of 512", "cannot hold", sectionKappa, func(w *bitString) { w.bits(2, 2); w.bits(2*exponents-1, 10); w.bits(23, 5); single(w, 1) }},
		{"an exponent of 511", "", sectionKappa, func(w *bitString) { w.bits(2, 2); w.bits(2*exponents-1, 10); w.bits(23, 5); single(w, 0) }},
		{"an exponent below 0", "cannot hold", sectionKappa, func(w *bitString) { w.bits(2, 2); w.bits(exponents-1, 10); w.bits(23, 5); single(w, 0) }},
		{"an exponent far beyond", "cannot hold", sectionKappa, func(w *bitString) {
			w.bits(2, 2)
			w.bits(exponents, 10)
			w.bits(0, 5)
			single(w, 63)
			w.bits(1<<30-1, 30)
		}},
	} {
		w := &bitString{}
		c.write(w)
		info, _ := describe(c.id)
		reader := columnReader{r: readerOf(w)}
		if reason := reader.read(make([]byte, info.element), nil, info); c.says == "" && reason != "" || !strings.Contains(reason, c.says) {
			t.Errorf("%s: %q, want %q", c.name, reason, c.says)
		}
	}
}

// TestGapsStayWithinTheirRows reads gaps that are all alike, whatever the bits.
func TestGapsStayWithinTheirRows(t *testing.T) {
	for _, c := range []struct {
		name    string
		gap     int
		columns uint32
		length  uint32
		room    int
		read    func(r *rowsReader, columns, length uint32) string
		want    string
	}{
		{"sparse", 2, 6, 2, 9, (*rowsReader).sparseGaps, ""},
		{"sparse, one column too few", 2, 5, 2, 9, (*rowsReader).sparseGaps, noColumn},
		{"sparse, no room", 2, 6, 2, 1, (*rowsReader).sparseGaps, tooLong},
		{"in one loop", 2, 6, 2, 9, (*rowsReader).quickRow, ""},
		{"in one loop, one column too few", 2, 5, 2, 9, (*rowsReader).quickRow, noColumn},
		{"in one loop, no room", 2, 6, 2, 1, (*rowsReader).quickRow, tooLong},
		{"in one loop, gaps of two bytes", 14, 770, 2, 3, (*rowsReader).quickRow, tooLong},
		{"dense", 2, 6, 4, 4, (*rowsReader).denseGaps, ""},
		{"dense, one column too few", 2, 5, 3, 9, (*rowsReader).denseGaps, noColumn},
		{"dense, no room within", 2, 6, 4, 1, (*rowsReader).denseGaps, tooLong},
		{"dense, no room at the end", 2, 7, 5, 4, (*rowsReader).denseGaps, tooLong},
		{"full", 0, 5, 5, 5, (*rowsReader).denseGaps, ""},
		{"full, no room", 0, 5, 5, 4, (*rowsReader).denseGaps, tooLong},
	} {
		r := &rowsReader{gapRoom: make([]byte, c.room), valueRoom: make([]byte, 9)}
		r.gaps.data, r.values.data = make([]byte, 99), make([]byte, 99)
		for set := range gapSets {
			(&wordCode{first: c.gap, end: c.gap + 1}).fill(r.gapCodes.table(uint32(set)), numberEntry)
		}
		(&wordCode{end: 1}).fill(r.valueCodes.table(0), valueEntry)
		if reason := c.read(r, c.columns, c.length); reason != c.want {
			t.Errorf("%s: %q, want %q", c.name, reason, c.want)
		}
	}
}

func TestSetsWithoutACodeAreRefused(t *testing.T) {
	for of, want := range []string{"", "", "", "a set without a code"} {
		w := &bitString{}
		w.bits(2, 3) // three codes
		for range gapSets {
			w.bits(uint32(of), 2)
		}
		w.bits(0, 2*12)
		w.bits(20, 6) // the first symbol of the last one, and no other
		w.bits(0, 6)
		if reason := new(setLookup).read(readerOf(w), gapSets, 20, numberEntry); of == 3 && reason != want || of < 3 && reason != noCode {
			t.Errorf("code %d of 3: %q", of, reason)
		}
		if reason := new(setLookup).read(readerOf(w), gapSets, symbols, numberEntry); reason != want {
			t.Errorf("code %d of 3: %q, want %q", of, reason, want)
		}
	}
}

// rowsOf returns a reader of the rows of a model of one plane, its lengths and its limits.
func rowsOf(t *testing.T, h *header, raw map[sectionID][]byte) (u *prefixUnpacker, lengths, limits []uint32) {
	t.Helper()
	w := &prefixWeights{w: &bitString{}, second: &bitString{}, layout: &packedLayout{header: h}, raw: raw}
	w.limits = w.layout.readable()
	w.pack()
	u = &prefixUnpacker{}
	u.r, u.columns.r = &u.rows.gaps, &u.rows.gaps
	u.rows.gaps.data, u.rows.values.data = w.w.bytes(), w.second.bytes()
	u.unpacked = newUnpacked(h, make([]byte, 1<<20), "prefix", u.rows.gaps.place)
	lengths, reason := u.lengths(w.limits)
	if reason == "" {
		_, reason = u.codes(lengths)
	}
	if reason != "" {
		t.Fatal(reason)
	}
	u.rows.inputs = uint32(h.inputs)
	u.rows.gapRoom, u.rows.valueRoom = make([]byte, 5*h.nonzeros), make([]byte, h.nonzeros)
	return u, lengths, w.limits
}

// TestQuickRowsAreThoseOfTwoPasses decodes rows in one loop and in two.
func TestQuickRowsAreThoseOfTwoPasses(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	quick := 0
	for round := range 200 {
		rows, columns := 1+rng.IntN(40), 60+rng.IntN(5000)
		states := rng.IntN(rows + 1) // without segments every row reads all columns
		h := &header{inputs: uint64(columns - states), states: uint64(states), outputs: uint64(rows - states)}
		raw := map[sectionID][]byte{}
		density := rng.Float64() / 2
		for range rows {
			length, previous := uint32(0), -1
			for j := range columns {
				if rng.Float64() < density {
					raw[sectionGaps] = appendVarint(raw[sectionGaps], uint32(j-previous-1))
					raw[sectionValues] = append(raw[sectionValues], byte((1+rng.IntN(127))*(1-2*rng.IntN(2))))
					previous = j
					length++
				}
			}
			raw[sectionLengths] = appendVarint(raw[sectionLengths], length)
			h.nonzeros += uint64(length)
		}
		if h.nonzeros == 0 {
			continue
		}
		one, lengths, limits := rowsOf(t, h, raw)
		two, _, _ := rowsOf(t, h, raw)
		rooms := [2][]byte{one.rows.valueRoom, two.rows.valueRoom}
		for i, length := range lengths {
			if limits[i] >= mostHalves || dense(length, limits[i]) || !one.rows.gaps.holds(uint64(length)*mostGapBits) || !one.rows.values.holds(uint64(length)*mostValueBits) {
				break
			}
			begin := two.rows.at
			if reason := one.rows.quickRow(limits[i], length) + two.rows.sparseGaps(limits[i], length); reason != "" {
				t.Fatalf("round %d, row %d: %s", round, i, reason)
			}
			two.rows.singles(two.rows.gapRoom[begin:two.rows.at], length)
			quick++
			if one.rows.at != two.rows.at || one.rows.gaps.at != two.rows.gaps.at || one.rows.values.at != two.rows.values.at {
				t.Fatalf("round %d, row %d: at %d, bits %d and %d; in two passes %d, %d and %d", round, i,
					one.rows.at, one.rows.gaps.at, one.rows.values.at, two.rows.at, two.rows.gaps.at, two.rows.values.at)
			}
		}
		if !bytes.Equal(one.rows.gapRoom, two.rows.gapRoom) || !bytes.Equal(rooms[0], rooms[1]) || !bytes.HasPrefix(raw[sectionGaps], one.rows.gapRoom[:one.rows.at]) {
			t.Fatalf("round %d: other gaps or values", round)
		}
	}
	if quick < 500 {
		t.Errorf("only %d rows were decoded in one loop", quick)
	}
}

// FuzzUnpackPrefix is FuzzUnpack for prefix codes.
func FuzzUnpackPrefix(f *testing.F) {
	for seed := range byte(6) {
		m := looped()
		m.Rows[0].Bias = int32(seed)
		w := &sectionWriter{packed: map[sectionID][]byte{}}
		for _, write := range []func(*Model){w.weights, w.inputs, w.states, w.rows, w.tables, w.schedule, w.selfTests} {
			write(m)
		}
		length := 0
		for _, raw := range w.packed {
			length += len(raw)
		}
		f.Add(uint16(length), packPrefix(smallHeader(0), w.packed))
	}
	f.Fuzz(func(t *testing.T, length uint16, stored []byte) {
		h := smallHeader(uint8(length >> 11))
		room := make([]byte, int(length)+16)
		guard := room[length:]
		sections, _, _, reason := unpackPrefix(h, stored, room[:length:length])
		if !bytes.Equal(guard, make([]byte, 16)) {
			t.Fatal("written beyond the room")
		}
		if reason != "" {
			return
		}
		for _, v := range sections[sectionValues] {
			if v == 0 || v == 0x80 {
				return // no weight of one plane, which validation refuses and packing cannot write
			}
		}
		again := packPrefix(h, sections)
		back := make([]byte, length)
		if _, _, _, reason := unpackPrefix(h, again, back); reason != "" || !bytes.Equal(back, room[:length]) {
			t.Fatalf("packed again: %s", reason)
		}
	})
}
