package model

import (
	"reflect"
	"testing"

	"github.com/sparse-implicit/sim/format/sparse"
)

func TestThePlanOfAModelByHand(t *testing.T) {
	// State 1 reaches no output; state 3 is read by state 0; input 1 is read by state 1 alone, input 3 by
	// nothing but a stored zero, input 0 is always 1.
	m := &Model{
		A: sparse.FromDense(4, 4, []float32{0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0}),
		B: sparse.FromDense(4, 4, []float32{0, 0, 3, 0, 0, 1, 0, 0, 4, 0, 11, 1, 6, 0, 0, 0}),
		C: sparse.FromDense(2, 4, []float32{7, 0, 8, 0, 0, 0, 0, 9}),
		D: sparse.FromDense(2, 4, []float32{0, 0, 10, 0, 0, 0, 0, 0}),
	}
	m.InputLo, m.InputHi = []float32{1, 0, 0, 0}, []float32{1, 1, 1, 1}
	m.B.Data[4] = 0 // of state 2 and input 3
	p := m.Plan()
	want := &Plan{
		Inputs: []int{2}, States: []int{2, 3, 0}, Groups: [][]int{{0, 1}, {2}, {3, 4}},
		Weights: sparse.FromDense(5, 4, []float32{
			11, 0, 0, 0,
			0, 0, 0, 0,
			3, 0, 2, 0,
			10, 8, 0, 7,
			0, 0, 9, 0,
		}),
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("plan %+v with weights\n%v,\nwant %+v with\n%v", p, p.Weights, want, want.Weights)
	}
}

func TestThePlanKeepsWhatTheModelAnswers(t *testing.T) {
	m := mixed()
	p := m.Plan()
	if err := p.Weights.Validate("weights"); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, group := range p.Groups {
		for _, r := range group {
			if r != rows {
				t.Fatalf("groups %v", p.Groups)
			}
			rows++
		}
	}
	if rows != p.Weights.Rows || rows != len(p.States)+m.Outputs() || p.Weights.Cols != len(p.Inputs)+len(p.States) {
		t.Fatalf("%d × %d weights, groups %v", p.Weights.Rows, p.Weights.Cols, p.Groups)
	}
	for r := range rows {
		inputs, states, source := m.D, m.C, r-len(p.States)
		if r < len(p.States) {
			inputs, states, source = m.B, m.A, p.States[r]
		}
		for k, j := range p.Inputs {
			if p.Weights.At(r, k) != inputs.At(source, j) {
				t.Errorf("row %d, input %d: %g", r, j, p.Weights.At(r, k))
			}
		}
		for k, j := range p.States {
			if p.Weights.At(r, len(p.Inputs)+k) != states.At(source, j) {
				t.Errorf("row %d, state %d: %g", r, j, p.Weights.At(r, len(p.Inputs)+k))
			}
		}
	}
}
