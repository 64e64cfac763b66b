//go:build !nosign

package simb

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"strings"
)

// A key file is one line: what it is, a blank, and 32 bytes as 64 hexadecimal digits, which are the public
// key, or the seed of a private key (both as in RFC 8032).
const (
	publicKeyPrefix  = "sim-ed25519-public "
	privateKeyPrefix = "sim-ed25519-private "
)

// FormatPublicKey returns the content of the file of a public key.
func FormatPublicKey(key ed25519.PublicKey) []byte {
	return []byte(publicKeyPrefix + hex.EncodeToString(key) + "\n")
}

// FormatPrivateKey returns the content of the file of a private key. It is a secret.
func FormatPrivateKey(key ed25519.PrivateKey) []byte {
	return []byte(privateKeyPrefix + hex.EncodeToString(key.Seed()) + "\n")
}

// ParsePublicKey reads the file of a public key. Anything else, a private key too, is an ErrKey.
func ParsePublicKey(text []byte) (ed25519.PublicKey, error) {
	if strings.HasPrefix(string(text), privateKeyPrefix) {
		return nil, fmt.Errorf("it is the private key, which stays where models are signed; give the public one: %w", ErrKey)
	}
	return parseKey(text, publicKeyPrefix)
}

// ParsePrivateKey reads the file of a private key. Anything else is an ErrKey.
func ParsePrivateKey(text []byte) (ed25519.PrivateKey, error) {
	if strings.HasPrefix(string(text), publicKeyPrefix) {
		return nil, fmt.Errorf("it is the public key; give the private one: %w", ErrKey)
	}
	seed, err := parseKey(text, privateKeyPrefix)
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// parseKey reads the 32 bytes behind a prefix. What it refuses it does not repeat: it may be a secret.
func parseKey(text []byte, prefix string) ([]byte, error) {
	digits, found := strings.CutPrefix(string(text), prefix)
	if !found {
		return nil, fmt.Errorf("it does not begin with %q: %w", prefix, ErrKey)
	}
	digits = strings.TrimSuffix(strings.TrimSuffix(digits, "\n"), "\r")
	if len(digits) != 2*ed25519.PublicKeySize {
		return nil, fmt.Errorf("%d characters after %q, not %d: %w", len(digits), prefix, 2*ed25519.PublicKeySize, ErrKey)
	}
	key, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("what follows %q is not hexadecimal: %w", prefix, ErrKey)
	}
	return key, nil
}
