package trainer

import (
	"context"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/sparse-implicit/sim/trainer/teacher"
)

// NetworkSource runs a network on samples: the hidden layers' units are the states, a layer's index is
// their rank. It belongs to one Fit at a time.
type NetworkSource struct {
	network *teacher.Network
	run     *teacherRun
}

// NewNetworkSource returns the source for a network and samples of its inputs (sample-major, samples ×
// network.Inputs), which it keeps. Errors, which wrap ErrStates or teacher.ErrNetwork: an invalid
// network, a length that is no multiple of the inputs, an input that is not finite (by sample and
// feature).
func NewNetworkSource(network *teacher.Network, samples []float32) (*NetworkSource, error) {
	if err := network.Validate(); err != nil {
		return nil, err
	}
	shape := Shape{Inputs: network.Inputs, Outputs: network.Outputs(), Ranks: []int{}}
	for rank, l := range network.Layers[:len(network.Layers)-1] {
		for range l.Out {
			shape.Activations = append(shape.Activations, l.Activation)
			shape.Ranks = append(shape.Ranks, rank)
		}
	}
	run, err := newTeacherRun(shape, samples)
	if err != nil {
		return nil, err
	}
	s := &NetworkSource{network, run}
	run.forward, run.backward = s.forward, s.backward
	return s, nil
}

// Shape implements Source.
func (s *NetworkSource) Shape() *Shape { return &s.run.shape }

// Batches implements Source.
func (s *NetworkSource) Batches(ctx context.Context, visit func(*Batch) error) error {
	return s.run.batches(ctx, visit)
}

// Sensitivity implements Source by back-propagation through the network.
func (s *NetworkSource) Sensitivity(ctx context.Context, task Task, seed uint64) (states, outputs []float64, err error) {
	return s.run.sensitivity(ctx, task, seed)
}

func (s *NetworkSource) forward(b *Batch) {
	n, offset := s.run.shape.States(), 0
	y := s.network.Forward32(b.U, b.Samples, func(layer int, z, x []float32) {
		if layer == len(s.network.Layers)-1 {
			return
		}
		width := s.network.Layers[layer].Out
		for k := range b.Samples {
			copy(b.Z[k*n+offset:], z[k*width:(k+1)*width])
			copy(b.X[k*n+offset:], x[k*width:(k+1)*width])
		}
		offset += width
	})
	copy(b.Y, y)
}

func (s *NetworkSource) backward(b *Batch, g []float32, sum []float64) {
	n, q := s.run.shape.States(), s.run.shape.Outputs
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
