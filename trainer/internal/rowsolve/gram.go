package rowsolve

import (
	"fmt"
	"math"
	"sync"
)

// Gram holds the second moments of samples of features f and targets t in float64: Σ f fᵀ, Σ f tᵀ,
// Σ f, Σ t, Σ t² and the number of samples. It is all that a row problem needs. The zero value serves
// UnmarshalBinary alone; NewGram makes one to add to.
//
// Adding needs the Gram for itself. Reading, solving included, may be done by many goroutines.
type Gram struct {
	sums

	// ff is features × features, row-major. Only tiles on and below the diagonal are kept up to
	// date; at(i, j) with i ≥ j is always right.
	ff []float64

	mu     sync.Mutex
	cached [2]*moments // with and without intercept, made on demand
}

// sums are the moments that Gram and Cross both keep.
type sums struct {
	features, targets int
	samples           int

	ft []float64 // targets × features, row-major: one row per target

	featureSum, targetSum, targetSquare []float64

	pack *packing // scratch of Add, made on demand
}

func newSums(features, targets int) sums {
	return sums{
		features: features, targets: targets,
		ft:         make([]float64, targets*features),
		featureSum: make([]float64, features),
		targetSum:  make([]float64, targets), targetSquare: make([]float64, targets),
	}
}

// moments is the symmetric matrix and the right-hand sides of the row problems, per sample: raw
// second moments without an intercept, covariances with one.
type moments struct {
	g    []float64 // features × features, both triangles; nil where only the diagonal is known
	c    []float64 // targets × features
	tt   []float64 // per target
	diag []float64 // of g
	ok   []bool    // per feature: whether it varies and is finite
}

// NewGram returns a Gram over no samples of so many features and targets.
func NewGram(features, targets int) *Gram {
	return &Gram{sums: newSums(features, targets), ff: make([]float64, features*features)}
}

// Features returns the number of features.
func (s *sums) Features() int { return s.features }

// Targets returns the number of targets.
func (s *sums) Targets() int { return s.targets }

// Samples returns the number of samples added so far.
func (s *sums) Samples() int { return s.samples }

// FF returns Σ f_i f_j over the samples.
func (g *Gram) FF(i, j int) float64 { return g.ff[max(i, j)*g.features+min(i, j)] }

// FT returns Σ f_j t_k over the samples.
func (s *sums) FT(j, k int) float64 { return s.ft[k*s.features+j] }

// FeatureMean returns the mean of feature j over the samples.
func (s *sums) FeatureMean(j int) float64 { return s.featureSum[j] / float64(s.samples) }

// TargetMean returns the mean of target k over the samples.
func (s *sums) TargetMean(k int) float64 { return s.targetSum[k] / float64(s.samples) }

// FeatureStd returns the standard deviation of every feature over the samples (divisor m). A
// variance that is nothing but rounding is given as 0.
func (g *Gram) FeatureStd() []float64 {
	std := make([]float64, g.features)
	for j := range std {
		std[j] = math.Sqrt(variance(g.FF(j, j), g.featureSum[j], g.samples))
	}
	return std
}

// TargetStd returns the standard deviation of every target over the samples (divisor m). A variance
// that is nothing but rounding is given as 0.
func (s *sums) TargetStd() []float64 {
	std := make([]float64, s.targets)
	for k := range std {
		std[k] = math.Sqrt(variance(s.targetSquare[k], s.targetSum[k], s.samples))
	}
	return std
}

// roundingVariance is the part of a second moment below which its difference to the squared mean is
// taken for rounding: a feature that varies by less than 1e-6 of its size counts as constant.
const roundingVariance = 1e-12

func variance(square, sum float64, samples int) float64 {
	m := float64(samples)
	mean := sum / m
	v := square/m - float64(mean*mean)
	if v <= roundingVariance*(square/m) {
		return 0
	}
	return v
}

// Merge adds the samples of o, a Gram over the same features and targets, to g. o is unchanged.
func (g *Gram) Merge(o *Gram) error {
	if g.features != o.features || g.targets != o.targets {
		return fmt.Errorf("merging a Gram of %d features and %d targets into one of %d and %d", o.features, o.targets, g.features, g.targets)
	}
	g.samples += o.samples
	for _, pair := range [][2][]float64{
		{g.ff, o.ff}, {g.ft, o.ft}, {g.featureSum, o.featureSum}, {g.targetSum, o.targetSum}, {g.targetSquare, o.targetSquare},
	} {
		for i, v := range pair[1] {
			pair[0][i] += v
		}
	}
	g.forget()
	return nil
}

func (g *Gram) forget() { g.cached = [2]*moments{} }

// moments returns the matrix of the row problems, computed once.
func (g *Gram) moments(intercept bool) *moments {
	g.mu.Lock()
	defer g.mu.Unlock()
	cached := &g.cached[slot(intercept)]
	if *cached == nil {
		*cached = g.newMoments(intercept)
	}
	return *cached
}

// slot is where the moments with and without intercept are kept.
func slot(intercept bool) int {
	if intercept {
		return 1
	}
	return 0
}

func (g *Gram) newMoments(intercept bool) *moments {
	n, m := g.features, float64(g.samples)
	out := g.sides(intercept, func(j int) float64 { return g.ff[j*n+j] })
	out.g = make([]float64, n*n)
	mean := g.centres(intercept)
	for i := range n {
		for j := range i {
			v := g.ff[i*n+j]/m - float64(mean[i]*mean[j])
			out.g[i*n+j], out.g[j*n+i] = v, v
		}
		out.g[i*n+i] = out.diag[i]
	}
	return out
}

// centres returns what features are taken relative to: their means, or zeros without an intercept.
func (s *sums) centres(intercept bool) []float64 {
	mean := make([]float64, s.features)
	if intercept {
		for j := range mean {
			mean[j] = s.FeatureMean(j)
		}
	}
	return mean
}

// sides returns the moments except for the matrix, whose diagonal comes from the sums of squares.
func (s *sums) sides(intercept bool, square func(j int) float64) *moments {
	n, m := s.features, float64(s.samples)
	mean := s.centres(intercept)
	centre := 0.0
	if intercept {
		centre = 1
	}
	out := &moments{diag: make([]float64, n), c: make([]float64, s.targets*n), tt: make([]float64, s.targets), ok: make([]bool, n)}
	for j := range n {
		v := square(j)/m - float64(mean[j]*mean[j])
		out.diag[j] = v
		out.ok[j] = v > roundingVariance*centre*(square(j)/m) && !math.IsInf(v, 0)
	}
	for k := range s.targets {
		tmean := centre * (s.targetSum[k] / m)
		for j := range n {
			out.c[k*n+j] = s.ft[k*n+j]/m - float64(tmean*mean[j])
		}
		out.tt[k] = s.targetSquare[k]/m - float64(tmean*tmean)
		if intercept {
			out.tt[k] = variance(s.targetSquare[k], s.targetSum[k], s.samples)
		}
	}
	return out
}
