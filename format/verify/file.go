package verify

import (
	"crypto/ed25519"

	"github.com/sparse-implicit/sim/format/simb"
)

// A file is opened with the limits of simb.Open, and may have no more weights than this: checking one takes
// some dozens of bytes, and runs let a file of kilobytes have millions.
const (
	weightsPerByte = 8 // of the file; the smallest coding of weights that differ at all takes a bit each
	weightsAtLeast = 1 << 20
)

// File opens a compiled model and checks everything that it claims. The error is that of simb.Open, for
// bytes that cannot be opened at all; a file that opens but claims too much gives a report that is not OK.
func File(data []byte, o Options) (*Report, error) {
	most := min(weightsAtLeast+weightsPerByte*len(data), simb.DefaultLimits().Nonzeros)
	limits := append([]simb.Option{simb.WithMaxNonzeros(most)}, o.Open...)
	f, err := simb.Open(data, limits...)
	if err != nil {
		return nil, err
	}
	r := check(f.Model(), &declared{f.RAMBytes(), f.MACs()}, o)
	opened := passed("digest", "%d bytes: structure, checksums and SHA-256 are right", len(data))
	signed := signature(f, o.PublicKey)
	r.Checks = append([]Check{opened, signed}, r.Checks...)
	r.OK = r.OK && signed.OK
	return r, nil
}

// signature checks whose file it is, where a key says whose it must be.
func signature(f *simb.File, key ed25519.PublicKey) Check {
	const name = "signature"
	switch {
	case key == nil && !f.Signed():
		return passed(name, "not signed")
	case key == nil:
		return passed(name, "signed, sequence %d; whose it is, a public key would tell", f.Meta().Sequence)
	}
	if err := simb.VerifySignature(f, key); err != nil {
		return failed(name, "%s", err)
	}
	return passed(name, "made with this key over this content, sequence %d", f.Meta().Sequence)
}
