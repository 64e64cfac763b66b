// Package house holds the rules of the repository as tests: who may import whom, and that an
// application outside of it can link the runtime without the rest. It exports nothing.
package house
