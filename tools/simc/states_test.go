package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
)

// loopStates are states of x = tanh(0.5 x' + u) with x' the other of two states, its outputs, and labels:
// two inputs, 300 samples.
func loopStates(t *testing.T) map[string][]byte {
	t.Helper()
	const m = 300
	rng := rand.New(rand.NewPCG(5, 5))
	u, z, x, y, labels := make([]float32, 2*m), make([]float32, 2*m), make([]float32, 2*m), make([]float32, 2*m), make([]float32, m)
	for s := range m {
		a, b := 0.0, 0.0
		ua, ub := 2*rng.Float64()-1, 2*rng.Float64()-1
		for range 60 {
			a, b = math.Tanh(0.5*b+ua), math.Tanh(0.5*a+ub)
		}
		u[s], u[m+s] = float32(ua), float32(ub)
		z[s], z[m+s] = float32(0.5*b+ua), float32(0.5*a+ub)
		x[s], x[m+s] = float32(a), float32(b)
		y[s], y[m+s] = float32(a-b), float32(b-a)
		if b > a {
			labels[s] = 1
		}
	}
	shape := fmt.Sprintf("(2, %d)", m)
	return map[string][]byte{
		"U": npy(shape, u), "Z": npy(shape, z), "X": npy(shape, x), "Y": npy(shape, y),
		"activation": npy("(2,)", []float32{5, 5}), "labels": npy(fmt.Sprintf("(%d,)", m), labels),
	}
}

// TestStatesOfALoopAreFittedCompiledAndRun goes from a file of states, which knows of no layers, to answers.
func TestStatesOfALoopAreFittedCompiledAndRun(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	file := mustWrite(t, in("states.npz"), stored(t, loopStates(t)))
	must(t, "fit", "--states", file, "--structure", "free", "--lambda", "1e-5", "--epochs", "0", "-o", in("m.sim"))
	must(t, "compile", in("m.sim"), "--bits", "14", "--weights", "16")
	must(t, "verify", in("m.simb"), "--against", in("m.sim"), "--samples", "50")
	m := readModel(t, in("m.sim"))
	if got := m.A.At(0, 1); math.Abs(float64(got)-0.5) > 0.02 {
		t.Errorf("a state reads the other by %g, the teacher's by 0.5", got)
	}
	out := must(t, "run", in("m.simb"), "--in", mustWrite(t, in("u.csv"), []byte("0.5,-0.25\n")))
	a, b := 0.0, 0.0
	for range 60 {
		a, b = math.Tanh(0.5*b+0.5), math.Tanh(0.5*a-0.25)
	}
	var y [2]float64
	if _, err := fmt.Sscanf(strings.TrimSpace(out), "%g,%g", &y[0], &y[1]); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	if math.Abs(y[0]-(a-b)) > 0.01 || math.Abs(y[1]-(b-a)) > 0.01 {
		t.Errorf("answers %v, the teacher's are %g and %g", y, a-b, b-a)
	}
	must(t, "fit", "--states", file, "--structure", "free", "--lambda", "1e-5", "--epochs", "0", "--box-percentile", "5", "-o", in("boxed.sim"))
	if boxed := readModel(t, in("boxed.sim")); boxed.InputHi[0] >= m.InputHi[0] || boxed.InputLo[1] <= m.InputLo[1] {
		t.Errorf("boxes %v to %v of %v to %v", boxed.InputLo, boxed.InputHi, m.InputLo, m.InputHi)
	}
}

// TestMisfitsInStatesAreRefused spoils one array at a time.
func TestMisfitsInStatesAreRefused(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		array, shape string
		values       []float32
		says         string
	}{
		{"activation", "(1,)", []float32{1}, "relu of Z"},
		{"activation", "(3,)", []float32{5, 5, 5}, "3 numbers for 2 states"},
		{"activation", "(1,)", []float32{9}, "6 (sigmoid)"},
		{"labels", "(2,)", []float32{0, 1}, "2 labels for 300 samples"},
		{"labels", "(300,)", append(make([]float32, 299), 2), "labels[299] = 2"},
		{"targets", "(1, 300)", make([]float32, 300), "2 × 300"},
		{"Z", "(300, 2)", make([]float32, 600), "Z is 300 × 2"},
		{"rank", "(1,)", []float32{0}, "1 ranks for 2 states"},
	} {
		arrays := loopStates(t)
		arrays[c.array] = npy(c.shape, c.values)
		file := mustWrite(t, filepath.Join(dir, "bad.npz"), stored(t, arrays))
		code, _, stderr := simc("fit", "--states", file, "--structure", "free", "--nnz", "10", "-o", filepath.Join(dir, "m.sim"))
		if code != exitRefused || !strings.Contains(stderr, c.says) || !strings.Contains(stderr, "bad.npz") {
			t.Errorf("%s of shape %s: code %d, %q must say %q", c.array, c.shape, code, stderr, c.says)
		}
	}
}
