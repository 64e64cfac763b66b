package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math"
)

// features checks how many input values a sample has.
func (o Options) features(where string, n int) error {
	if n > o.MaxFeatures {
		return fmt.Errorf("%s: a sample has %d values, at most %d are read: %w", where, n, o.MaxFeatures, ErrMalformed)
	}
	return nil
}

// finish checks what every kind of set must satisfy and fills what follows from it: classes, outputs,
// box and hash. Readers have set the parts, Features, Classes where the format knows it, and the box
// where unit is false but they know better.
func (s *Set) finish(o Options, unit bool) (*Set, error) {
	for _, part := range s.parts() {
		if part.Samples == 0 || s.Features == 0 {
			return nil, fmt.Errorf("%s: the %s part is empty: %w", s.Name, part.name, ErrMalformed)
		}
		if j := notFinite(part.X); j >= 0 {
			return nil, fmt.Errorf("%s: the %s part's sample %d has %g as input %d (both counted from 0); only finite numbers are taken: %w",
				s.Name, part.name, j/s.Features, part.X[j], j%s.Features, ErrMalformed)
		}
	}
	if o.Task == Regression {
		s.useAsTargets()
	}
	var err error
	if s.Train.Labels != nil {
		err = s.finishClasses()
	} else {
		err = s.finishTargets()
	}
	if err != nil {
		return nil, err
	}
	s.finishBox(unit)
	s.finishHash()
	return s, nil
}

// namedPart is a part and its name for errors.
type namedPart struct {
	*Part
	name string
}

func (s *Set) parts() [2]namedPart {
	return [2]namedPart{{&s.Train, "training"}, {&s.Test, "test"}}
}

// useAsTargets turns labels into the single target of a regression.
func (s *Set) useAsTargets() {
	for _, part := range s.parts() {
		if part.Labels == nil {
			continue
		}
		part.Targets = make([]float32, part.Samples)
		for k, label := range part.Labels {
			part.Targets[k] = float32(label)
		}
		part.Labels = nil
	}
	s.Classes, s.ClassNames = 0, nil
}

func (s *Set) finishClasses() error {
	declared := s.Classes
	for _, part := range s.parts() {
		for k, label := range part.Labels {
			if label < 0 || label >= maxClasses || declared > 0 && int(label) >= declared {
				limit := maxClasses
				if declared > 0 {
					limit = declared
				}
				return fmt.Errorf("%s: the %s part's label %d (counted from 0) is %d; labels are classes 0 to %d: %w",
					s.Name, part.name, k, label, limit-1, ErrMalformed)
			}
			s.Classes = max(s.Classes, int(label)+1)
		}
	}
	if s.Classes < 2 {
		return fmt.Errorf("%s: all labels are the same, two classes are needed at least: %w", s.Name, ErrMalformed)
	}
	s.Outputs = s.Classes
	return nil
}

func (s *Set) finishTargets() error {
	for _, part := range s.parts() {
		s.Outputs = len(part.Targets) / part.Samples
		if s.Outputs == 0 {
			return fmt.Errorf("%s: the %s part has no labels: %w", s.Name, part.name, ErrMalformed)
		}
		if j := notFinite(part.Targets); j >= 0 {
			return fmt.Errorf("%s: the %s part's sample %d (counted from 0) has the target %g; only finite numbers are taken: %w",
				s.Name, part.name, j/s.Outputs, part.Targets[j], ErrMalformed)
		}
	}
	return nil
}

// notFinite returns the place of the first NaN or Inf, or −1.
func notFinite(values []float32) int {
	for j, v := range values {
		if math.Float32bits(v)&0x7F800000 == 0x7F800000 {
			return j
		}
	}
	return -1
}

func (s *Set) finishBox(unit bool) {
	s.Lo, s.Hi = make([]float32, s.Features), make([]float32, s.Features)
	if unit {
		for j := range s.Hi {
			s.Hi[j] = 1
		}
		return
	}
	copy(s.Lo, s.Train.X)
	copy(s.Hi, s.Train.X)
	for first := s.Features; first < len(s.Train.X); first += s.Features {
		for j, v := range s.Train.X[first : first+s.Features] {
			s.Lo[j], s.Hi[j] = min(s.Lo[j], v), max(s.Hi[j], v)
		}
	}
}

func (s *Set) finishHash() {
	h := sha256.New()
	header := []byte("dataset 1\n")
	for _, n := range []int{s.Features, s.Classes, s.Outputs, s.Train.Samples, s.Test.Samples} {
		header = binary.LittleEndian.AppendUint64(header, uint64(n))
	}
	h.Write(header)
	for _, part := range s.parts() {
		hashWords(h, part.X, math.Float32bits)
		hashWords(h, part.Labels, func(label int32) uint32 { return uint32(label) })
		hashWords(h, part.Targets, math.Float32bits)
	}
	h.Sum(s.Hash[:0])
}

// hashWords adds 32-bit words, little-endian.
func hashWords[T any](h hash.Hash, values []T, bits func(T) uint32) {
	const chunk = 4096
	buffer := make([]byte, 0, 4*chunk)
	for len(values) > 0 {
		n := min(chunk, len(values))
		buffer = buffer[:0]
		for _, v := range values[:n] {
			buffer = binary.LittleEndian.AppendUint32(buffer, bits(v))
		}
		h.Write(buffer)
		values = values[n:]
	}
}
