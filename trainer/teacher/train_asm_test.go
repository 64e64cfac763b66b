//go:build amd64 && !noasm && !purego

package teacher

import "testing"

// withoutAssembly runs f on the generic kernels.
func withoutAssembly(t *testing.T, f func()) {
	t.Helper()
	if !haveAVX2 {
		t.Skip("the processor has no AVX2: only the generic kernels are here")
	}
	haveAVX2 = false
	defer func() { haveAVX2 = true }()
	f()
}
