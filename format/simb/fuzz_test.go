package simb_test

import (
	"testing"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

// FuzzOpen gives Open arbitrary bytes, as they are and with checksums and digest made right, and uses
// everything of what it accepts.
func FuzzOpen(f *testing.F) {
	for _, name := range goldenNames(f) {
		f.Add(golden(f, name))
	}
	for seed := range uint64(8) {
		rng := simbtest.NewRand(seed)
		data := encode(f, simbtest.Random(rng, simbtest.Options{}), codecs[seed%4])
		f.Add(data)
		f.Add(simbtest.Mutate(rng, data))
		f.Add(simbtest.File(rng))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		useOpened(t, data)
		useOpened(t, simbtest.FixChecksums(data))
	})
}

// FuzzMutated gives Open what a seed makes of a file: one number at an edge, or several changes of any kind.
// The fuzzer keeps the seeds that lead somewhere new.
func FuzzMutated(f *testing.F) {
	for seed := range uint64(24) {
		f.Add(simbtest.File(simbtest.NewRand(seed)), seed)
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		rng := simbtest.NewRand(seed)
		if seed%2 == 0 {
			useOpened(t, simbtest.Edge(rng, data))
		} else {
			useOpened(t, simbtest.Mutate(rng, data))
		}
	})
}

// useOpened opens data and, if it is accepted, runs it and writes it again.
func useOpened(t *testing.T, data []byte) {
	file, err := simb.Open(data, simb.WithMaxOperations(1<<16))
	if err != nil {
		if !typed(err) {
			t.Errorf("untyped: %v", err)
		}
		return
	}
	m := file.Model()
	inputs := make([]uint16, len(m.Inputs))
	simb.SelfTestInputs(1, m.Width, inputs)
	simbtest.Run(m, inputs)
	for _, codec := range []simb.Codec{simb.CodecPacked, simb.CodecPrefix} {
		if _, err := simb.Encode(m, simb.EncodeOptions{Codec: codec}); err != nil {
			t.Errorf("Encode refuses what Open accepts: %v", err)
		}
	}
}
