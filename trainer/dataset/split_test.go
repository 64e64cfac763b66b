package dataset

import (
	"math"
	"slices"
	"testing"
)

// unevenSet has classes of 50, 9, 2 and 1 samples; the first input of a sample is its number.
func unevenSet() *Set {
	set := &Set{Features: 2, Classes: 4, Outputs: 4}
	for class, count := range []int{50, 9, 2, 1} {
		for range count {
			set.Train.X = append(set.Train.X, float32(set.Train.Samples), float32(class))
			set.Train.Labels = append(set.Train.Labels, int32(class))
			set.Train.Samples++
		}
	}
	set.Test = Part{Samples: 1, X: []float32{-1, -1}, Labels: []int32{0}}
	return set
}

func TestSplitDividesEveryClass(t *testing.T) {
	set := unevenSet()
	divided, err := set.Split(0.2, 1)
	if err != nil {
		t.Fatal(err)
	}
	var held [4]int
	seen := make([]int, set.Train.Samples)
	for p, part := range []Part{divided.Train, divided.Test} {
		last := float32(-1)
		for s := range part.Samples {
			number, class := part.X[2*s], int(part.Labels[s])
			if part.X[2*s+1] != float32(class) {
				t.Errorf("sample %g lost its label", number)
			}
			if number <= last {
				t.Errorf("sample %g stands after %g", number, last)
			}
			last = number
			seen[int(number)]++
			if p == 1 {
				held[class]++
			}
		}
	}
	if want := [4]int{10, 2, 1, 0}; held != want {
		t.Errorf("held out by class: %v, want %v", held, want)
	}
	if slices.Max(seen) != 1 || slices.Min(seen) != 1 {
		t.Errorf("samples appear %v times", seen)
	}
}

func TestSplitDependsOnItsSeedAlone(t *testing.T) {
	set := unevenSet()
	parts := func(seed uint64) []float32 {
		divided, err := set.Split(0.5, seed)
		if err != nil {
			t.Fatal(err)
		}
		return divided.Test.X
	}
	if !slices.Equal(parts(3), parts(3)) {
		t.Error("the same seed gives two splits")
	}
	if slices.Equal(parts(3), parts(4)) {
		t.Error("two seeds give the same split")
	}
}

func TestSplitOfARegressionKeepsTargets(t *testing.T) {
	set := &Set{Features: 1, Outputs: 2, Train: Part{Samples: 10}}
	for k := range 10 {
		set.Train.X = append(set.Train.X, float32(k))
		set.Train.Targets = append(set.Train.Targets, float32(10*k), float32(-k))
	}
	divided, err := set.Split(0.3, 9)
	if err != nil {
		t.Fatal(err)
	}
	if divided.Test.Samples != 3 || divided.Train.Samples != 7 || divided.Train.Labels != nil {
		t.Errorf("%d + %d samples, labels %v", divided.Train.Samples, divided.Test.Samples, divided.Train.Labels)
	}
	for s := range divided.Test.Samples {
		k := divided.Test.X[s]
		if divided.Test.Targets[2*s] != 10*k || divided.Test.Targets[2*s+1] != -k {
			t.Errorf("sample %g has targets %v", k, divided.Test.Targets[2*s:2*s+2])
		}
	}
}

func TestSplitRefusesEmptySides(t *testing.T) {
	for _, fraction := range []float64{0, 1, -0.5, 2, math.NaN(), math.Inf(1)} {
		_, err := unevenSet().Split(fraction, 1)
		wantRefusal(t, err, ErrMalformed, "fraction")
	}
	single := &Set{Features: 1, Outputs: 1, Train: Part{Samples: 1, X: []float32{1}, Targets: []float32{1}}}
	_, err := single.Split(0.5, 1)
	wantRefusal(t, err, ErrMalformed, "too few")
}
