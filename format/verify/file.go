package verify

import (
	"fmt"

	"github.com/sparse-implicit/sim/format/simb"
)

// File opens a compiled model and checks everything that it claims. The error is that of simb.Open, for
// bytes that cannot be opened at all; a file that opens but claims too much gives a report that is not OK.
func File(data []byte, o Options) (*Report, error) {
	f, err := simb.Open(data)
	if err != nil {
		return nil, fmt.Errorf("no compiled model to check: %w", err)
	}
	r := check(f.Model(), &declared{f.RAMBytes(), f.MACs()}, o)
	opened := passed("digest", "%d bytes: structure, checksums and SHA-256 are right", len(data))
	r.Checks = append([]Check{opened}, r.Checks...)
	return r, nil
}
