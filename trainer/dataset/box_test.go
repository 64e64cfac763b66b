package dataset

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestReadBox(t *testing.T) {
	for name, text := range map[string]string{
		"with header":    "lo,hi\n-0.5,0.25\n3,3\n",
		"without header": "-0.5,0.25\n3,3",
		"with spaces":    " LO , Hi\n -0.5 , 0.25\n\n3, 3\n",
	} {
		lo, hi, err := ReadBox(strings.NewReader(text), 2)
		if err != nil || !slices.Equal(lo, []float32{-0.5, 3}) || !slices.Equal(hi, []float32{0.25, 3}) {
			t.Errorf("%s: %v, %v, %v", name, lo, hi, err)
		}
	}
}

func TestReadBoxRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		words []string
	}{
		"too few lines":   {"lo,hi\n0,1\n", []string{"1 lines", "2 inputs"}},
		"too many lines":  {"0,1\n0,1\n0,1\n", []string{"line 3", "2 inputs"}},
		"limits swapped":  {"lo,hi\n0,1\n2,1\n", []string{"line 3", "lower"}},
		"NaN":             {"0,1\nnan,1\n", []string{"line 2", "nan"}},
		"infinity":        {"0,1\n0,inf\n", []string{"line 2", "inf"}},
		"a word":          {"0,1\n0,x\n", []string{"line 2", "x"}},
		"three columns":   {"0,1\n0,1,2\n", []string{"line 2"}},
		"one column":      {"0\n1\n", []string{"line 1"}},
		"nothing":         {"", []string{"0 lines"}},
		"header in place": {"0,1\nlo,hi\n", []string{"line 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := ReadBox(strings.NewReader(c.text), 2)
			wantRefusal(t, err, ErrMalformed, c.words...)
		})
	}
}

func TestReadBoxOfTheSharedData(t *testing.T) {
	f, err := os.Open(shared(t, "onnx/acasxu/box_prop1.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lo, hi, err := ReadBox(f, 5)
	if err != nil || lo[0] != 0.6 || hi[0] != 0.679857769 || lo[4] != -0.5 || hi[4] != -0.45 {
		t.Errorf("%v, %v, %v", lo, hi, err)
	}
}

func TestPercentileBox(t *testing.T) {
	// 200 samples of three inputs: one with a wild reading at either end, one that is 1 three times and
	// otherwise 0, one that counts.
	var samples []float32
	for s := range 200 {
		x := []float32{float32(s % 10), 0, float32(s)}
		switch s {
		case 20:
			x[0] = -1000
		case 77:
			x[0] = 5000
		case 3, 90, 150:
			x[1] = 1
		}
		samples = append(samples, x...)
	}
	for percent, want := range map[float64][2][]float32{
		0:     {{-1000, 0, 0}, {5000, 1, 199}},
		0.4:   {{-1000, 0, 0}, {5000, 1, 199}}, // less than a sample
		0.5:   {{0, 0, 1}, {9, 1, 198}},
		1:     {{0, 0, 2}, {9, 1, 197}},
		5:     {{0, 0, 10}, {9, 1, 189}}, // all but the three are alike: the whole range stays
		49.99: {{4, 0, 99}, {5, 1, 100}},
	} {
		lo, hi, err := PercentileBox(samples, 3, percent)
		if err != nil || !slices.Equal(lo, want[0]) || !slices.Equal(hi, want[1]) {
			t.Errorf("%g percent: %v to %v (%v), want %v to %v", percent, lo, hi, err, want[0], want[1])
		}
	}
	for _, percent := range []float64{-1, 50, math.NaN()} {
		_, _, err := PercentileBox(samples, 3, percent)
		wantRefusal(t, err, ErrMalformed, "percentage")
	}
	_, _, err := PercentileBox(samples[1:], 3, 1)
	wantRefusal(t, err, ErrMalformed, "599 numbers")
}

func TestWithinClipsTheTrainingPartAlone(t *testing.T) {
	set := &Set{Features: 2, Lo: []float32{0, 0}, Hi: []float32{9, 9}, Train: Part{Samples: 2, X: []float32{-1, 5, 9, 2}}, Test: Part{Samples: 1, X: []float32{9, 9}}}
	boxed := set.Within([]float32{0, 3}, []float32{1, 4})
	if !slices.Equal(boxed.Train.X, []float32{0, 4, 1, 3}) || !slices.Equal(boxed.Test.X, []float32{9, 9}) || boxed.Hi[1] != 4 {
		t.Errorf("%+v", boxed)
	}
	if !slices.Equal(set.Train.X, []float32{-1, 5, 9, 2}) || set.Hi[1] != 9 {
		t.Errorf("the set itself changed: %+v", set)
	}
}
