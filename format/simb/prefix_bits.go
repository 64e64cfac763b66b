package simb

import "encoding/binary"

// A prefix-coded file has two strings of bits, so that a processor can decode two numbers at a time:
// PREFIX.md, section 1. Bits fill a byte from the lowest one up, so that a reader takes eight bytes at once.

// bitString collects bits.
type bitString struct {
	out  []byte
	free uint64 // bits that do not fill a byte yet
	used int    // how many
}

// bits appends the lowest `count` bits of v, at most 32, the lowest first.
func (s *bitString) bits(v uint32, count int) {
	s.free |= uint64(v) & (1<<count - 1) << s.used
	for s.used += count; s.used >= 8; s.used -= 8 {
		s.out = append(s.out, byte(s.free))
		s.free >>= 8
	}
}

// length returns how many bits there are.
func (s *bitString) length() int { return 8*len(s.out) + s.used }

// join appends all bits of another string.
func (s *bitString) join(other *bitString) {
	for _, b := range other.out {
		s.bits(uint32(b), 8)
	}
	s.bits(uint32(other.free), other.used)
}

// bytes returns the string with zeros up to a whole byte.
func (s *bitString) bytes() []byte {
	if s.used == 0 {
		return s.out
	}
	return append(s.out, byte(s.free))
}

// stringReader reads what bitString collected. Behind the end it reads zeros.
type stringReader struct {
	data []byte
	at   uint64 // bits that have been read, those behind the end included
}

// ahead returns the next bits, 57 at least.
func (r *stringReader) ahead() uint64 {
	if k := r.at >> 3; k+8 <= uint64(len(r.data)) {
		return binary.LittleEndian.Uint64(r.data[k:]) >> (r.at & 7)
	}
	return r.last()
}

// last is ahead near the end of the data.
func (r *stringReader) last() (bits uint64) {
	for k, b := range r.data[min(r.at>>3, uint64(len(r.data))):] {
		bits |= uint64(b) << (8 * k)
	}
	return bits >> (r.at & 7)
}

// bits reads a number of up to 32 bits.
func (r *stringReader) bits(count int) uint32 {
	v := uint32(r.ahead() & (1<<count - 1))
	r.at += uint64(count)
	return v
}

// place returns the byte behind the last bit that was read, of the data.
func (r *stringReader) place() int { return int(min((r.at+7)>>3, uint64(len(r.data)))) }

// ended reports whether all has been read but zeros that fill the last byte.
func (r *stringReader) ended() bool {
	return (r.at+7)>>3 == uint64(len(r.data)) && r.ahead()&(1<<(-r.at&7)-1) == 0
}

// holds reports whether so many bits and what ahead takes at once are left.
func (r *stringReader) holds(bits uint64) bool { return r.at+bits+128 <= 8*uint64(len(r.data)) }
