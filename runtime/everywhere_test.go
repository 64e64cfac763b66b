package runtime

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/sparse-implicit/sim/runtime/internal/kernel"
)

// everywhere is the hash of what 200 random models answer. It was made on amd64 and has to be the same
// on every architecture, for every kernel; it changes only when the generator of models does.
const everywhere = "0d8e0c8dc1651d85358f7227e62d04534f5c1e4ae075c7abbe4c0b55f2e996ed"

func TestTheSameBitsOnEveryArchitecture(t *testing.T) {
	sums := map[string]string{}
	for _, name := range append(kernel.Names(), kernelInPlace) {
		hash := sha256.New()
		for seed := range uint64(200) {
			d := &dice{1<<32 + seed}
			m := randomModel(d, randomShape(d))
			model := variants(t, m)[name]
			s, y := model.NewSession(), make([]float32, model.Outputs())
			for range 3 {
				if err := s.Infer(y, reals(d, m)); err != nil {
					t.Fatal(err)
				}
				states := make([]uint16, model.States())
				_ = s.CopyStates(states)
				for _, part := range []any{y, states, s.Stats()} {
					if err := binary.Write(hash, binary.LittleEndian, part); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		sums[name] = hex.EncodeToString(hash.Sum(nil))
	}
	for name, sum := range sums {
		if sum != everywhere {
			t.Errorf("%s: the answers hash to %s, on other machines to %s", name, sum, everywhere)
		}
	}
}
