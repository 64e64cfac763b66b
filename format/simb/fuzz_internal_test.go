package simb

import (
	"bytes"
	"testing"
)

// FuzzPlanes gives the section decoder arbitrary stored bytes: it must fill exactly what it is given, and
// what it decodes must survive being encoded again.
func FuzzPlanes(f *testing.F) {
	raw := bytes.Repeat([]byte("sparse implicit models "), 40)
	for _, element := range []int{1, 2, 4, 8} {
		for _, compress := range []bool{false, true} {
			e := planeEncoder{compress: compress}
			stored, _ := e.encode(raw, element)
			f.Add(uint32(len(raw)), uint8(element), stored)
		}
	}
	e := planeEncoder{compress: true}
	runs, _ := e.encode(make([]byte, 2*chunkSize+5), 1)
	f.Add(uint32(2*chunkSize+5), uint8(1), runs)
	f.Fuzz(func(t *testing.T, length uint32, element uint8, stored []byte) {
		size := 1 << (element % 4)
		dst := make([]byte, int(length%(3*chunkSize))/size*size+16)
		guard := dst[len(dst)-16:]
		dst = dst[:len(dst)-16]
		var d planeDecoder
		if _, reason := d.decode(dst, stored, size); reason != "" || len(dst) == 0 {
			return
		}
		if !bytes.Equal(guard, make([]byte, 16)) {
			t.Fatal("written beyond the section")
		}
		e := planeEncoder{compress: true}
		again, _ := e.encode(dst, size)
		back := make([]byte, len(dst))
		if _, reason := d.decode(back, again, size); reason != "" || !bytes.Equal(back, dst) {
			t.Fatalf("encoded again: %s", reason)
		}
	})
}

// FuzzUnpack gives the decoder of packed sections arbitrary bits for a model of some size: it must fill
// exactly the room that it has, and what it decodes must survive being packed again.
func FuzzUnpack(f *testing.F) {
	for seed := range byte(6) {
		m := looped()
		m.Rows[0].Bias = int32(seed)
		w := &sectionWriter{packed: map[sectionID][]byte{}}
		w.weights(m)
		w.inputs(m)
		w.states(m)
		w.rows(m)
		w.tables(m)
		w.schedule(m)
		w.selfTests(m)
		length := 0
		for _, raw := range w.packed {
			length += len(raw)
		}
		f.Add(uint16(length), pack(smallHeader(0), w.packed))
	}
	f.Fuzz(func(t *testing.T, length uint16, stored []byte) {
		h := smallHeader(uint8(length >> 11))
		room := make([]byte, int(length)+16)
		guard := room[length:]
		sections, _, _, reason := unpack(h, stored, room[:length:length])
		if !bytes.Equal(guard, make([]byte, 16)) {
			t.Fatal("written beyond the room")
		}
		if reason != "" {
			return
		}
		again := pack(h, sections)
		back := make([]byte, length)
		if _, _, _, reason := unpack(h, again, back); reason != "" || !bytes.Equal(back, room[:length]) {
			t.Fatalf("packed again: %s", reason)
		}
	})
}

// smallHeader counts what looped has, with some claims.
func smallHeader(claims uint8) *header {
	return &header{inputs: 1, states: 3, outputs: 2, nonzeros: 9, tables: 1, segments: 2, tests: 1, claims: claims, width: 7}
}
