package compiler_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/verify"
)

// TestRelaxedClaimsAreProvedAnew compiles models of every kind with Prove and has the independent checker bound every
// box of their trees again, and compare both on samples.
func TestRelaxedClaimsAreProvedAnew(t *testing.T) {
	models := fewer(60)
	for _, s := range []shape{{}, {calibrated: true}, {spread: 3}, {spread: 6, calibrated: true}, {loops: true}, {spread: 60, calibrated: true}} {
		t.Run(fmt.Sprintf("%+v", s), func(t *testing.T) {
			claimed, split, smaller := 0, 0, 0
			for seed := range uint64(models) {
				rng := rand.New(rand.NewPCG(seed, 11))
				m, o := draw(rng, s), anyOptions(rng)
				o.Prove = compiler.Prove{On: true, Boxes: rng.IntN(200)}
				data, report, err := compiler.Compile(m, o)
				if err != nil {
					if !errors.Is(err, compiler.ErrUnfit) && !errors.Is(err, compiler.ErrNotWellPosed) && !errors.Is(err, model.ErrInvalid) {
						t.Fatalf("seed %d, %+v: %v", seed, o, err)
					}
					continue
				}
				checks, err := verify.File(data, verify.Options{Against: m, Samples: 20, Seed: seed})
				if err != nil {
					t.Fatalf("seed %d, %+v: %v", seed, o, err)
				}
				for _, c := range checks.Checks {
					if !c.OK {
						t.Errorf("seed %d, %+v: %s: %s", seed, o, c.Name, c.Detail)
					}
				}
				file, err := simb.Open(data)
				if err != nil {
					t.Fatal(err)
				}
				c := file.Model().Certificates
				if s.loops && report.Loops > 0 {
					if c.Relaxed != nil || c.RelaxedCalibrated != nil {
						t.Errorf("seed %d: a model with loops claims bounds by relaxation", seed)
					}
					continue
				}
				if c.Relaxed == nil {
					continue
				}
				claimed++
				if len(c.Relaxed.Tree) > 1 {
					split++
				}
				if c.Box != nil && c.Relaxed.Output[0] < c.Box.Output[0] {
					smaller++
				}
				if report.Proof.Boxes < len(c.Relaxed.Tree) {
					t.Errorf("seed %d: %d boxes reported, %d in the tree", seed, report.Proof.Boxes, len(c.Relaxed.Tree))
				}
			}
			t.Logf("%d claims, %d over more than one box, %d below the bound component by component", claimed, split, smaller)
			if !s.loops && s.spread < 10 && (claimed < models/2 || split < models/10 || smaller < models/4) {
				t.Errorf("only %d claims, %d over more than one box, %d below the bound component by component", claimed, split, smaller)
			}
		})
	}
}

// TestNoRelaxedFigureCanBeLess lessens figures by one part in twenty: as compiler and checker follow one procedure, the
// checker must refuse.
func TestNoRelaxedFigureCanBeLess(t *testing.T) {
	tried := 0
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 12))
		source := draw(rng, shape{calibrated: seed%2 == 1})
		data, _, err := compiler.Compile(source, compiler.Options{Bits: 7 + 7*int(seed/2%2), WeightBits: 16, Prove: compiler.Prove{On: true, Boxes: 40}})
		if err != nil {
			t.Fatal(err)
		}
		file, err := simb.Open(data)
		if err != nil {
			t.Fatal(err)
		}
		m := file.Model()
		for _, claim := range []*simb.RelaxedCertificate{m.Certificates.Relaxed, m.Certificates.RelaxedCalibrated} {
			if claim == nil {
				continue
			}
			for _, figures := range [][]float32{claim.Output, claim.Realised} {
				for k, v := range figures {
					figures[k] = v * 0.95
					if r := verify.Opened(m, verify.Options{Against: source}); r.OK {
						t.Errorf("seed %d: %g instead of %g is accepted for output %d", seed, figures[k], v, k)
					}
					figures[k] = v
					tried++
				}
			}
		}
	}
	if tried < 200 {
		t.Errorf("only %d figures were tried", tried)
	}
}

// TestProofsDependOnTheNumberOfBoxesOnly compiles on one core and on several.
func TestProofsDependOnTheNumberOfBoxesOnly(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for seed := range uint64(10) {
		m := draw(rand.New(rand.NewPCG(seed, 13)), shape{})
		var first []byte
		for _, cores := range []int{1, 2, 7} {
			runtime.GOMAXPROCS(cores)
			data, _, err := compiler.Compile(m, compiler.Options{Bits: 14, WeightBits: 16, Prove: compiler.Prove{On: true, Boxes: 300}})
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = data
			}
			if !bytes.Equal(first, data) {
				t.Errorf("seed %d: other bytes on %d cores", seed, cores)
			}
		}
	}
}

// TestProofsWithinATime ends, has a claim, and refuses what is no time.
func TestProofsWithinATime(t *testing.T) {
	m := draw(rand.New(rand.NewPCG(3, 13)), shape{})
	_, report, err := compiler.Compile(m, compiler.Options{Prove: compiler.Prove{On: true, Time: 50 * time.Millisecond}})
	if err != nil || report.Proof == nil || report.Proof.Boxes < 1 || report.ErrorBoundRealised == nil {
		t.Errorf("%v: %+v", err, report)
	}
	for _, p := range []compiler.Prove{{On: true, Time: -1}, {On: true, Boxes: -1}} {
		if _, _, err := compiler.Compile(m, compiler.Options{Prove: p}); !errors.Is(err, compiler.ErrOptions) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}
