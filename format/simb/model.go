// Package simb holds the compiled model `.simb`: what a file means (Model), the writer (Encode) and the
// verifying reader (Open). SPEC.md in the folder above says the same to the bit.
//
// It promises that Open never panics, never reads outside its argument and never allocates more than
// its caps allow, whatever the bytes; that what Open accepts can be run without a further check; and
// that Encode writes the same bytes on every machine. It knows nothing of float models, of compiling
// or of how an inference is run.
package simb

import (
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/sparse"
)

// Kind numbers the activation of a state; the numbers are those of the `.sim` file and never change.
type Kind uint8

// The activations. How each is computed follows from the row: identity, relu, clipped relu and hard
// tanh differ only in their limits; leaky relu has a second multiplier; tanh and sigmoid a table.
const (
	Identity    Kind = 0
	ReLU        Kind = 1
	ClippedReLU Kind = 2
	LeakyReLU   Kind = 3
	HardTanh    Kind = 4
	Tanh        Kind = 5
	Sigmoid     Kind = 6
	KindCount        = 7
)

// Decision numbers the rule by which integer outputs become one class.
type Decision uint8

// The decision rules; ties go to the lowest index.
const (
	DecideNone   Decision = 0
	DecideArgmax Decision = 1
	DecideArgmin Decision = 2
)

// Saturation flags of a row: which clamps are not the function's own limit and are counted.
const (
	SaturatesLow  uint8 = 1 << 0
	SaturatesHigh uint8 = 1 << 1
)

// tabulated reports whether the kind is computed through a table.
func (k Kind) tabulated() bool { return k == Tanh || k == Sigmoid }

// parametrised reports whether the kind has a parameter.
func (k Kind) parametrised() bool { return k == ClippedReLU || k == LeakyReLU || k == HardTanh }

// NoTable is the Table of a row that is not computed through one.
const NoTable = 0xFFFF

// Input is one input of the plan: an input of the source model that is used and whose box is not a
// point. A quantised value q in [0, Q] is worth Scale·(q − Zero).
type Input struct {
	Source int32 // index among the source's inputs, strictly ascending over the plan
	Scale  float32
	Zero   int32
	Lo, Hi float32 // the declared box
}

// Row says how one accumulator becomes a state (the first States rows) or an output (the others):
//
//	acc = Bias + Σ w·q
//	t   = Multiplier.Requantise(acc)           or Negative's, leaky relu with acc < 0
//	q   = clamp(t + Zero, Lo, Hi)              or the table's entry for t
//	y   = t                                    outputs
//
// The real unit of acc is r = unit·M/2^S, where unit is Scale; for a row with a table, the table's
// Step; for an output, the model's OutputScale.
type Row struct {
	Planes     uint8 // weight planes: 1 or 2
	Bias       int32
	Multiplier quant.Multiplier
	Negative   quant.Multiplier // leaky relu only; zero elsewhere

	// States only; zero for outputs.
	Kind      Kind
	Parameter float32 // the source's α of leaky relu, or limit c of clipped relu and hard tanh; else 0
	Scale     float32 // worth of one step of q
	Zero      uint16
	Lo, Hi    uint16
	Saturates uint8
	Table     uint16 // index of the table, or NoTable
}

// Table is a stored activation function: entries as quant.LookUp reads them.
type Table struct {
	Kind    Kind    // Tanh or Sigmoid
	Step    float32 // real worth of one unit of t
	Entries []uint16
}

// Segment is one piece of the schedule; segments follow one another over the states in order.
type Segment struct {
	States int    // how many states, ≥ 1
	Sweeps uint32 // 0: a level, each state computed once, none reading another of it; K ≥ 1: a loop
}

// ErrorCertificate bounds |x̃ − x*| and |ỹ − y*|, component by component, for one of the two claims of
// format/verify. All numbers are ≥ 0. Numbers whose lower 16 bits are zero (bfloat16) take half the bytes
// in a file, so the compiler rounds up to them where the precision is not needed.
type ErrorCertificate struct {
	State    []float32 // e, length n: the bound after the last sweep
	Residual []float32 // ρ, length n+q: ≥ |ΔA| X̄ + |ΔB| Ū + |Δb| of the row
	Start    []float32 // e⁰, length n: for states of loops ≥ the largest |x* − start|; 0 elsewhere
	Output   []float32 // length q
}

// RelaxedCertificate bounds |ỹ − y*| by a linear relaxation of both networks at once, which keeps what the
// component-wise bounds of an ErrorCertificate lose. It has no witness but the tree: whoever checks runs the
// procedure of format/verify on every leaf. It is for models without loops. All numbers are ≥ 0.
type RelaxedCertificate struct {
	// Tree cuts the declared box, in preorder: 0 is a leaf, 1+j a cut of input j of the plan (j < 254) in
	// two halves, the lower one's subtree first. Nil in the claim without saturation, which is about the
	// whole box.
	Tree     []uint8
	Output   []float32 // length q: ≥ |ỹ − y*|
	Realised []float32 // length q: ≥ |ỹ − ŷ|, ŷ the outputs of the real model that the integers stand for
}

// Certificates is what the file claims and how it can be checked. See format/verify for the
// inequalities. A claim that is not made has nil vectors.
type Certificates struct {
	// WellPosed: v > 0 with |A| v ≤ Kappa·v, Kappa < 1, over the states of loops; v = 0 elsewhere.
	// Causal models have an empty V and Kappa 0. V is about the integers' Ã plus VResidual, which is
	// ≥ |ΔA| v.
	Kappa     float32
	V         []float32 // length n, or nil for causal models
	VResidual []float32 // length n, or nil for causal models

	// ReachLo ≤ x* ≤ ReachHi over every input that does not saturate.
	ReachLo, ReachHi []float32 // length n, or nil when not proved

	Box        *ErrorCertificate // for every input of the box, clipping included; nil when not proved
	Calibrated *ErrorCertificate // for every inference without saturation; nil when not proved

	// Lipschitz constants (ℓ∞ of the inputs to each output of the real model) with the witness
	// g ≥ |Ã| g + |B̃| 1 + GainResidual, GainResidual ≥ |ΔA| g + |ΔB| 1. nil when not proved.
	Lipschitz    []float32 // length q
	Gain         []float32 // g, length n
	GainResidual []float32 // length n+q

	// Bounds by relaxation, of models without loops: over the box with a tree, and without saturation with
	// none. nil when not claimed.
	Relaxed           *RelaxedCertificate
	RelaxedCalibrated *RelaxedCertificate

	// Derived says that witnesses are nil that follow from the rest of the file along the schedule: ReachLo
	// and ReachHi, which are claimed where Box is, State and Start of both error certificates, and Gain.
	// It is for models without loops that claim something; format/verify computes them.
	Derived bool
}

// SelfTestCase is one bundled check: inputs made by SelfTestInputs from Seed, and the exact outputs.
type SelfTestCase struct {
	Seed        uint64
	Outputs     []int32 // length q
	Saturations uint64
	StateDigest uint32 // crc32c of the states' q (little-endian uint16 each) after the inference
}

// Derive returns the certificates without the witnesses that follow from the rest of the file, for a model
// without loops. What claims nothing stays as it is.
func (c Certificates) Derive() Certificates {
	if c.Box == nil && c.Calibrated == nil && c.Lipschitz == nil {
		return c
	}
	bare := func(e *ErrorCertificate) *ErrorCertificate {
		if e == nil {
			return nil
		}
		return &ErrorCertificate{Residual: e.Residual, Output: e.Output}
	}
	return Certificates{
		Derived: true, Box: bare(c.Box), Calibrated: bare(c.Calibrated), Lipschitz: c.Lipschitz, GainResidual: c.GainResidual,
		Relaxed: c.Relaxed, RelaxedCalibrated: c.RelaxedCalibrated,
	}
}

// Model is the meaning of a file. States and inputs are numbered in plan order; the columns of Weights
// are the plan's inputs (0 to len(Inputs)−1), then the states; its rows are the states, then the
// outputs: [B A; D C].
type Model struct {
	Width        quant.Width
	SourceInputs int     // p of the source model: what a caller hands over
	Inputs       []Input // those that the plan reads
	SourceStates int     // n of the source model
	SourceState  []int32 // for each state of the plan, its index in the source; distinct
	Rows         []Row   // n + q
	Weights      *sparse.Matrix[int16]
	Tables       []Table
	OutputScale  float32
	Decision     Decision
	Schedule     []Segment

	Certificates Certificates
	SelfTest     []SelfTestCase

	SourceHash [32]byte // SHA-256 of the .sim file, or zero when compiled from memory
	Compiler   string   // name and version of what wrote the file
	Sequence   uint64   // counts releases of one model, for refusing downgrades
}

// States returns the number n of states of the plan.
func (m *Model) States() int { return len(m.SourceState) }

// Outputs returns the number q of outputs.
func (m *Model) Outputs() int { return len(m.Rows) - len(m.SourceState) }

// Unit returns the real worth of one unit of row i's requantised value t.
func (m *Model) Unit(i int) float32 {
	switch row := &m.Rows[i]; {
	case i >= m.States():
		return m.OutputScale
	case row.Table != NoTable:
		return m.Tables[row.Table].Step
	default:
		return row.Scale
	}
}

// LoopStates returns how many states belong to loops, and the size of the largest loop.
func (m *Model) LoopStates() (total, largest int) {
	for _, s := range m.Schedule {
		if s.Sweeps > 0 {
			total += s.States
			largest = max(largest, s.States)
		}
	}
	return total, largest
}

// MACs returns the largest number of multiply-accumulates of one inference: every weight once, and the
// weights inside a loop once per sweep.
func (m *Model) MACs() uint64 {
	var macs uint64
	first, p := 0, int32(len(m.Inputs))
	for _, s := range m.Schedule {
		for i := first; i < first+s.States; i++ {
			cols, _ := m.Weights.Row(i)
			for _, j := range cols {
				if s.Sweeps > 0 && j >= p+int32(first) && j < p+int32(first+s.States) {
					macs += uint64(s.Sweeps)
				} else {
					macs++
				}
			}
		}
		first += s.States
	}
	return macs + uint64(m.Weights.Indptr[m.Weights.Rows]-m.Weights.Indptr[first])
}

// RAMBytes returns the working memory of a portable in-place session, exactly: one activation for
// each input of the plan and each state, and for the largest loop an int64 accumulator and a second
// activation for each of its states.
func (m *Model) RAMBytes() int {
	_, largest := m.LoopStates()
	return m.Width.Bytes()*(len(m.Inputs)+m.States()) + largest*(8+m.Width.Bytes())
}

// NNZ counts the nonzero numbers of the model: weights, and biases apart from what the zero points of
// inputs and states add to them.
func (m *Model) NNZ() int {
	nnz := m.Weights.NNZ()
	for i := range m.Rows {
		cols, values := m.Weights.Row(i)
		bias := int64(m.Rows[i].Bias)
		for k, j := range cols {
			bias += int64(values[k]) * int64(m.zero(int(j)))
		}
		if bias != 0 {
			nnz++
		}
	}
	return nnz
}

// zero returns the zero point of column j of Weights.
func (m *Model) zero(j int) int32 {
	if j < len(m.Inputs) {
		return m.Inputs[j].Zero
	}
	return int32(m.Rows[j-len(m.Inputs)].Zero)
}

// SelfTestInputs fills dst, one q in [0, Q] for each input of the plan, by the generator splitmix64
// started at seed: each draw's upper bits are taken modulo Q+1 after a shift by 40.
func SelfTestInputs(seed uint64, width quant.Width, dst []uint16) {
	for i := range dst {
		seed += 0x9E3779B97F4A7C15
		z := seed
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		z ^= z >> 31
		dst[i] = uint16(z>>40) & uint16(width.Max())
	}
}
