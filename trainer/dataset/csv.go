package dataset

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// csvTestSeed chooses the test lines. It is no option: were it one, a model could be fitted with one
// seed and judged with another, on lines that it was fitted to.
const csvTestSeed = 0x637376

// csvTestShare is the n of "one n-th of the lines is the test part".
const csvTestShare = 5

func openCSV(in folder, name string, o Options) (*Set, error) {
	file, err := in.open(o.MaxBytes, name)
	if err != nil {
		return nil, err
	}
	defer file.close()
	table, err := readCSV(file, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.path, err)
	}
	set, err := table.set(o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.path, err)
	}
	set.Name = file.path
	return set.finish(o, false)
}

// table is a CSV file: numbers, and the last column as text.
type table struct {
	features int
	x        []float32 // line by line
	labels   []string
	lines    []int // where each sample stands in the file, counted from 1
}

// readCSV reads lines of numbers with a label at the end. The first line is a header when one of its
// numbers is not a number, or when its label is not one although all others are.
func readCSV(r io.Reader, o Options) (*table, error) {
	reader := newRecords(r, o.MaxFeatures+1, o.MaxBytes)
	t := &table{}
	for first := true; ; first = false {
		record, err := reader.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, csvError(err)
		}
		line, _ := reader.FieldPos(0)
		if first {
			if t.features = len(record) - 1; t.features < 1 {
				return nil, fmt.Errorf("line %d has one column; inputs and a label, separated by commas, are needed: %w", line, ErrMalformed)
			}
			if err := o.features(fmt.Sprintf("line %d", line), t.features); err != nil {
				return nil, err
			}
			if isHeader(record) {
				continue
			}
		}
		if int64(len(t.x)+t.features) > o.MaxElements {
			return nil, fmt.Errorf("line %d: more than %d values, the most that is read: %w", line, o.MaxElements, ErrMalformed)
		}
		if err := t.add(record, line); err != nil {
			return nil, err
		}
	}
	t.dropHeader()
	return t, nil
}

// csvError says which line is wrong, and why.
func csvError(err error) error {
	var parse *csv.ParseError
	switch {
	case errors.Is(err, ErrMalformed):
		return err
	case !errors.As(err, &parse):
		return broken(err)
	case errors.Is(err, csv.ErrFieldCount):
		return fmt.Errorf("line %d has another number of columns than the first line: %w", parse.StartLine, ErrMalformed)
	}
	return fmt.Errorf("line %d, column %d: %w: %w", parse.Line, parse.Column, parse.Err, ErrMalformed)
}

// isHeader reports whether one of the inputs is a word. A gap, NaN or Inf does not make a header: the
// line is read, and refused.
func isHeader(record []string) bool {
	for _, field := range record[:len(record)-1] {
		if _, err := parseNumber(field); errors.Is(err, errNoNumber) && strings.TrimSpace(field) != "" {
			return true
		}
	}
	return false
}

func (t *table) add(record []string, line int) error {
	for j, field := range record[:t.features] {
		v, err := parseNumber(field)
		if err != nil {
			return fmt.Errorf("line %d, column %d: %q %w: %w", line, j+1, field, err, ErrMalformed)
		}
		t.x = append(t.x, v)
	}
	label := strings.TrimSpace(record[t.features])
	if label == "" {
		return fmt.Errorf("line %d, column %d: the label is missing: %w", line, t.features+1, ErrMalformed)
	}
	t.labels = append(t.labels, strings.Clone(label))
	t.lines = append(t.lines, line)
	return nil
}

// Errors of parseNumber, worded to follow the field.
var (
	errNoNumber  = errors.New("is not a number")
	errNotFinite = errors.New("is not a finite float32 number")
)

// parseNumber reads a finite float32.
func parseNumber(field string) (float32, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(field), 32)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, errNoNumber
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, errNotFinite
	}
	return float32(v), nil
}

// dropHeader removes a first line whose label is a word although all others are numbers: a header whose
// other columns are called 0, 1, 2 …
func (t *table) dropHeader() {
	if len(t.labels) < 2 || isNumber(t.labels[0]) || slices.ContainsFunc(t.labels[1:], func(s string) bool { return !isNumber(s) }) {
		return
	}
	t.x, t.labels, t.lines = t.x[t.features:], t.labels[1:], t.lines[1:]
}

func isNumber(field string) bool {
	_, err := parseNumber(field)
	return err == nil
}

// set divides the lines into parts and reads the labels.
func (t *table) set(o Options) (*Set, error) {
	n := len(t.labels)
	if n < 2 {
		return nil, fmt.Errorf("%d lines of numbers, two are needed at least: %w", n, ErrMalformed)
	}
	all := Part{Samples: n, X: t.x}
	set := &Set{Features: t.features}
	if err := t.readLabels(set, &all, o); err != nil {
		return nil, err
	}
	order := make([]int, n)
	for k := range order {
		order[k] = k
	}
	shuffle(rand.NewPCG(csvTestSeed, csvTestSeed), order)
	test, train := order[:max(1, n/csvTestShare)], order[max(1, n/csvTestShare):]
	slices.Sort(test)
	slices.Sort(train)
	set.Train, set.Test = set.take(all, train), set.take(all, test)
	return set, nil
}

// readLabels decides what the last column is: whole non-negative numbers and words are classes, other
// numbers targets.
func (t *table) readLabels(set *Set, all *Part, o Options) error {
	numbers, whole := make([]float32, len(t.labels)), true
	for k, label := range t.labels {
		v, err := parseNumber(label)
		switch {
		case err != nil && o.Task == Regression:
			return fmt.Errorf("line %d, column %d: the target %q %w: %w", t.lines[k], t.features+1, label, err, ErrMalformed)
		case err != nil:
			return t.readWords(set, all)
		}
		numbers[k] = v
		whole = whole && v == float32(math.Floor(float64(v))) && v >= 0
	}
	if o.Task == Regression || o.Task == Auto && !whole {
		all.Targets = numbers
		return nil
	}
	all.Labels = make([]int32, len(numbers))
	for k, v := range numbers {
		if v < 0 || v >= maxClasses || v != float32(math.Floor(float64(v))) {
			return fmt.Errorf("line %d, column %d: the label %s is no class 0 to %d; number the classes, or choose the task regression: %w",
				t.lines[k], t.features+1, t.labels[k], maxClasses-1, ErrMalformed)
		}
		all.Labels[k] = int32(v)
	}
	return nil
}

// readWords numbers the distinct words of the last column in their order as bytes.
func (t *table) readWords(set *Set, all *Part) error {
	words := slices.Clone(t.labels)
	slices.Sort(words)
	words = slices.Compact(words)
	if len(words) > maxClasses {
		return fmt.Errorf("the last column has %d different words, at most %d classes are read: %w", len(words), maxClasses, ErrMalformed)
	}
	for _, label := range t.labels {
		k, _ := slices.BinarySearch(words, label)
		all.Labels = append(all.Labels, int32(k))
	}
	set.ClassNames, set.Classes = words, len(words)
	return nil
}
