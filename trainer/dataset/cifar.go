package dataset

import (
	"fmt"
	"io"
)

const (
	cifarPixels   = 3 * 32 * 32
	cifar10Record = 1 + cifarPixels // label, pixels
	// cifar100Record has a coarse label, a fine label and the pixels.
	cifar100Record = 2 + cifarPixels
)

// cifarProbes are the names that tell a CIFAR folder.
var cifarProbes = []string{"data_batch_1.bin", "train.bin"}

func openCIFAR(in folder, o Options) (*Set, error) {
	train, test := []string{"train.bin"}, "test.bin"
	if in.has("data_batch_1.bin") {
		train, test = nil, "test_batch.bin"
		for k := 1; in.has(batchName(k)); k++ {
			train = append(train, batchName(k))
		}
		if !in.has(test) {
			test = "test.bin"
		}
	}
	if err := o.features(in.name, cifarPixels); err != nil {
		return nil, err
	}
	set := &Set{Name: in.name, Features: cifarPixels, Image: &Image{Height: 32, Width: 32, Channels: 3, Planar: true}}
	for _, name := range train {
		if err := set.addCIFAR(&set.Train, in, name, o); err != nil {
			return nil, err
		}
	}
	if err := set.addCIFAR(&set.Test, in, test, o); err != nil {
		return nil, err
	}
	return set.finish(o, true)
}

func batchName(k int) string { return fmt.Sprintf("data_batch_%d.bin", k) }

// addCIFAR appends one file to a part. The first file decides between CIFAR-10 and CIFAR-100.
func (s *Set) addCIFAR(part *Part, in folder, name string, o Options) error {
	file, err := in.open(o.MaxBytes, name)
	if err != nil {
		return err
	}
	defer file.close()
	left := o.MaxElements - int64(len(part.X))
	data, err := io.ReadAll(io.LimitReader(file, left+1))
	if err != nil {
		return fmt.Errorf("%s: byte %d: %w", file.path, len(data), broken(err))
	}
	if int64(len(data)) > left {
		return fmt.Errorf("%s: the part has more than %d values, the most that is read: %w", file.path, o.MaxElements, ErrMalformed)
	}
	if err := s.parseCIFAR(part, data); err != nil {
		return fmt.Errorf("%s: %w", file.path, err)
	}
	return nil
}

// parseCIFAR appends the records of data. Classes must be 10, 100, or 0 when it is to be decided by
// the length of data.
func (s *Set) parseCIFAR(part *Part, data []byte) error {
	classes := s.Classes
	if classes == 0 {
		classes = 10
		if len(data)%cifar100Record == 0 {
			classes = 100
		}
	}
	record := cifar10Record
	if classes == 100 {
		record = cifar100Record
	}
	switch {
	case len(data) == 0:
		return fmt.Errorf("the file is empty: %w", ErrMalformed)
	case len(data)%record != 0 && s.Classes == 0:
		return fmt.Errorf("%d bytes are neither whole records of CIFAR-10 (%d) nor of CIFAR-100 (%d); fetch the file again: %w",
			len(data), cifar10Record, cifar100Record, ErrMalformed)
	case len(data)%record != 0:
		return fmt.Errorf("%d bytes are no whole records of CIFAR-%d (%d bytes) as the first file has them; fetch the file again: %w",
			len(data), classes, record, ErrMalformed)
	}
	for at := 0; at < len(data); at += record {
		labels := data[at : at+record-cifarPixels]
		if len(labels) == 2 && labels[0] >= 20 {
			return fmt.Errorf("record %d has coarse label %d, CIFAR-100 has 0 to 19: %w", at/record, labels[0], ErrMalformed)
		}
		label := labels[len(labels)-1]
		if int(label) >= classes {
			return fmt.Errorf("record %d has label %d, CIFAR-%d has 0 to %d: %w", at/record, label, classes, classes-1, ErrMalformed)
		}
		part.Labels = append(part.Labels, int32(label))
	}
	part.X = append(make([]float32, 0, len(part.X)+len(data)/record*cifarPixels), part.X...)
	for at := 0; at < len(data); at += record {
		part.X = scaleBytes(part.X, data[at+record-cifarPixels:at+record])
	}
	part.Samples += len(data) / record
	s.Classes = classes
	return nil
}
