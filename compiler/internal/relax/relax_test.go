package relax

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
)

// pair is a small random pair of networks for the tests.
type pair struct {
	*Networks
	box  Box
	from []float64
}

var kinds = []model.Activation{
	{Kind: model.Identity}, {Kind: model.ReLU}, {Kind: model.ReLU}, {Kind: model.LeakyReLU, P0: 0.25},
	{Kind: model.ClippedReLU, P1: 0.75}, {Kind: model.HardTanh, P0: -0.5, P1: 0.5}, {Kind: model.Tanh}, {Kind: model.Sigmoid},
}

// newPair draws layers of states, dense or sparse, of one kind of function or of all, with limits in and out of reach.
func newPair(r *rand.Rand) *pair {
	inputs, outputs := 1+r.IntN(3), 1+r.IntN(2)
	p := &pair{from: make([]float64, inputs)}
	steps := make([]float64, inputs)
	for j := range inputs {
		lo := r.Float64()*2 - 1
		p.box.Lo, p.box.Hi = append(p.box.Lo, lo), append(p.box.Hi, lo+r.Float64()*math.Pow(10, -float64(r.IntN(4))))
		steps[j] = r.Float64() * 0.01
		if r.IntN(3) == 0 {
			p.from[j] = lo
		}
	}
	noise := math.Pow(10, -1-float64(r.IntN(4)))
	mixed, dense := r.IntN(2) == 0, r.IntN(2) == 0
	one := kinds[r.IntN(len(kinds))]
	var rows []Row
	before := inputs
	for layer := range 1 + r.IntN(4) {
		width := 1 + r.IntN(6)
		for range width {
			row := newRow(r, before, dense || layer == 0, noise)
			row.Activation = one
			if mixed {
				row.Activation = kinds[r.IntN(len(kinds))]
			}
			newLimits(r, &row, noise)
			rows = append(rows, row)
		}
		before += width
	}
	states := len(rows)
	for range outputs {
		row := newRow(r, before, dense, noise)
		row.Rounding = noise * 0.1
		rows = append(rows, row)
	}
	p.Networks = New(inputs, states, rows, steps)
	return p
}

func newRow(r *rand.Rand, columns int, dense bool, noise float64) Row {
	row := Row{Bias: r.NormFloat64() * 0.3, Offset: r.NormFloat64() * noise * 0.1}
	unsure := r.IntN(4) == 0
	if unsure {
		row.BiasError = noise * 0.01
	}
	for j := range columns {
		if !dense && r.IntN(2) == 0 {
			continue
		}
		w := r.NormFloat64()
		integer := w + r.NormFloat64()*noise
		row.Columns = append(row.Columns, int32(j))
		row.Reference, row.Integers, row.Delta = append(row.Reference, w), append(row.Integers, integer), append(row.Delta, integer-w)
		if unsure {
			row.Unsure = append(row.Unsure, noise*0.3)
		}
	}
	return row
}

func newLimits(r *rand.Rand, row *Row, noise float64) {
	row.Rounding = r.Float64() * noise
	k := row.Activation.Kind
	row.ZeroBelow = k == model.ReLU || k == model.ClippedReLU
	if k == model.Tanh || k == model.Sigmoid {
		return
	}
	row.High = Clamp{Worth: r.Float64() * 2, Flagged: r.IntN(3) == 0, Bounds: true, Half: row.Rounding}
	if !row.ZeroBelow {
		row.Low = Clamp{Worth: -r.Float64() * 2, Flagged: r.IntN(3) == 0, Bounds: k != model.LeakyReLU, Half: row.Rounding}
	}
}

// run evaluates both networks at u, with the integers' roundings drawn within their limits, at the ends of them
// more often than not. saturated reports whether a limit cut.
func (p *pair) run(r *rand.Rand, u []float64) (errors []float64, saturated bool) {
	v, x := make([]float64, p.Inputs+p.States), make([]float64, p.Inputs+p.States)
	share := func() float64 {
		if r.IntN(2) == 0 {
			return float64(2*r.IntN(2) - 1)
		}
		return 2*r.Float64() - 1
	}
	for j := range p.Inputs {
		v[j] = u[j] - p.from[j]
		x[j] = v[j] + share()*p.Steps[j]
	}
	for i, row := range p.Rows {
		z, q := row.Bias+share()*row.BiasError, row.Bias+row.Offset
		for k, j := range row.Columns {
			w := row.Reference[k]
			if row.Unsure != nil {
				w += share() * row.Unsure[k]
			}
			z += w * v[j]
			q += row.Integers[k] * x[j]
		}
		if i >= p.States {
			errors = append(errors, math.Abs(q-z)+row.Rounding)
			continue
		}
		rounding := share() * row.Rounding
		if row.ZeroBelow && q <= 0 {
			rounding = 0
		}
		w := row.Activation.Apply(q) + rounding
		if row.High.Flagged && w > row.High.Worth {
			saturated = saturated || q > row.High.Worth+row.High.Half
			w = row.High.Worth
		}
		if row.Low.Flagged && w < row.Low.Worth {
			saturated = saturated || !row.Low.Bounds || q < row.Low.Worth-row.Low.Half
			w = row.Low.Worth
		}
		v[p.Inputs+i], x[p.Inputs+i] = row.Activation.Apply(z), w
	}
	return errors, saturated
}

func draw(r *rand.Rand, box Box) []float64 {
	u := make([]float64, len(box.Lo))
	for j := range u {
		share := r.Float64()
		if r.IntN(2) == 0 {
			share = float64(r.IntN(2))
		}
		u[j] = min(box.Lo[j]+share*(box.Hi[j]-box.Lo[j]), box.Hi[j])
	}
	return u
}

// evaluation is how far the test's own float64 sums may be off.
const evaluation = 1e-13

// TestNoSampleIsAboveTheBound runs both networks everywhere in boxes that were bounded: undivided, split, and as points.
func TestNoSampleIsAboveTheBound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	tight := 0
	for n := range 200 {
		p := newPair(r)
		scale := slices.Repeat([]float64{1e-3}, p.Outputs())
		whole, calm := p.Bound(p.box, p.from, false), p.Bound(p.box, p.from, true)
		tree := p.Split(Search{Box: p.box, From: p.from, Scale: scale, Split: true, More: func(boxes int) bool { return boxes < 100 }})
		seen := make([]float64, p.Outputs())
		for range 150 {
			u := draw(r, p.box)
			errors, saturated := p.run(r, u)
			point := p.Bound(Box{u, u}, p.from, false)
			for k, e := range errors {
				seen[k] = max(seen[k], e)
				if bound := min(whole[k], tree.Bound[k], point[k]); e > bound+evaluation {
					t.Fatalf("pair %d: output %d is off by %g, bounds: %g undivided, %g split, %g at the point", n, k, e, whole[k], tree.Bound[k], point[k])
				}
				if !saturated && e > calm[k]+evaluation {
					t.Fatalf("pair %d: output %d is off by %g without saturation, bound %g", n, k, e, calm[k])
				}
			}
		}
		for k := range seen {
			if tree.Bound[k] < 3*seen[k] {
				tight++
			}
			if tree.Bound[k] > whole[k] {
				t.Errorf("pair %d: splitting raises the bound of output %d from %g to %g", n, k, whole[k], tree.Bound[k])
			}
		}
	}
	if tight < 150 {
		t.Errorf("%d of about 300 bounds within three times what was seen: the test could not see much", tight)
	}
}

// TestTreesEvaluateToTheirBound bounds the boxes of a tree again, in another order and shared out otherwise.
func TestTreesEvaluateToTheirBound(t *testing.T) {
	r, smaller, finer := rand.New(rand.NewPCG(2, 2)), 0, 0
	for n := range 60 {
		p := newPair(r)
		scale := slices.Repeat([]float64{1e-3}, p.Outputs())
		tree := p.Split(Search{Box: p.box, From: p.from, Scale: scale, Split: true, More: func(boxes int) bool { return boxes < 200 }})
		cuts := tree.Cuts(make([]float64, p.Outputs()))
		search := Search{Box: p.box, From: p.from, Scale: scale, Split: true, More: func(int) bool { return false }}
		none := make([]float64, p.Outputs())
		if again := p.Refine(cuts, search, none); !slices.Equal(again.Bound, tree.Bound) || !slices.Equal(again.Cuts(none), cuts) {
			t.Errorf("pair %d: a tree of %d elements has %v when searched and %v when evaluated", n, len(cuts), tree.Bound, again.Bound)
		}
		if treeLength(cuts) != len(cuts) || len(cuts) != tree.Boxes {
			t.Errorf("pair %d: %d elements, %d boxes, the tree ends after %d", n, len(cuts), tree.Boxes, treeLength(cuts))
		}
		most := slices.Clone(tree.Bound)
		for k := range most {
			most[k] *= 1.1
		}
		less := tree.Cuts(most)
		if len(less) < len(cuts) {
			smaller++
		}
		for k, e := range p.Refine(less, search, none).Bound {
			if e > most[k] {
				t.Errorf("pair %d: the smaller tree proves %g for output %d, not %g", n, e, k, most[k])
			}
		}
		search.More = func(boxes int) bool { return boxes < 400 }
		if refined := p.Refine(less, search, none); slices.Max(refined.Bound) < slices.Max(most) {
			finer++
			again := p.Refine(refined.Cuts(refined.Bound), Search{Box: p.box, From: p.from, Scale: scale, More: func(int) bool { return false }}, none)
			if !slices.Equal(again.Bound, refined.Bound) {
				t.Errorf("pair %d: refined, a tree proves %v and then %v", n, refined.Bound, again.Bound)
			}
		}
	}
	if smaller < 20 {
		t.Errorf("only %d trees became smaller", smaller)
	}
	if finer < 20 {
		t.Errorf("only %d trees were refined", finer)
	}
}

// TestReachHoldsAllSums samples the reference's arguments.
func TestReachHoldsAllSums(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for n := range 100 {
		p := newPair(r)
		seen := slices.Repeat([]Range{{-1, 1}}, p.States)
		ranges := p.Reach(p.box, p.from, seen, func(boxes int) bool { return boxes < 100 })
		v := make([]float64, p.Inputs+p.States)
		for range 300 {
			for j, u := range draw(r, p.box) {
				v[j] = u - p.from[j]
			}
			for i := range p.States {
				z := p.Rows[i].Bias
				for k, j := range p.Rows[i].Columns {
					z += p.Rows[i].Reference[k] * v[j]
				}
				if off := 1e-12 * (1 + math.Abs(z)); z < ranges[i].Lo-off || z > ranges[i].Hi+off {
					t.Fatalf("pair %d: state %d: %g is not in %v", n, i, z, ranges[i])
				}
				v[p.Inputs+i] = p.Rows[i].Activation.Apply(z)
			}
		}
	}
}
