package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/verify"
)

// shownInputs is how many rows people are shown what is proved of; with -v all.
const shownInputs = 10

// local prepares proofs for a compiled file whose checks hold: the bytes that were checked.
func (r *verifyReport) local() (*verify.Local, error) {
	file, err := simb.Open(r.data)
	if err != nil {
		return nil, err
	}
	local, err := verify.NewLocal(file.Model(), r.source)
	if err == nil && r.source == nil && !local.Decides() {
		return nil, usagef("--input: the model decides nothing, so what there is to prove needs --against")
	}
	return local, err
}

// proveInputs proves what holds at every row of inputs, in parallel over rows.
func (e *env) proveInputs(ctx context.Context, checked *verifyReport, o verifyFlags) ([]*verify.Proof, error) {
	local, err := checked.local()
	if err != nil {
		return nil, err
	}
	rows, err := e.allRows(o.input, local.Inputs())
	if err != nil {
		return nil, err
	}
	proofs := make([]*verify.Proof, len(rows))
	failures := make([]error, len(rows))
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(rows)) {
		group.Go(func() {
			session := local.NewSession()
			for ctx.Err() == nil {
				k := int(next.Add(1)) - 1
				if k >= len(rows) {
					return
				}
				proofs[k], failures[k] = session.At(rows[k], o.radius)
			}
		})
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for k, err := range failures {
		if err != nil {
			return nil, refusedf("%s: row %d: %w", o.input, k+1, err)
		}
		proofs[k].Row = k + 1
	}
	return proofs, nil
}

// allRows reads rows of inputs, as run does.
func (e *env) allRows(path string, width int) ([][]float32, error) {
	source, done, err := e.openRows(path, width)
	if err != nil {
		return nil, err
	}
	defer done()
	var rows [][]float32
	for {
		row, err := source.next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, slices.Clone(row))
	}
}

// equalShare returns the share of rows at which the float model is proved to decide the same, or nil where
// that was not asked.
func equalShare(proofs []*verify.Proof) *float64 {
	equal := 0
	for _, p := range proofs {
		if p.ProvedEqual == nil {
			return nil
		}
		if *p.ProvedEqual {
			equal++
		}
	}
	if len(proofs) == 0 {
		return nil
	}
	share := float64(equal) / float64(len(proofs))
	return &share
}

// sayInputs tells people what is proved of the rows.
func (e *env) sayInputs(path string, proofs []*verify.Proof, share *float64) {
	for k, p := range proofs {
		if k == shownInputs && !e.verbose {
			e.say("… %d rows more; -v has them all", len(proofs)-k)
			break
		}
		e.say("row %-5d %s", p.Row, proofInWords(p))
	}
	largest := 0.0
	for _, p := range proofs {
		for _, bound := range p.ErrorBound {
			largest = max(largest, bound)
		}
	}
	var said []string
	if share != nil {
		said = append(said, fmt.Sprintf("the float model is proved to decide the same at %.4g %%", 100**share))
	}
	if largest > 0 {
		said = append(said, fmt.Sprintf("outputs are off by at most %.4g", largest))
	}
	if radii := radiiOf(proofs); len(radii) > 0 {
		said = append(said, fmt.Sprintf("half of the decisions hold within %.4g", radii[len(radii)/2]))
	}
	if len(said) > 0 {
		e.say("%s: %d rows: %s", path, len(proofs), strings.Join(said, ", "))
	}
}

// radiiOf returns the larger radius of each row that has one, ascending.
func radiiOf(proofs []*verify.Proof) []float64 {
	var radii []float64
	for _, p := range proofs {
		switch r, l := p.Radius, p.RadiusLipschitz; {
		case r != nil && l != nil:
			radii = append(radii, max(*r, *l))
		case r != nil:
			radii = append(radii, *r)
		case l != nil:
			radii = append(radii, *l)
		}
	}
	slices.Sort(radii)
	return radii
}

func proofInWords(p *verify.Proof) string {
	var words []string
	if p.Decision != nil {
		words = append(words, fmt.Sprintf("decides %d", *p.Decision))
	}
	if p.Margin != nil {
		words = append(words, fmt.Sprintf("by %.4g", *p.Margin))
	}
	if p.Radius != nil {
		words = append(words, fmt.Sprintf("within a radius of %.4g", *p.Radius))
	}
	if p.RadiusLipschitz != nil {
		words = append(words, fmt.Sprintf("(by Lipschitz constants %.4g)", *p.RadiusLipschitz))
	}
	if p.ProvedEqual != nil {
		words = append(words, map[bool]string{true: "as the float model does", false: "not proved to be as the float model does"}[*p.ProvedEqual])
	}
	if len(p.ErrorBound) > 0 {
		words = append(words, fmt.Sprintf("off by at most %.4g", slices.Max(p.ErrorBound)))
	}
	return strings.Join(words, " ")
}
