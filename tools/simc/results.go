package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/sparse-implicit/sim/trainer/dataset"
)

// fewClasses is up to how many classes recalls are shown without being asked for.
const fewClasses = 10

// printResults prints what eval and demo found on a set: tables, or the object.
func (e *env) printResults(results []evalResult, set *dataset.Set, took time.Duration) error {
	if e.json {
		return e.emit(evalReport{results, took.Seconds()})
	}
	e.clearBar()
	e.say("%s", resultTable(results, set))
	if !set.Regression() && (e.verbose || unbalanced(set) && set.Classes <= fewClasses) {
		e.say("%s", recallTable(results, set))
	}
	return nil
}

// resultTable has a line for each model.
func resultTable(results []evalResult, set *dataset.Set) string {
	head := table.Row{"model", "accuracy", "agreement"}
	score := func(r evalResult) table.Row { return table.Row{percent(r.Accuracy), percent(r.Agreement)} }
	switch {
	case set.Regression():
		head = table.Row{"model", "R²", "MSE", "RMSE", "R² to first"}
		score = func(r evalResult) table.Row {
			return table.Row{fmt.Sprintf("%.4f", *r.R2), fmt.Sprintf("%.4g", *r.MSE), fmt.Sprintf("%.4g", *r.RMSE), fmt.Sprintf("%.4f", *r.R2First)}
		}
	case unbalanced(set):
		head = table.Row{"model", "accuracy", "balanced", "agreement"}
		score = func(r evalResult) table.Row {
			return table.Row{percent(r.Accuracy), percent(r.Balanced), percent(r.Agreement)}
		}
	}
	head = append(head, "nonzeros", "file bytes", "RAM bytes", "MACs", "ns p50", "ns p99", "allocs")
	t := newTable(head)
	for _, r := range results {
		row := append(table.Row{r.File}, score(r)...)
		t.AppendRow(append(row, r.NNZ, r.FileBytes, orDash(r.RAMBytes), orDash(r.MACs), int(r.NsP50), int(r.NsP99), r.Allocs))
	}
	return t.Render()
}

// recallTable has a line for each model and a column for each class.
func recallTable(results []evalResult, set *dataset.Set) string {
	head := table.Row{"recall of class"}
	for k := range set.Classes {
		name := strconv.Itoa(k)
		if set.ClassNames != nil {
			name = set.ClassNames[k]
		}
		head = append(head, name)
	}
	t := newTable(head)
	for _, r := range results {
		row := table.Row{r.File}
		for _, v := range r.Recalls {
			row = append(row, percent(v))
		}
		t.AppendRow(row)
	}
	return t.Render()
}

// newTable returns a table whose columns after the first are numbers.
func newTable(head table.Row) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.AppendHeader(head)
	var columns []table.ColumnConfig
	for k := 2; k <= len(head); k++ {
		columns = append(columns, table.ColumnConfig{Number: k, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	return t
}

// unbalanced reports whether one class of the test part has more than one and a half times the samples
// of another, so that accuracy alone can mislead.
func unbalanced(set *dataset.Set) bool {
	if set.Regression() {
		return false
	}
	counts := make([]int, set.Classes)
	for _, label := range set.Test.Labels {
		counts[label]++
	}
	least, most := counts[0], counts[0]
	for _, count := range counts {
		least, most = min(least, count), max(most, count)
	}
	return 2*most > 3*least
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
