package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

const (
	probePackage = "github.com/sparse-implicit/sim/tools/internal/probe"
	native       = "native"
)

//go:embed wasi.mjs
var nodeWASI []byte

// program is the probe built for a system, with the command line that runs it in an engine.
type program struct {
	system, engine string
	line           []string
}

// errNoEngine says that there is nothing to run WebAssembly with.
var errNoEngine = errors.New("no engine is installed: node, wasmtime or wazero (Debian: nodejs)")

// build builds the probe for every system and returns what can be run, the native program first.
func build(ctx context.Context, folder string) ([]program, error) {
	names := map[string]string{}
	for _, system := range []string{native, "js", "wasip1"} {
		names[system] = filepath.Join(folder, "probe-"+system)
		command := exec.CommandContext(ctx, "go", "build", "-o", names[system], probePackage)
		if system != native {
			command.Env = append(os.Environ(), "GOOS="+system, "GOARCH=wasm")
		}
		if output, err := command.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build for %s: %w\n%s", system, err, output)
		}
	}
	script := filepath.Join(folder, "wasi.mjs")
	if err := os.WriteFile(script, nodeWASI, 0o600); err != nil {
		return nil, err
	}
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	launcher := filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec_node.js")
	programs := []program{{native, runtime.GOARCH, []string{names[native]}}}
	for _, p := range []program{
		{"js", "node", []string{"node", "--stack-size=8192", launcher, names["js"]}},
		{"wasip1", "node", []string{"node", "--no-warnings", script, names["wasip1"]}},
		{"wasip1", "wasmtime", []string{"wasmtime", "run", "--dir=/", names["wasip1"]}},
		{"wasip1", "wazero", []string{"wazero", "run", "-mount", "/:/", names["wasip1"]}},
	} {
		if _, err := exec.LookPath(p.engine); err == nil {
			programs = append(programs, p)
		}
	}
	if len(programs) == 1 {
		return nil, errNoEngine
	}
	return programs, nil
}

// measure returns the nanoseconds of an inference and the checksum of its outputs.
func (p program) measure(ctx context.Context, model, kernel string, count, rounds int) (ns int64, checksum string, err error) {
	line := append(p.line[1:len(p.line):len(p.line)], model, kernel, "integers", strconv.Itoa(count), strconv.Itoa(rounds))
	command := exec.CommandContext(ctx, p.line[0], line...)
	// node passes its environment on to the program, whose room for it is small.
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	var failed bytes.Buffer
	command.Stderr = &failed
	output, err := command.Output()
	if err != nil {
		return 0, "", fmt.Errorf("%s, %s, %s: %w\n%s", p.system, p.engine, kernel, err, failed.Bytes())
	}
	figure, checksum, _ := strings.Cut(strings.TrimSpace(string(output)), " ")
	ns, err = strconv.ParseInt(figure, 10, 64)
	return ns, checksum, err
}
