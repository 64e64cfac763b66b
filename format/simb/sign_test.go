//go:build !nosign

package simb_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

// testKey returns a key whose seed is known to everybody.
func testKey(n byte) (ed25519.PublicKey, ed25519.PrivateKey) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	return private.Public().(ed25519.PublicKey), private
}

func sign(t testing.TB, data []byte, key ed25519.PrivateKey) []byte {
	t.Helper()
	signed, err := simb.Sign(data, key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// Field ids of SPEC.md.
const idDigest, idSignature, idSignatureCRC, idSequence = 4, 5, 6, 22

// part returns the bytes of a field, scalar or vector.
func part(t testing.TB, data []byte, id int) []byte {
	t.Helper()
	layout, ok := simbtest.Parse(data)
	if !ok {
		t.Fatal("no compiled model")
	}
	at := layout.Vectors[id]
	if at[0] == 0 {
		at = layout.Fields[id]
	}
	if at[0] == at[1] {
		t.Fatalf("field %d is absent", id)
	}
	return data[at[0]:at[1]]
}

func fixSignatureCRC(t testing.TB, data []byte) {
	binary.LittleEndian.PutUint32(part(t, data, idSignatureCRC), crc32.Checksum(part(t, data, idSignature), crc32.MakeTable(crc32.Castagnoli)))
}

// TestASignatureIsWhatTheSpecificationSays takes a signed file apart without the package's own code.
func TestASignatureIsWhatTheSpecificationSays(t *testing.T) {
	public, private := testKey(1)
	for seed := range uint64(30) {
		for _, codec := range codecs {
			plain := encode(t, simbtest.Random(simbtest.NewRand(seed), simbtest.Options{Derived: seed%3 == 0}), codec)
			signed := sign(t, plain, private)
			blank := bytes.Clone(signed)
			for _, id := range []int{idDigest, idSignature, idSignatureCRC} {
				clear(part(t, blank, id))
			}
			digest := sha256.Sum256(blank)
			if !bytes.Equal(digest[:], part(t, signed, idDigest)) {
				t.Fatalf("seed %d, codec %d: the digest is not that of the file", seed, codec)
			}
			if !ed25519.Verify(public, append([]byte("simb signature 1"), digest[:]...), part(t, signed, idSignature)) {
				t.Fatalf("seed %d, codec %d: the signature is not of the digest", seed, codec)
			}
			again := bytes.Clone(signed)
			fixSignatureCRC(t, again)
			if !bytes.Equal(again, signed) {
				t.Fatalf("seed %d, codec %d: the checksum is not that of the signature", seed, codec)
			}
			file := open(t, signed)
			if err := simb.VerifySignature(file, public); err != nil || !file.Signed() {
				t.Fatalf("seed %d, codec %d: %v, signed %v", seed, codec, err, file.Signed())
			}
			if got := encode(t, file.Model(), codec); !bytes.Equal(got, plain) {
				t.Fatalf("seed %d, codec %d: signing changed what the file means", seed, codec)
			}
		}
	}
}

func TestSigningAgainReplacesTheSignature(t *testing.T) {
	public, private := testKey(1)
	other, otherPrivate := testKey(2)
	plain := small(t, simb.CodecPacked)
	once := sign(t, plain, private)
	if twice := sign(t, once, private); !bytes.Equal(once, twice) {
		t.Error("the same key gives other bytes the second time")
	}
	replaced := sign(t, once, otherPrivate)
	if len(replaced) != len(once) || !bytes.Equal(replaced, sign(t, plain, otherPrivate)) {
		t.Error("the signature before leaves a trace")
	}
	if err := simb.VerifySignature(open(t, replaced), other); err != nil {
		t.Error(err)
	}
	if err := simb.VerifySignature(open(t, replaced), public); !errors.Is(err, simb.ErrSignature) {
		t.Errorf("the key before: %v", err)
	}
}

func TestSequenceIsSetAndTheSignatureGoes(t *testing.T) {
	_, private := testKey(1)
	m := simbtest.Random(simbtest.NewRand(3), simbtest.Options{})
	m.Sequence = 41
	signed := sign(t, encode(t, m, simb.CodecRaw), private)
	for _, sequence := range []uint64{42, 0, 1<<64 - 1} {
		data, err := simb.SetSequence(signed, sequence)
		if err != nil {
			t.Fatal(err)
		}
		m.Sequence = sequence
		if !bytes.Equal(data, encode(t, m, simb.CodecRaw)) {
			t.Errorf("sequence %d: not the file that Encode writes", sequence)
		}
	}
	if _, err := simb.SetSequence(signed[:len(signed)-1], 1); err == nil {
		t.Error("a cut file gets a sequence")
	}
}

// TestWhoeverChangesASignedFileIsFound: what somebody without the private key can do to a file, with every
// checksum made right again.
func TestWhoeverChangesASignedFileIsFound(t *testing.T) {
	public, private := testKey(1)
	_, foreign := testKey(2)
	m := simbtest.Random(simbtest.NewRand(5), simbtest.Options{Width: quant.Width7, SelfTests: 1})
	m.Sequence = 7
	plain := encode(t, m, simb.CodecRaw)
	signed := sign(t, plain, private)
	if _, err := simb.OpenSigned(signed, public); err != nil {
		t.Fatal(err)
	}
	m.Sequence = 8
	newer := sign(t, encode(t, m, simb.CodecRaw), private)
	change := func(data []byte, edit func([]byte)) []byte {
		data = bytes.Clone(data)
		edit(data)
		return data
	}
	for _, c := range []struct {
		name string
		data []byte
		says string
		open bool // without a key it opens
	}{
		{"stripped", plain, "not signed", true},
		{"foreign", sign(t, plain, foreign), "this key", true},
		{"stale: older content, its digest redone, the newer signature", change(signed, func(d []byte) {
			copy(part(t, d, idSignature), part(t, newer, idSignature))
			fixSignatureCRC(t, d)
		}), "this content", true},
		{"the counter lowered, the digest redone", simbtest.FixDigest(change(signed, func(d []byte) { part(t, d, idSequence)[0] = 6 })), "this content", true},
		{"the counter raised, the digest redone", simbtest.FixDigest(change(signed, func(d []byte) { part(t, d, idSequence)[0] = 99 })), "this content", true},
		{"a flipped bit of the signature", change(signed, func(d []byte) { part(t, d, idSignature)[9] ^= 4 }), "checksum", false},
		{"a flipped bit of the signature, its checksum redone", change(signed, func(d []byte) {
			part(t, d, idSignature)[9] ^= 4
			fixSignatureCRC(t, d)
		}), "this key", true},
		{"zeros for a signature", change(signed, func(d []byte) {
			clear(part(t, d, idSignature))
			fixSignatureCRC(t, d)
		}), "this key", true},
	} {
		_, err := simb.OpenSigned(c.data, public)
		if !errors.Is(err, simb.ErrSignature) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, must say %q", c.name, err, c.says)
		}
		if file, err := simb.Open(c.data); (err == nil) != c.open {
			t.Errorf("%s: opened without a key: %v", c.name, err)
		} else if err == nil && simb.VerifySignature(file, public) == nil {
			t.Errorf("%s: the signature holds", c.name)
		}
	}
}

// TestNoByteOfASignedFileCanChange flips every byte of a signed file and puts the digest right: nothing
// but the digest and the signature's own checksum are left for others to stand for.
func TestNoByteOfASignedFileCanChange(t *testing.T) {
	public, private := testKey(1)
	data := sign(t, small(t, simb.CodecPacked), private)
	digest := part(t, data, idDigest)
	for at := range data {
		bad := bytes.Clone(data)
		bad[at] ^= 1 << (at % 8)
		bad = simbtest.FixDigest(bad)
		if bytes.Equal(bad, data) { // a bit of the digest, put right
			continue
		}
		if _, err := simb.OpenSigned(bad, public); err == nil {
			t.Errorf("byte %d flipped: accepted", at)
		}
	}
	if len(digest) != 32 {
		t.Error("no digest")
	}
}

// TestNothingIsReadBeforeTheSignature: a file that is wrong in every later respect is refused for its signature.
func TestNothingIsReadBeforeTheSignature(t *testing.T) {
	public, private := testKey(1)
	data := sign(t, small(t, simb.CodecRaw), private)
	part(t, data, 12)[3] = 0xFF // billions of inputs
	data = simbtest.FixDigest(data)
	if _, err := simb.Open(data); !errors.Is(err, simb.ErrTooLarge) {
		t.Fatalf("without a key: %v", err)
	}
	if _, err := simb.OpenSigned(data, public); !errors.Is(err, simb.ErrSignature) {
		t.Errorf("with a key: %v", err)
	}
}

func TestWrongKeysAreRefused(t *testing.T) {
	public, private := testKey(1)
	plain := small(t, simb.CodecRaw)
	signed := sign(t, plain, private)
	mixed := append(bytes.Clone(private[:32]), bytes.Repeat([]byte{1}, 32)...)
	for name, key := range map[string]ed25519.PrivateKey{"none": nil, "short": private[:63], "long": append(bytes.Clone(private), 0), "seed": private[:32], "mixed halves": mixed} {
		if _, err := simb.Sign(plain, key); !errors.Is(err, simb.ErrKey) {
			t.Errorf("private key, %s: %v", name, err)
		}
	}
	for name, key := range map[string]ed25519.PublicKey{"none": nil, "short": public[:31], "long": append(bytes.Clone(public), 0)} {
		if _, err := simb.OpenSigned(signed, key); !errors.Is(err, simb.ErrKey) {
			t.Errorf("public key, %s: %v", name, err)
		}
	}
	if _, err := simb.Sign(plain[:len(plain)-1], private); !errors.Is(err, simb.ErrCorrupt) {
		t.Errorf("a cut file was signed: %v", err)
	}
	if _, err := simb.Sign(plain, private, simb.WithMaxBytes(10)); !errors.Is(err, simb.ErrTooLarge) {
		t.Errorf("beyond the limits: %v", err)
	}
}

func TestKeyFilesAreReadAsTheyAreWritten(t *testing.T) {
	public, private := testKey(9)
	publicText, privateText := simb.FormatPublicKey(public), simb.FormatPrivateKey(private)
	// RFC 8032's seed of thirty-two nines, in the format that keygen writes: it never changes.
	if want := "sim-ed25519-private " + strings.Repeat("09", 32) + "\n"; string(privateText) != want {
		t.Errorf("%q", privateText)
	}
	if want := "sim-ed25519-public " + hex.EncodeToString(public) + "\n"; string(publicText) != want {
		t.Errorf("%q", publicText)
	}
	for _, end := range []string{"\n", "\r\n", ""} {
		line := func(text []byte) []byte { return append(bytes.TrimSuffix(text, []byte("\n")), end...) }
		if got, err := simb.ParsePublicKey(line(bytes.Clone(publicText))); err != nil || !got.Equal(public) {
			t.Errorf("ending %q: %v", end, err)
		}
		if got, err := simb.ParsePrivateKey(line(bytes.Clone(privateText))); err != nil || !got.Equal(private) {
			t.Errorf("ending %q: %v", end, err)
		}
	}
	secret := strings.Repeat("09", 32)
	for name, text := range map[string]string{
		"empty": "", "a word": "key", "no prefix": secret, "short": "sim-ed25519-private " + secret[2:], "long": "sim-ed25519-private " + secret + "00",
		"two lines": "sim-ed25519-private " + secret + "\n\n", "blanks": " sim-ed25519-private " + secret, "no hexadecimal": "sim-ed25519-private " + secret[:62] + "xy",
		"the other half": string(publicText), "another kind": "sim-rsa-private " + secret,
	} {
		if _, err := simb.ParsePrivateKey([]byte(text)); !errors.Is(err, simb.ErrKey) || strings.Contains(err.Error(), secret[:40]) {
			t.Errorf("private, %s: %v", name, err)
		}
	}
	if _, err := simb.ParsePublicKey(privateText); !errors.Is(err, simb.ErrKey) || !strings.Contains(err.Error(), "private") {
		t.Errorf("the private key for the public one: %v", err)
	}
}

// FuzzKeyFiles: what is read as a key is written as it was read, but for the end of the line.
func FuzzKeyFiles(f *testing.F) {
	public, private := testKey(9)
	f.Add(simb.FormatPublicKey(public))
	f.Add(simb.FormatPrivateKey(private))
	f.Add([]byte("sim-ed25519-public \n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		line := bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
		if key, err := simb.ParsePublicKey(text); err == nil && !bytes.EqualFold(simb.FormatPublicKey(key), append(line, '\n')) {
			t.Errorf("%q was read as %x", text, key)
		} else if err != nil && !errors.Is(err, simb.ErrKey) {
			t.Error(err)
		}
		if key, err := simb.ParsePrivateKey(text); err == nil && !bytes.EqualFold(simb.FormatPrivateKey(key), append(line, '\n')) {
			t.Errorf("%q was read as a private key", text)
		} else if err != nil && !errors.Is(err, simb.ErrKey) {
			t.Error(err)
		}
	})
}

// FuzzSignedFiles: no change to a signed file opens with the key, other than none.
func FuzzSignedFiles(f *testing.F) {
	public, private := testKey(1)
	data := sign(f, small(f, simb.CodecPacked), private)
	f.Add(uint32(0), []byte{1})
	f.Add(uint32(len(data)/2), []byte{0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, at uint32, mask []byte) {
		bad := bytes.Clone(data)
		for k, b := range mask {
			bad[(int(at%uint32(len(bad)))+k)%len(bad)] ^= b
		}
		bad = simbtest.FixDigest(bad)
		if file, err := simb.OpenSigned(bad, public); err == nil && !bytes.Equal(bad, data) {
			t.Errorf("accepted, sequence %d", file.Meta().Sequence)
		}
	})
}
