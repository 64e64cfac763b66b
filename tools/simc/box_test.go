package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
)

// TestAWildReadingNeedNotCostResolution puts one into the data: fit says so, and --box-percentile
// clips it.
func TestAWildReadingNeedNotCostResolution(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	text, err := os.ReadFile(smallCSV(t, dir, "tame.csv", signs))
	if err != nil {
		t.Fatal(err)
	}
	wild := "90,0.1,-0.2,1\n"
	data := mustWrite(t, in("wild.csv"), append(bytes.Repeat([]byte(wild), 3), text...)) // some of them train
	must(t, "teach", "--data", in("tame.csv"), "--hidden", "8", "--epochs", "60", "-o", in("t.onnx"))
	code, _, stderr := simc("fit", "--teacher", in("t.onnx"), "--data", data, "--nnz", "40", "-o", in("wide.sim"))
	if code != exitDone || !strings.Contains(stderr, "input 0") || !strings.Contains(stderr, "--box-percentile") {
		t.Errorf("code %d, %q must tell of input 0", code, stderr)
	}
	must(t, "fit", "--teacher", in("t.onnx"), "--data", data, "--nnz", "40", "--box-percentile", "3", "-o", in("tame.sim"))
	m := readModel(t, in("tame.sim"))
	for j := range m.InputLo {
		if m.InputLo[j] < -1 || m.InputLo[j] > -0.8 || m.InputHi[j] > 1 || m.InputHi[j] < 0.8 {
			t.Errorf("the box of input %d is [%g, %g]", j, m.InputLo[j], m.InputHi[j])
		}
	}
	must(t, "compile", in("wide.sim"), "--bits", "7")
	must(t, "compile", in("tame.sim"), "--bits", "7")
	rows := object[evalReport](t, "eval", in("t.onnx"), in("wide.simb"), in("tame.simb"), "--data", in("tame.csv")).Results
	if *rows[2].Agreement < 0.95 || *rows[1].Agreement > *rows[2].Agreement-0.05 {
		t.Errorf("agreement with the teacher is %g over the whole range, %g in the box", *rows[1].Agreement, *rows[2].Agreement)
	}
	if code, _, stderr := simc("fit", "--teacher", in("t.onnx"), "--data", in("tame.csv"), "--nnz", "40", "-o", in("x.sim")); code != exitDone || strings.Contains(stderr, "--box-percentile") {
		t.Errorf("code %d, %q: no reading is wild", code, stderr)
	}
}

func readModel(t *testing.T, path string) *model.Model {
	t.Helper()
	m, _, err := loadFloatModel(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
