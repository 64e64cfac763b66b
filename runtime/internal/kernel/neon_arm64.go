//go:build !noasm && !purego

package kernel

import (
	"golang.org/x/sys/cpu"
)

// The kernels for NEON: with dot products of bytes (ARMv8.2 and what has them before), and without.
func init() {
	kernels = append([]Kernel{
		{Name: "neon-dot", Usable: func() bool { return cpu.ARM64.HasASIMD && cpu.ARM64.HasASIMDDP }, Pack: packNEONDot},
		{Name: "neon", Usable: func() bool { return cpu.ARM64.HasASIMD }, Pack: packNEON},
	}, kernels...)
}

// layoutNEON has steps of 8 rows, for which one window of three registers serves two permutations.
var layoutNEON = layout{rows: 8, window: 48, sourceOrder: true}

// Flags as the numbers of their bits.
const (
	twoPlanesBit = 0
	tableBit     = 1
	negativeBit  = 2
	countsBit    = 3
	highHalfBit  = 4
)

// It does not compile when a flag has another bit.
var _ [0]struct{} = [flagTwoPlanes ^ 1<<twoPlanesBit | flagTable ^ 1<<tableBit | flagNegative ^ 1<<negativeBit | flagCounts ^ 1<<countsBit | flagHighHalf ^ 1<<highHalfBit]struct{}{}

func packNEONDot(p *Program, s *Streams) (Engine, float64) {
	w := packNEONWindows(p, s, executeNEONDot)
	if w.oversized {
		return packPortable(p, s)
	}
	return w, costNEON(w)
}

func packNEON(p *Program, s *Streams) (Engine, float64) {
	w := packNEONWindows(p, s, executeNEON)
	if w.oversized {
		return packPortable(p, s)
	}
	pairOff(w)
	return w, costNEON(w)
}

// packNEONWindows packs what both kernels have in common.
func packNEONWindows(p *Program, s *Streams, execute func(*windows, *Memory, *progress)) *windows {
	w := packWindows(p, s, layoutNEON, windowKernel{})
	negateShifts(w)
	in := packNEONInputs(w)
	w.kernel = windowKernel{execute: execute, quantise: in.quantise, gather7: in.gather7, gather14: in.gather14}
	return w
}

// costNEON estimates the nanoseconds of an inference on the scale of portableCost, whose multiply-accumulate
// is 3.25 cycles of a Cortex-A72 by tools/mca: a step of one plane of weights and of activations is twelve
// there, a slice's requantisation about forty.
func costNEON(w *windows) float64 {
	const cycle = 0.75 / 3.25
	cost := 60 + 0.5*float64(w.program.SourceInputs)
	for k := range w.commands {
		c := &w.commands[k]
		cost += 40 + float64(c.steps)*stepCycles[c.flags&flagTwoPlanes][w.planes()-1]
	}
	return cycle * cost
}

// stepCycles is the cycles of a step by planes of weights less 1 and planes of activations less 1.
var stepCycles = [2][2]float64{{12, 22}, {16, 27}}

// negateShifts makes the shifts what the instruction for shifts by a register wants: negative ones go right.
func negateShifts(w *windows) {
	for first := 0; first < len(w.constants); first += constants * w.rows {
		row := w.constants[first:]
		for lane := range w.rows {
			row[constShift*w.rows+lane] *= -1
			row[constNegativeShift*w.rows+lane] *= -1
		}
	}
}

// pairOff sorts the bytes of every register of indices and of weights: of the four rows of a register first
// the entries 0 and 1 of each, then the entries 2 and 3.
func pairOff(w *windows) {
	for k := 0; k < len(w.data); k += 16 {
		var sorted [16]byte
		for entry, b := range w.data[k:][:16] {
			row, e := entry/lanes, entry%lanes
			sorted[8*(e/2)+2*row+e%2] = b
		}
		copy(w.data[k:], sorted[:])
	}
}

func executeNEONDot(w *windows, mem *Memory, p *progress) {
	f := newWindowFrame(w, mem, p)
	runNEONDot(&f)
}

func executeNEON(w *windows, mem *Memory, p *progress) {
	f := newWindowFrame(w, mem, p)
	runNEON(&f)
}

// runNEONDot is interpret, for a model packed by packNEONDot.
//
//go:noescape
func runNEONDot(f *windowFrame)

// runNEON is interpret, for a model packed by packNEON.
//
//go:noescape
func runNEON(f *windowFrame)
