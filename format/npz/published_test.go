package npz

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"
)

// TestPublishedDataIsRead reads data sets of others where they are at hand, in full, checksums included.
func TestPublishedDataIsRead(t *testing.T) {
	for file, want := range map[string]map[string][]int{
		"states/fmnist2000.npz": {"U": {784, 2000}, "X": {112, 2000}, "Y": {10, 2000}, "Z": {112, 2000}},
		"edge/wifi_room4.npz":   {"X_train": {1400, 7}, "y_train": {1400}, "X_test": {600, 7}, "y_test": {600}},
	} {
		archive, err := Open(filepath.Join("..", "..", "..", "shared", "data", filepath.FromSlash(file)), Limits{})
		if errors.Is(err, fs.ErrNotExist) {
			t.Skipf("needs ../shared/data/%s beside the repository", file)
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(archive.Names()) != len(want) {
			t.Errorf("%s holds %v", file, archive.Names())
		}
		for name, shape := range want {
			a, err := archive.Array(name)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			if !slices.Equal(a.Shape, shape) {
				t.Errorf("%s: %s has shape %v, want %v", file, name, a.Shape, shape)
			}
			if values, err := a.Float32(); err != nil || slices.Max(values) == slices.Min(values) {
				t.Errorf("%s: %s is constant, or not read: %v", file, name, err)
			}
		}
	}
}
