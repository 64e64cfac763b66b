package dataset

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// ReadBox reads the box of p inputs: CSV lines `lo,hi`, one per input in order, after an optional line
// that says just that. Errors wrap ErrMalformed and name the line: a limit that is not a finite number,
// lo above hi, another number of lines than inputs.
func ReadBox(r io.Reader, p int) (lo, hi []float32, err error) {
	reader := newRecords(r, 2, defaultMaxBytes)
	reader.FieldsPerRecord = 2
	for first := true; ; first = false {
		record, err := reader.next()
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

// PercentileBox returns the box of p inputs that leaves out, of each input, so many percent of the samples
// (sample-major, samples × p) at either end: a few wild readings then cost the others no resolution, and
// are clipped. An input whose remaining samples are all alike keeps its whole range, lest it become a
// constant. 0 is the box of all samples.
//
// Errors wrap ErrMalformed: no samples, a percentage outside [0, 50).
func PercentileBox(samples []float32, p int, percent float64) (lo, hi []float32, err error) {
	if p < 1 || len(samples) < p || len(samples)%p != 0 {
		return nil, nil, fmt.Errorf("%d numbers are no samples of %d inputs: %w", len(samples), p, ErrMalformed)
	}
	if !(percent >= 0 && percent < 50) {
		return nil, nil, fmt.Errorf("%g percent cannot be left out at either end, take a percentage from 0 to below 50: %w", percent, ErrMalformed)
	}
	m := len(samples) / p
	out := min(int(percent/100*float64(m)), (m-1)/2)
	column := make([]float32, m)
	for j := range p {
		for s := range column {
			column[s] = samples[s*p+j]
		}
		slices.Sort(column)
		least, most := column[out], column[m-1-out]
		if least == most {
			least, most = column[0], column[m-1]
		}
		lo, hi = append(lo, least), append(hi, most)
	}
	return lo, hi, nil
}

// Within returns the set with another box and the training inputs clipped to it, as a compiled model sees
// them: whoever fits or calibrates then does so for what the device will know. The test part, names and
// hash stay. The box has Features limits each.
func (s *Set) Within(lo, hi []float32) *Set {
	boxed := *s
	boxed.Lo, boxed.Hi = lo, hi
	boxed.Train.X = slices.Clone(s.Train.X)
	for k, v := range boxed.Train.X {
		boxed.Train.X[k] = min(max(v, lo[k%s.Features]), hi[k%s.Features])
	}
	return &boxed
}
