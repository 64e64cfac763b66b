package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"

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
	if len(data) >= 8 && string(data[4:8]) == "SIMB" {
		return nil, nil, refusedf("%s is compiled already: the float model (.sim) that it was made from is needed", path)
	}
	m, err := model.Read(data)
	if err != nil {
		if strings.EqualFold(filepath.Ext(path), ".onnx") {
			return nil, nil, refusedf("%s is a network: make a float model (.sim) of it, by 'simc convert' or 'simc fit'", path)
		}
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

// taskHelp describes --task wherever it says how labels are read.
const taskHelp = "classification or regression (default: what the labels are: whole numbers and words are classes)"

// openData opens what --data names.
func openData(spec string) (*dataset.Set, error) { return openTask(spec, "") }

// openTask opens what --data names for what --task says; empty: for what its labels are.
func openTask(spec, task string) (*dataset.Set, error) {
	if spec == "" {
		return nil, usagef("--data is missing: give a %s", dataHelp)
	}
	return dataset.Open(spec, dataset.Options{Task: dataset.Task(task)})
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
