//go:build !noasm && !purego

package runtime

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/quant"
)

// maskedFeatures are what each kernel cannot do without.
var maskedFeatures = map[string][]string{
	"avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vbmi", "avx512vnni"},
}

// maskedChild makes TestOnAProcessorOfLess a child of itself: it prints its kernels, the one that Load takes
// and an inference's outputs.
const maskedChild = "SIM_MASKED_CHILD"

func TestOnAProcessorOfLess(t *testing.T) {
	m := imageModel(quant.Width7)
	if os.Getenv(maskedChild) != "" {
		model := variants(t, m)["best, three threads"]
		fmt.Printf("child: %s; %s; %v\n", strings.Join(Kernels(), " "), model.Kernel(), run(model.NewSession(), randomPlan(&dice{5}, m)).Outputs)
		return
	}
	want := fmt.Sprint(oracle(m, randomPlan(&dice{5}, m)).Outputs)
	for name, features := range maskedFeatures {
		if !slices.Contains(Kernels(), name) {
			t.Logf("skipped: this processor cannot run %s, with or without a feature masked", name)
			continue
		}
		for _, feature := range features {
			kernels, chosen, outputs := askMaskedChild(t, feature)
			if slices.Contains(strings.Fields(kernels), name) || chosen == name {
				t.Errorf("without %s there are the kernels %s, and %s is taken", feature, kernels, chosen)
			}
			if !strings.HasSuffix(kernels, "portable") || outputs != want {
				t.Errorf("without %s: kernels %s, outputs %s, want %s", feature, kernels, outputs, want)
			}
		}
	}
}

// askMaskedChild returns what a child says that golang.org/x/sys/cpu tells to be without a feature.
func askMaskedChild(t *testing.T, feature string) (kernels, chosen, outputs string) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestOnAProcessorOfLess$", "-test.v")
	child.Env = append(os.Environ(), maskedChild+"=1", KernelVariable+"=", "GODEBUG=cpu."+feature+"=off")
	said, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	_, line, found := strings.Cut(string(said), "child: ")
	line, _, _ = strings.Cut(line, "\n")
	parts := strings.SplitN(line, "; ", 3)
	if !found || len(parts) != 3 {
		t.Fatalf("the child says %q", said)
	}
	return parts[0], parts[1], parts[2]
}
