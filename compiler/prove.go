package compiler

import (
	"time"

	"github.com/sparse-implicit/sim/compiler/internal/pass"
	"github.com/sparse-implicit/sim/format/simb"
)

// How a search shares its budget out: ranges first, as they decide what rounding costs, in a sixteenth of the time
// or an eighth of the boxes; of the rest, two thirds find the tree, and evaluating it again for the realised model
// takes about one. More boxes for ranges would do harm where boxes are wide (benchmark: ACAS Xu 1_1, full box):
// states are clipped at what the finer tree shows, and the coarser one cannot show that they are not.
const (
	rangesTime  = 16
	rangesBoxes = 8
	mostRanges  = 2048
	refineBoxes = 4
	boxesShare  = 2.0 / 3
)

// prover measures the passes that Prove asks for.
type prover struct {
	Prove
	start  time.Time
	ranged time.Duration
}

func (o Prove) begin() *prover { return &prover{Prove: o, start: time.Now()} }

// ranges is the pass that narrows the states' ranges.
func (p *prover) ranges(program *pass.Program) step {
	more := func(boxes int) bool { return boxes < min(p.Boxes/rangesBoxes, mostRanges) }
	if p.Time > 0 {
		more = func(boxes int) bool { return boxes < mostRanges && time.Since(p.start) < p.Time/rangesTime }
	}
	return step{"narrow", func() (string, error) {
		detail, err := program.NarrowRanges(pass.Budget{Ranges: more})
		p.ranged = time.Since(p.start)
		return detail, err
	}}
}

// bounds is the pass that claims bounds.
func (p *prover) bounds(program *pass.Program, report *Report) step {
	return step{"prove", func() (string, error) {
		start := time.Now()
		refine := func(boxes int) bool { return boxes < p.Boxes/refineBoxes }
		most := time.Duration(float64(p.Time-p.ranged) * boxesShare)
		more := func(boxes int) bool { return boxes < p.Boxes }
		if p.Time > 0 {
			more = func(int) bool { return time.Since(start) < most }
			refine = func(int) bool { return time.Since(start) < p.Time-p.ranged }
		}
		detail, err := program.Prove(pass.Budget{Search: more, Refine: refine})
		report.Proof = &Proof{program.Proof.Boxes, p.ranged.Seconds(), time.Since(start).Seconds()}
		return detail, err
	}}
}

// smaller returns the smaller of what is proved of each output, component by component and by relaxation; nil where
// nothing is.
func smaller(components *simb.ErrorCertificate, relaxed ...*simb.RelaxedCertificate) []float64 {
	var out []float64
	if components != nil {
		out = widen(components.Output)
	}
	for _, claim := range relaxed {
		switch {
		case claim == nil:
		case out == nil:
			out = widen(claim.Output)
		default:
			for k, e := range claim.Output {
				out[k] = min(out[k], float64(e))
			}
		}
	}
	return out
}
