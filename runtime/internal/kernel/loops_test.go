package kernel

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The inner loops against plain ones that do one thing at a time.

// entry is a weight with its column.
type entry struct{ column, high, low int }

// scatteredRow draws a row whose gaps take one byte, two or three, and its streams, with those of a row
// behind it when more is true.
func scatteredRow(rng *rand.Rand, more bool) (row []entry, gaps, values, low []byte, length int) {
	column := -1
	long := rng.IntN(4) // of ten gaps so many are long
	for range rng.IntN(40) {
		gap := rng.IntN(128)
		if rng.IntN(10) < long {
			gap = []int{127, 128, 129, 255, 256, 16383, 16384, 20000}[rng.IntN(8)]
		}
		column += 1 + gap
		row = append(row, entry{column, rng.IntN(256) - 128, rng.IntN(128) - 64})
		gaps = binary.AppendUvarint(gaps, uint64(gap))
	}
	for _, e := range row {
		values, low = append(values, byte(e.high)), append(low, byte(e.low))
	}
	length = len(gaps)
	if more {
		gaps = append(gaps, 1, 0xFF, 3, 0, 0, 0)
	}
	return row, gaps, values, low, length
}

func TestWalksOfARowAreThePlainSum(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for k := range 3_000 {
		row, gaps, values, low, length := scatteredRow(rng, k%2 == 0)
		columns := 1
		if len(row) > 0 {
			columns += row[len(row)-1].column
		}
		first := rng.IntN(columns + 1)
		end := first + rng.IntN(columns+1-first)
		if k%3 == 0 {
			first, end = 0, columns
		}
		q := make([]uint16, columns)
		var one int32
		var two int64
		for j := range q {
			q[j] = uint16(rng.IntN(1 << 14))
		}
		for _, e := range row {
			if e.column >= first && e.column < end {
				one += int32(e.high) * int32(q[e.column])
				two += int64(128*e.high+e.low) * int64(q[e.column])
			}
		}
		if sum, read := walk32(gaps, values, q[first:end], -first); sum != one || read != length {
			t.Fatalf("%v within %d…%d: one plane gives %d after %d bytes of gaps, want %d after %d", row, first, end, sum, read, one, length)
		}
		if sum, read := walk64(gaps, values, low, q[first:end], -first); sum != two || read != length {
			t.Fatalf("%v within %d…%d: two planes give %d after %d bytes of gaps, want %d after %d", row, first, end, sum, read, two, length)
		}
	}
}

func TestDotProductsAreThePlainSum(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for k := range 2_000 {
		q := make([]uint8, 1+rng.IntN(300))
		for j := range q {
			q[j] = uint8(rng.IntN(128))
		}
		words, columns, weights := make([]uint32, k%37), []uint32{}, []int16{}
		var want int64
		for i := range words {
			column, weight := rng.IntN(len(q)), rng.IntN(1<<14)-1<<13
			words[i] = uint32(weight)<<16 | uint32(column)
			columns, weights = append(columns, uint32(column)), append(weights, int16(weight))
			want += int64(weight) * int64(q[column])
		}
		if a, b, c := dot32(words, q), dot64(words, q), dotWide(columns, weights, q); int64(a) != want || b != want || c != want {
			t.Fatalf("%d weights: %d, %d and %d, want %d", len(words), a, b, c, want)
		}
	}
}

func TestInputsAreGatheredOneByOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 5_000 {
		p := &Program{SourceInputs: 1 + rng.IntN(60)}
		src := make([]uint8, p.SourceInputs)
		dropped, large := rng.IntN(3)*rng.IntN(10), rng.IntN(10)
		var want []uint8
		saturations := uint64(0)
		for j := range src {
			src[j] = uint8(rng.IntN(128))
			if rng.IntN(100) < large {
				src[j] = uint8(rng.IntN(256))
			}
			if rng.IntN(100) < dropped {
				continue
			}
			p.Inputs = append(p.Inputs, Input{Source: int32(j)})
			want = append(want, min(src[j], 127))
			if src[j] > 127 {
				saturations++
			}
		}
		mem := &Memory{Saturations: 99}
		got := make([]uint8, len(want), len(want)+3)
		gather(p, mem, got[:cap(got)], src, 127)
		if diff := cmp.Diff(want, append([]uint8(nil), got...)); diff != "" || mem.Saturations != saturations {
			t.Fatalf("%d of %d inputs, %d saturations counted, want %d: %s", len(want), len(src), mem.Saturations, saturations, diff)
		}
	}
}
