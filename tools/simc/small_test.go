package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/onnx"
)

// smallCSV writes 400 rows of three inputs and a last column made from them.
func smallCSV(t *testing.T, dir, name string, last func(x [3]float64) string) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 7))
	var text strings.Builder
	for range 400 {
		x := [3]float64{2*rng.Float64() - 1, 2*rng.Float64() - 1, 2*rng.Float64() - 1}
		fmt.Fprintf(&text, "%.6f,%.6f,%.6f,%s\n", x[0], x[1], x[2], last(x))
	}
	return mustWrite(t, filepath.Join(dir, name), []byte(text.String()))
}

// signs labels by the sign of a sum: two classes that a small network learns.
func signs(x [3]float64) string {
	if x[0]+x[1]-x[2] > 0 {
		return "1"
	}
	return "0"
}

// rare labels a tenth by a word of its own, with an overlap that no model can tell apart.
func rare(x [3]float64) string {
	if x[0]+x[1]+0.2*math.Sin(1000*x[2]) > 0.95 {
		return "alarm"
	}
	return "calm"
}

// wholes is a target in whole numbers: classes, unless one is told otherwise.
func wholes(x [3]float64) string { return fmt.Sprint(math.Round(40 + 20*(x[0]-x[1]))) }

// sums is a target in the reals.
func sums(x [3]float64) string { return fmt.Sprintf("%.6f", x[0]+0.5*x[1]*x[1]-x[2]) }

// must runs a command that has to succeed and returns its standard output.
func must(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := simc(args...)
	if code != exitDone {
		t.Fatalf("simc %s: code %d: %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// skipping is an ONNX network that is no chain: the inputs are added to the states of its only layer.
func skipping(t *testing.T) []byte {
	t.Helper()
	value := func(name string, width int) onnx.ValueInfo {
		return onnx.ValueInfo{Name: name, Type: onnx.Float32, Shape: []onnx.Dim{{Size: 1}, {Size: width}}}
	}
	data, err := onnx.Encode(&onnx.Graph{
		Name: "skip",
		Nodes: []onnx.Node{
			{Op: "MatMul", Name: "first", Inputs: []string{"u", "W1"}, Outputs: []string{"z"}},
			{Op: "Relu", Name: "relu", Inputs: []string{"z"}, Outputs: []string{"x"}},
			{Op: "Add", Name: "skip", Inputs: []string{"x", "u"}, Outputs: []string{"s"}},
			{Op: "MatMul", Name: "last", Inputs: []string{"s", "W2"}, Outputs: []string{"y"}},
		},
		Inputs: []onnx.ValueInfo{value("u", 3)}, Outputs: []onnx.ValueInfo{value("y", 2)},
		Initializers: []*onnx.Tensor{
			onnx.NewTensor("W1", []int{3, 3}, []float32{1, 0, 0.5, 0, 1, -1, 0.25, 0, 1}),
			onnx.NewTensor("W2", []int{3, 2}, []float32{-1, 1, -1, 2, 1, -3}),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// skippingAnswers are what the network above says, written out.
func skippingAnswers(u []float32) []float32 {
	relu := func(v float32) float32 { return max(v, 0) }
	s0 := relu(u[0]+0.25*u[2]) + u[0]
	s1 := relu(u[1]) + u[1]
	s2 := relu(0.5*u[0]-u[1]+u[2]) + u[2]
	return []float32{-s0 - s1 + s2, s0 + 2*s1 - 3*s2}
}

// skippingData is a regression that the network above solves exactly.
func skippingData(t *testing.T, dir string) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 3))
	part := func(samples int) (x, y []byte) {
		var inputs, targets []float32
		for range samples {
			u := []float32{rng.Float32()*2 - 1, rng.Float32()*2 - 1, rng.Float32()*2 - 1}
			inputs, targets = append(inputs, u...), append(targets, skippingAnswers(u)...)
		}
		return npy(fmt.Sprintf("(%d, 3)", samples), inputs), npy(fmt.Sprintf("(%d, 2)", samples), targets)
	}
	arrays := map[string][]byte{}
	arrays["X_train"], arrays["y_train"] = part(500)
	arrays["X_test"], arrays["y_test"] = part(100)
	return mustWrite(t, filepath.Join(dir, "skip.npz"), stored(t, arrays))
}
