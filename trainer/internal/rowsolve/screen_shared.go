package rowsolve

import (
	"math"
	"slices"
)

// shared is the Gram of the candidates of some rows.
type shared struct {
	features []int32 // ascending
	rows     []int   // of the problems; target k of the Gram is the target of row rows[k]
	gram     *Gram
	wanted   []int32 // the features of the Gram to be made
}

// share puts rows together whose candidates agree so far that one Gram costs no more than two.
func (s *Screened) share(rows []int) []*shared {
	var list []*shared
	square := func(n int) int { return n * n }
	for _, i := range rows {
		if len(list) > 0 {
			last := list[len(list)-1]
			union := merged(last.wanted, s.candidates[i])
			if square(len(union)) <= square(len(last.wanted))+square(len(s.candidates[i])) && gramBytes(len(union), 0) <= s.bytes {
				last.wanted, last.rows = union, append(last.rows, i)
				continue
			}
		}
		list = append(list, &shared{wanted: s.candidates[i], rows: []int{i}})
	}
	return list
}

// merged returns the union of two ascending lists.
func merged(a, b []int32) []int32 {
	out := append(slices.Clone(a), b...)
	slices.Sort(out)
	return slices.Compact(out)
}

// gramBytes is the memory of a Gram that rows are solved on.
func gramBytes(features, targets int) int { return 16 * features * (features + targets) }

// eachWave gathers the Grams of some rows' candidates and calls solve with rows whose Grams are there. As
// long as all fit into the memory they are held, and later only what is new of them is gathered. Otherwise
// as many as fit are made at a time, and none is held.
func (s *Screened) eachWave(problems []Problem, rows []int, solve func(wave []int) error) error {
	list, fit := s.growing()
	if fit {
		if err := s.gather(problems, list); err != nil {
			return err
		}
		return solve(rows)
	}
	list = s.share(rows)
	for len(list) > 0 {
		count, used, wave := 0, 0, []int(nil)
		for count < len(list) {
			used += gramBytes(len(list[count].wanted), len(list[count].rows))
			if count > 0 && used > s.bytes {
				break
			}
			wave = append(wave, list[count].rows...)
			count++
		}
		if err := s.gather(problems, list[:count]); err != nil {
			return err
		}
		if err := solve(wave); err != nil {
			return err
		}
		clear(s.held)
		list = list[count:]
	}
	return nil
}

// trim leaves, where the Grams no longer fit into the memory, of each row's candidates those in use and as
// many of the others that came closest to use at the last certificate. It is for the time between problems:
// within the rounds of one, candidates must only be added.
func (s *Screened) trim(problems []Problem, solutions []*Solution) error {
	if _, fit := s.growing(); fit {
		return nil
	}
	clear(s.held)
	return s.eachRow(problems, solutions, func(i int, v *solver) {
		// At penalties of zero every feature is a violator, and they come in the order of their correlations.
		s.candidates[i] = s.widened(v, 0, solutions[i], max(s.initial, len(v.active)))
	})
}

// growing returns the Grams of all rows, those held and those to be made, whose candidates are not all in
// them, and whether all together fit into the memory.
func (s *Screened) growing() (list []*shared, fit bool) {
	var missing []int
	seen := map[*shared]bool{nil: true}
	var all []*shared
	for i, sh := range s.held {
		if sh == nil {
			missing = append(missing, i)
		}
		if !seen[sh] {
			seen[sh] = true
			sh.wanted = sh.features
			for _, row := range sh.rows {
				sh.wanted = merged(sh.wanted, s.candidates[row])
			}
			all = append(all, sh)
		}
	}
	all = append(all, s.share(missing)...)
	used := 0
	for _, sh := range all {
		used += gramBytes(len(sh.wanted), len(sh.rows))
		if len(sh.wanted) > len(sh.features) {
			list = append(list, sh)
		}
	}
	return list, used <= s.bytes
}

// gather makes the wanted Grams in one pass over the samples. Products of features that a Gram has are
// not made again.
func (s *Screened) gather(problems []Problem, list []*shared) error {
	if len(list) == 0 {
		return nil
	}
	whole := make([]*Gram, len(list))  // of a Gram from nothing
	added := make([]*Cross, len(list)) // of one that grows: all features with the new ones
	fresh := make([][]int32, len(list))
	for k, sh := range list {
		for _, j := range sh.wanted {
			if _, found := slices.BinarySearch(sh.features, j); !found {
				fresh[k] = append(fresh[k], j)
			}
		}
		if len(sh.features) == 0 {
			whole[k] = NewGram(len(sh.wanted), 0)
			continue
		}
		added[k] = NewCross(len(sh.wanted), len(fresh[k]))
	}
	var f, t []float32
	err := s.stream(func(features, _ []float32, samples int) error {
		for k, sh := range list {
			f = picked(f, features, s.cross.features, sh.wanted, samples)
			if whole[k] != nil {
				whole[k].Add(f, nil, samples)
				continue
			}
			t = picked(t, features, s.cross.features, fresh[k], samples)
			added[k].Add(f, t, samples)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for k, sh := range list {
		sh.complete(whole[k], added[k], fresh[k])
		s.addSides(problems, sh)
		for _, i := range sh.rows {
			s.held[i] = sh
		}
	}
	return nil
}

// picked copies some columns of samples of so many features.
func picked(to, features []float32, width int, columns []int32, samples int) []float32 {
	to = slices.Grow(to[:0], samples*len(columns))[:samples*len(columns)]
	for k := range samples {
		row, out := features[k*width:(k+1)*width], to[k*len(columns):(k+1)*len(columns)]
		for a, j := range columns {
			out[a] = row[j]
		}
	}
	return to
}

// complete sets the products of the wanted features, from a Gram of them or from the one there is and the
// products with what is new.
func (sh *shared) complete(whole *Gram, added *Cross, fresh []int32) {
	old, n := sh.gram, len(sh.wanted)
	sh.gram = NewGram(n, len(sh.rows))
	if whole != nil {
		sh.gram.ff = whole.ff
	} else {
		before, isNew := make([]int, n), make([]int, n)
		for a, j := range sh.wanted {
			before[a], _ = slices.BinarySearch(sh.features, j)
			isNew[a] = -1
			if at, found := slices.BinarySearch(fresh, j); found {
				isNew[a] = at
			}
		}
		for a := range n {
			for b := range a + 1 {
				switch {
				case isNew[b] >= 0:
					sh.gram.ff[a*n+b] = added.FT(a, isNew[b])
				case isNew[a] >= 0:
					sh.gram.ff[a*n+b] = added.FT(b, isNew[a])
				default:
					sh.gram.ff[a*n+b] = old.FF(before[a], before[b])
				}
			}
		}
	}
	sh.features = sh.wanted
}

// addSides sets what the moments of all features know already.
func (s *Screened) addSides(problems []Problem, sh *shared) {
	g, c := sh.gram, s.cross
	g.samples = c.samples
	for a, j := range sh.features {
		g.featureSum[a] = c.featureSum[j]
		for k, i := range sh.rows {
			g.ft[k*g.features+a] = c.FT(int(j), problems[i].Target)
		}
	}
	for k, i := range sh.rows {
		g.targetSum[k], g.targetSquare[k] = c.targetSum[problems[i].Target], c.targetSquare[problems[i].Target]
	}
}

// outward numbers a solution's support by the features of the whole problem.
func (sh *shared) outward(sol *Solution) {
	for a, j := range sol.Support {
		sol.Support[a] = sh.features[j]
	}
}

// local states a problem over the shared candidates.
func (sh *shared) local(p *Problem, target int) *Problem {
	out := *p
	out.Target, out.Candidates, out.BallSize = target, nil, 0
	pick := func(v []float64) []float64 {
		if v == nil {
			return nil
		}
		picked := make([]float64, len(sh.features))
		for a, j := range sh.features {
			picked[a] = v[j]
		}
		return picked
	}
	out.Penalty, out.Knee, out.RidgeWeights = pick(p.Penalty), pick(p.Knee), pick(p.RidgeWeights)
	for a, j := range sh.features {
		if int(j) < p.BallSize {
			out.BallSize++
		}
		if p.Candidates != nil {
			if _, found := slices.BinarySearch(p.Candidates, j); !found {
				out.Penalty[a] = math.Inf(1)
			}
		}
	}
	return &out
}

// inward returns a guess in the numbering of the shared candidates.
func (sh *shared) inward(guess *Solution) *Solution {
	if guess == nil {
		return nil
	}
	out := &Solution{}
	for a, j := range guess.Support {
		if at, found := slices.BinarySearch(sh.features, j); found && a < len(guess.Coef) {
			out.Support, out.Coef = append(out.Support, int32(at)), append(out.Coef, guess.Coef[a])
		}
	}
	return out
}
