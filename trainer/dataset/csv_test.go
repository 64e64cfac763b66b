package dataset

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestCSVReadsLines(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		x      []float32
		labels []string
	}{
		"plain":                         {"1,2,0\n3,4e0,1\n", []float32{1, 2, 3, 4}, []string{"0", "1"}},
		"header":                        {"a,b,class\n1,2,0\n3,4,1\n", []float32{1, 2, 3, 4}, []string{"0", "1"}},
		"header of numbers and a word":  {"0,1,label\n1,2,0\n3,4,1\n", []float32{1, 2, 3, 4}, []string{"0", "1"}},
		"words as labels":               {"1,2,ash\n3,4,oak\n", []float32{1, 2, 3, 4}, []string{"ash", "oak"}},
		"one word among numbers, later": {"1,2,0\n3,4,oak\n", []float32{1, 2, 3, 4}, []string{"0", "oak"}},
		"byte order mark":               {"\ufeff1,2,0\n3,4,1\n", []float32{1, 2, 3, 4}, []string{"0", "1"}},
		"spaces, quotes, CRLF, gaps":    {" 1 , 2,\"a, b\"\r\n\r\n3,4, c\r\n", []float32{1, 2, 3, 4}, []string{"a, b", "c"}},
		"no newline at the end":         {"1,2,0\n3,4,1", []float32{1, 2, 3, 4}, []string{"0", "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readCSV(strings.NewReader(c.text), Options{MaxElements: 100}.orDefault())
			if err != nil {
				t.Fatal(err)
			}
			if got.features != 2 || !slices.Equal(got.x, c.x) || !slices.Equal(got.labels, c.labels) {
				t.Errorf("%d inputs, %v, labels %q", got.features, got.x, got.labels)
			}
		})
	}
}

func TestCSVRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		task  Task
		words []string
	}{
		"ragged":                  {"1,2,0\n3,4,1\n5,1\n", Auto, []string{"line 3", "columns"}},
		"a word among the inputs": {"1,2,0\n3,x,1\n", Auto, []string{"line 2", "column 2", `"x"`}},
		"a gap":                   {"1,2,0\n3,,1\n", Auto, []string{"line 2", "column 2"}},
		"a gap in the first line": {",2,0\n3,4,1\n", Auto, []string{"line 1", "column 1"}},
		"NaN":                     {"1,2,0\nnan,1,1\n", Auto, []string{"line 2", "column 1", "finite"}},
		"NaN in the first line":   {"NaN,2,0\n1,1,1\n", Auto, []string{"line 1", "column 1", "finite"}},
		"infinity":                {"1,2,0\n1,-Inf,1\n", Auto, []string{"line 2", "column 2", "finite"}},
		"beyond float32":          {"1,2,0\n1,1e39,1\n", Auto, []string{"line 2", "column 2", "finite"}},
		"no label":                {"1,2,0\n1,2,\n", Auto, []string{"line 2", "column 3", "label"}},
		"one column":              {"1\n2\n", Auto, []string{"line 1", "commas"}},
		"other separator":         {"1;2;0\n2;1;1\n", Auto, []string{"line 1", "commas"}},
		"empty":                   {"", Auto, []string{"0 lines"}},
		"a header alone":          {"a,b,c\n", Auto, []string{"0 lines"}},
		"a quote left open":       {"1,2,0\n1,2,\"x\n", Auto, []string{"line"}},
		"one class":               {"1,2,0\n3,4,0\n", Auto, []string{"same"}},
		"class numbers negative":  {"1,2,-1\n3,4,1\n", Classification, []string{"line 1", "column 3", "-1"}},
		"class numbers broken":    {"1,2,0\n3,4,1.5\n", Classification, []string{"line 2", "1.5"}},
		"class numbers too large": {"1,2,0\n3,4,70000\n", Auto, []string{"line 2", "70000"}},
		"a word as a target":      {"1,2,0.5\n3,4,\"much\"\n", Regression, []string{"line 2", "much"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, "rows.csv", []byte(c.text))
			_, err := Open(path, Options{Task: c.task})
			wantRefusal(t, err, ErrMalformed, append(c.words, path)...)
		})
	}
	_, err := Open(writeFile(t, "rows.csv", []byte("1,2,0\n3,4,1\n")), Options{MaxElements: 3})
	wantRefusal(t, err, ErrMalformed, "line 2", "more than 3")
}

// manyLines has n lines, line k holding k, 2k and the label.
func manyLines(n int, label func(k int) string) []byte {
	var text bytes.Buffer
	for k := range n {
		fmt.Fprintf(&text, "%d,%d,%s\n", k, 2*k, label(k))
	}
	return text.Bytes()
}

func TestCSVSetsOneFifthAside(t *testing.T) {
	text := manyLines(103, func(k int) string { return fmt.Sprint(k % 3) })
	set, err := Open(writeFile(t, "rows.csv.gz", zipped(t, text)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if set.Train.Samples != 83 || set.Test.Samples != 20 || set.Features != 2 || set.Classes != 3 {
		t.Fatalf("%d + %d samples of %d features, %d classes", set.Train.Samples, set.Test.Samples, set.Features, set.Classes)
	}
	seen := make([]int, 103)
	hi := float32(0)
	for p, part := range []Part{set.Train, set.Test} {
		for s := range part.Samples {
			k := part.X[2*s]
			seen[int(k)]++
			if part.X[2*s+1] != 2*k || part.Labels[s] != int32(k)%3 {
				t.Errorf("part %d, sample %d: %v with label %d do not belong together", p, s, part.X[2*s:2*s+2], part.Labels[s])
			}
			if p == 0 {
				hi = max(hi, k)
			}
		}
	}
	for k, n := range seen {
		if n != 1 {
			t.Errorf("line %d is %d times in the parts", k+1, n)
		}
	}
	if set.Hi[0] != hi || set.Hi[1] != 2*hi {
		t.Errorf("box up to %v, the training part reaches %g and %g", set.Hi, hi, 2*hi)
	}
	asTargets, err := Open(writeFile(t, "rows.csv", text), Options{Task: Regression})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(asTargets.Test.X, set.Test.X) {
		t.Error("the test part depends on the task: a model could be judged on lines that it was fitted to")
	}
}

func TestCSVTellsClassesFromTargets(t *testing.T) {
	for name, c := range map[string]struct {
		label            func(k int) string
		task             Task
		classes, outputs int
		names            []string
	}{
		"whole numbers":            {func(k int) string { return fmt.Sprint(k % 4) }, Auto, 4, 4, nil},
		"whole numbers as targets": {func(k int) string { return fmt.Sprint(k % 4) }, Regression, 0, 1, nil},
		"broken numbers":           {func(k int) string { return fmt.Sprint(float64(k) / 4) }, Auto, 0, 1, nil},
		"negative numbers":         {func(k int) string { return fmt.Sprint(-k) }, Auto, 0, 1, nil},
		"words":                    {func(k int) string { return []string{"oak", "ash"}[k%2] }, Auto, 2, 2, []string{"ash", "oak"}},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := Open(writeFile(t, "rows.csv", manyLines(40, c.label)), Options{Task: c.task})
			if err != nil {
				t.Fatal(err)
			}
			if set.Classes != c.classes || set.Outputs != c.outputs || !slices.Equal(set.ClassNames, c.names) {
				t.Errorf("%d classes %v, %d outputs", set.Classes, set.ClassNames, set.Outputs)
			}
			for s := range set.Train.Samples {
				label := c.label(int(set.Train.X[2*s]))
				got := ""
				switch {
				case set.Regression():
					got = fmt.Sprint(set.Train.Targets[s])
				case set.ClassNames != nil:
					got = set.ClassNames[set.Train.Labels[s]]
				default:
					got = fmt.Sprint(set.Train.Labels[s])
				}
				if got != label {
					t.Fatalf("sample %d has label %s, the file says %s", s, got, label)
				}
			}
		})
	}
}

func FuzzCSV(f *testing.F) {
	for _, text := range []string{"1,2,0\n3,4,1\n", "a,b,c\n1,2,x\n3,4,y\n", "\ufeff1,\"2\",0\n", "1,2\n\n3,0x1p-2\n", "1,nan\n", "1,2,3\n1,2\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, err := readCSV(bytes.NewReader(data), Options{MaxElements: 1 << 16}.orDefault())
		if err != nil {
			wantRefusal(t, err, ErrMalformed)
			return
		}
		if len(rows.x) != len(rows.labels)*rows.features || len(rows.lines) != len(rows.labels) || notFinite(rows.x) >= 0 {
			t.Fatalf("%d values and %d labels of %d inputs", len(rows.x), len(rows.labels), rows.features)
		}
		set, err := rows.set(Options{})
		if err == nil {
			_, err = set.finish(Options{}, false)
		}
		if err != nil {
			wantRefusal(t, err, ErrMalformed)
		}
	})
}
