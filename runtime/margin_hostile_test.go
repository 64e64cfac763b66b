package runtime

import (
	"errors"
	"math"
	"testing"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

// askMargins loads data WithMargins in both ways and asks: whatever the file claims, both ways agree to the bit,
// no number is NaN or negative, and the class is that of Decide. It reports whether a radius could be asked for.
func askMargins(t testing.TB, data []byte) bool {
	t.Helper()
	limits := []Option{WithMargins(), WithMaxOperations(1 << 20), WithMaxInputs(1 << 12), WithMaxStates(1 << 12), WithMaxOutputs(1 << 9)}
	packed, err := Load(data, limits...)
	inPlace, inPlaceErr := Load(data, append(limits, WithInPlace())...)
	if err != nil || inPlaceErr != nil {
		return false
	}
	asked := false
	for k := range 3 {
		src := make([]float32, packed.Inputs())
		for _, in := range packed.inputs {
			src[in.Source] = float32(float64(in.Lo) + float64(float64(k)/2*(float64(in.Hi)-float64(in.Lo))))
		}
		var answers [2]Margin
		for w, model := range []*Model{packed, inPlace} {
			s := model.NewSession()
			m, err := s.Margin(src)
			if errors.Is(err, ErrNoMargin) || errors.Is(err, ErrNoDecision) {
				return asked
			}
			if err != nil {
				t.Fatal(err)
			}
			answers[w], asked = m, true
			if class, err := s.Decide(src); err != nil || class != m.Class {
				t.Fatalf("class %d, Decide says %d (%v)", m.Class, class, err)
			}
			if !(m.BoxRadius >= 0) || !(m.Radius >= m.BoxRadius) || !(m.Lead >= 0) || m.Unsaturated != (m.Radius > m.BoxRadius) || math.IsNaN(m.Radius) {
				t.Fatalf("%+v", m)
			}
		}
		if answers[0] != answers[1] {
			t.Fatalf("%+v, in place %+v", answers[0], answers[1])
		}
	}
	return asked
}

// TestMarginsOfAnyFile asks random files of every kind, those of untrue claims too, and mutated ones whose
// checksums are right.
func TestMarginsOfAnyFile(t *testing.T) {
	files := 160
	if testing.Short() {
		files = 40
	}
	valid, mutated := 0, 0
	for seed := range uint64(files) {
		rng := simbtest.NewRand(seed)
		m := simbtest.Random(rng, simbtest.Options{Outputs: 3, Derived: seed%2 == 0, NoLoops: seed%4 == 0})
		if seed%8 == 0 && m.Certificates.Lipschitz != nil { // claims that float64 can only just hold
			for k := range m.Certificates.GainResidual {
				m.Certificates.GainResidual[k] = math.MaxFloat32
			}
		}
		for _, codec := range []simb.Codec{simb.CodecRaw, simb.CodecPacked} {
			data := encode(t, m, codec)
			if askMargins(t, data) {
				valid++
			}
			for range 5 {
				if askMargins(t, simbtest.FixChecksums(simbtest.Mutate(rng, data))) {
					mutated++
				}
			}
		}
	}
	t.Logf("%d files and %d mutated ones answered", valid, mutated)
	if valid < files/3 || mutated < files/3 {
		t.Error("too few to tell anything")
	}
}

func FuzzMargins(f *testing.F) {
	for seed := range uint64(12) {
		m := simbtest.Random(simbtest.NewRand(seed), simbtest.Options{Outputs: 3, Derived: seed%2 == 0, NoLoops: seed%4 == 0})
		f.Add(encode(f, m, []simb.Codec{simb.CodecRaw, simb.CodecPacked}[seed%2]))
	}
	f.Fuzz(func(t *testing.T, data []byte) { askMargins(t, simbtest.FixChecksums(data)) })
}
