package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
)

// layerHeader is what a file says of a layer before its numbers.
type layerHeader struct {
	// Inputs, outputs, and weight scales, 0 for a layer in floats.
	In, Out, Scales uint32

	// 1 where negative outputs become zero.
	ReLU uint8

	// An activation q is worth scale·(q − zero).
	InZero, OutZero   uint8
	InScale, OutScale float32
}

// writeLayers writes layers for XNNPACK, which has no format of its own for files: a header for each layer, then
// its weights, scales and biases, little-endian.
func writeLayers(name string, layers []layer) error {
	var b []byte
	for _, y := range layers {
		h := layerHeader{
			In: uint32(y.In), Out: uint32(y.Out), Scales: uint32(len(y.WeightScales)),
			InZero: uint8(y.InZero), OutZero: uint8(y.OutZero), InScale: y.InScale, OutScale: y.OutScale,
		}
		if y.ReLU {
			h.ReLU = 1
		}
		parts := []any{h, y.Weights, y.WeightScales, y.Biases}
		if !y.quantised() {
			parts = []any{h, y.Reals, y.RealBiases}
		}
		for _, part := range parts {
			var err error
			if b, err = binary.Append(b, binary.LittleEndian, part); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return os.WriteFile(name, b, 0o600)
}

// readLayers reads what writeLayers wrote.
func readLayers(name string) ([]layer, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var layers []layer
	for r := bytes.NewReader(content); r.Len() > 0; {
		y, err := readLayer(r)
		if err != nil {
			return nil, fmt.Errorf("%s: layer %d: %w", name, len(layers)+1, err)
		}
		layers = append(layers, y)
	}
	if len(layers) == 0 {
		return nil, fmt.Errorf("%s holds no layer", name)
	}
	return layers, nil
}

func readLayer(r *bytes.Reader) (layer, error) {
	var h layerHeader
	if err := binary.Read(r, binary.LittleEndian, &h); err != nil {
		return layer{}, err
	}
	weights := uint64(h.In) * uint64(h.Out)
	if weights == 0 || weights > uint64(r.Len()) || uint64(h.Scales) > uint64(r.Len()) {
		return layer{}, fmt.Errorf("%d × %d weights do not fit the file", h.Out, h.In)
	}
	y := layer{
		In: int(h.In), Out: int(h.Out), ReLU: h.ReLU == 1,
		InZero: int(h.InZero), OutZero: int(h.OutZero), InScale: h.InScale, OutScale: h.OutScale,
	}
	var parts []any
	if h.Scales == 0 {
		y.Reals, y.RealBiases = make([]float32, weights), make([]float32, h.Out)
		parts = []any{y.Reals, y.RealBiases}
	} else {
		y.Weights, y.WeightScales, y.Biases = make([]int8, weights), make([]float32, h.Scales), make([]int32, h.Out)
		parts = []any{y.Weights, y.WeightScales, y.Biases}
	}
	for _, part := range parts {
		if err := binary.Read(r, binary.LittleEndian, part); err != nil {
			return layer{}, err
		}
	}
	return y, nil
}
