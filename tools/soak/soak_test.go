package main

import (
	"errors"
	"io"
	"testing"
	"time"

	simrt "github.com/sparse-implicit/sim/runtime"
)

func TestAShortSoakIsClean(t *testing.T) {
	kernels := append(simrt.Kernels(), "in place")
	for _, bits := range []int{7, 14} {
		data, err := compiled("", bits)
		if err != nil {
			t.Fatal(err)
		}
		sum := uint64(0)
		for _, kernel := range kernels {
			model, err := load(data, kernel)
			if err != nil {
				t.Fatal(err)
			}
			r, err := newWork(model).soak(20_000, io.Discard)
			if err != nil {
				t.Fatalf("%d bits, %s: %v", bits, kernel, err)
			}
			t.Logf("%d bits, %s:\n%v", bits, kernel, r)
			// The test's own process may allocate beside it and grow; an allocation in inferences would be 20,000.
			if r.mallocs > 100 || r.inferences < 20_000 || sum != 0 && r.sum != sum {
				t.Errorf("%d bits, %s: %v", bits, kernel, r)
			}
			sum = r.sum
		}
	}
}

// leak allocates, grows or changes an answer once in a while.
func TestWhatASoakLooksForIsFound(t *testing.T) {
	data, err := compiled("", 7)
	if err != nil {
		t.Fatal(err)
	}
	model, err := load(data, "portable")
	if err != nil {
		t.Fatal(err)
	}
	w := newWork(model)
	w.reals[3][0] = 0.5
	first, err := w.run()
	if err != nil {
		t.Fatal(err)
	}
	for j := range w.reals[3] {
		w.reals[3][j] = 0
	}
	if again, err := w.run(); err != nil || again == first {
		t.Errorf("other inputs have the same checksum (%v)", err)
	}
	changing := writer(func() { w.q7[0][5] ^= 64 }) // told of progress it changes an input
	if _, err := w.soak(100*w.pass(), changing); !errors.Is(err, errChanged) {
		t.Errorf("an answer that changed gives %v", err)
	}
	var kept [][]byte
	leaking := writer(func() { kept = append(kept, make([]byte, 1<<20)) })
	r, err := w.soak(100*w.pass(), leaking)
	if err != nil || r.mallocs == 0 || r.judge() == nil {
		t.Errorf("a leak gives %v and %+v", err, r)
	}
	for _, bad := range []report{
		{mallocs: 1},
		{collections: 1, took: collectorClock - time.Second},
		{resident: residence{first: 1 << 20, last: 1 << 20, most: 3 << 20}},
	} {
		if bad.judge() == nil {
			t.Errorf("%+v passes", bad)
		}
	}
	if err := (report{collections: 2, took: 2*collectorClock + time.Second}).judge(); err != nil {
		t.Error(err)
	}
}

// writer does something for every line.
type writer func()

func (w writer) Write(line []byte) (int, error) {
	w()
	return len(line), nil
}

func TestWhatCannotBeSoakedIsAnError(t *testing.T) {
	for _, bad := range []struct {
		n, bits      int
		name, kernel string
	}{
		{n: 10, bits: 7},
		{n: 10_000, bits: 8},
		{n: 10_000, name: "absent.simb"},
		{n: 10_000, bits: 7, kernel: "abacus"},
	} {
		if run(bad.n, bad.bits, bad.name, bad.kernel) == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
