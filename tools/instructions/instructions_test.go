package main

import (
	"bytes"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/simb/simbtest"
	"github.com/sparse-implicit/sim/tools/internal/image"
)

// budgets are the most instructions per nonzero that an inference of the image model of 7 bits may take, all
// else of the inference included: what it took with Go 1.26 and 15 % for other versions of Go's compiler.
var budgets = []struct {
	machine
	kernel, entry string
	most          float64
}{
	{machine{"arm64", "cortex-a53"}, "neon", integers, 1.15 * 1.06},
	{machine{"arm64", "neoverse-n1"}, "neon-dot", integers, 1.15 * 0.88},
	{machine{"arm64", "cortex-a53"}, portable, integers, 1.15 * 12.64},
	{machine{"arm64", "cortex-a53"}, inPlace, integers, 1.15 * 18.80},
	{machine{"arm", "cortex-a7"}, portable, integers, 1.15 * 17.35},
	{machine{"arm", "cortex-a7"}, inPlace, integers, 1.15 * 27.14},
	{machine{"arm", "cortex-a7"}, portable, reals, 1.15 * 28.86}, // has no instruction that rounds
	{machine{"riscv64", "rv64"}, portable, integers, 1.15 * 15.45},
	{machine{"riscv64", "rv64"}, inPlace, integers, 1.15 * 19.04},
}

// emulated returns the probe for a machine and the image models, or skips the test.
func emulated(t *testing.T, m machine) (g guest, models []string) {
	t.Helper()
	folder := t.TempDir()
	g, err := m.build(t.Context(), folder)
	if errors.Is(err, errNoEmulator) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if models, err = image.Files(folder); err != nil {
		t.Fatal(err)
	}
	return g, models
}

func measuredOn(t *testing.T, g guest, model, kernel, entry string, count int, options ...string) measured {
	t.Helper()
	r, err := g.measure(t.Context(), model, kernel, entry, count, options...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAnInferenceStaysWithinItsBudgetOfInstructions(t *testing.T) {
	if testing.Short() {
		t.Skip("builds for other architectures and emulates them")
	}
	for _, budget := range budgets {
		t.Run(budget.arch+"/"+budget.kernel+"/"+budget.entry, func(t *testing.T) {
			g, models := emulated(t, budget.machine)
			r := measuredOn(t, g, models[0], budget.kernel, budget.entry, 3)
			took := r.perInference() / simbtest.ImageNonzeros
			t.Logf("%s: %.2f instructions per nonzero, budget %.2f", budget.cpu, took, budget.most)
			if took > budget.most {
				t.Errorf("%.2f instructions per nonzero, the budget is %.2f: see go run ./tools/instructions -functions", took, budget.most)
			}
			if took < 0.1 {
				t.Errorf("%.2f instructions per nonzero cannot be: something was not counted", took)
			}
		})
	}
}

// Emulated one instruction at a time, qemu's blocks have one instruction each: their number is the count.
func TestBlocksCountAsSingleStepsDo(t *testing.T) {
	if testing.Short() {
		t.Skip("builds for another architecture and emulates it")
	}
	g, models := emulated(t, machines[0])
	blocks := measuredOn(t, g, models[1], portable, integers, 2)
	steps := measuredOn(t, g, models[1], portable, integers, 2, "-singlestep")
	t.Logf("blocks %g, steps %g", blocks.perInference(), steps.perInference())
	if a, b := blocks.perInference(), steps.perInference(); math.Abs(a-b) > 1e-3*b {
		t.Errorf("%g instructions an inference by blocks, %g by single steps", a, b)
	}
	if blocks.checksum != steps.checksum || len(blocks.checksum) == 0 {
		t.Errorf("checksums %q and %q", blocks.checksum, steps.checksum)
	}
	more := measuredOn(t, g, models[1], portable, integers, 6)
	if a, b := blocks.perInference(), more.perInference(); math.Abs(a-b) > 5e-3*b {
		t.Errorf("%g instructions an inference when 2 are counted, %g when 6 are", a, b)
	}
	dot := slices.ContainsFunc(names(blocks), func(name string) bool { return strings.Contains(name, "kernel.dot32") })
	if !dot {
		t.Errorf("the dot product is not among the functions %q", names(blocks))
	}
}

func names(m measured) (names []string) {
	for name := range m.functions {
		names = append(names, name)
	}
	return names
}

// A log as qemu writes it: blocks of 1 to 4 instructions, two threads, a stop and the scheduler.
const someLog = `----------------
IN: main.begin
0x00000100:  d503201f  nop

Trace 0: 0x7f0000000100 [0000000000000000/0000000000000100/00000001/00000200] main.begin
----------------
IN: github.com/sparse-implicit/sim/runtime/internal/kernel.dot32[go.shape.uint8]
0x00000200:  d503201f  nop
0x00000204:  d503201f  nop
0x00000208:  d503201f  nop

Trace 0: 0x7f0000000200 [0000000000000000/0000000000000200/00000001/00000200] github.com/sparse-implicit/sim/runtime/internal/kernel.dot32[go.shape.uint8]
Trace 1: 0x7f0000000200 [0000000000000000/0000000000000200/00000001/00000200] github.com/sparse-implicit/sim/runtime/internal/kernel.dot32[go.shape.uint8]
Trace 0: 0x7f0000000200 [0000000000000000/0000000000000200/00000001/00000200] github.com/sparse-implicit/sim/runtime/internal/kernel.dot32[go.shape.uint8]
Stopped execution of TB chain before 0x7f0000000200 [0000000000000200] github.com/sparse-implicit/sim/runtime/internal/kernel.dot32[go.shape.uint8]
----------------
IN: runtime.morestack_noctxt.abi0
0x00000300:  d503201f  nop
0x00000304:  d503201f  nop

Trace 0: 0x7f0000000200 [0000000000000000/0000000000000300/00000001/00000200] runtime.morestack_noctxt.abi0
----------------
IN: runtime.memmove
0x00000400:  d503201f  nop
0x00000404:  d503201f  nop
0x00000408:  d503201f  nop
0x0000040c:  d503201f  nop

Trace 0: 0x7f0000000400 [0000000000000000/0000000000000400/00000001/00000200] runtime.memmove
Trace 0: 0x7f0000000200 [0000000000000000/0000000000000200/00000001/00000200] github.com/sparse-implicit/sim/runtime/internal/kernel.dot32[go.shape.uint8]
Trace 0: 0x7f0000000400 [0000000000000000/0000000000000400/00000001/00000200] runtime.memmove
----------------
IN: main.end
0x00000500:  d503201f  nop

Trace 0: 0x7f0000000500 [0000000000000000/0000000000000500/00000001/00000200] main.end
Trace 0: 0x7f0000000400 [0000000000000000/0000000000000400/00000001/00000200] runtime.memmove
`

func TestALogIsCountedBlockByBlock(t *testing.T) {
	read, err := readTrace(strings.NewReader(someLog))
	if err != nil {
		t.Fatal(err)
	}
	const dot = "github.com/sparse-implicit/sim/runtime/internal/kernel.dot32[go.shape.uint8]"
	if len(read.functions) != 2 || read.functions[dot] != 6 || read.functions["runtime.memmove"] != 4 {
		t.Errorf("%v, want 6 instructions of the dot product and 4 of memmove", read.functions)
	}
	without := strings.ReplaceAll(someLog, "0x00000400:", "OBJD-T: ")
	for _, broken := range []string{without, "Trace 0: 0x7f [1/2] f\n", "Trace 0: 0x7f [1/x/3/4] f\n", "0xzz: nop\n"} {
		if _, err := readTrace(strings.NewReader(broken)); err == nil {
			t.Errorf("a log is accepted that begins %.40q", broken)
		}
	}
}

func TestWhatCannotBeRunIsAnError(t *testing.T) {
	var output bytes.Buffer
	absent := filepath.Join(t.TempDir(), "absent.simb")
	if (counting{entry: integers, n: 1}).run(t.Context(), &output, absent) == nil || (counting{entry: integers}).run(t.Context(), &output, "") == nil {
		t.Error("an absent model or no inferences are accepted")
	}
}
