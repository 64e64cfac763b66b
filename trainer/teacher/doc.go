// Package teacher holds the float networks that sparse models are fitted to: training a small
// multilayer perceptron, reading a network from ONNX, evaluating it on many samples, and turning it
// into an implicit model exactly.
//
// It promises that a conversion is exact up to the rounding of folded constants to float32 (Convert),
// that what it cannot convert is refused by the name of the node, and that training and evaluation
// give the same numbers for the same seed whatever GOMAXPROCS is. It must not know how a sparse model
// is fitted, compiled or run.
package teacher
