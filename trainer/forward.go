package trainer

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/sparse-implicit/sim/format/model"
)

const (
	settleTolerance = 1e-6 // relative change of a sweep at which a loop counts as settled
	settleSweeps    = 5_000
	chunkSamples    = 64 // samples that a worker takes at a time
)

// parallel runs task(0) … task(n−1) on GOMAXPROCS goroutines. Tasks must not depend on each other.
func parallel(n int, task func(i int)) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				task(i)
			}
		})
	}
	wait.Wait()
}

// evaluator computes the states of a draft in float64 from inputs.
type evaluator struct {
	f      *fitter
	groups [][]step // the draft's live state rows, in the order of computation
	loops  bool     // groups must be iterated
}

// step is one state's row, split by what it reads.
type step struct {
	state                  int
	bias                   float64
	own                    float64 // coefficient of the state itself
	fromInputs, fromStates term    // inputs and other states
	activation             model.Activation
}

type term struct {
	index []int32
	coef  []float64
}

func (t *term) dot(sum float64, x []float32) float64 {
	for k, j := range t.index {
		sum += t.coef[k] * float64(x[j])
	}
	return sum
}

// evaluate prepares the first groups of rowsFrom (all of them except outputs at most) of a draft.
func (f *fitter) evaluate(d *draft, groups int) *evaluator {
	n := f.states()
	e := &evaluator{f: f, loops: f.options.Structure == Free}
	alive := f.reached(d)
	for _, group := range f.rowsFrom[:min(groups, len(f.rowsFrom)-1)] {
		var steps []step
		for _, i := range group {
			if alive[i] {
				s := step{state: i, bias: d.rows[i].bias, activation: f.activations[i]}
				s.fromStates, s.fromInputs, s.own = d.rows[i].split(n, i)
				steps = append(steps, s)
			}
		}
		e.groups = append(e.groups, steps)
	}
	return e
}

// split returns the terms of row i that read other states and those that read inputs (numbered from 0),
// and the coefficient of state i itself.
func (r *row) split(n, i int) (states, inputs term, own float64) {
	for k, j := range r.support {
		if int(j) == i {
			own = r.coef[k]
		} else if int(j) < n {
			states.index, states.coef = append(states.index, j), append(states.coef, r.coef[k])
		} else {
			inputs.index, inputs.coef = append(inputs.index, j-int32(n)), append(inputs.coef, r.coef[k])
		}
	}
	return states, inputs, own
}

// run fills x (samples × n, zero where a state is not live) with the states for samples rows of u.
func (e *evaluator) run(u []float32, samples int, x []float32) {
	n, p := e.f.states(), e.f.shape.Inputs
	clear(x[:samples*n])
	parallel((samples+chunkSamples-1)/chunkSamples, func(chunk int) {
		base := make([]float64, n)
		for s := chunk * chunkSamples; s < min((chunk+1)*chunkSamples, samples); s++ {
			e.sample(u[s*p:(s+1)*p], x[s*n:(s+1)*n], base)
		}
	})
}

// sample computes one sample's states; base is scratch.
func (e *evaluator) sample(u, x []float32, base []float64) {
	for _, steps := range e.groups {
		for k := range steps {
			s := &steps[k]
			base[s.state] = s.fromInputs.dot(s.bias, u)
			if !e.loops {
				x[s.state] = float32(s.activation.Apply(s.fromStates.dot(base[s.state], x)))
			}
		}
		if e.loops {
			settle(steps, base, x)
		}
	}
}

// settle iterates states that may read each other, from zero, each from the newest values of the
// others. ‖A‖∞ < 1 makes it converge; it stops at float32's resolution or after settleSweeps.
func settle(steps []step, base []float64, x []float32) {
	for range settleSweeps {
		change, largest := 0.0, 0.0
		for k := range steps {
			s := &steps[k]
			value := s.solve(s.fromStates.dot(base[s.state], x), float64(x[s.state]))
			change = max(change, value-float64(x[s.state]), float64(x[s.state])-value)
			largest = max(largest, value, -value)
			x[s.state] = float32(value)
		}
		if change <= settleTolerance*largest {
			return
		}
	}
}

// solve returns x = φ(z + own·x), |own| < 1, where that has a closed form, and otherwise one step
// towards it from x. Self-loops close to 1 are what makes plain sweeps slow.
func (s *step) solve(z, x float64) float64 {
	switch s.activation.Kind {
	case model.Tanh, model.Sigmoid:
		return s.activation.Apply(z + float64(s.own*x))
	case model.LeakyReLU:
		if slope := float64(s.activation.P0); z < 0 {
			return slope * z / (1 - float64(slope*s.own))
		}
	}
	return s.activation.Apply(z / (1 - s.own))
}

// resized returns v with a length of n, newly allocated when it is too small.
func resized(v []float32, n int) []float32 {
	if cap(v) < n {
		return make([]float32, n)
	}
	return v[:n]
}
