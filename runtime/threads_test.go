package runtime

import (
	goruntime "runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sparse-implicit/sim/format/quant"
	"github.com/sparse-implicit/sim/format/simb"
)

// wideModel has levels and a loop that are worth sharing out.
func wideModel(width quant.Width) *simb.Model {
	return randomModel(&dice{4}, shape{
		width: width, inputs: 300, outputs: 60, density: 12,
		segments: []simb.Segment{{States: 400}, {States: 200, Sweeps: 6}, {States: 300}},
	})
}

func TestThreadsChangeNoBit(t *testing.T) {
	for _, width := range []quant.Width{quant.Width7, quant.Width14} {
		m := wideModel(width)
		data := encode(t, m, simb.CodecHuff0)
		for _, name := range Kernels() {
			alone, err := Load(data, WithKernel(name))
			if err != nil {
				t.Fatal(err)
			}
			shared, err := Load(data, WithKernel(name), WithThreads(3))
			if err != nil {
				t.Fatal(err)
			}
			a, b := alone.NewSession(), shared.NewSession()
			if b.memory.Team == nil {
				t.Fatalf("%s: no team", name)
			}
			d := &dice{9}
			for range 20 {
				plan := randomPlan(d, m)
				if diff := cmp.Diff(run(a, plan), run(b, plan)); diff != "" {
					t.Fatalf("%s (-alone +three threads):\n%s", name, diff)
				}
			}
			b.Close()
			b.Close()
			plan := randomPlan(d, m)
			if diff := cmp.Diff(run(a, plan), run(b, plan)); diff != "" {
				t.Fatalf("%s, closed:\n%s", name, diff)
			}
		}
	}
}

// Goroutines end with Close, and with sessions that nobody holds any more.
func TestThreadsEnd(t *testing.T) {
	data := encode(t, wideModel(quant.Width7), simb.CodecHuff0)
	model, err := Load(data, WithThreads(4))
	if err != nil {
		t.Fatal(err)
	}
	before := goruntime.NumGoroutine()
	closed, plan := model.NewSession(), make([]uint16, len(model.inputs))
	run(closed, plan)
	if n := goruntime.NumGoroutine() - before; n != 3 {
		t.Errorf("%d goroutines for four threads, want 3", n)
	}
	closed.Close()
	for range 5 {
		run(model.NewSession(), plan)
	}
	for range 500 {
		goruntime.GC()
		if goruntime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines are left", goruntime.NumGoroutine()-before)
}
