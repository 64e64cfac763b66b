package main

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// Every engine gives the outputs of the native program, with kernels packed and in place; run fails otherwise.
func TestEveryEngineGivesTheNativeOutputs(t *testing.T) {
	if testing.Short() {
		t.Skip("builds for other systems")
	}
	var output bytes.Buffer
	err := run(t.Context(), &output, "", 2, 2)
	if errors.Is(err, errNoEngine) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", output.String())
	for _, line := range []string{"portable", "in place", "  7 ", " 14 "} {
		if !strings.Contains(output.String(), line) {
			t.Errorf("the table has no line with %q", line)
		}
	}
	programs, err := build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := programs[1].measure(t.Context(), filepath.Join(t.TempDir(), "absent.simb"), "portable", 1, 1); err == nil {
		t.Errorf("%s: a program that fails is no error", programs[1].engine)
	}
}

func TestWhatCannotBeMeasuredIsAnError(t *testing.T) {
	var output bytes.Buffer
	if run(t.Context(), &output, "", 0, 1) == nil || run(t.Context(), &output, "", 1, 0) == nil {
		t.Error("no inferences or no rounds are accepted")
	}
}
