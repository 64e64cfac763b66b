package verify

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sparse-implicit/sim/format/simb"
)

// TestSpoiltModelsNeverPanicAndAreHardlyEverAccepted changes numbers of good models at random, several at
// a time. Whatever comes of it must end in a report; and one whose integers were changed may pass only where
// the change claims no more than before.
func TestSpoiltModelsNeverPanicAndAreHardlyEverAccepted(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	changes := changesOf(r)
	accepted := 0
	const tries = 2000
	var sources [5]pair
	var files [5][]byte // each try opens its own copy
	for k := range files {
		sources[k] = build(uint64(k), shapes[1])
		if k == 4 { // which is causal, its witnesses left out
			sources[k] = build(uint64(k), shapes[4])
			sources[k].file.Certificates = sources[k].file.Certificates.Derive()
		}
		files[k] = must(simb.Encode(sources[k].file, simb.EncodeOptions{}))
	}
	for k := range tries {
		p := pair{sources[k%5].source, must(simb.Open(files[k%5])).Model()}
		for range 1 + r.IntN(3) {
			changes[r.IntN(len(changes))](p.file)
		}
		if Opened(p.file, Options{Against: p.source, Samples: 2}).OK {
			accepted++
		}
	}
	if accepted > tries/5 {
		t.Errorf("%d of %d spoilt models were accepted", accepted, tries)
	}
	t.Logf("%d of %d accepted", accepted, tries)
}

// changesOf returns what can be done to a good model of loops, drawing from r.
func changesOf(r *rand.Rand) []func(m *simb.Model) {
	odd := []float32{0, 1, -1, 1e-38, 1e38, float32(math.Inf(1)), float32(math.NaN()), -1e30, 0x1p-149}
	floats := func(v []float32) {
		if len(v) > 0 {
			v[r.IntN(len(v))] = odd[r.IntN(len(odd))]
		}
	}
	return []func(m *simb.Model){
		func(m *simb.Model) { m.Rows[r.IntN(len(m.Rows))].Bias = int32(r.Uint32()) },
		func(m *simb.Model) { m.Rows[r.IntN(len(m.Rows))].Multiplier.M = int32(r.Uint32() >> 1) },
		func(m *simb.Model) { m.Rows[r.IntN(len(m.Rows))].Multiplier.S = uint8(r.IntN(64)) },
		func(m *simb.Model) { m.Rows[r.IntN(len(m.Rows))].Negative.S = uint8(r.IntN(64)) },
		func(m *simb.Model) { m.Rows[r.IntN(len(m.Rows))].Scale = odd[r.IntN(len(odd))] },
		func(m *simb.Model) { m.Rows[r.IntN(len(m.Rows))].Parameter = odd[r.IntN(len(odd))] },
		func(m *simb.Model) { m.Rows[r.IntN(len(m.Rows))].Kind = simb.Kind(r.IntN(9)) },
		func(m *simb.Model) { m.Rows[r.IntN(len(m.Rows))].Table = uint16(r.IntN(3)) },
		func(m *simb.Model) { m.Rows[r.IntN(len(m.Rows))].Lo = uint16(r.IntN(200)) },
		func(m *simb.Model) { m.Rows[r.IntN(len(m.Rows))].Planes = uint8(r.IntN(3)) },
		func(m *simb.Model) { m.Weights.Data[r.IntN(len(m.Weights.Data))] = int16(r.Uint32()) },
		func(m *simb.Model) { m.Weights.Indices[r.IntN(len(m.Weights.Indices))]++ },
		func(m *simb.Model) { m.Inputs[r.IntN(3)].Zero = int32(r.Uint32()) },
		func(m *simb.Model) { m.Inputs[r.IntN(3)].Scale = odd[r.IntN(len(odd))] },
		func(m *simb.Model) { m.Schedule[r.IntN(len(m.Schedule))].Sweeps = r.Uint32() >> 12 },
		func(m *simb.Model) { m.Schedule[r.IntN(len(m.Schedule))].States = int(r.Uint64()) },
		func(m *simb.Model) { m.OutputScale = odd[r.IntN(len(odd))] },
		func(m *simb.Model) { e := m.Tables[0].Entries; e[r.IntN(len(e))] = uint16(r.Uint32()) },
		func(m *simb.Model) { m.Tables[0].Step = odd[r.IntN(len(odd))] },
		func(m *simb.Model) { floats(m.Certificates.Box.State) },
		func(m *simb.Model) { floats(m.Certificates.Calibrated.Residual) },
		func(m *simb.Model) { floats(m.Certificates.ReachHi) },
		func(m *simb.Model) { floats(m.Certificates.ReachLo) },
		func(m *simb.Model) { floats(m.Certificates.V) },
		func(m *simb.Model) { floats(m.Certificates.Gain) },
		func(m *simb.Model) { m.Certificates.ReachLo = nil },
		func(m *simb.Model) { m.Certificates.Lipschitz = nil },
	}
}
