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
		data := encode(f, simbtest.Random(rng, simbtest.Options{}), codecs[seed%3])
		f.Add(data)
		f.Add(simbtest.Mutate(rng, data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, bytes := range [][]byte{data, simbtest.FixChecksums(data)} {
			file, err := simb.Open(bytes, simb.WithMaxOperations(1<<16))
			if err != nil {
				if !typed(err) {
					t.Errorf("untyped: %v", err)
				}
				continue
			}
			m := file.Model()
			inputs := make([]uint16, len(m.Inputs))
			simb.SelfTestInputs(1, m.Width, inputs)
			simbtest.Run(m, inputs)
			if _, err := simb.Encode(m, simb.EncodeOptions{Codec: simb.CodecPacked}); err != nil {
				t.Errorf("Encode refuses what Open accepts: %v", err)
			}
		}
	})
}
