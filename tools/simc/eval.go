package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/sparse-implicit/sim/trainer/dataset"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

// evalReport is what `eval --json` and `demo --json` print.
type evalReport struct {
	Results []evalResult `json:"results"`
	Seconds float64      `json:"seconds"`
}

// evalResult is one model's row. Of a classification, accuracy and agreement with the first file are in
// [0, 1]; of a regression they are null, and R2, MSE, RMSE and R2First take their place. Bytes of RAM and
// operations are null where nothing in the file promises them.
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

	// Recalls of the classes, in [0, 1], null for a class that the test part has none of, and their mean
	// over the other classes.
	Recalls  []*float64 `json:"recalls,omitempty"`
	Balanced *float64   `json:"balanced_accuracy,omitempty"`

	// R2 is the coefficient of determination, averaged over the targets; MSE the mean squared error over
	// samples and targets, RMSE its root; R2First the determination of the first file's outputs.
	R2      *float64 `json:"r2,omitempty"`
	MSE     *float64 `json:"mse,omitempty"`
	RMSE    *float64 `json:"rmse,omitempty"`
	R2First *float64 `json:"r2_first,omitempty"`
}

func newEval(e *env) *cobra.Command {
	var data, task string
	command := &cobra.Command{
		Use:   "eval FILE... --data DATA",
		Short: "Compare models on the test part: accuracy, agreement, bytes, operations, latency",
		Long: `Eval runs every file (.onnx, .sim, .simb) on the test part of the data and prints them side by side.
Agreement is with the first file. Where the labels are reals: R², the root mean square error, and R² to
the first file's outputs. Latencies are of this machine, one sample at a time, one thread. A network
answers with its largest output; models as they declare. A network with skip connections is evaluated as
the implicit model it converts to. Where some classes of the test part are rarer than others: the recall
of each class, and balanced accuracy, their mean; -v shows them for all classes of any data.`,
		Example: `  simc eval teacher.onnx model.sim model.simb --data builtin:fashion-mini`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			began := time.Now()
			set, err := openTask(data, task)
			if err != nil {
				return err
			}
			results, err := e.evaluateAll(cmd.Context(), args, set)
			if err != nil {
				return err
			}
			return e.printResults(results, set, time.Since(began))
		},
	}
	command.Flags().StringVar(&data, "data", "", dataHelp)
	command.Flags().StringVar(&task, "task", "", taskHelp)
	return command
}

// evaluateAll evaluates every file on the test part of a set.
func (e *env) evaluateAll(ctx context.Context, paths []string, set *dataset.Set) ([]evalResult, error) {
	if set.Test.Samples == 0 {
		return nil, refusedf("%s has no test part to evaluate on", set.Name)
	}
	candidates := make([]candidate, len(paths))
	for k, path := range paths {
		c, err := openCandidate(path)
		if err != nil {
			return nil, err
		}
		if err := suits(c, set); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		candidates[k] = c
	}
	grade := e.gradeClasses
	if set.Regression() {
		grade = e.gradeOutputs
	}
	results := make([]evalResult, len(paths))
	for k, c := range candidates {
		results[k] = c.describe()
		results[k].File = paths[k]
	}
	if err := grade(ctx, candidates, results, set); err != nil {
		return nil, err
	}
	for k, c := range candidates {
		results[k].NsP50, results[k].NsP99, results[k].Allocs = measure(c, set.Test, set.Features)
	}
	return results, nil
}

// suits tells why a model cannot be evaluated on a set.
func suits(c candidate, set *dataset.Set) error {
	switch {
	case c.inputs() != set.Features:
		return refusedf("it has %d inputs, the data %d features", c.inputs(), set.Features)
	case set.Regression() && c.outputs() != set.Outputs:
		return refusedf("it has %d outputs, the data %d targets", c.outputs(), set.Outputs)
	case c.outputs() < set.Classes:
		return refusedf("it has %d outputs, the data %d classes", c.outputs(), set.Classes)
	}
	return nil
}

// gradeClasses fills accuracy, agreement and recalls.
func (e *env) gradeClasses(ctx context.Context, candidates []candidate, results []evalResult, set *dataset.Set) error {
	var first []int
	for k, c := range candidates {
		classes := make([]int, set.Test.Samples)
		err := e.forSamples(ctx, results[k], set, func(s int, u []float32) (err error) {
			classes[s], err = c.class(u)
			return err
		})
		if err != nil {
			return err
		}
		if first == nil {
			first = classes
		}
		agreement, accuracy := share(classes, first), teacher.Accuracy(classes, set.Test.Labels)
		results[k].Agreement, results[k].Accuracy = &agreement, &accuracy
		results[k].Recalls, results[k].Balanced = recalls(classes, set)
	}
	return nil
}

// gradeOutputs fills what a regression has instead.
func (e *env) gradeOutputs(ctx context.Context, candidates []candidate, results []evalResult, set *dataset.Set) error {
	q, targets := set.Outputs, set.Test.Targets
	var first []float32
	for k, c := range candidates {
		outputs := make([]float32, set.Test.Samples*q)
		err := e.forSamples(ctx, results[k], set, func(s int, u []float32) error {
			y, err := c.answer(u)
			copy(outputs[s*q:], y)
			return err
		})
		if err != nil {
			return err
		}
		if first == nil {
			first = outputs
		}
		sum := 0.0
		for j, y := range outputs {
			miss := float64(y) - float64(targets[j])
			sum += miss * miss
		}
		mse := sum / float64(len(outputs))
		r2, rmse, r2First := teacher.R2(outputs, targets, q), math.Sqrt(mse), teacher.R2(outputs, first, q)
		results[k].R2, results[k].MSE, results[k].RMSE, results[k].R2First = &r2, &mse, &rmse, &r2First
	}
	return nil
}

// forSamples calls do with every sample of the test part, and tells of the progress of one file.
func (e *env) forSamples(ctx context.Context, file evalResult, set *dataset.Set, do func(s int, u []float32) error) error {
	progress := e.progress(stage{"eval " + file.File, "samples"})
	p := set.Features
	for s := range set.Test.Samples {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := do(s, set.Test.X[s*p:(s+1)*p]); err != nil {
			return refusedf("%s: test sample %d: %w", file.File, s, err)
		}
		progress(s+1, set.Test.Samples)
	}
	return nil
}

// share returns how many of the values are equal, in [0, 1].
func share(a, b []int) float64 {
	same := 0
	for k, v := range a {
		if v == b[k] {
			same++
		}
	}
	return float64(same) / float64(len(a))
}

// recalls returns the share of each class that was recognised, nil where the test part has none of it, and
// the mean over the classes that it has.
func recalls(classes []int, set *dataset.Set) (list []*float64, mean *float64) {
	counts := make([]int, set.Classes)
	for _, label := range set.Test.Labels {
		counts[label]++
	}
	values := teacher.Recalls(classes, set.Test.Labels, set.Classes)
	list = make([]*float64, set.Classes)
	sum, present := 0.0, 0
	for k, v := range values {
		if counts[k] > 0 {
			list[k] = &values[k]
			sum += v
			present++
		}
	}
	sum /= float64(present)
	return list, &sum
}
