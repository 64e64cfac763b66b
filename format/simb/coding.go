package simb

import "github.com/klauspost/compress/huff0"

// Codec chooses how Encode stores sections.
type Codec uint8

// CodecRaw leaves the weights' streams as they are, so that a session can walk them in place, and
// needs no decompressor; CodecHuff0 makes the file small; CodecPacked makes it smallest, for readers of
// version 2; CodecPrefix makes it a few percent larger than that and opens several times as fast, for readers
// of version 4 (BenchmarkLoad in runtime).
const (
	CodecRaw    Codec = 0
	CodecHuff0  Codec = 1
	CodecPacked Codec = 2
	CodecPrefix Codec = 3
)

// How a section is stored; numbers of the file.
const (
	storedRaw    = 0 // the decoded bytes themselves
	storedPlanes = 1 // byte planes in chunks
	storedBits   = 2 // the packed section, and no other
	storedPrefix = 3 // the same, in prefix codes
)

// How a chunk of a byte plane is stored; numbers of the file.
const (
	chunkRaw   = 0 // the bytes themselves
	chunkHuff0 = 1 // a varint of the stored length, then a huff0 block of one stream
	chunkRun   = 2 // the one byte that all are
)

// chunkSize is the largest number of decoded bytes of a chunk: below huff0's limit of 2¹⁸−1.
const chunkSize = 1 << 17

// Packs reports whether the codec keeps all sections in one, so that a file is as small as it can be made.
func (c Codec) Packs() bool { return c == CodecPacked || c == CodecPrefix }

// appendVarint appends v in LEB128: 7 bits a byte, low first, the top bit set on all but the last.
func appendVarint(dst []byte, v uint32) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

// readVarint reads a LEB128 number below 2³² at data[at:] and returns where the next thing starts, or
// ok = false when it is cut short, too large, or not in its shortest form.
func readVarint(data []byte, at int) (v uint32, next int, ok bool) {
	for shift := uint(0); shift < 35; shift += 7 {
		if at >= len(data) {
			return 0, at, false
		}
		b := data[at]
		at++
		if shift == 28 && b > 0x0F || shift > 0 && b == 0 {
			return 0, at, false
		}
		v |= uint32(b&0x7F) << shift
		if b < 0x80 {
			return v, at, true
		}
	}
	return 0, at, false
}

// planeEncoder stores sections as byte planes.
type planeEncoder struct {
	compress bool // try huff0
	plane    []byte
}

// encode stores raw, elements of the given size, as byte planes cut into chunks.
func (e *planeEncoder) encode(raw []byte, element int) (stored []byte, huff0 bool) {
	count := len(raw) / element
	if cap(e.plane) < count {
		e.plane = make([]byte, count)
	}
	plane := e.plane[:count]
	for b := range element {
		for k := range plane {
			plane[k] = raw[k*element+b]
		}
		for rest := plane; len(rest) > 0; {
			n := min(len(rest), chunkSize)
			var compressed bool
			stored, compressed = appendChunk(stored, rest[:n], e.compress)
			huff0 = huff0 || compressed
			rest = rest[n:]
		}
	}
	return stored, huff0
}

// appendChunk appends the smallest coding of a chunk and tells whether it is a huff0 block.
func appendChunk(out, chunk []byte, compress bool) ([]byte, bool) {
	if isRun(chunk) {
		return append(out, chunkRun, chunk[0]), false
	}
	if compress {
		// An error says that the chunk is too short or incompressible: then it stays raw.
		block, _, err := huff0.Compress1X(chunk, &huff0.Scratch{Reuse: huff0.ReusePolicyNone})
		if err == nil {
			coded := append(appendVarint([]byte{chunkHuff0}, uint32(len(block))), block...)
			if len(coded) < 1+len(chunk) {
				return append(out, coded...), true
			}
		}
	}
	return append(append(out, chunkRaw), chunk...), false
}

func isRun(chunk []byte) bool {
	for _, b := range chunk {
		if b != chunk[0] {
			return false
		}
	}
	return true
}

// planeDecoder is the inverse of planeEncoder. Beside what it fills it takes the memory of one chunk and
// of huff0's tables, once for all sections.
type planeDecoder struct {
	huff0 bool // some chunk was huff0-coded
	table *huff0.Scratch
	chunk []byte
}

// decode fills dst, whose length is the section's decoded one, a multiple of element. It gives a reason,
// and the place in stored, when stored does not hold exactly that.
func (d *planeDecoder) decode(dst, stored []byte, element int) (at int, reason string) {
	count := len(dst) / element
	for b := range element {
		for done := 0; done < count; {
			n := min(count-done, chunkSize)
			into := dst[done : done+n]
			if element > 1 {
				into = d.buffer(n)
			}
			next, reason := d.decodeChunk(into, stored, at)
			if reason != "" {
				return at, reason
			}
			if element > 1 {
				for k, v := range into {
					dst[(done+k)*element+b] = v
				}
			}
			at, done = next, done+n
		}
	}
	if at != len(stored) {
		return at, "bytes are left over after the last chunk"
	}
	return at, ""
}

func (d *planeDecoder) buffer(n int) []byte {
	if cap(d.chunk) < n {
		d.chunk = make([]byte, n)
	}
	return d.chunk[:n]
}

// decodeChunk fills dst from the chunk at stored[at:] and returns where the next one starts.
func (d *planeDecoder) decodeChunk(dst, stored []byte, at int) (next int, reason string) {
	if at >= len(stored) {
		return at, "a chunk is missing"
	}
	tag := stored[at]
	at++
	switch tag {
	case chunkRaw:
		if len(stored)-at < len(dst) {
			return at, "a raw chunk is cut short"
		}
		copy(dst, stored[at:])
		return at + len(dst), ""
	case chunkRun:
		if at >= len(stored) {
			return at, "a run is cut short"
		}
		for k := range dst {
			dst[k] = stored[at]
		}
		return at + 1, ""
	case chunkHuff0:
		length, at, ok := readVarint(stored, at)
		if !ok || uint64(length) > uint64(len(stored)-at) {
			return at, "a compressed chunk is cut short"
		}
		return at + int(length), d.decodeHuff0(dst, stored[at:at+int(length)])
	}
	return at, "a chunk has an unknown tag"
}

// decodeHuff0 decodes one block of exactly len(dst) bytes. The library writes at most cap(dst) bytes.
func (d *planeDecoder) decodeHuff0(dst, block []byte) (reason string) {
	d.huff0 = true
	table, rest, err := huff0.ReadTable(block, d.table)
	if err != nil {
		return "a compressed chunk has a broken table"
	}
	d.table = table
	out, err := table.Decoder().Decompress1X(dst[:0:len(dst)], rest)
	if err != nil || len(out) != len(dst) {
		return "a compressed chunk does not decode to its length"
	}
	return ""
}
