package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/onnx"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/spf13/cobra"
)

// fact is one line of what a file is.
type fact struct {
	Name  string `json:"name"`
	Value any    `json:"value"`
}

func newInspect(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "inspect FILE",
		Short: "Tell what is in a .sim, .simb or .onnx file",
		Long: `Inspect tells dimensions, nonzeros, bytes, schedule and bounds of a compiled model, dimensions, nonzeros,
activations and origin of a float model, nodes and tensors of a network. A compiled file is verified
first, as on a device.`,
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
			return e.printFacts(append([]fact{{"file", args[0]}, {"file bytes", len(data)}}, facts...))
		},
	}
}

func (e *env) printFacts(facts []fact) error {
	if e.json {
		object := map[string]any{}
		for _, f := range facts {
			object[strings.ReplaceAll(f.Name, " ", "_")] = f.Value
		}
		return e.emit(object)
	}
	for _, f := range facts {
		e.say("%-24s %v", f.Name, f.Value)
	}
	return nil
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
	return []fact{{"kind", "ONNX network"}, {"nodes", strings.Join(nodes, ", ")}, {"parameters", parameters}}
}

func floatFacts(m *model.Model) []fact {
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
	facts := []fact{
		{"kind", "float model (.sim)"}, {"inputs", m.Inputs()}, {"states", m.States()}, {"outputs", m.Outputs()},
		{"nonzeros", by.Total()}, {"nonzeros of A B C D b d", []int{by.A, by.B, by.C, by.D, by.StateBias, by.OutputBias}},
		{"activations", strings.Join(kinds, ", ")}, {"decision", string(m.Decision)},
	}
	keys := make([]string, 0, len(m.Provenance))
	for key := range m.Provenance {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		facts = append(facts, fact{key, m.Provenance[key]})
	}
	return facts
}

func compiledFacts(file *simb.File, verbose bool) []fact {
	m := file.Model()
	var schedule []string
	for _, segment := range m.Schedule {
		if segment.Sweeps == 0 {
			schedule = append(schedule, fmt.Sprintf("level of %d", segment.States))
		} else {
			schedule = append(schedule, fmt.Sprintf("loop of %d (at most %d sweeps)", segment.States, segment.Sweeps))
		}
	}
	c := &m.Certificates
	facts := []fact{
		{"kind", "compiled model (.simb)"}, {"inputs", m.SourceInputs}, {"inputs read", len(m.Inputs)}, {"states", m.States()}, {"outputs", m.Outputs()},
		{"bits", int(m.Width)}, {"nonzeros", m.NNZ()}, {"RAM bytes", m.RAMBytes()}, {"multiply-accumulates", m.MACs()},
		{"schedule", strings.Join(schedule, ", ")}, {"decision", []string{"none", "argmax", "argmin"}[m.Decision]},
		{"error bound, box", outputBounds(c.Box)}, {"error bound, unsaturated", outputBounds(c.Calibrated)},
		{"Lipschitz constants", orNotProved(c.Lipschitz)}, {"self-tests", len(m.SelfTest)}, {"sequence", m.Sequence},
		{"compiler", m.Compiler}, {"source SHA-256", fmt.Sprintf("%x", m.SourceHash)}, {"digest SHA-256", fmt.Sprintf("%x", file.Digest())}, {"signed", file.Signed()},
	}
	if verbose {
		for _, s := range file.Sections() {
			facts = append(facts, fact{"section " + s.Name, fmt.Sprintf("%d bytes, %d stored (%s)", s.Length, s.Stored, s.Coding)})
		}
	}
	return facts
}

func outputBounds(e *simb.ErrorCertificate) any {
	if e == nil {
		return "not proved"
	}
	return e.Output
}

func orNotProved(values []float32) any {
	if values == nil {
		return "not proved"
	}
	return values
}
