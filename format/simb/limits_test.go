package simb

import (
	"errors"
	"runtime"
	"testing"
)

// TestSmallFilesCannotTakeMuchMemory tries what expands most: runs, counts without sections, claims
// without sections, self-tests times outputs.
func TestSmallFilesCannotTakeMuchMemory(t *testing.T) {
	run := func(id sectionID, element uint8, length uint32) func(*sectionWriter) {
		return func(w *sectionWriter) {
			var stored []byte
			for plane := uint32(0); plane < uint32(element); plane++ {
				for left := length / uint32(element); left > 0; left -= min(left, chunkSize) {
					stored = append(stored, chunkRun, 1)
				}
			}
			w.drop(id)
			w.insert(sectionEntry{id: id, codec: storedPlanes, element: element, length: length, stored: uint32(len(stored))}, stored)
		}
	}
	big := func(change func(*sectionWriter), fields map[int]uint64) []byte {
		data := withAllFields(t, build(tiny(), change, nil))
		for field, v := range fields {
			data = set(t, data, field, v)
		}
		return data
	}
	for name, data := range map[string][]byte{
		"weights in runs":          big(run(sectionValues, 1, 1<<26), map[int]uint64{fieldNonzeros: 1 << 26}),
		"gaps in runs":             big(run(sectionGaps, 1, 1<<28), map[int]uint64{fieldNonzeros: 1 << 26}),
		"inputs in runs":           big(run(sectionInputScale, 4, 1<<22), map[int]uint64{fieldInputs: 1 << 20}),
		"states without sections":  big(nil, map[int]uint64{fieldStates: 1 << 20}),
		"just below the budget":    big(nil, map[int]uint64{fieldStates: 50_000}),
		"outputs without sections": big(nil, map[int]uint64{fieldOutputs: 1 << 20}),
		"self-tests times outputs": big(nil, map[int]uint64{fieldTests: 64, fieldOutputs: 1 << 20}),
		"self-tests and outputs":   big(nil, map[int]uint64{fieldTests: 64, fieldOutputs: 50_000}),
		"every claim":              big(nil, map[int]uint64{fieldClaims: knownClaims, fieldStates: 30_000}),
		"many tables":              big(nil, map[int]uint64{fieldTables: 256}),
		"many segments":            big(nil, map[int]uint64{fieldSegments: 50_000, fieldStates: 50_000}),
		"a large source":           big(nil, map[int]uint64{fieldSourceStates: 1 << 20}),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Open(data)
		runtime.ReadMemStats(&after)
		if err == nil && name != "a large source" {
			t.Errorf("%s: accepted", name)
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 6<<20 {
			t.Errorf("%s: a file of %d bytes made Open allocate %d (%v)", name, len(data), allocated, err)
		}
	}
	// What the claims take counts, present or not.
	if _, err := Open(big(nil, map[int]uint64{fieldStates: 45_000})); errors.Is(err, ErrTooLarge) {
		t.Errorf("45000 states are within the budget: %v", err)
	}
	if _, err := Open(big(nil, map[int]uint64{fieldStates: 45_000, fieldClaims: knownClaims})); !errors.Is(err, ErrTooLarge) {
		t.Errorf("45000 states with every claim: %v", err)
	}
	// The option narrows the budget further.
	if _, err := Open(big(nil, map[int]uint64{fieldSourceStates: 1 << 20}), WithMaxMemory(1<<19)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("beyond the budget of an option: %v", err)
	}
}

func TestLimitsAreOptions(t *testing.T) {
	data := build(tiny(), nil, nil)
	for name, option := range map[string]Option{
		"bytes": WithMaxBytes(len(data) - 1), "memory": WithMaxMemory(10), "inputs": WithMaxInputs(0), "states": WithMaxStates(0), "outputs": WithMaxOutputs(0),
		"nonzeros": WithMaxNonzeros(2), "operations": WithMaxOperations(2), "negative": WithMaxInputs(-1),
	} {
		if _, err := Open(data, option); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	exact := []Option{WithMaxBytes(len(data)), WithMaxInputs(1), WithMaxStates(1), WithMaxOutputs(1), WithMaxNonzeros(3), WithMaxOperations(3), WithMaxTables(0), WithMaxSelfTests(0)}
	if _, err := Open(data, exact...); err != nil {
		t.Errorf("exactly within the limits: %v", err)
	}

	// A loop of two states that never rests, with many more that have no weights: few multiply-accumulates,
	// much work.
	m := looped()
	m.Schedule[0].Sweeps = 1 << 20
	if _, err := Open(build(m, nil, nil), WithMaxOperations(m.MACs())); err != nil {
		t.Errorf("within the limit: %v", err)
	}
	m.Weights.Data, m.Weights.Indices, m.Weights.Indptr = nil, nil, make([]int32, 6)
	if _, err := Open(build(m, nil, nil), WithMaxOperations(1<<20)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%d sweeps over states without weights: %v", m.Schedule[0].Sweeps, err)
	}
}
