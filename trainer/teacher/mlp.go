package teacher

import (
	"math"
	"math/rand/v2"
)

// lanes is the number of float32 in the vectors of the kernels: rows are padded to a multiple, with
// zeros that stay zero.
const lanes = 8

func padded(width int) int { return (width + lanes - 1) / lanes * lanes }

// mlp is a perceptron in the layout that it is trained in.
type mlp []mlpLayer

// mlpLayer is one layer with the optimiser's state.
type mlpLayer struct {
	in, out  int
	stride   int // padded(out)
	inStride int // padded(in)

	// weights is (in+1) × stride: row j is what input j adds to each output, the last row the bias.
	weights         []float32
	moment1, second []float32 // AdamW's running means of the gradient and of its square

	// byOutput is out × inStride, the same weights without the bias, for the backward pass. The first
	// layer has none.
	byOutput []float32
}

// newMLP draws the first weights uniformly with variance 2/in before a relu (He et al., arXiv
// 1502.01852) and 1/in in the last layer; biases are 0.
func newMLP(dims []int, random *rand.PCG) mlp {
	var net mlp
	for k, out := range dims[1:] {
		l := mlpLayer{in: dims[k], out: out, stride: padded(out), inStride: padded(dims[k])}
		size := (l.in + 1) * l.stride
		l.weights, l.moment1, l.second = make([]float32, size), make([]float32, size), make([]float32, size)
		variance := 2 / float64(l.in)
		if k == len(dims)-2 {
			variance = 1 / float64(l.in)
		}
		limit := math.Sqrt(3 * variance)
		for j := range l.in {
			for i := range l.out {
				uniform := float64(random.Uint64()>>11) / (1 << 53)
				l.weights[j*l.stride+i] = float32(float64(2*limit*uniform) - limit)
			}
		}
		if k > 0 {
			l.byOutput = make([]float32, l.out*l.inStride)
			l.transpose(0, l.in)
		}
		net = append(net, l)
	}
	return net
}

// transpose brings columns from … to−1 of byOutput up to date.
func (l *mlpLayer) transpose(from, to int) {
	for j := from; j < min(to, l.in); j++ {
		for i, w := range l.weights[j*l.stride:][:l.out] {
			l.byOutput[i*l.inStride+j] = w
		}
	}
}

// size returns the number of weights and biases.
func (net mlp) size() int {
	n := 0
	for _, l := range net {
		n += (l.in + 1) * l.out
	}
	return n
}

// widest returns the longest padded row of any layer.
func (net mlp) widest() int {
	width := 0
	for _, l := range net {
		width = max(width, l.stride, l.inStride)
	}
	return width
}
