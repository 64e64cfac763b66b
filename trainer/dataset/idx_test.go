package dataset

import (
	"bytes"
	"maps"
	"slices"
	"testing"
)

// smallIDX is a folder of three training and two test images of 2 × 2 bytes.
func smallIDX() map[string][]byte {
	return map[string][]byte{
		"train-images-idx3-ubyte": idxFile([]byte{0, 255, 51, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 3, 2, 2),
		"train-labels-idx1-ubyte": idxFile([]byte{2, 0, 1}, 3),
		"t10k-images-idx3-ubyte":  idxFile([]byte{102, 0, 0, 0, 255, 255, 255, 255}, 2, 2, 2),
		"t10k-labels-idx1-ubyte":  idxFile([]byte{1, 2}, 2),
	}
}

func checkSmallIDX(t *testing.T, set *Set) {
	t.Helper()
	if set.Features != 4 || set.Classes != 3 || set.Outputs != 3 || set.Train.Samples != 3 || set.Test.Samples != 2 {
		t.Fatalf("%d features, %d classes, %d outputs, %d + %d samples", set.Features, set.Classes, set.Outputs, set.Train.Samples, set.Test.Samples)
	}
	if want := []float32{0, 1, 0.2, 1.0 / 255}; !slices.Equal(set.Train.X[:4], want) {
		t.Errorf("first image %v, want %v", set.Train.X[:4], want)
	}
	if want := []float32{0.4, 0, 0, 0, 1, 1, 1, 1}; !slices.Equal(set.Test.X, want) {
		t.Errorf("test images %v, want %v", set.Test.X, want)
	}
	if !slices.Equal(set.Train.Labels, []int32{2, 0, 1}) || !slices.Equal(set.Test.Labels, []int32{1, 2}) {
		t.Errorf("labels %v and %v", set.Train.Labels, set.Test.Labels)
	}
	if !slices.Equal(set.Lo, []float32{0, 0, 0, 0}) || !slices.Equal(set.Hi, []float32{1, 1, 1, 1}) {
		t.Errorf("box %v to %v, want [0, 1]", set.Lo, set.Hi)
	}
}

func TestIDXFolderPlainZippedOrWithDots(t *testing.T) {
	gz, dots := map[string][]byte{}, map[string][]byte{}
	for name, data := range smallIDX() {
		gz[name+".gz"] = zipped(t, data)
		dots[string(bytes.Replace([]byte(name), []byte("-idx"), []byte(".idx"), 1))] = data
	}
	var hash [32]byte
	for name, files := range map[string]map[string][]byte{"plain": smallIDX(), "gzip": gz, "dots": dots} {
		t.Run(name, func(t *testing.T) {
			set, err := Open(writeFolder(t, files), Options{})
			if err != nil {
				t.Fatal(err)
			}
			checkSmallIDX(t, set)
			if hash != ([32]byte{}) && hash != set.Hash {
				t.Error("the hash depends on how the files are stored")
			}
			hash = set.Hash
		})
	}
}

func TestIDXLabelsAsTargets(t *testing.T) {
	set, err := Open(writeFolder(t, smallIDX()), Options{Task: Regression})
	if err != nil {
		t.Fatal(err)
	}
	if !set.Regression() || set.Outputs != 1 || set.Train.Labels != nil || !slices.Equal(set.Train.Targets, []float32{2, 0, 1}) {
		t.Errorf("%d outputs, labels %v, targets %v", set.Outputs, set.Train.Labels, set.Train.Targets)
	}
}

func TestIDXRefusals(t *testing.T) {
	images, labels := "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
	for name, c := range map[string]struct {
		file  string
		data  []byte
		words []string
	}{
		"empty file":              {images, nil, []string{images, "ends early"}},
		"not IDX":                 {images, []byte("P5 2 2 255\n...."), []string{"two zero bytes"}},
		"floats":                  {images, []byte{0, 0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0}, []string{"0x0d", ".npz"}},
		"header cut":              {images, idxFile(nil, 3, 2, 2)[:9], []string{"header", "ends early"}},
		"no axes":                 {images, []byte{0, 0, 8, 0}, []string{"axes"}},
		"pixels cut":              {images, idxFile(counted(11), 3, 2, 2), []string{"byte 11 of 12", "ends early"}},
		"trailing bytes":          {images, idxFile(counted(13), 3, 2, 2), []string{"more bytes follow"}},
		"declares too much":       {images, idxFile(counted(12), 1<<30, 1<<30, 2), []string{"more than"}},
		"declares what cannot be": {images, idxFile(counted(12), 1000, 1000), []string{"cannot hold"}},
		"an axis of length 0":     {images, idxFile(nil, 3, 0, 2), []string{"axis 1"}},
		"images with one axis":    {images, idxFile(counted(3), 3), []string{"one axis"}},
		"labels with two axes":    {labels, idxFile(counted(3), 3, 1), []string{"2 axes"}},
		"counts differ":           {labels, idxFile(counted(4), 4), []string{"3 images", "4 labels", labels}},
		"other images in test":    {"t10k-images-idx3-ubyte", idxFile(counted(12), 2, 2, 3), []string{"[2 3]", "[2 2]"}},
		"gzip cut":                {images + ".gz", zipped(t, smallIDX()[images])[:30], []string{".gz", "ends early"}},
		"gzip cut in its header":  {images + ".gz", []byte{31, 139, 8}, []string{".gz", "gzip"}},
		"no gzip":                 {images + ".gz", smallIDX()[images], []string{".gz", "gzip"}},
		"gzip with rubbish after": {images + ".gz", append(zipped(t, smallIDX()[images]), 1, 2, 3), []string{".gz"}},
		"gzip checksum wrong":     {images + ".gz", flip(zipped(t, smallIDX()[images]), -5), []string{"damaged"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := smallIDX()
			delete(files, images)
			if c.file != images && c.file != images+".gz" {
				files = smallIDX()
			}
			files[c.file] = c.data
			if c.file == images+".gz" { // Open knows the folder by the name of the images
				files[labels] = smallIDX()[labels]
			}
			_, err := Open(writeFolder(t, files), Options{})
			wantRefusal(t, err, ErrMalformed, c.words...)
		})
	}
}

// flip inverts the bits of one byte, counted from the end when negative.
func flip(data []byte, at int) []byte {
	data = slices.Clone(data)
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 0xFF
	return data
}

func TestIDXMissingFiles(t *testing.T) {
	for missing := range maps.Keys(smallIDX()) {
		files := smallIDX()
		delete(files, missing)
		_, err := Open(writeFolder(t, files), Options{})
		wantRefusal(t, err, ErrMissing, missing)
	}
}

func TestIDXCap(t *testing.T) {
	_, err := Open(writeFolder(t, smallIDX()), Options{MaxElements: 11})
	wantRefusal(t, err, ErrMalformed, "more than 11")
	if _, err := Open(writeFolder(t, smallIDX()), Options{MaxElements: 12}); err != nil {
		t.Errorf("refused at the cap: %v", err)
	}
}

func FuzzIDX(f *testing.F) {
	for _, data := range smallIDX() {
		f.Add(data)
	}
	f.Add(idxFile(nil, 1<<30, 1<<30))
	f.Fuzz(func(t *testing.T, data []byte) {
		array, err := readIDX(bytes.NewReader(data), int64(len(data)), 1<<20)
		if err != nil {
			wantRefusal(t, err, ErrMalformed)
			return
		}
		if !bytes.Equal(idxFile(array.data, array.dims...), data) {
			t.Error("writing what was read gives other bytes")
		}
	})
}
