package simb

import (
	"bytes"
	"testing"
)

func TestVarintsHaveOneForm(t *testing.T) {
	for _, v := range []uint32{0, 1, 127, 128, 300, 1<<14 - 1, 1 << 14, 1 << 21, 1 << 28, 1<<32 - 1} {
		b := appendVarint(nil, v)
		if got, next, ok := readVarint(append(b, 7), 0); got != v || next != len(b) || !ok {
			t.Errorf("%d: %d, %d, %v", v, got, next, ok)
		}
		for n := range b {
			if _, _, ok := readVarint(b[:n], 0); ok {
				t.Errorf("%d cut to %d bytes: accepted", v, n)
			}
		}
	}
	for name, b := range map[string][]byte{
		"zero in two bytes":   {0x80, 0},
		"one in three bytes":  {0x81, 0x80, 0},
		"more than 32 bits":   {0xFF, 0xFF, 0xFF, 0xFF, 0x1F},
		"more than five":      {0x80, 0x80, 0x80, 0x80, 0x80, 1},
		"no end":              {0x80, 0x80},
		"nothing":             {},
		"five with a top bit": {0xFF, 0xFF, 0xFF, 0xFF, 0x8F},
	} {
		if v, _, ok := readVarint(b, 0); ok {
			t.Errorf("%s: read as %d", name, v)
		}
	}
}

func TestChunksDecodeToTheirLengthAlone(t *testing.T) {
	text := bytes.Repeat([]byte("an equilibrium is a state that stays. "), 60)
	e := planeEncoder{compress: true}
	compressed, huff0 := e.encode(text, 1)
	if !huff0 || len(compressed) >= len(text) {
		t.Fatalf("%d bytes became %d", len(text), len(compressed))
	}
	raw := append([]byte{chunkRaw}, text...)
	run := []byte{chunkRun, 5}
	for _, c := range []struct {
		name   string
		stored []byte
		length int
		ok     bool
	}{
		{"huff0", compressed, len(text), true},
		{"huff0, a byte too long", compressed, len(text) + 1, false},
		{"huff0, a byte too short", compressed, len(text) - 1, false},
		{"huff0, much too short", compressed, 3, false},
		{"huff0 cut short", compressed[:len(compressed)-1], len(text), false},
		{"huff0 with a byte more", append(bytes.Clone(compressed), 0), len(text), false},
		{"huff0 of no bytes", []byte{chunkHuff0, 0}, 10, false},
		{"huff0 with a length beyond all", []byte{chunkHuff0, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 1}, 10, false},
		{"raw", raw, len(text), true},
		{"raw cut short", raw[:len(raw)-1], len(text), false},
		{"raw with a byte more", append(bytes.Clone(raw), 0), len(text), false},
		{"a run", run, chunkSize, true},
		{"a run of more than a chunk", run, chunkSize + 1, false},
		{"two runs", append(run, run...), chunkSize + 1, true},
		{"a run cut short", run[:1], 4, false},
		{"no chunk", nil, 4, false},
		{"an unknown tag", []byte{3, 1, 1, 1, 1}, 4, false},
	} {
		dst := make([]byte, c.length)
		var d planeDecoder
		if _, reason := d.decode(dst, c.stored, 1); (reason == "") != c.ok {
			t.Errorf("%s: %q", c.name, reason)
		}
	}
}

// TestDecoderKeepsNothingBetweenBlocks decodes blocks of different tables by one decoder.
func TestDecoderKeepsNothingBetweenBlocks(t *testing.T) {
	var d planeDecoder
	for k := range 50 {
		raw := bytes.Repeat([]byte{byte(k), byte(k * 7), byte(k * 3), 0, 1, 0, 0, byte(k % 3)}, 30+k)
		e := planeEncoder{compress: true}
		stored, _ := e.encode(raw, 1+k%2)
		dst := make([]byte, len(raw))
		if _, reason := d.decode(dst, stored, 1+k%2); reason != "" || !bytes.Equal(dst, raw) {
			t.Errorf("block %d: %q", k, reason)
		}
	}
}
