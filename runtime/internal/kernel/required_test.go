package kernel

import (
	"os"
	"strings"
	"testing"
)

// requiredVariable names the kernels, with commas between, that must have been compared with the portable
// one: CI sets it, so that a kernel that silently is not there fails.
const requiredVariable = "SIM_REQUIRE_KERNELS"

// requireCompared holds the comparisons of each engine against SIM_REQUIRE_KERNELS.
func requireCompared(t *testing.T, compared map[string]int) {
	t.Helper()
	for name := range strings.FieldsFuncSeq(os.Getenv(requiredVariable), func(r rune) bool { return r == ',' || r == ' ' }) {
		if compared[name] == 0 {
			t.Errorf("%s names %q, which was not compared; this processor has %v", requiredVariable, name, Names())
		}
	}
	t.Logf("programs compared: %v", compared)
}
