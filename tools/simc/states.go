package main

import (
	"crypto/sha256"
	"fmt"
	"os"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/npz"
	"github.com/sparse-implicit/sim/trainer"
)

// maxStatesBytes caps a file of states: as many float64 numbers as trainer.ReadStates takes, and as much
// again.
const maxStatesBytes = 2 * 8 * trainer.MaxStatesNumbers

// openStates reads the states of somebody else's network.
func openStates(f *fitFlags) (*fitJob, error) {
	path, o := f.states, trainerOptions(f)
	if info, err := os.Stat(path); err == nil && info.Size() > int64(maxStatesBytes) {
		return nil, refusedf("%s: %d bytes, at most %d are read: give fewer samples, or float32 numbers", path, info.Size(), int64(maxStatesBytes))
	}
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	archive, err := npz.Read(data, npz.Limits{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	source, err := trainer.ReadStates(archive, model.Activation{Kind: model.ReLU})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := f.boxStates(source, &o); err != nil {
		return nil, err
	}
	f.chooseEpochs(&o, source.Shape().Samples)
	if err := f.superviseStates(source, &o); err != nil {
		return nil, err
	}
	if o.Task == "" && source.Targets() != nil {
		o.Task = trainer.Regression
	}
	o.Provenance = model.Provenance{"states.sha256": fmt.Sprintf("%x", sha256.Sum256(data))}
	return &fitJob{source: source, options: o}, nil
}
