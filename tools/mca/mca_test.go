package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// code makes instructions of four bytes of lines "mnemonic operands", where "@3" is a branch to line 3.
func code(lines ...string) (instructions []instruction) {
	for k, line := range lines {
		i := instruction{address: 0x1000 + 4*uint64(k), text: strings.Replace(line, " ", "\t", 1)}
		if before, to, branch := strings.Cut(i.text, "@"); branch {
			target, _ := strconv.Atoi(to)
			i.text, i.target = before+loopLabel, 0x1000+4*uint64(target)
		}
		instructions = append(instructions, i)
	}
	return instructions
}

func TestInnermostLoopsAreFound(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  []string // the texts of each loop
	}{
		{"none", []string{"add x", "b.eq @3", "add y", "ret"}, nil},
		{"one", []string{"add x", "ldr y", "b.ne @1", "ret"}, []string{"ldr\ty;b.ne\t.Lloop"}},
		{"of two the inner one", []string{"add x", "ldr y", "b.ne @1", "b.ne @0"}, []string{"ldr\ty;b.ne\t.Lloop"}},
		{"two ways back are one loop", []string{"ldr y", "b.ne @0", "add x", "b @0", "ret"}, []string{"ldr\ty;b.ne\t.Lloop;add\tx;b\t.Lloop"}},
		{"a jump forward is followed", []string{"ldr y", "b @3", "brk 0", "add x", "b.ne @0"}, []string{"ldr\ty;b\t.Lloop;add\tx;b.ne\t.Lloop"}},
		{"a call back is no loop", []string{"ldr y", "bl @0"}, nil},
		{"two in a row", []string{"ldr y", "b.ne @0", "ldr z", "cbz x, @2"}, []string{"ldr\ty;b.ne\t.Lloop", "ldr\tz;cbz\tx, .Lloop"}},
	} {
		var got []string
		for _, body := range innermost(code(c.lines...)) {
			var texts []string
			for _, i := range body {
				texts = append(texts, i.text)
			}
			got = append(got, strings.Join(texts, ";"))
		}
		if strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestProductsAreCountedByMnemonic(t *testing.T) {
	for _, c := range []struct {
		function, line string
		want           int
	}{
		{"runNEONDot.abi0", "sdot v0.4s, v1.16b, v2.16b", 16},
		{"runNEON.abi0", "smull2.8h v0", 8},
		{"dot32[go.shape.uint8]", "madd w1, w2, w3, w1", 1},
		{"dot32[go.shape.uint8]", "add x1, x2, x3", 0},
	} {
		if got := targets[0].look(c.function).products(code("ret", c.line)); got != c.want {
			t.Errorf("%s, %s: %d products, want %d", c.function, c.line, got, c.want)
		}
	}
	if targets[0].look("gather[go.shape.uint8]") != nil {
		t.Error("a gather multiplies nothing")
	}
	if dot := targets[0].look("runNEONDot"); dot.runsOn("cortex-a53") || !dot.runsOn("neoverse-n1") {
		t.Error("Cortex-A53 has no dot products, Neoverse N1 has")
	}
}

// The model's figures change with LLVM; that a loop takes longer in order than out of order does not.
func TestTheLoopsOfThePortableKernelAreTimed(t *testing.T) {
	if testing.Short() {
		t.Skip("builds for another architecture")
	}
	for _, program := range []string{"llvm-objdump", "llvm-mca"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program, errNoLLVM)
		}
	}
	program, err := build(t.Context(), t.TempDir(), "arm64")
	if err != nil {
		t.Fatal(err)
	}
	arm := targets[0]
	functions, err := kernelFunctions(program)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range functions {
		if f.short() != "dot32[go.shape.uint8]" && f.short() != "walk32[go.shape.uint8]" {
			continue
		}
		lines, err := arm.disassemble(t.Context(), program, f)
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range innermost(lines) {
			if arm.look(f.short()).products(body) != 4 {
				continue
			}
			seen++
			inOrder, err := arm.cycles(t.Context(), "cortex-a53", body)
			if err != nil {
				t.Fatal(err)
			}
			outOfOrder, err := arm.cycles(t.Context(), "neoverse-n1", body)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %d instructions, Cortex-A53 %.2f cycles, Neoverse N1 %.2f", f.short(), len(body), inOrder, outOfOrder)
			if inOrder < float64(len(body))/2 || outOfOrder < 4 || inOrder < outOfOrder {
				t.Errorf("%s: %d instructions take %g cycles in order, %g out of order", f.short(), len(body), inOrder, outOfOrder)
			}
		}
	}
	if seen != 2 {
		t.Errorf("%d loops of four weights, want those of the portable kernel and of models in place", seen)
	}
}

func TestWhatCannotBeModelledIsAnError(t *testing.T) {
	var output bytes.Buffer
	absent := filepath.Join(t.TempDir(), "absent")
	if run(t.Context(), &output, "mips", "", false) == nil || run(t.Context(), &output, "", absent, false) == nil || run(t.Context(), &output, "arm64", absent, false) == nil {
		t.Error("another architecture, a program without its architecture or an absent one is accepted")
	}
}
