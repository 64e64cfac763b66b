package pass

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
)

// mergeDuplicates finds live states with the same function and the same equation, to the last bit, and has all
// readers read the first of them. It goes along the order of computation, so that what reads duplicates
// becomes a duplicate in the same turn. Inside loops as well: at an equilibrium equal equations have
// equal states.
func (s *simplifier) mergeDuplicates() bool {
	into := make([]int32, s.Source.States()) // the state that is read in place of each
	for i := range into {
		into[i] = int32(i)
	}
	first := map[string]int32{} // only looked up
	before := s.duplicates
	components, _ := s.components()
	for _, component := range components {
		for _, i := range component {
			if s.duplicates > before {
				s.redirect(i, into)
			}
			key, exact := s.keyOf(i)
			if !exact {
				continue
			}
			if own, found := first[key]; found {
				into[i] = own
				s.duplicates++
				continue
			}
			first[key] = int32(i)
		}
	}
	if s.duplicates == before {
		return false
	}
	for i := range s.equations {
		s.redirect(i, into)
	}
	return true
}

// keyOf returns what makes state i's function and equation, and whether they are known exactly.
func (s *simplifier) keyOf(i int) (key string, exact bool) {
	e, a := &s.equations[i], s.Source.Activations[i]
	if s.constant[i] != nil || !e.bias.exactly() {
		return "", false
	}
	bytes := []byte{uint8(a.Kind)}
	bytes = binary.LittleEndian.AppendUint32(bytes, math.Float32bits(a.P0+0)) // −0 is 0
	bytes = binary.LittleEndian.AppendUint32(bytes, math.Float32bits(a.P1+0))
	bytes = binary.LittleEndian.AppendUint64(bytes, math.Float64bits(e.bias.Value+0))
	for _, t := range e.terms {
		if !t.weight.exactly() {
			return "", false
		}
		bytes = binary.LittleEndian.AppendUint32(bytes, uint32(t.column))
		bytes = binary.LittleEndian.AppendUint64(bytes, math.Float64bits(t.weight.Value))
	}
	return string(bytes), true
}

// redirect has row i read, of states that are merged, the one that is read in place of them.
func (s *simplifier) redirect(i int, into []int32) {
	e := &s.equations[i]
	inputs := int32(s.Source.Inputs())
	var moved []term
	for _, t := range e.terms {
		if state := s.sourceState(t.column); state >= 0 && into[state] != int32(state) {
			moved = append(moved, term{inputs + into[state], t.weight})
		}
	}
	if moved == nil {
		return
	}
	kept := e.terms[:0]
	for _, t := range e.terms {
		if state := s.sourceState(t.column); state < 0 || into[state] == int32(state) {
			kept = append(kept, t)
		}
	}
	e.terms = kept
	for _, t := range moved {
		e.terms = withTerms(e.terms, []term{t}, Bounded{Value: 1})
		if k := termAt(e.terms, t.column); k >= 0 && !s.onLevel(i, t.column, e.terms[k].weight.Value) {
			e.rewritten = true
		}
	}
}

// onLevel reports whether a weight of row i is one of the levels that the model was trained for.
func (s *simplifier) onLevel(i int, column int32, weight float64) bool {
	step := s.trainedStep(int(column))
	if step == 0 {
		return false
	}
	scale := float64(s.Source.WeightScale[i] * s.trainedFactor())
	level := float64(weight*float64(step)) / scale
	nearest := math.Floor(level + 0.5)
	return math.Abs(level-nearest) < 0x1p-10 && math.Abs(nearest) <= float64(quant.MaxLevel(s.Source.WeightBits))
}

// withTerms returns a + factor·b of two rows with ascending columns, without weights that are exactly zero.
func withTerms(a, b []term, factor Bounded) []term {
	sum := make([]term, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].column < b[0].column:
			sum, a = append(sum, a[0]), a[1:]
		case len(a) == 0 || b[0].column < a[0].column:
			sum, b = append(sum, term{b[0].column, factor.times(b[0].weight)}), b[1:]
		default:
			w := a[0].weight.plus(factor.times(b[0].weight))
			if w != (Bounded{}) {
				sum = append(sum, term{a[0].column, w})
			}
			a, b = a[1:], b[1:]
		}
	}
	return sum
}

// substituteIdentities puts the equations of identity states outside loops into those of their readers, where
// all of them together have no more weights than before.
func (s *simplifier) substituteIdentities() bool {
	before := s.identities
	readers := make([][]int, s.Source.States()) // rows that read each state, or did
	live := s.alive()
	for i := range s.equations {
		if i >= len(live) || live[i] {
			s.eachRead(i, func(state int) { readers[state] = append(readers[state], i) })
		}
	}
	components, loop := s.components()
	for k, component := range components {
		i := component[0]
		if loop[k] || s.constant[i] != nil || s.Source.Activations[i].Kind != model.Identity {
			continue
		}
		if s.substitute(i, readers) {
			s.identities++
		}
	}
	return s.identities > before
}

// substitute puts identity i into its readers and reports whether that was worth it.
func (s *simplifier) substitute(i int, readers [][]int) bool {
	own, column := &s.equations[i], int32(s.Source.Inputs()+i)
	spare := len(own.terms) // weights that there may be more
	var rows []int
	var rewritten []equation
	for _, k := range readers[i] {
		e := &s.equations[k]
		at := termAt(e.terms, column)
		if at < 0 {
			continue // no longer
		}
		factor := e.terms[at].weight
		rest := append(append([]term(nil), e.terms[:at]...), e.terms[at+1:]...)
		terms := withTerms(rest, own.terms, factor)
		spare -= len(terms) - len(e.terms)
		if spare < 0 || !s.substitutable(rest, own, factor, terms) {
			return false
		}
		rows = append(rows, k)
		rewritten = append(rewritten, equation{terms, e.bias.plus(factor.times(own.bias)), true})
	}
	for at, k := range rows {
		s.equations[k] = rewritten[at]
		s.eachRead(i, func(state int) { readers[state] = append(readers[state], k) })
	}
	return len(rows) > 0
}

// termAt returns the index of a column's term, or −1.
func termAt(terms []term, column int32) int {
	k, found := slices.BinarySearchFunc(terms, column, func(t term, column int32) int { return cmp.Compare(t.column, column) })
	if !found {
		return -1
	}
	return k
}

// mostCancelling is how much smaller than what it is the sum of a weight may be.
const mostCancelling = 0x1p-10

// substitutable reports whether the products are numbers that a float32 could be, and no weight or bias of the
// sums is much smaller than what it is the sum of.
func (s *simplifier) substitutable(rest []term, own *equation, factor Bounded, sums []term) bool {
	const least, most = 0x1p-126, math.MaxFloat32
	at := 0
	for _, t := range own.terms {
		size := math.Abs(factor.times(t.weight).Value)
		if size < least || size > most {
			return false
		}
		for at < len(rest) && rest[at].column < t.column {
			at++
		}
		if at == len(rest) || rest[at].column != t.column {
			continue
		}
		k := termAt(sums, t.column)
		if k >= 0 && math.Abs(sums[k].weight.Value) < float64(mostCancelling*(size+math.Abs(rest[at].weight.Value))) {
			return false
		}
	}
	return float64(math.Abs(factor.Value)*math.Abs(own.bias.Value)) <= most
}
