package rowsolve

import "math"

// Cross holds what a Gram does, apart from the products of different features: Σ f tᵀ, Σ f, Σ f², Σ t,
// Σ t² and the number of samples. It is small where a Gram is not, and enough to check a row problem's
// certificate over all columns once the residual is a target.
//
// Adding needs the Cross for itself; reading may be done by many goroutines.
type Cross struct {
	sums
	featureSquare []float64
}

// NewCross returns the moments of no samples of so many features and targets.
func NewCross(features, targets int) *Cross {
	return &Cross{sums: newSums(features, targets), featureSquare: make([]float64, features)}
}

// Add adds samples as Gram's Add does, with the same bits in what both keep.
func (c *Cross) Add(features, targets []float32, samples int) {
	c.blocks(features, targets, samples, func(pack *packing, n int) {
		parallel(pack.featurePanels, func(panel int) { c.addPanel(pack, panel, n) })
	})
}

// addPanel adds the products of one panel of features with all targets, and their squares.
func (c *Cross) addPanel(p *packing, panel, n int) {
	var acc [2][tileRows * tileCols]float64
	a := p.panel(panel)
	for half := range 2 {
		first, rows, list := p.half(panel, half)
		if len(list) == 0 {
			continue
		}
		for r := range rows {
			square := 0.0
			for k := range n {
				v := a[k*tileCols+half*tileRows+r]
				square += float64(v * v)
			}
			c.featureSquare[first+r] += square
		}
		for target := 0; target < p.targetPanels; target += 2 {
			left, right := p.panel(p.featurePanels+target), p.panel(p.featurePanels+min(target+1, p.targetPanels-1))
			tile2(&acc, a[half*tileRows:], left, right, list)
			c.addToFT(&acc[0], first, rows, target*tileCols)
			if target+1 < p.targetPanels {
				c.addToFT(&acc[1], first, rows, (target+1)*tileCols)
			}
		}
	}
}

// FeatureStd returns the standard deviation of every feature, as Gram's does.
func (c *Cross) FeatureStd() []float64 {
	std := make([]float64, c.features)
	for j := range std {
		std[j] = math.Sqrt(variance(c.featureSquare[j], c.featureSum[j], c.samples))
	}
	return std
}

// moments returns the moments of the row problems without the matrix.
func (c *Cross) moments(intercept bool) *moments {
	return c.sides(intercept, func(j int) float64 { return c.featureSquare[j] })
}
