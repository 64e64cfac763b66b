package pass

import (
	"errors"
	"fmt"
	"math"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/sparse"
)

// errSamples says that the float model has no finite answer to a sample.
var errSamples = errors.New("a sample has no finite answer")

// How much work samples may be: multiply-accumulates of one run over all of them, and numbers that are
// kept of them. Fewer than leastSamples say nothing.
const (
	mostSampleWork    = 1 << 26
	mostSampleNumbers = 1 << 23
	leastSamples      = 64
)

// Reference is what the float model does on samples of its inputs: what rounding, promotion and the choice
// of the width are measured against. It does not change once it is made.
type Reference struct {
	count  int
	inputs []float32   // sample-major, by source input
	sums   [][]float64 // arguments of φ by source state, then outputs, each over the samples

	influence []float64 // by plan row, made when first asked for
}

// Observe runs the float model on samples (sample-major, of the model's inputs), by the reference solver.
// Of more samples than the work allows it takes some, evenly spread; of too few, or where one has no
// finite answer, it returns nil: then there is no reference.
func Observe(m *model.Model, samples []float32) *Reference {
	p := m.Inputs()
	if p == 0 || len(samples) < p {
		return nil
	}
	solver, err := model.NewSolver(m)
	if err != nil {
		return nil
	}
	total := len(samples) / p
	o := observer{m, solver, make([]float64, p), make([]float64, m.States()), make([]float64, m.Outputs())}
	if o.solve(samples[:p]) != nil {
		return nil
	}
	work := (m.NNZ().Total() + 1) * (1 + 4*solver.Sweeps())
	use := min(total, mostSampleWork/work, mostSampleNumbers/(p+m.States()+m.Outputs()))
	if use < min(leastSamples, total) {
		return nil
	}
	r := &Reference{count: use, inputs: make([]float32, 0, use*p), sums: make([][]float64, m.States()+m.Outputs())}
	for i := range r.sums {
		r.sums[i] = make([]float64, use)
	}
	for k := range use {
		s := k * total / use
		if o.solve(samples[s*p:(s+1)*p]) != nil {
			return nil
		}
		r.inputs = append(r.inputs, samples[s*p:(s+1)*p]...)
		o.keep(r, k)
	}
	return r
}

// Count returns the number of samples, 0 of nil.
func (r *Reference) Count() int {
	if r == nil {
		return 0
	}
	return r.count
}

// observer solves one sample after the other.
type observer struct {
	m       *model.Model
	solver  *model.Solver
	u, x, y []float64
}

func (o *observer) solve(sample []float32) error {
	for j, v := range sample {
		o.u[j] = float64(v)
	}
	if err := o.solver.Solve(o.u, o.x, o.y); err != nil {
		return err
	}
	for k, v := range o.y {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("output %d is %g: %w", k, v, errSamples)
		}
	}
	return nil
}

// keep stores the sums of the sample solved last.
func (o *observer) keep(r *Reference, k int) {
	n := o.m.States()
	for i := range n {
		r.sums[i][k] = dotRow(dotRow(float64(o.m.StateBias[i]), o.m.B, i, o.u), o.m.A, i, o.x)
	}
	for i, v := range o.y {
		r.sums[n+i][k] = v
	}
}

// dotRow returns sum + row i of w times v, unfused.
func dotRow(sum float64, w *sparse.Matrix[float32], i int, v []float64) float64 {
	cols, values := w.Row(i)
	for k, j := range cols {
		sum += float64(float64(values[k]) * v[j])
	}
	return sum
}

// sumsOf returns what the argument of row i of the plan is on every sample, for outputs their value.
func (p *Program) sumsOf(i int) []float64 {
	if i < p.states() {
		return p.Reference.sums[p.States[i]]
	}
	return p.Reference.sums[p.Source.States()+i-p.states()]
}

// BoxSamples draws samples of an input box, sample-major: points spread evenly at random, every fourth
// a corner. The generator is SplitMix64 from a fixed seed, so that a box has one set of samples.
func BoxSamples(lo, hi []float32, count int) []float32 {
	generator := splitMix(1)
	samples := make([]float32, 0, count*len(lo))
	for s := range count {
		for j := range lo {
			share := generator.share()
			if s%4 == 3 {
				share = math.Floor(share + 0.5)
			}
			v := float64(lo[j]) + float64(share*(float64(hi[j])-float64(lo[j])))
			samples = append(samples, min(max(float32(v), lo[j]), hi[j]))
		}
	}
	return samples
}

// splitMix is SplitMix64 (Steele, Lea, Flood 2014).
type splitMix uint64

func (s *splitMix) next() uint64 {
	*s += 0x9E3779B97F4A7C15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// share returns a number in [0, 1).
func (s *splitMix) share() float64 { return float64(s.next()>>11) * 0x1p-53 }
