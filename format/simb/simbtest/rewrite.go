package simbtest

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
)

// Layout is where the parts of a file lie. It is found by a parser of its own, written from SPEC.md, that
// stays in bounds whatever the bytes.
type Layout struct {
	VTable, Table [2]int   // the table that is the frame, and its vtable
	Fields        [][2]int // scalars, by id; empty when absent
	Vectors       [][2]int // contents of the fields that are vectors, by id; zero when absent
	Sections      []Section
}

// Section is one line of the directory.
type Section struct {
	Line    int // where its 16 bytes lie
	ID      int
	Codec   int
	Element int
	Length  int
	Payload [2]int // where its stored bytes lie
}

// Field ids of SPEC.md.
const (
	idDigest, idSignature, idSignatureCRC = 4, 5, 6
	idSections, idPayload                 = 25, 26
)

// scalarWidth holds the bytes of every field by id, 0 for vectors.
var scalarWidth = []int{2, 2, 8, 8, 0, 0, 4, 1, 1, 1, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 8, 8, 8, 0, 0, 0, 0}

// Parse finds the parts of a file, or says that it is not one.
func Parse(data []byte) (l *Layout, ok bool) {
	size := int64(len(data))
	word := func(at int64) int64 {
		if at < 0 || at+4 > size {
			return size
		}
		return int64(binary.LittleEndian.Uint32(data[at:]))
	}
	half := func(at int64) int64 { return word(at) & 0xFFFF }
	table := word(0)
	vtable := table - int64(int32(word(table)))
	if table+4 > size || vtable < 0 || vtable+8 > size || half(vtable) > size-vtable {
		return nil, false
	}
	l = &Layout{VTable: [2]int{int(vtable), int(vtable + half(vtable))}, Table: [2]int{int(table), int(min(size, table+half(vtable+2)))}}
	l.Fields, l.Vectors = make([][2]int, len(scalarWidth)), make([][2]int, len(scalarWidth))
	for id, width := range scalarWidth {
		slot := vtable + 4 + 2*int64(id)
		if slot+2 > int64(l.VTable[1]) || half(slot) == 0 {
			continue
		}
		at := table + half(slot)
		if at+int64(max(width, 4)) > size {
			return nil, false
		}
		l.Fields[id] = [2]int{int(at), int(at) + width}
		if width > 0 {
			continue
		}
		target, element := at+word(at), int64(1)
		if id == idSections {
			element = 16
		}
		if target+4 > size || word(target)*element > size-target-4 {
			return nil, false
		}
		l.Vectors[id] = [2]int{int(target + 4), int(target + 4 + word(target)*element)}
	}
	if l.Vectors[idDigest][1]-l.Vectors[idDigest][0] != sha256.Size {
		return nil, false
	}
	return l, l.directory(data)
}

func (l *Layout) directory(data []byte) bool {
	at := l.Vectors[idPayload][0]
	for line := l.Vectors[idSections][0]; line < l.Vectors[idSections][1]; line += 16 {
		b := data[line:]
		stored := int64(binary.LittleEndian.Uint32(b[8:]))
		if stored > int64(l.Vectors[idPayload][1]-at) {
			return true // the rest of the directory is nonsense, which is for the reader to find
		}
		l.Sections = append(l.Sections, Section{
			Line: line, ID: int(b[0]) | int(b[1])<<8, Codec: int(b[2]), Element: int(b[3]),
			Length: int(binary.LittleEndian.Uint32(b[4:])), Payload: [2]int{at, at + int(stored)},
		})
		at += int(stored)
	}
	return true
}

// FixDigest returns a copy of a file with the digest that its contents have. What is not recognised as a
// file stays as it is.
func FixDigest(data []byte) []byte {
	data = append([]byte(nil), data...)
	l, ok := Parse(data)
	if !ok {
		return data
	}
	blank := append([]byte(nil), data...)
	for _, part := range [][2]int{l.Vectors[idDigest], l.Vectors[idSignature], l.Fields[idSignatureCRC]} {
		clear(blank[part[0]:part[1]])
	}
	sum := sha256.Sum256(blank)
	copy(data[l.Vectors[idDigest][0]:], sum[:])
	return data
}

// FixChecksums returns a copy of a file in which the checksum of every section that still decodes is that
// of what it decodes to, and the digest is right.
func FixChecksums(data []byte) []byte {
	data = append([]byte(nil), data...)
	l, ok := Parse(data)
	if !ok {
		return data
	}
	for _, s := range l.Sections {
		if raw, ok := decode(l, data, s); ok {
			binary.LittleEndian.PutUint32(data[s.Line+12:], crc32.Checksum(raw, crc32.MakeTable(crc32.Castagnoli)))
		}
	}
	return FixDigest(data)
}

// Decoded returns the sections of a valid file by id, decoded as SPEC.md says, or ok = false when one of
// them does not decode to what its checksum tells.
func Decoded(data []byte) (sections map[int][]byte, ok bool) {
	l, ok := Parse(data)
	if !ok {
		return nil, false
	}
	sections = map[int][]byte{}
	for _, s := range l.Sections {
		raw, ok := decode(l, data, s)
		if !ok || crc32.Checksum(raw, crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(data[s.Line+12:]) {
			return nil, false
		}
		if unpack := unpackers[s.Codec]; unpack != nil {
			u, _ := unpack(l, data, s)
			return u.sections, true
		}
		sections[s.ID] = raw
	}
	return sections, true
}

// decode decodes a section of reasonable size as SPEC.md says.
func decode(l *Layout, data []byte, s Section) ([]byte, bool) {
	stored := data[s.Payload[0]:s.Payload[1]]
	if s.Codec == 0 {
		return stored, true
	}
	if unpack := unpackers[s.Codec]; unpack != nil {
		u, ok := unpack(l, data, s)
		if !ok {
			return nil, false
		}
		return u.all, true
	}
	if s.Element < 1 || s.Length < 0 || s.Length%s.Element != 0 || s.Length > 1<<20 { // negative: an int of 32 bits
		return nil, false
	}
	raw := make([]byte, s.Length)
	for plane := range s.Element {
		for done := 0; done < s.Length/s.Element; {
			n := min(s.Length/s.Element-done, 131072)
			chunk, rest, ok := decodeChunk(stored, n)
			if !ok {
				return nil, false
			}
			for k, b := range chunk {
				raw[(done+k)*s.Element+plane] = b
			}
			stored, done = rest, done+n
		}
	}
	return raw, len(stored) == 0
}

// decodeChunk decodes one chunk of n bytes.
func decodeChunk(stored []byte, n int) (chunk, rest []byte, ok bool) {
	if len(stored) < 2 {
		return nil, nil, false
	}
	tag, body := stored[0], stored[1:]
	switch {
	case tag == 0 && len(body) >= n:
		return body[:n], body[n:], true
	case tag == 2:
		chunk = make([]byte, n)
		for k := range chunk {
			chunk[k] = body[0]
		}
		return chunk, body[1:], true
	case tag == 1:
		length, used := binary.Uvarint(body)
		if used <= 0 || length > uint64(len(body)-used) {
			return nil, nil, false
		}
		chunk, ok = huffman(body[used:used+int(length)], n)
		return chunk, body[used+int(length):], ok
	}
	return nil, nil, false
}
