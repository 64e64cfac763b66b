package verify

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/sparse-implicit/sim/format/model"
)

// exactForms carries a form back through the same lines as boxBounds does, in rational numbers and from the
// networks' own numbers: what float64 makes of it must be no less.
type exactForms struct {
	x        *exact
	b        *boxBounds
	realised bool
	middles  bool // take W̃ for the middles that the checker has
	a, g     []*big.Rat
	constant *big.Rat
}

// weights returns W̃ and W of an entry.
func (e *exactForms) weights(i, j int) (integers, reference *big.Rat) {
	if integers = e.x.w[i][j]; e.middles {
		integers = rat(e.middle(i, j))
	}
	if e.realised {
		return integers, integers
	}
	_, _, w := e.x.column(i, j)
	return integers, rat(w)
}

// middle returns what the checker has for W̃.
func (e *exactForms) middle(i, j int) float64 {
	for k := e.b.start[i]; k < e.b.start[i+1]; k++ {
		if int(e.b.columns[k]) == j {
			return e.b.integers[k]
		}
	}
	return 0
}

// biases returns b̃ and b of a row at c.
func (e *exactForms) biases(i int) (integers, reference *big.Rat) {
	p, s := e.x.file, e.x.source
	integers = e.x.b[i]
	if e.middles {
		return add(rat(e.b.bias[i]), rat(e.b.gapBias[i])), rat(e.b.bias[i])
	}
	inputs, at := s.D, i-e.x.n
	if i < e.x.n {
		inputs, at = s.B, int(p.SourceState[i])
		reference = rat(float64(s.StateBias[at]))
	} else {
		reference = rat(float64(s.OutputBias[at]))
	}
	reference = add(reference, mul(rat(float64(inputs.At(at, 1))), rat(float64(s.InputLo[1]))))
	for j, near := range e.x.near {
		t, w := e.weights(i, j)
		integers, reference = add(integers, mul(t, near)), add(reference, mul(w, near))
	}
	if e.realised {
		return integers, integers
	}
	return integers, reference
}

func (e *exactForms) substitute(i int, onD, onZ *big.Rat) {
	for j := range e.a {
		t, w := e.weights(i, j)
		e.a[j] = add(e.a[j], mul(onD, t))
		e.g[j] = add(e.g[j], add(mul(onD, sub(t, w)), mul(onZ, w)))
	}
	t, w := e.biases(i)
	e.constant = add(e.constant, add(mul(onD, sub(t, w)), mul(onZ, w)))
}

// upper bounds d times onD and z times onZ of row i from above, once the first states have been taken.
func (e *exactForms) upper(i, states int, onD, onZ float64) *big.Rat {
	e.a, e.g, e.constant = make([]*big.Rat, e.x.columns), make([]*big.Rat, e.x.columns), new(big.Rat)
	for j := range e.a {
		e.a[j], e.g[j] = new(big.Rat), new(big.Rat)
	}
	e.substitute(i, rat(onD), rat(onZ))
	for j := states - 1; j >= 0; j-- {
		onD, onZ := e.take(e.a[3+j], e.b.fAbove[j], e.b.fBelow[j]), e.take(e.g[3+j], e.b.vAbove[j], e.b.vBelow[j])
		e.a[3+j], e.g[3+j] = new(big.Rat), new(big.Rat)
		e.substitute(j, onD, onZ)
	}
	total := e.constant
	for j, input := range e.x.file.Inputs {
		lo, hi := sub(rat(float64(input.Lo)), e.x.near[j]), sub(rat(float64(input.Hi)), e.x.near[j])
		total = add(total, add(mul(abs(e.a[j]), e.x.du[j]), larger(mul(e.g[j], lo), mul(e.g[j], hi))))
	}
	return total
}

// take returns the factor of what a line is in, and adds its offset.
func (e *exactForms) take(factor *big.Rat, above, below line) *big.Rat {
	l := above
	if factor.Sign() < 0 {
		l = below
	}
	e.constant = add(e.constant, mul(factor, rat(l.offset)))
	return mul(factor, rat(l.slope))
}

// TestSumsAreRoundedOutward compares every backward bound of some boxes with the same in rational numbers, and
// wants it just above: by more than nothing, and by less than 1e-11 of what it is made of.
func TestSumsAreRoundedOutward(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 8))
	linear := shape{"linear", 14, 1, false, []model.Kind{model.Identity}, false, []int{4, 4, 3}}
	for _, s := range []shape{linear, relaxShapes[0], relaxShapes[3], relaxShapes[4], relaxShapes[6]} {
		for seed := range uint64(3) {
			p := build(seed, s)
			if seed > 0 {
				shrink(random, p.file)
			}
			x := newExact(p)
			c := newChecker(p.file)
			own := must(c.link(p.source))
			for k, links := range []*links{nil, own, nil, own, widenedLinks(own)} {
				r := c.newRelaxation(links, false)
				middles, loose := k == 2 || k == 3, k == 4
				if middles { // nothing but sums over weights to be rounded
					r.relative = 0
					for _, v := range [][]float64{r.bias, r.gapBias, r.biasSpread, r.gapBiasSpread} {
						clear(v)
					}
				}
				b := r.newBoxBounds()
				b.enter(r.lowest, r.highest)
				b.states(nil, &ranges{make([]interval, c.n), make([]interval, c.n)})
				e := &exactForms{x: x, b: b, realised: links == nil, middles: middles}
				for i := range p.file.Rows {
					states := min(i, c.n)
					z, d := b.back(min(i, c.n-1))
					if i >= c.n {
						b.clear()
						b.begin(i, 0, 1)
						z = b.bound(states)
						d = b.output(i)
					}
					for name, pairs := range map[string][2]interval{
						"z": {z, {-floatOf(e.upper(i, states, 0, -1)), floatOf(e.upper(i, states, 0, 1))}},
						"d": {d, {-floatOf(e.upper(i, states, -1, 0)), floatOf(e.upper(i, states, 1, 0))}},
					} {
						got, want := pairs[0], pairs[1]
						size := 1e-11 * (1 + b.slackZ[i]*0x1p50)
						if got.lo > want.lo || got.hi < want.hi {
							t.Errorf("%s: row %d, %s in [%g, %g], exactly [%g, %g]", s.name, i, name, got.lo, got.hi, want.lo, want.hi)
						}
						if loose {
							size += 1e-3
						}
						if want.lo-got.lo > size || got.hi-want.hi > size {
							t.Errorf("%s: row %d, %s in [%g, %g], exactly [%g, %g]: too wide", s.name, i, name, got.lo, got.hi, want.lo, want.hi)
						}
					}
				}
			}
		}
	}
}

// widenedLinks returns links whose weights and biases are known only to lie between what they are and a little
// more, as those are that states fold into.
func widenedLinks(l *links) *links {
	out := *l
	out.rows = nil
	const more = 0x1p-30
	for i := range l.rows {
		row := l.rows[i]
		row.weights = nil
		for _, w := range l.rows[i].weights {
			row.weights = append(row.weights, interval{w.lo, w.hi + more})
		}
		row.bias.hi += more
		out.rows = append(out.rows, row)
	}
	return &out
}

func floatOf(x *big.Rat) float64 {
	f, _ := x.Float64()
	if math.IsInf(f, 0) {
		panic("unreachable: bounds are finite")
	}
	return f
}
