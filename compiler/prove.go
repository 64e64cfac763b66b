package compiler

import (
	"time"

	"github.com/sparse-implicit/sim/compiler/internal/pass"
	"github.com/sparse-implicit/sim/format/simb"
)

// How a search shares its budget out: ranges first, as they decide what rounding costs, up to so many boxes; of
// the rest, two thirds find the tree, and evaluating it again for the realised model takes about one.
const (
	rangesShare = 4
	mostRanges  = 2048
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
	more := func(boxes int) bool { return boxes < min(p.Boxes/rangesShare, mostRanges) }
	if p.Time > 0 {
		more = func(boxes int) bool { return boxes < mostRanges && time.Since(p.start) < p.Time/rangesShare }
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
		most := time.Duration(float64(p.Time-p.ranged) * boxesShare)
		more := func(boxes int) bool { return boxes < p.Boxes }
		if p.Time > 0 {
			more = func(int) bool { return time.Since(start) < most }
		}
		detail, err := program.Prove(pass.Budget{Search: more})
		report.Proof = &Proof{program.Proof.Boxes, p.ranged.Seconds(), time.Since(start).Seconds()}
		return detail, err
	}}
}

// smaller returns the smaller of two bounds of each output; nil where neither is proved.
func smaller(components *simb.ErrorCertificate, relaxed *simb.RelaxedCertificate) []float64 {
	switch {
	case components == nil && relaxed == nil:
		return nil
	case components == nil:
		return widen(relaxed.Output)
	}
	out := widen(components.Output)
	if relaxed != nil {
		for k, e := range relaxed.Output {
			out[k] = min(out[k], float64(e))
		}
	}
	return out
}
