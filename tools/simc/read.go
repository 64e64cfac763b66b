package main

import (
	"fmt"
	"strings"

	"github.com/sparse-implicit/sim/trainer/dataset"
)

// mostNamed is how many classes are named one by one.
const mostNamed = 12

// noteRead tells how a set was understood: a slip in a label makes another class, whole numbers make classes.
func (e *env) noteRead(set *dataset.Set) {
	what := fmt.Sprintf("%d targets (a regression)", set.Outputs)
	if !set.Regression() {
		what = fmt.Sprintf("%d classes", set.Classes)
		if names := set.ClassNames; len(names) > 0 && len(names) <= mostNamed {
			var numbered []string
			for c, name := range names {
				numbered = append(numbered, fmt.Sprintf("%d %s", c, name))
			}
			what += ": " + strings.Join(numbered, ", ")
		}
	}
	e.note("%s: %d + %d samples (training, test), %d inputs, %s", set.Name, set.Train.Samples, set.Test.Samples, set.Features, what)
	if set.Classes > set.Train.Samples/10 {
		e.note("note: there are %d classes for %d samples; --task regression takes the labels as numbers", set.Classes, set.Train.Samples)
	}
}
