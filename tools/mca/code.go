package main

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const kernelPrefix = "github.com/sparse-implicit/sim/runtime/internal/kernel."

// function is a function of package kernel.
type function struct {
	name          string
	address, size uint64
}

// short returns its name within the package.
func (f function) short() string {
	return strings.TrimSuffix(strings.TrimPrefix(f.name, kernelPrefix), ".abi0")
}

// kernelFunctions returns the functions of package kernel in a program, by address.
func kernelFunctions(program string) ([]function, error) {
	file, err := elf.Open(program)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: build it without -ldflags -s", program, err)
	}
	var functions []function
	for _, s := range symbols {
		if strings.HasPrefix(s.Name, kernelPrefix) && elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Size > 0 {
			functions = append(functions, function{s.Name, s.Value, s.Size})
		}
	}
	slices.SortFunc(functions, func(a, b function) int { return int(int64(a.address) - int64(b.address)) })
	return functions, nil
}

// instruction is a line of a disassembly.
type instruction struct {
	address uint64
	text    string // with the target of a branch replaced by loopLabel
	target  uint64 // of a branch within the program, else 0
}

const loopLabel = ".Lloop"

// name returns the mnemonic, without a suffix of the vector's shape.
func (i instruction) name() string {
	name, _, _ := strings.Cut(i.text, "\t")
	name, _, _ = strings.Cut(strings.TrimSpace(name), ".")
	return name
}

// jumps reports whether the instruction always goes to its target.
func (i instruction) jumps() bool { return i.text == "b\t"+loopLabel || i.text == "jmp\t"+loopLabel }

// calls reports whether the instruction leaves the function.
func (i instruction) calls() bool { return i.name() == "bl" || strings.HasPrefix(i.name(), "call") }

var (
	codeLine   = regexp.MustCompile(`^\s*([0-9a-f]+):\s+(\S.*)$`)
	branchLine = regexp.MustCompile(`^(.*?)(?:#)?0x([0-9a-f]+) <.*>$`)
)

// disassemble returns the instructions of a function.
func (t target) disassemble(ctx context.Context, program string, f function) ([]instruction, error) {
	output, err := llvm(ctx, nil, "llvm-objdump", "--triple="+t.triple, "--mattr="+t.attributes, "-d", "--no-show-raw-insn",
		fmt.Sprintf("--start-address=%#x", f.address), fmt.Sprintf("--stop-address=%#x", f.address+f.size), program)
	if err != nil {
		return nil, err
	}
	var code []instruction
	lines := bufio.NewScanner(bytes.NewReader(output))
	for lines.Scan() {
		match := codeLine.FindStringSubmatch(lines.Text())
		if match == nil {
			continue
		}
		i := instruction{text: strings.TrimSpace(match[2])}
		if i.address, err = strconv.ParseUint(match[1], 16, 64); err != nil {
			return nil, err
		}
		if branch := branchLine.FindStringSubmatch(i.text); branch != nil {
			i.text = branch[1] + loopLabel
			if i.target, err = strconv.ParseUint(branch[2], 16, 64); err != nil {
				return nil, err
			}
		}
		code = append(code, i)
	}
	if len(code) == 0 {
		return nil, fmt.Errorf("%s: %s has no code", program, f.name)
	}
	return code, lines.Err()
}

// innermost returns the bodies of the loops that hold no other: from the target of a branch back to the last
// branch there.
func innermost(code []instruction) (bodies [][]instruction) {
	index := map[uint64]int{}
	for k, i := range code {
		index[i.address] = k
	}
	last := map[int]int{} // of each loop's first instruction the last branch to it
	for k, i := range code {
		if first, within := index[i.target]; within && first <= k && !i.calls() {
			last[first] = k
		}
	}
	for first := range code {
		end, loops := last[first]
		if !loops {
			continue
		}
		holds := false
		for inner := first + 1; inner <= end; inner++ {
			_, another := last[inner]
			holds = holds || another && last[inner] < end
		}
		if body := straight(code[first : end+1]); !holds && body != nil {
			bodies = append(bodies, body)
		}
	}
	return bodies
}

// straight returns the way through a loop that follows jumps forward and takes no other branch but the last.
// It is nil when the way leaves the loop.
func straight(loop []instruction) (way []instruction) {
	for k := 0; k < len(loop); k++ {
		way = append(way, loop[k])
		if !loop[k].jumps() || k == len(loop)-1 || loop[k].target == loop[0].address {
			continue
		}
		to := slices.IndexFunc(loop, func(i instruction) bool { return i.address == loop[k].target })
		if to <= k {
			return nil
		}
		k = to - 1
	}
	return way
}

const turns = 1000

var totalCycles = regexp.MustCompile(`Total Cycles:\s+(\d+)`)

// cycles returns the cycles of a turn of a loop.
func (t target) cycles(ctx context.Context, cpu string, body []instruction) (float64, error) {
	var source strings.Builder
	source.WriteString(loopLabel + ":\n")
	for _, i := range body {
		source.WriteString(i.text + "\n")
	}
	output, err := llvm(ctx, []byte(source.String()), "llvm-mca", "-mtriple="+t.triple, "-mcpu="+cpu, "-mattr="+t.attributes, "-iterations="+strconv.Itoa(turns))
	if err != nil {
		return 0, err
	}
	match := totalCycles.FindSubmatch(output)
	if match == nil {
		return 0, errors.New("llvm-mca prints no Total Cycles")
	}
	total, err := strconv.Atoi(string(match[1]))
	return float64(total) / turns, err
}

// llvm runs a program of LLVM.
func llvm(ctx context.Context, input []byte, program string, arguments ...string) ([]byte, error) {
	if _, err := exec.LookPath(program); err != nil {
		return nil, fmt.Errorf("%s %w", program, errNoLLVM)
	}
	command := exec.CommandContext(ctx, program, arguments...)
	command.Stdin = bytes.NewReader(input)
	var failed bytes.Buffer
	command.Stderr = &failed
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", program, err, failed.Bytes())
	}
	return output, nil
}
