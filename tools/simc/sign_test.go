package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

// signedSmall compiles a small model and signs it with a new key, as r.simb; m.simb stays as it was.
func signedSmall(t *testing.T) (in func(string) string) {
	t.Helper()
	dir := t.TempDir()
	in = func(name string) string { return filepath.Join(dir, name) }
	must(t, "compile", mustWrite(t, in("m.sim"), encodedSmall(t)), "-q")
	must(t, "keygen", "-o", in("k"))
	must(t, "keygen", "-o", in("other"))
	must(t, "sign", in("m.simb"), "--key", in("k.key"), "--sequence", "7", "-o", in("r.simb"))
	return in
}

func TestKeygenSignVerifyInspect(t *testing.T) {
	in := signedSmall(t)
	if info, err := os.Stat(in("k.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the private key: %v, %v", info.Mode(), err)
	}
	must(t, "verify", in("r.simb"), "--key", in("k.pub"))
	if text := must(t, "verify", in("r.simb")); !strings.Contains(text, "signed, sequence 7") {
		t.Errorf("without a key:\n%s", text)
	}
	if text := must(t, "verify", in("m.simb")); !strings.Contains(text, "not signed") {
		t.Errorf("without a signature:\n%s", text)
	}
	facts := object[map[string]any](t, "inspect", in("r.simb"))
	if facts["signed"] != true || facts["sequence"] != 7.0 {
		t.Errorf("inspect: signed %v, sequence %v", facts["signed"], facts["sequence"])
	}
	// In place, over a signature: the new one, the same sequence, nothing left behind.
	before := must(t, "sign", in("r.simb"), "--key", in("other.key"))
	if !strings.Contains(before, "sequence 7") {
		t.Errorf("signed again: %s", before)
	}
	must(t, "verify", in("r.simb"), "--key", in("other.pub"))
	left, err := filepath.Glob(in(".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	_, _, stderr := simc("sign", in("r.simb"), "--key", in("k.key"), "--sequence", "6")
	if !strings.Contains(stderr, "had the sequence 7") {
		t.Errorf("a sequence lowered without a word: %q", stderr)
	}
}

func TestKeysAreNeverOverwritten(t *testing.T) {
	dir := t.TempDir()
	for _, exists := range []string{"a.key", "b.pub"} {
		path := mustWrite(t, filepath.Join(dir, exists), []byte("mine"))
		name := strings.TrimSuffix(path, filepath.Ext(path))
		if code, _, stderr := simc("keygen", "-o", name); code != exitUsage || !strings.Contains(stderr, "never overwritten") {
			t.Errorf("%s: code %d, %q", exists, code, stderr)
		}
		if content, err := os.ReadFile(path); err != nil || string(content) != "mine" {
			t.Errorf("%s: %q, %v", exists, content, err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("half a pair was written: %v", left)
	}
	if err := writeNew(filepath.Join(dir, "a.key"), nil, 0o600); exitCode(err) != exitUsage {
		t.Errorf("in the last moment: %v", err)
	}
}

// TestWhatIsNotSignedAsItShouldIsRefused: each file opens and verifies without a key, none with it.
func TestWhatIsNotSignedAsItShouldIsRefused(t *testing.T) {
	in := signedSmall(t)
	signed, err := os.ReadFile(in("r.simb"))
	if err != nil {
		t.Fatal(err)
	}
	stale, err := simb.SetSequence(signed, 6)
	if err != nil {
		t.Fatal(err)
	}
	lowered := bytes.Clone(signed)
	layout, _ := simbtest.Parse(lowered)
	lowered[layout.Fields[22][0]] = 6 // the sequence, in SPEC.md's table
	lowered = simbtest.FixDigest(lowered)
	short := []byte("sim-ed25519-public 0123\n")
	private, err := os.ReadFile(in("k.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"stripped", []string{"verify", in("m.simb"), "--key", in("k.pub")}, 3, "signature"},
		{"foreign", []string{"verify", in("r.simb"), "--key", in("other.pub")}, 3, "signature"},
		{"stale", []string{"verify", mustWrite(t, in("stale.simb"), stale), "--key", in("k.pub")}, 3, "signature"},
		{"counter lowered, digest redone", []string{"verify", mustWrite(t, in("lowered.simb"), lowered), "--key", in("k.pub")}, 3, "signature"},
		{"no such key", []string{"verify", in("r.simb"), "--key", in("none.pub")}, 2, "no such file"},
		{"a key cut short", []string{"verify", in("r.simb"), "--key", mustWrite(t, in("short.pub"), short)}, 3, "4 characters"},
		{"the private key to verify", []string{"verify", in("r.simb"), "--key", in("k.key")}, 3, "private key"},
		{"the public key to sign", []string{"sign", in("m.simb"), "--key", in("k.pub"), "-o", in("out")}, 3, "public key"},
		{"a model for a key", []string{"sign", in("m.simb"), "--key", in("m.simb"), "-o", in("out")}, 3, "sim-ed25519-private"},
		{"a spoilt private key", []string{"sign", in("m.simb"), "--key", mustWrite(t, in("x.key"), bytes.Replace(private, []byte(" "), []byte(" x"), 1)), "-o", in("out")}, 3, "65 characters"},
		{"no key", []string{"sign", in("m.simb"), "-o", in("out")}, 2, "--key is missing"},
		{"a key that would be overwritten", []string{"sign", in("m.simb"), "--key", in("k.key"), "-o", in("k.key")}, 2, "would be overwritten"},
		{"a negative sequence", []string{"sign", in("m.simb"), "--key", in("k.key"), "--sequence", "-1", "-o", in("out")}, 2, "sequence"},
		{"a float model", []string{"sign", in("m.sim"), "--key", in("k.key"), "-o", in("out")}, 3, "not a compiled model"},
		{"a cut file", []string{"sign", mustWrite(t, in("cut.simb"), signed[:len(signed)-1]), "--key", in("k.key"), "-o", in("out")}, 3, "corrupt"},
		{"keys into no folder", []string{"keygen", "-o", in("none/k")}, 2, "no such folder"},
		{"keygen with an argument", []string{"keygen", "k"}, 2, "usage: simc keygen"},
	} {
		code, _, stderr := simc(c.args...)
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: code %d, want %d; %q must say %q", c.name, code, c.code, stderr, c.says)
		}
		if digits := string(private[len(private)-40 : len(private)-1]); strings.Contains(stderr, digits) {
			t.Errorf("%s: the message holds the secret", c.name)
		}
		if _, err := os.Stat(in("out")); err == nil {
			t.Errorf("%s: a file was written", c.name)
		}
	}
}
