//go:build !noasm && !purego

package kernel

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
)

// placedEntry is an index of a step and what it is multiplied by.
type placedEntry struct {
	at     uint32 // within the windows' plane
	weight string // in all planes
}

// entriesOf returns the entries of each row of a slice whose weights are not zero, sorted.
func entriesOf(w *windows, c *command, bias byte) [][]placedEntry {
	size, stride := lanes*w.rows, w.stepBytes(c.flags)
	rows := make([][]placedEntry, w.rows)
	for t := range int(c.steps) {
		step := w.data[int(c.data)+t*stride:][:stride]
		for k := range size {
			var weight []byte
			for plane := size; plane < stride; plane += size {
				weight = append(weight, step[plane+k])
			}
			if !bytes.Equal(weight, make([]byte, len(weight))) {
				rows[k/lanes] = append(rows[k/lanes], placedEntry{w.starts[int(c.start)+t] + uint32(step[k]-bias), string(weight)})
			}
		}
	}
	for _, row := range rows {
		slices.SortFunc(row, func(a, b placedEntry) int { return int(a.at) - int(b.at) })
	}
	return rows
}

// largestLane returns the largest magnitude that the products of a pair of steps reach in a lane of 16 bits.
func largestLane(step, partner []byte, plane int) int {
	largest := 0
	for lane := 0; lane < lanes*layoutAVX2.rows; lane += 2 {
		most, least := 0, 0
		for _, weight := range [...]byte{step[plane+lane], step[plane+lane+1], partner[plane+lane], partner[plane+lane+1]} {
			product := 127 * int(int8(weight))
			most, least = most+max(product, 0), least+min(product, 0)
		}
		largest = max(largest, most, -least)
	}
	return largest
}

func TestStepsArePairedWithinInt16AndKeepTheirEntries(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 2))
		p, s := randomProgram(rng, randomShape(rng))
		before, after := packWindows(p, s, layoutAVX2, windowKernel{}), packWindows(p, s, layoutAVX2, windowKernel{})
		pairSteps(after)
		size := lanes * after.rows
		for k := range after.commands {
			old, c := &before.commands[k], &after.commands[k]
			if c.steps%2 != 0 {
				t.Fatalf("seed %d: command %d has %d steps", seed, k, c.steps)
			}
			stride := after.stepBytes(c.flags)
			for at := int(c.data); at < int(c.data)+int(c.steps)*stride; at += 2 * stride {
				step, partner := after.data[at:][:stride], after.data[at+stride:][:stride]
				for plane := size; plane < stride; plane += size {
					if largest := largestLane(step, partner, plane); largest > math.MaxInt16 {
						t.Fatalf("seed %d: command %d has products that add up to %d", seed, k, largest)
					}
				}
			}
			if want, got := fmt.Sprint(entriesOf(before, old, 0)), fmt.Sprint(entriesOf(after, c, lowIndex)); want != got {
				t.Fatalf("seed %d: command %d has the entries\n%s\nwant\n%s", seed, k, got, want)
			}
		}
	}
}

// Weights whose products with the largest activation are just within int16, four at a time, and just beyond.
func TestPairsAtTheEdgeOfInt16(t *testing.T) {
	const columns = 64 // two windows: a pair of steps for each row
	for _, weights := range [][]int8{{127, 127, 4, 0}, {127, 127, 5, 0}, {-127, -127, -4, 0}, {-127, -127, -5, 0}, {64, 65, 64, 65}, {65, 65, 64, 65}, {127, -127, 127, -127}} {
		t.Run(fmt.Sprint(weights), func(t *testing.T) {
			p := &Program{Width: quant.Width7, SourceInputs: columns}
			for j := range columns {
				p.Inputs = append(p.Inputs, Input{Source: int32(j), Scale: 1})
			}
			s := &Streams{}
			rng := rand.New(rand.NewPCG(1, 3))
			for range 40 {
				s.Lengths = append(s.Lengths, 8)
				order := rng.Perm(len(weights))
				for k := range 8 {
					gap := 0
					if k == 4 {
						gap = columns/2 - 4 // the second window
					}
					s.Gaps, s.Values = append(s.Gaps, byte(gap)), append(s.Values, byte(weights[order[k/4*2+k%2]]))
				}
				p.Rows = append(p.Rows, Row{Planes: 1, Table: NoTable, Multiplier: quant.Multiplier{M: 1, S: 1}, Negative: quant.Multiplier{M: 1, S: 1}})
			}
			full := source{plan: slices.Repeat([]uint16{127}, columns)}
			want := infer(p, packWordsOf(p, s), newMemory(packWordsOf(p, s)), &full, 2)
			for name, e := range engines(p, s) {
				if got := infer(p, e, newMemory(e), &full, 2); !slices.Equal(got.Outputs, want.Outputs) {
					t.Errorf("%s: %v, want %v", name, got.Outputs, want.Outputs)
				}
			}
		})
	}
}

func TestPlainSlicesAreThoseOfOrdinaryModels(t *testing.T) {
	plain, others := 0, 0
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 4))
		p, s := randomProgram(rng, randomShape(rng))
		e, _ := packAVX2(p, s)
		w := e.(*windows)
		for k := range w.commands {
			c := &w.commands[k]
			if c.flags&flagPlain == 0 {
				others++
				continue
			}
			plain++
			if p.Width != quant.Width7 || c.op != opLevel || c.flags&(flagTwoPlanes|flagTable|flagNegative) != 0 || c.flags&flagHighHalf == 0 {
				t.Errorf("seed %d: command %d with operation %d and flags %b is plain", seed, k, c.op, c.flags)
			}
		}
	}
	if plain == 0 || others == 0 {
		t.Errorf("%d plain slices, %d others: the random programs test one way only", plain, others)
	}
}

// Sources that are not read may be anything finite and are not counted; groups that are alike share constants.
func TestGroupsOfAnImageShareConstants(t *testing.T) {
	p := &Program{Width: quant.Width7, SourceInputs: 784}
	for j := 3; j < 784; j += 2 {
		p.Inputs = append(p.Inputs, Input{Source: int32(j), Scale: 1.0 / 127})
	}
	in := packInputsAVX2(p)
	if got := len(in.constants); got != 2*groupConstants*groupAVX2 && got != groupConstants*groupAVX2 {
		t.Errorf("%d constants for %d groups", got, len(in.groups))
	}
	if p.Inputs[0].Scale = 0x1p-120; packInputsAVX2(p) != nil {
		t.Error("a scale is taken whose reciprocal and half lose digits")
	}
	p.Inputs[0] = Input{Source: 3, Scale: 1, Zero: math.MinInt32}
	if packInputsAVX2(p) != nil {
		t.Error("a zero is taken that is far off")
	}
}
