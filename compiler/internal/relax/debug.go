package relax

import "fmt"

func (n *Networks) Debug(box Box, from []float64, scale []float64) {
	b := newBounder(n, false)
	out := b.bound(box.from(from), nil, scale)
	fmt.Println("bounds", out)
	uns := 0
	for _, i := range b.states {
		if !b.known[i].straight(&n.pieces[i]) {
			uns++
			r := b.known[i]
			if b.weight[i] > 0.05 {
				fmt.Printf("  state %d z [%.3g %.3g] d [%.3g %.3g] weight %.3g\n", i, r.lo, r.hi, r.dLo, r.dHi, b.weight[i])
			}
		}
	}
	fmt.Println("unsettled", uns, "of", len(b.states))
	for k := range out {
		i, at := n.States+k, n.Inputs+len(b.states)
		stored := b.kept[at].start
		b.take(i, at, stored)
		b.passError(at, 1)
		rnd, gap := 0.0, 0.0
		for p, s := range b.states {
			rnd += abs(b.a[n.Inputs+p]) * n.Rows[s].Rounding
			gap += abs(b.a[n.Inputs+p])*b.gapE[n.Inputs+p] + abs(b.g[n.Inputs+p])*b.gapV[n.Inputs+p]
		}
		in := 0.0
		for j := range n.Inputs {
			in += abs(b.a[j]) * n.Steps[j]
		}
		fmt.Printf("  out %d: upper %.3g rounding %.3g inputs %.3g gap %.3g own %.3g\n", k, b.k, rnd, in, gap, n.Rows[i].Rounding)
	}
}

func abs(x float64) float64 {
	if x < 0 {
		return -x
	}
	return x
}

func (n *Networks) WorstLeaf(cuts []byte, box Box, from []float64, scale []float64) Box {
	// re-walk
	var best Box
	most := 0.0
	b := newBounder(n, false)
	var walk func(box Box, parent *node)
	k := 0
	walk = func(box Box, parent *node) {
		c := cuts[k]
		k++
		v := &node{box: box}
		v.bound = b.bound(box.from(from), parent, nil)
		if parent != nil {
			for o := range v.bound {
				v.bound[o] = min(v.bound[o], parent.bound[o])
			}
		}
		v.dead, v.known = b.pack()
		if c == 0 {
			for o := range v.bound {
				if v.bound[o]/scale[o] > most {
					most, best = v.bound[o]/scale[o], box
				}
			}
			return
		}
		walk(box.half(int(c-1), 0), v)
		walk(box.half(int(c-1), 1), v)
	}
	walk(box, nil)
	fmt.Println("  worst leaf in walk", most)
	return best
}
