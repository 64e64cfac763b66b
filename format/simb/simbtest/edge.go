package simbtest

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// Edge returns a file made from a valid one by changing one number, a scalar of the frame or an element of a
// section, to a value at an end of what its type can hold, of what it may be, or right beside either; sections
// are then stored raw, and checksums and digest are right.
func Edge(rng *rand.Rand, valid []byte) []byte {
	data := append([]byte(nil), valid...)
	l, ok := Parse(data)
	if !ok {
		return data
	}
	return FixDigest(edge(rng, l, data))
}

func edge(rng *rand.Rand, l *Layout, data []byte) []byte {
	list, ok := contentsOf(l, data)
	if !ok || len(list) == 0 {
		return data
	}
	if rng.IntN(4) == 0 {
		scalarEdge(rng, l, data)
		return rewrite(l, data, list)
	}
	s := &list[rng.IntN(len(list))]
	if count := len(s.raw) / max(s.element, 1); count > 0 && s.element > 0 {
		at := s.element * rng.IntN(count)
		put(s.raw[at:at+s.element], edgeValue(rng, s.element, floatSections[s.id], get(s.raw[at:at+s.element])))
	}
	return rewrite(l, data, list)
}

// scalarEdge changes one scalar of the frame in place.
func scalarEdge(rng *rand.Rand, l *Layout, data []byte) {
	const outputScale = 19
	id := rng.IntN(len(l.Fields))
	if at := l.Fields[id]; at[1] > at[0] {
		part := data[at[0]:at[1]]
		put(part, edgeValue(rng, len(part), id == outputScale, get(part)))
	}
}

// floatSections are the sections of float32 numbers.
var floatSections = func() map[int]bool {
	ids := map[int]bool{}
	for _, e := range packedElements {
		ids[e.id] = e.form == 'f'
	}
	return ids
}()

// edgeValue returns a number of so many bytes instead of the old one.
func edgeValue(rng *rand.Rand, bytes int, float bool, old uint64) uint64 {
	if float && rng.IntN(8) > 0 {
		v := math.Float32frombits(uint32(old))
		floats := []float32{
			0, float32(math.Copysign(0, -1)), 1, -1, -v, math.Nextafter32(v, math.MaxFloat32), math.Nextafter32(v, -math.MaxFloat32), v / 2, v * 2,
			math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, 0x1p-126, math.MaxFloat32, -math.MaxFloat32,
			float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), math.Float32frombits(0xFF800001),
		}
		return uint64(math.Float32bits(floats[rng.IntN(len(floats))]))
	}
	top := uint64(1) << (8*bytes - 1)
	integers := []uint64{0, 1, 2, old + 1, old - 1, -old, old * 2, top, top - 1, top + 1, 2*top - 1, 62, 63, 127, 128, 1<<14 - 1, 1 << 14, 1 << 24}
	return integers[rng.IntN(len(integers))]
}

func get(b []byte) uint64 {
	var v [8]byte
	copy(v[:], b)
	return binary.LittleEndian.Uint64(v[:])
}

func put(b []byte, v uint64) {
	var bytes [8]byte
	binary.LittleEndian.PutUint64(bytes[:], v)
	copy(b, bytes[:])
}
