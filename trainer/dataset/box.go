package dataset

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ReadBox reads the box of p inputs: CSV lines `lo,hi`, one per input in order, after an optional line
// that says just that. Errors wrap ErrMalformed and name the line: a limit that is not a finite number,
// lo above hi, another number of lines than inputs.
func ReadBox(r io.Reader, p int) (lo, hi []float32, err error) {
	reader := csv.NewReader(r)
	reader.FieldsPerRecord = 2
	reader.TrimLeadingSpace = true
	reader.ReuseRecord = true
	for first := true; ; first = false {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, csv.ErrFieldCount) {
			line, _ := reader.FieldPos(0)
			return nil, nil, fmt.Errorf("line %d: two numbers, lo,hi, are needed: %w", line, ErrMalformed)
		}
		if err != nil {
			return nil, nil, csvError(err)
		}
		if first && strings.EqualFold(strings.TrimSpace(record[0]), "lo") && strings.EqualFold(strings.TrimSpace(record[1]), "hi") {
			continue
		}
		line, _ := reader.FieldPos(0)
		if len(lo) == p {
			return nil, nil, fmt.Errorf("line %d: more lines than the %d inputs: %w", line, p, ErrMalformed)
		}
		var limits [2]float32
		for k, field := range record {
			if limits[k], err = parseNumber(field); err != nil {
				return nil, nil, fmt.Errorf("line %d: %q %w: %w", line, field, err, ErrMalformed)
			}
		}
		if limits[0] > limits[1] {
			return nil, nil, fmt.Errorf("line %d: the lower limit %g lies above the upper one, %g: %w", line, limits[0], limits[1], ErrMalformed)
		}
		lo, hi = append(lo, limits[0]), append(hi, limits[1])
	}
	if len(lo) != p {
		return nil, nil, fmt.Errorf("%d lines of lo,hi, the model has %d inputs: %w", len(lo), p, ErrMalformed)
	}
	return lo, hi, nil
}
