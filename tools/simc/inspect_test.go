package main

import (
	"path/filepath"
	"testing"
)

// TestInspectCountsSteps counts those of a dense network by hand: one for eight states of three inputs,
// two for outputs of eight states.
func TestInspectCountsSteps(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	data := smallCSV(t, dir, "data.csv", signs)
	must(t, "teach", "--data", data, "--hidden", "8", "--epochs", "1", "-o", in("t.onnx"))
	must(t, "convert", in("t.onnx"), "-o", in("m.sim"))
	must(t, "compile", in("m.sim"))
	for _, file := range []string{in("m.sim"), in("m.simb")} {
		if steps := object[map[string]any](t, "inspect", file)["steps"]; steps != 3.0 {
			t.Errorf("%s: %v steps, want 3", filepath.Base(file), steps)
		}
	}
}
