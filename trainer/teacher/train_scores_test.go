package teacher

import (
	"math"
	"slices"
	"testing"
)

func TestClassesTakeTheLowestOfEquals(t *testing.T) {
	got := Classes([]float32{1, 3, 2, 5, 5, 1, -1, -1, -1, 0, 0, 7}, 3)
	if want := []int{1, 0, 0, 2}; !slices.Equal(got, want) {
		t.Errorf("classes %v, want %v", got, want)
	}
}

func TestAccuracyAndRecalls(t *testing.T) {
	predicted, labels := []int{0, 1, 1, 2, 0}, []int32{0, 1, 0, 2, 2}
	if got := Accuracy(predicted, labels); got != 0.6 {
		t.Errorf("accuracy %g, want 0.6", got)
	}
	if got, want := Recalls(predicted, labels, 4), []float64{0.5, 1, 0.5, 0}; !slices.Equal(got, want) {
		t.Errorf("recalls %v, want %v", got, want)
	}
	if got := Accuracy(nil, nil); got != 0 {
		t.Errorf("accuracy %g of nothing, want 0", got)
	}
}

func TestR2(t *testing.T) {
	for name, c := range map[string]struct {
		outputs, targets []float32
		width            int
		want             float64
	}{
		"exact":                          {[]float32{1, 2, 3}, []float32{1, 2, 3}, 1, 1},
		"the mean":                       {[]float32{2, 2, 2}, []float32{1, 2, 3}, 1, 0},
		"half the variance":              {[]float32{1, 2, 2}, []float32{1, 2, 3}, 1, 0.5},
		"averaged over columns":          {[]float32{1, 2, 2, 2, 3, 2}, []float32{1, 1, 2, 2, 3, 3}, 2, 0.5},
		"a constant target, met":         {[]float32{4, 4}, []float32{4, 4}, 1, 1},
		"a constant target, not met":     {[]float32{4, 5}, []float32{4, 4}, 1, 0},
		"worse than the mean, below nil": {[]float32{3, 2, 1}, []float32{1, 2, 3}, 1, -3},
	} {
		if got := R2(c.outputs, c.targets, c.width); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: R² %g, want %g", name, got, c.want)
		}
	}
}
