package main

import (
	"bytes"
	"fmt"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
	"github.com/sparse-implicit/sim/trainer/dataset"
)

// dataHelp describes --data wherever it stands.
const dataHelp = "folder of IDX or CIFAR-binary files, .npz (X_train y_train X_test y_test), .csv (last column the label), or builtin:fashion-mini"

// loadFloatModel reads a .sim file, or an .npz with dense A, B, C, D, and returns the file's bytes too.
func loadFloatModel(path string) (*model.Model, []byte, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, nil, err
	}
	m, err := model.Read(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, data, nil
}

// openCompiled returns the whole meaning of a compiled file.
func openCompiled(data []byte) (*simb.Model, error) {
	file, err := simb.Open(data)
	if err != nil {
		return nil, err
	}
	return file.Model(), nil
}

// openData opens what --data names.
func openData(spec string) (*dataset.Set, error) {
	if spec == "" {
		return nil, usagef("--data is missing: give a %s", dataHelp)
	}
	return dataset.Open(spec, dataset.Options{})
}

// loadBox reads an input box from CSV.
func loadBox(path string, inputs int) (lo, hi []float32, err error) {
	data, err := readFile(path)
	if err != nil {
		return nil, nil, err
	}
	lo, hi, err = dataset.ReadBox(bytes.NewReader(data), inputs)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return lo, hi, nil
}
