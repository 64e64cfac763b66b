package trainer

import (
	"fmt"
	"math"
	"sync"

	"github.com/sparse-implicit/sim/trainer/internal/rowsolve"
)

// Penalty says what the row problems charge for weights. With v_ij = ω_i σ_j w_ij, what a weight does at
// the output (ω = σ = 1 with NoWeights), row i of (A, B) or (C, D) pays
type Penalty string

// The penalties.
const (
	// PenaltyL1 is λ Σ_j |v_ij|.
	PenaltyL1 Penalty = "l1"
	// PenaltyElastic is the elastic net, λ Σ_j |v_ij| + ½ Lambda2 Σ_j v_ij². Lambda2 does not move along a
	// path of λ. It is relative to the loss: 1 charges a weight as much as what it contributes.
	PenaltyElastic Penalty = "elastic"
	// PenaltyPerspective is the perspective relaxation of the cardinality, λ Σ_j ρ(v_ij) with ρ(v) the least
	// v²/t + λ₀t over 0 ≤ t ≤ 1: 2√λ₀|v| up to |v| = √λ₀, then v² + λ₀. Lambda2 is λ₀.
	PenaltyPerspective Penalty = "perspective"
	// PenaltyExact is λ Σ_j |v_ij| in place of the loss, under the constraint that the row matches its
	// target exactly: to a residual of at most MatchTolerance of the target's standard deviation. A row
	// that no weights match gives ErrInfeasible. λ is 1 unless given; it is not searched for.
	PenaltyExact Penalty = "exact"
	// PenaltyGroup is the sparse group lasso: (1−α) λ Σ_j |v_ij| for every row and α λ √(4R) ‖v‖₂ for every
	// group, the weights of R rows (a slice of a layer: GroupRows of its rows, in order) that read
	// GroupColumns consecutive states, or inputs. So many weights as the four in a window that a row has in
	// one step of a sliding-window kernel, all equal, cost the same either way. Lambda2 is α.
	PenaltyGroup Penalty = "group"
)

// MatchTolerance is what exact matching leaves of a target's standard deviation: states are float32 sums.
const MatchTolerance = 1e-4

// ErrInfeasible is wrapped by Fit's error when PenaltyExact is asked for and some row's target cannot be
// matched; the error names the row and the part that remains whatever the weights.
var ErrInfeasible = rowsolve.ErrInfeasible

// defaultLambda2 has the second number of each penalty that has one.
var defaultLambda2 = map[Penalty]float64{PenaltyElastic: 0.01, PenaltyPerspective: 0.01, PenaltyGroup: 0.5}

// layouts has the columns that go with the rows of a group: the windows of the runtime's kernels.
var layouts = map[int]int{16: 128, 8: 32, 4: 64}

// resolvePenalty fills in what the penalty leaves open, or says what is wrong with it.
func (o *Options) resolvePenalty() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrOptions)
	}
	setDefault(&o.Penalty, PenaltyL1)
	second, has := defaultLambda2[o.Penalty]
	if !has && o.Lambda2 != 0 {
		return fail("penalty %s has no second number (%g): leave it out", o.Penalty, o.Lambda2)
	}
	setDefault(&o.Lambda2, second)
	if !(o.Lambda2 >= 0) || math.IsInf(o.Lambda2, 1) {
		return fail("the penalty's second number is %g: it must be positive", o.Lambda2)
	}
	if o.Penalty != PenaltyGroup && (o.GroupRows != 0 || o.GroupColumns != 0) {
		return fail("penalty %s has no groups: leave their shape out", o.Penalty)
	}
	switch o.Penalty {
	case PenaltyL1, PenaltyElastic, PenaltyPerspective:
		return nil
	case PenaltyExact:
		if o.NNZ == 0 && o.Size == 0 && o.Drop == 0 && o.Steps == 0 {
			setDefault(&o.Lambda, 1)
		}
		return nil
	case PenaltyGroup:
		if o.Lambda2 > 1 {
			return fail("the groups' share of the penalty is %g: it must lie in (0, 1]", o.Lambda2)
		}
		setDefault(&o.GroupRows, 16)
		setDefault(&o.GroupColumns, layouts[o.GroupRows])
		if o.GroupRows < 1 || o.GroupColumns < 1 {
			return fail("groups of %d rows and %d columns: choose 16 and 128, 8 and 32, or 4 and 64", o.GroupRows, o.GroupColumns)
		}
		return nil
	}
	return fail("penalty %q: choose l1, elastic, perspective, exact or group", o.Penalty)
}

// penalise adds the part of the penalty that concerns row i alone to its problem.
func (f *fitter) penalise(p *rowsolve.Problem, i int, lambda float64) {
	o := &f.options
	p.Penalty = make([]float64, f.features())
	slope := lambda * f.omega[i] * f.slope()
	for j, s := range f.sigma {
		p.Penalty[j] = slope * s
	}
	switch o.Penalty {
	case PenaltyElastic:
		p.Ridge, p.RidgeWeights = o.Lambda2, f.squaredScales(i)
	case PenaltyPerspective:
		p.Knee = make([]float64, f.features())
		for j, s := range f.sigma {
			p.Knee[j] = math.Sqrt(o.Lambda2) / (f.omega[i] * s) // +Inf where σ = 0
		}
	case PenaltyExact:
		p.Match = MatchTolerance
	}
}

// slope returns the slope of the penalty at v = 0 over λ, apart from group norms.
func (f *fitter) slope() float64 {
	switch f.options.Penalty {
	case PenaltyPerspective:
		return 2 * math.Sqrt(f.options.Lambda2)
	case PenaltyGroup:
		return 1 - f.options.Lambda2
	}
	return 1
}

// firstLambda returns a λ at which no weight is worth its penalty.
func (f *fitter) firstLambda() float64 {
	first := 0.0
	for i, s := range f.stats.TargetStd() {
		if f.options.NoBias {
			s = math.Hypot(s, f.stats.TargetMean(i))
		}
		first = max(first, f.omega[i]*s)
	}
	if f.options.Penalty != PenaltyGroup {
		return first / f.slope()
	}
	// No correlation of a group exceeds 1; its norm, √(rows · columns).
	share := f.options.Lambda2
	byGroup := first / share * math.Sqrt(float64(f.options.GroupColumns)/4)
	return min(first/(1-share), byGroup)
}

// squaredScales returns ω_i²σ_j² for every feature.
func (f *fitter) squaredScales(i int) []float64 {
	scales := make([]float64, len(f.sigma))
	for j, s := range f.sigma {
		v := f.omega[i] * s
		scales[j] = float64(v * v)
	}
	return scales
}

// solveProblems solves the rows, given in their order, together where the penalty couples them.
func (f *fitter) solveProblems(problems []rowsolve.Problem, lambda float64, guess []*rowsolve.Solution, progress func(done, total int)) ([]*rowsolve.Solution, error) {
	if f.screened != nil {
		return f.solveWide(problems, guess, progress)
	}
	if f.options.Penalty != PenaltyGroup {
		return rowsolve.SolveAll(f.gram, problems, guess, 0, progress)
	}
	slices := f.slices()
	solutions, errs := make([]*rowsolve.Solution, len(problems)), make([]error, len(slices))
	done, total := 0, len(problems)
	var mu sync.Mutex
	parallel(len(slices), func(k int) {
		joint := f.joint(slices[k], problems, lambda)
		var warm, found []*rowsolve.Solution
		for _, i := range slices[k] {
			if guess != nil {
				warm = append(warm, guess[i])
			}
		}
		if found, errs[k] = rowsolve.SolveJoint(f.gram, joint, warm); errs[k] != nil {
			return
		}
		for a, i := range slices[k] {
			solutions[i] = found[a]
		}
		mu.Lock()
		defer mu.Unlock()
		done += len(slices[k])
		progress(done, total)
	})
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return solutions, nil
}

// slices cuts each group of rows that are computed together into slices of at most GroupRows.
func (f *fitter) slices() [][]int {
	var list [][]int
	for _, rows := range f.rowsFrom {
		for len(rows) > 0 {
			n := min(f.options.GroupRows, len(rows))
			list = append(list, rows[:n])
			rows = rows[n:]
		}
	}
	return list
}

// joint states the problem of a slice of rows.
func (f *fitter) joint(rows []int, problems []rowsolve.Problem, lambda float64) *rowsolve.Joint {
	n, columns := f.states(), f.options.GroupColumns
	windows := (n + columns - 1) / columns // of states; those of inputs follow
	j := &rowsolve.Joint{Group: make([]int32, f.features())}
	for feature := range j.Group {
		j.Group[feature] = int32(feature / columns)
		if feature >= n {
			j.Group[feature] = int32(windows + (feature-n)/columns)
		}
	}
	weight := lambda * f.options.Lambda2 * math.Sqrt(4*float64(len(rows)))
	for range windows + (f.shape.Inputs+columns-1)/columns {
		j.Weight = append(j.Weight, weight)
	}
	for _, i := range rows {
		j.Rows = append(j.Rows, problems[i])
		scale := make([]float64, len(f.sigma))
		for feature, s := range f.sigma {
			scale[feature] = f.omega[i] * s
		}
		j.Scale = append(j.Scale, scale)
	}
	return j
}
