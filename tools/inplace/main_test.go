//go:build linux

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// A test binary stands in for the command when it is started to load a file.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "load" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestAProcessTakesTheSameHeapForAnyNumberOfWeights(t *testing.T) {
	var costs [2]cost
	var bytes [2]int
	for k, nonzeros := range []int{5_000, 400_000} {
		name := filepath.Join(t.TempDir(), "model.simb")
		var err error
		if bytes[k], err = write(name, nonzeros); err != nil {
			t.Fatal(err)
		}
		if costs[k], err = process(name); err != nil {
			t.Fatal(err)
		}
		t.Logf("%d weights, %d bytes: %+v", nonzeros, bytes[k], costs[k])
	}
	grown := func(a, b int64) bool { return a-b > slack || b-a > slack }
	if grown(costs[0].HeapLoad, costs[1].HeapLoad) || grown(costs[0].HeapKept, costs[1].HeapKept) || costs[0].HeapLoad < states*8 {
		t.Errorf("%+v", costs)
	}
	// Resident memory is rough: the file's own pages may come on top, a copy of its weights may not.
	if file := int64(bytes[1] - bytes[0]); costs[1].Anonymous-costs[0].Anonymous > file/2 {
		t.Errorf("anonymous memory grows from %d to %d with a file that is %d bytes longer", costs[0].Anonymous, costs[1].Anonymous, file)
	}
}

func TestWhatDoesNotFitIsAnError(t *testing.T) {
	for _, arguments := range [][]string{{"many"}, {"100000000"}, {"load", filepath.Join(t.TempDir(), "absent")}} {
		if run(arguments) == nil {
			t.Errorf("%v is accepted", arguments)
		}
	}
}
