// Package pass holds the passes of the compiler. Each takes the program as the earlier ones left it,
// adds its part and says in a line what it did; compiler.Compile runs them in order.
//
// It promises that a pass depends on nothing but the program (no clock, no randomness, no map order, no
// fused arithmetic), so that the bytes that come out are the same on every machine; how long a search goes
// on, its caller says (Budget). It knows nothing of files, of training or of how an inference is run.
package pass

import (
	"errors"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
)

// Errors that the passes wrap.
var (
	ErrNotWellPosed = errors.New("the model is not provably well-posed")
	ErrUnfit        = errors.New("the model does not fit the integer semantics")
)

// Options is what the user decides.
type Options struct {
	Width  quant.Width // 7 or 14
	Planes uint8       // weight planes of every row: 1 or 2
	Levels int32       // largest magnitude of a weight of one plane: 127, 15 or 7

	Compensate bool // round against the reference, where there is one
}

// Program is a model on its way to the compiled form. Plan indices number what the compiled file
// keeps; columns of Weights are the plan's inputs, then its states.
type Program struct {
	Options Options
	Source  *model.Model

	equations []equation // the source's rows, states first, then outputs, as Simplify leaves them
	constant  []*Bounded // per source state: its value where it is proved constant

	States      []int // source index of each state of the plan, in the order of computation
	Inputs      []int // source index of each input of the plan, ascending
	Weights     *sparse.Matrix[float64]
	weightError []float64 // of each entry of Weights: what it may be off by; nil: nothing
	Bias        []Bounded // what each row adds: b or d with what is folded, n + q

	Segments   []simb.Segment // Sweeps is 1 for loops until Sweeps decides
	InputPlan  []simb.Input
	Wellposed  WellPosed
	floatReach reach // over the region of inputs, of the float model alone: what scales are chosen from
	floatSums  reach // the same of the arguments of φ

	medianMagnitude float64 // of the states that left zero over the calibration data; 0 without

	Reference *Reference    // what the float model does on samples, or nil
	Promoted  []bool        // per row of the plan: two weight planes whatever the options say; nil: none
	observed  []uint16      // while rows are rounded: q of all columns on every sample, sample-major
	shared    *moments      // of the row before
	longest   int           // row that has moments
	ofInputs  *inputMoments // shared by forks; nil: none are kept
	rowLoss   []float64     // per row, what rounding against samples left of it: the mean square of its sum

	asTrained int  // rows that have their trained levels
	inBrief   bool // claims are to have few digits

	Rows        []simb.Row
	Tables      []simb.Table
	Quantised   *sparse.Matrix[int16]
	OutputScale float32

	Certificates simb.Certificates
	real         *affine    // the integers' real worth
	own          []ownError // what each row adds to the errors over the box
	certified    *certifier
	narrowed     bool // ranges are proved over the declared box by relaxation
	Proof        Proof
	SelfTest     []simb.SelfTestCase
}

// Proof says what bounds by relaxation took.
type Proof struct{ Boxes int }

// states and inputs of the plan.
func (p *Program) states() int { return len(p.States) }

func (p *Program) outputs() int { return p.Source.Outputs() }

// activation returns the activation of state i of the plan.
func (p *Program) activation(i int) model.Activation { return p.Source.Activations[p.States[i]] }

// stateColumn returns the state that column j of Weights stands for, or −1 for an input.
func (p *Program) stateColumn(j int32) int {
	if int(j) < len(p.Inputs) {
		return -1
	}
	return int(j) - len(p.Inputs)
}

// eachSegment calls visit for each segment with the range of its states.
func (p *Program) eachSegment(visit func(segment *simb.Segment, first, end int) error) error {
	first := 0
	for k := range p.Segments {
		end := first + p.Segments[k].States
		if err := visit(&p.Segments[k], first, end); err != nil {
			return err
		}
		first = end
	}
	return nil
}

// Model assembles the compiled model.
func (p *Program) Model() *simb.Model {
	source := make([]int32, len(p.States))
	for i, s := range p.States {
		source[i] = int32(s)
	}
	decision := map[model.Decision]simb.Decision{
		model.DecideNone: simb.DecideNone, model.DecideArgmax: simb.DecideArgmax, model.DecideArgmin: simb.DecideArgmin,
	}[p.Source.Decision]
	return &simb.Model{
		Width: p.Options.Width, SourceInputs: p.Source.Inputs(), Inputs: p.InputPlan,
		SourceStates: p.Source.States(), SourceState: source,
		Rows: p.Rows, Weights: p.Quantised, Tables: p.Tables, OutputScale: p.OutputScale,
		Decision: decision, Schedule: p.Segments, Certificates: p.Certificates, SelfTest: p.SelfTest,
	}
}
