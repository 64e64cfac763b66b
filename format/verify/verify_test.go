package verify

import (
	"fmt"
	"testing"
)

func TestExactCertificatesPass(t *testing.T) {
	for _, s := range shapes {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%s/%d", s.name, seed), func(t *testing.T) {
				p := build(seed, s)
				r := Opened(p.file, Options{Against: p.source, Samples: 400, Seed: seed})
				for _, c := range r.Checks {
					if !c.OK {
						t.Errorf("%s: %s", c.Name, c.Detail)
					}
				}
				if !r.OK && len(r.Failed()) == 0 {
					t.Error("the report is not OK though no check failed")
				}
			})
		}
	}
}
