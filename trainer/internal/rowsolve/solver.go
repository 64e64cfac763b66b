package rowsolve

import (
	"fmt"
	"math"
	"slices"
)

// solver works on one row at a time, in the scaled form
//
//	min ½ wᵀGw − cᵀw + ½tt + Σ pen_j|w_j|   s.t. ‖w[ball]‖₁ ≤ κ
//
// with G the second moments per sample (plus the ridge on its diagonal) and everything divided by
// Omega². Its scratch is kept from row to row; no number is.
type solver struct {
	// The problem.
	n          int
	gram       []float64 // n × n, without the ridge
	diag       []float64 // of gram
	c          []float64
	tt         float64
	pen        []float64
	ridge      []float64 // per feature; empty without one
	knee       []float64 // per feature; empty without one
	ball       int       // features [0, ball) are confined; 0 without a constraint
	kappa      float64
	candidates []int32 // finite penalty, nonzero second moment, ascending

	// The support, in the order of the factor's rows.
	active []int32
	sign   []float64 // +1, −1; 0 for unpenalised columns outside the ball
	w      []float64
	where  []int32 // feature → place in active, or −1
	chol   factor

	// The gradient Fᵀr = c − Gw of every feature, and the ball's multiplier.
	g  []float64
	mu float64

	beyond []bool // feature → whether w is taken to be beyond its knee; empty without knees

	iterations int

	// Scratch.
	target, along, cross []float64
	picks                []pick
}

type pick struct {
	feature int32
	score   float64
}

func newSolver() *solver { return &solver{} }

// solveWith solves one problem with the scratch of s.
func solveWith(s *solver, g *Gram, p *Problem, warm *Solution) (*Solution, error) {
	if err := p.check(g); err != nil {
		return nil, err
	}
	if p.Match > 0 {
		return s.match(g, p, warm)
	}
	m := g.moments(p.Intercept)
	if err := s.load(m, g.features, p); err != nil {
		return nil, err
	}
	s.start(warm)
	s.followPath()
	cert := s.finish()
	return s.solution(g, p, cert), nil
}

func (s *solver) load(m *moments, n int, p *Problem) error {
	omega2 := float64(p.Omega * p.Omega)
	s.n, s.gram, s.diag = n, m.g, m.diag
	s.c, s.tt = m.c[p.Target*n:(p.Target+1)*n], m.tt[p.Target]
	if math.IsNaN(s.tt) || math.IsInf(s.tt, 0) {
		return fmt.Errorf("%w: target %d is not finite in every sample", ErrProblem, p.Target)
	}
	s.setRidge(p, omega2)
	s.ball, s.kappa = 0, 0
	if p.Kappa > 0 && !math.IsInf(p.Kappa, 1) && p.BallSize > 0 {
		s.ball, s.kappa = p.BallSize, p.Kappa
	}
	s.pen = slices.Grow(s.pen[:0], n)[:n]
	for j, v := range p.Penalty {
		s.pen[j] = v / omega2
	}
	s.knee = p.Knee
	s.candidates = s.candidates[:0]
	consider := func(j int) error {
		if math.IsNaN(m.diag[j]) || math.IsInf(m.diag[j], 0) || math.IsNaN(s.c[j]) {
			return fmt.Errorf("%w: feature %d is not finite in every sample", ErrProblem, j)
		}
		if m.ok[j] && !math.IsInf(s.pen[j], 1) {
			s.candidates = append(s.candidates, int32(j))
		}
		return nil
	}
	if p.Candidates == nil {
		for j := range n {
			if err := consider(j); err != nil {
				return err
			}
		}
		return nil
	}
	for _, j := range p.Candidates {
		if err := consider(int(j)); err != nil {
			return err
		}
	}
	return nil
}

func (s *solver) setRidge(p *Problem, omega2 float64) {
	s.ridge = s.ridge[:0]
	if p.Ridge == 0 {
		return
	}
	for j := range s.n {
		weight := 1.0
		if p.RidgeWeights != nil {
			weight = p.RidgeWeights[j]
		}
		s.ridge = append(s.ridge, float64(p.Ridge*weight)/omega2)
	}
}

// diagonal returns the diagonal entry of feature j, its ridge included.
func (s *solver) diagonal(j int32) float64 {
	d := s.diag[j]
	if len(s.ridge) > 0 {
		d += s.ridge[j]
	}
	return d + s.curvature(j)
}

func (s *solver) inBall(j int32) bool { return int(j) < s.ball }

// start takes the support and the signs of the guess, and the unpenalised columns.
func (s *solver) start(warm *Solution) {
	s.active, s.sign, s.w = s.active[:0], s.sign[:0], s.w[:0]
	s.chol.reset()
	s.mu, s.iterations = 0, 0
	s.g = slices.Grow(s.g[:0], s.n)[:s.n]
	s.where = slices.Grow(s.where[:0], s.n)[:s.n]
	for j := range s.where {
		s.where[j] = -1
	}
	guess := map[int32]float64{}
	if warm != nil {
		for i, j := range warm.Support {
			if i < len(warm.Coef) && warm.Coef[i] != 0 {
				guess[j] = warm.Coef[i]
			}
		}
	}
	s.straight()
	for _, j := range s.candidates {
		v := guess[j]
		if len(s.knee) > 0 {
			s.beyond[j] = s.pen[j] > 0 && math.Abs(v) > s.knee[j]
		}
		if s.pen[j] == 0 && !s.inBall(j) || v != 0 {
			s.enter(j, v, false)
		}
	}
	s.settle(1)
	s.gradient()
}

// enter puts a column into the support with a sign; a column that depends on the support stays out
// unless force is set. It returns whether the column went in.
func (s *solver) enter(j int32, sign float64, force bool) bool {
	k := len(s.active)
	s.cross = slices.Grow(s.cross[:0], k+1)[:k]
	row := s.gram[int(j)*s.n:][:s.n]
	for i, a := range s.active {
		s.cross[i] = row[a]
	}
	if !s.chol.push(s.cross, s.diagonal(j)) && !force {
		s.chol.n--
		return false
	}
	switch {
	case s.pen[j] == 0 && !s.inBall(j):
		sign = 0
	case sign > 0:
		sign = 1
	default:
		sign = -1
	}
	s.where[j] = int32(k)
	s.active = append(s.active, j)
	s.sign = append(s.sign, sign)
	s.w = append(s.w, 0)
	return true
}

// leave takes the column at place i out of the support.
func (s *solver) leave(i int) {
	s.chol.remove(i)
	s.where[s.active[i]] = -1
	if len(s.knee) > 0 {
		s.beyond[s.active[i]] = false
	}
	s.active = slices.Delete(s.active, i, i+1)
	s.sign = slices.Delete(s.sign, i, i+1)
	s.w = slices.Delete(s.w, i, i+1)
	for ; i < len(s.active); i++ {
		s.where[s.active[i]] = int32(i)
	}
}

// gradient computes s.g = c − Gw (and −ridge·w on the support).
func (s *solver) gradient() {
	copy(s.g, s.c)
	s.subtract(s.w)
}

// subtract takes G·step from s.g, step over the support.
func (s *solver) subtract(step []float64) {
	i := 0
	for ; i+4 <= len(s.active); i += 4 {
		a := [4]float64{-step[i], -step[i+1], -step[i+2], -step[i+3]}
		axpy4(&a, s.row(i), s.row(i+1), s.row(i+2), s.row(i+3), s.g)
	}
	for ; i < len(s.active); i++ {
		axpy(-step[i], s.row(i), s.g)
	}
	if len(s.ridge) > 0 {
		for i, j := range s.active {
			s.g[j] -= float64(s.ridge[j] * step[i])
		}
	}
}

func (s *solver) row(i int) []float64 {
	j := int(s.active[i])
	return s.gram[j*s.n : (j+1)*s.n]
}

// aim computes into s.target the minimiser over the support with the present signs, the penalties
// multiplied by tau, and the ball held where it binds; it sets mu. With fromGradient the step from w
// is solved for, which refines w but needs an up-to-date gradient.
//
// The multiplier is corrected from its last value rather than computed from nothing: in a nearly
// singular system two huge vectors would cancel otherwise.
func (s *solver) aim(tau float64, fromGradient bool) {
	k := len(s.active)
	s.iterations++
	s.target = slices.Grow(s.target[:0], k)[:k]
	from := s.c
	if fromGradient {
		from = s.g
	}
	confined := false
	for i, j := range s.active {
		bound := float64(tau * s.slope(j))
		if s.inBall(j) {
			bound += s.mu
			confined = true
		}
		s.target[i] = from[j] - float64(bound*s.sign[i])
		if fromGradient {
			s.target[i] -= float64(s.curvature(j) * s.w[i])
		}
	}
	s.chol.solve(s.target)
	if fromGradient {
		axpy(1, s.w, s.target)
	}
	if !confined {
		s.mu = 0
		return
	}
	excess := s.signedNorm(s.target) - s.kappa
	if s.mu == 0 && excess <= 0 {
		return
	}
	s.along = slices.Grow(s.along[:0], k)[:k]
	for i, j := range s.active {
		s.along[i] = 0
		if s.inBall(j) {
			s.along[i] = s.sign[i]
		}
	}
	s.chol.solve(s.along)
	change := max(excess/s.signedNorm(s.along), -s.mu)
	s.mu += change
	axpy(-change, s.along, s.target)
}

// signedNorm returns Σ sign_i v_i over the ball's columns of the support.
func (s *solver) signedNorm(v []float64) float64 {
	sum := 0.0
	for i, j := range s.active {
		if s.inBall(j) {
			sum += float64(s.sign[i] * v[i])
		}
	}
	return sum
}

// settle moves w to the minimiser over the support, dropping the columns whose sign turns, all that
// turn at once: first only newcomers (w = 0), and older ones when no newcomer turns. Columns that turn
// out to be on the other side of their knee are taken to be there, all at once, a limited number of
// times.
func (s *solver) settle(tau float64) {
	for bends := 0; ; {
		s.aim(tau, false)
		newcomer, turned := false, false
		for i, t := range s.target {
			if t*s.sign[i] < 0 {
				turned = true
				newcomer = newcomer || s.w[i] == 0
			}
		}
		if bends < kneeRounds && s.bendAtTarget() {
			bends++
			continue
		}
		if !turned {
			copy(s.w, s.target)
			return
		}
		for i := len(s.active) - 1; i >= 0; i-- {
			if s.target[i]*s.sign[i] < 0 && (!newcomer || s.w[i] == 0) {
				s.target = slices.Delete(s.target, i, i+1)
				s.leave(i)
			}
		}
	}
}

// The path's constants were chosen by BenchmarkPublishedRows; it changes little when they are halved
// or doubled.
const (
	pathRatio   = 0.3 // from one point of the path to the next the penalties shrink to this part
	pathRounds  = 2   // rounds of entering columns at a point of the path before its end
	finalRounds = 100 // rounds at its end
	patience    = 5   // rounds at its end without a lower objective
	enterAtOnce = 8   // columns that may enter in one round, or
	enterPart   = 0.2 // this part of the support
	kneeRounds  = 10  // how often columns may change to the other side of their knees at once
)

// followPath brings the penalties down from where the present w is optimal to the problem's own,
// solving roughly at each point of the path. Whole sets of columns enter and leave at once, which is
// fast and nearly always ends at the optimum, but need not: finish sees to the rest.
func (s *solver) followPath() {
	for tau := s.excessRatio(); tau > 1; {
		tau = max(1, tau*pathRatio)
		if tau == 1 {
			s.endPath()
			return
		}
		for range pathRounds {
			if !s.round(tau) {
				break
			}
		}
	}
}

// endPath solves at the problem's own penalties.
func (s *solver) endPath() {
	best, waited := math.Inf(1), 0
	for range finalRounds {
		cert := s.certify()
		if cert.closed(s.tt) {
			return
		}
		if waited++; cert.objective < best {
			best, waited = cert.objective, 0
		}
		if waited > patience || !s.round(1) {
			return
		}
	}
}

// round lets the worst violators enter and settles. It returns false when none could.
func (s *solver) round(tau float64) bool {
	if s.enterViolators(tau) == 0 {
		return false
	}
	s.settle(tau)
	s.gradient()
	return true
}

// excessRatio returns the factor by which the penalties would have to be larger for no column
// outside the support to want in.
func (s *solver) excessRatio() float64 {
	ratio := 1.0
	for _, j := range s.candidates {
		v := math.Abs(s.g[j])
		if s.inBall(j) {
			v -= s.mu
		}
		if s.where[j] < 0 && s.pen[j] > 0 && v > float64(ratio*s.pen[j]) {
			ratio = v / s.pen[j]
		}
	}
	return ratio * (1 + 1e-9)
}

// enterViolators puts the columns that violate optimality most into the support and returns how many
// went in.
func (s *solver) enterViolators(tau float64) int {
	s.violators(tau)
	limit := max(enterAtOnce, int(enterPart*float64(len(s.active))))
	if len(s.picks) > limit {
		s.picks = s.picks[:limit]
	}
	entered := 0
	for _, p := range s.picks {
		if s.enter(p.feature, s.g[p.feature], false) {
			entered++
		}
	}
	return entered
}

// violators lists in s.picks the columns outside the support whose gradient exceeds its bound, the
// worst first.
func (s *solver) violators(tau float64) {
	s.picks = s.picks[:0]
	for _, j := range s.candidates {
		if s.where[j] >= 0 {
			continue
		}
		bound := float64(tau * s.pen[j])
		if s.inBall(j) {
			bound += s.mu
		}
		excess := math.Abs(s.g[j]) - bound
		if excess <= 1e-9*bound || excess <= 1e-15*math.Sqrt(float64(s.tt*s.diagonal(j))) {
			continue
		}
		s.picks = append(s.picks, pick{j, excess / math.Sqrt(s.diagonal(j))})
	}
	slices.SortFunc(s.picks, func(a, b pick) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return int(a.feature - b.feature)
	})
}
