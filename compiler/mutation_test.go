package compiler_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/verify"
)

// column is one vector of certificates.
type column struct {
	name   string
	values []float32
	tight  bool // in loops too
}

func columns(c *simb.Certificates) []column {
	list := []column{
		{"reach lo", c.ReachLo, false}, {"reach hi", c.ReachHi, false}, {"v residual", c.VResidual, true},
		{"lipschitz", c.Lipschitz, true}, {"gain", c.Gain, true}, {"gain residual", c.GainResidual, true},
	}
	for name, e := range map[string]*simb.ErrorCertificate{"box": c.Box, "calibrated": c.Calibrated} {
		list = append(list, column{name + " state", e.State, true}, column{name + " start", e.Start, true},
			column{name + " residual", e.Residual, true}, column{name + " output", e.Output, true})
	}
	return list
}

// TestNoFigureCanBeLess makes the certificates claim more, one number at a time, by 5 %: the independent checker must
// refuse each, or the compiler has claimed more than need be, or the checker sees nothing. Ranges of loops
// may be wider than the narrowest that prove themselves.
func TestNoFigureCanBeLess(t *testing.T) {
	tried := 0
	for seed := range uint64(32) {
		rng := rand.New(rand.NewPCG(seed, 5))
		source := draw(rng, shape{loops: seed%2 == 1, calibrated: seed%4 > 1})
		data, report, err := compiler.Compile(source, compiler.Options{Bits: 7, WeightBits: 8 + 8*int(seed/4%2), Codec: []simb.Codec{simb.CodecRaw, simb.CodecPacked}[seed/8%2]})
		if err != nil {
			t.Fatal(err)
		}
		file, err := simb.Open(data)
		if err != nil {
			t.Fatal(err)
		}
		m := file.Model()
		if r := verify.Opened(m, verify.Options{Against: source}); !r.OK {
			t.Fatalf("seed %d: %v", seed, r.Failed())
		}
		for _, c := range columns(&m.Certificates) {
			if !c.tight && report.Loops > 0 {
				continue
			}
			if m.Certificates.Derived && strings.HasSuffix(c.name, "residual") {
				continue // in few digits, where what a row rounds is more
			}
			largest := 0.0
			for _, v := range c.values {
				largest = max(largest, math.Abs(float64(v)))
			}
			for i, v := range c.values {
				if math.Abs(float64(v)) < 1e-6*largest || v == 0 {
					continue // nothing but the rounding of what is exact
				}
				c.values[i] = v * 0.95
				if c.name == "reach lo" && v > 0 || c.name == "reach hi" && v < 0 {
					c.values[i] = v * 1.05
				}
				if r := verify.Opened(m, verify.Options{Against: source}); r.OK {
					t.Errorf("seed %d: %s[%d] = %g instead of %g is accepted", seed, c.name, i, c.values[i], v)
				}
				c.values[i] = v
				tried++
			}
		}
	}
	t.Logf("%d numbers shrunk", tried)
	if tried < 1000 {
		t.Error("too few to mean anything")
	}
}
