package simb

import (
	"math"

	"github.com/sparse-implicit/sim/format/quant"
)

// header is what the frame's scalars declare, checked against the limits.
type header struct {
	inputs, states, outputs  uint64
	nonzeros                 uint64
	tables, segments, tests  uint64
	claims                   uint8
	derived                  bool // witnesses of levels are not stored
	width                    quant.Width
	sourceInputs, sourceSize uint64 // inputs and states of the source
}

// Heap that a decoded model takes per element, rounded up; and how far a file may expand. Runs make
// columns of equal numbers small, so that honest files expand; hostile ones stay bounded by their size.
const (
	heapPerElement = 70 // of an Input, or of a Row with its source index and first column out of reach
	heapPerTable   = 48
	heapPerCase    = 48
	heapPerSegment = 16

	expansionFactor   = 256
	expansionConstant = 4 << 20
)

// budget is the heap that is left for a file.
type budget struct{ left, total uint64 }

func newBudget(fileSize int, limits Limits) *budget {
	total := min(uint64(max(limits.Memory, 0)), uint64(fileSize)*expansionFactor+expansionConstant)
	return &budget{total, total}
}

// take charges n bytes before they are allocated.
func (b *budget) take(n uint64) error {
	if n > b.left {
		return tooLarge("bytes of memory and more", b.total-b.left+n, b.total)
	}
	b.left -= n
	return nil
}

// readHeader checks the counts against the limits and charges the budget for what they will take.
func (f *frame) readHeader(limits Limits, heap *budget) (*header, error) {
	h := &header{
		inputs: f.uint(fieldInputs), states: f.uint(fieldStates), outputs: f.uint(fieldOutputs), nonzeros: f.uint(fieldNonzeros),
		tables: f.uint(fieldTables), segments: f.uint(fieldSegments), tests: f.uint(fieldTests),
		claims: uint8(f.uint(fieldClaims)), derived: f.uint(fieldFeaturesRequired)&featureDerived != 0, width: quant.Width(f.uint(fieldWidth)),
		sourceInputs: f.uint(fieldSourceInputs), sourceSize: f.uint(fieldSourceStates),
	}
	for _, c := range []struct {
		what        string
		have, limit uint64
	}{
		{"inputs of the source", h.sourceInputs, limit(limits.Inputs)}, {"inputs", h.inputs, limit(limits.Inputs)},
		{"states of the source", h.sourceSize, limit(limits.States)}, {"states", h.states, limit(limits.States)},
		{"inputs and states", h.inputs + h.states, math.MaxInt32}, {"states and outputs", h.states + h.outputs, math.MaxInt32},
		{"outputs", h.outputs, limit(limits.Outputs)}, {"weights", h.nonzeros, limit(limits.Nonzeros)},
		{"tables", h.tables, min(limit(limits.Tables), maxTables)}, {"self-test cases", h.tests, limit(limits.SelfTests)},
		{"multiply-accumulates", f.uint(fieldMACs), limits.Operations},
	} {
		if c.have > c.limit {
			return nil, tooLarge(c.what, c.have, c.limit)
		}
	}
	if !h.width.Valid() {
		return nil, corrupt("width", -1, "%d bits, there are 7 and 14", uint8(h.width))
	}
	if h.claims&^knownClaims != 0 {
		return nil, corrupt("claims", -1, "unknown bits %#x", h.claims&^knownClaims)
	}
	if reach, box := h.claims&claimReach != 0, h.claims&claimBox != 0; h.derived && (h.claims&(claimBox|claimCalibrated|claimLipschitz) == 0 || h.claims&claimWellPosed != 0 || reach != box) {
		return nil, corrupt("claims", -1, "bits %#x do not go with derived witnesses", h.claims)
	}
	if h.segments > h.states {
		return nil, corrupt("segments", -1, "%d segments for %d states", h.segments, h.states)
	}
	for _, bytes := range [...]uint64{
		(h.inputs + h.states + h.outputs) * heapPerElement, h.sourceSize, // a mark for each state of the source
		h.segments * heapPerSegment,
		h.tables * (heapPerTable + 2*uint64(h.width.TableLen())),
		h.tests * heapPerCase, h.tests * h.outputs, h.tests * h.outputs * 3, h.claimBytes(), // four bytes an output: once the first passes, the second cannot overflow
	} {
		if err := heap.take(bytes); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// limit returns a limit for comparison; a negative one allows nothing, and no more than an int32 is ever
// allowed.
func limit(n int) uint64 { return min(uint64(max(n, 0)), math.MaxInt32) }

// claimBytes returns the decoded size of all sections of the claims that are made.
func (h *header) claimBytes() uint64 {
	var bytes uint64
	for _, s := range knownSections {
		if s.claim&h.claims != 0 && s.count != perNode { // a tree is charged when its length is known
			_, most := h.elements(s.count)
			bytes += most * uint64(s.element)
		}
	}
	return bytes
}

// elements returns the least and the largest number of elements of a section.
func (h *header) elements(b basis) (least, most uint64) {
	exactly := func(n uint64) (uint64, uint64) { return n, n }
	switch b {
	case one:
		return exactly(1)
	case perInput:
		return exactly(h.inputs)
	case perState:
		return exactly(h.states)
	case perOutput:
		return exactly(h.outputs)
	case perRow:
		return exactly(h.states + h.outputs)
	case perWeight:
		return exactly(h.nonzeros)
	case perTable:
		return exactly(h.tables)
	case entriesPerTable:
		return exactly(h.tables * uint64(h.width.TableLen()))
	case perSegment:
		return exactly(h.segments)
	case perCase:
		return exactly(h.tests)
	case outputsPerCase:
		return exactly(h.tests * h.outputs)
	case upToStates:
		return 0, h.states
	case upToWeights:
		return 0, h.nonzeros
	case varintPerRow:
		return h.states + h.outputs, 5 * (h.states + h.outputs)
	case varintPerWeight:
		return h.nonzeros, 5 * h.nonzeros
	case allOthers:
		for _, s := range knownSections {
			if s.id != sectionPacked {
				_, n := h.elements(s.count)
				most += n * uint64(s.element)
			}
		}
		return 1, most
	case perNode:
		return 1, mostNodes
	}
	panic("unreachable: a section without a basis")
}

// newModel returns a model with room for everything that the header counts, but weights.
func (h *header) newModel(f *frame) (*Model, error) {
	m := &Model{
		Width: h.width, Decision: Decision(f.uint(fieldDecision)),
		SourceInputs: int(h.sourceInputs), SourceStates: int(h.sourceSize),
		OutputScale: math.Float32frombits(uint32(f.uint(fieldOutputScale))),
		Sequence:    f.uint(fieldSequence),
		Inputs:      make([]Input, h.inputs),
		SourceState: make([]int32, h.states),
		Rows:        make([]Row, h.states+h.outputs),
	}
	if n := f.contents[fieldCompiler].len(); n > maxCompiler {
		return nil, corrupt("compiler", int64(f.contents[fieldCompiler].start), "its name has %d bytes, at most %d are allowed", n, maxCompiler)
	}
	m.Compiler = string(f.bytes(fieldCompiler))
	hash := f.bytes(fieldSourceHash)
	if f.inTable[fieldSourceHash].len() > 0 && len(hash) != len(m.SourceHash) {
		return nil, corrupt("source_hash", int64(f.contents[fieldSourceHash].start), "it has %d bytes, a SHA-256 has 32", len(hash))
	}
	copy(m.SourceHash[:], hash)
	return m, nil
}
