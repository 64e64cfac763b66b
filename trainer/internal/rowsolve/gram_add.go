package rowsolve

import (
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	tileRows     = 4   // features down a tile
	tileCols     = 8   // columns (features, then targets) across a tile: one panel
	blockSamples = 128 // samples packed at a time: a panel of a block is 8 KB and stays in the first cache
)

// Add adds samples in sample-major order: feature j of sample s is features[s·F+j] and target k is
// targets[s·T+k]. The numbers must be finite and the slices at least samples·F and samples·T long.
// Work is spread over output tiles, each summed in the order of the samples, so the result does not
// depend on GOMAXPROCS; how the samples are cut into calls changes it by rounding alone.
//
// Products of two float32 are exact in float64, so fused and unfused kernels give the same bits.
func (g *Gram) Add(features, targets []float32, samples int) {
	if samples <= 0 {
		return
	}
	g.forget()
	g.blocks(features, targets, samples, func(pack *packing, _ int) {
		parallel(pack.featurePanels, func(i int) {
			// Panels near the end have the most tiles: they go first.
			g.addPanel(pack, pack.featurePanels-1-i)
		})
	})
}

// blocks packs samples block by block, adds the first moments and the targets' squares, and hands each
// block of n samples to products.
func (s *sums) blocks(features, targets []float32, samples int, products func(pack *packing, n int)) {
	if s.pack == nil {
		s.pack = newPacking(s.features, s.targets)
	}
	pack := s.pack
	for first := 0; first < samples; first += blockSamples {
		n := min(blockSamples, samples-first)
		f := features[first*s.features : (first+n)*s.features]
		t := targets[first*s.targets : (first+n)*s.targets]
		parallel(pack.panels(), func(panel int) { pack.fill(panel, f, t, n) })
		s.addSums(pack, n)
		products(pack, n)
		s.samples += n
	}
}

// parallel runs task(0) … task(n−1) on GOMAXPROCS goroutines.
func parallel(n int, task func(int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	if workers <= 1 {
		for i := range n {
			task(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				task(i)
			}
		})
	}
	wg.Wait()
}

// packing is a block of samples as float64 panels of tileCols columns: value c of sample s of panel
// p is data[(p·blockSamples + s)·tileCols + c]. Features and targets start a panel each; missing
// columns are 0 for ever.
type packing struct {
	features, targets           int
	featurePanels, targetPanels int
	data                        []float64

	// For each half of a feature panel (tileRows features), the samples in which any of them is
	// not zero. Images are about half zeros, in runs, so that many tiles shrink.
	nonzero []int32 // (2·panel+half)·blockSamples …
	count   []int   // per half
}

func newPacking(features, targets int) *packing {
	p := &packing{features: features, targets: targets}
	p.featurePanels = (features + tileCols - 1) / tileCols
	p.targetPanels = (targets + tileCols - 1) / tileCols
	p.data = make([]float64, p.panels()*blockSamples*tileCols)
	p.nonzero = make([]int32, 2*p.featurePanels*blockSamples)
	p.count = make([]int, 2*p.featurePanels)
	return p
}

func (p *packing) panels() int { return p.featurePanels + p.targetPanels }

func (p *packing) panel(i int) []float64 {
	return p.data[i*blockSamples*tileCols : (i+1)*blockSamples*tileCols]
}

// half returns the first feature of a half of a feature panel, their number, and the samples in which any
// of them is not zero.
func (p *packing) half(panel, half int) (first, rows int, samples []int32) {
	first = panel*tileCols + half*tileRows
	if rows = min(tileRows, p.features-first); rows <= 0 {
		return first, 0, nil
	}
	return first, rows, p.nonzero[(2*panel+half)*blockSamples:][:p.count[2*panel+half]]
}

// fill packs one panel from a block of n samples.
func (p *packing) fill(panel int, f, t []float32, n int) {
	source, width, first := f, p.features, panel*tileCols
	if panel >= p.featurePanels {
		source, width, first = t, p.targets, (panel-p.featurePanels)*tileCols
	}
	cols := min(tileCols, width-first)
	dst := p.panel(panel)
	for s := range n {
		row := source[s*width+first : s*width+first+cols]
		for c, v := range row {
			dst[s*tileCols+c] = float64(v)
		}
	}
	if panel >= p.featurePanels {
		return
	}
	for half := range 2 {
		list, count := p.nonzero[(2*panel+half)*blockSamples:], 0
		for s := range n {
			v := dst[s*tileCols+half*tileRows:][:tileRows]
			if v[0] != 0 || v[1] != 0 || v[2] != 0 || v[3] != 0 {
				list[count] = int32(s)
				count++
			}
		}
		p.count[2*panel+half] = count
	}
}

// addSums adds first moments and the targets' squares.
func (s *sums) addSums(p *packing, n int) {
	for panel := range p.panels() {
		data := p.panel(panel)
		sums, squares, first := s.featureSum, []float64(nil), panel*tileCols
		if panel >= p.featurePanels {
			first = (panel - p.featurePanels) * tileCols
			sums, squares = s.targetSum, s.targetSquare
		}
		for c := range min(tileCols, len(sums)-first) {
			var sum, square float64
			for k := range n {
				v := data[k*tileCols+c]
				sum += v
				square += float64(v * v)
			}
			sums[first+c] += sum
			if squares != nil {
				squares[first+c] += square
			}
		}
	}
}

// addPanel adds the products of one panel of features with all feature panels up to itself and with
// all targets, two panels at a time.
func (g *Gram) addPanel(p *packing, panel int) {
	var acc [2][tileRows * tileCols]float64
	a := p.panel(panel)
	others := panel + 1 + p.targetPanels
	for other := 0; other < others; other += 2 {
		count := min(2, others-other)
		first, second := p.partner(panel, other), p.partner(panel, other+count-1)
		for half := range 2 {
			row, rows, list := p.half(panel, half)
			if len(list) == 0 {
				continue
			}
			if count == 1 {
				tile(&acc[0], a[half*tileRows:], p.panel(first), list)
			} else {
				tile2(&acc, a[half*tileRows:], p.panel(first), p.panel(second), list)
			}
			for k, source := range [2]int{first, second} {
				switch {
				case k == count:
				case source < p.featurePanels:
					g.addToFF(&acc[k], row, rows, source*tileCols)
				default:
					g.addToFT(&acc[k], row, rows, (source-p.featurePanels)*tileCols)
				}
			}
		}
	}
}

// partner returns the panel that a feature panel is multiplied with as the other-th: the feature panels up
// to itself, then the targets.
func (p *packing) partner(panel, other int) int {
	if other > panel {
		return other + p.featurePanels - panel - 1
	}
	return other
}

func (g *Gram) addToFF(acc *[tileRows * tileCols]float64, first, rows, col int) {
	cols := min(tileCols, g.features-col)
	if cols == tileCols && rows == tileRows {
		addTile(g.ff[first*g.features+col:], g.features, acc)
		return
	}
	for r := range rows {
		dst := g.ff[(first+r)*g.features+col:][:cols]
		for c, v := range acc[r*tileCols:][:cols] {
			dst[c] += v
		}
	}
}

func (s *sums) addToFT(acc *[tileRows * tileCols]float64, first, rows, col int) {
	for c := range min(tileCols, s.targets-col) {
		dst := s.ft[(col+c)*s.features+first:][:rows]
		for r := range dst {
			dst[r] += acc[r*tileCols+c]
		}
	}
}

// addTileGeneric is the specification of addTile: it adds acc to the rows of dst that are stride apart.
func addTileGeneric(dst []float64, stride int, acc *[tileRows * tileCols]float64) {
	for r := range tileRows {
		row := dst[r*stride:][:tileCols]
		for c, v := range acc[r*tileCols:][:tileCols] {
			row[c] += v
		}
	}
}

// tileGeneric is the specification of tile: acc[r][c] = Σ over s in list, in order, of
// a[s·tileCols+r]·b[s·tileCols+c].
func tileGeneric(acc *[tileRows * tileCols]float64, a, b []float64, list []int32) {
	*acc = [tileRows * tileCols]float64{}
	for _, s := range list {
		x := a[int(s)*tileCols:][:tileRows]
		y := b[int(s)*tileCols:][:tileCols]
		for r, v := range x {
			row := acc[r*tileCols:][:tileCols]
			for c, w := range y {
				row[c] += float64(v * w)
			}
		}
	}
}
