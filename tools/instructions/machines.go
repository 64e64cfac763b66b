package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// machine is a processor that qemu emulates.
type machine struct {
	arch string // GOARCH
	cpu  string // of qemu's -cpu help
}

// machines are the processors of boards: of each architecture the first one also runs what is the same on
// all of them.
var machines = []machine{
	{"arm64", "cortex-a53"}, // NEON without dot products
	{"arm64", "neoverse-n1"},
	{"arm", "cortex-a7"},
	{"riscv64", "rv64"},
}

// emulators are the names of Debian's qemu-user-static.
var emulators = map[string]string{"arm64": "qemu-aarch64-static", "arm": "qemu-arm-static", "riscv64": "qemu-riscv64-static"}

const (
	probePackage = "github.com/sparse-implicit/sim/tools/internal/probe"
	inPlace      = "in place"
	portable     = "portable"

	integers = "integers" // entries of the probe
	reals    = "reals"
)

// errNoEmulator says that qemu for an architecture is not installed.
var errNoEmulator = errors.New("is not installed (Debian: qemu-user-static)")

// guest is the probe built for a machine.
type guest struct {
	machine
	emulator, program string
}

// build builds the probe for a machine, in a folder.
func (m machine) build(ctx context.Context, folder string) (guest, error) {
	g := guest{machine: m, program: filepath.Join(folder, "probe-"+m.arch)}
	var err error
	if g.emulator, err = exec.LookPath(emulators[m.arch]); err != nil {
		return guest{}, fmt.Errorf("%s %w", emulators[m.arch], errNoEmulator)
	}
	if _, err := os.Stat(g.program); err == nil {
		return g, nil
	}
	command := exec.CommandContext(ctx, "go", "build", "-o", g.program, probePackage)
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+m.arch, "GOARM=7")
	if output, err := command.CombinedOutput(); err != nil {
		return guest{}, fmt.Errorf("go build for %s: %w\n%s", m.arch, err, output)
	}
	return g, nil
}

// command returns a run of the probe. Go's runtime interrupts no goroutine and collects no garbage, so that
// the first thread does the same in every run.
func (g guest) command(ctx context.Context, qemu []string, arguments ...string) *exec.Cmd {
	line := slices.Concat([]string{"-cpu", g.cpu}, qemu, []string{g.program}, arguments)
	command := exec.CommandContext(ctx, g.emulator, line...)
	command.Env = []string{"GOGC=off", "GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=1"}
	return command
}

// kernels returns the names of the kernels that a machine can run, the best first.
func (g guest) kernels(ctx context.Context, model string) ([]string, error) {
	output, err := g.command(ctx, nil, model).Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", g.arch, g.cpu, err)
	}
	return strings.Split(strings.TrimSpace(string(output)), "\n"), nil
}

// measured is what so many inferences take.
type measured struct {
	machine
	kernel    string
	count     int
	functions map[string]int64 // instructions
	checksum  string           // of the outputs
}

// perInference returns the instructions of one inference.
func (m measured) perInference() float64 {
	total := int64(0)
	for _, instructions := range m.functions {
		total += instructions
	}
	return float64(total) / float64(m.count)
}

// measure counts the instructions of so many inferences. entry is the probe's, options are for qemu.
func (g guest) measure(ctx context.Context, model, kernel, entry string, count int, options ...string) (measured, error) {
	log, writing, err := os.Pipe()
	if err != nil {
		return measured{}, err
	}
	defer log.Close()
	options = append(options, "-d", "in_asm,exec,nochain", "-D", "/proc/self/fd/3")
	command := g.command(ctx, options, model, kernel, entry, strconv.Itoa(count))
	command.ExtraFiles = []*os.File{writing}
	var output, failed bytes.Buffer
	command.Stdout, command.Stderr = &output, &failed
	err = command.Start()
	writing.Close()
	if err != nil {
		return measured{}, err
	}
	t, readErr := readTrace(log)
	if readErr != nil {
		log.Close() // the guest then ends by a broken pipe
	}
	if err := command.Wait(); readErr == nil && err != nil {
		return measured{}, fmt.Errorf("%s %s, %s: %w\n%s", g.arch, g.cpu, kernel, err, failed.Bytes())
	}
	_, checksum, _ := strings.Cut(strings.TrimSpace(output.String()), " ")
	return measured{g.machine, kernel, count, t.functions, checksum}, readErr
}
