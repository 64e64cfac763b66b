package verify

import (
	"math"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/simb"
)

// TestDerivedWitnessesProveWhatStoredOnesDo leaves the witnesses of models without loops out: the same
// figures are proved, those that the checker fills in are no larger than what an exact writer stores, and
// no figure may be a twentieth less.
func TestDerivedWitnessesProveWhatStoredOnesDo(t *testing.T) {
	for _, s := range shapes {
		for seed := range uint64(3) {
			p := build(seed, s)
			stored := p.file.Certificates
			if s.loop {
				p.file.Certificates = stored.Derive()
				if r := Opened(p.file, Options{}); !slices.Equal(r.Failed(), []string{"structure"}) {
					t.Errorf("%s: derived witnesses of loops: %v", s.name, r.Failed())
				}
				continue
			}
			p.file.Certificates = stored.Derive()
			if r := Opened(p.file, Options{Against: p.source, Samples: 20}); !r.OK {
				t.Errorf("%s, seed %d: refused by %v", s.name, seed, r.Failed())
			}
			c := newChecker(p.file)
			c.derive()
			compareWitnesses(t, &c.m.Certificates, &stored)
			if p.file.Certificates.Box.State != nil || p.file.Certificates.Gain != nil {
				t.Error("the caller's model was changed")
			}
			claimLess(t, p)
		}
	}
}

func compareWitnesses(t *testing.T, derived, stored *simb.Certificates) {
	t.Helper()
	for name, pair := range map[string][2][]float32{
		"box": {derived.Box.State, stored.Box.State}, "calibrated": {derived.Calibrated.State, stored.Calibrated.State},
		"reach": {derived.ReachHi, stored.ReachHi}, "gain": {derived.Gain, stored.Gain},
	} {
		for i, v := range pair[0] {
			if w := float64(pair[1][i]); float64(v) > w || float64(v) < w-0.05*math.Abs(w)-1e-6 {
				t.Errorf("%s[%d] is derived as %g, stored as %g", name, i, v, pair[1][i])
			}
		}
	}
	for i, v := range derived.ReachLo {
		if v < stored.ReachLo[i] {
			t.Errorf("reach from %g, stored from %g", v, stored.ReachLo[i])
		}
	}
}

// claimLess makes each stored figure 5 % less and expects a refusal.
func claimLess(t *testing.T, p pair) {
	t.Helper()
	c := &p.file.Certificates
	for name, values := range map[string][]float32{
		"box output": c.Box.Output, "box residual": c.Box.Residual, "calibrated output": c.Calibrated.Output,
		"calibrated residual": c.Calibrated.Residual, "lipschitz": c.Lipschitz, "gain residual": c.GainResidual,
	} {
		for i, v := range values {
			if v < 1e-6 {
				continue
			}
			values[i] = v * 0.95
			if r := Opened(p.file, Options{Against: p.source}); r.OK {
				t.Errorf("%s[%d] = %g in place of %g passes", name, i, values[i], v)
			}
			values[i] = v
		}
	}
}

// TestWitnessesThatOverflowAreRefused: residuals near the largest float32 prove nothing, whatever is claimed.
func TestWitnessesThatOverflowAreRefused(t *testing.T) {
	for _, name := range []string{"error-box", "error-calibrated", "lipschitz"} {
		p := build(3, shapes[0])
		p.file.Certificates = p.file.Certificates.Derive()
		c := &p.file.Certificates
		residual, outputs := c.Box.Residual, c.Box.Output
		switch name {
		case "error-calibrated":
			residual, outputs = c.Calibrated.Residual, c.Calibrated.Output
		case "lipschitz":
			residual, outputs = c.GainResidual, c.Lipschitz
		}
		for i := range residual {
			residual[i] = math.MaxFloat32
		}
		for k := range outputs {
			outputs[k] = math.MaxFloat32
		}
		if r := Opened(p.file, Options{}); !slices.Contains(r.Failed(), name) {
			t.Errorf("%s with residuals that overflow: %v", name, r.Failed())
		}
	}
	for x, want := range map[float64]float32{1: 1, -1: -1, math.Inf(1): math.MaxFloat32, math.Inf(-1): -math.MaxFloat32, 1 + 1e-12: 1 + 0x1p-23, -1 - 1e-12: -1} {
		if got := float32Up(x); got != want {
			t.Errorf("%g rounds up to %g, want %g", x, got, want)
		}
	}
	if float32Up(math.NaN()) != math.MaxFloat32 {
		t.Error("what is no number is not refused")
	}
}

// TestConstantsOfNoOutputAreNotDerived: a list without numbers claims nothing, and needs no residuals.
func TestConstantsOfNoOutputAreNotDerived(t *testing.T) {
	p := build(3, shapes[0])
	c := p.file.Certificates.Derive()
	p.file.Certificates = simb.Certificates{Derived: true, Box: c.Box, Lipschitz: []float32{}}
	if r := Opened(p.file, Options{Against: p.source}); !r.OK {
		t.Errorf("refused by %v", r.Failed())
	}
}
