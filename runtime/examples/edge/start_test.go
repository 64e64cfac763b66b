package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"

	simrt "github.com/sparse-implicit/sim/runtime"
)

// BenchmarkStart is from starting the application to its end after one frame: the program, the file's checks,
// its self-tests, one decision.
func BenchmarkStart(b *testing.B) {
	model, err := simrt.Load(compiled)
	if err != nil {
		b.Fatal(err)
	}
	application := filepath.Join(b.TempDir(), "edge")
	if out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", application, ".").CombinedOutput(); err != nil {
		b.Skipf("go build: %v\n%s", err, out)
	}
	frame := make([]byte, model.Inputs())
	for b.Loop() {
		start := exec.Command(application)
		start.Stdin = bytes.NewReader(frame)
		if out, err := start.Output(); err != nil || len(out) != 2 {
			b.Fatalf("%q, %v", out, err)
		}
	}
}
