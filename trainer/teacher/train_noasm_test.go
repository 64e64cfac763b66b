//go:build !amd64 || noasm || purego

package teacher

import "testing"

func withoutAssembly(t *testing.T, _ func()) {
	t.Helper()
	t.Skip("built without assembly: only the generic kernels are here")
}
