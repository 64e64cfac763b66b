package simb_test

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

// traits are what a file can be; the tests below hold that simbtest makes all of them.
func traits(m *simb.Model) map[string]bool {
	has := map[string]bool{
		"7 bits": m.Width == quant.Width7, "14 bits": m.Width == quant.Width14,
		"no inputs": len(m.Inputs) == 0, "no states": m.States() == 0, "no self-tests": len(m.SelfTest) == 0, "many self-tests": len(m.SelfTest) > 4,
		"derived": m.Certificates.Derived, "no claims": m.Certificates.Box == nil && m.Certificates.Calibrated == nil && m.Certificates.Lipschitz == nil && m.Certificates.V == nil,
		"box": m.Certificates.Box != nil, "calibrated": m.Certificates.Calibrated != nil, "lipschitz": m.Certificates.Lipschitz != nil,
		"well-posed": m.Certificates.V != nil, "reach": m.Certificates.ReachLo != nil,
		"no source hash": m.SourceHash == [32]byte{}, "no name": m.Compiler == "", "several segments": len(m.Schedule) > 2,
		"tiny output": m.OutputScale < 1e-29, "huge output": m.OutputScale > 1e29, "several tables": len(m.Tables) > 2,
	}
	for _, in := range m.Inputs {
		has["an input's zero at the end"] = has["an input's zero at the end"] || in.Zero == math.MinInt32 || in.Zero == math.MaxInt32
		has["a point for a box"] = has["a point for a box"] || in.Lo == in.Hi
		has["tiny input"] = has["tiny input"] || in.Scale < 1e-29
	}
	for _, s := range m.Schedule {
		has["a loop"] = has["a loop"] || s.Sweeps > 0
		has["many sweeps"] = has["many sweeps"] || s.Sweeps > 100
	}
	readers := map[uint16]int{}
	for i := range m.Rows {
		row := &m.Rows[i]
		cols, _ := m.Weights.Row(i)
		has["a row without weights"] = has["a row without weights"] || len(cols) == 0
		has["two planes"] = has["two planes"] || row.Planes == 2
		has["S of 62"] = has["S of 62"] || row.Multiplier.S == quant.MaxShift
		if i < m.States() {
			has["kind "+string('0'+rune(row.Kind))] = true
			has["tiny state"] = has["tiny state"] || row.Scale < 1e-29
			if row.Table != simb.NoTable {
				readers[row.Table]++
				has["a shared table"] = has["a shared table"] || readers[row.Table] > 1
			}
		}
	}
	return has
}

func TestAnythingIsValidAndLeavesNoTraitOut(t *testing.T) {
	seen := map[string]int{}
	rng := simbtest.NewRand(4)
	for k := range 600 {
		m := simbtest.Anything(rng)
		if err := m.Validate(); err != nil {
			t.Fatalf("model %d: %v", k, err)
		}
		for trait, has := range traits(m) {
			if has {
				seen[trait]++
			} else {
				seen[trait] += 0
			}
		}
		for _, test := range m.SelfTest {
			if diff := cmp.Diff(test, simbtest.Case(m, test.Seed)); diff != "" {
				t.Errorf("model %d: its self-test does not hold: %s", k, diff)
			}
		}
	}
	for trait, count := range seen {
		if count < 5 {
			t.Errorf("%d of 600 models: %s", count, trait)
		}
	}
	if len(seen) < 35 {
		t.Errorf("only %d traits are looked for: %v", len(seen), seen)
	}
}

func TestFilesOfAnythingOpenAsTheModelTheyWereMadeOf(t *testing.T) {
	signed, foreign, codings := 0, 0, map[string]int{}
	for seed := range uint64(300) {
		data := simbtest.File(simbtest.NewRand(seed))
		file, err := simb.Open(data)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if file.Signed() {
			signed++
		}
		l, _ := simbtest.Parse(data)
		for _, s := range l.Sections {
			if s.ID >= 0x8000 {
				foreign++
			}
		}
		for _, s := range file.Sections() {
			codings[s.Coding]++
		}
		again, err := simb.Encode(file.Model(), simb.EncodeOptions{})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(file.Model(), open(t, again).Model()); diff != "" {
			t.Errorf("seed %d: written again it is another model: %s", seed, diff)
		}
	}
	if signed < 10 || foreign < 20 || codings["raw"] < 100 || codings["planes"] < 100 || codings["packed"] < 100 || codings["prefix"] < 100 {
		t.Errorf("%d files are signed, %d sections to be ignored, codings %v", signed, foreign, codings)
	}
}

// One number at an edge, everything else right: many such files must get past the structure, so that what
// refuses them is the check of the very number.
func TestEdgesReachTheChecksOfMeaning(t *testing.T) {
	refusedBy, accepted := map[string]int{}, 0
	for seed := range uint64(3000) {
		rng := simbtest.NewRand(seed)
		_, err := simb.Open(simbtest.Edge(rng, simbtest.File(rng)), simb.WithMaxOperations(1<<20))
		var corrupt *simb.CorruptError
		switch {
		case err == nil:
			accepted++
		case !typed(err):
			t.Errorf("seed %d: untyped: %v", seed, err)
		case errors.As(err, &corrupt):
			refusedBy[corrupt.Section]++
		}
	}
	if refusedBy["digest"] > 0 || accepted < 500 || len(refusedBy) < 28 {
		t.Errorf("%d accepted, refused by %d sections: %v", accepted, len(refusedBy), refusedBy)
	}
	t.Logf("%d accepted, refused by %d sections: %v", accepted, len(refusedBy), refusedBy)
}
