// Package trainer fits sparse implicit models to trained networks by state-driven implicit modelling
// (SIM; Tsai, Decugis, El Ghaoui, Atamtürk, arXiv 2209.09389): the network is run on samples, and every
// row of
//
//	x = φ(A x + B u + b)
//	y = C x + D u + d
//
// becomes a convex problem of its own that finds few weights reproducing the network's states. No
// gradient is taken through the model.
//
// It promises that the same source, options and seed give the same model, whatever GOMAXPROCS is, that
// each row problem carries a certified duality gap (Report.GapMax), and that the model is well posed:
// A has no cycle, or ‖A‖∞ ≤ κ < 1. It must not know how a model is compiled or run, nor look at test
// data.
//
// # What Fit does
//
// States are rescaled by powers of two (undone where they are read). One pass over the samples gathers
// second moments. The row problems are solved along a path of falling penalties until several times
// the wanted nonzeros are in use. Weights are then removed one by one, the others of their row refitted
// each time, always the one whose removal costs least at the output. The survivors are refitted by least
// squares, rank by rank, on the states that the sparse model itself has.
package trainer
