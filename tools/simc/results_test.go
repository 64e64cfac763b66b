package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/trainer/dataset"
)

// TestEvalShowsTheRecallOfRareClasses checks the tables, the mean, and what weights in the loss do.
func TestEvalShowsTheRecallOfRareClasses(t *testing.T) {
	dir := t.TempDir()
	data, even := smallCSV(t, dir, "rare.csv", rare), smallCSV(t, dir, "even.csv", signs)
	alarms := map[string]float64{}
	for _, weights := range []string{"none", "balanced"} {
		net := filepath.Join(dir, weights+".onnx")
		must(t, "teach", "--data", data, "--hidden", "8", "--epochs", "40", "--class-weights", weights, "-o", net)
		row := object[evalReport](t, "eval", net, "--data", data).Results[0]
		if mean := (*row.Recalls[0] + *row.Recalls[1]) / 2; math.Abs(mean-*row.Balanced) > 1e-12 {
			t.Errorf("%s: balanced accuracy %g of recalls %g and %g", weights, *row.Balanced, *row.Recalls[0], *row.Recalls[1])
		}
		alarms[weights] = *row.Recalls[0]
		text := must(t, "eval", net, "--data", data)
		for _, want := range []string{"balanced", "recall of class", "alarm", "calm", percent(row.Recalls[0])} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the tables have no %q:\n%s", weights, want, text)
			}
		}
	}
	if alarms["balanced"] < alarms["none"]+0.05 {
		t.Errorf("recall of the rare class is %g without weights and %g with them", alarms["none"], alarms["balanced"])
	}
	net := filepath.Join(dir, "even.onnx")
	must(t, "teach", "--data", even, "--hidden", "8", "--epochs", "5", "-o", net)
	if text := must(t, "eval", net, "--data", even); strings.Contains(text, "recall") || strings.Contains(text, "balanced") {
		t.Errorf("classes are even, yet recalls are shown:\n%s", text)
	}
	if text := must(t, "eval", net, "--data", even, "-v"); !strings.Contains(text, "recall of class") {
		t.Errorf("-v shows no recalls:\n%s", text)
	}
}

// TestRecallsLeaveOutClassesWithoutSamples: the mean is over what the test part has.
func TestRecallsLeaveOutClassesWithoutSamples(t *testing.T) {
	set := setOf(4, 0, 0, 1, 3)
	list, mean := recalls([]int{0, 2, 1, 3}, set)
	if list[2] != nil || *list[0] != 0.5 || *list[1] != 1 || *list[3] != 1 || math.Abs(*mean-2.5/3) > 1e-12 {
		t.Errorf("recalls %v, mean %g", list, *mean)
	}
	for name, c := range map[string]struct {
		labels []int32
		want   bool
	}{
		"even":            {[]int32{0, 1, 2, 3}, false},
		"two to three":    {[]int32{0, 0, 1, 1, 2, 2, 2, 3, 3}, false},
		"one to two":      {[]int32{0, 1, 2, 3, 3}, true},
		"a class missing": {[]int32{0, 1, 2}, true},
	} {
		if got := unbalanced(setOf(4, c.labels...)); got != c.want {
			t.Errorf("%s: unbalanced %v", name, got)
		}
	}
}

// TestTaskSaysHowLabelsAreRead makes a regression of whole numbers.
func TestTaskSaysHowLabelsAreRead(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	data := smallCSV(t, dir, "whole.csv", wholes)
	must(t, "teach", "--task", "regression", "--data", data, "--hidden", "16", "--epochs", "60", "-o", in("t.onnx"))
	must(t, "fit", "--task", "regression", "--teacher", in("t.onnx"), "--data", data, "--nnz", "70", "-o", in("m.sim"))
	must(t, "compile", in("m.sim"))
	for _, row := range object[evalReport](t, "eval", "--task", "regression", in("t.onnx"), in("m.sim"), in("m.simb"), "--data", data).Results {
		if *row.R2 < 0.9 || math.Abs(*row.MSE-*row.RMSE**row.RMSE) > 1e-9**row.MSE || row.Balanced != nil {
			t.Errorf("%s: %+v", row.File, row)
		}
	}
	text := must(t, "eval", "--task", "regression", in("t.onnx"), "--data", data)
	if !strings.Contains(text, "MSE") || !strings.Contains(text, "R² to first") {
		t.Errorf("the table of a regression:\n%s", text)
	}
}

func setOf(classes int, labels ...int32) *dataset.Set {
	return &dataset.Set{Classes: classes, Outputs: classes, Test: dataset.Part{Samples: len(labels), Labels: labels}}
}
