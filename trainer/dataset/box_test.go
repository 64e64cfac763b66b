package dataset

import (
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
