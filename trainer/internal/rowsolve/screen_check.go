package rowsolve

import (
	"fmt"
	"slices"
)

// check certifies the rows' solutions over all features and returns the rows that are not solved, their
// candidates widened. Rows that no further candidate can help count as solved.
func (s *Screened) check(problems []Problem, rows []int, solutions []*Solution, gradients []gradient) ([]int, error) {
	var open []int
	atOnce := max(1, s.bytes/(8*max(1, s.cross.features)))
	for len(rows) > 0 {
		part := rows[:min(atOnce, len(rows))]
		rows = rows[len(part):]
		residuals, err := s.correlate(problems, part, solutions)
		if err != nil {
			return nil, err
		}
		solved := make([]bool, len(part))
		errs := make([]error, len(part))
		parallel(len(part), func(r int) {
			i := part[r]
			solved[r], errs[r] = s.certify(&problems[i], i, solutions, residuals, r, gradients[i])
		})
		for r, err := range errs {
			if err != nil {
				return nil, fmt.Errorf("row %d: %w", part[r], err)
			}
			if !solved[r] {
				open = append(open, part[r])
			}
		}
	}
	return open, nil
}

// correlate makes the products of all features with the residuals of some rows. Residuals are rounded to
// float32, which is what the kernels multiply; what that changes is far below what a certificate asks.
func (s *Screened) correlate(problems []Problem, rows []int, solutions []*Solution) (*Cross, error) {
	out := NewCross(s.cross.features, len(rows))
	var residuals []float32
	err := s.stream(func(features, targets []float32, samples int) error {
		residuals = slices.Grow(residuals[:0], samples*len(rows))[:samples*len(rows)]
		parallel(samples, func(k int) {
			f := features[k*s.cross.features : (k+1)*s.cross.features]
			t := targets[k*s.cross.targets : (k+1)*s.cross.targets]
			for r, i := range rows {
				sol := solutions[i]
				v := float64(t[problems[i].Target]) - sol.Intercept
				for a, j := range sol.Support {
					v -= float64(sol.Coef[a] * float64(f[j]))
				}
				residuals[k*len(rows)+r] = float32(v)
			}
		})
		out.Add(features, residuals, samples)
		return nil
	})
	return out, err
}

// certify sets the gap of row i, whose residual is target r of residuals, over all features. Within the
// candidates the gradient is the solver's own, which is exact.
func (s *Screened) certify(p *Problem, i int, solutions []*Solution, residuals *Cross, r int, within gradient) (bool, error) {
	sol := solutions[i]
	v, err := s.whole(p, sol)
	if err != nil {
		return false, err
	}
	m, mean := float64(residuals.samples), 0.0
	if p.Intercept {
		mean = residuals.TargetMean(r)
	}
	for j := range v.g {
		v.g[j] = residuals.FT(j, r)/m - float64(mean*residuals.FeatureMean(j))
	}
	for a, j := range within.features {
		v.g[j] = within.values[a]
	}
	cert := v.certify()
	sol.Gap = cert.relative(v.tt)
	sol.Objective = float64(p.Omega*p.Omega) * cert.objective
	if cert.closed(v.tt) {
		return true, nil
	}
	wider := s.widened(v, 1, sol, s.initial, s.candidates[i]...)
	if len(wider) == len(s.candidates[i]) {
		return true, nil
	}
	s.candidates[i] = wider
	return false, nil
}
