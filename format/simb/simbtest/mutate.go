package simbtest

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
)

// Mutate returns a file made from a valid one by up to three changes, with checksums (mostly) and digest
// right, so that what refuses it must be something else. Changes are to bytes, words and offsets of the
// frame, to counts and other fields, to lines of the directory, and to the contents of sections, byte by byte
// and number by number (see Edge).
func Mutate(rng *rand.Rand, valid []byte) []byte {
	data := append([]byte(nil), valid...)
	for range 1 + rng.IntN(3) {
		l, ok := Parse(data)
		if !ok {
			break
		}
		mutations := []func(*rand.Rand, *Layout, []byte) []byte{anyBytes, frameBytes, swapOffsets, fields, directoryLine, storedBytes, contents, contents, resize, edge, edge, edge}
		data = mutations[rng.IntN(len(mutations))](rng, l, data)
	}
	if rng.IntN(8) == 0 {
		return FixDigest(data)
	}
	return FixChecksums(data)
}

// interesting returns a number that often breaks arithmetic.
func interesting(rng *rand.Rand, old uint64) uint64 {
	switch rng.IntN(8) {
	case 0:
		return 0
	case 1:
		return old + 1
	case 2:
		return old - 1
	case 3:
		return 1 << rng.IntN(64)
	case 4:
		return 1<<rng.IntN(64) - 1
	case 5:
		return -old
	case 6:
		return old ^ 1<<rng.IntN(64)
	}
	return rng.Uint64() >> rng.IntN(64)
}

// overwrite puts an interesting number into data[at:end].
func overwrite(rng *rand.Rand, data []byte, at, end int) {
	var old [8]byte
	copy(old[:], data[at:min(end, at+8)])
	var v [8]byte
	binary.LittleEndian.PutUint64(v[:], interesting(rng, binary.LittleEndian.Uint64(old[:])))
	copy(data[at:min(end, at+8)], v[:])
}

// somewhere overwrites 1, 2, 4 or 8 bytes of a part.
func somewhere(rng *rand.Rand, data []byte, part [2]int) {
	if part[1] > part[0] {
		at := part[0] + rng.IntN(part[1]-part[0])
		overwrite(rng, data, at, min(part[1], at+1<<rng.IntN(4)))
	}
}

func anyBytes(rng *rand.Rand, _ *Layout, data []byte) []byte {
	somewhere(rng, data, [2]int{0, len(data)})
	return data
}

func frameBytes(rng *rand.Rand, l *Layout, data []byte) []byte {
	parts := [][2]int{{0, 8}, l.VTable, l.Table}
	for _, v := range l.Vectors {
		parts = append(parts, [2]int{max(v[0]-4, 0), v[0]}) // the count before a vector's contents
	}
	somewhere(rng, data, parts[rng.IntN(len(parts))])
	return data
}

// swapOffsets exchanges two slots of the vtable, two offsets of the table or two lines of the directory.
func swapOffsets(rng *rand.Rand, l *Layout, data []byte) []byte {
	part, size := l.VTable, 2
	switch rng.IntN(3) {
	case 0:
		part, size = l.Table, 4
	case 1:
		part, size = l.Vectors[idSections], 16
	}
	count := (part[1] - part[0]) / size
	if count < 2 {
		return data
	}
	a, b := part[0]+size*rng.IntN(count), part[0]+size*rng.IntN(count)
	for k := range size {
		data[a+k], data[b+k] = data[b+k], data[a+k]
	}
	return data
}

// fields changes a scalar of the frame.
func fields(rng *rand.Rand, l *Layout, data []byte) []byte {
	if at := l.Fields[rng.IntN(len(l.Fields))]; at[1] > at[0] {
		overwrite(rng, data, at[0], at[1])
	}
	return data
}

// directoryLine changes id, codec, element, length, stored length or checksum of a section.
func directoryLine(rng *rand.Rand, l *Layout, data []byte) []byte {
	if len(l.Sections) == 0 {
		return data
	}
	line := l.Sections[rng.IntN(len(l.Sections))].Line
	part := [][2]int{{0, 2}, {2, 3}, {3, 4}, {4, 8}, {8, 12}, {12, 16}}[rng.IntN(6)]
	overwrite(rng, data, line+part[0], line+part[1])
	return data
}

// storedBytes changes bytes of a section as they are stored.
func storedBytes(rng *rand.Rand, l *Layout, data []byte) []byte {
	if len(l.Sections) > 0 {
		somewhere(rng, data, l.Sections[rng.IntN(len(l.Sections))].Payload)
	}
	return data
}

// resize cuts bytes off, or adds some.
func resize(rng *rand.Rand, _ *Layout, data []byte) []byte {
	if rng.IntN(2) == 0 {
		return append(data, make([]byte, 1+rng.IntN(40))...)
	}
	return data[:rng.IntN(len(data))]
}

// contents changes what a section decodes to, drops it, empties it or moves it to another section, and
// writes the file anew around it.
func contents(rng *rand.Rand, l *Layout, data []byte) []byte {
	list, ok := contentsOf(l, data)
	if !ok || len(list) == 0 {
		return data
	}
	k := rng.IntN(len(list))
	s := &list[k]
	switch rng.IntN(8) {
	case 0:
		list = append(list[:k], list[k+1:]...)
	case 1:
		s.raw = append(s.raw, make([]byte, max(s.element, 1))...)
	case 2:
		s.raw = s.raw[:len(s.raw)-min(len(s.raw), s.element)]
	case 3:
		s.raw = append([]byte(nil), list[rng.IntN(len(list))].raw...)
	case 4:
		s.raw = append(s.raw, s.raw...)
	default:
		for range 1 + rng.IntN(4) {
			if n := len(s.raw) / max(s.element, 1); n > 0 {
				at := s.element * rng.IntN(n)
				overwrite(rng, s.raw, at, at+s.element)
			}
		}
	}
	return rewrite(l, data, list)
}

type section struct {
	id, element int
	raw         []byte
}

// contentsOf returns copies of the decoded sections of a file, those of a packed one in the order of other
// files, and makes of its frame that of a file with raw sections: without the features of their coding, for
// readers of the version that this takes.
func contentsOf(l *Layout, data []byte) (list []section, ok bool) {
	for _, s := range l.Sections {
		raw, ok := decode(l, data, s)
		if !ok {
			return nil, false
		}
		if unpackers[s.Codec] == nil {
			list = append(list, section{id: s.ID, element: s.Element, raw: append([]byte(nil), raw...)})
			continue
		}
		u, _ := unpackers[s.Codec](l, data, s)
		for id := 1; id <= 4; id++ {
			if raw := u.sections[id]; raw != nil {
				list = append(list, section{id, 1, raw})
			}
		}
		for _, e := range packedElements {
			if raw := u.sections[e.id]; raw != nil {
				list = append(list, section{e.id, e.bytes, raw})
			}
		}
	}
	const huff0, packed, derived, relaxed, prefix = 1, 16, 32, 64, 128
	if features, reader := l.Fields[2], l.Fields[1]; features[1] > features[0] {
		data[features[0]] &^= huff0 | packed | prefix
		if needs := data[features[0]] & (derived | relaxed); reader[1] > reader[0] && needs < relaxed {
			data[reader[0]] = 1 + needs/derived
		} else if reader[1] > reader[0] {
			data[reader[0]] = 3
		}
	}
	return list, true
}

// rewrite builds a file with the same fields around other sections, stored raw. It lays the parts out in
// another order than the writer does, and aligns nothing.
func rewrite(l *Layout, data []byte, list []section) []byte {
	var directory, payload []byte
	for _, s := range list {
		directory = append(binary.LittleEndian.AppendUint16(directory, uint16(s.id)), 0, byte(s.element))
		for _, v := range []uint32{uint32(len(s.raw)), uint32(len(s.raw)), crc32.Checksum(s.raw, crc32.MakeTable(crc32.Castagnoli))} {
			directory = binary.LittleEndian.AppendUint32(directory, v)
		}
		payload = append(payload, s.raw...)
	}
	const head = 8
	vtable := make([]byte, 4+2*len(scalarWidth))
	table := binary.LittleEndian.AppendUint32(nil, uint32(len(vtable))) // the vtable lies right before it
	type pointer struct{ field, id int }
	var pointers []pointer
	for id, width := range scalarWidth {
		if l.Fields[id][1] == l.Fields[id][0] && l.Vectors[id][0] == 0 {
			continue
		}
		binary.LittleEndian.PutUint16(vtable[4+2*id:], uint16(len(table)))
		if width == 0 {
			pointers = append(pointers, pointer{len(table), id})
			table = append(table, 0, 0, 0, 0)
			continue
		}
		table = append(table, data[l.Fields[id][0]:l.Fields[id][1]]...)
	}
	binary.LittleEndian.PutUint16(vtable, uint16(len(vtable)))
	binary.LittleEndian.PutUint16(vtable[2:], uint16(len(table)))
	out := binary.LittleEndian.AppendUint32(nil, uint32(head+len(vtable)))
	out = append(append(append(out, "SIMB"...), vtable...), table...)
	first := head + len(vtable)
	for _, p := range pointers {
		contents, count := data[l.Vectors[p.id][0]:l.Vectors[p.id][1]], 0
		switch count = len(contents); p.id {
		case idSections:
			contents, count = directory, len(list)
		case idPayload:
			contents, count = payload, len(payload)
		}
		binary.LittleEndian.PutUint32(out[first+p.field:], uint32(len(out)-first-p.field))
		out = binary.LittleEndian.AppendUint32(out, uint32(count))
		out = append(append(out, contents...), 0)
	}
	return out
}
