//go:build !nosign

package runtime

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
)

// signedModel returns a signed file of a model with a sequence, and the key.
func signedModel(t testing.TB, m *simb.Model, sequence uint64, seed byte) ([]byte, ed25519.PublicKey) {
	t.Helper()
	m.Sequence = sequence
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	data, err := simb.Sign(encode(t, m, simb.CodecRaw), private)
	if err != nil {
		t.Fatal(err)
	}
	return data, private.Public().(ed25519.PublicKey)
}

func TestASignedModelLoadsAndRuns(t *testing.T) {
	m := someModel(quant.Width7, 3)
	data, key := signedModel(t, m, 12, 1)
	plan := randomPlan(&dice{1}, m)
	for name, options := range map[string][]Option{"packed": nil, "in place": {WithInPlace()}, "as old as is taken": {WithMinSequence(12)}} {
		model, err := LoadSigned(data, key, options...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if model.Sequence() != 12 {
			t.Errorf("%s: sequence %d", name, model.Sequence())
		}
		if diff := cmp.Diff(oracle(m, plan), run(model.NewSession(), plan)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if model, err := Load(data); err != nil || model.Sequence() != 12 {
		t.Errorf("without a key: %v", err)
	}
}

func TestLoadSignedRefusesAndNames(t *testing.T) {
	m := someModel(quant.Width7, 3)
	data, key := signedModel(t, m, 12, 1)
	_, otherKey := signedModel(t, m, 12, 2)
	newer, _ := signedModel(t, m, 13, 1)
	plain := encode(t, m, simb.CodecRaw)
	cut := data[:len(data)-1]
	load := func(data []byte, key ed25519.PublicKey, options ...Option) error {
		model, err := LoadSigned(data, key, options...)
		if (model == nil) != (err != nil) {
			t.Errorf("a model %v with the error %v", model, err)
		}
		return err
	}
	for _, c := range []struct {
		name string
		got  error
		want error
	}{
		{"not signed", load(plain, key), simb.ErrSignature},
		{"another key", load(data, otherKey), simb.ErrSignature},
		{"no key", load(data, nil), ErrKey},
		{"a key that is too short", load(data, key[1:]), ErrKey},
		{"cut", load(cut, key), simb.ErrCorrupt},
		{"older than is taken", load(data, key, WithMinSequence(13)), ErrStale},
		{"older than is taken and by another key", load(data, otherKey, WithMinSequence(13)), simb.ErrSignature},
		{"as new as is taken", load(newer, key, WithMinSequence(13)), nil},
		{"a limit of bytes", load(data, key, WithMaxBytes(100)), simb.ErrTooLarge},
		{"an unknown kernel", load(data, key, WithKernel("abacus")), ErrKernel},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	var stale *StaleError
	if err := load(data, key, WithMinSequence(99)); !errors.As(err, &stale) || stale.Sequence != 12 || stale.Least != 99 {
		t.Errorf("%v", err)
	}
	if _, err := Load(data, WithMinSequence(1)); !errors.Is(err, simb.ErrSignature) {
		t.Errorf("a counter that nobody checked was believed: %v", err)
	}
	if _, err := Load(plain, WithMinSequence(0)); err != nil {
		t.Error(err)
	}
}
