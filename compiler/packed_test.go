package compiler_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/compiler"
	"github.com/sparse-implicit/sim/format/simb"
)

// TestPackingChangesNoIntegerAndFiguresLittle compiles models raw and packed: what an inference computes
// is the same, and the figures that users see are the same ones or a little larger.
func TestPackingChangesNoIntegerAndFiguresLittle(t *testing.T) {
	derived := 0
	for seed := range uint64(60) {
		m := draw(rand.New(rand.NewPCG(seed, 21)), shape{loops: seed%3 == 0, calibrated: seed%2 == 0})
		var models [2]*simb.Model
		var sizes [2]int
		for k, codec := range []simb.Codec{simb.CodecRaw, simb.CodecPacked} {
			data, _, err := compiler.Compile(m, compiler.Options{Codec: codec})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			file, err := simb.Open(data)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			models[k], sizes[k] = file.Model(), len(data)
		}
		raw, packed := models[0], models[1]
		if packed.Certificates.Derived {
			derived++
		}
		within(t, seed, raw.Certificates.Box, packed.Certificates.Box)
		within(t, seed, raw.Certificates.Calibrated, packed.Certificates.Calibrated)
		figures(t, seed, raw.Certificates.Lipschitz, packed.Certificates.Lipschitz)
		raw.Certificates, packed.Certificates = simb.Certificates{}, simb.Certificates{}
		if !reflect.DeepEqual(raw, packed) {
			t.Errorf("seed %d: packed, the model is another", seed)
		}
		if sizes[1] >= sizes[0] {
			t.Errorf("seed %d: %d bytes raw, %d packed", seed, sizes[0], sizes[1])
		}
	}
	if derived < 30 {
		t.Errorf("only %d models with derived witnesses", derived)
	}
}

// TestPackingRefusesNoBoundThatIsMet: a limit that the proved bounds meet is met by a packed file too, though
// bounds in few digits would exceed it; without one they are in few digits.
func TestPackingRefusesNoBoundThatIsMet(t *testing.T) {
	larger := 0
	for seed := range uint64(6) {
		m := draw(rand.New(rand.NewPCG(seed, 21)), shape{calibrated: seed%2 == 0})
		worst := func(o compiler.Options) float64 {
			_, report, err := compiler.Compile(m, o)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			return slices.Max(report.ErrorBoundBox)
		}
		proved, brief := worst(compiler.Options{Codec: simb.CodecRaw}), worst(compiler.Options{Codec: simb.CodecPacked})
		if brief > proved {
			larger++
		}
		if kept := worst(compiler.Options{Codec: simb.CodecPacked, MaxError: proved}); kept > proved {
			t.Errorf("seed %d: the bound is %g, the limit %g", seed, kept, proved)
		}
	}
	if larger == 0 {
		t.Error("no bound in few digits is larger")
	}
}

func within(t *testing.T, seed uint64, raw, packed *simb.ErrorCertificate) {
	t.Helper()
	if (raw == nil) != (packed == nil) {
		t.Errorf("seed %d: one file makes a claim that the other does not", seed)
		return
	}
	if raw != nil {
		figures(t, seed, raw.Output, packed.Output)
	}
}

func figures(t *testing.T, seed uint64, raw, packed []float32) {
	t.Helper()
	if len(raw) != len(packed) {
		t.Errorf("seed %d: %d figures and %d", seed, len(raw), len(packed))
		return
	}
	for k, v := range raw {
		if packed[k] < v*0.97 || packed[k] > v*1.12 {
			t.Errorf("seed %d: a figure of %g is %g when packed", seed, v, packed[k])
		}
	}
}
