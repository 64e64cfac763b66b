package dataset

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// Split divides the training part: the returned set has a fraction of it as Test, for selection and
// early stopping, and the rest as Train. The set's own test part is not in it. In a classification
// every class is divided alike (rounded to nearest, one sample at least staying on each side of a class
// of two or more). The same seed gives the same parts; samples keep their order. Names, box and hash
// stay those of the whole set.
//
// Errors wrap ErrMalformed: a fraction not inside (0, 1), a side without samples.
func (s *Set) Split(fraction float64, seed uint64) (*Set, error) {
	if !(fraction > 0 && fraction < 1) {
		return nil, fmt.Errorf("a fraction of %g of the training part cannot be split off, take one inside (0, 1): %w", fraction, ErrMalformed)
	}
	groups := [][]int{make([]int, 0, s.Train.Samples)}
	if s.Train.Labels != nil {
		groups = make([][]int, s.Classes)
	}
	for k := range s.Train.Samples {
		group := 0
		if s.Train.Labels != nil {
			group = int(s.Train.Labels[k])
		}
		groups[group] = append(groups[group], k)
	}
	var rest, held []int
	random := rand.NewPCG(seed, 0x73706c6974)
	for _, group := range groups {
		shuffle(random, group)
		count := int(math.Floor(float64(fraction*float64(len(group))) + 0.5))
		if len(group) >= 2 {
			count = min(max(count, 1), len(group)-1)
		}
		held = append(held, group[:count]...)
		rest = append(rest, group[count:]...)
	}
	if len(held) == 0 || len(rest) == 0 {
		return nil, fmt.Errorf("the training part has %d samples, too few to split off %g of them: %w", s.Train.Samples, fraction, ErrMalformed)
	}
	slices.Sort(held)
	slices.Sort(rest)
	divided := *s
	divided.Train, divided.Test = s.take(s.Train, rest), s.take(s.Train, held)
	return &divided, nil
}

// take copies some samples of a part.
func (s *Set) take(part Part, samples []int) Part {
	taken := Part{Samples: len(samples), X: make([]float32, 0, len(samples)*s.Features)}
	for _, k := range samples {
		taken.X = append(taken.X, part.X[k*s.Features:(k+1)*s.Features]...)
		if part.Labels != nil {
			taken.Labels = append(taken.Labels, part.Labels[k])
		}
		if part.Targets != nil {
			width := len(part.Targets) / part.Samples
			taken.Targets = append(taken.Targets, part.Targets[k*width:(k+1)*width]...)
		}
	}
	return taken
}

// shuffle is the Fisher-Yates shuffle, with a draw of its own so that the order can never depend on a
// library's version.
func shuffle(random *rand.PCG, items []int) {
	for last := len(items) - 1; last > 0; last-- {
		high, _ := bits.Mul64(random.Uint64(), uint64(last+1))
		items[last], items[high] = items[high], items[last]
	}
}
