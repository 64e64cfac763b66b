package rowsolve

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// The serialised form, all little-endian: magic, features and targets (uint32 each), samples
// (uint64), then float64: the lower triangle of FF row by row, FT target by target, the sums of
// features, of targets and of squared targets; at the end the CRC-32C of everything before it.
const (
	gramMagic  = "SIMGRAM1"
	gramHeader = len(gramMagic) + 16
)

// ErrGram is wrapped by UnmarshalBinary's errors.
var ErrGram = errors.New("not a serialised Gram")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// visit calls f with all numbers that are serialised, in order.
func (g *Gram) visit(f func([]float64)) {
	for i := range g.features {
		f(g.ff[i*g.features : i*g.features+i+1])
	}
	for _, part := range [][]float64{g.ft, g.featureSum, g.targetSum, g.targetSquare} {
		f(part)
	}
}

// MarshalBinary implements encoding.BinaryMarshaler: a shard's moments can travel to where they are
// merged, or a whole Gram to where rows are solved. It never fails.
func (g *Gram) MarshalBinary() ([]byte, error) {
	out := make([]byte, 0, gramSize(uint64(g.features), uint64(g.targets)))
	out = append(out, gramMagic...)
	out = binary.LittleEndian.AppendUint32(out, uint32(g.features))
	out = binary.LittleEndian.AppendUint32(out, uint32(g.targets))
	out = binary.LittleEndian.AppendUint64(out, uint64(g.samples))
	g.visit(func(part []float64) {
		for _, v := range part {
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v))
		}
	})
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli)), nil
}

func gramSize(features, targets uint64) uint64 {
	numbers := features*(features+1)/2 + targets*features + features + 2*targets
	return uint64(gramHeader) + 8*numbers + 4
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler. Errors wrap ErrGram; g is then unchanged.
func (g *Gram) UnmarshalBinary(data []byte) error {
	if len(data) < gramHeader || string(data[:len(gramMagic)]) != gramMagic {
		return fmt.Errorf("%w: it does not start with %q", ErrGram, gramMagic)
	}
	header := data[len(gramMagic):]
	features, targets := binary.LittleEndian.Uint32(header), binary.LittleEndian.Uint32(header[4:])
	samples := binary.LittleEndian.Uint64(header[8:])
	const limit = 1 << 20 // columns; keeps the size below 2⁶³ and far above what fits in memory
	if features > limit || targets > limit || samples > math.MaxInt64 {
		return fmt.Errorf("%w: %d features, %d targets, %d samples are out of range", ErrGram, features, targets, samples)
	}
	if want := gramSize(uint64(features), uint64(targets)); uint64(len(data)) != want {
		return fmt.Errorf("%w: %d bytes, but %d features and %d targets need %d", ErrGram, len(data), features, targets, want)
	}
	body := data[:len(data)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(data[len(body):]) {
		return fmt.Errorf("%w: its checksum is wrong", ErrGram)
	}
	read := NewGram(int(features), int(targets))
	read.samples = int(samples)
	body = body[gramHeader:]
	read.visit(func(part []float64) {
		for i := range part {
			part[i] = math.Float64frombits(binary.LittleEndian.Uint64(body))
			body = body[8:]
		}
	})
	g.features, g.targets, g.samples = read.features, read.targets, read.samples
	g.ff, g.ft = read.ff, read.ft
	g.featureSum, g.targetSum, g.targetSquare = read.featureSum, read.targetSum, read.targetSquare
	g.pack = nil
	g.forget()
	return nil
}

// Subset returns the Gram of the given features (in this order) and of all targets.
func (g *Gram) Subset(features []int32) *Gram {
	out := NewGram(len(features), g.targets)
	out.samples = g.samples
	for a, i := range features {
		for b, j := range features[:a+1] {
			out.ff[a*out.features+b] = g.FF(int(i), int(j))
		}
		for k := range g.targets {
			out.ft[k*out.features+a] = g.FT(int(i), k)
		}
		out.featureSum[a] = g.featureSum[i]
	}
	copy(out.targetSum, g.targetSum)
	copy(out.targetSquare, g.targetSquare)
	return out
}
