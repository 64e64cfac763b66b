package dataset

import (
	"fmt"
	"math"
)

// ClassWeighting is a rule by which samples of rare classes weigh more in a loss.
type ClassWeighting string

// The rules, for m samples of which m_c are of class c. Before normalisation a sample of class c weighs
// 1, 1/m_c (all classes together weigh the same) or 1/√m_c (half way, on a logarithmic scale).
const (
	Unweighted ClassWeighting = "none"
	Balanced   ClassWeighting = "balanced"
	SquareRoot ClassWeighting = "sqrt"
)

// ClassWeights returns what a sample of each class weighs: one positive number per class, scaled so that
// their mean over the samples is 1 (balanced: m/(k·m_c) for k classes that have samples). A class without
// samples gets 1. The empty rule is Unweighted.
//
// Errors: a rule that is not known wraps ErrMissing, a label outside [0, classes) ErrMalformed.
func ClassWeights(labels []int32, classes int, rule ClassWeighting) ([]float64, error) {
	counts := make([]int, classes)
	for k, label := range labels {
		if label < 0 || int(label) >= classes {
			return nil, fmt.Errorf("label %d (counted from 0) is %d; labels are classes 0 to %d: %w", k, label, classes-1, ErrMalformed)
		}
		counts[label]++
	}
	weights, total := make([]float64, classes), 0.0
	for c, count := range counts {
		switch rule {
		case Unweighted, "":
			weights[c] = 1
		case Balanced:
			weights[c] = 1 / float64(max(count, 1))
		case SquareRoot:
			weights[c] = 1 / math.Sqrt(float64(max(count, 1)))
		default:
			return nil, fmt.Errorf("class weights %q are not known, take %s, %s or %s: %w", rule, Unweighted, Balanced, SquareRoot, ErrMissing)
		}
		total += float64(weights[c] * float64(count))
	}
	for c, count := range counts {
		if count == 0 {
			weights[c] = 1
			continue
		}
		weights[c] *= float64(len(labels)) / total
	}
	return weights, nil
}
