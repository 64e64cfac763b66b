package verify

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/simb"
)

// TestASignatureIsReportedInItsPlace: a check of its own, behind the digest, that nothing else stands in for.
func TestASignatureIsReportedInItsPlace(t *testing.T) {
	p := build(21, shapes[0])
	p.file.Sequence = 4
	plain, err := simb.Encode(p.file, simb.EncodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	signed, err := simb.Sign(plain, private)
	if err != nil {
		t.Fatal(err)
	}
	stale, err := simb.SetSequence(signed, 5)
	if err != nil {
		t.Fatal(err)
	}
	key := private.Public().(ed25519.PublicKey)
	foreign := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	for _, c := range []struct {
		name string
		data []byte
		key  ed25519.PublicKey
		ok   bool
		says string
	}{
		{"not signed, no key", plain, nil, true, "not signed"},
		{"signed, no key", signed, nil, true, "signed, sequence 4"},
		{"signed", signed, key, true, "this key"},
		{"stripped", plain, key, false, "not signed"},
		{"changed, the signature gone", stale, key, false, "not signed"},
		{"of another key", signed, foreign, false, "this key"},
		{"a key that is none", signed, key[:5], false, "32 bytes"},
	} {
		r, err := File(c.data, Options{PublicKey: c.key})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		check := r.Checks[1]
		if check.Name != "signature" || check.OK != c.ok || !strings.Contains(check.Detail, c.says) {
			t.Errorf("%s: %+v, must say %q", c.name, check, c.says)
		}
		if r.OK != c.ok || !c.ok && !slices.Equal(r.Failed(), []string{"signature"}) {
			t.Errorf("%s: OK is %v, refused by %v", c.name, r.OK, r.Failed())
		}
	}
}
