package trainer

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/trainer/teacher"
)

const (
	batchSamples = 1024
	// keepBytes is up to how much memory a NetworkSource keeps states in; beyond it they are computed
	// again at every pass.
	keepBytes = 192 << 20
	// sensitivityDraws is how many gradients ω is estimated from: its relative error is then about 1 %.
	sensitivityDraws = 10_000
)

// NetworkSource runs a network on samples: the hidden layers' units are the states, a layer's index is
// their rank.
type NetworkSource struct {
	network *teacher.Network
	shape   Shape
	inputs  []float32
	kept    []*Batch // filled by the first pass when it is small enough
}

// NewNetworkSource returns the source for a network and samples of its inputs (sample-major, samples ×
// network.Inputs), which it keeps. Errors, which wrap ErrStates or teacher.ErrNetwork: an invalid
// network, a length that is no multiple of the inputs, an input that is not finite (by sample and
// feature).
func NewNetworkSource(network *teacher.Network, samples []float32) (*NetworkSource, error) {
	if err := network.Validate(); err != nil {
		return nil, err
	}
	p := network.Inputs
	if p <= 0 || len(samples)%p != 0 {
		return nil, fmt.Errorf("%d numbers are no samples of %d inputs: %w", len(samples), p, ErrStates)
	}
	for k, v := range samples {
		if !isFinite(v) {
			return nil, fmt.Errorf("feature %d of sample %d is %g, every number must be finite: %w", k%p, k/p, v, ErrStates)
		}
	}
	s := &NetworkSource{network: network, inputs: samples}
	s.shape = Shape{Inputs: p, Outputs: network.Outputs(), Samples: len(samples) / p, Ranks: []int{}}
	for rank, l := range network.Layers[:len(network.Layers)-1] {
		for range l.Out {
			s.shape.Activations = append(s.shape.Activations, l.Activation)
			s.shape.Ranks = append(s.shape.Ranks, rank)
		}
	}
	return s, nil
}

// Shape implements Source.
func (s *NetworkSource) Shape() *Shape { return &s.shape }

// Batches implements Source.
func (s *NetworkSource) Batches(ctx context.Context, visit func(*Batch) error) error {
	if s.kept != nil {
		for _, b := range s.kept {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := visit(b); err != nil {
				return err
			}
		}
		return nil
	}
	keep := 4*s.shape.Samples*(2*s.shape.States()+s.shape.Outputs) <= keepBytes
	var kept []*Batch
	for first := 0; first < s.shape.Samples; first += batchSamples {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := s.batch(first, min(batchSamples, s.shape.Samples-first))
		if err != nil {
			return err
		}
		if err := visit(b); err != nil {
			return err
		}
		if keep {
			kept = append(kept, b)
		}
	}
	s.kept = kept
	return nil
}

// batch runs the network on some samples.
func (s *NetworkSource) batch(first, samples int) (*Batch, error) {
	n, p := s.shape.States(), s.shape.Inputs
	b := &Batch{First: first, Samples: samples, U: s.inputs[first*p : (first+samples)*p]}
	b.Z, b.X = make([]float32, samples*n), make([]float32, samples*n)
	offset := 0
	b.Y = s.network.Forward32(b.U, samples, func(layer int, z, x []float32) {
		if layer == len(s.network.Layers)-1 {
			return
		}
		width := s.network.Layers[layer].Out
		for k := range samples {
			copy(b.Z[k*n+offset:], z[k*width:(k+1)*width])
			copy(b.X[k*n+offset:], x[k*width:(k+1)*width])
		}
		offset += width
	})
	for k, v := range b.Z {
		if !isFinite(v) {
			return nil, fmt.Errorf("state %d of sample %d is %g: the network overflows on its inputs: %w", k%n, first+k/n, v, ErrStates)
		}
	}
	for k, v := range b.Y {
		if q := s.shape.Outputs; !isFinite(v) {
			return nil, fmt.Errorf("output %d of sample %d is %g: the network overflows on its inputs: %w", k%q, first+k/q, v, ErrStates)
		}
	}
	return b, nil
}

// Sensitivity implements Source by back-propagation through the network, on samples spread over all.
func (s *NetworkSource) Sensitivity(ctx context.Context, task Task, seed uint64) (states, outputs []float64, err error) {
	n, q := s.shape.States(), s.shape.Outputs
	sum := make([]float64, n+q)
	random := rand.New(rand.NewPCG(seed, 0x5e51))
	use := min(s.shape.Samples, sensitivityDraws)
	repeats := sensitivityDraws / use
	for first := 0; first < use; first += batchSamples {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		count := min(batchSamples, use-first)
		b, err := s.spread(first, count, use)
		if err != nil {
			return nil, nil, err
		}
		for range repeats {
			s.backward(b, seeds(task, b.Y, q, random), sum)
		}
	}
	for i, v := range sum {
		sum[i] = math.Sqrt(v / float64(use*repeats))
	}
	if task == Regression {
		for k := range q {
			sum[n+k] = 1 // ‖∂y/∂y_k‖
		}
	}
	return sum[:n], sum[n:], nil
}

// spread runs the network on samples first … first+count−1 of `use` samples spread evenly over all.
func (s *NetworkSource) spread(first, count, use int) (*Batch, error) {
	p := s.shape.Inputs
	chosen := &NetworkSource{network: s.network, shape: s.shape, inputs: make([]float32, 0, count*p)}
	for k := first; k < first+count; k++ {
		from := k * s.shape.Samples / use
		chosen.inputs = append(chosen.inputs, s.inputs[from*p:(from+1)*p]...)
	}
	return chosen.batch(0, count)
}

// seeds returns one random gradient at the outputs per sample. Classification: that of log p_y, y
// drawn from the softmax of the outputs. Regression: random signs v, for which the mean square of
// (vᵀ ∂y/∂z_i) is ‖∂y/∂z_i‖².
func seeds(task Task, y []float32, q int, random *rand.Rand) []float32 {
	g := make([]float32, len(y))
	p := make([]float64, q)
	for s := 0; s < len(y); s += q {
		if task == Regression {
			for k := range q {
				g[s+k] = float32(1 - 2*random.IntN(2))
			}
			continue
		}
		softmax(y[s:s+q], p)
		drawn, left := q-1, random.Float64()
		for k, v := range p {
			if left -= v; left < 0 {
				drawn = k
				break
			}
		}
		for k, v := range p {
			g[s+k] = -float32(v)
		}
		g[s+drawn]++
	}
	return g
}

func softmax(y []float32, p []float64) {
	largest := y[0]
	for _, v := range y {
		largest = max(largest, v)
	}
	sum := 0.0
	for k, v := range y {
		p[k] = model.Exp(float64(v) - float64(largest))
		sum += p[k]
	}
	for k := range p {
		p[k] /= sum
	}
}

// backward takes gradients at the outputs back through the layers and adds their squares to sum
// (states, then outputs).
func (s *NetworkSource) backward(b *Batch, g []float32, sum []float64) {
	n, q := s.shape.States(), s.shape.Outputs
	for k, v := range g {
		sum[n+k%q] += float64(v) * float64(v)
	}
	offset := n
	for l := len(s.network.Layers) - 1; l > 0; l-- {
		layer := s.network.Layers[l]
		offset -= layer.In
		next := make([]float32, b.Samples*layer.In)
		blas32.Gemm(blas.NoTrans, blas.NoTrans, 1,
			blas32.General{Rows: b.Samples, Cols: layer.Out, Stride: layer.Out, Data: g},
			blas32.General{Rows: layer.Out, Cols: layer.In, Stride: layer.In, Data: layer.W},
			0, blas32.General{Rows: b.Samples, Cols: layer.In, Stride: layer.In, Data: next})
		act := s.network.Layers[l-1].Activation
		for k := range b.Samples {
			for i := range layer.In {
				v := next[k*layer.In+i] * slope(act, b.Z[k*n+offset+i], b.X[k*n+offset+i])
				next[k*layer.In+i] = v
				sum[offset+i] += float64(v) * float64(v)
			}
		}
		g = next
	}
}

// slope returns φ'(z), x = φ(z).
func slope(a model.Activation, z, x float32) float32 {
	inside := true
	switch a.Kind {
	case model.Tanh:
		return 1 - x*x
	case model.Sigmoid:
		return x * (1 - x)
	case model.ReLU:
		inside = z > 0
	case model.ClippedReLU, model.HardTanh:
		inside = z > a.P0 && z < a.P1
	case model.LeakyReLU:
		if z < 0 {
			return a.P0
		}
	}
	if inside {
		return 1
	}
	return 0
}

// contractiveScales implements contractive: t_i ≥ Σ_j |W_ij| t_j / κ, layer by layer.
func (s *NetworkSource) contractiveScales(scales []float64, kappa float64) []float64 {
	out := append([]float64(nil), scales...)
	offset := 0
	for l := 1; l < len(s.network.Layers)-1; l++ {
		layer, previous := s.network.Layers[l], offset
		offset += layer.In
		for i := range layer.Out {
			sum := 0.0
			for j, w := range layer.W[i*layer.In : (i+1)*layer.In] {
				sum += math.Abs(float64(w)) * out[previous+j]
			}
			if layer.Activation.Kind.Homogeneous() {
				out[offset+i] = powerOfTwoAbove(max(out[offset+i], sum/kappa))
			}
		}
	}
	return out
}
