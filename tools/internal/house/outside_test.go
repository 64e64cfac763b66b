package house

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// allowedModules is everything that an application may get through the runtime.
var allowedModules = []string{module, "github.com/google/flatbuffers", "github.com/klauspost/compress", "golang.org/x/sys"}

// The size budget: the most bytes that the stripped arm64 application may take, as it is and with the tag
// nosign. It is what it took with Go 1.26 and 3 %, one of the steps of 64 KiB in which such files grow.
const (
	largestEdge     = 2_498_000
	largestUnsigned = 2_431_000
)

const outsideModule = "example.com/outside"

// An application in a module of its own, as a user would write it: the edge example, moved out.
func TestAnOutsideApplicationLinksTheRuntimeAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("builds for another architecture")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command")
	}
	root := repository(t)
	folder := outsideApplication(t, root)

	modules := strings.Fields(goCommand(t, folder, "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "."))
	slices.Sort(modules)
	modules = slices.Compact(modules)
	for _, m := range modules {
		if m != outsideModule && !slices.Contains(allowedModules, m) {
			t.Errorf("the runtime brings the module %s along; allowed are %s", m, strings.Join(allowedModules, ", "))
		}
	}
	if !slices.Contains(modules, module) {
		t.Fatalf("the application does not link the runtime: %v", modules)
	}
	for _, p := range strings.Fields(goCommand(t, folder, "list", "-deps", ".")) {
		below, ours := strings.CutPrefix(p, module+"/")
		if ours && !strings.HasPrefix(below, "runtime") && !strings.HasPrefix(below, "format/") {
			t.Errorf("the runtime brings the package %s along", below)
		}
	}

	binary := filepath.Join(folder, "edge")
	buildWithin(t, folder, binary, largestEdge)
	runOnArm64(t, binary)

	// LoadSigned costs an application something even if it is not called: the tag nosign leaves it out.
	if deps := strings.Fields(goCommand(t, folder, "list", "-deps", "-tags", "nosign", ".")); slices.Contains(deps, "crypto/ed25519") {
		t.Error("with the tag nosign the runtime still brings crypto/ed25519 along")
	}
	buildWithin(t, folder, binary, largestUnsigned, "-tags", "nosign")
}

// buildWithin builds the stripped application and holds its size against a budget.
func buildWithin(t *testing.T, folder, binary string, most int64, options ...string) {
	t.Helper()
	goCommand(t, folder, append([]string{"build", "-ldflags", "-s -w", "-o", binary}, options...)...)
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("stripped for linux/arm64 %s: %d bytes, budget %d", strings.Join(options, " "), info.Size(), most)
	if info.Size() > most {
		t.Errorf("the stripped application %s has %d bytes, its budget is %d", strings.Join(options, " "), info.Size(), most)
	}
}

// outsideApplication makes a module with the edge example's source and model, and returns its folder.
func outsideApplication(t *testing.T, root string) string {
	t.Helper()
	folder := t.TempDir()
	write := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{
		"runtime/examples/edge/main.go":    "main.go",
		"runtime/examples/edge/model.simb": "model.simb",
		"go.sum":                           "go.sum",
	} {
		content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(from)))
		if err != nil {
			t.Fatal(err)
		}
		write(to, content)
	}
	write("go.mod", []byte("module "+outsideModule+"\n\ngo 1.25.0\n\nrequire "+module+" v0.0.0\n\nreplace "+module+" => "+root+"\n"))
	return folder
}

// goCommand runs the go command for linux/arm64 in a folder, without a network, and returns what it
// prints.
func goCommand(t *testing.T, folder string, arguments ...string) string {
	t.Helper()
	command := exec.Command("go", arguments...)
	command.Dir = folder
	command.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	var failed bytes.Buffer
	command.Stderr = &failed
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(arguments, " "), err, failed.String())
	}
	return string(output)
}

// runOnArm64 runs the application under qemu, when it is there, on three frames of the example's model.
func runOnArm64(t *testing.T, binary string) {
	t.Helper()
	qemu, err := exec.LookPath("qemu-aarch64-static")
	if err != nil {
		t.Log("not run: qemu-aarch64-static is not installed (Debian: qemu-user-static)")
		return
	}
	frames := make([]byte, 3*784)
	for i := range frames {
		frames[i] = byte(i * i >> 4)
	}
	command := exec.Command(qemu, binary, "-stats")
	command.Stdin = bytes.NewReader(frames)
	var stats bytes.Buffer
	command.Stderr = &stats
	output, err := command.Output()
	if err != nil {
		t.Fatalf("the application on arm64: %v\n%s", err, stats.String())
	}
	if lines := strings.Count(string(output), "\n"); lines != 3 || !strings.HasPrefix(stats.String(), "frames 3,") {
		t.Errorf("three frames give %d decisions; %s", lines, stats.String())
	}
	t.Logf("on arm64: decisions %s, %s", strings.Fields(string(output)), strings.TrimSpace(stats.String()))
}
