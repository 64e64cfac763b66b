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
