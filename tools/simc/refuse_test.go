package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/onnx"
	"github.com/sparse-implicit/sim/format/sparse"
)

// simc runs a command line in-process.
func simc(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = execute(context.Background(), args, strings.NewReader(""), &out, &err)
	return code, out.String(), err.String()
}

// small is a valid causal model of three inputs, two states and two outputs.
func small() *model.Model {
	return &model.Model{
		A: sparse.FromDense(2, 2, []float32{0, 0, 0.5, 0}), B: sparse.FromDense(2, 3, []float32{1, 0, -1, 0, 2, 0}),
		C: sparse.FromDense(2, 2, []float32{1, -1, 0, 1}), D: sparse.New[float32](2, 3),
		StateBias: []float32{0.1, 0}, OutputBias: []float32{0, 0.25},
		Activations: []model.Activation{{Kind: model.ReLU}, {Kind: model.ReLU}},
		InputLo:     []float32{0, 0, 0}, InputHi: []float32{1, 1, 1}, Decision: model.DecideArgmax,
	}
}

func mustWrite(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func encodedSmall(t *testing.T) []byte {
	t.Helper()
	data, err := model.Encode(small())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// idx writes an IDX file, gzipped: magic, dimensions, zero bytes.
func idx(dimensions ...uint32) []byte {
	var raw, out bytes.Buffer
	raw.Write([]byte{0, 0, 8, byte(len(dimensions))})
	total := uint32(1)
	for _, d := range dimensions {
		_ = binary.Write(&raw, binary.BigEndian, d)
		total *= d
	}
	raw.Write(make([]byte, total))
	w := gzip.NewWriter(&out)
	_, _ = w.Write(raw.Bytes())
	_ = w.Close()
	return out.Bytes()
}

// idxFolder makes a folder of IDX files with the given counts.
func idxFolder(t *testing.T, images, labels uint32, spoil func(name string, data []byte) []byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"train-images-idx3-ubyte.gz": idx(images, 4, 4), "train-labels-idx1-ubyte.gz": idx(labels),
		"t10k-images-idx3-ubyte.gz": idx(images, 4, 4), "t10k-labels-idx1-ubyte.gz": idx(images),
	} {
		if spoil != nil {
			data = spoil(name, data)
		}
		mustWrite(t, filepath.Join(dir, name), data)
	}
	return dir
}

// npy is a float32 array of NumPy's format, version 1.
func npy(shape string, values []float32) []byte {
	header := "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }"
	for (10+len(header)+1)%64 != 0 {
		header += " "
	}
	header += "\n"
	out := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), byte(len(header)>>8))
	out = append(out, header...)
	for _, v := range values {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return out
}

func unknownOperator(t *testing.T) []byte {
	t.Helper()
	float := onnx.ValueInfo{Name: "x", Type: onnx.Float32, Shape: []onnx.Dim{{Size: 1}, {Size: 3}}}
	out := float
	out.Name = "y"
	data, err := onnx.Encode(&onnx.Graph{
		Name: "g", Nodes: []onnx.Node{{Op: "Frobnicate", Name: "odd", Inputs: []string{"x"}, Outputs: []string{"y"}}},
		Inputs: []onnx.ValueInfo{float}, Outputs: []onnx.ValueInfo{out},
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestBadInputIsRefusedWithAReason runs each fault and checks the exit code, that the reason names what
// is wrong, that nothing panicked and that no output was left behind, not even a temporary one.
func TestBadInputIsRefusedWithAReason(t *testing.T) {
	dir := t.TempDir()
	sim := mustWrite(t, filepath.Join(dir, "good.sim"), encodedSmall(t))
	changed := func(name string, change func(m *model.Model)) string {
		m := small()
		change(m)
		data, err := model.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		return mustWrite(t, filepath.Join(dir, name), data)
	}
	numbers := changed("numbers.sim", func(m *model.Model) { m.Decision = model.DecideNone })
	equal := changed("equal.sim", func(m *model.Model) { // but for less than a step
		m.OutputBias[1] = 0
		m.D = sparse.FromDense(2, 3, []float32{1, 1, 1, 1.001, 1, 0.999})
		m.C = sparse.New[float32](2, 2)
	})
	compiled := filepath.Join(dir, "good.simb")
	if code, _, stderr := simc("compile", sim, "-o", compiled); code != 0 {
		t.Fatal(stderr)
	}
	wrongIndex := small()
	wrongIndex.A.Indices = slices.Clone(wrongIndex.A.Indices)
	spoilt := bytes.Replace(encodedSmall(t), int32s(wrongIndex.B.Indices), int32s([]int32{0, 912, 1}), 1)
	counts := idxFolder(t, 20, 19, nil)
	cut := idxFolder(t, 20, 20, func(name string, data []byte) []byte {
		if strings.HasPrefix(name, "train-images") {
			return data[:len(data)-12]
		}
		return data
	})
	nan := mustWrite(t, filepath.Join(dir, "states.npz"), stored(t, map[string][]byte{
		"U": npy("(2, 3)", make([]float32, 6)), "Z": npy("(1, 3)", []float32{0, float32(math.NaN()), 0}),
		"X": npy("(1, 3)", make([]float32, 3)), "Y": npy("(1, 3)", make([]float32, 3)),
	}))
	outputs := t.TempDir()
	out := filepath.Join(outputs, "out")
	file := mustWrite(t, filepath.Join(dir, "file"), nil)
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"missing file", []string{"compile", filepath.Join(dir, "none.sim"), "-o", out}, 2, "no such file"},
		{"missing data", []string{"teach", "--data", filepath.Join(dir, "none"), "-o", out}, 2, "no such file"},
		{"truncated gz", []string{"teach", "--data", cut, "-o", out}, 3, "train-images"},
		{"labels and images of different counts", []string{"teach", "--data", counts, "-o", out}, 3, "19"},
		{"NaN in states", []string{"fit", "--states", nan, "--structure", "free", "--lambda", "0.1", "-o", out}, 3, "Z"},
		{"index out of range", []string{"compile", mustWrite(t, filepath.Join(dir, "index.sim"), spoilt), "-o", out}, 3, "912"},
		{"unknown ONNX operator", []string{"convert", mustWrite(t, filepath.Join(dir, "odd.onnx"), unknownOperator(t)), "-o", out}, 3, "Frobnicate"},
		{"inputs of the wrong length", []string{"run", compiled, "--in", mustWrite(t, filepath.Join(dir, "in.csv"), []byte("1,2\n")), "--out", out}, 3, "3 inputs"},
		{"an input that is no number", []string{"run", compiled, "--in", mustWrite(t, filepath.Join(dir, "word.csv"), []byte("1,2,3\n1,two,3\n")), "--out", out}, 3, "line 2"},
		{"an input that is not finite", []string{"run", compiled, "--in", mustWrite(t, filepath.Join(dir, "nan.csv"), []byte("1,NaN,3\n")), "--out", out}, 3, "finite"},
		{"no nonzeros", []string{"fit", "--teacher", sim, "--data", "builtin:fashion-mini", "--nnz", "0", "-o", out}, 3, "--nnz 0"},
		{"an output folder that is missing", []string{"compile", sim, "-o", filepath.Join(dir, "none", "out")}, 2, "no such folder"},
		{"an output folder that is a file", []string{"compile", sim, "-o", filepath.Join(file, "out")}, 2, "file"},
		{"not a compiled model", []string{"inspect", file}, 3, "not a compiled model"},
		{"an agreement that cannot be had", []string{"compile", equal, "--agreement", "1", "--bits", "7", "-o", out}, 3, "less than 100 %"},
		{"an agreement of numbers", []string{"compile", numbers, "--agreement", "0.9", "-o", out}, 2, "outputs are numbers"},
		{"a bound that is too large", []string{"compile", sim, "--max-error", "1e-9", "-o", out}, 3, "output"},
		{"a bound that is too large after a search", []string{"compile", sim, "--prove", "10", "--max-error", "1e-9", "-o", out}, 3, "--prove"},
		{"unknown command", []string{"frob"}, 2, "frob"},
		{"unknown flag", []string{"compile", "--frob", sim}, 2, "frob"},
		{"too many arguments", []string{"inspect", sim, sim}, 2, "arg"},
		{"an unknown codec", []string{"compile", sim, "--codec", "zip", "-o", out}, 2, "packed, prefix, huff0 or raw"},
		{"not an ONNX file", []string{"convert", sim, "-o", out}, 3, "ONNX"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, _, stderr := simc(c.args...)
			if code != c.code || !strings.Contains(stderr, c.says) {
				t.Errorf("simc %s: code %d, want %d; %q must name %q", strings.Join(c.args, " "), code, c.code, stderr, c.says)
			}
			if left, _ := os.ReadDir(outputs); len(left) > 0 {
				t.Errorf("%s was left behind", left[0].Name())
			}
		})
	}
}

func int32s(values []int32) []byte {
	var out []byte
	for _, v := range values {
		out = binary.LittleEndian.AppendUint32(out, uint32(v))
	}
	return out
}
