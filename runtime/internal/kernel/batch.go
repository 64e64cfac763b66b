package kernel

import "github.com/sparse-implicit/sim/format/quant"

// Batches. The samples of a group are interleaved: an activation of all of them lies together, and each
// weight is multiplied with it once it is loaded. Four entries of a row are taken at a time, a quad, so
// that a dot product of bytes takes them for sixteen samples.

// GroupSamples is how many samples a group has.
const GroupSamples = 64

// quad is four entries of a row; what fills it up has the weight 0.
type quad struct {
	at     [4]uint32 // bytes from the beginning of a plane of activations
	weight [4]int8   // or the high planes
	low    [4]int8   // the low planes, for two
}

// Flags of a batch row.
const (
	batchTwoPlanes = 1 << iota // two planes of weights
	batchOutput                // the result is an output
	batchCounts                // a clamp may be a saturation
	batchByHand                // through a table, or with a multiplier for accumulators below zero
)

// batchRow is a row's part in a batch; 64 bytes.
type batchRow struct {
	first, outer, inner uint32 // quads: outer from outside the row's loop, then inner from inside
	flags               uint32
	bias, multiplier    int32
	shift               int32
	low, high, zero     int32 // as the constants of a slice
	countLow, countHigh int32 // −1 or 0
	dest                uint32
	_                   [3]uint32
}

// Batch is a model packed for batches; it is safe for concurrent use.
type Batch struct {
	program *Program
	engine  Engine // takes the inputs of each sample
	kernel  batchKernel
	rows    []batchRow
	quads   []quad

	inputs int // positions of inputs, as the engine has them
	states int // position of the first state
	plane  int // bytes from a plane of activations to the next
}

// batchKernel is what an instruction set supplies.
type batchKernel struct {
	// run computes rows first to end−1 of a level or of outputs, none of them by hand.
	run func(b *Batch, mem *BatchMemory, first, end int)

	// sums adds up count quads from first on, of one row, without its bias, into mem.sums.
	sums func(b *Batch, mem *BatchMemory, first, count uint32, twoPlanes bool)

	// transpose takes the inputs from the samples' activations to the group's.
	transpose func(b *Batch, mem *BatchMemory)
}

// batchKernels holds the instruction sets that have a kernel for batches, by the name of their kernel.
var batchKernels = map[string]batchKernel{}

// BatchMemory is what a batch writes. It belongs to one goroutine at a time.
type BatchMemory struct {
	// Samples takes the inputs of each sample, as an engine's memory does, and tells its counts.
	Samples [GroupSamples]Memory

	activations []uint8 // planes of positions of samples
	next        []uint8 // planes of a loop's states of samples
	external    []sampleSums
	sums        sampleSums
	outputs     []int32 // of each output the group's, in the order of the sums
	counts      [GroupSamples]uint64
	active      [GroupSamples]bool
	moved       [GroupSamples]bool
	samples     int // of the group
}

// sampleSums is Σ w·q of a row for all samples, modulo 2³²: of one plane of weights in high, of two in high and
// low. Number 16·z + 4·l + i is that of sample 16·l + 4·z + i: the order in which unpacking leaves them.
type sampleSums struct{ high, low [GroupSamples]int32 }

// sumOf returns where a sample's sum lies.
func sumOf(sample int) int { return sample/4%4*16 + sample/16*4 + sample%4 }

// countOf returns where a sample's count lies: of each sixteen the even ones come first.
func countOf(sample int) int {
	k := sumOf(sample)
	return k/16*16 + k%2*8 + k%16/2
}

// PackBatch packs a program for batches whose inputs the engine, made by the named kernel, takes; nil where
// that kernel has nothing for batches.
func PackBatch(p *Program, s *Streams, e Engine, name string) *Batch {
	k, found := batchKernels[name]
	if !found {
		return nil
	}
	return packBatch(p, s, e, k)
}

func packBatch(p *Program, s *Streams, e Engine, k batchKernel) *Batch {
	b := &Batch{program: p, engine: e, kernel: k, rows: make([]batchRow, len(p.Rows)), inputs: len(p.Inputs)}
	w, _ := e.(*windows)
	if w != nil && w.sourceOrder {
		b.inputs = p.SourceInputs
	}
	b.states = (b.inputs + 15) / 16 * 16
	b.plane = (b.states + p.States) * GroupSamples
	position := func(column int) uint32 {
		switch {
		case column >= len(p.Inputs):
			return uint32(b.states + column - len(p.Inputs))
		case w != nil:
			return uint32(w.inputAt[column])
		}
		return uint32(column)
	}
	loopColumn := p.loopColumns()
	s.Walk(p, func(i int, columns, weights []int32) {
		r := &b.rows[i]
		*r = b.row(i)
		r.first = uint32(len(b.quads))
		inner := 0
		for inner < len(columns) && int(columns[inner]) < loopColumn[i] {
			inner++
		}
		r.outer = b.fill(columns[:inner], weights[:inner], r.flags, position)
		r.inner = b.fill(columns[inner:], weights[inner:], r.flags, position)
	})
	return b
}

// row returns everything of a row but its quads.
func (b *Batch) row(i int) batchRow {
	p := b.program
	r := &p.Rows[i]
	row := batchRow{
		bias: r.Bias, multiplier: r.Multiplier.M, shift: int32(r.Multiplier.S),
		low: int32(r.Lo) - int32(r.Zero), high: int32(r.Hi) - int32(r.Zero), zero: int32(r.Zero),
		countLow: -int32(r.CountLow), countHigh: -int32(r.CountHigh), dest: uint32((b.states + i) * GroupSamples),
	}
	if r.Planes == 2 {
		row.flags |= batchTwoPlanes
	}
	if r.CountLow|r.CountHigh != 0 {
		row.flags |= batchCounts
	}
	if r.Table != NoTable || r.Negative != r.Multiplier {
		row.flags |= batchByHand
	}
	if i >= p.States {
		row.flags |= batchOutput
		row.dest = uint32(4 * (i - p.States) * GroupSamples)
	}
	return row
}

// fill packs entries of a row and returns how many quads they take.
func (b *Batch) fill(columns, weights []int32, flags uint32, position func(int) uint32) uint32 {
	for k, column := range columns {
		if k%4 == 0 {
			b.quads = append(b.quads, quad{})
		}
		q := &b.quads[len(b.quads)-1]
		q.at[k%4] = position(int(column)) * GroupSamples
		q.weight[k%4] = int8(weights[k])
		if flags&batchTwoPlanes != 0 {
			q.weight[k%4], q.low[k%4] = quant.SplitPlanes(int16(weights[k]))
		}
	}
	return uint32(len(columns)+3) / 4
}

// Bytes returns the memory that was packed.
func (b *Batch) Bytes() int { return 64*len(b.rows) + 24*len(b.quads) }

// NewMemory returns memory for a group.
func (b *Batch) NewMemory() *BatchMemory {
	planes, loop := b.program.Width.Bytes(), b.program.LargestLoop()
	mem := &BatchMemory{
		activations: aligned(make([]uint8, planes*b.plane)), next: make([]uint8, planes*loop*GroupSamples),
		external: make([]sampleSums, loop), outputs: make([]int32, b.program.Outputs()*GroupSamples),
	}
	size := b.engine.Sizes()
	narrow, wide := aligned(make([]uint8, GroupSamples*size.Activations8)), make([]uint16, GroupSamples*size.Activations16)
	for s := range mem.Samples {
		mem.Samples[s].Activations8 = narrow[s*size.Activations8:][:size.Activations8]
		mem.Samples[s].Activations16 = wide[s*size.Activations16:][:size.Activations16]
	}
	return mem
}

// MemoryBytes returns what NewMemory takes.
func (b *Batch) MemoryBytes() int {
	planes, loop, size := b.program.Width.Bytes(), b.program.LargestLoop(), b.engine.Sizes()
	return planes*b.plane + planes*loop*GroupSamples + 8*GroupSamples*loop + 4*b.program.Outputs()*GroupSamples +
		GroupSamples*(size.Activations8+2*size.Activations16)
}

// Run computes the first samples samples, whose inputs mem.Samples have taken; it sets their sweeps and adds to
// their saturations.
func (b *Batch) Run(mem *BatchMemory, samples int) {
	mem.samples = samples
	clear(mem.counts[:])
	for s := range mem.Samples {
		mem.Samples[s].Sweeps = 0
	}
	b.kernel.transpose(b, mem)
	for k := range b.program.Segments {
		s := &b.program.Segments[k]
		if s.Sweeps == 0 {
			b.level(mem, s.First, s.End)
		} else {
			b.loop(mem, s)
		}
	}
	b.level(mem, b.program.States, len(b.rows))
	for s := range samples {
		mem.Samples[s].Saturations += mem.counts[countOf(s)]
	}
}

// Outputs returns the outputs of the group: output k of a sample is the one at OutputOf(sample) + k·GroupSamples.
func (b *Batch) Outputs(mem *BatchMemory) []int32 { return mem.outputs }

// OutputOf returns where a sample's first output lies in Outputs.
func OutputOf(sample int) int { return sumOf(sample) }

// level computes rows of a level, or the outputs.
func (b *Batch) level(mem *BatchMemory, first, end int) {
	for first < end {
		run := first
		for run < end && b.rows[run].flags&batchByHand == 0 {
			run++
		}
		if run > first {
			b.kernel.run(b, mem, first, run)
		}
		if run < end {
			b.byHand(mem, run)
			run++
		}
		first = run
	}
}

// byHand computes a state whose requantisation the kernels leave to Go.
func (b *Batch) byHand(mem *BatchMemory, i int) {
	r, row := &b.rows[i], &b.program.Rows[i]
	b.kernel.sums(b, mem, r.first, r.outer, row.Planes == 2)
	for s := range mem.samples {
		q, saturated := b.program.state(row, b.accumulator(row, mem, s, nil))
		mem.counts[countOf(s)] += saturated
		b.store(mem.activations, b.plane, int(r.dest)+s, q)
	}
}

// accumulator returns a sample's accumulator from mem.sums, and from what came from outside of a loop.
func (b *Batch) accumulator(row *Row, mem *BatchMemory, s int, external *sampleSums) int64 {
	k := sumOf(s)
	high, low := mem.sums.high[k], mem.sums.low[k]
	if external != nil {
		high, low = high+external.high[k], low+external.low[k]
	}
	if row.Planes == 1 {
		return row.accumulator(int64(high))
	}
	return row.accumulator(128*int64(high) + int64(low))
}

// store stores an activation into planes.
func (b *Batch) store(to []uint8, plane, at int, q uint16) {
	if b.program.Width == quant.Width7 {
		to[at] = uint8(q)
		return
	}
	to[at], to[at+plane] = uint8(q&0x7F), uint8(q>>7)
}

// loop computes the states of a loop for all samples. One that has come to rest is at a fixed point, so
// that further sweeps do not change it; it only counts no more.
func (b *Batch) loop(mem *BatchMemory, s *Segment) {
	p := b.program
	count := s.End - s.First
	for i := s.First; i < s.End; i++ {
		r, row := &b.rows[i], &p.Rows[i]
		b.kernel.sums(b, mem, r.first, r.outer, row.Planes == 2)
		mem.external[i-s.First] = mem.sums
		for sample := range mem.samples {
			b.store(mem.activations, b.plane, int(r.dest)+sample, row.start())
		}
	}
	for sample := range mem.active {
		mem.active[sample] = sample < mem.samples
	}
	width, from := count*GroupSamples, int(b.rows[s.First].dest)
	for moved, sweep := true, uint32(0); moved && sweep < s.Sweeps; sweep++ {
		clear(mem.moved[:])
		for i := s.First; i < s.End; i++ {
			b.sweep(mem, i, (i-s.First)*GroupSamples, width, &mem.external[i-s.First])
		}
		for plane := range p.Width.Bytes() {
			copy(mem.activations[plane*b.plane+from:][:width], mem.next[plane*width:])
		}
		moved = false
		for sample, active := range mem.active {
			if active {
				mem.Samples[sample].Sweeps++
			}
			mem.active[sample] = active && mem.moved[sample]
			moved = moved || mem.active[sample]
		}
	}
}

// sweep computes one state of a loop; its results lie at next, planes of width bytes.
func (b *Batch) sweep(mem *BatchMemory, i, next, width int, external *sampleSums) {
	r, row := &b.rows[i], &b.program.Rows[i]
	b.kernel.sums(b, mem, r.first+r.outer, r.inner, row.Planes == 2)
	for s := range mem.samples {
		q, saturated := b.program.state(row, b.accumulator(row, mem, s, external))
		b.store(mem.next, width, next+s, q)
		at := int(r.dest) + s
		old := uint16(mem.activations[at])
		if b.program.Width == quant.Width14 {
			old |= uint16(mem.activations[at+b.plane]) << 7
		}
		if mem.active[s] {
			mem.counts[countOf(s)] += saturated
			mem.moved[s] = mem.moved[s] || q != old
		}
	}
}
