package main

import (
	"fmt"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/onnx"
	"github.com/sparse-implicit/sim/trainer/teacher"
	"github.com/spf13/cobra"
)

// convertReport is what `convert --json` prints.
type convertReport struct {
	File   string      `json:"file"`
	Inputs int         `json:"inputs"`
	States int         `json:"states"`
	Output int         `json:"outputs"`
	NNZ    int         `json:"nnz"`
	NNZBy  model.NNZBy `json:"nnz_by"`
	Notes  []string    `json:"notes"`
}

func newConvert(e *env) *cobra.Command {
	var output, box, decision string
	command := &cobra.Command{
		Use:   "convert NET.onnx",
		Short: "Turn a feed-forward ONNX network into an implicit model, exactly",
		Long: `Convert writes the implicit model that computes what the network computes; nothing is trained or pruned.
Operators that it does not know are refused by name and node.`,
		Example: `  simc convert controller.onnx --box box.csv --decision argmin -o controller.sim`,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return runConvert(e, args[0], output, box, decision)
		},
	}
	f := command.Flags()
	f.StringVarP(&output, "output", "o", "", "file to write (default: beside the source, ending in .sim)")
	f.StringVar(&box, "box", "", "CSV of the input box: lines lo,hi, one per input (default [-1, 1])")
	f.StringVar(&decision, "decision", "", "argmax, argmin or none (default: argmax after a softmax, else none)")
	return command
}

func runConvert(e *env, path, output, box, decision string) error {
	if output == "" {
		output = beside(path, ".sim")
	}
	switch model.Decision(decision) {
	case "", model.DecideNone, model.DecideArgmax, model.DecideArgmin:
	default:
		return usagef("--decision %s: choose argmax, argmin or none", decision)
	}
	if err := writable(output, path); err != nil {
		return err
	}
	data, err := readFile(path)
	if err != nil {
		return err
	}
	graph, err := onnx.Decode(data)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	folded, notes, err := teacher.FromONNX(graph)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	options := teacher.ConvertOptions{Decision: model.Decision(decision)}
	if box != "" {
		if options.Lo, options.Hi, err = loadBox(box, folded.Inputs()); err != nil {
			return err
		}
	}
	m, more, err := folded.Model(options)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	encoded, err := model.Encode(m)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := writeFile(output, encoded); err != nil {
		return err
	}
	notes = append(notes, more...)
	if e.json {
		return e.emit(convertReport{output, m.Inputs(), m.States(), m.Outputs(), m.NNZ().Total(), m.NNZ(), notes})
	}
	for _, note := range notes {
		e.note("note: %s", note)
	}
	e.say("%s: %d inputs, %d states, %d outputs, %d nonzeros", output, m.Inputs(), m.States(), m.Outputs(), m.NNZ().Total())
	return nil
}
