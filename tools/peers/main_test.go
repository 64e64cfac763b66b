package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/simb/simbtest"
)

// A test binary stands in for the command when it is started to measure itself.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == processArgument {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestAFreshProcessMeasuresItself(t *testing.T) {
	m, err := simbtest.Sized(50, 40, 10, 600)
	if err != nil {
		t.Fatal(err)
	}
	f, err := freshProcess(context.Background(), recipe{Kind: kindSim, File: written(t, m), Batch: 1}, 50)
	if err != nil {
		t.Fatal(err)
	}
	if f.StartNs <= 0 || len(f.Mapped) > 0 {
		t.Errorf("footprint %+v", f)
	}
	_, err = freshProcess(context.Background(), recipe{Kind: kindSim, File: filepath.Join(t.TempDir(), "absent.simb")}, 50)
	if err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a process without a file: %v", err)
	}
}

func TestWrongFlagsAreRefused(t *testing.T) {
	for _, arguments := range [][]string{
		{"more"}, {"--model", "m.simb"}, {"--seconds", "0"}, {"--batch", "-1"}, {"--nnz", "0"}, {"--absent"},
	} {
		if err := run(context.Background(), arguments, io.Discard, io.Discard); err == nil {
			t.Errorf("%v are accepted", arguments)
		}
	}
}

func TestVerdictsAreOfTheFastestSaneForm(t *testing.T) {
	rows := []row{
		{Name: "sim a portable", Ours: true, File: "a", Input: "floats", Batch: 1, Accuracy: 0.89},
		{Name: "sim a fast", Ours: true, File: "a", Input: "floats", Batch: 1, Accuracy: 0.89},
		{Name: "sim b fast", Ours: true, File: "b", Input: "floats", Batch: 1, Accuracy: 0.89},
		{Name: "ONNX Runtime int8, wrong", Input: "floats", Batch: 1, Accuracy: 0.2},
		{Name: "ONNX Runtime int8, good", Input: "floats", Batch: 2, Accuracy: 0.88},
		{Name: "ONNX Runtime int8, slow", Input: "floats", Batch: 1, Accuracy: 0.9},
		{Name: "XNNPACK int8", Input: "integers", Batch: 1, Accuracy: 0.9},
	}
	rounds := [][]float64{{90, 90}, {10, 10}, {20, 20}, {1, 1}, {100, 100}, {600, 600}, {1, 1}}
	compared := table{Rows: rows}
	var timings []timing
	for k := range rows {
		timings = append(timings, timing{rounds: rounds[k]})
		compared.Rows[k].NsP50 = median(rounds[k]) / float64(rows[k].Batch)
	}
	compared.relate(timings)
	want := []verdict{
		{"ONNX Runtime int8, good", "sim a fast", "floats", 5},
		{"ONNX Runtime int8, good", "sim b fast", "floats", 2.5},
	}
	if len(compared.Verdicts) != 2 || compared.Verdicts[0] != want[0] || compared.Verdicts[1] != want[1] {
		t.Errorf("verdicts %v, want %v", compared.Verdicts, want)
	}
	for k, ratio := range []float64{9, 1, 2, 0.1, 5, 60, 0} {
		if compared.Rows[k].Ratio != ratio {
			t.Errorf("%s: ratio %v, want %v", rows[k].Name, compared.Rows[k].Ratio, ratio)
		}
	}
	var b bytes.Buffer
	if err := (&report{Tables: []*table{&compared}, Skipped: []skipped{{"X", "because"}}}).print(&b); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"5.00 ONNX Runtime int8, good", "times as long as sim b fast", "left out: X: because"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("the report does not say %q:\n%s", part, b.String())
		}
	}
}

// The whole job, on the built-in data and without peers: they must be left out by name.
func TestAComparisonWithoutPeers(t *testing.T) {
	if testing.Short() {
		t.Skip("teaches, fits and compiles")
	}
	absent := filepath.Join(t.TempDir(), "absent.so")
	arguments := []string{
		"--data", fashionMini, "--dir", t.TempDir(), "--nnz", "1500", "--seconds", "0.2", "--large=false", "--json",
		"--onnxruntime", absent, "--xnnpack", absent,
	}
	var out bytes.Buffer
	if err := run(context.Background(), arguments, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Skipped) != 2 || len(r.Tables) != 1 {
		t.Fatalf("skipped %v, %d tables", r.Skipped, len(r.Tables))
	}
	for _, row := range r.Tables[0].Rows {
		if !row.Ours || row.NsP50 <= 0 || row.Accuracy < 0.5 || row.Ratio <= 0 {
			t.Errorf("row %+v", row)
		}
	}
}
