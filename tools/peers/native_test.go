//go:build cgo && linux

package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/onnx"
)

// The libraries that the tests run with; without, they skip.
const (
	onnxRuntimeVariable = "PEERS_ONNXRUNTIME"
	xnnpackVariable     = "PEERS_XNNPACK"
)

func onnxRuntime(t *testing.T) string {
	t.Helper()
	path := firstOf(os.Getenv(onnxRuntimeVariable), "libonnxruntime.so.1")
	if _, err := probeOnnxRuntime(path); err != nil {
		t.Skipf("%v; %s may name the library", err, onnxRuntimeVariable)
	}
	return path
}

func xnnpack(t *testing.T) string {
	t.Helper()
	path := firstOf(os.Getenv(xnnpackVariable), "libXNNPACK.so.0")
	if _, err := probeXNNPACK(path); err != nil {
		t.Skipf("%v; %s, or %s may name the library", err, getXNNPACK, xnnpackVariable)
	}
	return path
}

// framesOfSamples cuts samples out of what drawn returns.
func framesOfSamples(u []float32, inputs, batch int) [][]float32 {
	var frames [][]float32
	for first := 0; first+inputs*batch <= len(u); first += inputs * batch {
		frames = append(frames, u[first:first+inputs*batch])
	}
	return frames
}

func TestOnnxRuntimeComputesWhatWasWritten(t *testing.T) {
	library := onnxRuntime(t)
	const samples = 60
	net, u := drawn(1, samples)
	layers, err := quantise(net, u, true)
	if err != nil {
		t.Fatal(err)
	}
	last := layers[len(layers)-1]
	want := net.Forward32(u, samples, nil)
	content, err := onnx.Encode(net.ONNX())
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, content []byte, integers bool, allowed float64, fused string) {
		file, optimised := filepath.Join(t.TempDir(), "net.onnx"), filepath.Join(t.TempDir(), "optimised.onnx")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		r := recipe{
			Kind: kindOnnxRuntime, File: file, Library: library, Integers: integers, Batch: 1,
			Inputs: net.Inputs, Outputs: net.Outputs(), Scale: layers[0].InScale, Zero: layers[0].InZero,
		}
		e, err := loadOnnxRuntime(r, framesOfSamples(u, net.Inputs, 1)[:7], optimised)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer e.close()
		if run, err := os.ReadFile(optimised); err != nil || !bytes.Contains(run, []byte(fused)) {
			t.Errorf("%s: the graph that is run has no %s; error %v", name, fused, err)
		}
		for s, sample := range framesOfSamples(u, net.Inputs, 1) {
			if _, err := e.answer(sample); err != nil {
				t.Fatal(err)
			}
			for i, y := range e.(*ortEngine).outputs {
				if off := math.Abs(float64(y - want[s*last.Out+i])); off > allowed {
					t.Fatalf("%s: output %d of sample %d is %g, the float network says %g", name, i, s, y, want[s*last.Out+i])
				}
			}
		}
		for k := range 9 { // frames in rotation
			if err := e.run(k, 1, nil); err != nil {
				t.Fatal(err)
			}
			for i, y := range e.(*ortEngine).last() {
				if off := math.Abs(float64(y - want[k%7*last.Out+i])); off > allowed {
					t.Fatalf("%s: output %d of frame %d is %g, the float network says %g", name, i, k%7, y, want[k%7*last.Out+i])
				}
			}
		}
		checkTimes(t, e)
	}
	span := 255 * float64(last.OutScale)
	check("float", content, false, 1e-4*span, "FusedGemm")
	for _, f := range forms {
		content, err := writeGraph(layers, f)
		if err != nil {
			t.Fatal(err)
		}
		fused := "QGemm"
		if f.dynamic {
			fused = "DynamicQuantizeMatMul"
		}
		check(f.name, content, f.integers, 0.06*span, fused)
	}
}

// checkTimes runs an engine over its frames and demands a time for each inference.
func checkTimes(t *testing.T, e engine) {
	t.Helper()
	each := make([]int64, 40)
	if err := e.run(5, len(each), each); err != nil {
		t.Fatal(err)
	}
	for k, ns := range each {
		if ns <= 0 {
			t.Errorf("inference %d took %d ns", k, ns)
		}
	}
}

func TestXNNPACKComputesWhatWasWritten(t *testing.T) {
	library := xnnpack(t)
	const samples = 60
	net, u := drawn(1, samples)
	reals, err := layersOf(net)
	if err != nil {
		t.Fatal(err)
	}
	quantised, err := quantise(net, u, false)
	if err != nil {
		t.Fatal(err)
	}
	want := net.Forward32(u, samples, nil)
	for _, layers := range [][]layer{reals, quantised} {
		file := filepath.Join(t.TempDir(), "net.xnn")
		if err := writeLayers(file, layers); err != nil {
			t.Fatal(err)
		}
		r := recipe{Kind: kindXNNPACK, File: file, Library: library, Integers: layers[0].quantised(), Batch: 1}
		opened, err := r.open(framesOfSamples(u, net.Inputs, 1)[:7])
		if err != nil {
			t.Fatal(err)
		}
		e := opened.(*xnnEngine)
		off := 0
		for s, sample := range framesOfSamples(u, net.Inputs, 1) {
			if _, err := e.answer(sample); err != nil {
				t.Fatal(err)
			}
			if !r.Integers {
				for i, y := range e.outputs {
					if math.Abs(float64(y-want[s*net.Outputs()+i])) > 1e-4 {
						t.Fatalf("output %d of sample %d is %g, want %g", i, s, y, want[s*net.Outputs()+i])
					}
				}
				continue
			}
			for i, q := range evaluate(layers, sample) {
				difference := int(e.bytes[i]) + signed - q
				if difference < -1 || difference > 1 {
					t.Fatalf("output %d of sample %d is %d, want %d", i, s, int(e.bytes[i])+signed, q)
				}
				off += difference * difference
			}
		}
		if off > samples*net.Outputs()/20 { // their rounding of halves differs
			t.Errorf("%d of %d outputs are off by one", off, samples*net.Outputs())
		}
		e.checkRotation(t, framesOfSamples(u, net.Inputs, 1)[:7])
		checkTimes(t, e)
		e.close()
		r.Integers = !r.Integers
		if _, err := r.open(framesOfSamples(u, net.Inputs, 1)); err == nil {
			t.Error("floats are taken for integers")
		}
	}
}

// checkRotation demands of every frame the outputs that it has as a sample of its own.
func (e *xnnEngine) checkRotation(t *testing.T, frames [][]float32) {
	t.Helper()
	for k := range len(frames) + 2 {
		if _, err := e.answer(frames[k%len(frames)]); err != nil {
			t.Fatal(err)
		}
		reals, bytes := slices.Clone(e.outputs), slices.Clone(e.bytes)
		if err := e.run(k, 1, nil); err != nil {
			t.Fatal(err)
		}
		if e.layers[0].quantised() && !slices.Equal(e.lastBytes(), bytes) || !e.layers[0].quantised() && !slices.Equal(e.last(), reals) {
			t.Errorf("frame %d has other outputs than its sample", k%len(frames))
		}
	}
}

// Batches give the answers of their samples.
func TestBatchesOfThePeers(t *testing.T) {
	const batch = 4
	net, u := drawn(6, 2*batch)
	layers, err := quantise(net, u, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("XNNPACK", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "net.xnn")
		if err := writeLayers(file, layers); err != nil {
			t.Fatal(err)
		}
		e, err := recipe{Kind: kindXNNPACK, File: file, Library: xnnpack(t), Integers: true, Batch: batch}.open(framesOfSamples(u, net.Inputs, batch))
		if err != nil {
			t.Fatal(err)
		}
		defer e.close()
		if _, err := e.answer(u[:batch*net.Inputs]); err != nil {
			t.Fatal(err)
		}
		for s := range batch {
			for i, q := range evaluate(layers, u[s*net.Inputs:(s+1)*net.Inputs]) {
				if got := int(e.(*xnnEngine).bytes[s*net.Outputs()+i]) + signed; got < q-1 || got > q+1 {
					t.Errorf("output %d of sample %d is %d, want %d", i, s, got, q)
				}
			}
		}
		checkTimes(t, e)
	})
	t.Run("ONNX Runtime", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "net.onnx")
		content, err := onnx.Encode(net.ONNX())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		r := recipe{Kind: kindOnnxRuntime, File: file, Library: onnxRuntime(t), Batch: batch, Inputs: net.Inputs, Outputs: net.Outputs()}
		e, err := r.open(framesOfSamples(u, net.Inputs, batch))
		if err != nil {
			t.Fatal(err)
		}
		defer e.close()
		if _, err := e.answer(u[:batch*net.Inputs]); err != nil {
			t.Fatal(err)
		}
		for k, want := range net.Forward32(u[:batch*net.Inputs], batch, nil) {
			if got := e.(*ortEngine).outputs[k]; math.Abs(float64(got-want)) > 1e-4 {
				t.Errorf("output %d is %g, want %g", k, got, want)
			}
		}
		checkTimes(t, e)
	})
}

func TestLibrariesThatAreNoneAreRefused(t *testing.T) {
	// The C library itself is a library, but neither of these.
	if _, err := probeOnnxRuntime("libc.so.6"); err == nil {
		t.Error("libc is taken for ONNX Runtime")
	}
	if _, err := probeXNNPACK("libc.so.6"); err == nil {
		t.Error("libc is taken for XNNPACK")
	}
}
