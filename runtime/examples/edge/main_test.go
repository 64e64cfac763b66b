package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	simrt "github.com/sparse-implicit/sim/runtime"
)

// The application's own conversion from bytes, and its decisions, against the packed kernel and float
// outputs.
func TestEachFrameGivesTheDecisionOfTheModel(t *testing.T) {
	model, err := simrt.Load(compiled)
	if err != nil {
		t.Fatal(err)
	}
	const frames = 20
	input := make([]byte, frames*model.Inputs())
	state := uint32(1)
	for i := range input {
		state = state*1664525 + 1013904223
		if state>>30 != 0 {
			input[i] = byte(state >> 16)
		}
	}
	var want strings.Builder
	session, u, y := model.NewSession(), make([]float32, model.Inputs()), make([]float32, model.Outputs())
	saturations := uint64(0)
	for f := range frames {
		for j := range u {
			lo, hi := model.InputBox(j)
			u[j] = lo + float32((hi-lo)/255*float32(input[f*len(u)+j]))
		}
		if err := session.Infer(y, u); err != nil {
			t.Fatal(err)
		}
		best := 0
		for k := range y {
			if model.Decision() == simrt.DecideArgmax && y[k] > y[best] || model.Decision() == simrt.DecideArgmin && y[k] < y[best] {
				best = k
			}
		}
		fmt.Fprintln(&want, best)
		saturations += session.Stats().Saturations
	}
	var got strings.Builder
	counted, err := decideAll(bytes.NewReader(input), &got)
	if err != nil || got.String() != want.String() {
		t.Errorf("decisions %q (%v), want %q", got.String(), err, want.String())
	}
	if counted.frames != frames || counted.saturations != saturations {
		t.Errorf("counted %+v, want %d frames and %d saturations", counted, frames, saturations)
	}
}

func TestInputThatEndsWithinAFrameIsAnError(t *testing.T) {
	model, err := simrt.Load(compiled)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	_, err = decideAll(bytes.NewReader(make([]byte, model.Inputs()+1)), &got)
	if err == nil || !strings.HasPrefix(err.Error(), "the input ends within frame 1;") || strings.Count(got.String(), "\n") != 1 {
		t.Errorf("%v after %q", err, got.String())
	}
	if _, err := decideAll(bytes.NewReader(nil), &got); err != nil {
		t.Errorf("no frames are no error: %v", err)
	}
}
