package dataset

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// idxNames are MNIST's four names, each with the spelling that some archives use.
var idxNames = [4][]string{
	{"train-images-idx3-ubyte", "train-images.idx3-ubyte"},
	{"train-labels-idx1-ubyte", "train-labels.idx1-ubyte"},
	{"t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"},
	{"t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"},
}

func openIDX(in folder, o Options) (*Set, error) {
	set := &Set{Name: in.name}
	var shape []int
	for k, part := range []*Part{&set.Train, &set.Test} {
		images, imagePath, err := readIDXFile(in, idxNames[2*k], o)
		if err != nil {
			return nil, err
		}
		labels, labelPath, err := readIDXFile(in, idxNames[2*k+1], o)
		if err != nil {
			return nil, err
		}
		switch {
		case len(images.dims) < 2:
			return nil, fmt.Errorf("%s: has one axis, images need two or more: %w", imagePath, ErrMalformed)
		case len(labels.dims) != 1:
			return nil, fmt.Errorf("%s: has %d axes, labels need one: %w", labelPath, len(labels.dims), ErrMalformed)
		case images.dims[0] != labels.dims[0]:
			return nil, fmt.Errorf("%s holds %d images, %s %d labels; take files that belong together: %w",
				imagePath, images.dims[0], labelPath, labels.dims[0], ErrMalformed)
		case shape != nil && !slices.Equal(shape, images.dims[1:]):
			return nil, fmt.Errorf("%s: images of %v, those of the training part are %v: %w", imagePath, images.dims[1:], shape, ErrMalformed)
		}
		shape = images.dims[1:]
		part.Samples = images.dims[0]
		part.X = scaleBytes(make([]float32, 0, len(images.data)), images.data)
		part.Labels = widen(labels.data)
	}
	set.Features = len(set.Train.X) / max(set.Train.Samples, 1)
	if err := o.features(set.Name, set.Features); err != nil {
		return nil, err
	}
	set.Image = imageOf(shape)
	return set.finish(o, true)
}

func widen(labels []byte) []int32 {
	wide := make([]int32, len(labels))
	for s, label := range labels {
		wide[s] = int32(label)
	}
	return wide
}

// idx is an array of bytes, last axis fastest.
type idx struct {
	dims []int
	data []byte
}

func readIDXFile(in folder, names []string, o Options) (idx, string, error) {
	file, err := in.open(o.MaxBytes, names...)
	if err != nil {
		return idx{}, "", err
	}
	defer file.close()
	array, err := readIDX(file, file.most, o.MaxElements)
	if err != nil {
		return idx{}, "", fmt.Errorf("%s: %w", file.path, err)
	}
	return array, file.path, nil
}

const (
	idxBytes   = 8 // the only element type that is read: unsigned byte
	maxIDXDims = 4
)

// readIDX reads one IDX array of bytes: two zero bytes, the element type, the number of axes, each
// axis' length (32 bits, big-endian), the elements. At most `most` bytes can come from r, so that a
// header cannot make it allocate more.
func readIDX(r io.Reader, most, maxElements int64) (idx, error) {
	var magic [4]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil {
		return idx{}, fmt.Errorf("header: %w", broken(err))
	}
	axes := int(magic[3])
	switch {
	case magic[0] != 0 || magic[1] != 0:
		return idx{}, fmt.Errorf("starts with % x, an IDX file starts with two zero bytes: %w", magic, ErrMalformed)
	case magic[2] != idxBytes:
		return idx{}, fmt.Errorf("element type %#02x; only unsigned bytes (0x08) are read, convert it to .npz: %w", magic[2], ErrMalformed)
	case axes < 1 || axes > maxIDXDims:
		return idx{}, fmt.Errorf("%d axes, between 1 and %d are read: %w", axes, maxIDXDims, ErrMalformed)
	}
	lengths := make([]byte, 4*axes)
	if _, err := io.ReadFull(r, lengths); err != nil {
		return idx{}, fmt.Errorf("header: %w", broken(err))
	}
	array := idx{}
	elements := int64(1)
	for axis := range axes {
		length := int64(binary.BigEndian.Uint32(lengths[4*axis:]))
		if length == 0 {
			return idx{}, fmt.Errorf("axis %d has length 0: %w", axis, ErrMalformed)
		}
		if length > maxElements/elements {
			return idx{}, fmt.Errorf("the header declares more than %d elements, the most that is read: %w", maxElements, ErrMalformed)
		}
		elements *= length
		array.dims = append(array.dims, int(length))
	}
	if elements > most {
		return idx{}, fmt.Errorf("the header declares %d bytes, the file cannot hold them; fetch it again: %w", elements, ErrMalformed)
	}
	array.data = make([]byte, elements)
	if n, err := io.ReadFull(r, array.data); err != nil {
		return idx{}, fmt.Errorf("byte %d of %d: %w", n, elements, broken(err))
	}
	return array, finish(r)
}
