// Package dataset reads the data sets that networks and models are trained, calibrated and judged on:
// IDX folders, CIFAR binary folders, NPZ and CSV files, and the small set inside the program.
//
// Every reader takes untrusted bytes. The package promises never to panic on them, to allocate no more
// than a cap and the bytes at hand justify, to refuse what is damaged or contradictory with the file,
// the place and a remedy, and to give the same Set for the same bytes on every machine. The test part
// is for judging alone: whoever selects or calibrates takes Train, and Split to divide it. It must not
// know what a network or a model is.
package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sparse-implicit/sim/trainer/dataset/fashionmini"
)

// ErrMalformed is wrapped by every error about data that is there but cannot be taken: damaged,
// contradictory, out of range or too large.
var ErrMalformed = errors.New("refused data")

// ErrMissing is wrapped by every error about data that is not there, or is of no kind that Open knows.
var ErrMissing = errors.New("no data set")

// Task says what the labels are.
type Task string

// The tasks. Auto reads whole non-negative labels of a CSV and integer labels of an NPZ, and words, as
// classes, other numbers as targets of a regression.
const (
	Auto           Task = ""
	Classification Task = "classification"
	Regression     Task = "regression"
)

// Options of Open. The zero value is good.
type Options struct {
	Task Task
	// MaxElements caps the input values of one part, samples × features. Default 2²⁸ (1 GiB).
	MaxElements int64
	// MaxBytes caps one file, an unpacked one that ends in .gz, an NPZ as it lies on disk. Default 4 GiB.
	MaxBytes int64
	// MaxFeatures caps the input values of one sample. Default 2²².
	MaxFeatures int
}

// orDefault fills in what is not set.
func (o Options) orDefault() Options {
	if o.MaxElements <= 0 {
		o.MaxElements = defaultMaxElements
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.MaxFeatures <= 0 {
		o.MaxFeatures = defaultMaxFeatures
	}
	return o
}

const (
	defaultMaxElements = 1 << 28
	defaultMaxBytes    = 4 << 30
	defaultMaxFeatures = 1 << 22
	maxClasses         = 1 << 16
)

// Part is the training or the test part.
type Part struct {
	Samples int
	X       []float32 // sample-major, Samples × Features, finite
	Labels  []int32   // Samples classes in [0, Classes), nil in a regression
	Targets []float32 // sample-major, Samples × Outputs, finite; nil in a classification
}

// Set is a data set. Its slices are shared by whoever holds it and must not be changed.
type Set struct {
	Name     string
	Features int // values of one input
	Classes  int // of a classification; 0 in a regression
	Outputs  int // what a network for the set puts out: Classes, or the targets of a sample

	Train, Test Part

	// Lo and Hi are the natural box of the inputs, Features limits each: [0, 1] where the file has
	// bytes of images, elsewhere the range of the training part.
	Lo, Hi []float32

	// Image is how an input is an image; nil when it is not known to be one.
	Image *Image

	// ClassNames are the labels as words, where the file has words; class k is ClassNames[k].
	ClassNames []string

	// Hash is the SHA-256 of the contents: dimensions, inputs, labels and targets of both parts. It
	// does not depend on the kind of file.
	Hash [32]byte
}

// Regression reports whether the set has targets instead of classes.
func (s *Set) Regression() bool { return s.Classes == 0 }

const builtinPrefix = "builtin:"

// Kinds describes for people what Open takes.
const Kinds = "a folder of IDX files (MNIST's names, .gz or not) or of CIFAR binary files, an .npz with X_train y_train X_test y_test, a .csv whose last column is the label, or builtin:fashion-mini"

// Open reads the data set that spec names:
//
//   - a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
//     t10k-labels-idx1-ubyte, each plain or .gz; bytes are scaled to [0, 1];
//   - a folder of CIFAR binary files: data_batch_*.bin and test_batch.bin, or train.bin and test.bin,
//     plain or .gz, with records of CIFAR-10 or CIFAR-100 (its fine labels); bytes scaled to [0, 1];
//   - an .npz file with X_train, y_train, X_test, y_test: samples first, further axes flattened. Bytes
//     of images (uint8 and three axes or more) are scaled to [0, 1]; all other numbers stay as they are;
//   - a .csv or .csv.gz file, a line per sample, with or without a header, the last column the label. A
//     fifth of the lines, the same ones at every call, is the test part;
//   - builtin:fashion-mini, FashionMNIST reduced to 6,000 + 1,000 images.
//
// Errors wrap ErrMissing or ErrMalformed and name the file and the place.
func Open(spec string, o Options) (*Set, error) {
	o = o.orDefault()
	switch o.Task {
	case Auto, Classification, Regression:
	default:
		return nil, fmt.Errorf("task %q is not known, take %q or %q: %w", o.Task, Classification, Regression, ErrMissing)
	}
	if name, ok := strings.CutPrefix(spec, builtinPrefix); ok {
		if name != "fashion-mini" {
			return nil, fmt.Errorf("%s: nothing of this name is built in, only builtin:fashion-mini: %w", spec, ErrMissing)
		}
		return openIDX(folder{fashionmini.Files(), spec}, o)
	}
	info, err := os.Stat(spec)
	switch {
	case spec == "" || errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%q: no such file or folder; take %s: %w", spec, Kinds, ErrMissing)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", err, ErrMissing)
	case info.IsDir():
		return openFolder(folder{os.DirFS(spec), spec}, o)
	}
	in := folder{os.DirFS(filepath.Dir(spec)), filepath.Dir(spec)}
	switch name := strings.ToLower(spec); {
	case strings.HasSuffix(name, ".npz"):
		return openNPZ(spec, o)
	case strings.HasSuffix(name, ".csv"), strings.HasSuffix(name, ".csv.gz"):
		return openCSV(in, filepath.Base(spec), o)
	}
	return nil, fmt.Errorf("%s: of no kind that is read; take %s: %w", spec, Kinds, ErrMissing)
}

// openFolder decides between IDX and CIFAR by the names of the files.
func openFolder(in folder, o Options) (*Set, error) {
	switch {
	case in.has(idxNames[0]...):
		return openIDX(in, o)
	case in.has(cifarProbes...):
		return openCIFAR(in, o)
	}
	return nil, fmt.Errorf("%s: holds neither IDX files (%s) nor CIFAR binary files (data_batch_1.bin or train.bin), plain or .gz; take %s: %w",
		in.name, idxNames[0][0], Kinds, ErrMissing)
}
