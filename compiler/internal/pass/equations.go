package pass

import (
	"math"

	"github.com/sparse-implicit/sim/format/sparse"
)

// Bounded is a real number known up to an error: it lies within Error of Value.
type Bounded struct {
	Value, Error float64
}

// plus returns v + w; what float64 cuts off joins the error.
func (v Bounded) plus(w Bounded) Bounded {
	sum := v.Value + w.Value
	own := sum - v.Value
	lost := (v.Value - (sum - own)) + (w.Value - own) // exactly (Møller, Knuth)
	return Bounded{sum, outward(v.Error + w.Error + math.Abs(lost))}
}

// times returns v·w; what float64 cuts off joins the error.
func (v Bounded) times(w Bounded) Bounded {
	product := float64(v.Value * w.Value)
	lost := math.Abs(math.FMA(v.Value, w.Value, -product)) // exactly, but for underflow
	if math.Abs(product) < 0x1p-900 && v.Value != 0 && w.Value != 0 {
		lost += 0x1p-1000
	}
	spread := times(math.Abs(v.Value), w.Error) + times(math.Abs(w.Value), v.Error) + times(v.Error, w.Error)
	return Bounded{product, outward(lost + spread)}
}

// outward enlarges a sum of a few non-negative numbers by what float64 may have cut off; zero stays.
func outward(x float64) float64 { return float64(x * (1 + 0x1p-48)) }

// exactly reports whether v is that number and no other.
func (v Bounded) exactly() bool { return v.Error == 0 }

// equation is one row of the source, z = Σ weight·column + bias, as simplifications leave it.
type equation struct {
	terms     []term // columns ascend, no weight is exactly zero
	bias      Bounded
	rewritten bool // some weight is not the one that the row was trained with
}

// term is one weight of an equation. Columns are the source's inputs, then its states.
type term struct {
	column int32
	weight Bounded
}

// load reads the source's equations, states first, then outputs.
func (p *Program) load() {
	m := p.Source
	n, q := m.States(), m.Outputs()
	p.equations, p.constant = make([]equation, n+q), make([]*Bounded, n)
	for i := range p.equations {
		inputs, states, row, bias := m.B, m.A, i, float32(0)
		if i < n {
			bias = m.StateBias[i]
		} else {
			inputs, states, row = m.D, m.C, i-n
			bias = m.OutputBias[row]
		}
		e := equation{bias: Bounded{Value: float64(bias)}}
		e.terms = appendTerms(e.terms, inputs, row, 0)
		e.terms = appendTerms(e.terms, states, row, int32(m.Inputs()))
		p.equations[i] = e
	}
}

func appendTerms(terms []term, m *sparse.Matrix[float32], row int, first int32) []term {
	cols, values := m.Row(row)
	for k, j := range cols {
		if values[k] != 0 {
			terms = append(terms, term{first + j, Bounded{Value: float64(values[k])}})
		}
	}
	return terms
}

// sourceState returns the source's state that column j of an equation stands for, or −1 for an input.
func (p *Program) sourceState(j int32) int { return max(int(j)-p.Source.Inputs(), -1) }

// pointInput reports whether column j of an equation is an input whose box is a point.
func (p *Program) pointInput(j int32) bool {
	return int(j) < p.Source.Inputs() && p.Source.InputLo[j] == p.Source.InputHi[j]
}

// eachRead calls visit with each state that row i reads and that is not folded.
func (p *Program) eachRead(i int, visit func(state int)) {
	for _, t := range p.equations[i].terms {
		if s := p.sourceState(t.column); s >= 0 && p.constant[s] == nil {
			visit(s)
		}
	}
}

// alive returns which states some path of weights leads from to an output.
func (p *Program) alive() []bool {
	alive := make([]bool, p.Source.States())
	var work []int
	reach := func(s int) {
		if !alive[s] {
			alive[s] = true
			work = append(work, s)
		}
	}
	for k := range p.outputs() {
		p.eachRead(p.Source.States()+k, reach)
	}
	for len(work) > 0 {
		i := work[len(work)-1]
		work = work[:len(work)-1]
		p.eachRead(i, reach)
	}
	return alive
}

// graph returns which of the given ascending states read which, as ones. What is folded reads and is read by none.
func (p *Program) graph(states []int) *sparse.Matrix[float64] {
	place := make([]int32, p.Source.States())
	for i := range place {
		place[i] = -1
	}
	for k, i := range states {
		place[i] = int32(k)
	}
	out := sparse.New[float64](len(states), len(states))
	for k, i := range states {
		p.eachRead(i, func(s int) {
			if place[s] >= 0 {
				out.Indices, out.Data = append(out.Indices, place[s]), append(out.Data, 1)
			}
		})
		out.Indptr[k+1] = int32(len(out.Indices))
	}
	return out
}
