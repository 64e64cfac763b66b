package model

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sparse-implicit/sim/format/sparse"
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// mixed is the model of testdata/make_goldens.py, written out.
func mixed() *Model {
	return &Model{
		A: sparse.FromDense(7, 7, []float32{
			0.5, 0, 0, 0, 0, 0, 0,
			0, 0, 3, 0, 0, 0, 0,
			0, -0.125, 0, 0, 0, 0, 0,
			1.5, 0, 0, 0, 0, 0, 0,
			0, -2, 0, 0.25, 0, 0, 0,
			0, 0, 0, 0, 0.75, 0, 0,
			0.3, 0, 0, 0, 0, -1, 0,
		}),
		B:          sparse.FromDense(7, 3, []float32{1, 0, 0, 0, -0.5, 0, 0, 0, 2, -1.5, 0, 0.1, 0, 0, 0, 0, 0.4, 0, 0, 0, 1.25}),
		C:          sparse.FromDense(2, 7, []float32{0, 0, 0, 1, 0, 0, -0.5, 0, 0, 0.2, 0, 2, 0.7, 0}),
		D:          sparse.FromDense(2, 3, []float32{0, 0, 0, -0.3, 0, 0}),
		StateBias:  []float32{0.1, 0, -0.2, 0.3, 0, 0.05, -0.6},
		OutputBias: []float32{0.5, -0.25},
		Activations: []Activation{{Kind: ReLU}, {Kind: LeakyReLU, P0: 0.1}, {HardTanh, -0.75, 0.75}, {ClippedReLU, 0, 2.5},
			{Kind: Identity}, {Kind: Tanh}, {Kind: Sigmoid}},
		InputLo: []float32{-1, -2, 0}, InputHi: []float32{1, 2, 0.5},
		StateLo: []float32{-3, -3, -3, -3, -3, -3, -3}, StateHi: []float32{4, 4, 4, 4, 4, 4, 4},
		WeightScale: []float32{0.5, 0.6875, 0.875, 1.0625, 1.25, 1.4375, 1.625, 1.8125, 2},
		Decision:    DecideArgmax,
		Provenance:  Provenance{"seed": "17", "teacher": "by hand, Größe 7"},
	}
}

// trained is mixed with everything that a model trained for few bits says.
func trained() *Model {
	m := mixed()
	m.ColumnStep = []float32{0.25, 0.5, 0.125, 1, 2, 3, 4, 5, 6, 7}
	m.WeightBits, m.ColumnBits = 4, 7
	return m
}

// same reports the first part in which two models differ, empty where they do not.
func same(a, b *Model) string {
	switch {
	case !a.A.Equal(b.A):
		return "A"
	case !a.B.Equal(b.B):
		return "B"
	case !a.C.Equal(b.C):
		return "C"
	case !a.D.Equal(b.D):
		return "D"
	case !slices.Equal(a.StateBias, b.StateBias) || !slices.Equal(a.OutputBias, b.OutputBias):
		return "b or d"
	case !slices.Equal(a.Activations, b.Activations):
		return "activations"
	case !slices.Equal(a.InputLo, b.InputLo) || !slices.Equal(a.InputHi, b.InputHi):
		return "the input box"
	case !slices.Equal(a.StateLo, b.StateLo) || !slices.Equal(a.StateHi, b.StateHi) || (a.StateLo == nil) != (b.StateLo == nil):
		return "the state ranges"
	case !slices.Equal(a.WeightScale, b.WeightScale) || (a.WeightScale == nil) != (b.WeightScale == nil):
		return "the weight scales"
	case !slices.Equal(a.ColumnStep, b.ColumnStep) || (a.ColumnStep == nil) != (b.ColumnStep == nil) || a.WeightBits != b.WeightBits || a.ColumnBits != b.ColumnBits:
		return "the column steps"
	case a.Decision != b.Decision:
		return "the decision rule"
	case !maps.Equal(a.Provenance, b.Provenance):
		return "the provenance"
	}
	return ""
}

func TestAFileWrittenByNumPyIsRead(t *testing.T) {
	m, err := ReadFile(filepath.Join("testdata", "mixed.sim"))
	if err != nil {
		t.Fatal(err)
	}
	if part := same(m, mixed()); part != "" {
		t.Errorf("%s differs from what the script wrote", part)
	}
	if got, want := m.NNZ(), (NNZBy{9, 7, 5, 1, 5, 2}); got != want || got.Total() != 29 {
		t.Errorf("nonzeros %v, want %v", got, want)
	}
}

func TestEncodeAndDecodeAreInverse(t *testing.T) {
	empty := &Model{
		A: sparse.New[float32](0, 0), B: sparse.New[float32](0, 0), C: sparse.New[float32](1, 0), D: sparse.New[float32](1, 0),
		OutputBias: []float32{3}, Decision: DecideNone, Provenance: Provenance{},
	}
	noStates := &Model{
		A: sparse.New[float32](0, 0), B: sparse.New[float32](0, 2), C: sparse.New[float32](1, 0), D: sparse.FromDense(1, 2, []float32{1, 0}),
		OutputBias: []float32{3}, InputLo: []float32{0, 0}, InputHi: []float32{1, 1}, Decision: DecideArgmin, Provenance: Provenance{},
	}
	models := map[string]*Model{
		"mixed": mixed(), "trained for few bits": trained(), "no input, no state": empty, "no state": noStates,
		"causal": generate(t, 1, shape{n: 30, p: 20, q: 4, perRow: 5, causal: true}),
		"loops":  generate(t, 2, shape{n: 30, p: 20, q: 4, perRow: 5, gain: 0.9}),
	}
	for name, m := range models {
		data, err := Encode(m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if start := 8 + int(data[0]) + int(data[1])<<8; start%8 != 0 {
			t.Errorf("%s: data begin at byte %d", name, start)
		}
		back, err := Decode(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if part := same(m, back); part != "" {
			t.Errorf("%s: %s came back different", name, part)
		}
		again, err := Encode(back)
		if err != nil || !bytes.Equal(data, again) {
			t.Errorf("%s: encoded twice, the bytes differ (%v)", name, err)
		}
	}
}

// TestEncodedBytesDoNotChange holds the writer's arrangement: the header below is a contract with
// whoever compares files, and with the hashes of source models in compiled files.
func TestEncodedBytesDoNotChange(t *testing.T) {
	m := &Model{
		A: sparse.FromDense(1, 1, []float32{0.5}), B: sparse.FromDense(1, 1, []float32{2}),
		C: sparse.FromDense(1, 1, []float32{1}), D: sparse.New[float32](1, 1),
		StateBias: []float32{0}, OutputBias: []float32{-1}, Activations: []Activation{{Kind: ReLU}},
		InputLo: []float32{0}, InputHi: []float32{1}, Decision: DecideNone, Provenance: Provenance{"z": "<&>", "a": "1"},
	}
	data, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	length := int(data[0]) + int(data[1])<<8
	want := `{"__metadata__":{"format":"sim","version":"1","n":"1","p":"1","q":"1","decision":"none","provenance.a":"1","provenance.z":"<&>"},` +
		`"A.indptr":{"dtype":"I32","shape":[2],"data_offsets":[0,8]},"A.indices":{"dtype":"I32","shape":[1],"data_offsets":[8,12]},"A.data":{"dtype":"F32","shape":[1],"data_offsets":[12,16]},` +
		`"B.indptr":{"dtype":"I32","shape":[2],"data_offsets":[16,24]},"B.indices":{"dtype":"I32","shape":[1],"data_offsets":[24,28]},"B.data":{"dtype":"F32","shape":[1],"data_offsets":[28,32]},` +
		`"C.indptr":{"dtype":"I32","shape":[2],"data_offsets":[32,40]},"C.indices":{"dtype":"I32","shape":[1],"data_offsets":[40,44]},"C.data":{"dtype":"F32","shape":[1],"data_offsets":[44,48]},` +
		`"D.indptr":{"dtype":"I32","shape":[2],"data_offsets":[48,56]},"D.indices":{"dtype":"I32","shape":[0],"data_offsets":[56,56]},"D.data":{"dtype":"F32","shape":[0],"data_offsets":[56,56]},` +
		`"b":{"dtype":"F32","shape":[1],"data_offsets":[56,60]},"d":{"dtype":"F32","shape":[1],"data_offsets":[60,64]},"activation.param":{"dtype":"F32","shape":[1,2],"data_offsets":[64,72]},` +
		`"input.lo":{"dtype":"F32","shape":[1],"data_offsets":[72,76]},"input.hi":{"dtype":"F32","shape":[1],"data_offsets":[76,80]},"activation.kind":{"dtype":"U8","shape":[1],"data_offsets":[80,81]}}`
	if got := strings.TrimRight(string(data[8:8+length]), " "); got != want {
		t.Errorf("header\n%s\nwant\n%s", got, want)
	}
	if body := data[8+length:]; len(body) != 81 || body[80] != 1 || body[15] != 0x3F {
		t.Errorf("data % x", body)
	}
}

func TestEncodeRefuses(t *testing.T) {
	for name, spoil := range map[string]func(m *Model){
		"an invalid model":            func(m *Model) { m.StateBias = nil },
		"text that is not UTF-8":      func(m *Model) { m.Provenance["x"] = "\xff" },
		"a header beyond its own cap": func(m *Model) { m.Provenance["x"] = strings.Repeat("x", maxHeader) },
		"steps without scales":        func(m *Model) { m.WeightScale = nil },
		"a step of zero":              func(m *Model) { m.ColumnStep[9] = 0 },
		"too few steps":               func(m *Model) { m.ColumnStep = m.ColumnStep[1:] },
		"weights of 6 bits":           func(m *Model) { m.WeightBits = 6 },
		"columns of 8 bits":           func(m *Model) { m.ColumnBits = 8 },
		"bits without steps":          func(m *Model) { m.ColumnStep = nil },
	} {
		m := trained()
		spoil(m)
		if _, err := Encode(m); err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

// TestNumPyReadsWhatEncodeWrites runs the program printed in SIM.md on a file of ours.
func TestNumPyReadsWhatEncodeWrites(t *testing.T) {
	python := "/usr/bin/python3" // where Debian's numpy is
	if exec.Command(python, "-c", "import numpy").Run() != nil {
		python = "python3"
		if exec.Command(python, "-c", "import numpy").Run() != nil {
			t.Skip("needs python3 with numpy (Debian: python3-numpy)")
		}
	}
	page, err := os.ReadFile("SIM.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, found := strings.Cut(string(page), "```python\n")
	program, _, closed := strings.Cut(program, "```")
	if !found || !closed {
		t.Fatal("SIM.md shows no program")
	}
	program += `
import sys
metadata, t = read_sim(sys.argv[1])
def dense(name, columns):
    p, j, v = t[name + ".indptr"], t[name + ".indices"], t[name + ".data"]
    m = np.zeros((len(p) - 1, columns))
    for i in range(len(p) - 1):
        m[i, j[p[i]:p[i + 1]]] = v[p[i]:p[i + 1]]
    return m.ravel().tolist()
n, p = int(metadata["n"]), int(metadata["p"])
print(json.dumps({"A": dense("A", n), "B": dense("B", p), "C": dense("C", n), "D": dense("D", p),
    "kind": t["activation.kind"].tolist(), "param": t["activation.param"].tolist(), "lo": t["input.lo"].tolist(),
    "scale": t["weight.scale"].tolist(), "metadata": metadata}))
`
	m := mixed()
	data, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mixed.sim")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	printed, err := exec.Command(python, "-c", program, path).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, err.(*exec.ExitError).Stderr)
	}
	var got struct {
		A, B, C, D, Lo, Scale []float32
		Kind                  []int
		Param                 [][2]float32
		Metadata              map[string]string
	}
	if err := json.Unmarshal(printed, &got); err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2][]float32{
		"A": {got.A, m.A.Dense()}, "B": {got.B, m.B.Dense()}, "C": {got.C, m.C.Dense()}, "D": {got.D, m.D.Dense()},
		"input.lo": {got.Lo, m.InputLo}, "weight.scale": {got.Scale, m.WeightScale},
	} {
		if !slices.Equal(pair[0], pair[1]) {
			t.Errorf("numpy reads %s as %v, want %v", name, pair[0], pair[1])
		}
	}
	for i, a := range m.Activations {
		if got.Kind[i] != int(a.Kind) || got.Param[i] != [2]float32{a.P0, a.P1} {
			t.Errorf("numpy reads activation %d as %d %v", i, got.Kind[i], got.Param[i])
		}
	}
	want := map[string]string{"format": "sim", "version": "1", "n": "7", "p": "3", "q": "2", "decision": "argmax",
		"provenance.seed": "17", "provenance.teacher": "by hand, Größe 7"}
	if !maps.Equal(got.Metadata, want) {
		t.Errorf("numpy reads the metadata %v", got.Metadata)
	}
}

func TestErrorsNameTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd.sim")
	if err := os.WriteFile(path, []byte("no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path); err == nil || !strings.HasPrefix(err.Error(), path+": ") {
		t.Errorf("error %v", err)
	}
	if _, err := ReadFile(path + ".absent"); !os.IsNotExist(err) {
		t.Errorf("error %v", err)
	}
}
