package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/sparse-implicit/sim/trainer/teacher"
)

// report is what --json prints.
type report struct {
	// System, architecture and processor.
	Machine string `json:"machine"`

	Peers   []peer    `json:"peers"`
	Tables  []*table  `json:"tables"`
	Skipped []skipped `json:"skipped"`

	// How long all of it took.
	Seconds float64 `json:"seconds"`
}

// table is a comparison of engines that took turns.
type table struct {
	Title    string    `json:"title"`
	Rows     []row     `json:"rows"`
	Verdicts []verdict `json:"verdicts"`
}

// row is one engine. Times are those of one sample.
type row struct {
	Name string `json:"name"`

	// Whether it is an engine of this project.
	Ours bool `json:"ours"`

	// The model's, without its folder.
	File string `json:"file"`

	// "floats" or "integers".
	Input string `json:"input"`

	// Samples of a call.
	Batch int `json:"batch"`

	// Median of the rounds' means, the least of them, and the 99th percentile of single inferences, the
	// reading of the clock included.
	NsP50 float64 `json:"ns_p50"`
	NsMin float64 `json:"ns_min"`
	NsP99 float64 `json:"ns_p99"`

	// How many times as long as the fastest of ours with the same input; see relate.
	Ratio float64 `json:"ratio"`

	// On the test part, in [0, 1].
	Accuracy float64 `json:"accuracy,omitempty"`

	FileBytes int64 `json:"file_bytes"`

	// Of a process of its own: from opening library and file to the first answer, and by how much the
	// resident memory grew.
	StartNs       int64 `json:"start_ns,omitempty"`
	ResidentBytes int64 `json:"resident_bytes,omitempty"`

	// Of the libraries that were loaded on the way; of ours, the stripped edge application.
	LibraryBytes int64    `json:"library_bytes,omitempty"`
	Libraries    []string `json:"libraries,omitempty"`
}

// verdict says how the best of a peer compares with ours of the same input.
type verdict struct {
	// Names of the two rows.
	Peer string `json:"peer"`
	Ours string `json:"ours"`

	// "floats" or "integers".
	Input string `json:"input"`

	// How many times as long as ours.
	Ratio float64 `json:"ratio"`
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
		Name: c.name, Ours: c.recipe.Kind == kindSim, File: filepath.Base(c.recipe.File), Input: c.input(), Batch: c.recipe.Batch,
		NsP50: median(t.rounds) / samples, NsMin: least / samples, NsP99: percentile(t.singles, 0.99) / samples,
	}
}

// sane is how much accuracy a quantised peer may lose against the best of its table and still give a verdict.
const sane = 0.02

// relate fills in ratios and verdicts. A row is compared with the fastest of ours that takes the same kind of input:
// Infer for floats, InferQ7 or InferQ14 for integers. Ratios are to the first model, verdicts to each.
func (t *table) relate(timings []timing) {
	for _, input := range []string{"floats", "integers"} {
		for k, file := range t.models() {
			ours := t.fastest(func(r *row) bool { return r.Ours && r.Input == input && r.File == file })
			if ours < 0 {
				continue
			}
			times := func(k int) float64 {
				return ratio(timings[k], timings[ours]) * float64(t.Rows[ours].Batch) / float64(t.Rows[k].Batch)
			}
			if k == 0 {
				for i := range t.Rows {
					if r := &t.Rows[i]; r.Input == input {
						r.Ratio = times(i)
					}
				}
			}
			for _, best := range t.bestPeers(input) {
				t.Verdicts = append(t.Verdicts, verdict{t.Rows[best].Name, t.Rows[ours].Name, input, times(best)})
			}
		}
	}
}

// models returns the files of our own rows, each once.
func (t *table) models() []string {
	var files []string
	for _, r := range t.Rows {
		if r.Ours && !slices.Contains(files, r.File) {
			files = append(files, r.File)
		}
	}
	return files
}

// bestPeers returns the index of the fastest sane row of each peer that takes a kind of input, in floats and in int8.
func (t *table) bestPeers(input string) []int {
	var found []int
	for _, peer := range []string{"ONNX Runtime float", "ONNX Runtime int8", "XNNPACK float", "XNNPACK int8"} {
		best := t.fastest(func(r *row) bool {
			return r.Input == input && strings.HasPrefix(r.Name, peer) && r.Accuracy >= t.bestAccuracy()-sane
		})
		if best >= 0 {
			found = append(found, best)
		}
	}
	return found
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
	for _, p := range r.Peers {
		fmt.Fprintf(&b, "%s %s, %s\n", p.Name, p.Version, p.Library)
	}
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
	for k, v := range t.Verdicts {
		before := " ·"
		if k == 0 || v.Ours != t.Verdicts[k-1].Ours || v.Input != t.Verdicts[k-1].Input {
			fmt.Fprintf(b, "\ntimes as long as %s on %s:", v.Ours, v.Input)
			before = ""
		}
		fmt.Fprintf(b, "%s %.2f %s", before, v.Ratio, v.Peer)
	}
	b.WriteString("\n")
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
