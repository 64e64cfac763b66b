package rowsolve

import (
	"math"
	"math/rand/v2"
	"slices"
)

// sampled is a small row problem with its samples, for oracles that know nothing of Grams.
type sampled struct {
	features, targets []float32
	m, n, q           int
	Problem
}

func (s *sampled) gram() *Gram {
	g := NewGram(s.n, s.q)
	g.Add(s.features, s.targets, s.m)
	return g
}

// allowed reports whether the oracle may use feature j.
func (s *sampled) allowed(j int) bool {
	return !math.IsInf(s.Penalty[j], 1) && (s.Candidates == nil || slices.Contains(s.Candidates, int32(j)))
}

func (s *sampled) ridge(j int) float64 {
	if s.RidgeWeights == nil {
		return s.Ridge
	}
	return s.Ridge * s.RidgeWeights[j]
}

// rho is the penalty's ρ_j, by its definition.
func (s *sampled) rho(j int, w float64) float64 {
	w = math.Abs(w)
	if s.Knee == nil || w <= s.Knee[j] {
		return w
	}
	return (w*w + s.Knee[j]*s.Knee[j]) / (2 * s.Knee[j])
}

// objective evaluates the problem sample by sample.
func (s *sampled) objective(w []float64, beta float64) float64 {
	sum := 0.0
	for k := range s.m {
		r := float64(s.targets[k*s.q+s.Target]) - beta
		for j, v := range w {
			r -= v * float64(s.features[k*s.n+j])
		}
		sum += r * r
	}
	sum *= s.Omega * s.Omega / (2 * float64(s.m))
	for j, v := range w {
		if v != 0 {
			sum += s.Penalty[j]*s.rho(j, v) + 0.5*s.ridge(j)*v*v
		}
	}
	return sum
}

// optimum minimises by accelerated proximal gradient with restarts, from the samples in float64; the
// intercept is an unpenalised column of ones, scaled so that steps are even.
func (s *sampled) optimum(steps int) (w []float64, beta float64) {
	n := s.n + 1
	x := make([]float64, s.m*n)
	for k := range s.m {
		for j := range s.n {
			if s.allowed(j) {
				x[k*n+j] = float64(s.features[k*s.n+j])
			}
		}
		if s.Intercept {
			x[k*n+s.n] = 1
		}
	}
	scale := s.Omega * s.Omega / float64(s.m)
	smooth := 0.0 // the trace bounds the largest eigenvalue
	for _, v := range x {
		smooth += v * v * scale
	}
	for j := range s.n {
		smooth += s.ridge(j)
	}
	w = make([]float64, n)
	y, old := slices.Clone(w), slices.Clone(w)
	grad := make([]float64, n)
	momentum := 1.0
	for range steps {
		clear(grad)
		for k := range s.m {
			row := x[k*n : (k+1)*n]
			r := -float64(s.targets[k*s.q+s.Target])
			for j, v := range row {
				r += v * y[j]
			}
			for j, v := range row {
				grad[j] += scale * r * v
			}
		}
		copy(old, w)
		for j := range n {
			if j < s.n {
				grad[j] += s.ridge(j) * y[j]
			}
			w[j] = y[j] - grad[j]/smooth
		}
		s.prox(w, smooth)
		turn := 0.0
		for j := range n {
			turn += (y[j] - w[j]) * (w[j] - old[j])
		}
		next := (1 + math.Sqrt(1+4*momentum*momentum)) / 2
		if turn > 0 {
			next, momentum = 1, 1
		}
		for j := range n {
			y[j] = w[j] + (momentum-1)/next*(w[j]-old[j])
		}
		momentum = next
	}
	return w[:s.n], w[s.n]
}

// prox applies the penalties' and the ball's proximal map, the ball's multiplier by bisection.
func (s *sampled) prox(w []float64, smooth float64) {
	shrunk := func(j int, mu float64) float64 {
		if !s.allowed(j) {
			return 0
		}
		if j >= s.BallSize {
			mu = 0
		}
		v := max(math.Abs(w[j])-s.Penalty[j]/smooth-mu, 0)
		if s.Knee != nil && v > s.Knee[j] {
			v = (math.Abs(w[j]) - mu) / (1 + s.Penalty[j]/s.Knee[j]/smooth)
		}
		return math.Copysign(v, w[j])
	}
	norm := func(mu float64) float64 {
		sum := 0.0
		for j := range s.BallSize {
			sum += math.Abs(shrunk(j, mu))
		}
		return sum
	}
	mu := 0.0
	if s.Kappa > 0 && norm(0) > s.Kappa {
		low, high := 0.0, 1.0
		for norm(high) > s.Kappa {
			high *= 2
		}
		for range 80 {
			mid := (low + high) / 2
			if norm(mid) > s.Kappa {
				low = mid
				continue
			}
			high = mid
		}
		mu = high
	}
	for j := range s.n {
		w[j] = shrunk(j, mu)
	}
}

// dense returns the coefficients of a solution over all features.
func (s *sampled) dense(sol *Solution) []float64 {
	w := make([]float64, s.n)
	for i, j := range sol.Support {
		w[j] = sol.Coef[i]
	}
	return w
}

// draw makes a problem with every feature of the definition turned on at random.
func draw(random *rand.Rand) *sampled {
	s := &sampled{m: 5 + random.IntN(40), n: 2 + random.IntN(14), q: 1 + random.IntN(3)}
	s.features, s.targets = make([]float32, s.m*s.n), make([]float32, s.m*s.q)
	for i := range s.features {
		s.features[i] = float32(random.NormFloat64())
		if random.IntN(3) == 0 {
			s.features[i] = 0
		}
	}
	truth := make([]float64, s.n)
	for j := range truth {
		truth[j] = random.NormFloat64() * float64(random.IntN(2))
	}
	for k := range s.m {
		for t := range s.q {
			v := 0.7 + 0.3*random.NormFloat64()
			for j, b := range truth {
				v += b * float64(s.features[k*s.n+j])
			}
			s.targets[k*s.q+t] = float32(v)
		}
	}
	if random.IntN(3) == 0 { // a duplicate and an empty column
		for k := range s.m {
			row := s.features[k*s.n : (k+1)*s.n]
			row[0] = row[s.n-1]
			row[s.n/2] = 0
		}
	}
	s.Target = random.IntN(s.q)
	s.Omega = 0.5 + random.Float64()
	lambda := math.Pow(10, -3*random.Float64())
	for range s.n {
		p := lambda * (0.5 + random.Float64())
		switch random.IntN(12) {
		case 0:
			p = math.Inf(1)
		case 1:
			p = 0
		}
		s.Penalty = append(s.Penalty, p)
	}
	s.Intercept = random.IntN(2) == 0
	if random.IntN(2) == 0 {
		s.BallSize, s.Kappa = random.IntN(s.n+1), 0.1+2*random.Float64()
	}
	if random.IntN(3) == 0 {
		s.Ridge = 0.1 * random.Float64()
		if random.IntN(2) == 0 {
			for range s.n {
				s.RidgeWeights = append(s.RidgeWeights, random.Float64())
			}
		}
	}
	if random.IntN(2) == 0 {
		for range s.n {
			s.Knee = append(s.Knee, math.Pow(10, 1-3*random.Float64()))
			if random.IntN(6) == 0 {
				s.Knee[len(s.Knee)-1] = math.Inf(1)
			}
		}
	}
	if random.IntN(3) == 0 {
		s.Candidates = []int32{}
		for j := range s.n {
			if random.IntN(3) > 0 {
				s.Candidates = append(s.Candidates, int32(j))
			}
		}
	}
	return s
}
