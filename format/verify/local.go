package verify

import (
	"fmt"
	"sync"

	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/simb"
)

// Local proves what holds at single inputs and around them. It is safe for concurrent use; each goroutine takes a
// Session of its own.
type Local struct {
	c          *checker
	real       *floatNetwork // nil without a float model, and for one with loops
	against    *model.Model
	relaxation *relaxation // of the integers' own real worth; nil for a model without a decision, or with loops
	errors     []float64   // ≥ |ỹ − ŷ| over the box, per output; nil when nothing is claimed
	gaps       []float64   // ≥ |ỹ − y*| over the box, per output; nil when nothing is claimed

	lock      sync.Mutex
	constants [][]float64 // per output a: of y_a − y_b by the Lipschitz claim, for each b; nil until asked for
}

// Proof is what is proved at one input. What cannot be proved, or was not asked for, is nil.
type Proof struct {
	Row      int      `json:"row"`
	Decision *int     `json:"decision"` // of the compiled model; nil when it decides nothing
	Margin   *float64 `json:"margin"`   // by which the decided output leads the next one, in units of the outputs

	// Radius and RadiusLipschitz: as long as every input stays within the box, and within this distance of
	// what it is here, the compiled model decides the same. The first is by relaxation, the largest that
	// is found by bisection to 1/32 of itself; the second by the Lipschitz constants of the file.
	Radius          *float64 `json:"radius"`
	RadiusLipschitz *float64 `json:"radius_lipschitz"`

	ProvedEqual *bool     `json:"proved_equal"`          // the float model is proved to decide the same
	ErrorBound  []float64 `json:"error_bound,omitempty"` // ≥ |ỹ − y*| at this input, per output
}

// NewLocal prepares proofs for a model, with the float model that it comes from or nil. The file's own figures
// are taken as proved: check it first. Errors: a model, or a pair of models, that a check would refuse.
func NewLocal(m *simb.Model, against *model.Model) (*Local, error) {
	if err := structure(m); err != nil {
		return nil, err
	}
	c := newChecker(m)
	c.derive()
	l := &Local{c: c, against: against, constants: make([][]float64, m.Outputs())}
	claims := &c.m.Certificates
	var relaxed, realised []float32
	if claims.Relaxed != nil {
		relaxed, realised = claims.Relaxed.Output, claims.Relaxed.Realised
	}
	if box := claims.Box; box != nil {
		l.gaps, l.errors = widened(box.Output), widened(box.Output) // it holds for any model within the residuals
	}
	l.gaps, l.errors = lower(l.gaps, relaxed), lower(l.errors, realised)
	if m.Decision != simb.DecideNone && len(c.loops) == 0 {
		l.relaxation = c.newRelaxation(nil, false)
	}
	if against != nil {
		if _, err := c.link(against); err != nil {
			return nil, err
		}
		l.real = newFloatNetwork(against)
	}
	return l, nil
}

// lower returns the smaller numbers of two lists, either of which may be nil.
func lower(a []float64, b []float32) []float64 {
	switch {
	case b == nil:
		return a
	case a == nil:
		return widened(b)
	}
	for k := range a {
		a[k] = min(a[k], float64(b[k]))
	}
	return a
}

// Inputs returns how many numbers an input has: those of the source.
func (l *Local) Inputs() int { return l.c.m.SourceInputs }

// Decides reports whether the model decides.
func (l *Local) Decides() bool { return l.c.m.Decision != simb.DecideNone }

// Session proves at one input after another.
type Session struct {
	*Local
	boxes  *boxBounds
	known  *ranges
	lo, hi []float64
	states []interval // scratch
}

// NewSession returns a session of its own for each goroutine.
func (l *Local) NewSession() *Session {
	s := &Session{Local: l, lo: make([]float64, l.c.p), hi: make([]float64, l.c.p)}
	if l.relaxation != nil {
		s.boxes = l.relaxation.newBoxBounds()
		s.known = &ranges{make([]interval, l.c.n), make([]interval, l.c.n)}
	}
	return s
}

// At proves what holds at u, one number for each input of the source; with radius also how far around it. Errors:
// a wrong length, a number that is not finite, an inference that takes too long.
func (s *Session) At(u []float32, radius bool) (*Proof, error) {
	m := s.c.m
	if len(u) != m.SourceInputs {
		return nil, fmt.Errorf("%d inputs are given, the model has %d", len(u), m.SourceInputs)
	}
	for j, v := range u {
		if !finite32(v) {
			return nil, fmt.Errorf("input %d is %g, every input must be finite", j, v)
		}
	}
	inputs, inside := make([]int64, s.c.p), true
	for j := range inputs {
		input := &m.Inputs[j]
		v := u[input.Source]
		inputs[j], _ = quantise(input, m.Width, v)
		inside = inside && input.Lo <= v && v <= input.Hi
	}
	got := interpret(m, inputs)
	if got.stopped {
		return nil, fmt.Errorf("an inference takes more than %d multiply-accumulates", uint64(mostWork))
	}
	p := &Proof{}
	decided := s.decide(got.outputs, p)
	s.compare(u, got.outputs, decided, inside, p)
	if s.Decides() && inside {
		p.RadiusLipschitz = s.lipschitzRadius(u, got.outputs, decided)
		if radius && s.relaxation != nil {
			r := s.radius(u, decided)
			p.Radius = &r
		}
	}
	return p, nil
}

// leads returns how far output a is ahead of output b in the sense of the decision rule.
func (s *Session) leads(ya, yb int64) int64 {
	if s.c.m.Decision == simb.DecideArgmin {
		return yb - ya
	}
	return ya - yb
}

// decide fills in decision and margin.
func (s *Session) decide(y []int64, p *Proof) (decided int) {
	if !s.Decides() {
		return -1
	}
	for k := range y {
		if s.leads(y[k], y[decided]) > 0 {
			decided = k
		}
	}
	p.Decision = &decided
	for k := range y {
		if margin := float64(s.leads(y[decided], y[k])) * float64(s.c.m.OutputScale); k != decided && (p.Margin == nil || margin < *p.Margin) {
			p.Margin = &margin
		}
	}
	return decided
}

// compare bounds the distance of the outputs from the float model's: what it answers at u is enclosed by
// evaluating it outward. One with loops has the file's bounds over the box.
func (s *Session) compare(u []float32, y []int64, decided int, inside bool, p *Proof) {
	if s.against == nil || s.real == nil && (!inside || s.gaps == nil || !s.others(u)) {
		return
	}
	exact := make([]interval, len(y))
	if s.real != nil {
		exact, s.states = s.real.outputs(u, s.states)
	}
	for k, v := range y {
		worth := s.c.outputWorth(v)
		if s.real == nil {
			exact[k] = point(worth).widen(s.gaps[k])
		}
		p.ErrorBound = append(p.ErrorBound, exact[k].distance(worth))
	}
	if s.Decides() {
		equal := s.wins(exact, decided)
		p.ProvedEqual = &equal
	}
}

// others reports whether the inputs that the plan leaves out lie in the source's box: what the file claims of its
// outputs holds for those alone, most of all where the box is a point.
func (s *Session) others(u []float32) bool {
	left := 0 // inputs of the plan ascend
	for j, v := range u {
		if left < s.c.p && int(s.c.m.Inputs[left].Source) == j {
			left++
		} else if !(s.against.InputLo[j] <= v && v <= s.against.InputHi[j]) {
			return false
		}
	}
	return true
}

// wins reports whether a is decided whatever the outputs are in their ranges; ties go to the lowest index.
func (s *Session) wins(y []interval, a int) bool {
	for b := range y {
		ahead := subDown(y[a].lo, y[b].hi)
		if s.c.m.Decision == simb.DecideArgmin {
			ahead = subDown(y[b].lo, y[a].hi)
		}
		if b != a && !(ahead > 0 || ahead == 0 && a < b) {
			return false
		}
	}
	return true
}

// realised encloses ŷ, the outputs at u of the real model that the integers stand for.
func (s *Session) realised(u []float32) (y []interval) {
	c := s.c
	columns := make([]interval, c.p+c.n)
	for j := range c.p {
		at := c.nearest(int32(j))
		v := float64(u[c.m.Inputs[j].Source])
		columns[j] = interval{subDown(v, at.hi), subUp(v, at.lo)}
	}
	for i := range c.m.Rows {
		z := c.bias[i]
		for k := c.m.Weights.Indptr[i]; k < c.m.Weights.Indptr[i+1]; k++ {
			if v := columns[c.m.Weights.Indices[k]]; v != (interval{}) {
				z = z.add(c.weights[k].mul(v))
			}
		}
		if i < c.n {
			columns[c.p+i] = activate(&c.m.Rows[i], z)
		} else {
			y = append(y, z)
		}
	}
	return y
}
