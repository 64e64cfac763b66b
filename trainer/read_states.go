package trainer

import (
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/npz"
)

// MaxStatesNumbers is how many numbers the arrays of a file of states may have together: 1 GiB as
// float32, which is what a source keeps of them.
const MaxStatesNumbers = 1 << 28

// ReadStates makes a source from an NPZ file's arrays
//
//	U p×m, Z and X n×m, Y q×m   features × samples, as in States
//	rank                        optional: n whole numbers, as in Shape; without it only a free structure can be fitted
//	activation                  optional: n numbers of model.Kind, or one for all states; otherwise all states have the given one
//	activation_param            optional: n×2, or 2 for all states, the parameters that model.Kind names
//	labels                      optional: m classes, whole numbers in [0, q); or
//	targets                     optional: q×m numbers
//
// Numbers of any kind and width that NumPy has are taken (X within 1e-4·(1+|X|) of φ(Z)); other arrays
// are passed over. Errors wrap npz.ErrMalformed, npz.ErrTooLarge or ErrStates.
func ReadStates(archive *npz.Archive, activation model.Activation) (*StatesSource, error) {
	arrays, err := readMatrices(archive)
	if err != nil {
		return nil, err
	}
	shape := Shape{Inputs: arrays["U"].Shape[0], Samples: arrays["U"].Shape[1], Outputs: arrays["Y"].Shape[0]}
	if shape.Ranks, err = readRanks(archive); err != nil {
		return nil, err
	}
	if shape.Activations, err = readActivations(archive, arrays["X"].Shape[0], activation); err != nil {
		return nil, err
	}
	source, err := newStatesSource(shape)
	if err != nil {
		return nil, err
	}
	for _, part := range source.parts() {
		array := arrays[part.name]
		delete(arrays, part.name) // its bytes are not needed twice
		if array == nil {
			continue
		}
		if array.Shape[0] != part.rows || array.Shape[1] != shape.Samples {
			return nil, fmt.Errorf("%s is %d × %d, but %s: %w", part.name, array.Shape[0], array.Shape[1], wanted(part, shape.Samples), ErrStates)
		}
		values, err := array.Float32()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		if err := source.take(part, values); err != nil {
			return nil, err
		}
	}
	if archive.Has("labels") {
		if source.labels, err = readLabels(archive); err != nil {
			return nil, err
		}
	}
	return source, source.check()
}

// wanted says what shape an array must have, and which array says so.
func wanted(part statesPart, samples int) string {
	rows := map[string]string{"Z": "X's states", "targets": "Y's outputs"}[part.name]
	if rows == "" {
		rows = "its features"
	}
	return fmt.Sprintf("%s and U's samples ask for %d × %d (features × samples; is one of them transposed?)", rows, part.rows, samples)
}

// readMatrices reads the arrays of float numbers, not decoded yet.
func readMatrices(archive *npz.Archive) (map[string]*npz.Array, error) {
	arrays, total := map[string]*npz.Array{}, int64(0)
	for _, name := range []string{"U", "Z", "X", "Y", "targets"} {
		if name == "targets" && !archive.Has(name) {
			continue
		}
		array, err := archive.Array(name)
		if err != nil {
			return nil, err
		}
		if len(array.Shape) != 2 {
			return nil, fmt.Errorf("%s has %d dimensions, it must be features × samples: %w", name, len(array.Shape), ErrStates)
		}
		if total += int64(array.Len()); total > MaxStatesNumbers {
			return nil, fmt.Errorf("the arrays up to %s have %d numbers, at most %d are read: give fewer samples: %w", name, total, MaxStatesNumbers, npz.ErrTooLarge)
		}
		arrays[name] = array
	}
	return arrays, nil
}

func readRanks(archive *npz.Archive) ([]int, error) {
	if !archive.Has("rank") {
		return nil, nil
	}
	whole, err := wholeNumbers(archive, "rank")
	if err != nil {
		return nil, err
	}
	ranks := make([]int, len(whole))
	for i, r := range whole {
		if r < 0 || r > math.MaxInt32 {
			return nil, fmt.Errorf("rank[%d] = %d is out of range: %w", i, r, ErrStates)
		}
		ranks[i] = int(r)
	}
	return ranks, nil
}

func wholeNumbers(archive *npz.Archive, name string) ([]int64, error) {
	array, err := archive.Array(name)
	if err != nil {
		return nil, err
	}
	whole, err := array.Int64()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return whole, nil
}

// readActivations returns one activation per state.
func readActivations(archive *npz.Archive, states int, activation model.Activation) ([]model.Activation, error) {
	list := make([]model.Activation, states)
	for i := range list {
		list[i] = activation
	}
	switch {
	case !archive.Has("activation") && archive.Has("activation_param"):
		return nil, fmt.Errorf("activation_param without activation: say which functions these are parameters of: %w", ErrStates)
	case !archive.Has("activation"):
		return list, nil
	}
	kinds, err := wholeNumbers(archive, "activation")
	if err != nil {
		return nil, err
	}
	if len(kinds) != 1 && len(kinds) != states {
		return nil, fmt.Errorf("activation has %d numbers for %d states: give one for each, or one for all: %w", len(kinds), states, ErrStates)
	}
	var params []float32
	if archive.Has("activation_param") {
		array, err := archive.Array("activation_param")
		if err != nil {
			return nil, err
		}
		if params, err = array.Float32(); err != nil {
			return nil, fmt.Errorf("activation_param: %w", err)
		}
		if len(params) != 2 && (len(params) != 2*states || len(array.Shape) != 2 || array.Shape[1] != 2) {
			return nil, fmt.Errorf("activation_param has shape %v: give n × 2 for n = %d states, or two numbers for all: %w", array.Shape, states, ErrStates)
		}
	}
	for i := range list {
		kind := kinds[i%len(kinds)]
		if kind < 0 || kind >= model.KindCount {
			return nil, fmt.Errorf("activation[%d] = %d: kinds are 0 (%s) to %d (%s): %w", i, kind, model.Kind(0), model.KindCount-1, model.Kind(model.KindCount-1), ErrStates)
		}
		list[i] = model.Activation{Kind: model.Kind(kind)}
		if params != nil {
			list[i].P0, list[i].P1 = params[2*i%len(params)], params[(2*i+1)%len(params)]
		}
		if err := list[i].Validate(); err != nil {
			return nil, fmt.Errorf("activation_param of state %d: %w: %w", i, err, ErrStates)
		}
	}
	return list, nil
}

func readLabels(archive *npz.Archive) ([]int32, error) {
	whole, err := wholeNumbers(archive, "labels")
	if err != nil {
		return nil, err
	}
	labels := make([]int32, len(whole))
	for k, v := range whole {
		if v < 0 || v > math.MaxInt32 {
			return nil, fmt.Errorf("labels[%d] = %d is no class: %w", k, v, ErrStates)
		}
		labels[k] = int32(v)
	}
	return labels, nil
}
