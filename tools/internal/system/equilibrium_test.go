package system

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/trainer/dataset"
)

// equilibriumNet is a network without layers: x = φ(Wx + Uu + b), y = Cx + d, rows of W of absolute sum κ at
// most. It is somebody else's network: plain float64, nothing of the project's but the activation.
type equilibriumNet struct {
	n, p, q       int
	activation    model.Activation
	kappa         float64
	tolerance     float64 // of a sweep, at which an iteration ends
	w, u, b, c, d []float64
}

// settled is one sample's equilibrium.
type settled struct{ z, x, y []float64 }

func newEquilibriumNet(seed uint64, n, p, q int, activation model.Activation, kappa float64) *equilibriumNet {
	random := rand.New(rand.NewPCG(seed, 31))
	draw := func(count int, size float64) []float64 {
		v := make([]float64, count)
		for k := range v {
			v[k] = size * random.NormFloat64()
		}
		return v
	}
	net := &equilibriumNet{
		n: n, p: p, q: q, activation: activation, kappa: kappa, tolerance: 1e-10,
		w: draw(n*n, 1/float64(n)), u: draw(n*p, 1/math.Sqrt(float64(p))), b: draw(n, 0.1), c: draw(q*n, 1/math.Sqrt(float64(n))), d: draw(q, 0),
	}
	net.project()
	return net
}

// project moves every row of W to the nearest one of the ball.
func (e *equilibriumNet) project() {
	for i := range e.n {
		row := e.w[i*e.n : (i+1)*e.n]
		sizes, sum := make([]float64, e.n), 0.0
		for j, v := range row {
			sizes[j] = math.Abs(v)
			sum += sizes[j]
		}
		if sum <= e.kappa {
			continue
		}
		slices.Sort(sizes)
		slices.Reverse(sizes)
		total, cut := 0.0, 0.0
		for k, v := range sizes {
			total += v
			if t := (total - e.kappa) / float64(k+1); t < v {
				cut = t
			}
		}
		for j, v := range row {
			row[j] = math.Copysign(max(math.Abs(v)-cut, 0), v)
		}
	}
}

// solve iterates to the equilibrium.
func (e *equilibriumNet) solve(u []float64) settled {
	s := settled{make([]float64, e.n), make([]float64, e.n), make([]float64, e.q)}
	drive := make([]float64, e.n)
	for i := range drive {
		drive[i] = e.b[i] + dot(e.u[i*e.p:(i+1)*e.p], u)
	}
	for moved := math.Inf(1); moved > e.tolerance; {
		moved = 0
		for i := range s.z {
			s.z[i] = drive[i] + dot(e.w[i*e.n:(i+1)*e.n], s.x)
		}
		for i, z := range s.z {
			x := e.activation.Apply(z)
			moved = max(moved, math.Abs(x-s.x[i]))
			s.x[i] = x
		}
	}
	for k := range s.y {
		s.y[k] = e.d[k] + dot(e.c[k*e.n:(k+1)*e.n], s.x)
	}
	return s
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for k, v := range a {
		sum += v * b[k]
	}
	return sum
}

func (e *equilibriumNet) parameters() [][]float64 { return [][]float64{e.w, e.u, e.b, e.c, e.d} }

// derive adds the gradient of a sample's cross-entropy to gradient and returns the loss. The adjoint
// v = φ'(z)(Cᵀg + Wᵀv) is iterated as the equilibrium is.
func (e *equilibriumNet) derive(u []float64, label int, gradient [][]float64) float64 {
	s := e.solve(u)
	top, sum := slices.Max(s.y), 0.0
	g := make([]float64, e.q)
	for k, y := range s.y {
		g[k] = math.Exp(y - top)
		sum += g[k]
	}
	loss := math.Log(sum) - (s.y[label] - top)
	for k := range g {
		g[k] /= sum
	}
	g[label]--
	v, next := make([]float64, e.n), make([]float64, e.n)
	for moved := math.Inf(1); moved > e.tolerance; {
		moved = 0
		for i := range next {
			next[i] = 0
		}
		for k, gk := range g {
			for i := range next {
				next[i] += e.c[k*e.n+i] * gk
			}
		}
		for j, vj := range v {
			for i := range next {
				next[i] += e.w[j*e.n+i] * vj
			}
		}
		for i := range next {
			next[i] *= e.slope(s.z[i], s.x[i])
			moved = max(moved, math.Abs(next[i]-v[i]))
		}
		v, next = next, v
	}
	for i, vi := range v {
		for j, x := range s.x {
			gradient[0][i*e.n+j] += vi * x
		}
		for j, uj := range u {
			gradient[1][i*e.p+j] += vi * uj
		}
		gradient[2][i] += vi
	}
	for k, gk := range g {
		for i, x := range s.x {
			gradient[3][k*e.n+i] += gk * x
		}
		gradient[4][k] += gk
	}
	return loss
}

func (e *equilibriumNet) slope(z, x float64) float64 {
	switch {
	case e.activation.Kind == model.Tanh:
		return 1 - x*x
	case z > 0:
		return 1
	}
	return 0
}

// learn trains by Adam on standardised inputs, rows of W projected after every step, and folds the
// standardisation into U and b.
func (e *equilibriumNet) learn(set *dataset.Set, samples, epochs int) {
	mean, spread := e.moments(set)
	inputs := make([][]float64, samples)
	for s := range inputs {
		for j, v := range set.Train.X[s*e.p : (s+1)*e.p] {
			inputs[s] = append(inputs[s], (float64(v)-mean[j])/spread[j])
		}
	}
	const batch = 32
	exact := e.tolerance
	e.tolerance = 1e-5
	defer func() { e.tolerance = exact }()
	params := e.parameters()
	gradient, first, second := zeros(params), zeros(params), zeros(params)
	random := rand.New(rand.NewPCG(32, 33))
	step, steps := 0, epochs*samples/batch
	for range epochs {
		order := random.Perm(samples)
		for ; len(order) >= batch; order = order[batch:] {
			for _, g := range gradient {
				clear(g)
			}
			for _, s := range order[:batch] {
				e.derive(inputs[s], int(set.Train.Labels[s]), gradient)
			}
			step++
			rate := 5e-3 * (1 + math.Cos(math.Pi*float64(step)/float64(steps))) / 2
			for k, param := range params {
				for i, g := range gradient[k] {
					g /= batch
					first[k][i] += 0.1 * (g - first[k][i])
					second[k][i] += 0.001 * (g*g - second[k][i])
					param[i] -= rate * first[k][i] / (1 - math.Pow(0.9, float64(step))) / (math.Sqrt(second[k][i]/(1-math.Pow(0.999, float64(step)))) + 1e-8)
				}
			}
			e.project()
		}
	}
	for i := range e.n {
		for j := range e.p {
			e.u[i*e.p+j] /= spread[j]
			e.b[i] -= e.u[i*e.p+j] * mean[j]
		}
	}
}

func zeros(like [][]float64) [][]float64 {
	out := make([][]float64, len(like))
	for k, v := range like {
		out[k] = make([]float64, len(v))
	}
	return out
}

func (e *equilibriumNet) moments(set *dataset.Set) (mean, spread []float64) {
	mean, spread = make([]float64, e.p), make([]float64, e.p)
	m := float64(set.Train.Samples)
	for k, v := range set.Train.X {
		mean[k%e.p] += float64(v) / m
	}
	for k, v := range set.Train.X {
		spread[k%e.p] += (float64(v) - mean[k%e.p]) * (float64(v) - mean[k%e.p]) / m
	}
	for j, v := range spread {
		spread[j] = math.Sqrt(v)
	}
	return mean, spread
}

// outputs are the network's, sample-major.
func (e *equilibriumNet) outputs(inputs []float32) []float32 {
	var out []float32
	u := make([]float64, e.p)
	for first := 0; first < len(inputs); first += e.p {
		for j := range u {
			u[j] = float64(inputs[first+j])
		}
		for _, y := range e.solve(u).y {
			out = append(out, float32(y))
		}
	}
	return out
}

// states are U, Z, X, Y as a file of states holds them: features × samples.
func (e *equilibriumNet) states(part dataset.Part) map[string]array {
	m := part.Samples
	matrix := func(rows int) array { return array{[]int{rows, m}, make([]float32, rows*m)} }
	arrays := map[string]array{"U": matrix(e.p), "Z": matrix(e.n), "X": matrix(e.n), "Y": matrix(e.q)}
	u := make([]float64, e.p)
	for s := range m {
		for j := range u {
			v := part.X[s*e.p+j]
			u[j], arrays["U"].values[j*m+s] = float64(v), v
		}
		at := e.solve(u)
		for i := range e.n {
			arrays["Z"].values[i*m+s], arrays["X"].values[i*m+s] = float32(at.z[i]), float32(at.x[i])
		}
		for k, y := range at.y {
			arrays["Y"].values[k*m+s] = float32(y)
		}
	}
	return arrays
}

// The network of the tests below is trained by the right gradient, or what they show says nothing.
func TestEquilibriumNetsGradientEqualsFiniteDifferences(t *testing.T) {
	for _, kind := range []model.Kind{model.Tanh, model.ReLU} {
		e := newEquilibriumNet(5, 6, 4, 3, model.Activation{Kind: kind}, 0.9)
		u := []float64{0.3, -1.2, 0.8, 2}
		gradient := zeros(e.parameters())
		e.derive(u, 1, gradient)
		for k, param := range e.parameters() {
			for i := range param {
				const h = 1e-5
				was := param[i]
				param[i] = was + h
				above := e.derive(u, 1, zeros(e.parameters()))
				param[i] = was - h
				below := e.derive(u, 1, zeros(e.parameters()))
				param[i] = was
				if want := (above - below) / (2 * h); math.Abs(gradient[k][i]-want) > 1e-6*(1+math.Abs(want)) {
					t.Errorf("%v: parameter %d of array %d: %g, differences give %g", kind, i, k, gradient[k][i], want)
				}
			}
		}
	}
}
