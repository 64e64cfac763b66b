package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestDemoOnASmallSet runs the whole job, twice, on data of its own: the three files are there, they are
// the same, the object has eval's rows and the stages, and nothing else is left.
func TestDemoOnASmallSet(t *testing.T) {
	dir := t.TempDir()
	data := smallCSV(t, dir, "data.csv", signs)
	files := []string{"model.sim", "model.simb", "teacher.onnx"}
	first, second := filepath.Join(dir, "new", "first"), filepath.Join(dir, "second")
	for _, out := range []string{first, second} {
		report := object[demoReport](t, "demo", "--data", data, "--teach-epochs", "20", "--nnz", "150", "--out", out)
		for k, kind := range []string{"onnx", "sim", "simb"} {
			row := report.Results[k]
			if row.Kind != kind || *row.Accuracy < 0.9 || k > 0 && row.NNZ > 150 {
				t.Errorf("%s: %s, accuracy %g, %d nonzeros", row.File, row.Kind, *row.Accuracy, row.NNZ)
			}
		}
		for _, stage := range []string{"teach", "fit", "compile", "verify"} {
			if _, told := report.Stages[stage]; !told {
				t.Errorf("no seconds of stage %s", stage)
			}
		}
		left, err := os.ReadDir(out)
		if err != nil || len(left) != len(files) {
			t.Errorf("%s has %v (%v), want %v", out, left, err, files)
		}
	}
	for _, name := range files {
		a, _ := os.ReadFile(filepath.Join(first, name))
		b, _ := os.ReadFile(filepath.Join(second, name))
		if len(a) == 0 || !bytes.Equal(a, b) {
			t.Errorf("%s differs between two runs", name)
		}
	}
	if info, err := os.Stat(filepath.Join(first, "model.simb")); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
}
