package simb

import "github.com/klauspost/compress/huff0"

// Codec chooses how Encode stores sections.
type Codec uint8

// CodecRaw leaves the weights' streams as they are, so that a session can walk them in place, and
// needs no decompressor; CodecHuff0 makes the file small.
const (
	CodecRaw   Codec = 0
	CodecHuff0 Codec = 1
)

// How a section is stored; numbers of the file.
const (
	storedRaw    = 0 // the decoded bytes themselves
	storedPlanes = 1 // byte planes in chunks
)

// How a chunk of a byte plane is stored; numbers of the file.
const (
	chunkRaw   = 0
	chunkHuff0 = 1 // a varint of the stored length, then a huff0 block of one stream
	chunkRun   = 2 // the one byte that all are
)

// chunkSize is the largest number of decoded bytes of a chunk: below huff0's limit of 2¹⁸−1.
const chunkSize = 1 << 17

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

// encodePlanes stores raw, elements of the given size, as byte planes cut into chunks.
func encodePlanes(raw []byte, element int, compress bool) []byte {
	var out []byte
	plane := make([]byte, len(raw)/element)
	for b := range element {
		for k := range plane {
			plane[k] = raw[k*element+b]
		}
		for rest := plane; len(rest) > 0; {
			n := min(len(rest), chunkSize)
			out = appendChunk(out, rest[:n], compress)
			rest = rest[n:]
		}
	}
	return out
}

func appendChunk(out, chunk []byte, compress bool) []byte {
	if isRun(chunk) {
		return append(out, chunkRun, chunk[0])
	}
	if compress {
		// A failure says that the chunk is too short or incompressible: then it stays raw.
		block, _, err := huff0.Compress1X(chunk, &huff0.Scratch{Reuse: huff0.ReusePolicyNone})
		if err == nil && len(block)+3 < len(chunk) {
			out = appendVarint(append(out, chunkHuff0), uint32(len(block)))
			return append(out, block...)
		}
	}
	return append(append(out, chunkRaw), chunk...)
}

func isRun(chunk []byte) bool {
	for _, b := range chunk {
		if b != chunk[0] {
			return false
		}
	}
	return true
}

// decodePlanes is the inverse of encodePlanes: it fills dst, whose length is the section's decoded one,
// and returns a reason when stored does not hold exactly that. It allocates at most a plane and a chunk.
func decodePlanes(dst, stored []byte, element int) (reason string) {
	count := len(dst) / element
	plane := dst
	if element > 1 {
		plane = make([]byte, count)
	}
	at := 0
	for b := range element {
		for done := 0; done < count; {
			n := min(count-done, chunkSize)
			next, reason := decodeChunk(plane[done:done+n], stored, at)
			if reason != "" {
				return reason
			}
			at, done = next, done+n
		}
		if element > 1 {
			for k, v := range plane {
				dst[k*element+b] = v
			}
		}
	}
	if at != len(stored) {
		return "bytes are left over after the last chunk"
	}
	return ""
}

// decodeChunk fills dst from the chunk at stored[at:] and returns where the next one starts.
func decodeChunk(dst, stored []byte, at int) (next int, reason string) {
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
		return at + int(length), decodeHuff0(dst, stored[at:at+int(length)])
	}
	return at, "a chunk has an unknown tag"
}

// decodeHuff0 decodes one block of exactly len(dst) bytes.
func decodeHuff0(dst, block []byte) (reason string) {
	table, rest, err := huff0.ReadTable(block, nil)
	if err != nil {
		return "a compressed chunk has a broken table"
	}
	table.MaxDecodedSize = len(dst)
	out, err := table.Decompress1X(rest)
	if err != nil || len(out) != len(dst) {
		return "a compressed chunk does not decode to its length"
	}
	copy(dst, out)
	return ""
}
