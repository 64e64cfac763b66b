package kernel

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// word is a macro of neon_arm64.h: an instruction written as a number.
type word struct {
	name     string
	operands []string
	value    ast.Expr
	mnemonic string
}

var wordLine = regexp.MustCompile(`^#define (\w+)\(([a-z, ]+)\) +WORD \$\((.+)\) // (.+)$`)

// neonWords reads the header.
func neonWords(t *testing.T) []word {
	t.Helper()
	text, err := os.ReadFile("neon_arm64.h")
	if err != nil {
		t.Fatal(err)
	}
	var words []word
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			continue
		}
		part := wordLine.FindStringSubmatch(strings.TrimSpace(line))
		if part == nil {
			t.Fatalf("not a word with its instruction: %s", line)
		}
		value, err := parser.ParseExpr(part[3])
		if err != nil {
			t.Fatalf("%s: %v", part[1], err)
		}
		words = append(words, word{part[1], strings.Split(part[2], ", "), value, part[4]})
	}
	return words
}

// evaluate computes an expression of the few kinds that the header uses.
func evaluate(t *testing.T, e ast.Expr, operands map[string]int) uint32 {
	t.Helper()
	switch e := e.(type) {
	case *ast.ParenExpr:
		return evaluate(t, e.X, operands)
	case *ast.Ident:
		return uint32(operands[e.Name])
	case *ast.BasicLit:
		value, err := strconv.ParseUint(e.Value, 0, 32)
		if err != nil {
			t.Fatal(err)
		}
		return uint32(value)
	case *ast.BinaryExpr:
		x, y := evaluate(t, e.X, operands), evaluate(t, e.Y, operands)
		switch e.Op {
		case token.OR:
			return x | y
		case token.SHL:
			return x << y
		}
	}
	t.Fatalf("an expression of another kind: %T", e)
	return 0
}

var encoding = regexp.MustCompile(`encoding: \[0x(\w\w),0x(\w\w),0x(\w\w),0x(\w\w)\]`)

// The words are what the assembler of LLVM makes of the instructions beside them, for all registers.
func TestWordsAreTheInstructionsTheyClaim(t *testing.T) {
	assembler, err := exec.LookPath("llvm-mc")
	if err != nil {
		t.Skip("llvm-mc is not installed (Debian: llvm), so nothing checks the words of neon_arm64.h")
	}
	rng := rand.New(rand.NewPCG(1, 1))
	var source strings.Builder
	var want []string
	for _, w := range neonWords(t) {
		for k := range 32 {
			operands, instruction := map[string]int{}, w.mnemonic
			for _, name := range w.operands {
				operands[name] = (k + rng.IntN(32)) % 32
				instruction = strings.ReplaceAll(instruction, "{"+name+"}", strconv.Itoa(operands[name]))
			}
			value := evaluate(t, w.value, operands)
			want = append(want, w.name+": "+instruction+": "+strconv.FormatUint(uint64(value), 16))
			source.WriteString(instruction + "\n")
		}
	}
	command := exec.Command(assembler, "-triple=aarch64", "-mattr=+dotprod", "-show-encoding")
	command.Stdin = strings.NewReader(source.String())
	listing, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, listing)
	}
	found := encoding.FindAllStringSubmatch(string(listing), -1)
	if len(found) != len(want) || len(want) == 0 {
		t.Fatalf("%d instructions, %d encodings", len(want), len(found))
	}
	for k, bytes := range found {
		value, _ := strconv.ParseUint(bytes[4]+bytes[3]+bytes[2]+bytes[1], 16, 32)
		if got := strconv.FormatUint(value, 16); !strings.HasSuffix(want[k], ": "+got) {
			t.Errorf("%s, but llvm-mc says %s", want[k], got)
		}
	}
}
