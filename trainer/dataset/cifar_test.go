package dataset

import (
	"slices"
	"testing"
)

// cifarRecords returns records with these label bytes each, every pixel the record's number.
func cifarRecords(labels ...[]byte) []byte {
	var data []byte
	for k, l := range labels {
		data = append(data, l...)
		data = append(data, slices.Repeat([]byte{byte(k)}, cifarPixels)...)
	}
	return data
}

func TestCIFARFolders(t *testing.T) {
	ten := cifarRecords([]byte{3}, []byte{9})
	hundred := cifarRecords([]byte{19, 99}, []byte{0, 5}, []byte{1, 7})
	for name, c := range map[string]struct {
		files         map[string][]byte
		classes       int
		train, tested []int32
	}{
		"CIFAR-10 batches": {map[string][]byte{"data_batch_1.bin": ten, "data_batch_2.bin.gz": zipped(t, ten[:cifar10Record]), "test_batch.bin": ten},
			10, []int32{3, 9, 3}, []int32{3, 9}},
		"CIFAR-10 in one file": {map[string][]byte{"train.bin": ten, "test.bin": ten}, 10, []int32{3, 9}, []int32{3, 9}},
		"CIFAR-100":            {map[string][]byte{"train.bin.gz": zipped(t, hundred), "test.bin": hundred}, 100, []int32{99, 5, 7}, []int32{99, 5, 7}},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := Open(writeFolder(t, c.files), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if set.Features != 3072 || set.Classes != c.classes || !slices.Equal(set.Train.Labels, c.train) || !slices.Equal(set.Test.Labels, c.tested) {
				t.Errorf("%d features, %d classes, labels %v and %v", set.Features, set.Classes, set.Train.Labels, set.Test.Labels)
			}
			if got := set.Test.X[cifarPixels : cifarPixels+2]; got[0] != 1.0/255 || got[1] != 1.0/255 || set.Test.X[cifarPixels-1] != 0 {
				t.Errorf("pixels of the second image %v, want 1/255", got)
			}
			if len(set.Train.X) != set.Train.Samples*3072 || set.Train.Samples != len(c.train) {
				t.Errorf("%d samples, %d values", set.Train.Samples, len(set.Train.X))
			}
		})
	}
}

func TestCIFARRefusals(t *testing.T) {
	ten := cifarRecords([]byte{3}, []byte{9})
	for name, c := range map[string]struct {
		train, test []byte
		kind        error
		words       []string
	}{
		"a record cut":           {ten[:len(ten)-1], ten, ErrMalformed, []string{"train.bin", "CIFAR-10"}},
		"an empty file":          {nil, ten, ErrMalformed, []string{"empty"}},
		"label out of range":     {cifarRecords([]byte{3}, []byte{10}), ten, ErrMalformed, []string{"record 1", "label 10"}},
		"fine label too large":   {cifarRecords([]byte{3, 100}), ten, ErrMalformed, []string{"record 0", "label 100"}},
		"coarse label too large": {cifarRecords([]byte{20, 1}), ten, ErrMalformed, []string{"coarse label 20"}},
		"parts of two kinds":     {ten, cifarRecords([]byte{3, 9}), ErrMalformed, []string{"test.bin", "CIFAR-10"}},
		"no test part":           {ten, nil, ErrMissing, []string{"test.bin"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string][]byte{"train.bin": c.train, "test.bin": c.test}
			if c.test == nil {
				delete(files, "test.bin")
			}
			_, err := Open(writeFolder(t, files), Options{})
			wantRefusal(t, err, c.kind, c.words...)
		})
	}
	_, err := Open(writeFolder(t, map[string][]byte{"train.bin": ten, "test.bin": ten}), Options{MaxElements: 6000})
	wantRefusal(t, err, ErrMalformed, "more than 6000")
}

func FuzzCIFAR(f *testing.F) {
	f.Add(cifarRecords([]byte{3}, []byte{9}), 0)
	f.Add(cifarRecords([]byte{3, 99}), 100)
	f.Add([]byte{}, 10)
	f.Fuzz(func(t *testing.T, data []byte, classes int) {
		if classes != 0 && classes != 10 && classes != 100 {
			return
		}
		set, part := &Set{Classes: classes}, &Part{}
		if err := set.parseCIFAR(part, data); err != nil {
			wantRefusal(t, err, ErrMalformed)
			return
		}
		if part.Samples == 0 || len(part.X) != part.Samples*cifarPixels || len(part.Labels) != part.Samples {
			t.Errorf("%d samples, %d values, %d labels", part.Samples, len(part.X), len(part.Labels))
		}
	})
}
