package main

import (
	"fmt"

	"github.com/sparse-implicit/sim/trainer"
	"github.com/sparse-implicit/sim/trainer/dataset"
)

// wildRange is how many times as wide as the middle of its samples an input's box may be before fit says
// so; wildPercent at either end are not the middle.
const (
	wildRange   = 16
	wildPercent = 1
	wildSamples = 4000 // looked at
)

// boxed returns a set within the box that the flags declare: its inputs are seen as the device will see
// them.
func (f *fitFlags) boxed(e *env, set *dataset.Set) (*dataset.Set, error) {
	switch {
	case f.box != "":
		lo, hi, err := loadBox(f.box, set.Features)
		if err != nil {
			return nil, err
		}
		return set.Within(lo, hi), nil
	case f.boxPercent != 0:
		lo, hi, err := dataset.PercentileBox(set.Train.X, set.Features, f.boxPercent)
		if err != nil {
			return nil, usageError{err}
		}
		return set.Within(lo, hi), nil
	}
	if e.quiet {
		return set, nil
	}
	return set, e.noteWild(set)
}

// boxStates does the same for states.
func (f *fitFlags) boxStates(source *trainer.StatesSource, o *trainer.Options) (err error) {
	switch {
	case f.box != "":
		o.InputLo, o.InputHi, err = loadBox(f.box, source.Shape().Inputs)
	case f.boxPercent != 0:
		if o.InputLo, o.InputHi, err = source.Box(f.boxPercent); err != nil {
			err = usageError{err}
		}
	default:
		return nil
	}
	if err == nil {
		source.Clip(o.InputLo, o.InputHi)
	}
	return err
}

// noteWild tells of inputs whose box a few readings widen so much that the others lose resolution.
func (e *env) noteWild(set *dataset.Set) error {
	p, step := set.Features, (set.Train.Samples+wildSamples-1)/wildSamples
	var some []float32
	for s := 0; s < set.Train.Samples; s += step {
		some = append(some, set.Train.X[s*p:(s+1)*p]...)
	}
	lo, hi, err := dataset.PercentileBox(some, p, wildPercent)
	if err != nil {
		return err
	}
	wild, worst, most := 0, 0, 0.0
	for j := range p {
		middle := float64(hi[j]) - float64(lo[j])
		ratio := (float64(set.Hi[j]) - float64(set.Lo[j])) / middle
		if natural := set.Lo[j] == 0 && set.Hi[j] == 1; natural || middle == 0 || ratio < wildRange {
			continue
		}
		wild++
		if ratio > most {
			worst, most = j, ratio
		}
	}
	if wild == 0 {
		return nil
	}
	inputs := fmt.Sprintf("input %d (counted from 0)", worst)
	if wild > 1 {
		inputs = fmt.Sprintf("%d inputs, most of all input %d (counted from 0)", wild, worst)
	}
	percent := 0.1
	if set.Train.Samples < 5000 {
		percent = 1
	}
	e.note("note: a few readings widen the box of %s %.0f times; --box-percentile %g would clip these and keep the resolution of the others", inputs, most, percent)
	return nil
}
