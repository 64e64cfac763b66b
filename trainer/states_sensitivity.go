package trainer

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/sparse-implicit/sim/trainer/internal/refine"
	"github.com/sparse-implicit/sim/trainer/internal/rowsolve"
)

// How ω is found where only states are known.
const (
	surrogateFeatures = 3_000 // n + p beyond which dense least squares are not worth their time: ω is 1
	surrogateRidge    = 1e-6  // of the dense rows, relative to each weight's second moment
	surrogateSamples  = 2_000 // at most, that gradients are taken at: ω is then known to about 2 %
	surrogateWork     = 1 << 28
	surrogateSweeps   = 500
)

// surrogate is a dense affine model of a teacher's rows: z ≈ Ax + Bu + b, y ≈ Cx + Du + d. Only A and C are
// kept, by column, which is how gradients read them.
type surrogate struct {
	n, q       int
	fromStates [][]float64 // per state: ∂z_i/∂x_j for every i
	outputs    [][]float64 // per state: ∂y_k/∂x_j for every k
}

// Sensitivity implements Source. The teacher is not known, but its equations are affine between states:
// dense least squares recover them where the samples tell all weights apart (they do exactly for a
// network whose units these are), and the gradient is taken through their equilibrium. Nothing is
// returned where that does not settle, or where there are more than 3,000 states and inputs.
func (s *StatesSource) Sensitivity(ctx context.Context, task Task, seed uint64) (states, outputs []float64, err error) {
	n, q := s.shape.States(), s.shape.Outputs
	if n == 0 || n+s.shape.Inputs > surrogateFeatures {
		return nil, nil, nil
	}
	gram := rowsolve.NewGram(n+s.shape.Inputs, n+q)
	buffer := newSampleBuffer(gram.Features(), gram.Targets())
	err = s.Batches(ctx, func(b *Batch) error {
		for k := range b.Samples {
			features, targets := buffer.next()
			copy(features, b.X[k*n:(k+1)*n])
			copy(features[n:], b.U[k*s.shape.Inputs:(k+1)*s.shape.Inputs])
			copy(targets, b.Z[k*n:(k+1)*n])
			copy(targets[n:], b.Y[k*q:(k+1)*q])
		}
		buffer.flush(gram)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	var gain []float64
	if task == Regression {
		for _, std := range gram.TargetStd()[n:] {
			if std > 0 {
				std = 1 / std
			}
			gain = append(gain, std)
		}
	}
	sum, settled, err := s.gradients(ctx, s.surrogate(gram), gain, seed)
	if err != nil || !settled {
		return nil, nil, err
	}
	copy(sum[n:], gain)
	return sum[:n], sum[n:], nil
}

// surrogate fits the dense rows: each on states of smaller rank where ranks are known, else on all states,
// and on all inputs.
func (s *StatesSource) surrogate(gram *rowsolve.Gram) *surrogate {
	n, q := s.shape.States(), s.shape.Outputs
	d := &surrogate{n: n, q: q, fromStates: make([][]float64, n), outputs: make([][]float64, n)}
	for j := range n {
		d.fromStates[j], d.outputs[j] = make([]float64, n), make([]float64, q)
	}
	structure := Free
	if s.shape.Ranks != nil {
		structure = Causal
	}
	moments := refine.FromGram(gram, true)
	var below []int32
	for _, group := range rowOrder(&s.shape, structure) {
		support := below
		if structure == Free {
			support = firstNumbers(n)
		}
		support = moments.Varying(append(append([]int32(nil), support...), firstNumbers(n + s.shape.Inputs)[n:]...))
		for k, coef := range moments.LeastSquaresOf(group, support, surrogateRidge) {
			for a, j := range support {
				switch i := group[k]; {
				case int(j) >= n:
				case i < n:
					d.fromStates[j][i] = coef[a]
				default:
					d.outputs[j][i-n] = coef[a]
				}
			}
		}
		for _, i := range group {
			if i < n {
				below = append(below, int32(i))
			}
		}
	}
	return d
}

// firstNumbers returns 0 … n−1.
func firstNumbers(n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(i)
	}
	return list
}

// gradients returns the root mean square of random gradients at the pre-activations and outputs of
// samples spread over all, and whether all of them settled.
func (s *StatesSource) gradients(ctx context.Context, d *surrogate, gain []float64, seed uint64) (sum []float64, settled bool, err error) {
	n, q := d.n, d.q
	use := min(s.shape.Samples, max(200, min(surrogateSamples, surrogateWork/(n*n))))
	at := func(k int) int { return k * s.shape.Samples / use }
	y := make([]float32, 0, use*q)
	for k := range use {
		y = append(y, s.y[at(k)*q:(at(k)+1)*q]...)
	}
	g := outputGradients(y, q, gain, rand.New(rand.NewPCG(seed, 0x5e51)))
	// Every chunk has a sum of its own; adding these in order makes the result independent of the cores.
	chunks := (use + chunkSamples - 1) / chunkSamples
	parts, well := make([][]float64, chunks), make([]bool, chunks)
	parallel(chunks, func(chunk int) {
		parts[chunk], well[chunk] = make([]float64, n+q), ctx.Err() == nil
		for k := chunk * chunkSamples; k < min((chunk+1)*chunkSamples, use) && well[chunk]; k++ {
			well[chunk] = d.add(g[k*q:(k+1)*q], s.slopes(at(k)), parts[chunk])
		}
	})
	sum, settled = make([]float64, n+q), true
	for chunk, part := range parts {
		settled = settled && well[chunk]
		for i, v := range part {
			sum[i] += v
		}
	}
	for i, v := range sum {
		sum[i] = math.Sqrt(v / float64(use))
	}
	return sum, settled, ctx.Err()
}

// slopes returns φ'(z) of every state at one sample.
func (s *StatesSource) slopes(sample int) []float64 {
	n := s.shape.States()
	list := make([]float64, n)
	for i, a := range s.shape.Activations {
		list[i] = float64(slope(a, s.z[sample*n+i], s.x[sample*n+i]))
	}
	return list
}

// add adds the squares of the gradients that belong to g at the outputs: v = φ'·(Cᵀg + Aᵀv), iterated. It
// reports whether that settled.
func (d *surrogate) add(g []float32, slopes, sum []float64) bool {
	for k, v := range g {
		sum[d.n+k] += float64(v) * float64(v)
	}
	drive, v, next := make([]float64, d.n), make([]float64, d.n), make([]float64, d.n)
	size := 0.0
	for j, column := range d.outputs {
		for k, c := range column {
			drive[j] += float64(c * float64(g[k]))
		}
		size = max(size, math.Abs(drive[j]))
	}
	for range surrogateSweeps {
		moved := 0.0
		for j, column := range d.fromStates {
			total := drive[j]
			for i, a := range column {
				total += float64(a * v[i])
			}
			next[j] = slopes[j] * total
			moved = max(moved, math.Abs(next[j]-v[j]))
		}
		v, next = next, v
		if moved <= 1e-6*size {
			for i, vi := range v {
				sum[i] += float64(vi * vi)
			}
			return true
		}
		if !(moved < 1e9*size) {
			return false
		}
	}
	return false
}
