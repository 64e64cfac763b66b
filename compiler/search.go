package compiler

import (
	"fmt"
	"math"
	"slices"

	"github.com/sparse-implicit/sim/compiler/internal/pass"
	"github.com/sparse-implicit/sim/format/model"
	"github.com/sparse-implicit/sim/format/quant"
)

// Models of few inputs that no data shaped are measured on samples of their box; boxSamples of them, a
// quarter of which are corners.
const (
	fewInputs  = 16
	boxSamples = 3000
)

// What weights are to keep on samples of the box where the user asks for nothing: decisions, and each
// output to a share of its span; and what 7-bit states have to keep to be preferred. Where one decision
// nearly always wins, agreement alone says little: on three of ACAS Xu's boxes all decisions are equal
// with 7 bits, and outputs off by half their span.
const (
	boxAgreement    = 0.9995
	boxError        = 0.01
	narrowAgreement = 0.999
	narrowError     = 0.1
)

// goal is what the integers are to keep; what is zero is not asked for.
type goal struct {
	agreement float64 // share of samples with the float model's decision
	share     float64 // largest error on the samples, as a share of each output's span
	maxError  float64 // proved bound over the box, in the outputs' unit
}

// candidate is one way to compile a model.
type candidate struct {
	program  *pass.Program
	proof    *prover // that narrowed its ranges
	passes   []PassReport
	measured *pass.Measured
	loss     float64 // of the goal: met up to 1
}

// search finds the width and the rows with two planes that meet a goal at the least bytes.
type search struct {
	model     *model.Model
	options   Options
	resolved  pass.Options
	goal      goal
	reference *pass.Reference
	proof     *prover       // of the base that was built last
	wide      *pass.Program // what more planes could be given to; nil: nothing
}

// newSearch says what is measured and what is to be met. Without samples and goals everything is as the
// options say.
func newSearch(m *model.Model, o Options, resolved pass.Options) (*search, error) {
	s := &search{model: m, options: o, resolved: resolved}
	byData := m.StateLo != nil && !o.CalibrateBox || m.ColumnStep != nil || len(o.Samples) > 0
	samples, p := o.Samples, m.Inputs()
	if len(samples) == 0 && p > 0 && p <= fewInputs && (!byData || o.Agreement > 0) {
		samples = pass.BoxSamples(m.InputLo, m.InputHi, boxSamples)
	}
	if len(samples) > 0 {
		s.reference = pass.Observe(m, samples)
	}
	if o.Agreement > 0 && s.reference == nil {
		return nil, fmt.Errorf("an agreement of %g is asked for, but there are no samples that it could be measured on: --calibrate the model on data: %w", o.Agreement, ErrOptions)
	}
	s.goal = goal{agreement: o.Agreement}
	if !o.Prove.On { // what is proved by relaxation is known at the end only
		s.goal.maxError = o.MaxError
	}
	if s.reference != nil && !byData && s.goal == (goal{}) {
		s.goal.share = boxError
		if m.Decision != model.DecideNone {
			s.goal.agreement = boxAgreement
		}
	}
	s.resolved.Compensate = s.reference != nil && (!byData || o.Agreement > 0) && !s.byComponents()
	return s, nil
}

// byComponents reports whether only a proof counts that takes each weight by itself: then each is rounded to
// nearest. One by relaxation is smaller where weights make up for one another, and so is what is seen.
func (s *search) byComponents() bool {
	return s.options.MaxError > 0 && s.options.Agreement == 0 && !s.options.Prove.On
}

// asked reports whether the user set the goal.
func (s *search) asked() bool { return s.options.Agreement > 0 || s.goal.maxError > 0 }

// settle returns the chosen candidate with everything proved of it.
func (s *search) settle(report *Report) (*candidate, error) {
	best, err := s.run(report)
	if err != nil {
		return nil, err
	}
	before := len(report.Passes)
	report.Passes = append(report.Passes, best.passes...)
	if err := s.prove(best, report); err != nil {
		return nil, err
	}
	wide := s.everywhere(best)
	if wide == nil {
		return best, nil
	}
	report.Passes = append(report.Passes[:before], wide.passes...)
	return wide, s.prove(wide, report)
}

// run returns the chosen candidate, the nearest one where the goal cannot be met.
func (s *search) run(report *Report) (*candidate, error) {
	if s.options.Bits == 0 && s.choosesWidth() {
		if best, passes := s.narrow(); best != nil {
			report.Passes = append(report.Passes, passes...)
			return best, nil
		}
		s.resolved.Width = quant.Width14
	}
	base, err := s.base(report, s.resolved.Width)
	if err != nil {
		return nil, err
	}
	return s.promote(base)
}

// choosesWidth reports whether the width follows from a goal: 7 bits where they meet it, else 14.
func (s *search) choosesWidth() bool {
	decides := s.model.Decision != model.DecideNone
	return s.options.MaxError > 0 || decides && s.reference != nil && s.goal != (goal{})
}

// narrow compiles with 7-bit states and the weights as they come, and returns the result if it meets the
// goal: wider weights do little for states so coarse.
func (s *search) narrow() (*candidate, []PassReport) {
	if s.options.Prove.On && s.options.MaxError > 0 {
		return nil, nil // it would take a whole search to say
	}
	trial, report := *s, &Report{}
	if !s.asked() {
		trial.goal = goal{agreement: narrowAgreement, share: narrowError}
	}
	base, err := trial.base(report, quant.Width7)
	if err != nil {
		return nil, nil
	}
	c, err := trial.build(base, nil)
	if err != nil || c.loss > 1 {
		return nil, nil
	}
	return c, report.Passes
}

// base runs the passes that do not depend on the weights' planes.
func (s *search) base(report *Report, width quant.Width) (*pass.Program, error) {
	options := s.resolved
	options.Width = width
	program := &pass.Program{Source: s.model, Options: options, Reference: s.reference}
	for _, step := range []step{
		{"simplify", sure(program.Simplify)},
		{"prune", sure(program.Prune)},
		{"schedule", sure(program.Schedule)},
		{"well-posed", program.ProveWellPosed},
		{"ranges", program.Ranges},
	} {
		if err := report.run(step); err != nil {
			return nil, err
		}
	}
	s.proof = s.options.Prove.begin()
	if s.options.Prove.On {
		if err := report.run(s.proof.ranges(program)); err != nil {
			return nil, err
		}
	}
	return program, nil
}

// build turns a program into integers, with two planes for the rows promoted, and weighs it by the goal.
func (s *search) build(base *pass.Program, promoted []bool) (*candidate, error) {
	program, report := base.Fork(promoted), &Report{}
	for round := 0; round == 0 || round < mostRounds && program.Widen(); round++ {
		report.Passes = nil
		for _, step := range []step{{"scales", program.Scales}, {"quantise", program.Quantise}, {"certify", program.Certify}} {
			if err := report.run(step); err != nil {
				return nil, err
			}
		}
	}
	c := &candidate{program: program, proof: s.proof, passes: report.Passes, measured: program.Measure()}
	c.loss = s.goal.loss(c)
	return c, nil
}

// loss returns how far a candidate is from the goal: 1 where it is just met.
func (g goal) loss(c *candidate) float64 {
	worst := 0.0
	if m := c.measured; m != nil {
		if g.agreement > 0 {
			missed, allowed := float64(m.Samples-m.Agreed), float64((1-g.agreement)*float64(m.Samples))
			worst = max(worst, missed/max(allowed, 0.5))
		}
		for k, e := range m.Largest {
			if g.share > 0 && e > 0 && m.Span[k] > 0 {
				worst = max(worst, e/float64(g.share*m.Span[k]))
			}
		}
	}
	if g.maxError > 0 {
		bounds := c.program.Certificates.Box
		if bounds == nil {
			return math.Inf(1)
		}
		for _, e := range bounds.Output {
			worst = max(worst, float64(e)/g.maxError)
		}
	}
	return worst
}

// nearlyAll is how much more than with two planes everywhere may be lost with fewer, where even those do not
// meet a goal that nobody asked for.
const nearlyAll = 1.25

// promote gives rows a second plane, the most useful first, until the goal is met: as many as doubling and
// bisection find, which takes it that more rows lose less.
func (s *search) promote(base *pass.Program) (*candidate, error) {
	s.wide = base
	best, err := s.build(base, nil)
	if err != nil || best.loss <= 1 || s.options.WeightBits != 0 {
		return best, err
	}
	order := best.program.Order(s.goal.maxError > 0)
	with := func(count int) *candidate {
		promoted := make([]bool, len(best.program.Rows))
		for _, i := range order[:count] {
			promoted[i] = true
		}
		c, err := s.build(base, promoted)
		if err != nil { // bounds that one plane keeps and two do not
			return &candidate{loss: math.Inf(1)}
		}
		return c
	}
	all := with(len(order))
	limit := 1.0
	if all.loss > 1 {
		if s.asked() && all.program != nil {
			return all, nil
		}
		limit = float64(all.loss * nearlyAll)
	}
	if best.loss <= limit || all.program == nil {
		return best, nil
	}
	return bisect(len(order), all, limit, with), nil
}

// bisect returns the candidate of about the least count with a loss within the limit; that of `total` is
// known to be.
func bisect(total int, best *candidate, limit float64, with func(count int) *candidate) *candidate {
	low, high := 0, total
	for count := max(1, total/16); count < total; count *= 2 {
		c := with(count)
		if c.loss <= limit {
			best, high = c, count
			break
		}
		low = count
	}
	for high-low > max(1, total/64) {
		middle := low + (high-low)/2
		if c := with(middle); c.loss <= limit {
			best, high = c, middle
		} else {
			low = middle
		}
	}
	return best
}

// prove certifies a candidate for good: briefly where the file makes use of that, and by relaxation where that is
// asked for.
func (s *search) prove(c *candidate, report *Report) error {
	o := s.options
	if o.Codec.Packs() { // only now: how a file is stored must not change its integers
		report.Passes = report.Passes[:len(report.Passes)-1]
		limit := o.MaxError
		if o.Prove.On {
			limit = 0 // what decides is proved later
		}
		briefly := func() (string, error) { return c.program.CertifyBriefly(limit) }
		if err := report.run(step{"certify", briefly}); err != nil {
			return err
		}
	}
	if !o.Prove.On {
		return nil
	}
	return report.run(c.proof.bounds(c.program, report))
}

// everywhere returns the candidate with two planes in every row, where one with fewer is proved to be too far
// off by relaxation; nil where that is not so or cannot help.
func (s *search) everywhere(c *candidate) *candidate {
	o, certificates := s.options, &c.program.Certificates
	if !o.Prove.On || o.MaxError == 0 || o.WeightBits != 0 || s.wide == nil {
		return nil
	}
	if bounds := smaller(certificates.Box, certificates.Relaxed); bounds != nil && slices.Max(bounds) <= o.MaxError {
		return nil
	}
	wide, err := s.build(s.wide, slices.Repeat([]bool{true}, len(c.program.Rows)))
	if err != nil {
		return nil
	}
	return wide
}

// WeightsReport says how rows' weights are stored and what the integers lose on the samples.
type WeightsReport struct {
	OnePlaneRows int       `json:"one_plane_rows"`
	TwoPlaneRows int       `json:"two_plane_rows"`
	Samples      int       `json:"samples"`
	Agreement    *float64  `json:"agreement"`     // share of samples with the model's decision; nil without samples or rule
	LargestError []float64 `json:"largest_error"` // on the samples, per output; nil without samples
}

// weigh fills in the report on weights.
func (r *Report) weigh(c *candidate) {
	for i := range c.program.Rows {
		if c.program.Rows[i].Planes == 2 {
			r.Weights.TwoPlaneRows++
		} else {
			r.Weights.OnePlaneRows++
		}
	}
	if c.measured == nil {
		return
	}
	r.Weights.Samples, r.Weights.LargestError = c.measured.Samples, c.measured.Largest
	detail := fmt.Sprintf("%d samples", c.measured.Samples)
	if c.program.Source.Decision != model.DecideNone {
		share := float64(c.measured.Agreed) / float64(c.measured.Samples)
		r.Weights.Agreement = &share
		detail += fmt.Sprintf(", decisions equal on %.2f %%", 100*share)
	}
	worst := 0.0
	for k, e := range c.measured.Largest {
		if c.measured.Span[k] > 0 {
			worst = max(worst, e/c.measured.Span[k])
		}
	}
	r.add("measure", detail+fmt.Sprintf(", largest error %.2g %% of an output's span", 100*worst))
}

// agrees refuses a candidate whose decisions differ from the float model's more often than asked for.
func (s *search) agrees(c *candidate) error {
	if s.options.Agreement == 0 || (goal{agreement: s.options.Agreement}).loss(c) <= 1 {
		return nil
	}
	m := c.measured
	return fmt.Errorf("decisions equal the model's on %.4g %% of %d samples, less than %.4g %%; most often %d is taken for output %d; of what weights cost, most comes from %s: %s: %w",
		100*float64(m.Agreed)/float64(m.Samples), m.Samples, 100*s.options.Agreement, m.Missed[1], m.Missed[0],
		blamed(c.program.Heaviest(3)), s.wayOut(c), ErrAgreement)
}

// seenOnData reports whether the states' ranges were seen on data although the box could be sampled: what lies
// between the two is clamped.
func (s *search) seenOnData() bool {
	p := s.model.Inputs()
	return s.model.StateLo != nil && !s.options.CalibrateBox && p > 0 && p <= fewInputs
}

// wayOut says what would make more decisions agree.
func (s *search) wayOut(c *candidate) string {
	switch {
	case s.options.WeightBits != 0 && s.options.WeightBits != 16:
		return "use --weights auto"
	case c.program.Options.Width == quant.Width7:
		return "use --bits 14"
	case s.seenOnData() && len(s.options.Samples) == 0: // asked for over the box
		return "use --calibrate box, or --calibrate DATA to ask for it on data; or declare a smaller box, or ask for less"
	}
	return "declare a smaller box, or ask for less"
}
