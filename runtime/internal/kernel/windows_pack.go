package kernel

import (
	"math"
	"slices"

	"github.com/sparse-implicit/sim/format/quant"
)

// packWindows packs a program into a layout for a kernel. Rows of a segment are sorted by what they need
// and by length, so that the rows of a slice run out of entries together; a slice's steps are the fewest
// that its rows allow (see sparse.WindowStarts for why the leftmost entries first are best).
func packWindows(p *Program, s *Streams, l layout, k windowKernel) *windows {
	if k.execute == nil {
		k.execute = interpret
	}
	w := &windows{layout: l, program: p, budget: stepBudget, kernel: k}
	b := windowPacker{windows: w}
	b.read(s)
	b.placeInputs()
	b.sortRows()
	b.packTables()
	for i := range p.Segments {
		w.segmentAt, b.segmentIndex = append(w.segmentAt, uint32(len(w.commands))), uint32(i)
		b.segment(&p.Segments[i])
	}
	w.segmentAt, b.segmentIndex = append(w.segmentAt, uint32(len(w.commands))), uint32(len(p.Segments))
	b.outputs()
	b.finish()
	return w
}

// windowPacker packs one model.
type windowPacker struct {
	*windows

	// The entries of all rows as the file has them: row i's are first[i] to first[i+1]−1; at holds columns
	// until place turns them into positions.
	first   []int32
	at      []uint32
	weights []int16

	order        []int32 // rows by slices: those of segment k keep its First to End−1
	placed       int     // positions given away
	segmentIndex uint32
	packed       []byte // becomes windows.data

	lanes [maxGroup * maxRows]span // what is left of the rows of the slice or group being packed
}

// packedRoom is about what an entry takes in windows.data, unused lanes included, in bytes.
const packedRoom = 7

// span is a row's entries from first to end−1.
type span struct{ first, end int32 }

func (b *windowPacker) read(s *Streams) {
	rows, stored := b.program.Rows, len(s.Values)
	first, at, weights := make([]int32, len(rows)+1), make([]uint32, stored), make([]int16, stored)
	gaps, lengths, low, k := 0, 0, 0, 0
	for i := range rows {
		length := 0
		length, lengths = uvarint(s.Lengths, lengths)
		gaps = columnsOf(at[k:k+length], s.Gaps, gaps)
		for e, v := range s.Values[k : k+length] {
			weights[k+e] = int16(int8(v))
		}
		if rows[i].Planes == 2 {
			for e, v := range s.Low[low : low+length] {
				weights[k+e] = weights[k+e]<<7 + int16(int8(v))
			}
			low += length
		}
		k += length
		first[i+1] = int32(k)
	}
	b.first, b.at, b.weights = first, at, weights
	steps := 3 * stored / (lanes * b.layout.rows) // a guess: a third of their lanes are in use
	b.packed, b.starts = make([]byte, 0, packedRoom*stored), make([]uint32, 0, steps)
	b.constants = make([]int32, 0, constants*(len(rows)+(len(b.program.Segments)+1)*b.layout.rows))
}

// columnsOf stores the columns of a row whose gaps begin at gaps[at] and returns where the next row's do.
func columnsOf(columns []uint32, gaps []byte, at int) int {
	column := -1
	for k := range columns {
		gap := int(gaps[at])
		if at++; gap >= 0x80 {
			gap, at = uvarint(gaps, at-1)
		}
		column += 1 + gap
		columns[k] = uint32(column)
	}
	return at
}

func (b *windowPacker) placeInputs() {
	p := b.program
	b.inputAt = make([]int32, len(p.Inputs))
	for k := range p.Inputs {
		b.inputAt[k] = int32(k)
		if b.sourceOrder {
			b.inputAt[k] = p.Inputs[k].Source
		}
	}
	b.placed = len(p.Inputs)
	if b.sourceOrder {
		b.placed = p.SourceInputs
	}
	b.stateAt, b.outputAt = make([]int32, p.States), make([]int32, p.Outputs())
}

// needs is what rows of a slice have in common.
func (b *windowPacker) needs(row int32) uint32 {
	r := &b.program.Rows[row]
	flags := uint32(0)
	if r.Planes == 2 {
		flags |= flagTwoPlanes
	}
	if r.Table != NoTable {
		flags |= flagTable
	}
	if b.group > 0 && r.highHalf() { // one row that is not costs seven other slices more than it does by itself
		flags |= flagHighHalf
	}
	return flags
}

func (b *windowPacker) length(row int32) int32 { return b.first[row+1] - b.first[row] }

// sortRows sorts the rows of every segment, and the outputs, by what they need and by falling length: as words
// that hold all three, which takes a third of the time of comparing rows (BenchmarkPack).
func (b *windowPacker) sortRows() {
	const width, largest = 28, 1<<28 - 1
	words := make([]uint64, len(b.program.Rows))
	for i := range words {
		words[i] = uint64(b.needs(int32(i)))<<(2*width) | uint64(largest-min(b.length(int32(i)), largest))<<width | uint64(i)
	}
	for _, s := range b.program.Segments {
		slices.Sort(words[s.First:s.End])
	}
	slices.Sort(words[b.program.States:])
	b.order = make([]int32, len(words))
	for i, word := range words {
		b.order[i] = int32(word & largest)
	}
}

// packTables puts all tables into one array.
func (b *windowPacker) packTables() {
	for _, table := range b.program.Tables {
		b.tables = append(b.tables, table...)
	}
	if len(b.tables) > 0 {
		b.tables = append(b.tables, 0)
	}
}

// eachSlice cuts rows, sorted, into slices or groups.
func (b *windowPacker) eachSlice(rows []int32, visit func(slice []int32)) {
	for len(rows) > 0 {
		end, most := 1, b.rows
		if b.group > 0 {
			most *= b.groupSize(rows[0])
		}
		for end < min(len(rows), most) && b.needs(rows[end]) == b.needs(rows[0]) {
			end++
		}
		visit(rows[:end])
		rows = rows[end:]
	}
}

// taken returns how many positions the states of a slice take, or those of a group.
func (b *windowPacker) taken(slice []int32) int {
	if b.group > 0 {
		return roundTo(len(slice), groupStore)
	}
	return b.layout.rows
}

// segment packs a level or a loop and places its states.
func (b *windowPacker) segment(s *Segment) {
	rows := b.order[s.First:s.End]
	if b.group > 0 {
		b.placed = roundTo(b.placed, groupStore)
	}
	begin, count := b.placed, 0
	b.eachSlice(rows, func(slice []int32) {
		for lane, row := range slice {
			b.stateAt[row] = int32(begin + count + lane)
		}
		count += b.taken(slice)
	})
	b.placed += count
	if s.Sweeps > 0 {
		b.loop(s, rows, begin, count)
		return
	}
	at := begin
	b.eachSlice(rows, func(slice []int32) {
		b.command(opLevel, slice, math.MaxUint32).dest = uint32(at)
		at += b.taken(slice)
	})
}

// loop packs a loop whose states lie from begin on.
func (b *windowPacker) loop(s *Segment, rows []int32, begin, count int) {
	initial := len(b.initial)
	b.initial = append(b.initial, make([]byte, count*b.planes())...)
	b.commands = append(b.commands, command{op: opBegin, dest: uint32(begin), count: uint32(count), initial: uint32(initial)})
	slot := 0
	b.eachSlice(rows, func(slice []int32) {
		for lane := range b.taken(slice) {
			start := b.start(slice, lane)
			b.initial[initial+slot+lane] = uint8(start & 0x7F)
			if b.planes() == 2 {
				b.initial[initial+count+slot+lane] = uint8(start >> 7)
			}
		}
		slot += b.taken(slice)
	})
	first := len(b.commands)
	slot = 0
	b.eachSlice(rows, func(slice []int32) {
		b.command(opExternal, slice, uint32(begin)).dest = uint32(slot * externalBytes)
		slot += b.taken(slice)
	})
	external, target := first, len(b.commands)
	slot = 0
	b.eachSlice(rows, func(slice []int32) {
		from := b.commands[external].constants
		c := b.command(opSweep, slice, uint32(begin))
		c.constants, c.dest, c.next, c.current = from, uint32(slot*externalBytes), uint32(slot), uint32(begin+slot)
		slot += b.taken(slice)
		external++
	})
	b.commands = append(b.commands, command{op: opEnd, dest: uint32(begin), count: uint32(count), limit: s.Sweeps, target: uint32(target)})
	b.next = max(b.next, count)
	b.sizes.External = max(b.sizes.External, count)
}

// start returns the value from which a lane of a loop's slice sets out. One that only fills up sets out from
// what it will compute, lest it seem to move.
func (b *windowPacker) start(slice []int32, lane int) uint16 {
	if lane < len(slice) {
		return b.program.Rows[slice[lane]].start()
	}
	if b.needs(slice[0])&flagTable == 0 || lane >= roundTo(len(slice), b.layout.rows) {
		return 0
	}
	return uint16(quant.LookUp(b.program.Width, b.program.Tables[0], 0))
}

func (b *windowPacker) outputs() {
	index := 0
	b.eachSlice(b.order[b.program.States:], func(slice []int32) {
		for lane, row := range slice {
			b.outputAt[int(row)-b.program.States] = int32(index + lane)
		}
		b.command(opOutput, slice, math.MaxUint32).dest = uint32(4 * index)
		index += roundTo(len(slice), b.layout.rows)
	})
	b.sizes.Outputs = index
}

// command appends a command that accumulates a slice: of a level or of outputs all entries, of a loop
// whose states begin at the given position those from outside (opExternal) or those from inside (opSweep).
func (b *windowPacker) command(op uint32, slice []int32, loop uint32) *command {
	c := command{op: op, flags: b.needs(slice[0]), segment: b.segmentIndex, start: uint32(len(b.starts)), data: uint32(len(b.packed))}
	for lane, row := range slice {
		entries := span{b.first[row], b.first[row+1]}
		if op != opSweep {
			b.place(entries)
		}
		inner := entries.end
		for loop != math.MaxUint32 && inner > entries.first && b.at[inner-1] >= loop {
			inner--
		}
		if op == opSweep {
			entries.first = inner
		} else {
			entries.end = inner
		}
		b.lanes[lane] = entries
	}
	if b.group > 0 {
		b.groupSteps(&c, len(slice))
	} else {
		b.steps(len(slice), c.flags)
		c.steps = uint32(len(b.starts)) - c.start
	}
	if op != opSweep {
		c.constants = uint32(4 * len(b.constants))
		for first := 0; first < len(slice); first += b.layout.rows {
			b.addConstants(slice[first:min(first+b.layout.rows, len(slice))])
		}
	}
	if !slices.ContainsFunc(slice, func(row int32) bool { return !b.program.Rows[row].highHalf() }) {
		c.flags |= flagHighHalf
	}
	for _, row := range slice {
		r := &b.program.Rows[row]
		if r.Negative != r.Multiplier {
			c.flags |= flagNegative
		}
		if r.CountLow|r.CountHigh != 0 {
			c.flags |= flagCounts
		}
	}
	b.commands = append(b.commands, c)
	return &b.commands[len(b.commands)-1]
}

// place turns the columns of a row into positions and sorts the entries by them. Inputs keep their order and
// come before states; segments keep theirs, so that few states move.
func (b *windowPacker) place(entries span) {
	at, weights := b.at[entries.first:entries.end], b.weights[entries.first:entries.end]
	first := len(at) // entry of a state
	for first > 0 && int(at[first-1]) >= len(b.inputAt) {
		first--
	}
	if b.sourceOrder { // else columns of inputs are their positions
		for k, column := range at[:first] {
			at[k] = uint32(b.inputAt[column])
		}
	}
	for k := first; k < len(at); k++ {
		position, weight := uint32(b.stateAt[int(at[k])-len(b.inputAt)]), weights[k]
		to := k
		for ; to > first && at[to-1] > position; to-- {
			at[to], weights[to] = at[to-1], weights[to-1]
		}
		at[to], weights[to] = position, weight
	}
}

// steps deals the entries of b.lanes[:rows] out to steps.
func (b *windowPacker) steps(rows int, flags uint32) {
	size, stride := lanes*b.layout.rows, b.stepBytes(flags)
	for {
		start := b.leftmost(rows)
		if start == math.MaxUint32 || b.isFull() {
			return
		}
		b.starts = append(b.starts, start)
		begin := len(b.packed)
		b.packed = append(b.packed, zeroStep[:stride]...)
		step := b.packed[begin:]
		for r := range b.lanes[:rows] {
			l := &b.lanes[r]
			k, last := r*lanes, min(l.end, l.first+lanes)
			for ; l.first < last && b.at[l.first]-start < uint32(b.window); k++ {
				b.setEntry(step, size, k, start, l.first, flags)
				l.first++
			}
		}
	}
}

// leftmost returns the least position that is left in b.lanes[:rows], or math.MaxUint32.
func (b *windowPacker) leftmost(rows int) uint32 {
	start := uint32(math.MaxUint32)
	for _, l := range b.lanes[:rows] {
		if l.first < l.end {
			start = min(start, b.at[l.first])
		}
	}
	return start
}

// setEntry makes an entry the k-th of a step whose window lies at start.
func (b *windowPacker) setEntry(step []byte, size, k int, start uint32, entry int32, flags uint32) {
	step[k] = uint8(b.at[entry] - start)
	weight := b.weights[entry]
	step[size+k] = uint8(weight)
	if flags&flagTwoPlanes != 0 {
		high, low := quant.SplitPlanes(weight)
		step[size+k], step[2*size+k] = uint8(high), uint8(low)
	}
}

var zeroStep [3 * lanes * maxRows]byte

// addConstants appends the constants of a slice.
func (b *windowPacker) addConstants(slice []int32) {
	n := b.layout.rows
	begin := len(b.constants)
	b.constants = append(b.constants, make([]int32, constants*n)...)
	block := b.constants[begin:]
	for lane := range n {
		set := func(k int, value int32) { block[k*n+lane] = value }
		set(constMultiplier, 1)
		set(constShift, highHalf)
		set(constNegative, 1)
		set(constNegativeShift, highHalf)
		if lane >= len(slice) {
			continue
		}
		r := &b.program.Rows[slice[lane]]
		positive, negative := r.Multiplier, r.Negative
		if r.Planes == 1 {
			positive, negative = packedMultiplier(positive), packedMultiplier(negative)
		}
		set(constBias, r.Bias)
		set(constMultiplier, positive.M)
		set(constShift, int32(positive.S))
		set(constNegative, negative.M)
		set(constNegativeShift, int32(negative.S))
		set(constLow, int32(r.Lo)-int32(r.Zero))
		set(constHigh, int32(r.Hi)-int32(r.Zero))
		set(constZero, int32(r.Zero))
		set(constCountLow, -int32(r.CountLow))
		set(constCountHigh, -int32(r.CountHigh))
		if r.Table != NoTable {
			set(constTable, int32(int(r.Table)*b.program.Width.TableLen()))
		}
	}
}

// highHalf reports whether the high half of acc·M suffices for a row.
func (r *Row) highHalf() bool {
	return r.Planes == 1 && min(packedMultiplier(r.Multiplier).S, packedMultiplier(r.Negative).S) >= highHalf
}

// packedMultiplier returns a multiplier of the same worth whose shift is at least highHalf, if there is one.
func packedMultiplier(m quant.Multiplier) quant.Multiplier {
	if m.S < highHalf && int64(m.M)<<(highHalf-m.S) <= quant.MaxMultiplier {
		return quant.Multiplier{M: m.M << (highHalf - m.S), S: highHalf}
	}
	return m
}

// isFull reports whether the steps take so much memory that the model is not worth packing, and makes it oversized:
// a file from elsewhere may have all entries so far apart that each takes a step of its own.
func (b *windowPacker) isFull() bool {
	b.oversized = b.oversized || len(b.packed) > mostPerEntry*len(b.weights)+mostPacked
	return b.oversized
}

// What steps may take: bytes for each entry, and beside them. So no position in windows.data needs more than 32 bits
// with as many entries as a file may have.
const (
	mostPerEntry = 32
	mostPacked   = 1 << 20
)

// finish lays the steps out for aligned loads and sizes the buffers: a window may begin at the last
// position, and a kernel stores a whole slice of states.
func (b *windowPacker) finish() {
	b.budget = int32(min(stepBudget, max(1, sweepBudget*b.layout.rows/max(1, b.next))))
	b.data = aligned(b.packed)
	b.plane = roundUp(b.placed + b.window)
	b.next = roundUp(b.next)
	b.sizes.Activations8, b.sizes.Next8 = b.planes()*b.plane, b.planes()*b.next
}

// cacheLine is what data is aligned to, in bytes.
const cacheLine = 64

func roundUp(n int) int { return roundTo(n, cacheLine) }

func roundTo(n, multiple int) int { return (n + multiple - 1) / multiple * multiple }
