//go:build !nosign

package simb

import (
	"crypto/ed25519"
	"errors"
	"fmt"
)

// Importing crypto/ed25519 costs a small program about 75 KB, used or not, for the package tests itself
// when it is first called and the linker keeps all of that. The build tag `nosign` leaves out signing and
// what is signed: this file, keys.go, and LoadSigned of the runtime.

// ErrKey is a key that is not one of Ed25519: of a wrong length, or whose halves do not belong together.
var ErrKey = errors.New("not a key of Ed25519")

// signatureContext stands before the digest in what is signed. A signature of 32 bytes alone could be passed
// off as one made for something else with the same key: whoever signs a SHA-256 of a release of anything
// would sign the compiled model that a stranger slipped into it as that release.
const signatureContext = "simb signature 1"

// signedMessage returns what is signed: the context, then the digest.
func (f *frame) signedMessage() []byte {
	return append([]byte(signatureContext), f.bytes(fieldDigest)...)
}

// Sign returns a copy of a compiled model with an Ed25519 signature of its digest; one that it had is
// replaced. Only a file that Open accepts is signed, within the limits of the options.
//
// Errors: those of Open; ErrKey; ErrFeature for a file with fields of a later version, which would be lost.
func Sign(data []byte, key ed25519.PrivateKey, options ...Option) ([]byte, error) {
	if len(key) != ed25519.PrivateKeySize || !ed25519.NewKeyFromSeed(key.Seed()).Equal(key) {
		return nil, fmt.Errorf("a private key has %d bytes, the last half made of the first: %w", ed25519.PrivateKeySize, ErrKey)
	}
	file, err := Open(data, options...)
	if err != nil {
		return nil, err
	}
	// The digest covers that there is a signature, so there is one before it is taken.
	signed, err := file.frame.rewritten(func(c *frameContents) { c.setSignature(make([]byte, signatureSize)) })
	if err != nil {
		return nil, err
	}
	unsigned, err := parseFrame(signed)
	if err != nil {
		panic("unreachable: the writer's own frame is refused: " + err.Error())
	}
	signature := ed25519.Sign(key, unsigned.signedMessage())
	return unsigned.rewritten(func(c *frameContents) { c.setSignature(signature) })
}

// VerifySignature checks that a file carries a signature made with the private half of the key over exactly
// this content.
//
// Errors: ErrSignature when it has none, one by another key, or one of other content; ErrKey.
func VerifySignature(file *File, publicKey ed25519.PublicKey) error {
	return file.frame.verifySignature(publicKey)
}

func (f *frame) verifySignature(publicKey ed25519.PublicKey) error {
	if len(publicKey) != ed25519.PublicKeySize {
		return fmt.Errorf("a public key has %d bytes, not %d: %w", ed25519.PublicKeySize, len(publicKey), ErrKey)
	}
	signature := f.bytes(fieldSignature)
	if len(signature) != signatureSize {
		return signatureError("the file is not signed")
	}
	if !ed25519.Verify(publicKey, f.signedMessage(), signature) {
		return signatureError("it was not made with this key over this content")
	}
	return nil
}

// OpenSigned is Open for a file that must be signed with the private half of a key. Nothing but the frame
// and the digest is read before the signature holds: no count, no section, no sequence.
//
// Errors: those of Open; ErrSignature as VerifySignature has it; ErrKey.
func OpenSigned(data []byte, publicKey ed25519.PublicKey, options ...Option) (*File, error) {
	return open(data, func(f *frame) error { return f.verifySignature(publicKey) }, options)
}
