package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"github.com/sparse-implicit/sim/format/npz"
	simrt "github.com/sparse-implicit/sim/runtime"
	"github.com/spf13/cobra"
)

func newRun(e *env) *cobra.Command {
	var input, output string
	var classes bool
	command := &cobra.Command{
		Use:   "run MODEL.simb",
		Short: "Answer rows of inputs with rows of outputs",
		Long: `Run reads rows of inputs (CSV without or with a header, or NPY) and writes a row of outputs for each: CSV
without a header, or NPY when --out ends in .npy. It is the device's own runtime: the same integers, the
same bits. With --json, one object: the number of rows, and the answers unless --out takes them.`,
		Example: `  simc run model.simb --in frames.csv --out answers.csv
  head -1 frames.csv | simc run model.simb --classes`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRun(cmd.Context(), e, args[0], input, output, classes)
		},
	}
	f := command.Flags()
	f.StringVar(&input, "in", "-", "rows of inputs, CSV or NPY; - is standard input")
	f.StringVar(&output, "out", "-", "where to write; - is standard output")
	f.BoolVar(&classes, "classes", false, "write the decided class instead of the outputs")
	return command
}

func runRun(ctx context.Context, e *env, path, input, output string, classes bool) error {
	data, err := readFile(path)
	if err != nil {
		return err
	}
	m, err := simrt.Load(data)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if output != "-" {
		if err := writable(output, path, input); err != nil {
			return err
		}
	}
	rows, closeRows, err := e.openRows(input, m.Inputs())
	if err != nil {
		return err
	}
	defer closeRows()
	width := m.Outputs()
	if classes {
		width = 1
	}
	sink := newRowSink(e.stdout, output, width)
	sink.hold = e.json && output == "-"
	if err := answerRows(ctx, m.NewSession(), rows, sink, m.Outputs(), classes); err != nil {
		return err
	}
	if e.json {
		return e.emitAnswers(sink, classes)
	}
	return sink.close()
}

// runReport is what `run --json` prints. One of the last three is there.
type runReport struct {
	Rows    int         `json:"rows"`
	File    string      `json:"file,omitempty"`
	Outputs [][]float32 `json:"outputs,omitempty"`
	Classes []int       `json:"classes,omitempty"`
}

func (e *env) emitAnswers(sink *rowSink, classes bool) error {
	report := runReport{Rows: sink.rows}
	switch {
	case !sink.hold:
		report.File = sink.path
		if err := sink.close(); err != nil {
			return err
		}
	case classes:
		for _, class := range sink.values {
			report.Classes = append(report.Classes, int(class))
		}
	default:
		for row := range slices.Chunk(sink.values, sink.width) {
			report.Outputs = append(report.Outputs, row)
		}
	}
	return e.emit(report)
}

// answerRows runs every row through the session.
func answerRows(ctx context.Context, session *simrt.Session, rows rowSource, sink *rowSink, outputs int, classes bool) error {
	answer := make([]float32, outputs)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		row, err := rows.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if classes {
			class, err := session.Decide(row)
			if err != nil {
				return refusedf("row %d: %w", rows.count(), err)
			}
			sink.add([]float32{float32(class)})
			continue
		}
		if err := session.Infer(answer, row); err != nil {
			return refusedf("row %d: %w", rows.count(), err)
		}
		sink.add(answer)
	}
}

// rowSource yields rows of a fixed width until io.EOF.
type rowSource interface {
	next() ([]float32, error)
	count() int
}

// openRows opens CSV or NPY rows of the given width, told apart by their first bytes.
func (e *env) openRows(path string, width int) (rowSource, func(), error) {
	name, stream, done := "standard input", e.stdin, func() {}
	if path != "-" {
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, usagef("%s: no such file", path)
		}
		if err != nil {
			return nil, nil, usageError{err}
		}
		name, stream, done = path, file, func() { _ = file.Close() }
	} else if isTerminal(e.stdin) {
		e.note("reading rows of %d numbers from the terminal; end with Ctrl-D", width)
	}
	buffered := bufio.NewReaderSize(stream, 1<<16)
	head, _ := buffered.Peek(len(npyMagic)) // an error comes back from reading
	if string(head) != npyMagic {
		return newCSVRows(name, buffered, width), done, nil
	}
	rows, err := readNPYRows(name, buffered, width)
	done()
	return rows, func() {}, err
}

const npyMagic = "\x93NUMPY"

func readNPYRows(path string, stream io.Reader, width int) (rowSource, error) {
	data, err := io.ReadAll(stream)
	if err != nil {
		return nil, usagef("%s: %w", path, err)
	}
	array, err := npz.ReadNPY(data, npz.Limits{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	values, err := array.Float32()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	features := 1
	for _, d := range array.Shape[min(1, len(array.Shape)):] {
		features *= d
	}
	if len(array.Shape) < 2 && len(values) == width {
		features = width // a single row
	}
	if features != width {
		return nil, refusedf("%s: rows of %d numbers, the model has %d inputs", path, features, width)
	}
	return &arrayRows{values: values, width: width}, nil
}

type arrayRows struct {
	values []float32
	width  int
	row    int
}

func (r *arrayRows) count() int { return r.row }

func (r *arrayRows) next() ([]float32, error) {
	start := r.row * r.width
	if start+r.width > len(r.values) {
		return nil, io.EOF
	}
	r.row++
	return r.values[start : start+r.width], nil
}

type csvRows struct {
	name   string
	reader *csv.Reader
	values []float32
	rows   int
}

func newCSVRows(name string, r io.Reader, width int) *csvRows {
	reader := csv.NewReader(r)
	reader.ReuseRecord = true
	reader.TrimLeadingSpace = true
	reader.FieldsPerRecord = -1
	return &csvRows{name: name, reader: reader, values: make([]float32, width)}
}

func (r *csvRows) count() int { return r.rows }

func (r *csvRows) next() ([]float32, error) {
	for {
		record, err := r.reader.Read()
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		if err != nil {
			return nil, refusedf("%s: %w", r.name, err)
		}
		line, _ := r.reader.FieldPos(0)
		if len(record) != len(r.values) {
			return nil, refusedf("%s line %d: %d numbers, the model has %d inputs", r.name, line, len(record), len(r.values))
		}
		header, err := r.parse(record, line)
		if err != nil {
			return nil, err
		}
		if !header {
			r.rows++
			return r.values, nil
		}
	}
}

// parse fills the row; a first line without a single number is a header.
func (r *csvRows) parse(record []string, line int) (header bool, err error) {
	numbers := 0
	for k, field := range record {
		v, parseErr := strconv.ParseFloat(field, 32)
		if parseErr == nil {
			numbers++
			r.values[k] = float32(v)
		} else if err == nil {
			err = refusedf("%s line %d, column %d: %q is not a number", r.name, line, k+1, field)
		}
	}
	if numbers == 0 && r.rows == 0 && line == 1 {
		return true, nil
	}
	return false, err
}

// rowSink collects rows of answers and writes them as CSV or NPY; a file is written whole at the end.
type rowSink struct {
	hold   bool // keep the values, write nothing
	stdout *bufio.Writer
	path   string
	width  int
	text   []byte
	values []float32
	rows   int
}

func newRowSink(stdout io.Writer, path string, width int) *rowSink {
	return &rowSink{stdout: bufio.NewWriter(stdout), path: path, width: width}
}

func (s *rowSink) npy() bool { return len(s.path) > 4 && s.path[len(s.path)-4:] == ".npy" }

func (s *rowSink) add(row []float32) {
	s.rows++
	if s.hold || s.npy() {
		s.values = append(s.values, row...)
		return
	}
	for k, v := range row {
		if k > 0 {
			s.text = append(s.text, ',')
		}
		s.text = strconv.AppendFloat(s.text, float64(v), 'g', -1, 32)
	}
	s.text = append(s.text, '\n')
	if s.path == "-" {
		_, _ = s.stdout.Write(s.text) // an error comes back from Flush
		s.text = s.text[:0]
	}
}

func (s *rowSink) close() error {
	if s.path == "-" {
		return s.stdout.Flush()
	}
	if !s.npy() {
		return writeFile(s.path, s.text)
	}
	var out bytes.Buffer
	if err := npz.WriteNPY(&out, []int{s.rows, s.width}, s.values); err != nil {
		return err
	}
	return writeFile(s.path, out.Bytes())
}
