package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/onnx"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/format/sparse"
	"github.com/spf13/cobra"
)

// fact is one thing that a file is: a line for people, a key of the object. A nil value is what was not
// proved.
type fact struct {
	name, key string
	value     any
}

// shownValues is how many numbers of a list people are shown.
const shownValues = 8

func newInspect(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "inspect FILE",
		Short: "Tell what is in a .sim, .simb or .onnx file",
		Long: `Inspect tells dimensions, nonzeros, bytes, schedule and bounds of a compiled model, dimensions, nonzeros,
activations and origin of a float model, nodes and tensors of a network. Steps are what a kernel of
512-bit registers takes for one pass over the weights: 16 rows at once, of each up to 4 weights within
128 consecutive activations. A compiled file is verified first, as on a device. Long lists are cut;
--json has them whole.`,
		Example: `  simc inspect model.simb -v`,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			data, err := readFile(args[0])
			if err != nil {
				return err
			}
			facts, err := e.factsOf(args[0], data)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return e.printFacts(append([]fact{{"file", "file", args[0]}, {"file bytes", "file_bytes", len(data)}}, facts...))
		},
	}
}

func (e *env) printFacts(facts []fact) error {
	if e.json {
		object := map[string]any{}
		for _, f := range facts {
			object[f.key] = f.value
		}
		return e.emit(object)
	}
	for _, f := range facts {
		if entries, several := f.value.(map[string]string); several {
			for _, key := range slices.Sorted(maps.Keys(entries)) {
				e.say("%-24s %s", key, entries[key])
			}
			continue
		}
		e.say("%-24s %s", f.name, shown(f.value))
	}
	return nil
}

// shown is a value for people: long lists are cut, their largest told.
func shown(value any) string {
	list, isList := value.([]float32)
	switch {
	case isList && list == nil:
		return "not proved"
	case !isList:
		return fmt.Sprint(value)
	}
	var words []string
	for _, v := range list[:min(len(list), shownValues)] {
		words = append(words, fmt.Sprintf("%.4g", v))
	}
	text := strings.Join(words, " ")
	if len(list) > shownValues {
		text += fmt.Sprintf(" … (%d in all, the largest %.4g)", len(list), slices.Max(list))
	}
	return text
}

func (e *env) factsOf(path string, data []byte) ([]fact, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".onnx":
		graph, err := onnx.Decode(data)
		if err != nil {
			return nil, err
		}
		return networkFacts(graph), nil
	case ".sim", ".npz":
		m, err := model.Read(data)
		if err != nil {
			return nil, err
		}
		return floatFacts(m), nil
	}
	file, err := simb.Open(data)
	if err != nil {
		return nil, err
	}
	return compiledFacts(file, e.verbose), nil
}

func networkFacts(graph *onnx.Graph) []fact {
	counts := map[string]int{}
	var kinds []string
	for _, node := range graph.Nodes {
		if counts[node.Op] == 0 {
			kinds = append(kinds, node.Op)
		}
		counts[node.Op]++
	}
	parameters := 0
	for _, tensor := range graph.Initializers {
		parameters += tensor.Len()
	}
	var nodes []string
	for _, kind := range kinds {
		nodes = append(nodes, fmt.Sprintf("%s ×%d", kind, counts[kind]))
	}
	return []fact{
		{"kind", "kind", fileKind("onnx")}, {"nodes", "nodes", strings.Join(nodes, ", ")}, {"parameters", "parameters", parameters},
	}
}

// stepLayout is that of the widest kernel.
var stepLayout = sparse.WindowLayout{Rows: 16, Lanes: 4, Window: 128}

// stepsFact tells what a kernel of 512-bit registers takes for one pass over the weights.
func stepsFact[V sparse.Value](weights *sparse.Matrix[V], groups [][]int) fact {
	f := fact{name: fmt.Sprintf("steps (%v)", stepLayout), key: "steps"}
	if packing, err := weights.PackWindows(groups, stepLayout); err == nil {
		f.value = packing.Steps()
	}
	return f
}

func floatFacts(m *model.Model) []fact {
	plan := m.Plan()
	by := m.NNZ()
	counts := make([]int, model.KindCount)
	for _, a := range m.Activations {
		counts[a.Kind]++
	}
	var kinds []string
	for k, count := range counts {
		if count > 0 {
			kinds = append(kinds, fmt.Sprintf("%s ×%d", model.Kind(k), count))
		}
	}
	return []fact{
		{"kind", "kind", fileKind("sim")}, {"inputs", "inputs", m.Inputs()}, {"states", "states", m.States()}, {"outputs", "outputs", m.Outputs()},
		{"nonzeros", "nnz", by.Total()}, {"nonzeros by part", "nnz_by", parts(by)},
		stepsFact(plan.Weights, plan.Groups),
		{"activations", "activations", strings.Join(kinds, ", ")}, {"decision", "decision", string(m.Decision)},
		{"provenance", "provenance", map[string]string(m.Provenance)},
	}
}

// fileKind is "onnx", "sim" or "simb" in the object, words for people.
type fileKind string

func (k fileKind) String() string {
	switch k {
	case "onnx":
		return "network (.onnx)"
	case "sim":
		return "float model (.sim)"
	}
	return "compiled model (.simb)"
}

// parts shows where the nonzeros are.
type parts model.NNZBy

func (p parts) String() string {
	return fmt.Sprintf("A %d, B %d, C %d, D %d, b %d, d %d", p.A, p.B, p.C, p.D, p.StateBias, p.OutputBias)
}

func compiledFacts(file *simb.File, verbose bool) []fact {
	m := file.Model()
	var schedule []string
	var groups [][]int // of rows: the segments, then the outputs
	row := 0
	group := func(rows int) {
		var g []int
		for range rows {
			g = append(g, row)
			row++
		}
		groups = append(groups, g)
	}
	for _, segment := range m.Schedule {
		group(segment.States)
		if segment.Sweeps == 0 {
			schedule = append(schedule, fmt.Sprintf("level of %d", segment.States))
		} else {
			schedule = append(schedule, fmt.Sprintf("loop of %d (at most %d sweeps)", segment.States, segment.Sweeps))
		}
	}
	group(m.Outputs())
	c := &m.Certificates
	facts := []fact{
		{"kind", "kind", fileKind("simb")}, {"inputs", "inputs", m.SourceInputs}, {"inputs read", "inputs_read", len(m.Inputs)},
		{"states", "states", m.States()}, {"outputs", "outputs", m.Outputs()}, {"bits", "bits", int(m.Width)},
		{"nonzeros", "nnz", m.NNZ()}, stepsFact(m.Weights, groups), {"bytes by part", "bytes_by", bytesBy(file.Info())}, {"RAM bytes", "ram_bytes", m.RAMBytes()}, {"multiply-accumulates", "macs", m.MACs()},
		{"schedule", "schedule", strings.Join(schedule, ", ")}, {"decision", "decision", []string{"none", "argmax", "argmin"}[m.Decision]},
		{"error bound, box", "error_bound_box", outputBounds(c.Box)}, {"error bound, unsaturated", "error_bound_calibrated", outputBounds(c.Calibrated)},
		{"error bound, relaxed", "error_bound_relaxed", relaxedBounds(c.Relaxed)}, {"boxes of it", "relaxed_boxes", leaves(c.Relaxed)},
		{"relaxed, unsaturated", "error_bound_relaxed_calibrated", relaxedBounds(c.RelaxedCalibrated)},
		{"Lipschitz constants", "lipschitz", c.Lipschitz}, {"self-tests", "self_tests", len(m.SelfTest)}, {"sequence", "sequence", m.Sequence},
		{"compiler", "compiler", m.Compiler}, {"source SHA-256", "source_sha256", fmt.Sprintf("%x", m.SourceHash)},
		{"digest SHA-256", "digest_sha256", fmt.Sprintf("%x", file.Digest())}, {"signed", "signed", file.Signed()},
	}
	if verbose {
		for _, s := range file.Sections() {
			facts = append(facts, fact{"section " + s.Name, "section." + s.Name, fmt.Sprintf("%d bytes, %d stored (%s)", s.Length, s.Stored, s.Coding)})
		}
	}
	return facts
}

// partBytes shows where a compiled file's bytes are.
type partBytes struct {
	Weights  int `json:"weights"`
	Inputs   int `json:"inputs"`
	Rows     int `json:"rows"` // states and outputs, tables, the schedule
	Claims   int `json:"claims"`
	SelfTest int `json:"self_test"`
	Frame    int `json:"frame"` // header, digest, directory
}

func (b partBytes) String() string {
	return fmt.Sprintf("weights %d, inputs %d, rows %d, claims %d, self-test %d, frame %d", b.Weights, b.Inputs, b.Rows, b.Claims, b.SelfTest, b.Frame)
}

func bytesBy(info simb.Info) partBytes {
	by := partBytes{Frame: info.FrameBytes}
	for _, s := range info.Sections {
		switch part, _, _ := strings.Cut(s.Name, "."); part {
		case "weights":
			by.Weights += s.Stored
		case "input":
			by.Inputs += s.Stored
		case "state", "row", "table", "segment":
			by.Rows += s.Stored
		case "test":
			by.SelfTest += s.Stored
		default:
			by.Claims += s.Stored
		}
	}
	return by
}

func relaxedBounds(e *simb.RelaxedCertificate) []float32 {
	if e == nil {
		return nil
	}
	return e.Output
}

// leaves counts the boxes that a relaxed bound was computed on.
func leaves(e *simb.RelaxedCertificate) int {
	if e == nil {
		return 0
	}
	return (len(e.Tree) + 1) / 2 // of a binary tree
}

func outputBounds(e *simb.ErrorCertificate) []float32 {
	if e == nil {
		return nil
	}
	return e.Output
}
