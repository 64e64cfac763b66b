//go:build cgo && linux

package main

/*
#cgo CFLAGS: -O2 -Wall
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "ort.h"
#include "xnn.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// failure receives the messages of the C functions.
type failure [512]C.char

func (f *failure) check(what string, status C.int) error {
	if status == 0 {
		return nil
	}
	return fmt.Errorf("%s: %s", what, C.GoString(&f[0]))
}

// times returns where C may write the time of each inference, or null.
func times(each []int64) *C.int64_t { return (*C.int64_t)(unsafe.Pointer(unsafe.SliceData(each))) }

// Libraries are opened once for all engines and stay open.
var (
	ortLibraries = map[string]*C.ort_library{}
	xnnLibraries = map[string]*C.xnn_library{}
)

func ortLibrary(path string) (*C.ort_library, error) {
	if l := ortLibraries[path]; l != nil {
		return l, nil
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var l *C.ort_library
	var f failure
	if err := f.check("ONNX Runtime", C.ort_open(name, &l, &f[0], C.size_t(len(f)))); err != nil {
		return nil, err
	}
	ortLibraries[path] = l
	return l, nil
}

// probeOnnxRuntime opens a library and returns its version.
func probeOnnxRuntime(path string) (string, error) {
	l, err := ortLibrary(path)
	if err != nil {
		return "", err
	}
	return C.GoString(C.ort_version(l)), nil
}

// ortEngine is a session of ONNX Runtime.
type ortEngine struct {
	session *C.ort_session
	recipe  recipe
	outputs []float32
}

func openOnnxRuntime(r recipe, frames [][]float32) (engine, error) {
	return loadOnnxRuntime(r, frames, "")
}

// loadOnnxRuntime opens a session; where optimised is not empty, the graph that is really run is written there.
func loadOnnxRuntime(r recipe, frames [][]float32, optimised string) (engine, error) {
	l, err := ortLibrary(r.Library)
	if err != nil {
		return nil, err
	}
	model := C.CString(r.File)
	defer C.free(unsafe.Pointer(model))
	var written *C.char
	if optimised != "" {
		written = C.CString(optimised)
		defer C.free(unsafe.Pointer(written))
	}
	shape := C.ort_shape{inputs: C.size_t(r.Inputs), outputs: C.size_t(r.Outputs), batch: C.size_t(r.Batch)}
	var data unsafe.Pointer
	if r.Integers {
		shape.bytes = 1
		data = unsafe.Pointer(unsafe.SliceData(quantiseFrames[uint8](frames, r.Scale, r.Zero)))
	} else {
		data = unsafe.Pointer(unsafe.SliceData(flatten(frames)))
	}
	e := &ortEngine{recipe: r, outputs: make([]float32, r.Batch*r.Outputs)}
	var f failure
	if err := f.check(r.File, C.ort_load(l, model, written, shape, data, C.size_t(len(frames)), &e.session, &f[0], C.size_t(len(f)))); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *ortEngine) run(first, count int, each []int64) error {
	var f failure
	return f.check(e.recipe.File, C.ort_run(e.session, C.size_t(first), C.size_t(count), times(each), &f[0], C.size_t(len(f))))
}

func (e *ortEngine) answer(sample []float32) (int, error) {
	data := unsafe.Pointer(unsafe.SliceData(sample))
	if e.recipe.Integers {
		data = unsafe.Pointer(unsafe.SliceData(quantiseFrames[uint8]([][]float32{sample}, e.recipe.Scale, e.recipe.Zero)))
	}
	var f failure
	err := f.check(e.recipe.File, C.ort_answer(e.session, data, &f[0], C.size_t(len(f))))
	return largest(e.last()[:e.recipe.Outputs]), err
}

// last returns the outputs of the last inference.
func (e *ortEngine) last() []float32 {
	copy(e.outputs, unsafe.Slice((*float32)(C.ort_outputs(e.session)), len(e.outputs)))
	return e.outputs
}

func (e *ortEngine) close() { C.ort_close(e.session) }

func xnnLibrary(path string) (*C.xnn_library, error) {
	if l := xnnLibraries[path]; l != nil {
		return l, nil
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var l *C.xnn_library
	var f failure
	if err := f.check("XNNPACK", C.xnn_library_open(name, &l, &f[0], C.size_t(len(f)))); err != nil {
		return nil, err
	}
	xnnLibraries[path] = l
	return l, nil
}

// probeXNNPACK opens a library, which does not tell its version.
func probeXNNPACK(path string) (string, error) {
	_, err := xnnLibrary(path)
	return "of 2022-02", err
}

// xnnEngine is a chain of XNNPACK's operators.
type xnnEngine struct {
	net     *C.xnn_net
	layers  []layer
	bytes   []int8
	outputs []float32
}

func openXNNPACK(r recipe, frames [][]float32) (engine, error) {
	l, err := xnnLibrary(r.Library)
	if err != nil {
		return nil, err
	}
	layers, err := readLayers(r.File)
	if err != nil {
		return nil, err
	}
	if r.Integers != layers[0].quantised() {
		return nil, errors.New(r.File + " holds numbers of another kind")
	}
	var pinner runtime.Pinner
	defer pinner.Unpin()
	chain := make([]C.xnn_layer, len(layers))
	for k, y := range layers {
		chain[k] = y.native(&pinner)
	}
	var data unsafe.Pointer
	var quantised C.int
	if r.Integers {
		quantised = 1
		data = unsafe.Pointer(unsafe.SliceData(quantiseFrames[int8](frames, layers[0].InScale, int(layers[0].InZero))))
	} else {
		data = unsafe.Pointer(unsafe.SliceData(flatten(frames)))
	}
	outputs := r.Batch * int(layers[len(layers)-1].Out)
	e := &xnnEngine{layers: layers, bytes: make([]int8, outputs), outputs: make([]float32, outputs)}
	pinner.Pin(&chain[0])
	var f failure
	status := C.xnn_net_load(l, &chain[0], C.size_t(len(chain)), C.size_t(r.Batch), quantised, data, C.size_t(len(frames)), &e.net, &f[0], C.size_t(len(f)))
	if err := f.check(r.File, status); err != nil {
		return nil, err
	}
	return e, nil
}

// native describes a layer to C, which reads it during the call alone.
func (y *layer) native(pinner *runtime.Pinner) C.xnn_layer {
	c := C.xnn_layer{inputs: C.size_t(y.In), outputs: C.size_t(y.Out), float_min: C.float(y.floatMin())}
	if !y.quantised() {
		pinner.Pin(&y.Reals[0])
		pinner.Pin(&y.RealBiases[0])
		c.weights, c.biases = unsafe.Pointer(&y.Reals[0]), unsafe.Pointer(&y.RealBiases[0])
		return c
	}
	pinner.Pin(&y.Weights[0])
	pinner.Pin(&y.Biases[0])
	c.weights, c.biases = unsafe.Pointer(&y.Weights[0]), unsafe.Pointer(&y.Biases[0])
	c.input_scale, c.input_zero = C.float(y.InScale), C.int8_t(y.InZero-signed)
	c.weight_scale = C.float(y.WeightScales[0])
	c.output_scale, c.output_zero = C.float(y.OutScale), C.int8_t(y.OutZero-signed)
	return c
}

func (e *xnnEngine) run(first, count int, each []int64) error {
	var f failure
	return f.check("XNNPACK", C.xnn_net_run(e.net, C.size_t(first), C.size_t(count), times(each), &f[0], C.size_t(len(f))))
}

func (e *xnnEngine) answer(sample []float32) (int, error) {
	var f failure
	outputs := int(e.layers[len(e.layers)-1].Out)
	if !e.layers[0].quantised() {
		status := C.xnn_net_answer(e.net, unsafe.Pointer(&sample[0]), &f[0], C.size_t(len(f)))
		return largest(e.last()[:outputs]), f.check("XNNPACK", status)
	}
	q := quantiseFrames[int8]([][]float32{sample}, e.layers[0].InScale, int(e.layers[0].InZero))
	status := C.xnn_net_answer(e.net, unsafe.Pointer(&q[0]), &f[0], C.size_t(len(f)))
	return largest(e.lastBytes()[:outputs]), f.check("XNNPACK", status)
}

// last returns the outputs of the last inference in floats.
func (e *xnnEngine) last() []float32 {
	copy(e.outputs, unsafe.Slice((*float32)(C.xnn_net_outputs(e.net)), len(e.outputs)))
	return e.outputs
}

// lastBytes returns the outputs of the last inference in integers.
func (e *xnnEngine) lastBytes() []int8 {
	copy(e.bytes, unsafe.Slice((*int8)(C.xnn_net_outputs(e.net)), len(e.bytes)))
	return e.bytes
}

func (e *xnnEngine) close() { C.xnn_net_close(e.net) }
