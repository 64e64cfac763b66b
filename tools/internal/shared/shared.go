// Package shared finds the data that tests use in place: real networks and data sets that lie beside the
// repository and are never copied into it. Tests that need them skip, saying so, where they are absent.
package shared

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Path returns the path of a file or folder of the shared data, or skips the test when it is not there.
func Path(t testing.TB, elements ...string) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(here), "..", "..", "..", "..", "shared", "data")
	path := filepath.Join(append([]string{root}, elements...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not here: it is read in place from ../shared/data, never copied", filepath.Join(elements...))
	}
	return path
}
