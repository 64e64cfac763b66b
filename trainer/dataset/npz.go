package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"github.com/sparse-implicit/sim/format/npz"
)

func openNPZ(path string, o Options) (*Set, error) {
	archive, err := npz.Open(path, npz.Limits{MaxElements: o.MaxElements, MaxBytes: o.MaxBytes})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w: %w", err, ErrMissing)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrMalformed)
	}
	set := &Set{Name: path}
	unit, err := set.readNPZ(archive, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return set.finish(o, unit)
}

// readNPZ fills both parts and reports whether the inputs are bytes scaled to [0, 1].
func (s *Set) readNPZ(archive *npz.Archive, o Options) (unit bool, err error) {
	var arrays [4]*npz.Array
	for k, name := range []string{"X_train", "y_train", "X_test", "y_test"} {
		if arrays[k], err = archive.Array(name); err != nil {
			return false, fmt.Errorf("%w: %w", err, ErrMalformed)
		}
	}
	trainX, trainY, testX, testY := arrays[0], arrays[1], arrays[2], arrays[3]
	if len(trainX.Shape) < 2 || len(testX.Shape) < 2 {
		return false, fmt.Errorf("the array X_train has shape %v, X_test %v: samples × features are needed: %w", trainX.Shape, testX.Shape, ErrMalformed)
	}
	if !slices.Equal(trainX.Shape[1:], testX.Shape[1:]) {
		return false, fmt.Errorf("samples of X_train have shape %v, those of X_test %v: %w", trainX.Shape[1:], testX.Shape[1:], ErrMalformed)
	}
	unit = imageBytes(trainX)
	if unit != imageBytes(testX) {
		return false, fmt.Errorf("one of X_train and X_test holds bytes, the other does not: %w", ErrMalformed)
	}
	if unit {
		s.Image = imageOf(trainX.Shape[1:])
	}
	for k, part := range s.parts() {
		x, y := arrays[2*k], arrays[2*k+1]
		suffix := []string{"train", "test"}[k]
		if len(y.Shape) < 1 || len(y.Shape) > 2 || y.Shape[0] != x.Shape[0] {
			return false, fmt.Errorf("the array X_%s has shape %v, y_%s %v; one label (or one row of targets) per sample is needed: %w", suffix, x.Shape, suffix, y.Shape, ErrMalformed)
		}
		if part.Samples = x.Shape[0]; part.Samples == 0 {
			return false, fmt.Errorf("the array X_%s has no samples: %w", suffix, ErrMalformed)
		}
		s.Features = x.Len() / part.Samples
		if err := o.features("the array X_"+suffix, s.Features); err != nil {
			return false, err
		}
		if part.X, err = x.Float32(); err != nil {
			return false, fmt.Errorf("the array X_%s: %w: %w", suffix, err, ErrMalformed)
		}
		if unit {
			for j, v := range part.X {
				part.X[j] = unitInterval[uint8(v)]
			}
		}
	}
	return unit, s.readNPZLabels(trainY, testY, o)
}

// imageBytes reports whether an array holds the bytes of images: uint8, samples × rows × columns.
func imageBytes(x *npz.Array) bool { return x.Kind == 'u' && x.Size == 1 && len(x.Shape) >= 3 }

// readNPZLabels reads integers in one column as classes, everything else as targets, unless the task
// is given.
func (s *Set) readNPZLabels(train, test *npz.Array, o Options) error {
	columns := func(y *npz.Array) int { return y.Len() / max(y.Shape[0], 1) }
	if columns(train) != columns(test) {
		return fmt.Errorf("y_train has %d columns, y_test %d: %w", columns(train), columns(test), ErrMalformed)
	}
	classes := columns(train) == 1 && train.Kind != 'f' && test.Kind != 'f'
	switch o.Task {
	case Classification:
		if columns(train) != 1 {
			return fmt.Errorf("y_train has %d columns, a classification needs one class per sample: %w", columns(train), ErrMalformed)
		}
		classes = true
	case Regression:
		classes = false
	}
	for k, part := range s.parts() {
		y, name := train, "y_train"
		if k == 1 {
			y, name = test, "y_test"
		}
		var err error
		if classes {
			part.Labels, err = classLabels(y)
		} else {
			part.Targets, err = y.Float32()
		}
		if err != nil {
			return fmt.Errorf("%s: %w: %w", name, err, ErrMalformed)
		}
	}
	return nil
}

func classLabels(y *npz.Array) ([]int32, error) {
	values, err := y.Int64()
	if err != nil {
		return nil, err
	}
	labels := make([]int32, len(values))
	for k, v := range values {
		if v < math.MinInt32 || v > math.MaxInt32 {
			return nil, fmt.Errorf("label %d (counted from 0) is %d; labels are classes 0 to %d", k, v, maxClasses-1)
		}
		labels[k] = int32(v)
	}
	return labels, nil
}
