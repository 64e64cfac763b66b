package main

import (
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/sparse-implicit/sim/trainer/dataset"
)

// evalReport is what `eval --json` and `demo --json` print.
type evalReport struct {
	Results []evalResult `json:"results"`
	Seconds float64      `json:"seconds"`
}

// evalResult is one model's row. Accuracy and agreement (with the first file) are in [0, 1], null
// without labels; bytes of RAM and operations are null where nothing in the file promises them.
type evalResult struct {
	File      string   `json:"file"`
	Kind      string   `json:"kind"` // onnx, sim or simb
	Accuracy  *float64 `json:"accuracy"`
	Agreement *float64 `json:"agreement"`
	NNZ       int      `json:"nnz"`
	FileBytes int      `json:"file_bytes"`
	RAMBytes  *int     `json:"ram_bytes"`
	MACs      *uint64  `json:"macs"`
	NsP50     float64  `json:"ns_p50"`
	NsP99     float64  `json:"ns_p99"`
	Allocs    float64  `json:"allocs"`
	// Recalls of the classes, in [0, 1].
	Recalls []float64 `json:"recalls,omitempty"`
}

func newEval(e *env) *cobra.Command {
	var data string
	command := &cobra.Command{
		Use:   "eval FILE... --data DATA",
		Short: "Compare models on the test part: accuracy, agreement, bytes, operations, latency",
		Long: `Eval runs every file (.onnx, .sim, .simb) on the test part of the data and prints them side by side.
Agreement is with the first file. Latencies are of this machine, one sample at a time, one thread.`,
		Example: `  simc eval teacher.onnx model.sim model.simb --data builtin:fashion-mini`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			began := time.Now()
			set, err := openData(data)
			if err != nil {
				return err
			}
			results, err := e.evaluateAll(args, set)
			if err != nil {
				return err
			}
			return e.printResults(results, time.Since(began))
		},
	}
	command.Flags().StringVar(&data, "data", "", dataHelp)
	_ = command.MarkFlagRequired("data")
	return command
}

// evaluateAll evaluates every file on the test part of a set.
func (e *env) evaluateAll(paths []string, set *dataset.Set) ([]evalResult, error) {
	var results []evalResult
	var first []int
	for _, path := range paths {
		candidate, err := openCandidate(path)
		if err != nil {
			return nil, err
		}
		if candidate.inputs() != set.Features {
			return nil, refusedf("%s has %d inputs, the data %d features", path, candidate.inputs(), set.Features)
		}
		result := candidate.describe()
		result.File = path
		classes, err := classify(candidate, set.Test, e.progress("eval "+result.Kind))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if first == nil {
			first = classes
		}
		score(&result, classes, first, set)
		result.NsP50, result.NsP99, result.Allocs = measure(candidate, set.Test, set.Features)
		results = append(results, result)
	}
	return results, nil
}

// classify returns the class of every sample of a part.
func classify(c candidate, part dataset.Part, progress func(done, total int)) ([]int, error) {
	p := c.inputs()
	classes := make([]int, part.Samples)
	for s := range classes {
		class, err := c.class(part.X[s*p : (s+1)*p])
		if err != nil {
			return nil, refusedf("test sample %d: %w", s, err)
		}
		classes[s] = class
		progress(s+1, part.Samples)
	}
	return classes, nil
}

// score fills accuracy, agreement and recalls.
func score(result *evalResult, classes, first []int, set *dataset.Set) {
	if len(classes) == 0 {
		return
	}
	agree, right := 0, 0
	for s, class := range classes {
		if class == first[s] {
			agree++
		}
	}
	agreement := float64(agree) / float64(len(classes))
	result.Agreement = &agreement
	if set.Test.Labels == nil {
		return
	}
	hits, counts := make([]int, set.Classes), make([]int, set.Classes)
	for s, class := range classes {
		label := int(set.Test.Labels[s])
		counts[label]++
		if class == label {
			right++
			hits[label]++
		}
	}
	accuracy := float64(right) / float64(len(classes))
	result.Accuracy = &accuracy
	for k, count := range counts {
		recall := 0.0
		if count > 0 {
			recall = float64(hits[k]) / float64(count)
		}
		result.Recalls = append(result.Recalls, recall)
	}
}

// printResults prints the table, or the object.
func (e *env) printResults(results []evalResult, took time.Duration) error {
	if e.json {
		return e.emit(evalReport{results, took.Seconds()})
	}
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.AppendHeader(table.Row{"model", "accuracy", "agreement", "nonzeros", "file bytes", "RAM bytes", "MACs", "ns p50", "ns p99", "allocs"})
	for _, r := range results {
		t.AppendRow(table.Row{r.File, percent(r.Accuracy), percent(r.Agreement), r.NNZ, r.FileBytes, orDash(r.RAMBytes), orDash(r.MACs), int(r.NsP50), int(r.NsP99), r.Allocs})
	}
	columns := []table.ColumnConfig{}
	for k := 2; k <= 10; k++ {
		columns = append(columns, table.ColumnConfig{Number: k, Align: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	_, err := fmt.Fprintln(e.stdout, t.Render())
	if e.verbose {
		for _, r := range results {
			e.say("%s: recall by class %.3f", r.File, r.Recalls)
		}
	}
	return err
}

func percent(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f %%", 100**v)
}

func orDash[T any](v *T) any {
	if v == nil {
		return "-"
	}
	return *v
}
