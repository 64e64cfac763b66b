package trainer

import (
	"context"
	"math"
	"math/rand/v2"
)

// sensitivityDraws is how many gradients ω is estimated from: its relative error is then about 1 %.
const sensitivityDraws = 10_000

// sensitivity is Source's Sensitivity, by back-propagation on samples spread over all.
func (r *teacherRun) sensitivity(ctx context.Context, task Task, seed uint64) (states, outputs []float64, err error) {
	n, q := r.shape.States(), r.shape.Outputs
	use := min(r.shape.Samples, sensitivityDraws)
	repeats := sensitivityDraws / use
	var gain []float64
	if task == Regression {
		if gain, err = r.outputGains(ctx, use); err != nil {
			return nil, nil, err
		}
	}
	sum, random := make([]float64, n+q), rand.New(rand.NewPCG(seed, 0x5e51))
	err = r.visitSpread(ctx, use, func(b *Batch) {
		for range repeats {
			r.backward(b, outputGradients(b.Y, q, gain, random), sum)
		}
	})
	for i, v := range sum {
		sum[i] = math.Sqrt(v / float64(use*repeats))
	}
	copy(sum[n:], gain) // of a regression it is known: ‖∂(y/σ)/∂y_k‖
	return sum[:n], sum[n:], err
}

// visitSpread runs the teacher on so many samples, spread over all.
func (r *teacherRun) visitSpread(ctx context.Context, use int, visit func(b *Batch)) error {
	p := r.shape.Inputs
	for first := 0; first < use; first += batchSamples {
		if err := ctx.Err(); err != nil {
			return err
		}
		var u []float32
		for k := first; k < min(first+batchSamples, use); k++ {
			from := k * r.shape.Samples / use
			u = append(u, r.inputs[from*p:(from+1)*p]...)
		}
		b, err := r.run(first, u)
		if err != nil {
			return err
		}
		visit(b)
	}
	return nil
}

// outputGains returns 1/σ of every output, 0 where it is constant: an error in an output counts in units
// of what it varies, whatever it is measured in.
func (r *teacherRun) outputGains(ctx context.Context, use int) ([]float64, error) {
	q := r.shape.Outputs
	mean, gain := make([]float64, q), make([]float64, q)
	for _, add := range []func(k int, y float64){
		func(k int, y float64) { mean[k] += y / float64(use) },
		func(k int, y float64) { gain[k] += float64((y - mean[k]) * (y - mean[k])) },
	} {
		err := r.visitSpread(ctx, use, func(b *Batch) {
			for k, y := range b.Y {
				add(k%q, float64(y))
			}
		})
		if err != nil {
			return nil, err
		}
	}
	for k, v := range gain {
		gain[k] = 0
		if v > 0 {
			gain[k] = math.Sqrt(float64(use) / v)
		}
	}
	return gain, nil
}

// outputGradients returns one random gradient at the outputs per sample. Without gains that of log p_y,
// y drawn from the softmax of the outputs. With gains (regression) random signs v times these, for which
// the mean square of (vᵀ ∂y/∂z_i) is ‖gain · ∂y/∂z_i‖².
func outputGradients(y []float32, q int, gain []float64, random *rand.Rand) []float32 {
	g := make([]float32, len(y))
	p := make([]float64, q)
	for s := 0; s < len(y); s += q {
		if gain != nil {
			for k, v := range gain {
				g[s+k] = float32(v) * float32(1-2*random.IntN(2))
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
