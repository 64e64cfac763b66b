package dataset

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestNPZGoldensOfNumPy(t *testing.T) {
	for name, c := range map[string]struct {
		task                       Task
		features, classes, outputs int
		trainX, testX              []float32
		trainLabels                []int32
		trainTargets               []float32
		lo, hi                     []float32
	}{
		"images": {Auto, 6, 2, 2,
			[]float32{0, 1. / 255, 2. / 255, 3. / 255, 4. / 255, 5. / 255, 6. / 255, 7. / 255, 8. / 255, 9. / 255, 10. / 255, 11. / 255},
			[]float32{1, 254. / 255, 253. / 255, 252. / 255, 251. / 255, 250. / 255},
			[]int32{1, 0}, nil, []float32{0, 0, 0, 0, 0, 0}, []float32{1, 1, 1, 1, 1, 1}},
		"rows":    {Auto, 2, 3, 3, []float32{-1.5, 2, 0, 300, 4, 7}, []float32{-3, 4, 0, 600}, []int32{2, 0, 1}, nil, []float32{-1.5, 2}, []float32{4, 300}},
		"bytes":   {Auto, 2, 2, 2, []float32{0, 255, 7, 8}, []float32{9, 1}, []int32{0, 1}, nil, []float32{0, 8}, []float32{7, 255}},
		"targets": {Auto, 2, 0, 2, []float32{-1.5, 2, 0, 300, 4, 7}, []float32{-1.5, 2}, nil, []float32{0.5, 1, 2, -3, 0, 0}, []float32{-1.5, 2}, []float32{4, 300}},
		"floats":  {Classification, 2, 3, 3, []float32{-1.5, 2, 0, 300, 4, 7}, []float32{-1.5, 2, 0, 300, 4, 7}, []int32{2, 0, 1}, nil, []float32{-1.5, 2}, []float32{4, 300}},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := Open(filepath.Join("testdata", name+".npz"), Options{Task: c.task})
			if err != nil {
				t.Fatal(err)
			}
			if set.Features != c.features || set.Classes != c.classes || set.Outputs != c.outputs {
				t.Errorf("%d features, %d classes, %d outputs", set.Features, set.Classes, set.Outputs)
			}
			for what, pair := range map[string][2][]float32{
				"training inputs": {set.Train.X, c.trainX}, "test inputs": {set.Test.X, c.testX},
				"targets": {set.Train.Targets, c.trainTargets}, "lower limits": {set.Lo, c.lo}, "upper limits": {set.Hi, c.hi},
			} {
				if !slices.Equal(pair[0], pair[1]) {
					t.Errorf("%s %v, want %v", what, pair[0], pair[1])
				}
			}
			if !slices.Equal(set.Train.Labels, c.trainLabels) {
				t.Errorf("labels %v, want %v", set.Train.Labels, c.trainLabels)
			}
		})
	}
}

func TestNPZFloatLabelsAreTargetsUnlessToldOtherwise(t *testing.T) {
	set, err := Open(filepath.Join("testdata", "floats.npz"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !set.Regression() || set.Outputs != 1 {
		t.Errorf("%d classes, %d outputs", set.Classes, set.Outputs)
	}
	_, err = Open(filepath.Join("testdata", "targets.npz"), Options{Task: Classification})
	wantRefusal(t, err, ErrMalformed, "2 columns")
}

func TestNPZRefusals(t *testing.T) {
	good, err := os.ReadFile(filepath.Join("testdata", "rows.npz"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"cut":         good[:len(good)/2],
		"a byte off":  flip(good, 200),
		"no archive":  []byte("1,2,3\n"),
		"empty":       {},
		"other names": mustRead(t, filepath.Join("..", "..", "format", "npz", "testdata", "stored.npz")),
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, "set.npz", data)
			_, err := Open(path, Options{})
			wantRefusal(t, err, ErrMalformed, path)
		})
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
