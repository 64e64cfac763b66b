// Package verify is the independent checker of compiled models: it takes a `.simb` file, trusts nothing
// that the file says about itself, and re-proves every figure in it. CLAIMS.md beside this file states
// each claim as an inequality; this package evaluates those inequalities in float64 arithmetic that is
// rounded outward at every step, so that "ok" is a proof and not an approximation.
//
// In short (x* is the equilibrium of the real model, x̃ the real worth of the integers' states, 𝒰 the
// region of inputs that do not saturate, W̃ the real worth of the integer weights):
//
//	well-posed  |Ã| v + residual ≤ κ v, κ < 1              proves that x* is unique
//	reach       φ(Ã·reach + B̃·𝒰 + b̃ ± ρ) ⊆ reach          proves x* ∈ reach
//	errors      γ (|Ã| e + |B̃| δu + ρ) + r + cut ≤ e       proves |x̃ − x*| ≤ e
//	lipschitz   |Ã| g + |B̃| 1 + residual ≤ g               proves |∂y/∂u| ≤ the constants
//	residuals   |ΔA·reach + ΔB·𝒰 + Δb| ≤ ρ                 ties all of it to the float model
//	relaxed     both networks bounded over every box of a tree, by lines that are carried back to the
//	            inputs: from the file alone against the real model that W̃ is, and against the float model
//
// The residuals, and the last of these, need the float model (Options.Against); the others the file alone.
//
// It promises that a report is OK only when every claim that the file makes has been proved, that no
// input makes it panic, and the same report on every machine. It shares no code with the compiler, and
// evaluates integer inferences by an interpreter of its own: it must never know compiler or runtime.
package verify

import (
	"crypto/ed25519"
	"fmt"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
)

// Options says what a file is checked against. The zero value checks the file alone.
type Options struct {
	// Against is the float model that the file is said to come from, with the box it was compiled for;
	// nil leaves the residuals unchecked. A model that fails its Validate fails the check "dimensions".
	Against *model.Model

	// SourceBytes is the content of the .sim file, compared with the file's source hash; nil skips that.
	SourceBytes []byte

	// PublicKey is the one that the file must be signed with; nil leaves a signature unchecked.
	PublicKey ed25519.PublicKey

	// Samples is how many inputs of the box are run through both models and compared with the bounds;
	// it needs Against. Seed chooses them.
	Samples int
	Seed    uint64

	// Open holds limits of opening a file, which replace those that File sets: simb's own, and of weights no
	// more than eight for each byte of the file and a million.
	Open []simb.Option
	// Work is how many multiplications the check of one relaxed claim may take, so that a hostile file
	// cannot keep its checker busy; 0 stands for 2³⁹, some minutes. A claim beyond it fails.
	Work int64
}

// Check is the outcome of one named check. Names are stable.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"` // what was proved, or where and by how much it fails
}

// Report is the outcome of all checks, in a fixed order.
type Report struct {
	OK     bool    `json:"ok"` // every check is OK
	Checks []Check `json:"checks"`

	// ErrorObserved is the largest |y − ỹ| of each output over the samples; nil without samples.
	ErrorObserved []float64 `json:"error_observed,omitempty"`
}

// Failed returns the names of the checks that failed, in order.
func (r *Report) Failed() []string {
	var names []string
	for _, c := range r.Checks {
		if !c.OK {
			names = append(names, c.Name)
		}
	}
	return names
}

// Opened checks a model that has been opened already, or was never written.
func Opened(m *simb.Model, o Options) *Report {
	return check(m, nil, o)
}

// declared is what a file says about its cost.
type declared struct {
	ramBytes int
	macs     uint64
}

// check makes the report; without a declared cost, what the model itself counts stands in for it.
func check(m *simb.Model, cost *declared, o Options) *Report {
	r := &Report{}
	if err := structure(m); err != nil {
		r.Checks = []Check{failed("structure", "%s", err.Error())}
		return r
	}
	if cost == nil {
		cost = &declared{m.RAMBytes(), m.MACs()}
	}
	c := newChecker(m)
	c.cost, c.relaxation = *cost, o.Work
	c.derive()
	r.Checks = append([]Check{passed("structure", "%d inputs, %d states, %d outputs, %d weights", c.p, c.n, m.Outputs(), m.Weights.Stored())}, c.alone()...)
	if o.SourceBytes != nil || o.Against != nil {
		r.Checks = append(r.Checks, c.sourceHash(o.SourceBytes))
	}
	if o.Against != nil {
		r.Checks = append(r.Checks, c.against(o.Against)...)
		if o.Samples > 0 {
			observed, worst := c.observed(o.Against, o)
			r.Checks, r.ErrorObserved = append(r.Checks, observed), worst
		}
	}
	r.OK = len(r.Failed()) == 0
	return r
}

// alone runs the checks that need nothing but the file. The order matters: a schedule out of order leaves
// nothing to prove, and well-posedness is what reach and Lipschitz constants of loops rest on.
func (c *checker) alone() []Check {
	checks := []Check{c.schedule(), c.accumulators(), c.memory(), c.operations(), c.inputBox(), c.limitFlags(), c.tableChecks()}
	wellPosed := c.wellPosed()
	return append(checks, wellPosed, c.reachClaim(),
		c.errorClaim("error-box", c.m.Certificates.Box, true),
		c.errorClaim("error-calibrated", c.m.Certificates.Calibrated, false),
		c.relaxed("realised-box", nil, c.m.Certificates.Relaxed, false),
		c.relaxed("realised-calibrated", nil, c.m.Certificates.RelaxedCalibrated, true),
		c.lipschitz(), c.selfTest())
}

func passed(name, format string, args ...any) Check {
	return Check{name, true, fmt.Sprintf(format, args...)}
}

func failed(name, format string, args ...any) Check {
	return Check{name, false, fmt.Sprintf(format, args...)}
}

func notClaimed(name string) Check { return Check{name, true, "not claimed"} }
