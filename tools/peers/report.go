package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/sparse-implicit/sim/trainer/teacher"
)

// report is what --json prints.
type report struct {
	Machine string    `json:"machine"`
	Tables  []*table  `json:"tables"`
	Skipped []skipped `json:"skipped"`
	Seconds float64   `json:"seconds"`
}

// table is a comparison of engines that took turns.
type table struct {
	Title    string    `json:"title"`
	Rows     []row     `json:"rows"`
	Verdicts []verdict `json:"verdicts"`
}

// row is one engine. Times are those of one sample.
type row struct {
	Name          string   `json:"name"`
	Ours          bool     `json:"ours"`
	Input         string   `json:"input"` // floats or integers
	Batch         int      `json:"batch"`
	NsP50         float64  `json:"ns_p50"` // median of the rounds' means
	NsMin         float64  `json:"ns_min"` // least of them
	NsP99         float64  `json:"ns_p99"` // of single inferences, the reading of the clock included
	Ratio         float64  `json:"ratio"`  // times as long as the fastest of ours with the same input; see relate
	Accuracy      float64  `json:"accuracy,omitempty"`
	FileBytes     int64    `json:"file_bytes"`
	StartNs       int64    `json:"start_ns,omitempty"`
	ResidentBytes int64    `json:"resident_bytes,omitempty"`
	LibraryBytes  int64    `json:"library_bytes,omitempty"`
	Libraries     []string `json:"libraries,omitempty"`
}

// verdict says how the best of a peer compares with ours of the same input.
type verdict struct {
	Peer  string  `json:"peer"`
	Ours  string  `json:"ours"`
	Input string  `json:"input"`
	Ratio float64 `json:"ratio"` // times as long as ours
}

func newRow(c contender, t timing) row {
	samples := float64(c.recipe.Batch)
	least := 0.0
	for k, ns := range t.rounds {
		if k == 0 || ns < least {
			least = ns
		}
	}
	return row{
		Name: c.name, Ours: c.recipe.Kind == kindSim, Input: c.input(), Batch: c.recipe.Batch,
		NsP50: median(t.rounds) / samples, NsMin: least / samples, NsP99: percentile(t.singles, 0.99) / samples,
	}
}

// sane is how much accuracy a quantised peer may lose against the best of its table and still give a verdict.
const sane = 0.02

// relate fills in ratios and verdicts. What a row is compared with is the fastest of ours of the first model that
// takes the same kind of input: Infer for floats, InferQ7 or InferQ14 for integers.
func (t *table) relate(timings []timing) {
	for _, input := range []string{"floats", "integers"} {
		ours := t.fastest(func(r *row) bool { return r.Ours && r.Input == input && r.FileBytes == t.Rows[0].FileBytes })
		if ours < 0 {
			continue
		}
		for k := range t.Rows {
			if r := &t.Rows[k]; r.Input == input {
				r.Ratio = ratio(timings[k], timings[ours]) * float64(t.Rows[ours].Batch) / float64(r.Batch)
			}
		}
		for _, peer := range []string{"ONNX Runtime float", "ONNX Runtime int8", "XNNPACK float", "XNNPACK int8"} {
			best := t.fastest(func(r *row) bool {
				return r.Input == input && strings.HasPrefix(r.Name, peer) && r.Accuracy >= t.bestAccuracy()-sane
			})
			if best >= 0 {
				t.Verdicts = append(t.Verdicts, verdict{t.Rows[best].Name, t.Rows[ours].Name, input, t.Rows[best].Ratio})
			}
		}
	}
}

// fastest returns the index of the fastest row of a kind, or −1.
func (t *table) fastest(of func(*row) bool) int {
	best := -1
	for k := range t.Rows {
		if of(&t.Rows[k]) && (best < 0 || t.Rows[k].NsP50 < t.Rows[best].NsP50) {
			best = k
		}
	}
	return best
}

func (t *table) bestAccuracy() float64 {
	best := 0.0
	for _, r := range t.Rows {
		best = max(best, r.Accuracy)
	}
	return best
}

// print writes the report for people.
func (r *report) print(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", r.Machine)
	for _, t := range r.Tables {
		t.print(&b)
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(&b, "\nleft out: %s: %s\n", s.Name, s.Reason)
	}
	fmt.Fprintf(&b, "\n%.0f s\n", r.Seconds)
	_, err := w.Write(b.Bytes())
	return err
}

func (t *table) print(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n%s\n", t.Title)
	fmt.Fprintf(b, "%-44s %-8s %10s %10s %7s %8s %9s %9s %9s %8s\n", "", "takes", "ns p50", "ns p99", "× ours", "accuracy", "file", "library", "resident", "start")
	for _, r := range t.Rows {
		fmt.Fprintf(b, "%-44s %-8s %10.0f %10.0f %7s %8s %9s %9s %9s %8s\n", r.Name, r.Input, r.NsP50, r.NsP99,
			positive("%.2f", r.Ratio), positive("%.2f %%", 100*r.Accuracy), size(r.FileBytes), size(r.LibraryBytes), size(r.ResidentBytes),
			positive("%.1f ms", float64(r.StartNs)/1e6))
	}
	for _, v := range t.Verdicts {
		fmt.Fprintf(b, "%s takes %.1f times as long as %s (%s)\n", v.Peer, v.Ratio, v.Ours, v.Input)
	}
}

// positive formats what was measured; 0 was not.
func positive(format string, v float64) string {
	if v <= 0 {
		return "–"
	}
	return fmt.Sprintf(format, v)
}

func size(bytes int64) string {
	switch {
	case bytes >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	case bytes >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(bytes)/1e3)
	}
	return positive("%.0f B", float64(bytes))
}

// widths describes a network as 784-128-10.
func widths(net *teacher.Network) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(net.Dims()), "[]"), " ", "-")
}

// machine names the processor.
func machine() string {
	name := runtime.GOOS + "/" + runtime.GOARCH
	content, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return name
	}
	for line := range strings.Lines(string(content)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
			return name + ", " + strings.TrimSpace(value)
		}
	}
	return name
}
