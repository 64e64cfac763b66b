package verify

import (
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/simb"
)

func TestFilesThatWereWrittenAndOpenedPassAsTheyDoInMemory(t *testing.T) {
	for _, s := range shapes {
		p := build(21, s)
		source := []byte("the bytes of a source")
		p.file.SourceHash = sha256.Sum256(source)
		data, err := simb.Encode(p.file, simb.EncodeOptions{})
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		r, err := File(data, Options{Against: p.source, SourceBytes: source, Samples: 50})
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if !r.OK {
			t.Errorf("%s: refused by %v", s.name, r.Failed())
		}
		want := []string{"digest", "signature", "structure", "schedule", "accumulators", "memory", "operations", "input-box", "limits", "tables",
			"well-posed", "reach", "error-box", "error-calibrated", "realised-box", "realised-calibrated", "lipschitz", "self-test", "source-hash", "dimensions", "activations",
			"residual-box", "residual-calibrated", "residual-wellposed", "residual-lipschitz", "error-relaxed", "error-relaxed-calibrated", "outputs-observed"}
		var names []string
		for _, c := range r.Checks {
			names = append(names, c.Name)
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: checks are %v, want %v", s.name, names, want)
		}
		if len(r.ErrorObserved) != 2 || !(r.ErrorObserved[0] > 0) {
			t.Errorf("%s: observed errors are %v", s.name, r.ErrorObserved)
		}
		p.file.Certificates.Box.Output[0] = shortNext(p.file.Certificates.Box.Output[0], -1)
		data, err = simb.Encode(p.file, simb.EncodeOptions{})
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if r, err = File(data, Options{}); err != nil || !slices.Equal(r.Failed(), []string{"error-box"}) {
			t.Errorf("%s: a file with a right digest that claims too much: %v, %v", s.name, r, err)
		}
	}
}

func TestBytesThatAreNoFileAreAnError(t *testing.T) {
	for _, data := range [][]byte{nil, []byte("SIMB"), make([]byte, 4096)} {
		if r, err := File(data, Options{}); err == nil || r != nil || !errors.Is(err, simb.ErrNotSimb) && !errors.Is(err, simb.ErrCorrupt) {
			t.Errorf("%d bytes: %v, %v", len(data), r, err)
		}
	}
}
