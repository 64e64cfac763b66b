package dataset

import (
	"math"
	"slices"
	"testing"
)

func TestClassWeights(t *testing.T) {
	// 12 samples: 1 of class 0, 9 of class 1, none of class 2, 2 of class 3.
	labels := append(slices.Repeat([]int32{1}, 9), 3, 0, 3)
	root := 12 / (1 + 3 + math.Sqrt2) // 1·1 + 9·⅓ + 2/√2 before normalisation
	for rule, want := range map[ClassWeighting][]float64{
		"":         {1, 1, 1, 1},
		Unweighted: {1, 1, 1, 1},
		Balanced:   {12. / 3, 12. / (3 * 9), 1, 12. / (3 * 2)},
		SquareRoot: {root, root / 3, 1, root / math.Sqrt2},
	} {
		got, err := ClassWeights(labels, 4, rule)
		if err != nil {
			t.Fatal(err)
		}
		mean := 0.0
		for _, label := range labels {
			mean += got[label] / 12
		}
		for c := range want {
			if math.Abs(got[c]-want[c]) > 1e-12 {
				t.Errorf("%q: class %d weighs %g, want %g", rule, c, got[c], want[c])
			}
		}
		if math.Abs(mean-1) > 1e-12 {
			t.Errorf("%q: the mean over samples is %g, want 1", rule, mean)
		}
	}
}

func TestClassWeightsRefuses(t *testing.T) {
	_, err := ClassWeights([]int32{0, 1}, 2, "inverse")
	wantRefusal(t, err, ErrMissing, `"inverse"`, "balanced")
	_, err = ClassWeights([]int32{0, 0, 2}, 2, Balanced)
	wantRefusal(t, err, ErrMalformed, "label 2", "0 to 1")
	_, err = ClassWeights([]int32{-1}, 2, Unweighted)
	wantRefusal(t, err, ErrMalformed, "label 0", "-1")
}
