package dataset

import (
	"encoding/hex"
	"math"
	"path/filepath"
	"slices"
	"testing"
)

func TestOpenNamesWhatIsMissing(t *testing.T) {
	for spec, words := range map[string][]string{
		"":                         {"no such file", "builtin:fashion-mini"},
		"nowhere/at-all":           {"nowhere/at-all", "no such file"},
		"builtin:other":            {"builtin:other", "builtin:fashion-mini"},
		writeFolder(t, nil):        {"train-images-idx3-ubyte", "data_batch_1.bin"},
		writeFile(t, "a.txt", nil): {"a.txt", ".npz", ".csv"},
	} {
		_, err := Open(spec, Options{})
		wantRefusal(t, err, ErrMissing, words...)
	}
	_, err := Open("builtin:fashion-mini", Options{Task: "clustering"})
	wantRefusal(t, err, ErrMissing, "clustering")
}

func TestBuiltinFashionMini(t *testing.T) {
	set, err := Open("builtin:fashion-mini", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if set.Features != 784 || set.Classes != 10 || set.Train.Samples != 6000 || set.Test.Samples != 1000 {
		t.Fatalf("%d features, %d classes, %d + %d samples", set.Features, set.Classes, set.Train.Samples, set.Test.Samples)
	}
	counts := make([]int, 10)
	for _, label := range set.Train.Labels {
		counts[label]++
	}
	if !slices.Equal(counts, slices.Repeat([]int{600}, 10)) {
		t.Errorf("images by class %v, want 600 of each", counts)
	}
	// The hash is stored in models as provenance, so it may never change.
	const want = "dd6ca1da42dd3f62c4c2cbc59422e55c1e056566d7f927f45da109ac2e54e359"
	if got := hex.EncodeToString(set.Hash[:]); got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
	if licence := mustRead(t, filepath.Join("fashionmini", "data", "LICENSE")); len(licence) < 1000 {
		t.Error("the licence is not beside the data")
	}
}

func TestSharedSets(t *testing.T) {
	for name, c := range map[string]struct {
		features, classes, train, test int
		unit                           bool
	}{
		"fashion-mini":          {784, 10, 6000, 1000, true},
		"cifar100-mini":         {3072, 100, 5000, 1000, true},
		"edge/mitbih_ds1.npz":   {123, 3, 39154, 11414, false},
		"edge/gesture5_imu.npz": {714, 5, 100, 25, false},
		"edge/occupancy5.npz":   {5, 2, 8143, 2665, false},
		"edge/wallrobot24.npz":  {24, 4, 3819, 1637, false},
		"edge/wifi_room4.npz":   {7, 4, 1400, 600, false},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := Open(shared(t, name), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if set.Features != c.features || set.Classes != c.classes || set.Train.Samples != c.train || set.Test.Samples != c.test {
				t.Errorf("%d features, %d classes, %d + %d samples", set.Features, set.Classes, set.Train.Samples, set.Test.Samples)
			}
			if unit := slices.Min(set.Lo) == 0 && slices.Max(set.Hi) == 1 && slices.Max(set.Lo) == 0; unit != c.unit {
				t.Errorf("box [0, 1]: %v, want %v", unit, c.unit)
			}
		})
	}
}

func TestBuiltinIsTheSharedSet(t *testing.T) {
	fromFolder, err := Open(shared(t, "fashion-mini"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	builtin, err := Open("builtin:fashion-mini", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if fromFolder.Hash != builtin.Hash {
		t.Error("the embedded copy differs from the shared files")
	}
}

func TestHashChangesWithEveryNumber(t *testing.T) {
	open := func(files map[string][]byte) [32]byte {
		set, err := Open(writeFolder(t, files), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return set.Hash
	}
	seen := map[[32]byte]string{open(smallIDX()): "the original"}
	for name := range smallIDX() {
		files := smallIDX()
		file := slices.Clone(files[name])
		file[len(file)-1] ^= 1
		files[name] = file
		hash := open(files)
		if other, ok := seen[hash]; ok {
			t.Errorf("a bit of %s changed, and the hash is that of %s", name, other)
		}
		seen[hash] = name
	}
}

func TestFinishRefusesNumbersThatAreNotFinite(t *testing.T) {
	nan := float32(math.NaN())
	set := &Set{Name: "rows", Features: 2, Train: Part{Samples: 2, X: []float32{1, 2, 3, nan}, Labels: []int32{0, 1}}, Test: Part{Samples: 1, X: []float32{1, 2}, Labels: []int32{0}}}
	_, err := set.finish(Options{}, false)
	wantRefusal(t, err, ErrMalformed, "training", "sample 1", "input 1")
}
