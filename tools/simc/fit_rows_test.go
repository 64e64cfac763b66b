package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/npz"
)

func TestPenaltiesOfTheCommandLine(t *testing.T) {
	dir := t.TempDir()
	data := smallCSV(t, dir, "data.csv", signs)
	teacher, out := filepath.Join(dir, "t.onnx"), filepath.Join(dir, "m.sim")
	must(t, "teach", "--data", data, "--hidden", "6,4", "--epochs", "5", "-o", teacher)
	fit := []string{"fit", "--teacher", teacher, "--data", data, "--epochs", "0", "--json", "-o", out}
	for _, c := range []struct {
		args string
		code int
		says string // in the error, or in the report
	}{
		{"--penalty l1 --lambda 0.01", exitDone, `"gap_max"`},
		{"--penalty elastic --lambda 0.01 --lambda2 0.1", exitDone, `"gap_max"`},
		{"--penalty perspective --nnz 25", exitDone, `"gap_max"`},
		{"--penalty exact", exitDone, `"gap_max"`},
		{"--penalty exact --nnz 25", exitDone, `"gap_max"`},
		{"--penalty group --nnz 25 --group 4x64", exitDone, `"gap_max"`},
		{"--penalty group --lambda 0.01 --group 3", exitUsage, "16x128"},
		{"--penalty group --lambda 0.01 --lambda2 2", exitUsage, "(0, 1]"},
		{"--penalty l1 --lambda 0.01 --lambda2 2", exitUsage, "no second number"},
		{"--penalty elastic --lambda 0.01 --group 16x128", exitUsage, "no groups"},
		{"--penalty huber --lambda 0.01", exitUsage, "perspective, exact or group"},
		{"--penalty elastic", exitUsage, "--lambda L"},
		{"--lambda 0.01 --gram -1", exitUsage, "Gram"},
	} {
		code, stdout, stderr := simc(append(fit, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%s: code %d (%d), %s%s", c.args, code, c.code, stdout, stderr)
		}
		if c.code != exitDone {
			continue
		}
		var report struct {
			Gap float64 `json:"gap_max"`
			NNZ int     `json:"nnz"`
		}
		if err := json.Unmarshal([]byte(stdout), &report); err != nil || report.Gap > 1e-6 || report.NNZ == 0 {
			t.Errorf("%s: %+v, %v", c.args, report, err)
		}
	}
}

func TestExactMatchingOfWhatCannotBeMatchedIsRefused(t *testing.T) {
	dir := t.TempDir()
	array := func(rows int, values ...float32) []byte {
		var out bytes.Buffer
		if err := npz.WriteNPY(&out, []int{rows, len(values) / rows}, values); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	states := mustWrite(t, filepath.Join(dir, "s.npz"), stored(t, map[string][]byte{
		"U": array(1, 1, 2, 3, 4, 5), "Z": array(1, 2, 4, 6, 8, 10), "X": array(1, 2, 4, 6, 8, 10), "Y": array(1, 1, 0, 1, 0, 1),
	}))
	code, _, stderr := simc("fit", "--states", states, "--structure", "free", "--penalty", "exact", "-o", filepath.Join(dir, "m.sim"))
	if code != exitRefused || !strings.Contains(stderr, "row 1") || !strings.Contains(stderr, "of the target's deviation remains") {
		t.Errorf("code %d: %s", code, stderr)
	}
}
