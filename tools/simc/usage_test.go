package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/npz"
)

// TestWrongUsageExitsWithTwoAndAHint runs mistyped command lines.
func TestWrongUsageExitsWithTwoAndAHint(t *testing.T) {
	dir := t.TempDir()
	sim := mustWrite(t, filepath.Join(dir, "good.sim"), encodedSmall(t))
	for _, c := range []struct{ args, says string }{
		{"inspct", "did you mean inspect?"},
		{"frobnicate", "'simc --help' lists them"},
		{"help inspct", "did you mean inspect?"},
		{"completion bsh", "did you mean bash?"},
		{"fit --tecaher t.onnx", "did you mean --teacher?"},
		{"fit --frobnicate", "'simc fit --help' tells the flags"},
		{"--frobnicate", "'simc --help' tells the flags"},
		{"fit --nnz many", "--nnz"},
		{"fit --nnz 5", "--states"},
		{"fit --teacher t.onnx --nnz 5", "--data is missing"},
		{"fit --teacher t.onnx --data builtin:fashion-mini", "--nnz N, --size 8KiB, --drop 0.5, --lambda L, or --steps N"},
		{"fit --teacher t.onnx --data builtin:fashion-mini --nnz 5 --epochs -3", "cannot be negative"},
		{"fit --teacher t.onnx --data builtin:fashion-mini --nnz 5 --size 8KiB", "--nnz and --size: give one of them"},
		{"fit --teacher t.onnx --data builtin:fashion-mini --size big", "8KiB"},
		{"fit --teacher t.onnx --data builtin:fashion-mini --nnz 5 --validation d.csv", "is for --drop"},
		{"fit --teacher t.onnx --data builtin:fashion-mini --nnz 5 --augment spin", "auto or none"},
		{"fit --teacher t.onnx --data builtin:fashion-mini --nnz 5 --box b.csv --box-percentile 1", "give one of them"},
		{"fit --teacher t.onnx --data builtin:fashion-mini --nnz 5 --box-percentile 50", "below 50"},
		{"eval " + sim, "--data is missing"},
		{"eval --data builtin:fashion-mini", "usage: simc eval"},
		{"eval " + dir + "/x.txt --data builtin:fashion-mini", "no such file"},
		{"teach --data builtin:other", "builtin:fashion-mini"},
		{"teach --data builtin:fashion-mini --hidden 64,,16", "--hidden"},
		{"teach --data builtin:fashion-mini --epochs 99999999 -o " + dir + "/t.onnx", "epochs"},
		{"teach --data builtin:fashion-mini --class-weights inverse -o " + dir + "/t.onnx", "none, balanced or sqrt"},
		{"teach --data builtin:fashion-mini --task regression --class-weights sqrt -o " + dir + "/t.onnx", "leave them out"},
		{"teach --data builtin:fashion-mini --task guess -o " + dir + "/t.onnx", "classification"},
		{"compile", "usage: simc compile"},
		{"compile " + sim + " -o " + sim, "would be overwritten"},
		{"compile " + sim + " --bits 9", "auto, 7 or 14"},
		{"compile " + sim + " --prove long", "as 30s"},
		{"compile " + sim + " --prove -1", "number of boxes"},
		{"compile " + sim + " --prove 0s", "--prove 0s"},
		{"compile " + sim + " --agreement 99.9", "up to 1"},
		{"verify " + sim + " --samples 5", "--against"},
		{"verify " + sim + " --radius", "--input"},
		{"demo more", "usage: simc demo"},
		{"demo --out " + sim, sim},
		{"demo --full --data " + dir + "/none", "dataset-fashion-mnist"},
		{"man " + dir + "/none", "no such folder"},
	} {
		code, stdout, stderr := simc(strings.Fields(c.args)...)
		if code != exitUsage || !strings.Contains(stderr, c.says) || stdout != "" {
			t.Errorf("simc %s: code %d, %q on standard output, %q must say %q", c.args, code, stdout, stderr, c.says)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("files were left behind: %v", left)
	}
}

// TestHelpIsThereForEveryCommand asks each for help, and for its manual page.
func TestHelpIsThereForEveryCommand(t *testing.T) {
	pages := t.TempDir()
	must(t, "man", pages)
	for _, command := range newRoot(&env{}).Commands() {
		name := command.Name()
		if help := must(t, name, "--help"); !strings.Contains(help, "Usage:") || command.Short == "" {
			t.Errorf("simc %s --help: %q", name, help)
		}
		if again := must(t, "help", name); again != must(t, name, "--help") {
			t.Errorf("simc help %s differs from simc %s --help", name, name)
		}
		if _, err := os.Stat(filepath.Join(pages, "simc-"+name+".1")); err != nil && name != "help" {
			t.Error(err)
		}
	}
	if script := must(t, "completion", "bash"); !strings.Contains(script, "complete") {
		t.Error("no completion")
	}
	if version := must(t, "--version"); !strings.HasPrefix(version, "simc version ") {
		t.Error(version)
	}
}

// TestAnInterruptLeavesNothing runs commands whose context has ended.
func TestAnInterruptLeavesNothing(t *testing.T) {
	dir, outputs := t.TempDir(), t.TempDir()
	data := smallCSV(t, dir, "data.csv", signs)
	net := filepath.Join(dir, "t.onnx")
	must(t, "teach", "--data", data, "--epochs", "1", "-o", net)
	ctx, stop := context.WithCancel(context.Background())
	stop()
	for _, args := range []string{
		"teach --data " + data + " -o " + outputs + "/t.onnx",
		"fit --teacher " + net + " --data " + data + " --nnz 50 -o " + outputs + "/m.sim",
		"eval " + net + " --data " + data,
	} {
		var stdout, stderr bytes.Buffer
		code := execute(ctx, strings.Fields(args), strings.NewReader(""), &stdout, &stderr)
		if code != exitFailed || !strings.Contains(stderr.String(), "simc: interrupted") || stdout.Len() > 0 {
			t.Errorf("simc %s: code %d, %q, %q", args, code, stdout.String(), stderr.String())
		}
	}
	if left, _ := os.ReadDir(outputs); len(left) > 0 {
		t.Errorf("%s was left behind", left[0].Name())
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// TestOutputThatCannotBeWrittenFails runs commands with a standard output that takes nothing.
func TestOutputThatCannotBeWrittenFails(t *testing.T) {
	dir := t.TempDir()
	sim := mustWrite(t, filepath.Join(dir, "m.sim"), encodedSmall(t))
	must(t, "compile", sim)
	compiled := filepath.Join(dir, "m.simb")
	for _, args := range []string{"inspect " + sim, "inspect --json " + compiled, "verify " + compiled, "run " + compiled, "compile " + sim, "--help"} {
		var stderr bytes.Buffer
		code := execute(context.Background(), strings.Fields(args), strings.NewReader("1,0,1\n"), fullDisk{}, &stderr)
		if code != exitFailed || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("simc %s: code %d, %q", args, code, stderr.String())
		}
	}
}

// TestProgressStaysWithinItsTotal feeds a stage counts beyond its estimate.
func TestProgressStaysWithinItsTotal(t *testing.T) {
	for _, c := range []struct {
		stage stage
		want  string
	}{
		{stage{"eval", "samples"}, "eval: 10 of 10 samples\n"},
		{stage{"fit: removing weights", ""}, "fit: removing weights: 100 %\n"},
	} {
		var stderr bytes.Buffer
		e := &env{stderr: &stderr}
		tell := e.progress(c.stage)
		for _, done := range []int{1, 5, 9, 12, 13} {
			tell(done, 10)
		}
		tell(3, 0)
		if stderr.String() != c.want {
			t.Errorf("%q, want %q", stderr.String(), c.want)
		}
		quiet := &env{stderr: fullDisk{}, quiet: true}
		quiet.progress(c.stage)(10, 10)
	}
}

// TestPeopleAreShownShortLists cuts a long list for people and keeps it whole in the object.
func TestPeopleAreShownShortLists(t *testing.T) {
	long := make([]float32, 640)
	for k := range long {
		long[k] = float32(k)
	}
	for _, c := range []struct {
		value any
		want  string
	}{
		{[]float32(nil), "not proved"},
		{[]float32{1, 2.5}, "1 2.5"},
		{long, "0 1 2 3 4 5 6 7 … (640 in all, the largest 639)"},
		{true, "true"},
	} {
		if got := shown(c.value); got != c.want {
			t.Errorf("%v is shown as %q, want %q", c.value, got, c.want)
		}
	}
	var stdout bytes.Buffer
	e := &env{stdout: &stdout, json: true}
	if err := e.printFacts([]fact{{"long", "long", long}, {"none", "none", []float32(nil)}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(stdout.String(), "639") || !strings.Contains(stdout.String(), `"none": null`) {
		t.Errorf("%.200s", stdout.String())
	}
}

// TestRunTakesAndGivesBothFormats feeds the same rows as CSV and NPY, from a file and from standard
// input, and reads the NPY that comes out.
func TestRunTakesAndGivesBothFormats(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	sim := mustWrite(t, in("m.sim"), encodedSmall(t))
	must(t, "compile", sim)
	text := "0.5,0.25,1\n0,1,0\n"
	array := npy("(2, 3)", []float32{0.5, 0.25, 1, 0, 1, 0})
	want := must(t, "run", in("m.simb"), "--in", mustWrite(t, in("in.csv"), []byte(text)))
	if strings.Count(want, "\n") != 2 {
		t.Fatalf("answers %q", want)
	}
	if got := must(t, "run", in("m.simb"), "--in", mustWrite(t, in("in.npy"), array)); got != want {
		t.Errorf("NPY gives %q, CSV %q", got, want)
	}
	for _, stdin := range []string{text, "a,b,c\n" + text, string(array)} {
		var stdout, stderr bytes.Buffer
		if code := execute(context.Background(), []string{"run", in("m.simb")}, strings.NewReader(stdin), &stdout, &stderr); code != 0 || stdout.String() != want {
			t.Errorf("%q on standard input gives %q (%s), want %q", stdin, stdout.String(), stderr.String(), want)
		}
	}
	must(t, "run", in("m.simb"), "--in", in("in.csv"), "--out", in("out.npy"))
	written, err := os.ReadFile(in("out.npy"))
	if err != nil {
		t.Fatal(err)
	}
	answers, err := npz.ReadNPY(written, npz.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := answers.Float32()
	if got := fmt.Sprintf("%v,%v\n%v,%v\n", v[0], v[1], v[2], v[3]); err != nil || got != want {
		t.Errorf("NPY says %q, CSV %q", got, want)
	}
}
