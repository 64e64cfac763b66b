// Package trainer fits sparse implicit models to trained networks by state-driven implicit modelling
// (SIM; Tsai, Decugis, El Ghaoui, Atamtürk, arXiv 2209.09389): the network is run on samples, and every
// row of
//
//	x = φ(A x + B u + b)
//	y = C x + D u + d
//
// becomes a convex problem of its own that finds few weights reproducing the network's states. What is left
// after that is trained through the equilibrium, with Options.Epochs above 0.
//
// It promises that the same source, options and seed give the same model, whatever GOMAXPROCS is, that
// each row problem carries a certified duality gap (Report.GapMax), and that the model is well posed:
// A has no cycle, or each row's entries within its cycles keep Σ|a| ≤ κ < 1. It must not know how a model is
// compiled or run, nor look at test data.
//
// # What Fit does
//
// States are rescaled by powers of two (undone where they are read). One pass over the samples gathers
// second moments. The row problems are solved along a path of falling penalties until several times
// the wanted nonzeros are in use. Weights are then removed one by one, the others of their row refitted
// each time, always the one whose removal costs least at the output. The survivors are refitted by least
// squares, rank by rank, on the states that the sparse model itself has.
//
// Where the second moments of all states and inputs would be too large (Options.GramBytes), rows are solved
// over candidates and certified over all of them in further passes. A source may stream: what is kept of
// the samples does not grow with their number, but a NetworkSource and a StatesSource hold theirs in memory.
//
// Fine-tuning starts from some three times the wanted nonzeros. It follows the labels and the teachers'
// outputs (distillation) by Adam, in reverse order of computation or, in loops, by the adjoint fixed point,
// while the weights with the smallest |w|·√(mean g²) leave; rows in loops are projected onto their ball.
// Weights of 5 or 4 bits are rounded in the last part of it, straight-through. On small sets a held-out part
// first decides between following labels and teacher, the teacher alone, and leaving the convex fit as it is.
//
// A size or a drop as the goal is a search over numbers of nonzeros; a drop is judged on a validation part
// that nothing is fitted to.
package trainer
