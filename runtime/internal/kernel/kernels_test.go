package kernel

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// SIM_REQUIRE_KERNELS lists kernels, separated by commas, that this machine must be able to run: so that
// a run of the tests that is there to test a kernel cannot pass without it.
func TestRequiredKernelsRan(t *testing.T) {
	required := os.Getenv("SIM_REQUIRE_KERNELS")
	if required == "" {
		t.Skipf("SIM_REQUIRE_KERNELS is not set; this machine runs %v", Names())
	}
	for name := range strings.SplitSeq(required, ",") {
		if !slices.Contains(Names(), name) {
			t.Errorf("kernel %q is required, but only %v can run here", name, Names())
		}
	}
}

// compared counts the programs by which compare has compared each engine with the portable kernel.
var compared = map[string]int{}

// requireCompared is for the end of a test that compares: what SIM_REQUIRE_KERNELS lists must have been, but for the
// portable kernel, with which all are.
func requireCompared(t *testing.T) {
	t.Helper()
	for name := range strings.FieldsFuncSeq(os.Getenv("SIM_REQUIRE_KERNELS"), func(r rune) bool { return r == ',' }) {
		if name != Portable && compared[name] == 0 {
			t.Errorf("kernel %q is required and was not compared", name)
		}
	}
	t.Logf("programs compared: %v", compared)
}
