//go:build !nosign

package runtime

import (
	"crypto/ed25519"

	"github.com/sparse-implicit/sim/format/simb"
)

// LoadSigned is Load for a file that must be signed with the private half of publicKey (`simc keygen`,
// `simc sign`). The signature is checked before anything of the file is believed but where it is and what
// the file's digest is; then WithMinSequence; then all that Load checks.
//
// A file that is not signed, signed with another key, or whose content is not what was signed is an
// ErrSignature; one that is older than WithMinSequence allows a *StaleError; a key that is not 32 bytes long
// ErrKey. The other errors are those of Load.
//
// The build tag nosign leaves LoadSigned out, with crypto/ed25519: about 75 KB of a program.
func LoadSigned(data []byte, publicKey ed25519.PublicKey, options ...Option) (*Model, error) {
	c := newConfig(options)
	file, err := simb.OpenSigned(data, publicKey, c.limits...)
	if err != nil {
		return nil, err
	}
	if sequence := file.Meta().Sequence; sequence < c.least {
		return nil, &StaleError{Sequence: sequence, Least: c.least}
	}
	return loaded(file, c)
}

// ErrKey is a key that is not one of Ed25519.
var ErrKey = simb.ErrKey

// ParsePublicKey reads the content of a public key's file, as `simc keygen` writes it: for go:embed. Anything
// else is an ErrKey.
func ParsePublicKey(text []byte) (ed25519.PublicKey, error) { return simb.ParsePublicKey(text) }
