package main

import (
	"math"
	"path/filepath"
	"testing"
)

// TestNetworksWithSkipsAreEvaluatedAndFitted holds a network that is no chain against its formula, and
// fits to it.
func TestNetworksWithSkipsAreEvaluatedAndFitted(t *testing.T) {
	dir := t.TempDir()
	net := mustWrite(t, filepath.Join(dir, "skip.onnx"), skipping(t))
	data, out := skippingData(t, dir), filepath.Join(dir, "m.sim")
	row := object[evalReport](t, "eval", net, "--data", data).Results[0]
	if row.Kind != "onnx" || row.R2 == nil || *row.R2 < 1-1e-9 || *row.RMSE > 1e-6 || row.Accuracy != nil || row.Agreement != nil {
		t.Errorf("its own answers are targets, yet %+v", row)
	}
	must(t, "fit", "--teacher", net, "--data", data, "--nnz", "18", "-o", out)
	if row := object[evalReport](t, "eval", net, out, "--data", data).Results[1]; *row.R2First < 0.99 || row.NNZ > 18 {
		t.Errorf("a model of %d nonzeros is as good as R² = %g", row.NNZ, *row.R2First)
	}
}

// TestModelsTeachSparserOnes fits to a .sim, which keeps its decision.
func TestModelsTeachSparserOnes(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	data := smallCSV(t, dir, "data.csv", signs)
	must(t, "teach", "--data", data, "--hidden", "8", "--epochs", "5", "-o", in("t.onnx"))
	must(t, "convert", in("t.onnx"), "--decision", "argmin", "-o", in("wide.sim"))
	// The labels contradict a teacher that decides by argmin: only its own answers are to be followed.
	must(t, "fit", "--teacher", in("wide.sim"), "--data", data, "--nnz", "30", "--epochs", "0", "-o", in("narrow.sim"))
	rows := object[evalReport](t, "eval", in("wide.sim"), in("narrow.sim"), "--data", data).Results
	if rows[1].NNZ > 30 || *rows[1].Agreement < 0.9 {
		t.Errorf("%d nonzeros agree with their teacher by %g", rows[1].NNZ, *rows[1].Agreement)
	}
	if decision := object[map[string]any](t, "inspect", in("narrow.sim"))["decision"]; decision != "argmin" {
		t.Errorf("the teacher decides by argmin, the fitted model by %v", decision)
	}
}

// TestRegressionFromCSVToCompiled runs the whole line on real labels: no decision, R² in eval.
func TestRegressionFromCSVToCompiled(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	data := smallCSV(t, dir, "real.csv", sums)
	must(t, "teach", "--data", data, "--hidden", "16", "--epochs", "60", "-o", in("t.onnx"))
	must(t, "fit", "--teacher", in("t.onnx"), "--data", data, "--nnz", "60", "-o", in("m.sim"))
	must(t, "compile", in("m.sim"))
	rows := object[evalReport](t, "eval", in("t.onnx"), in("m.sim"), in("m.simb"), "--data", data).Results
	for _, row := range rows {
		if *row.R2 < 0.9 || math.IsNaN(*row.RMSE) {
			t.Errorf("%s: R² = %g, RMSE %g", row.File, *row.R2, *row.RMSE)
		}
	}
	if decision := object[map[string]any](t, "inspect", in("m.simb"))["decision"]; decision != "none" {
		t.Errorf("a regression decides by %v", decision)
	}
	if code, _, _ := simc("run", in("m.simb"), "--classes", "--in", mustWrite(t, in("in.csv"), []byte("0,0,0\n"))); code != exitRefused {
		t.Errorf("classes of a regression: code %d", code)
	}
}

// TestCalibrationStaysWithinTheBox compiles for a box that is smaller than the data: the samples are
// seen as the device would, clipped.
func TestCalibrationStaysWithinTheBox(t *testing.T) {
	got := clipped([]float32{-3, 0.5, 2, -1, 0.25, 9}, []float32{-1, 0}, []float32{1, 0.4})
	want := []float32{-1, 0.4, 1, 0, 0.25, 0.4}
	for k := range want {
		if got[k] != want[k] {
			t.Errorf("value %d is %g, want %g", k, got[k], want[k])
		}
	}
	dir := t.TempDir()
	data := smallCSV(t, dir, "data.csv", signs)
	sim := mustWrite(t, filepath.Join(dir, "m.sim"), encodedSmall(t))
	box := mustWrite(t, filepath.Join(dir, "box.csv"), []byte("lo,hi\n0,0.5\n0,0.5\n0,0.5\n"))
	must(t, "compile", sim, "--calibrate", data, "--box", box)
	must(t, "verify", filepath.Join(dir, "m.simb"), "--against", sim)
}
